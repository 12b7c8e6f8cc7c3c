//! What sends: as many datagrams a second as are asked for, with as little as possible of the processors.
//!
//! Messages of nearly the same length lie one after the other in a block, padded with spaces to the same length, and the
//! kernel is given a block at a time to cut into datagrams (`UDP_SEGMENT`, udp(7)). Ids are written anew each time.

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Datagrams in a block: of 1500 bytes each they fit into one of 64 KiB, which is the most that `UDP_SEGMENT` takes.
const IN_BLOCK: usize = 40;

/// Messages that are sent again and again, under ids of their own.
pub struct Sender {
    blocks: Vec<Block>,
}

struct Block {
    bytes: Vec<u8>,
    /// Of each datagram.
    length: u16,
    ids: Vec<usize>,
}

impl Sender {
    /// Of these messages.
    pub fn new(mut messages: Vec<Vec<u8>>) -> Self {
        messages.sort_by_key(Vec::len);
        Sender { blocks: messages.chunks_exact(IN_BLOCK).map(Block::new).collect() }
    }

    /// Bytes of a datagram on average.
    pub fn mean(&self) -> usize {
        self.blocks.iter().map(|block| usize::from(block.length)).sum::<usize>() / self.blocks.len()
    }

    /// Sends at `rate` for some time; how many, and how many a second.
    pub fn send(&mut self, to: SocketAddr, rate: f64, time: Duration) -> (u64, f64) {
        self.send_while(to, rate, |_, since| since < time)
    }

    /// Sends that many (whole blocks of them) at `rate`, or as fast as it can.
    pub fn send_all(&mut self, to: SocketAddr, rate: f64, count: u64) -> (u64, f64) {
        self.send_while(to, rate, |sent, _| sent + IN_BLOCK as u64 <= count)
    }

    fn send_while(&mut self, to: SocketAddr, rate: f64, goes_on: impl Fn(u64, Duration) -> bool) -> (u64, f64) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(to).expect("loopback");
        let start = Instant::now();
        let (mut sent, mut number) = (0_u64, 0);
        while goes_on(sent, start.elapsed()) {
            let due = (start.elapsed().as_secs_f64() * rate) as u64;
            if sent + IN_BLOCK as u64 > due {
                std::thread::sleep(Duration::from_micros(100));
                continue;
            }
            // Not in the order of their lengths.
            number = (number + 7919) % self.blocks.len();
            let block = &mut self.blocks[number];
            for (id, at) in (sent..).zip(&block.ids) {
                rename(&mut block.bytes[*at..*at + 32], id);
            }
            let control = [ControlMessage::UdpGsoSegments(&block.length)];
            let slices = [IoSlice::new(&block.bytes)];
            let flags = MsgFlags::empty();
            if sendmsg::<SockaddrIn>(socket.as_raw_fd(), &slices, &control, flags, None).is_ok() {
                sent += IN_BLOCK as u64;
            }
        }
        (sent, sent as f64 / start.elapsed().as_secs_f64())
    }
}

impl Block {
    fn new(messages: &[Vec<u8>]) -> Self {
        let length = messages.iter().map(Vec::len).max().unwrap_or_default();
        let mut block =
            Block { bytes: Vec::new(), length: u16::try_from(length).expect("a datagram"), ids: Vec::new() };
        for message in messages {
            block.ids.push(block.bytes.len() + place_of_id(message));
            block.bytes.extend(message);
            block.bytes.resize(block.ids.len() * length, b' ');
        }
        block
    }
}

/// Where the 32 digits of a message's id begin.
fn place_of_id(message: &[u8]) -> usize {
    const KEY: &[u8] = b"\"id\":\"";
    message.windows(KEY.len()).position(|window| window == KEY).expect("an id") + KEY.len()
}

/// Writes an id that tells the number, and looks like any other.
fn rename(place: &mut [u8], number: u64) {
    let mut id = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(id & 15) as usize];
        id >>= 4;
    }
}
