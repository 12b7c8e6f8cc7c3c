//! How many records a second the collector takes without losing one, beside rsyslogd and syslog-ng on the same records
//! in the same run; and what a record takes on the disk. `cargo bench --bench collect`; with `-- rates` or `-- sizes` one of
//! the two.
//!
//! Everything runs on this machine: what sends takes its share of the processors from what receives.

#[path = "collect/mix.rs"]
mod mix;

use mix::Mix;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Different messages, of which only the ids are written anew.
const MESSAGES: usize = 20_000;
/// How long records are sent at each rate.
const TRIAL: Duration = Duration::from_secs(4);
/// Between one rate and the next.
const STEP: f64 = 1.25;
/// Records of the dataset whose size is measured: a day of a centre.
const RECORDS: u64 = 1_000_000;

const BOUND_RATE: f64 = 100_000.0;
const BOUND_RATIO: f64 = 3.0;
const BOUND_MEMORY: u64 = 256;
const BOUND_BYTES: f64 = 45.0;

fn main() {
    let only = |part: &str| std::env::args().any(|argument| argument == part);
    if !only("sizes") {
        rates();
    }
    if !only("rates") {
        sizes();
    }
}

/// Something that receives on UDP.
trait Receiver {
    fn name(&self) -> String;
    fn start(&mut self, folder: &Path) -> SocketAddr;
    /// How many records it has.
    fn count(&mut self) -> u64;
    /// Ends it; a line about how it went.
    fn stop(&mut self) -> String;
}

fn rates() {
    let mut mix = Mix::new(1, 2000, 1_790_000_000_000_000, 1000);
    let mut messages: Vec<Vec<u8>> = (0..MESSAGES).map(|_| mix.message()).collect();
    let bytes: usize = messages.iter().map(Vec::len).sum();
    let packages = mix.packages();
    println!(
        "messages of {} bytes on average, {packages} packages to choose from; sent for {} s at each rate",
        bytes / MESSAGES,
        TRIAL.as_secs()
    );
    println!("{:<44} {:>16}", "", "records/s kept");
    let mut rsyslogd = None;
    let mut receivers: Vec<Box<dyn Receiver>> = Vec::new();
    match Daemon::rsyslogd() {
        Some(daemon) => receivers.push(Box::new(daemon)),
        None => println!("rsyslogd is not here (tests/hosts/install rsyslog)"),
    }
    match Daemon::syslog_ng() {
        Some(daemon) => receivers.push(Box::new(daemon)),
        None => println!("syslog-ng is not here (tests/hosts/install syslog-ng)"),
    }
    receivers.push(Box::new(Collector::default()));
    for mut receiver in receivers {
        let (rate, lines) = highest(receiver.as_mut(), &mut messages);
        let ratio = rsyslogd.map(|rsyslogd: f64| format!("{:.1} × rsyslogd's", rate / rsyslogd)).unwrap_or_default();
        println!("{:<44} {rate:>16.0}   {ratio}", receiver.name());
        println!("    {lines}");
        if receiver.name().starts_with("rsyslogd") {
            rsyslogd = Some(rate);
        }
        if receiver.name().starts_with("customs") {
            let verdict = |holds: bool| if holds { "" } else { "  NOT MET" };
            println!("    bound {BOUND_RATE:.0}/s{}", verdict(rate >= BOUND_RATE));
            if let Some(rsyslogd) = rsyslogd {
                println!("    bound {BOUND_RATIO} × rsyslogd's{}", verdict(rate >= BOUND_RATIO * rsyslogd));
            }
        }
    }
}

/// The highest rate at which nothing was lost in two tries, and what the receiver said of that one.
fn highest(receiver: &mut dyn Receiver, messages: &mut [Vec<u8>]) -> (f64, String) {
    let mut best = (0.0, String::new());
    let mut rate = 16_000.0;
    loop {
        let mut kept = None;
        for _ in 0..2 {
            let folder = tempfile::tempdir().expect("a folder");
            let address = receiver.start(folder.path());
            let (sent, reached) = send(address, rate, messages);
            let count = settled(receiver);
            let line = receiver.stop();
            if reached < 0.95 * rate {
                return (best.0, format!("{}; what sends cannot do more than {reached:.0}/s", best.1));
            }
            if count == sent {
                kept = Some((reached, line));
                break;
            }
        }
        match kept {
            Some(good) => best = good,
            None => return best,
        }
        rate *= STEP;
    }
}

