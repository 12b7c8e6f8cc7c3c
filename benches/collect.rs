//! What the collector takes, beside rsyslogd, syslog-ng and a receiver that forgets everything, on the same records in the
//! same run: `cargo bench --bench collect`, or with `-- PART` one of
//!
//! - `costs`: seconds of a processor for a million records, at the same rates for all;
//! - `rates`: how many records a second are taken without losing one;
//! - `pinned`: the same, each receiver on one processor of its own and what sends on another;
//! - `burst`: what is lost when a large job ends;
//! - `backlog`: how much memory it takes when gigabytes are waiting;
//! - `sizes`: what a record takes on the disk.
//!
//! `-- rates from=100000` begins there, for who has no ten minutes.
//!
//! Everything runs on this machine: what sends takes its share of the processors from what receives.

#[path = "collect/burst.rs"]
mod burst;
#[path = "collect/floor.rs"]
mod floor;
#[path = "collect/mix.rs"]
mod mix;
#[path = "collect/sender.rs"]
mod sender;

use mix::Mix;
use nix::sys::signal::Signal;
use sender::Sender;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Different messages, of which only the ids are written anew.
const MESSAGES: usize = 20_000;
/// How long records are sent at each rate.
const TRIAL: Duration = Duration::from_secs(4);
/// Between one rate and the next.
const STEP: f64 = 1.25;
/// At which costs are compared: all receivers can do the first.
const RATES: [f64; 3] = [20_000.0, 50_000.0, 100_000.0];
/// Messages that are sent for the journal to grow: 0.9, 3.7 and 7.4 GB.
const WAITING: [u64; 3] = [1_000_000, 4_000_000, 8_000_000];
/// Records of the dataset whose size is measured: a day of a centre.
const RECORDS: u64 = 1_000_000;

const BOUND_RATE: f64 = 100_000.0;
const BOUND_RATIO: f64 = 3.0;
const BOUND_MEMORY: u64 = 256;
const BOUND_BYTES: f64 = 45.0;

fn main() {
    if let Some(count) = std::env::args().skip_while(|argument| argument != floor::WORD).nth(1) {
        return floor::run(Path::new(&count));
    }
    const PARTS: [&str; 6] = ["costs", "rates", "pinned", "burst", "backlog", "sizes"];
    let named: Vec<String> = std::env::args().filter(|argument| PARTS.contains(&argument.as_str())).collect();
    for part in PARTS {
        if !named.is_empty() && !named.iter().any(|name| name == part) {
            continue;
        }
        println!("\n── {part}");
        match part {
            "costs" => costs(),
            "rates" => rates(&[]),
            "pinned" => pinned(),
            "burst" => burst::run(&mut sender()),
            "backlog" => backlog(),
            _ => sizes(),
        }
    }
}

/// Something that receives on UDP.
trait Receiver {
    fn name(&self) -> String;
    fn start(&mut self, folder: &Path) -> SocketAddr;
    /// Words that its command line begins with.
    fn begins_with(&mut self, words: &[&str]);
    fn pid(&self) -> u32;
    /// How many records it has.
    fn count(&mut self) -> u64;
    /// Waits until nothing is left to be done.
    fn finish(&mut self) {}
    /// Ends it; a line about how it went.
    fn stop(&mut self) -> String;
}

/// All that are on this machine, rsyslogd first, and what none can do without last.
fn receivers() -> Vec<Box<dyn Receiver>> {
    let mut receivers: Vec<Box<dyn Receiver>> = Vec::new();
    match Daemon::rsyslogd() {
        Some(daemon) => receivers.push(Box::new(daemon)),
        None => println!("rsyslogd is not here (tests/hosts/install rsyslog)"),
    }
    match Daemon::syslog_ng() {
        Some(daemon) => receivers.push(Box::new(daemon)),
        None => println!("syslog-ng is not here (tests/hosts/install syslog-ng)"),
    }
    receivers.push(Box::new(Collector::with_buffer(64)));
    receivers.push(Box::new(floor::Floor::default()));
    receivers
}

