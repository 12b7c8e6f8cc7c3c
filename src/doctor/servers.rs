//! Each server that a record of this node could go to: what can be known of it from here, and what cannot.

use super::report::Report;
use anyhow::Result;
use customs_spec::policy::model::{Server, Transport};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{AccessFlags, access};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread;
use std::time::Duration;

const ABOUT: &str = "server";
/// A machine that refuses says so within its network's round trip.
const REFUSAL: Duration = Duration::from_millis(500);
/// For a page of the collector.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks after all servers of these transports.
pub fn ask(transports: &[&Transport], report: &mut Report) {
    let servers =
        || transports.iter().flat_map(|transport| transport.servers.iter().map(move |server| (*transport, server)));
    let udp = servers().filter_map(|(transport, server)| match server {
        Server::Udp(address) => Some((transport, *address)),
        _ => None,
    });
    // All at once: each would be waited for.
    let tried: Vec<_> = udp.map(|(transport, address)| (transport, address, knock(address))).collect();
    if tried.iter().any(|(_, _, knocked)| knocked.is_ok()) {
        thread::sleep(REFUSAL);
    }
    for (transport, address, knocked) in tried {
        udp_answer(transport, address, knocked, report);
    }
    for (transport, server) in servers() {
        match server {
            Server::Udp(_) => {}
            Server::Unix(path) => unix(path, report),
            Server::File(path) => file(transport, Path::new(path), report),
        }
    }
}

/// Sends an empty datagram by a socket that hears of a refusal. rsyslog passes over it (`processPacket` in
/// plugins/imudp/imudp.c); `customs collect` counts it as rejected, `empty`.
fn knock(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(address)?;
    socket.send(&[])?;
    Ok(socket)
}

fn udp_answer(transport: &Transport, address: SocketAddr, knocked: io::Result<UdpSocket>, report: &mut Report) {
    let server = Server::Udp(address);
    let refused = |error: io::Error, report: &mut Report| {
        let fix = match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
            Errno::ECONNREFUSED => "start the receiver there, or correct the address in the site file",
            Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::ENETDOWN | Errno::EADDRNOTAVAIL => {
                "give this node a route to it"
            }
            Errno::EPERM | Errno::EACCES => "a filter of this node's forbids it: allow it",
            Errno::EAFNOSUPPORT => "this node does not speak that protocol: take a server that it can reach",
            _ => "mend the network, or correct the address",
        };
        let says = match error.raw_os_error() {
            Some(number) if number == Errno::ECONNREFUSED as i32 => {
                format!("{server}: refused: nobody listens on that port")
            }
            _ => format!("{server}: nothing can be sent there: {error}"),
        };
        report.problem(ABOUT, says, fix);
    };
    let socket = match knocked {
        Ok(socket) => socket,
        Err(error) => return refused(error, report),
    };
    if let Ok(Some(error)) = socket.take_error() {
        return refused(error, report);
    }
    let from = socket.local_addr().map(|address| address.ip().to_string()).unwrap_or_default();
    let says = format!(
        "{server}: there is a route, from {from}, and nobody refused within {} ms; whether a datagram arrives cannot be known from here",
        REFUSAL.as_millis()
    );
    report.ok(ABOUT, says);
    // An IP header and UDP's own stand before the message.
    let header = if address.is_ipv4() { 28 } else { 48 };
    if let Ok(mtu) = getsockopt(&socket, sockopt::IpMtu)
        && address.is_ipv4()
        && i32::from(transport.max_datagram) > mtu - header
    {
        let says = format!(
            "{server}: the way there carries {mtu} bytes, and messages have up to {}: they are fragmented",
            transport.max_datagram
        );
        report.note(
            ABOUT,
            says,
            format!("`max_datagram = {}` in transport {}", (mtu - header).max(1232), transport.name),
        );
    }
}

fn unix(path: &str, report: &mut Report) {
    let server = format!("unix://{path}");
    let try_it = || -> io::Result<bool> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        let mut poll_fd = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
        Ok(poll(&mut poll_fd, PollTimeout::ZERO)? > 0)
    };
    match try_it() {
        Ok(true) => report.ok(
            ABOUT,
            format!("{server}: somebody listens, and there is room; what becomes of a record is theirs to say"),
        ),
        Ok(false) => report.problem(
            ABOUT,
            format!("{server}: its queue is full: nobody reads, and records are dropped"),
            "start the receiver anew",
        ),
        Err(error) => {
            let is_socket = Path::new(path).metadata().is_ok_and(|found| found.file_type().is_socket());
            let fix = match error.kind() {
                io::ErrorKind::NotFound => "start the receiver; in a container, mount the socket",
                io::ErrorKind::ConnectionRefused if is_socket => "nobody listens any more: start the receiver",
                io::ErrorKind::ConnectionRefused => "what is there is no socket",
                io::ErrorKind::PermissionDenied => "let everybody write to it: chmod 666",
                _ => "a datagram socket is needed, and this may be a stream's",
            };
            report.problem(ABOUT, format!("{server}: {error}"), fix);
        }
    }
}

fn file(transport: &Transport, path: &Path, report: &mut Report) {
    let server = format!("file://{}", path.display());
    let folder = path.parent().unwrap_or(Path::new("/"));
    match path.symlink_metadata() {
        Ok(found) if found.is_symlink() => {
            report.problem(ABOUT, format!("{server} is a symbolic link, which is not followed"), "name the file itself")
        }
        Ok(found) if !found.is_file() => {
            report.problem(ABOUT, format!("{server} is no regular file, and is not written to"), "name another path")
        }
        Ok(_) if access(path, AccessFlags::W_OK).is_err() => report.problem(
            ABOUT,
            format!("{server} cannot be written by you"),
            "let everybody write to it, or send elsewhere",
        ),
        Err(_) if access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_err() => {
            report.problem(
                ABOUT,
                format!("{server} is not there, and you cannot make it"),
                format!("make a folder {} that everybody may write to", folder.display()),
            );
        }
        _ => report.ok(ABOUT, format!("{server}: it can be written; transport {} is for debugging", transport.name)),
    }
    if let Some(limit) = super::node::limit("Max file size") {
        report.problem(
            ABOUT,
            format!("{server}: file sizes are limited here ({limit} bytes), and then nothing is written"),
            "ulimit -f unlimited",
        );
    }
}

/// Asks the collector how it is.
pub fn collector(address: SocketAddr, report: &mut Report) {
    const ABOUT: &str = "collector";
    let ask = || -> Result<(u16, String)> {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        let mut answer = ureq::Agent::new_with_config(config).get(format!("http://{address}/healthz")).call()?;
        let text = answer.body_mut().with_config().limit(4096).read_to_string()?;
        Ok((answer.status().as_u16(), text.trim().to_string()))
    };
    match ask() {
        Ok((200, _)) => report.ok(ABOUT, format!("{address} says that it is well")),
        Ok((status, text)) => {
            report.problem(ABOUT, format!("{address} says: {text} (status {status})"), "look after the collector")
        }
        Err(error) => report.problem(
            ABOUT,
            format!("{address} does not answer: {error:#}"),
            "start `customs collect` with `--metrics`, or correct the address",
        ),
    }
}
