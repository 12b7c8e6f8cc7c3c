//! `customs emit`: any JSON object, sent as the library sends a record. The ancestor's `nerscjson`.

use crate::cli::Emit;
use crate::{NO, here, site};
use anyhow::{Context, Result, anyhow, bail};
use customs_spec::frame::Header;
use customs_spec::json::Writer;
use customs_spec::policy::model::{Model, Server, Transport};
use nix::fcntl::OFlag;
use serde_json::{Map, Value};
use std::fs::OpenOptions;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Room for the longest header.
pub const HEADER: usize = 512;

/// Sends, or says why not.
pub fn run(args: &Emit) -> Result<ExitCode> {
    let model =
        site::compile(&args.site).context("the site file says where to send; name one with --site SITE.toml")?.model;
    let mut input = String::new();
    io::stdin().read_to_string(&mut input).context("standard input is not UTF-8 text")?;
    let host = here::host();
    let message = message(&model, &args.msgid, &host, &one_line(&input)?)?;
    // As for a list that names none.
    let is_compute = here::compute(&model, &host, &here::variable).is_some();
    let transport =
        here::usual_transport(&model, is_compute).context("no transport of the site file is meant for this node")?;

    let most = usize::from(transport.max_datagram);
    if message.len() > most {
        let (length, name) = (message.len(), &transport.name);
        eprintln!("customs: the message has {length} bytes and the transport `{name}` takes {most}; nothing was sent");
        return Ok(ExitCode::from(NO));
    }
    match send(transport, &message) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("customs: {error:#}; nothing was sent");
            Ok(ExitCode::from(NO))
        }
    }
}

/// The object on one line, its numbers and the order of its keys untouched: a line break in valid JSON stands between
/// values only, since in a string it has to be escaped.
fn one_line(input: &str) -> Result<String> {
    serde_json::from_str::<Map<String, Value>>(input).context("standard input is not one JSON object")?;
    Ok(input.trim().replace(['\n', '\r'], " "))
}

/// A message of this host's with `body`.
fn message(model: &Model, msgid: &str, host: &str, body: &str) -> Result<Vec<u8>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let mut space = [0; HEADER];
    let mut out = Writer::new(&mut space);
    let header = Header {
        facility: model.facility,
        time: u64::try_from(now.as_micros())?,
        host: host.as_bytes(),
        pid: std::process::id(),
        msgid: msgid.as_bytes(),
    };
    header.write(&mut out);
    Ok([out.written(), body.as_bytes()].concat())
}

/// To a server of the transport picked at random; to the next ones if that fails at once.
pub fn send(transport: &Transport, message: &[u8]) -> Result<()> {
    let servers = &transport.servers;
    let start = RandomState::new().hash_one(std::process::id()) as usize;
    let mut failure = anyhow!("the transport `{}` has no server", transport.name);
    for turn in 0..servers.len() {
        let server = &servers[start.wrapping_add(turn) % servers.len()];
        match send_to(server, message) {
            Ok(()) => return Ok(()),
            Err(error) => failure = anyhow!(error).context(format!("cannot send to {server}")),
        }
    }
    Err(failure)
}

fn send_to(server: &Server, message: &[u8]) -> Result<()> {
    let sent = match server {
        Server::Udp(address @ SocketAddr::V4(_)) => {
            UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?.send_to(message, address)?
        }
        Server::Udp(address @ SocketAddr::V6(_)) => {
            UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?.send_to(message, address)?
        }
        Server::Unix(path) => {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?; // a log socket that nobody reads would block forever
            socket.send_to(message, path)?
        }
        Server::File(path) => {
            // As the library does it: a symbolic link may be somebody's trap, and a FIFO without a reader would block.
            let careful = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
            let mut file = OpenOptions::new().append(true).create(true).mode(0o644).custom_flags(careful).open(path)?;
            let line = [message, b"\n"].concat();
            file.write(&line)?.min(message.len())
        }
    };
    if sent < message.len() {
        bail!("only {sent} of {} bytes were taken", message.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_keeps_its_numbers_and_its_order_on_one_line() {
        let line =
            one_line("{\n  \"b\": 1.10,\r\n  \"a\": 123456789012345678901234567890,\n \"c\": \"x\\ny\"}\n").unwrap();
        assert_eq!(line, "{   \"b\": 1.10,    \"a\": 123456789012345678901234567890,  \"c\": \"x\\ny\"}");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for input in ["", "[1]", "1", "{} {}", "{\"a\": \"x\ny\"}", "{'a': 1}"] {
            assert!(one_line(input).is_err(), "{input}");
        }
    }
}
