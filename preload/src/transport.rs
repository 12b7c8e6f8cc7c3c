//! The way out: one message to one server, picked at random. Never waits, never retries later; what the kernel
//! does not take at once is gone.

use crate::sys::{self, Descriptor};
use core::ffi::CStr;
use core::net::SocketAddr;
use customs_spec::json::overwrite;
use customs_spec::policy::{Server, Transport};

/// Sends the messages of one record.
pub struct Sender<'p> {
    transport: Transport<'p>,
    /// The server that took the last message, or that was picked.
    server: usize,
}

impl<'p> Sender<'p> {
    /// Picks a server with the kernel's random numbers; the program's own are not touched.
    pub fn new(transport: Transport<'p>) -> Self {
        let random = || sys::random().unwrap_or_else(|| sys::clock(libc::CLOCK_MONOTONIC).as_nanos()) as usize;
        let server = match transport.servers() {
            0 | 1 => 0,
            servers => random().checked_rem(servers).unwrap_or(0),
        };
        Sender { transport, server }
    }

    /// Sends `message`. When the server cannot even be tried, the next one gets it, once.
    pub fn send(&mut self, message: &[u8]) {
        for _ in 0..self.transport.servers().min(2) {
            let Some(server) = self.transport.server(self.server) else { return };
            match deliver(server, message) {
                Err(error) if LOCAL.contains(&error) => {
                    self.server = self.server.wrapping_add(1).checked_rem(self.transport.servers()).unwrap_or(0);
                }
                _ => return,
            }
        }
    }
}

/// Errors that come at once and from this side: no route, no such address family, no permission, no buffer, nobody at
/// a path.
const LOCAL: [i32; 11] = [
    libc::ENETUNREACH,
    libc::EHOSTUNREACH,
    libc::ENETDOWN,
    libc::EADDRNOTAVAIL,
    libc::EAFNOSUPPORT,
    libc::EPERM,
    libc::EACCES,
    libc::EAGAIN,
    libc::ENOBUFS,
    libc::ENOENT,
    libc::ECONNREFUSED,
];

fn deliver(server: Server, message: &[u8]) -> Result<(), i32> {
    match server {
        Server::Udp(address) => {
            let mut space = [0; 28];
            let (family, address) = socket_address(address, &mut space);
            Descriptor::datagram_socket(family)?.send_to(message, address)
        }
        Server::Unix(path) => {
            // `struct sockaddr_un` (unix(7)): the family, then the path and its NUL.
            let mut address = [0; 110];
            let family = (libc::AF_UNIX as u16).to_ne_bytes();
            put(&mut address, &[&family, path]).ok_or(libc::ENAMETOOLONG)?;
            Descriptor::datagram_socket(libc::AF_UNIX)?.send_to(message, &address)
        }
        Server::File(path) => append(path, message).ok_or(libc::EIO),
    }
}

/// Appends a line to a file that is not a symbolic link, in one write, so that lines of many processes do not mix.
/// Not where the write could bring a signal.
fn append(path: &[u8], message: &[u8]) -> Option<()> {
    if !sys::file_size_is_unlimited() {
        return None;
    }
    let mut space = [0; 4096];
    put(space.get_mut(..4095)?, &[path])?;
    let path = CStr::from_bytes_until_nul(&space).ok()?;
    let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_NOFOLLOW;
    Descriptor::open(path, flags, 0o644)?.into_regular()?.write_line(message).map(drop)
}

/// `struct sockaddr_in` or `sockaddr_in6` (ip(7), ipv6(7)) in `space`.
fn socket_address(address: SocketAddr, space: &mut [u8; 28]) -> (i32, &[u8]) {
    let port = address.port().to_be_bytes();
    let (family, length) = match address {
        SocketAddr::V4(v4) => {
            let _ = put(space, &[&(libc::AF_INET as u16).to_ne_bytes(), &port, &v4.ip().octets()]);
            (libc::AF_INET, 16)
        }
        SocketAddr::V6(v6) => {
            let (flow, scope) = ([0; 4], v6.scope_id().to_ne_bytes());
            let _ = put(space, &[&(libc::AF_INET6 as u16).to_ne_bytes(), &port, &flow, &v6.ip().octets(), &scope]);
            (libc::AF_INET6, 28)
        }
    };
    (family, space.get(..length).unwrap_or_default())
}

/// Lays `parts` one after the other into `space`; a byte must stay free.
fn put(space: &mut [u8], parts: &[&[u8]]) -> Option<()> {
    let mut rest = space;
    for part in parts {
        let (place, after) = rest.split_at_mut_checked(part.len())?;
        overwrite(place, part);
        rest = after;
    }
    Some(())
}
