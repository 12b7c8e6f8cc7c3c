//! What no receiver can do without: a process that takes datagrams as `customs collect` does, 128 at a time with who sent
//! each, counts them, and forgets them. How much faster it is than another receiver is how much there is to be won.

use crate::{Receiver, peak, terminate};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, setsockopt, sockopt};
use std::fs;
use std::io::{BufRead, BufReader, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The word that makes this benchmark's program the receiver.
pub const WORD: &str = "receive-and-forget";
/// As `customs collect` has them.
const BATCH: usize = 128;
const LONGEST: usize = 64 << 10;

/// Receives, and writes how many there were into a file whenever nothing came for a while.
pub fn run(count: &Path) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let buffer = 64 << 20;
    if setsockopt(&socket, sockopt::RcvBufForce, &buffer).is_err() {
        let _ = setsockopt(&socket, sockopt::RcvBuf, &buffer);
    }
    setsockopt(&socket, sockopt::RxqOvfl, &1).expect("SO_RXQ_OVFL");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    println!("{}", socket.local_addr().expect("an address"));
    let mut space = vec![0; BATCH * LONGEST];
    let mut received = 0;
    loop {
        let mut headers: MultiHeaders<SockaddrStorage> = MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(u32)));
        let mut slices: Vec<_> = space.chunks_mut(LONGEST).map(|chunk| [IoSliceMut::new(chunk)]).collect();
        let flags = MsgFlags::MSG_WAITFORONE;
        match recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), flags, None) {
            Ok(messages) => received += messages.count(),
            Err(_) => fs::write(count, received.to_string()).expect("a file"),
        }
    }
}

/// That process.
#[derive(Default)]
pub struct Floor {
    begin: Vec<String>,
    running: Option<(Child, PathBuf)>,
}

impl Receiver for Floor {
    fn name(&self) -> String {
        "recvmmsg(2) alone: received and forgotten".to_string()
    }

    fn start(&mut self, folder: &Path) -> SocketAddr {
        let own = std::env::current_exe().expect("this program");
        let count = folder.join("count");
        let words = self.begin.iter().map(String::as_str).chain([own.to_str().expect("UTF-8"), WORD]);
        let words: Vec<&str> = words.collect();
        let mut command = Command::new(words[0]);
        let mut child = command.args(&words[1..]).arg(&count).stdout(Stdio::piped()).spawn().expect("the receiver");
        let mut address = String::new();
        BufReader::new(child.stdout.take().expect("its words")).read_line(&mut address).expect("its address");
        self.running = Some((child, count));
        address.trim().parse().expect("an address")
    }

    fn begins_with(&mut self, words: &[&str]) {
        self.begin = words.iter().map(|word| word.to_string()).collect();
    }

    fn pid(&self) -> u32 {
        self.running.as_ref().map_or(0, |(child, _)| child.id())
    }

    fn count(&mut self) -> u64 {
        let count = self.running.as_ref().and_then(|(_, count)| fs::read_to_string(count).ok());
        count.and_then(|count| count.parse().ok()).unwrap_or_default()
    }

    fn stop(&mut self) -> String {
        let Some((mut child, _)) = self.running.take() else { return String::new() };
        let memory = peak(child.id());
        terminate(&mut child);
        format!("at most {memory} MiB in memory")
    }
}
