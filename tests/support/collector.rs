//! `customs collect` as a process, and the dataset that it makes.

use super::trial::bare;
use crate::support::wait::wait_until;
use arrow_array::ArrayRef;
use arrow_cast::cast;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use tempfile::TempDir;

/// A row: each column as text, and `date` of its folder.
pub type Row = BTreeMap<String, String>;

/// A collector that runs.
pub struct Collector {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// What it said first: where it listens.
    greeting: String,
}

impl Collector {
    /// With these arguments beside `--out`.
    pub fn start(out: &Path, arguments: &[&str]) -> Self {
        let mut command = bare(env!("CARGO_BIN_EXE_customs"));
        command.arg("collect").arg("--out").arg(out).args(arguments);
        Collector::from(command)
    }

    /// That a command of the test's own starts, by exec and not as a child.
    pub fn from(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut greeting = String::new();
        stderr.read_line(&mut greeting).unwrap();
        assert!(greeting.starts_with("customs: collecting from"), "{greeting}");
        Collector { child, stderr, greeting }
    }

    /// On a free UDP port of loopback, with a page of metrics.
    pub fn on_loopback(out: &Path, arguments: &[&str]) -> Self {
        let usual = ["--listen", "udp://127.0.0.1:0", "--metrics", "127.0.0.1:0"];
        Collector::start(out, &[&usual, arguments].concat())
    }

    /// The address of its socket of that kind: `udp`, `tcp` or `http`.
    pub fn address(&self, kind: &str) -> SocketAddr {
        let (_, rest) = self.greeting.split_once(&format!("{kind}://")).unwrap();
        let end = rest.find([',', ' ', '/', '\n']).unwrap();
        rest[..end].parse().unwrap()
    }

    /// Sends a datagram to its first UDP socket.
    pub fn send(&self, message: &[u8]) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(message, self.address("udp")).unwrap();
    }

    /// One of its pages.
    pub fn page(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address("http")).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// One of its metrics; 0 if it is not there.
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.page("/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |number| number.parse().unwrap())
    }

    /// Waits until a metric is as expected.
    pub fn wait_for(&self, name: &str, is_it: impl Fn(f64) -> bool) {
        wait_until(|| is_it(self.metric(name)), || format!("{name}: {}", self.page("/metrics")));
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Resident memory at its most, in MiB.
    pub fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// Ends it as an administrator does; gives what it said.
    pub fn stop(mut self) -> String {
        self.signal(Signal::SIGTERM);
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {said}");
        said
    }

    /// Ends it as a power failure does, all but the disk's own cache.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A dataset of the test's own.
pub struct Dataset {
    folder: TempDir,
}

impl Dataset {
    pub fn new() -> Self {
        Dataset { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("dataset")
    }

    /// Every row of every file.
    pub fn rows(&self) -> Vec<Row> {
        rows(&self.path())
    }
}

pub fn files(dataset: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for day in fs::read_dir(dataset).unwrap().map(|entry| entry.unwrap()) {
        if !day.file_name().to_string_lossy().starts_with("date=") {
            assert_eq!(day.file_name(), "_customs", "readers would stumble over it");
            continue;
        }
        for file in fs::read_dir(day.path()).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            if !name.starts_with('.') {
                assert!(name.ends_with(".parquet"), "{name}");
                found.push(file);
            }
        }
    }
    found.sort();
    found
}

pub fn rows(dataset: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    for file in files(dataset) {
        let date = file.parent().unwrap().file_name().unwrap().to_string_lossy().replace("date=", "");
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&file).unwrap()).unwrap().build().unwrap();
        for batch in reader.map(Result::unwrap) {
            let options = FormatOptions::default();
            let schema = batch.schema();
            // Without the zone, which is UTC: names of zones are known to another crate.
            let plain = |column: &ArrayRef| match column.data_type() {
                DataType::Timestamp(unit, _) => cast(column, &DataType::Timestamp(*unit, None)).unwrap(),
                _ => column.clone(),
            };
            let arrays: Vec<ArrayRef> = batch.columns().iter().map(plain).collect();
            let cells = arrays.iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap());
            let columns: Vec<_> = schema.fields().iter().map(|field| field.name()).zip(cells).collect();
            rows.extend((0..batch.num_rows()).map(|at| {
                let cells = columns.iter().map(|(name, cells)| (name.to_string(), cells.value(at).to_string()));
                cells.chain([("date".to_string(), date.clone())]).collect::<Row>()
            }));
        }
    }
    rows
}

/// A record as the library writes them, `edit`ed; framed.
pub fn message(edit: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let now = chrono::Utc::now();
    let mut record = serde_json::json!({
        "schema": 1, "id": "ce60133fd4778b7ba5bbe12faa706405", "seq": 0, "part": 1, "parts": 1, "list": "packages",
        "policy": "ca83ee35fb17cf5e", "host": "nid1", "system": "cori", "subsystem": "", "username": "alice",
        "uid": 1000, "pid": 7, "ppid": 1, "executable": "/usr/bin/python3", "main": "/a.py", "prefix": "/usr",
        "python": "3.12.1", "is_compute": true, "is_shifter": false, "container": "", "is_staff": false,
        "job_id": "12", "num_nodes": 4, "qos": "regular", "repo": "m1", "start": now.to_rfc3339(), "elapsed": 1.5,
        "exit": "normal", "packages": ["numpy"]
    });
    edit(&mut record);
    let stamp = now.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    format!("<134>1 {stamp} nid1 customs 7 customs - {record}").into_bytes()
}

/// An id that tells the number.
pub fn id(number: u64) -> String {
    format!("{number:032x}")
}