fn sender() -> Sender {
    let mut mix = Mix::new(1, 2000, 1_790_000_000_000_000, 1000);
    let sender = Sender::new((0..MESSAGES).map(|_| mix.message()).collect());
    println!("messages of {} bytes on average, {} packages to choose from", sender.mean(), mix.packages());
    sender
}

/// Seconds of a processor, of the whole process and of what receives alone where that is a thread of its own.
fn costs() {
    let mut sender = sender();
    println!("{:<44} {:>9} {:>7} {:>26} {:>12}", "", "records/s", "kept", "CPU s a million records", "receiving");
    for rate in RATES {
        let mut rsyslogd = None;
        for mut receiver in receivers() {
            let folder = tempfile::tempdir().expect("a folder");
            let address = receiver.start(folder.path());
            let (sent, reached) = sender.send(address, rate, TRIAL);
            let kept = settled(receiver.as_mut());
            receiver.finish();
            let each = |seconds: f64| seconds * 1e6 / kept as f64;
            let pid = receiver.pid();
            let (all, receiving) = (each(cpu(&format!("/proc/{pid}/stat"))), each(cpu_of_thread(pid, "receive")));
            let of = |cost: f64| match rsyslogd {
                Some(other) if cost > 0.0 => format!("{cost:.1} ({:.2} ×)", other / cost),
                _ => format!("{cost:.1}"),
            };
            println!(
                "{:<44} {reached:>9.0} {:>6.1}% {:>26} {:>12}",
                receiver.name(),
                100.0 * kept as f64 / sent as f64,
                of(all),
                if receiving > 0.0 { of(receiving) } else { String::new() }
            );
            if receiver.name().starts_with("rsyslogd") {
                rsyslogd = Some(all);
            }
            receiver.stop();
        }
    }
    println!("(in brackets: how many times as many records as rsyslogd in the same seconds of a processor)");
}

/// Seconds in user and in system mode: fields 14 and 15 of proc_pid_stat(5), in hundredths.
fn cpu(stat: &str) -> f64 {
    let text = fs::read_to_string(stat).unwrap_or_default();
    let (_, fields) = text.rsplit_once(')').unwrap_or_default();
    fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap_or_default()).sum::<f64>()
        / 100.0
}

/// The same of the threads of that name.
fn cpu_of_thread(pid: u32, name: &str) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
    let of_name = tasks
        .map(|task| task.path())
        .filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name));
    of_name.map(|task| cpu(&task.join("stat").to_string_lossy())).sum()
}

/// This process on the first processor, and each receiver on the second.
fn pinned() {
    let pin = |words: &[&str]| Command::new("taskset").args(words).stdout(Stdio::null()).status();
    let own = std::process::id().to_string();
    if !pin(&["-pc", "0", &own]).is_ok_and(|status| status.success()) {
        return println!("taskset is not here");
    }
    rates(&["taskset", "-c", "1"]);
    let _ = pin(&["-pc", "0-1023", &own]);
}

