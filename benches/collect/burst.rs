//! The end of a large job: every process of it reports within seconds, each to one of k collectors that it picks at
//! random, as the library does. How much is lost, beside what docs/SCALE.md reckons.
//!
//! The collectors of a centre share no processor. So each gets its share of the burst by itself, one after the other,
//! and losses are summed: what comes to one does not depend on the others. What sends has a processor of this machine.

use super::sender::Sender;
use super::{Collector, Receiver, metric, signal};
use nix::sys::signal::Signal;
use nix::sys::socket::{setsockopt, sockopt};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// Of a job on 3,000 nodes, 64 each.
const PROCESSES: u64 = 3_000 * 64;
/// Seconds in which all of them end.
const WITHIN: [f64; 3] = [0.25, 0.5, 1.0];
/// MiB of each receive buffer, as asked for.
const BUFFERS: [u16; 3] = [1, 16, 64];
const COLLECTORS: [usize; 3] = [1, 2, 4];

/// The tables.
pub fn run(sender: &mut Sender) {
    let held = BUFFERS.map(|buffer| (buffer, held(sender, buffer)));
    for (buffer, held) in held {
        println!("a receive buffer of {buffer} MiB that nobody reads holds {held} datagrams");
    }
    let reads = reads(sender, held[BUFFERS.len() - 1].1 * 9 / 10);
    println!("a collector into whose buffer nobody sends meanwhile reads {reads:.0} a second");
    println!(
        "\n{PROCESSES} datagrams, each to one of k collectors at random; lost, and in brackets what was reckoned:"
    );
    println!(
        "{:>8} {:>2} {:>14} {}",
        "within",
        "k",
        "sent/s to each",
        BUFFERS.map(|mib| format!("{mib:>13} MiB ")).concat()
    );
    for within in WITHIN {
        for collectors in COLLECTORS {
            let mut rate = 0.0_f64;
            let cells = held.map(|(buffer, held)| {
                let (lost, reached) = trial(sender, collectors, buffer, within);
                rate = rate.max(reached);
                let each = PROCESSES as f64 / collectors as f64;
                let reckoned = (1.0 - (held as f64 + reads * within) / each).max(0.0);
                format!("{:>7.2} % ({:>4.1} %)", lost * 100.0, reckoned * 100.0)
            });
            println!("{within:>6.2} s {collectors:>2} {rate:>14.0} {}", cells.join(" "));
        }
    }
    println!("(reckoned: what exceeds the buffer and what is read meanwhile)");
}

/// How many datagrams a receive buffer takes.
fn held(sender: &mut Sender, buffer: u16) -> u64 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let bytes = usize::from(buffer) << 20;
    if setsockopt(&socket, sockopt::RcvBufForce, &bytes).is_err() {
        println!("not root: no buffer is larger than net.core.rmem_max");
        let _ = setsockopt(&socket, sockopt::RcvBuf, &bytes);
    }
    sender.send_all(socket.local_addr().expect("its address"), 1e6, PROCESSES);
    socket.set_nonblocking(true).expect("not to wait");
    let mut space = vec![0; 1 << 16];
    (0..).take_while(|_| socket.recv(&mut space).is_ok()).count() as u64
}

/// How many a second a collector reads that finds so many in its buffer.
fn reads(sender: &mut Sender, count: u64) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let mut collector = Collector::with_buffer(BUFFERS[BUFFERS.len() - 1]);
    let to = collector.start(folder.path());
    signal(collector.child(), Signal::SIGSTOP);
    let (sent, _) = sender.send_all(to, 1e6, count);
    signal(collector.child(), Signal::SIGCONT);
    let start = Instant::now();
    while metric(collector.pages(), "customs_received_total ") < sent {
        assert!(start.elapsed() < Duration::from_secs(10), "some were lost");
    }
    let rate = sent as f64 / start.elapsed().as_secs_f64();
    collector.kill();
    rate
}

/// The share that was lost, and the highest rate at which a collector was sent to.
fn trial(sender: &mut Sender, collectors: usize, buffer: u16, within: f64) -> (f64, f64) {
    let mut seed = 2021_u64;
    let mut shares = vec![0_u64; collectors];
    for _ in 0..PROCESSES {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        shares[(seed >> 33) as usize % collectors] += 1;
    }
    let (mut sent, mut received, mut fastest) = (0, 0, 0.0_f64);
    for share in shares {
        let folder = tempfile::tempdir().expect("a folder");
        let mut collector = Collector::with_buffer(buffer);
        let to = collector.start(folder.path());
        let (count, rate) = sender.send_all(to, share as f64 / within, share);
        (sent, fastest) = (sent + count, fastest.max(rate));
        received += settled(&collector);
        collector.kill();
    }
    (1.0 - received as f64 / sent as f64, fastest)
}

/// What it has received, when nothing more comes out of its buffer.
fn settled(collector: &Collector) -> u64 {
    let received = || metric(collector.pages(), "customs_received_total ");
    let (mut last, mut since) = (received(), Instant::now());
    while since.elapsed() < Duration::from_millis(500) {
        std::thread::sleep(Duration::from_millis(50));
        let now = received();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}
