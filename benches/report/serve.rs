//! How long `customs serve` takes to answer what it was not asked before.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Seconds for any answer.
const BOUND: f64 = 0.2;

/// About what, and what is asked; each of it with each of the filters.
const PERIODS: [(&str, &str); 4] = [
    ("five years", ""),
    ("five years, from the middle of a month on", "from=2025-01-17&"),
    ("a year", "from=2026-01-01&to=2026-12-31&"),
    ("a month", "from=2027-05-01&to=2027-05-31&"),
];
const FILTERS: [&str; 5] = ["", "staff=include", "login=include", "staff=include&login=include", "staff=only"];

/// Asks for periods of tables of five years from 2025 on.
pub fn answers(tables: &Path) {
    let mut serve = Command::new(env!("CARGO_BIN_EXE_customs"));
    let serve = serve.arg("serve").arg(tables).args(["--listen", "127.0.0.1:0"]).stderr(Stdio::piped());
    let mut serve = Served(serve.spawn().expect("customs serve"));
    let mut greeting = String::new();
    BufReader::new(serve.0.stderr.take().expect("its words")).read_line(&mut greeting).expect("its greeting");
    let (_, address) = greeting.split_once("http://").expect("an address");
    let address: SocketAddr = address.trim().trim_end_matches('/').parse().expect("an address");
    for (period, asked) in PERIODS {
        let times = FILTERS.map(|filter| seconds(address, &format!("/?{asked}{filter}")));
        let (least, most) = (times.iter().copied().fold(f64::MAX, f64::min), times.iter().copied().fold(0.0, f64::max));
        let again = seconds(address, &format!("/?{asked}{}", FILTERS[0]));
        let verdict = if most <= BOUND { "" } else { "  NOT MET" };
        println!("served, {period:<42} {least:.3} to {most:.3} s, again {again:.3}; bound {BOUND}{verdict}");
    }
}

/// A server that ends with the benchmark.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn seconds(address: SocketAddr, path: &str) -> f64 {
    let start = Instant::now();
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("a question");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("an answer");
    assert!(page.starts_with("HTTP/1.1 200"), "{path}: {}", page.lines().next().unwrap_or_default());
    start.elapsed().as_secs_f64()
}