fn rates(begin: &[&str]) {
    let mut sender = sender();
    println!("sent for {} s at each rate\n{:<44} {:>16}", TRIAL.as_secs(), "", "records/s kept");
    let mut rsyslogd = None;
    for mut receiver in receivers() {
        receiver.begins_with(begin);
        let (rate, lines) = highest(receiver.as_mut(), &mut sender);
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
fn highest(receiver: &mut dyn Receiver, sender: &mut Sender) -> (f64, String) {
    let mut best = (0.0, String::new());
    let mut rate =
        std::env::args().find_map(|argument| argument.strip_prefix("from=")?.parse().ok()).unwrap_or(32_000.0);
    loop {
        let mut kept = None;
        for _ in 0..2 {
            let folder = tempfile::tempdir().expect("a folder");
            let address = receiver.start(folder.path());
            let (sent, reached) = sender.send(address, rate, TRIAL);
            let count = settled(receiver);
            let line = receiver.stop();
            if count == sent {
                kept = Some((reached, line));
                break;
            }
            if reached < 0.95 * rate {
                return (best.0, format!("{}; what sends cannot do more than {reached:.0}/s", best.1));
            }
        }
        match kept {
            Some(good) if good.0 > best.0 => best = good,
            _ => return best,
        }
        rate *= STEP;
    }
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
    begin: Vec<String>,
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
            begin: Vec::new(),
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
            begin: Vec::new(),
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
        let words: Vec<String> = self.begin.iter().chain(&self.program).map(|word| fill(word)).collect();
        let child = Command::new(&words[0]).args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.running = Some((child.expect("the daemon"), outside.join("out"), 0, 0));
        std::thread::sleep(Duration::from_millis(1500));
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn begins_with(&mut self, words: &[&str]) {
        self.begin = words.iter().map(|word| word.to_string()).collect();
    }

    fn pid(&self) -> u32 {
        self.running.as_ref().map_or(0, |(child, ..)| child.id())
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
struct Collector {
    buffer: u16,
    begin: Vec<String>,
    running: Option<(Child, SocketAddr)>,
}

impl Collector {
    /// With a receive buffer of so many MiB.
    fn with_buffer(buffer: u16) -> Self {
        Collector { buffer, begin: Vec::new(), running: None }
    }

    /// Where its metrics are.
    fn pages(&self) -> SocketAddr {
        self.running.as_ref().expect("it runs").1
    }

    fn child(&self) -> &Child {
        &self.running.as_ref().expect("it runs").0
    }

    /// Ends it at once.
    fn kill(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Receiver for Collector {
    fn name(&self) -> String {
        "customs collect, to journal and dataset".to_string()
    }

    fn start(&mut self, folder: &Path) -> SocketAddr {
        let words = self.begin.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_customs")]);
        let words: Vec<&str> = words.collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(["collect", "--listen", "udp://127.0.0.1:0", "--metrics", "127.0.0.1:0"]);
        command.arg("--receive-buffer").arg(self.buffer.to_string()).arg("--out");
        let mut child = command.arg(folder.join("dataset")).stderr(Stdio::piped()).spawn().expect("the collector");
        let mut greeting = String::new();
        let mut said = BufReader::new(child.stderr.take().expect("its words"));
        said.read_line(&mut greeting).expect("its greeting");
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        let address = |kind: &str| {
            let (_, rest) = greeting.split_once(kind).expect("an address");
            rest[..rest.find([',', ' ', '/']).expect("its end")].parse().expect("an address")
        };
        self.running = Some((child, address("http://")));
        address("udp://")
    }

    fn begins_with(&mut self, words: &[&str]) {
        self.begin = words.iter().map(|word| word.to_string()).collect();
    }

    fn pid(&self) -> u32 {
        self.running.as_ref().map_or(0, |(child, _)| child.id())
    }

    fn finish(&mut self) {
        let Some((child, pages)) = &self.running else { return };
        let received = metric(*pages, "customs_received_total ");
        signal(child, Signal::SIGHUP);
        while metric(*pages, "customs_written_total{sink=\"dataset\"} ") < received {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn count(&mut self) -> u64 {
        let Some((_, pages)) = &self.running else { return 0 };
        metric(*pages, "customs_received_total ")
    }

    fn stop(&mut self) -> String {
        let Some((mut child, pages)) = self.running.take() else { return String::new() };
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

fn signal(child: &Child, signal: Signal) {
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), signal);
}

fn terminate(child: &mut Child) {
    signal(child, Signal::SIGTERM);
    let _ = child.wait();
}

/// What the collector takes of memory behind ever more of a journal. What is waiting is read by one processor, so that it
/// waits for long.
fn backlog() {
    let mut sender = sender();
    for count in WAITING {
        let mut collector = Collector::with_buffer(64);
        collector.begins_with(&["taskset", "-c", "1"]);
        let folder = tempfile::tempdir().expect("a folder");
        let address = collector.start(folder.path());
        let (sent, rate) = sender.send_all(address, 150_000.0, count);
        let kept = settled(&mut collector);
        println!("{sent} sent at {rate:.0}/s, {kept} received");
        println!("    {}", collector.stop());
    }
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
