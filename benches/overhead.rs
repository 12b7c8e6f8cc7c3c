//! What the library costs, each figure beside its baseline in the same run: `cargo bench`.
//!
//! Absolute times on a shared machine mean little; the ratios and differences of medians, taken in turns, hold.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const BOUND_EXEC: f64 = 1.8;
const BOUND_PYTHON: f64 = 300.0;
const BOUND_EXIT: f64 = 300.0;
const BOUND_MEMORY: f64 = 12.0;

fn main() {
    let bench = Bench::new();
    println!("{:<52} {:>12} {:>14}", "", "measured", "bound");
    bench.exec();
    bench.python_start();
    bench.exit_work();
    bench.memory();
}

struct Bench {
    folder: tempfile::TempDir,
    library: PathBuf,
    empty: PathBuf,
    python: String,
    /// Keeps the port open, so that a datagram has somewhere to go; nobody reads.
    receiver: UdpSocket,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let receiver = UdpSocket::bind("127.0.0.1:0").expect("a loopback port");
        let port = receiver.local_addr().expect("its number").port();
        let site = folder.path().join("site.toml");
        let text = format!(
            "[site]\nsystem = \"bench\"\n[[transport]]\nname = \"here\"\non = \"any\"\n\
             servers = [\"udp://127.0.0.1:{port}\"]\n[[list]]\nname = \"packages\"\n"
        );
        fs::write(&site, text).expect("a site file");
        let library = folder.path().join("libcustoms.so");
        let mut compile = Command::new(env!("CARGO_BIN_EXE_customs"));
        succeed(compile.arg("compile").arg(&site).arg("-o").arg(&library).stdout(Stdio::null()));
        let source = folder.path().join("empty.c");
        fs::write(&source, "void customs_nothing(void) {}\n").expect("a source file");
        let empty = folder.path().join("empty.so");
        // As lean as an object can be: no libc, no RELRO.
        let flags = ["-shared", "-nostdlib", "-O2", "-Wl,-z,norelro", "-o"];
        succeed(Command::new("cc").args(flags).arg(&empty).arg(&source));
        // The system's own, if there is one: others may have a site-packages that takes longer than Python itself.
        let name = if Path::new("/usr/bin/python3").exists() { "/usr/bin/python3" } else { "python3" };
        let found = Command::new(name).args(["-c", "import sys; print(sys.executable)"]).output().expect("a python3");
        let python = String::from_utf8(found.stdout).expect("a path").trim().to_owned();
        Bench { folder, library, empty, python, receiver }
    }

    /// (a) What every exec of every program pays.
    fn exec(&self) {
        let command = |library: Option<&Path>| {
            let mut command = Command::new("/bin/true");
            preload(&mut command, library);
            command
        };
        let (without, empty) = compare(2000, &|| command(None), &|| command(Some(&self.empty)));
        let (_, ours) = compare(2000, &|| command(None), &|| command(Some(&self.library)));
        println!("(a) exec of /bin/true: {without:.0} µs without a preloaded object");
        row("    + an empty object, -nostdlib, no RELRO", empty, "µs", None);
        row("    + libcustoms.so", ours, "µs", None);
        row("    ratio of the two", ours / empty, "×", Some(BOUND_EXEC));
    }

    /// (b) A Python that does nothing, start and report together.
    fn python_start(&self) {
        let baseline = format!("{}/benches/overhead", env!("CARGO_MANIFEST_DIR"));
        let port = self.receiver.local_addr().expect("a port").port().to_string();
        let python = |library: Option<&Path>, sitecustomize: bool| {
            let mut command = Command::new(&self.python);
            command.args(["-c", "pass"]).env("BASELINE_PORT", &port);
            preload(&mut command, library);
            if sitecustomize {
                command.env("PYTHONPATH", &baseline);
            }
            command
        };
        let (without, ours) = compare(1000, &|| python(None, false), &|| python(Some(&self.library), false));
        let (_, sitecustomize) = compare(200, &|| python(None, false), &|| python(None, true));
        println!("(b) {} -c pass: {:.1} ms without", self.python, without / 1000.0);
        row("    + libcustoms.so", ours, "µs", Some(BOUND_PYTHON));
        row("    + a sitecustomize like the ancestor's", sitecustomize, "µs", None);
    }

    /// (c) The work at exit with 3,000 modules, timed inside the process.
    fn exit_work(&self) {
        let script = format!("{}/benches/overhead/modules.py", env!("CARGO_MANIFEST_DIR"));
        let folder = self.folder.path().join("lib/python3/site-packages");
        let run = |library: Option<&Path>| {
            let mut command = Command::new(&self.python);
            command.arg(&script).arg(&folder).env_remove("PYTHONDONTWRITEBYTECODE");
            preload(&mut command, library);
            let output = command.output().expect("python runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).trim().parse::<f64>().expect("microseconds")
        };
        run(None);
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..25 {
            times[0].push(run(None));
            times[1].push(run(Some(&self.library)));
        }
        let [without, ours] = times.map(median);
        let ours = ours - without;
        println!("(c) exit work with 3,000 modules and the shipped list: {without:.0} µs without");
        row("    + libcustoms.so", ours, "µs", Some(BOUND_EXIT));
    }

    /// (d) Memory that a process without Python has for us alone.
    fn memory(&self) {
        let mut command = Command::new("cat");
        command.arg("/proc/self/smaps");
        preload(&mut command, Some(&self.library));
        let smaps = String::from_utf8(command.output().expect("cat runs").stdout).expect("text");
        let mut ours = false;
        let mut private = 0.0;
        for line in smaps.lines() {
            if line.split(' ').next().is_some_and(|range| range.contains('-')) {
                ours = line.ends_with("/libcustoms.so");
            } else if ours && line.starts_with("Private_Dirty:") {
                private += kibibytes(line);
            }
        }
        println!("(d) private memory in a process without Python");
        row("    libcustoms.so", private, "KiB", Some(BOUND_MEMORY));
    }
}

fn kibibytes(line: &str) -> f64 {
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number of kB")
}

fn row(what: &str, measured: f64, unit: &str, bound: Option<f64>) {
    let verdict = bound.map_or(String::new(), |bound| {
        format!("≤ {bound} {unit}{}", if measured <= bound { "" } else { "  EXCEEDED" })
    });
    println!("{what:<52} {measured:>9.2} {unit:<3} {verdict:>14}");
}

fn preload(command: &mut Command, library: Option<&Path>) {
    command.env_remove("LD_PRELOAD").env_remove("SLURM_PROCID").env_remove("PMI_RANK");
    if let Some(library) = library {
        command.env("LD_PRELOAD", library);
    }
}

fn succeed(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

/// Of `rounds` runs of both, in microseconds: the median of the first command, and the median of what the second took
/// more in the same round. Every second round goes backwards, so that each runs as often behind the one as behind the
/// other: who runs after a heavy process finds the caches cold.
fn compare(rounds: usize, plain: &dyn Fn() -> Command, other: &dyn Fn() -> Command) -> (f64, f64) {
    let time = |command: &dyn Fn() -> Command| {
        let mut command = command();
        command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        let start = Instant::now();
        succeed(&mut command);
        micros(start.elapsed())
    };
    let (mut base, mut added) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let (first, second) = if round % 2 == 0 { (plain, other) } else { (other, plain) };
        let (first, second) = (time(first), time(second));
        let (without, with) = if round % 2 == 0 { (first, second) } else { (second, first) };
        base.push(without);
        added.push(with - without);
    }
    (median(base), median(added))
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
