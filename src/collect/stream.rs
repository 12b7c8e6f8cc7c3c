//! Streams of messages over TCP, as rsyslog and syslog-ng forward them: counted octets, or a line each (RFC 6587).

use super::Shared;
use super::journal::{Entry, LONGEST, Sender, Via};
use super::listen::{PATIENCE, now};
use anyhow::{Context, Result};
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::Scope;
use std::time::Duration;

/// Relays that are served at once. Each has a thread, and keeps its connection for as long as it runs.
const MOST: usize = 256;
/// Read at a time.
const CHUNK: usize = 64 << 10;
/// While the disk is full, a relay waits: it has a queue.
const FULL: Duration = Duration::from_millis(500);

/// A socket that relays connect to.
pub struct Server {
    name: String,
    listener: TcpListener,
    connections: AtomicUsize,
}

impl Server {
    /// Bound.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on tcp://{address}"))?;
        listener.set_nonblocking(true)?;
        let name = format!("tcp://{}", listener.local_addr()?);
        Ok(Server { name, listener, connections: AtomicUsize::new(0) })
    }

    /// What it is called, with the port that was picked for 0.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Serves each relay in a thread of its own until it is time to stop.
    pub fn run<'s>(&'s self, shared: &'s Shared, scope: &'s Scope<'s, '_>) -> Result<()> {
        while !shared.is_stopping() {
            match self.listener.accept() {
                Ok((stream, peer)) if self.connections.load(Relaxed) < MOST => {
                    self.connections.fetch_add(1, Relaxed);
                    scope.spawn(move || {
                        // A relay that went away is none of ours to mend.
                        let _ = serve(stream, peer.ip().to_canonical(), shared);
                        self.connections.fetch_sub(1, Relaxed);
                    });
                }
                Ok(_) => shared.metrics.rejected.add("connections", 1),
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(PATIENCE),
                Err(_) => std::thread::sleep(PATIENCE), // no descriptor left: in a while, perhaps
            }
        }
        Ok(())
    }
}

fn serve(mut stream: TcpStream, peer: IpAddr, shared: &Shared) -> Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let sender = Sender { via: Via::Tcp, address: Some(peer), uid: None };
    let mut frames = Frames::default();
    let mut space = vec![0; CHUNK];
    loop {
        let length = match stream.read(&mut space) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if shared.is_stopping() {
                    break;
                }
                continue;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        frames.push(space.get(..length).unwrap_or_default());
        if !drain(&mut frames, sender, shared) {
            shared.metrics.rejected.add("framing", 1);
            return Ok(()); // nobody can tell where the next message begins
        }
    }
    if let Some(last) = frames.rest() {
        append(&[last], sender, shared);
    }
    Ok(())
}

/// Journals the messages that are there; `false` when the stream makes no sense.
fn drain(frames: &mut Frames, sender: Sender, shared: &Shared) -> bool {
    let mut whole = Vec::new();
    let makes_sense = loop {
        match frames.next() {
            Frame::Message(message) => whole.push(message),
            Frame::Partial => break true,
            Frame::Nonsense => break false,
        }
    };
    append(&whole, sender, shared);
    makes_sense
}

/// Waits while the disk is full.
fn append(messages: &[Vec<u8>], sender: Sender, shared: &Shared) {
    if messages.is_empty() {
        return;
    }
    let arrived = now();
    shared.metrics.received.add(messages.len() as u64);
    shared.metrics.received_bytes.add(messages.iter().map(|message| message.len() as u64).sum());
    let entries = || messages.iter().map(|message| Entry { arrived, sender, message });
    while shared.journal.append(entries()).is_err() {
        shared.disk(true);
        if shared.is_stopping() {
            return shared.metrics.dropped_disk_full.add(messages.len() as u64);
        }
        std::thread::sleep(FULL);
    }
    shared.disk(false);
}

/// Bytes of a stream that are no whole message yet.
#[derive(Default)]
struct Frames {
    bytes: Vec<u8>,
    start: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Frame {
    Message(Vec<u8>),
    Partial,
    Nonsense,
}

impl Frames {
    fn push(&mut self, more: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend(more);
    }

    /// The next message. RFC 6587, 3.4: what begins with a digit is counted, what begins with `<` is a line.
    fn next(&mut self) -> Frame {
        while matches!(self.bytes.get(self.start), Some(b'\n' | b'\r' | 0)) {
            self.start += 1; // what some relays put after a counted message
        }
        let rest = self.bytes.get(self.start..).unwrap_or_default();
        let (from, to, next) = match rest.first() {
            None => return Frame::Partial,
            Some(b'1'..=b'9') => {
                let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let count: Option<usize> =
                    std::str::from_utf8(rest.get(..digits).unwrap_or_default()).ok().and_then(|text| text.parse().ok());
                match (count, rest.get(digits)) {
                    (Some(count), Some(b' ')) if count <= LONGEST => {
                        (digits + 1, digits + 1 + count, digits + 1 + count)
                    }
                    (Some(_), None) if digits < 6 => return Frame::Partial,
                    _ => return Frame::Nonsense,
                }
            }
            Some(b'<') => match rest.iter().position(|byte| matches!(byte, b'\n' | 0)) {
                Some(end) if end <= LONGEST => (0, end, end + 1),
                None if rest.len() <= LONGEST => return Frame::Partial,
                _ => return Frame::Nonsense,
            },
            Some(_) => return Frame::Nonsense,
        };
        let Some(message) = rest.get(from..to) else { return Frame::Partial };
        let message = message.to_vec();
        self.start += next;
        Frame::Message(message)
    }

    /// What stands at the end of the stream without its line feed.
    fn rest(&self) -> Option<Vec<u8>> {
        self.bytes.get(self.start..).filter(|rest| rest.first() == Some(&b'<')).map(<[u8]>::to_vec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(pieces: &[&[u8]]) -> (Vec<String>, Frame) {
        let mut frames = Frames::default();
        let mut found = Vec::new();
        let mut last = Frame::Partial;
        for piece in pieces {
            frames.push(piece);
            loop {
                match frames.next() {
                    Frame::Message(message) => found.push(String::from_utf8(message).unwrap()),
                    other => {
                        last = other;
                        break;
                    }
                }
            }
        }
        (found, last)
    }

    #[test]
    fn counted_messages_and_lines_may_follow_each_other_and_be_torn_anywhere() {
        let stream = b"6 <1>1 a<2>1 b\n5 <3>1\n<4>1 c\n";
        let expected: Vec<String> = ["<1>1 a", "<2>1 b", "<3>1\n", "<4>1 c"].map(str::to_string).to_vec();
        for cut in 0..stream.len() {
            let (before, after) = stream.split_at(cut);
            assert_eq!(frames(&[before, after]), (expected.clone(), Frame::Partial), "{cut}");
        }
    }

    #[test]
    fn a_stream_that_makes_no_sense_is_given_up() {
        for stream in [b"hello".as_slice(), b"9999999 x", b"70000 x", b"12x", &[b'<'; LONGEST + 2]] {
            assert_eq!(frames(&[stream]).1, Frame::Nonsense, "{}", stream[..5].escape_ascii());
        }
    }
}
