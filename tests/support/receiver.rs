//! A syslog receiver on loopback.

use nix::sys::socket::{setsockopt, sockopt};
use serde_json::Value;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread::JoinHandle;
use std::time::Duration;
use syslog_loose::{ProcId, Variant};

/// Asked for; who is not root gets what `net.core.rmem_max` allows (socket(7)).
const BUFFER: usize = 16 << 20;
/// A datagram that was sent before its process ended can still be on its way through the kernel.
const LAST_CALL: Duration = Duration::from_millis(100);

/// Receives from when it is opened until it is closed.
pub struct Receiver {
    socket: UdpSocket,
    address: SocketAddr,
    receiving: JoinHandle<Vec<Vec<u8>>>,
}

impl Receiver {
    /// On a free port.
    pub fn open() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &BUFFER).unwrap();
        }
        let address = socket.local_addr().unwrap();
        let other = socket.try_clone().unwrap();
        let receiving = std::thread::spawn(move || receive(&other, address));
        Receiver { socket, address, receiving }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The records that have come, each out of a frame that is as it must be.
    pub fn close(self) -> Vec<Value> {
        // An empty datagram to itself stands behind everything that came before.
        self.socket.send_to(&[], self.address).unwrap();
        let datagrams = self.receiving.join().unwrap();
        datagrams.iter().map(|datagram| record(datagram)).collect()
    }
}

fn receive(socket: &UdpSocket, own: SocketAddr) -> Vec<Vec<u8>> {
    let mut datagrams = Vec::new();
    let mut buffer = vec![0; 65_536];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((0, sender)) if sender == own => socket.set_read_timeout(Some(LAST_CALL)).unwrap(),
            Ok((length, _)) => datagrams.push(buffer[..length].to_vec()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return datagrams,
            Err(error) => panic!("the receiver: {error}"),
        }
    }
}

/// The record in a datagram, whose header `syslog_loose` reads as RFC 5424 and which agrees with the record.
fn record(datagram: &[u8]) -> Value {
    let text = std::str::from_utf8(datagram).expect("UTF-8");
    let message = syslog_loose::parse_message(text, Variant::RFC5424);
    let record: Value = serde_json::from_str(message.msg).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(message.appname, Some("customs"), "{text}");
    assert_eq!(message.msgid, Some("customs"), "{text}");
    // The header has of a host only what hosts are made of.
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || ".-".contains(letter) { letter } else { '_' };
    let host: String = record["host"].as_str().unwrap().chars().map(plain).collect();
    assert_eq!(message.hostname, Some(host.as_str()), "{text}");
    assert_eq!(message.procid, record["pid"].as_i64().map(|pid| ProcId::PID(pid as i32)), "{text}");
    assert!(message.timestamp.is_some() && message.structured_data.is_empty(), "{text}");
    record
}
