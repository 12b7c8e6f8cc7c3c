//! Addresses of receivers.

use super::problem::Fault;
use crate::policy::model::Server;
use alloc::format;
use alloc::string::ToString;
use core::net::{IpAddr, SocketAddr};

/// `sun_path` holds 108 bytes with the final zero (unix(7)).
const MAX_UNIX_PATH: usize = 107;

const FORMS: &str = "write udp://ADDRESS:PORT, unix:///PATH or file:///PATH";

/// Reads `udp://10.128.0.7:514`, `udp://[fd00::8]:514`, `unix:///dev/log` or `file:///var/log/customs`.
pub fn parse(text: &str) -> Result<Server, Fault> {
    match text.split_once("://") {
        Some(("udp", address)) => udp(address),
        Some(("unix", path)) => {
            let path = absolute("unix", path)?;
            if path.len() > MAX_UNIX_PATH {
                let message = format!("the path has {} bytes, and a socket's may have {MAX_UNIX_PATH}", path.len());
                return Err(Fault::new(message, "move the socket to a shorter path, or make a symbolic link to it"));
            }
            Ok(Server::Unix(path.to_string()))
        }
        Some(("file", path)) => Ok(Server::File(absolute("file", path)?.to_string())),
        Some(("tcp" | "tls" | "http" | "https", rest)) => {
            let help = format!("the library sends datagrams only, because they never wait: write udp://{rest}");
            Err(Fault::new("this is no datagram transport", help))
        }
        Some((scheme, _)) => Err(Fault::new(format!("unknown form of address `{scheme}://`"), FORMS)),
        None if text.starts_with('/') => Err(Fault::new(
            "a path alone does not say what is there",
            format!("write unix://{text} for a socket, file://{text} for a file"),
        )),
        None if text.parse::<SocketAddr>().is_ok() => {
            Err(Fault::new("the address does not say how to get there", format!("write udp://{text}")))
        }
        None => Err(Fault::new("this is not an address", FORMS)),
    }
}

fn absolute<'p>(scheme: &str, path: &'p str) -> Result<&'p str, Fault> {
    if path.starts_with('/') {
        return Ok(path);
    }
    let help = format!("write all of it, from the root, after two more slashes: {scheme}:///{path}");
    Err(Fault::new("the path is relative, and the library runs in every directory", help))
}

fn udp(address: &str) -> Result<Server, Fault> {
    if let Ok(socket) = address.parse::<SocketAddr>() {
        return numeric(socket);
    }
    if let Ok(ip) = address.trim_matches(['[', ']']).parse::<IpAddr>() {
        let help = format!("write udp://{}; syslog's own port is 514", SocketAddr::new(ip, 514));
        return Err(Fault::new("the port is missing", help));
    }
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "514"));
    if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return Err(Fault::new(
            format!("`{port}` is not a port"),
            format!("write a number up to 65535: udp://{host}:514"),
        ));
    }
    let help = format!(
        "the library never asks a name service; write the address, e.g. udp://10.128.0.7:{port} (`getent hosts {host}` prints it)"
    );
    Err(Fault::new(format!("`{host}` is not a numeric address"), help))
}

fn numeric(socket: SocketAddr) -> Result<Server, Fault> {
    let scoped = matches!(socket, SocketAddr::V6(address) if address.scope_id() != 0);
    if socket.port() == 0 {
        Err(Fault::new("nobody can listen on port 0", "write the receiver's port; syslog's own is 514"))
    } else if socket.ip().is_unspecified() {
        Err(Fault::new(format!("{} is no one's address", socket.ip()), "write the address of the receiver itself"))
    } else if scoped {
        let help = "interface numbers differ from node to node; write an address that is routed";
        Err(Fault::new("the address holds on one interface only", help))
    } else {
        Ok(Server::Udp(socket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_the_manual_are_understood() {
        for text in ["udp://10.128.0.7:514", "udp://[fd00::8]:514"] {
            let expected = Server::Udp(text.trim_start_matches("udp://").parse().unwrap());
            assert_eq!(parse(text).ok(), Some(expected), "{text}");
        }
        assert_eq!(parse("unix:///dev/log").ok(), Some(Server::Unix("/dev/log".to_string())));
        assert_eq!(parse("file:///tmp/a b").ok(), Some(Server::File("/tmp/a b".to_string())));
    }

    #[test]
    fn a_wrong_address_says_what_to_write_instead() {
        for (text, help) in [
            ("udp://loghost:514", "write the address, e.g. udp://10.128.0.7:514 (`getent hosts loghost` prints it)"),
            ("udp://loghost", "never asks a name service"),
            ("udp://10.0.0.1", "udp://10.0.0.1:514"),
            ("udp://fd00::8", "udp://[fd00::8]:514"),
            ("udp://[fd00::8]", "udp://[fd00::8]:514"),
            ("udp://10.0.0.1:99999", "up to 65535"),
            ("udp://10.0.0.1:0", "port"),
            ("udp://0.0.0.0:514", "the receiver itself"),
            ("udp://[fe80::1%2]:514", "routed"),
            ("unix://dev/log", "unix:///dev/log"),
            ("file://log", "file:///log"),
            ("tcp://10.0.0.1:514", "udp://10.0.0.1:514"),
            ("10.0.0.1:514", "udp://10.0.0.1:514"),
            ("/dev/log", "unix:///dev/log"),
            ("kafka://a:1", FORMS),
            ("", FORMS),
        ] {
            let fault = parse(text).err().unwrap();
            assert!(fault.help.contains(help), "{text}: {}", fault.help);
        }
        let long = format!("unix:///{}", "x".repeat(MAX_UNIX_PATH));
        assert!(parse(&long).is_err());
        assert!(parse(long.get(..long.len() - 1).unwrap()).is_ok());
    }
}
