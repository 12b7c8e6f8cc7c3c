//! The end of a large job: every process of it reports within seconds, each to one of k collectors that it picks at
//! random, as the library does. How much is lost, beside what docs/SCALE.md reckons.
//!
//! Everything is on one machine: k collectors have k receive buffers and share its processors, with what sends as well.
//! So the simulation shows what buffers do, and a k-th of the records for each; k machines would read k times as fast.

use super::sender::{place_of_id, rename};
use super::{Collector, Mix, Receiver, metric};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg, setsockopt, sockopt};
use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Processes of a job on 3,000 nodes with 64 each.
const PROCESSES: u64 = 3_000 * 64;
/// How fast they end, at the fastest.
const WITHIN: [f64; 2] = [0.5, 2.0];
/// MiB of each receive buffer, as asked for.
const BUFFERS: [u16; 3] = [1, 16, 64];
const COLLECTORS: [usize; 3] = [1, 2, 4];
/// Sent at once.
const BATCH: usize = 64;

/// One table.
pub fn run() {
    let mut mix = Mix::new(3, 2000, 1_790_000_000_000_000, 10);
    let mut messages: Vec<Vec<u8>> = (0..20_000).map(|_| mix.message()).collect();
    println!("{PROCESSES} datagrams to k collectors, each to one of them at random");
    let held = BUFFERS.map(|buffer| (buffer, held(buffer, &messages)));
    for (buffer, held) in held {
        println!("a buffer of {buffer} MiB that nobody reads holds {held} of them");
    }
    println!(
        "{:>2} {:>7} {:>9} {:>10} {:>8} {:>24}",
        "k", "buffer", "within", "sent/s", "lost", "lost, if nothing is read"
    );
    for within in WITHIN {
        for collectors in COLLECTORS {
            for (buffer, held) in held {
                let (lost, time) = trial(collectors, buffer, within, &mut messages);
                let unread = PROCESSES.saturating_sub(held * collectors as u64) as f64 / PROCESSES as f64;
                println!(
                    "{collectors:>2} {buffer:>3} MiB {time:>7.2} s {:>10.0} {:>7.2}% {:>23.2}%",
                    PROCESSES as f64 / time,
                    lost * 100.0,
                    unread * 100.0
                );
            }
        }
    }
}

/// How many of the messages a receive buffer takes.
fn held(buffer: u16, messages: &[Vec<u8>]) -> u64 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    if setsockopt(&socket, sockopt::RcvBufForce, &(usize::from(buffer) << 20)).is_err() {
        println!("not root: buffers are those of net.core.rmem_max");
        let _ = setsockopt(&socket, sockopt::RcvBuf, &(usize::from(buffer) << 20));
    }
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let to = socket.local_addr().expect("its address");
    for message in messages.iter().cycle().take(PROCESSES as usize) {
        let _ = sender.send_to(message, to);
    }
    socket.set_nonblocking(true).expect("not to wait");
    let mut space = vec![0; 1 << 16];
    (0..).take_while(|_| socket.recv(&mut space).is_ok()).count() as u64
}

/// The share that was lost, and how long the sending took.
fn trial(count: usize, buffer: u16, within: f64, messages: &mut [Vec<u8>]) -> (f64, f64) {
    let folders: Vec<_> = (0..count).map(|_| tempfile::tempdir().expect("a folder")).collect();
    let mut collectors: Vec<Collector> = folders.iter().map(|_| Collector::with_buffer(buffer)).collect();
    let to: Vec<SocketAddr> =
        collectors.iter_mut().zip(&folders).map(|(one, folder)| one.start(folder.path())).collect();
    let to: Vec<SockaddrIn> = to.iter().map(|address| address.to_string().parse().expect("IPv4")).collect();
    let time = send(&to, within, messages);
    // What is in the buffers is read, and nothing else comes.
    let received = |collectors: &[Collector]| -> u64 {
        collectors.iter().map(|one| metric(one.pages(), "customs_received_total ")).sum()
    };
    let (mut last, mut since) = (received(&collectors), Instant::now());
    while since.elapsed() < Duration::from_millis(700) {
        std::thread::sleep(Duration::from_millis(100));
        let now = received(&collectors);
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    collectors.iter_mut().for_each(Collector::kill);
    (1.0 - last as f64 / PROCESSES as f64, time)
}

/// Sends all of them, evenly within that time or as fast as this machine can; how long it took.
fn send(to: &[SockaddrIn], within: f64, messages: &mut [Vec<u8>]) -> f64 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut seed = 2021_u64;
    let start = Instant::now();
    let mut sent = 0;
    while sent < PROCESSES {
        let due = (start.elapsed().as_secs_f64() / within * PROCESSES as f64) as u64;
        if sent + BATCH as u64 > due.min(PROCESSES) && due < PROCESSES {
            std::thread::sleep(Duration::from_micros(100));
            continue;
        }
        let at = sent as usize % (messages.len() - BATCH);
        let batch = &mut messages[at..at + BATCH.min((PROCESSES - sent) as usize)];
        for (number, message) in (sent..).zip(batch.iter_mut()) {
            let at = place_of_id(message);
            rename(&mut message[at..at + 32], number);
        }
        let addresses: Vec<Option<SockaddrIn>> = batch
            .iter()
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                Some(to[(seed >> 33) as usize % to.len()])
            })
            .collect();
        let slices: Vec<[IoSlice; 1]> = batch.iter().map(|message| [IoSlice::new(message)]).collect();
        let mut headers: MultiHeaders<SockaddrIn> = MultiHeaders::preallocate(slices.len(), None);
        let done = sendmmsg(socket.as_raw_fd(), &mut headers, &slices, addresses, [], MsgFlags::empty());
        sent += done.map_or(0, |done| done.count() as u64);
    }
    start.elapsed().as_secs_f64()
}