/// Sends at `rate` for a while; how many, and how many a second.
fn send(to: SocketAddr, rate: f64, messages: &mut [Vec<u8>]) -> (u64, f64) {
    const BATCH: usize = 32;
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(to).expect("loopback");
    let start = Instant::now();
    let mut sent = 0_u64;
    while start.elapsed() < TRIAL {
        let due = (start.elapsed().as_secs_f64() * rate) as u64;
        if sent + BATCH as u64 > due {
            std::thread::sleep(Duration::from_micros(200));
            continue;
        }
        let at = sent as usize % (messages.len() - BATCH);
        let batch = &mut messages[at..at + BATCH];
        for (number, message) in (sent..).zip(batch.iter_mut()) {
            rename(message, number);
        }
        let slices: Vec<[IoSlice; 1]> = batch.iter().map(|message| [IoSlice::new(message)]).collect();
        let mut headers: MultiHeaders<SockaddrIn> = MultiHeaders::preallocate(BATCH, None);
        let none = vec![None; BATCH];
        let done = sendmmsg(socket.as_raw_fd(), &mut headers, &slices, none, [], MsgFlags::empty());
        sent += done.map_or(0, |done| done.count() as u64);
    }
    (sent, sent as f64 / start.elapsed().as_secs_f64())
}

