//! A syslog receiver for one command: a UDP socket on a free loopback port.

use nix::sys::socket::{setsockopt, sockopt};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// Asked for; the kernel gives what `net.core.rmem_max` allows (socket(7)).
const BUFFER: usize = 16 << 20;
/// The longest datagram there is.
const LONGEST: usize = 65_536;
/// A datagram that was sent before the command ended can still be on its way through the kernel.
const LAST_CALL: Duration = Duration::from_millis(50);

/// The socket.
pub struct Receiver {
    socket: UdpSocket,
    address: SocketAddr,
}

impl Receiver {
    /// On a free port.
    pub fn open() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
            let _ = setsockopt(&socket, sockopt::RcvBuf, &BUFFER); // the usual size does as well
        }
        let address = socket.local_addr()?;
        Ok(Receiver { socket, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands on each datagram until [`Receiver::stop`] is called.
    pub fn each(&self, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = vec![0; LONGEST];
        let mut stopping = false;
        loop {
            match self.socket.recv_from(&mut buffer) {
                Ok((0, sender)) if sender == self.address => {
                    stopping = true;
                    self.socket.set_read_timeout(Some(LAST_CALL))?;
                }
                Ok((length, _)) => take(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if stopping && error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends [`Receiver::each`] once everything that came before is handed on: the signal is an empty datagram to
    /// itself, so it stands at the end of the queue.
    pub fn stop(&self) -> io::Result<()> {
        self.socket.send_to(&[], self.address).map(drop)
    }
}