/// Gives the message an id of its own.
fn rename(message: &mut [u8], number: u64) {
    const KEY: &[u8] = b"\"id\":\"";
    let at = message.windows(KEY.len()).position(|window| window == KEY).expect("an id") + KEY.len();
    let id = format!("{:032x}", u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    message[at..at + 32].copy_from_slice(id.as_bytes());
}

/// The count once it has stood still for a second and a half.
fn settled(receiver: &mut dyn Receiver) -> u64 {
    let (mut last, mut since) = (receiver.count(), Instant::now());
    while since.elapsed() < Duration::from_millis(1500) {
        std::thread::sleep(Duration::from_millis(100));
        let now = receiver.count();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

/// A syslog daemon that writes a line a message.
struct Daemon {
    name: String,
    program: Vec<String>,
    configuration: &'static str,
    /// The folder that the program takes for the root.
    root: PathBuf,
    running: Option<(Child, PathBuf, u64, u64)>,
}

const RSYSLOG: &str = r#"global(workDirectory="@DIR@" maxMessageSize="64k")
main_queue(queue.type="LinkedList" queue.size="2000000" queue.dequeueBatchSize="1024")
module(load="imudp" batchSize="128")
input(type="imudp" address="127.0.0.1" port="@PORT@" rcvbufSize="64m" ruleset="records")
template(name="json" type="string" string="%msg%\n")
ruleset(name="records") {
  action(type="omfile" file="@DIR@/out" template="json" ioBufferSize="256k")
}
"#;

const SYSLOG_NG: &str = r#"@version: 3.38
options { flush-lines(1000); };
source s { network(ip("127.0.0.1") port(@PORT@) transport("udp") flags(syslog-protocol) so-rcvbuf(67108864) log-fetch-limit(1000)); };
destination d { file("@DIR@/out" template("$MSG\n")); };
log { source(s); destination(d); flags(flow-control); };
"#;

impl Daemon {
    fn rsyslogd() -> Option<Self> {
        let program = "/usr/sbin/rsyslogd";
        Path::new(program).exists().then(|| Daemon {
            name: "rsyslogd, imudp to lines of JSON".to_string(),
            program: [program, "-n", "-f", "@DIR@/conf", "-i", "@DIR@/pid"].map(str::to_string).to_vec(),
            configuration: RSYSLOG,
            root: PathBuf::new(),
            running: None,
        })
    }

    fn syslog_ng() -> Option<Self> {
        let home = std::env::var("HOME").unwrap_or_default();
        let cache = std::env::var("CUSTOMS_CACHE").unwrap_or(format!("{home}/.cache/customs"));
        let root = PathBuf::from(cache).join("syslog-ng");
        let program = "syslog-ng -F -f @DIR@/conf -R @DIR@/persist -c @DIR@/control -p @DIR@/pid --no-caps";
        root.join("usr/sbin/syslog-ng").exists().then(|| Daemon {
            name: "syslog-ng, network(udp) to lines of JSON".to_string(),
            program: ["chroot", root.to_str().expect("UTF-8")]
                .into_iter()
                .chain(program.split(' '))
                .map(str::to_string)
                .collect(),
            configuration: SYSLOG_NG,
            root,
            running: None,
        })
    }
}

impl Receiver for Daemon {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn start(&mut self, folder: &Path) -> SocketAddr {
        let port = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let outside = if self.root.as_os_str().is_empty() { folder.to_path_buf() } else { self.root.join("tmp/bench") };
        fs::create_dir_all(&outside).expect("a folder");
        let inside = Path::new("/").join(outside.strip_prefix(&self.root).unwrap_or(&outside));
        let fill =
            |text: &str| text.replace("@DIR@", inside.to_str().expect("UTF-8")).replace("@PORT@", &port.to_string());
        fs::write(outside.join("conf"), fill(self.configuration)).expect("a configuration");
        let _ = fs::remove_file(outside.join("out"));
        let words: Vec<String> = self.program.iter().map(|word| fill(word)).collect();
        let child = Command::new(&words[0]).args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.running = Some((child.expect("the daemon"), outside.join("out"), 0, 0));
        std::thread::sleep(Duration::from_millis(1500));
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn count(&mut self) -> u64 {
        // Lines that came since; the file may be gigabytes.
        let Some((_, path, offset, lines)) = &mut self.running else { return 0 };
        let Ok(mut file) = File::open(path) else { return 0 };
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(*offset)).expect("a place in it");
        let mut space = vec![0; 1 << 20];
        while let Ok(length @ 1..) = file.read(&mut space) {
            *offset += length as u64;
            *lines += space[..length].iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        *lines
    }

    fn stop(&mut self) -> String {
        let Some((mut child, path, ..)) = self.running.take() else { return String::new() };
        let memory = peak(child.id());
        terminate(&mut child);
        let _ = fs::remove_file(path);
        format!("at most {memory} MiB in memory")
    }
}

/// `customs collect`.
#[derive(Default)]
struct Collector {
    running: Option<(Child, SocketAddr, Instant)>,
}

impl Receiver for Collector {
    fn name(&self) -> String {
        "customs collect, to journal and dataset".to_string()
    }

    fn start(&mut self, folder: &Path) -> SocketAddr {
        let mut command = Command::new(env!("CARGO_BIN_EXE_customs"));
        command.args(["collect", "--listen", "udp://127.0.0.1:0", "--metrics", "127.0.0.1:0", "--out"]);
        let mut child = command.arg(folder.join("dataset")).stderr(Stdio::piped()).spawn().expect("the collector");
        let mut greeting = String::new();
        let mut said = BufReader::new(child.stderr.take().expect("its words"));
        said.read_line(&mut greeting).expect("its greeting");
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        let address = |kind: &str| {
            let (_, rest) = greeting.split_once(kind).expect("an address");
            rest[..rest.find([',', ' ', '/']).expect("its end")].parse().expect("an address")
        };
        self.running = Some((child, address("http://"), Instant::now()));
        address("udp://")
    }

    fn count(&mut self) -> u64 {
        let Some((_, pages, _)) = &self.running else { return 0 };
        metric(*pages, "customs_received_total ")
    }

    fn stop(&mut self) -> String {
        let Some((mut child, pages, _)) = self.running.take() else { return String::new() };
        let backlog = metric(pages, "customs_backlog_bytes ") / 1_000_000;
        let drain = Instant::now();
        while metric(pages, "customs_parsed_total ") < metric(pages, "customs_received_total ") {
            std::thread::sleep(Duration::from_millis(50));
        }
        let drain = drain.elapsed();
        let memory = peak(child.id());
        terminate(&mut child);
        let verdict = if memory < BOUND_MEMORY { "" } else { "  NOT MET" };
        format!(
            "at most {memory} MiB in memory, bound {BOUND_MEMORY}{verdict}; {backlog} MB of journal were left, read in {:.1} s",
            drain.as_secs_f64()
        )
    }
}

fn metric(pages: SocketAddr, name: &str) -> u64 {
    let mut stream = TcpStream::connect(pages).expect("its page");
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("a question");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("an answer");
    page.lines().find_map(|line| line.strip_prefix(name)).map_or(0, |number| number.parse().unwrap_or_default())
}

/// Resident memory at its most, in MiB.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB").trim();
    line.trim_end_matches(" kB").parse::<u64>().unwrap_or_default() / 1024
}

fn terminate(child: &mut Child) {
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
    let _ = child.wait();
}

/// What a record takes on the disk: in the files as they are written first, and merged.
fn sizes() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = folder.path().join("records.json");
    let mut out = BufWriter::new(File::create(&lines).expect("a file"));
    // One day, evenly.
    let mut mix =
        Mix::new(7, 2000, 1_790_000_000_000_000 / 86_400_000_000 * 86_400_000_000, 86_400_000_000 / RECORDS as i64);
    let mut bytes = 0;
    for _ in 0..RECORDS {
        let line = mix.next().to_string();
        bytes += line.len() + 1;
        writeln!(out, "{line}").expect("a line");
    }
    out.flush().expect("all lines");
    println!("\n{RECORDS} records of one day, 2000 users: {:.0} bytes each as JSON", bytes as f64 / RECORDS as f64);
    let dataset = folder.path().join("dataset");
    let start = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_customs"));
    let output =
        command.args(["import", "--from"]).arg(&lines).arg("--out").arg(&dataset).output().expect("the import");
    let size: u64 = walk(&dataset).iter().map(|file| file.metadata().map_or(0, |file| file.len())).sum();
    let each = size as f64 / RECORDS as f64;
    let verdict = if each <= BOUND_BYTES { "" } else { "  NOT MET" };
    println!("merged: {each:.1} bytes each on disk, bound {BOUND_BYTES}{verdict}");
    println!("{} ({:.1} s)", String::from_utf8_lossy(&output.stdout).trim(), start.elapsed().as_secs_f64());
}

fn walk(dataset: &Path) -> Vec<PathBuf> {
    let days = fs::read_dir(dataset).expect("days").filter_map(Result::ok).map(|day| day.path());
    let days = days.filter(|day| day.file_name().is_some_and(|name| name.to_string_lossy().starts_with("date=")));
    days.flat_map(|day| fs::read_dir(day).expect("files").filter_map(Result::ok).map(|file| file.path())).collect()
}
