//! From a dataset to a report, beside DuckDB and Polars on the same files in the same run: `cargo bench --bench report`,
//! or with another number of records `cargo bench --bench report -- 2000000`. What the two are asked is in
//! `benches/report/`, each as one would write it down and as one would write it who knows what costs; their answers must
//! be those of customs before a time counts. Then the same with a tenth of the records, a report of five years, and what
//! `customs serve` says of them.
//!
//! Everything is made up by `customs synth`, once, in the folder `tmp/bench` of Cargo's target.

#[path = "report/serve.rs"]
mod serve;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RECORDS: u64 = 20_000_000;
/// Records of each job that `customs synth` is asked for.
const RECORDS_OF_JOB: u64 = 9;
/// What takes longer is stopped.
const PATIENCE: Duration = Duration::from_secs(600);

const BOUND_RATIO: f64 = 5.0;
const BOUND_MEMORY: u64 = 1024;
const BOUND_YEARS: f64 = 2.0;
/// Ten times as many records may take so many times as long: what no clock tells apart from linear.
const BOUND_GROWTH: f64 = 11.0;

fn main() {
    let records = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(RECORDS);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    fs::create_dir_all(&folder).expect("a folder");
    println!("{} processors, load {}", std::thread::available_parallelism().map_or(1, usize::from), load());
    let large = Made::new(&folder, records, 2000, 365);
    let (own, customs) = large.customs("customs reduce, customs report");
    let best = rivals(&large, &customs);
    // The machine is not the same from one minute to the next: before them and after them.
    let (after, _) = large.customs("the same again");
    if let Some(best) = best {
        let ratio = best / ((own.wall + after.wall) / 2.0);
        println!(
            "the fastest of them takes {ratio:.1} times as long; bound {BOUND_RATIO}{}",
            verdict(ratio >= BOUND_RATIO)
        );
    }
    let small = Made::new(&folder, records / 10, 2000, 365);
    let (tenth, _) = small.customs("customs, a tenth of it");
    let growth = own.cpu / tenth.cpu * (small.records as f64 * 10.0 / large.records as f64);
    println!(
        "ten times the records: {growth:.1} times the CPU time; bound {BOUND_GROWTH}{}",
        verdict(growth <= BOUND_GROWTH)
    );
    years(&folder);
}

fn verdict(holds: bool) -> &'static str {
    if holds { "" } else { "  NOT MET" }
}

fn load() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').next().unwrap_or_default().to_string()
}

/// A dataset that was made up.
struct Made {
    dataset: PathBuf,
    tables: PathBuf,
    report: PathBuf,
    records: u64,
}

impl Made {
    fn new(folder: &Path, records: u64, users: u64, days: u64) -> Self {
        let folder = folder.join(format!("{records}-{users}-{days}"));
        let (dataset, said) = (folder.join("dataset"), folder.join("said.json"));
        if !said.exists() {
            let _ = fs::remove_dir_all(&dataset);
            fs::create_dir_all(&folder).expect("a folder");
            eprintln!("making {records} records up");
            let jobs = records / RECORDS_OF_JOB;
            let mut synth = Command::new(env!("CARGO_BIN_EXE_customs"));
            synth.args(["synth", "--json", "--users", &users.to_string(), "--days", &days.to_string()]);
            let output = synth.args(["--jobs", &jobs.to_string(), "--out"]).arg(&dataset).output().expect("synth");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            fs::write(&said, output.stdout).expect("a file");
            // Nor is anybody to share the disk with what is still being written.
            assert!(Command::new("sync").status().expect("sync").success());
        }
        let said: serde_json::Value = serde_json::from_slice(&fs::read(&said).expect("it")).expect("JSON");
        let records = said["records"].as_u64().expect("a number of records");
        // Who comes first is not to be the one who reads from the disk.
        let entries =
            |folder: &Path| fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let files = entries(&dataset).filter(|day| day.is_dir()).flat_map(|day| entries(&day));
        files.filter(|file| file.is_file()).for_each(|file| drop(fs::read(file).expect("a file")));
        Made { dataset, tables: folder.join("tables"), report: folder.join("report"), records }
    }

    /// Reduces and reports; what the report says.
    fn customs(&self, name: &str) -> (Cost, Answers) {
        let _ = fs::remove_dir_all(&self.tables);
        println!("\n{} records", self.records);
        println!("{:<36} {:>8} {:>8} {:>8} {:>6}", "", "wall, s", "CPU, s", "MiB", "load");
        let mut reduce = Command::new(env!("CARGO_BIN_EXE_customs"));
        let reduced =
            measure("  customs reduce", reduce.arg("reduce").arg(&self.dataset).arg("--out").arg(&self.tables));
        let reported = self.report("  customs report", &[]);
        let both = Cost {
            wall: reduced.wall + reported.wall,
            cpu: reduced.cpu + reported.cpu,
            memory: reduced.memory.max(reported.memory),
        };
        both.print(name);
        println!("at most {BOUND_MEMORY} MiB{}", verdict(both.memory <= BOUND_MEMORY));
        (both, Answers::of_report(&self.report.join("figures")))
    }

    fn report(&self, name: &str, options: &[&str]) -> Cost {
        let _ = fs::remove_dir_all(&self.report);
        let mut report = Command::new(env!("CARGO_BIN_EXE_customs"));
        measure(name, report.arg("report").arg(&self.tables).arg("--out").arg(&self.report).args(options))
    }
}

/// The shortest of their times.
fn rivals(made: &Made, customs: &Answers) -> Option<f64> {
    let home = std::env::var("HOME").unwrap_or_default();
    let cache = std::env::var("CUSTOMS_CACHE").unwrap_or(format!("{home}/.cache/customs"));
    let python = PathBuf::from(cache).join("readers/bin/python");
    if !python.exists() {
        println!("DuckDB and Polars are not here (tests/hosts/install readers)");
        return None;
    }
    let versions = "import duckdb, polars; print(f'DuckDB {duckdb.__version__}, Polars {polars.__version__}')";
    let versions = Command::new(&python).args(["-c", versions]).output().expect("their versions");
    println!("{}", String::from_utf8_lossy(&versions.stdout).trim());
    let queries = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/report");
    let mut best: Option<f64> = None;
    for (name, program, query) in [
        ("DuckDB, plain", "duckdb_run.py", Some("duckdb_plain.sql")),
        ("DuckDB, expert", "duckdb_run.py", Some("duckdb_expert.sql")),
        ("Polars, plain", "polars_plain.py", None),
        ("Polars, expert", "polars_expert.py", None),
    ] {
        let out = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(&python);
        command.arg(queries.join(program)).args(query.map(|query| queries.join(query)));
        let Some(cost) = try_measure(command.arg(&made.dataset).arg(out.path())) else {
            println!("{name:<36} stopped after {} s, or failed", PATIENCE.as_secs());
            continue;
        };
        cost.print(name);
        customs.must_be(&Answers::of_rival(out.path()), name);
        best = Some(best.map_or(cost.wall, |best| best.min(cost.wall)));
    }
    best
}

fn years(folder: &Path) {
    let made = Made::new(folder, 27_000_000, 1500, 1826);
    made.customs("five years");
    let cost = made.report("five years, customs report", &[]);
    println!("at most {BOUND_YEARS} s{}", verdict(cost.wall <= BOUND_YEARS));
    made.report("five years, --by year", &["--by", "year"]);
    made.report("five years, --min-users 5", &["--min-users", "5"]);
    serve::answers(&made.tables);
}

/// What a program took.
struct Cost {
    wall: f64,
    cpu: f64,
    memory: u64,
}

impl Cost {
    fn print(&self, name: &str) {
        println!("{name:<36} {:>8.1} {:>8.1} {:>8} {:>6}", self.wall, self.cpu, self.memory, load());
    }
}

fn measure(name: &str, command: &mut Command) -> Cost {
    let cost = try_measure(command).expect("it succeeds in time");
    cost.print(name);
    cost
}

/// Nothing if it fails or takes too long.
fn try_measure(command: &mut Command) -> Option<Cost> {
    let start = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn().expect("a program");
    let about = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap_or_default();
    let mut memory = 0;
    // Until it has ended and nobody has waited for it: its memory is gone by then, its times are not.
    let (wall, cpu) = loop {
        let stat = about("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        if fields.first().is_none_or(|state| *state == "Z") {
            // proc_pid_stat(5): user and system time, in hundredths of a second.
            let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or_default();
            break (start.elapsed(), (ticks(11) + ticks(12)) / 100.0);
        }
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        let status = about("status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB").trim();
        memory = memory.max(peak.trim_end_matches(" kB").parse::<u64>().unwrap_or_default() / 1024);
        std::thread::sleep(Duration::from_millis(5));
    };
    let succeeded = child.wait().is_ok_and(|status| status.success());
    succeeded.then_some(Cost { wall: wall.as_secs_f64(), cpu, memory })
}

/// Numbers by question and by what they are about.
#[derive(Default)]
struct Answers(BTreeMap<&'static str, BTreeMap<Vec<String>, Vec<f64>>>);

/// A question; the figure of the report that answers it, with the columns that say what its numbers are about, and those
/// of the numbers.
const QUESTIONS: [(&str, &str, &[&str], &[&str]); 15] = [
    ("top-users", "top-users", &["package"], &["users"]),
    ("top-jobs", "top-jobs", &["package"], &["jobs", "users"]),
    ("top-node-hours", "top-node-hours", &["package"], &["node_hours", "users"]),
    ("job-sizes", "job-sizes", &["nodes"], &["jobs", "users"]),
    ("package-sizes", "package-sizes", &["package", "nodes_from"], &["jobs", "users"]),
    ("pairs", "correlations", &["package", "other"], &["jobs"]),
    ("environments", "environments", &["environment"], &["users", "jobs"]),
    ("libraries", "libraries", &["library"], &["users"]),
    ("direct", "direct", &["package"], &["direct_jobs"]),
    ("direct-users", "direct", &["package"], &["direct_users"]),
    ("endings", "endings", &["package", "exit"], &["jobs", "users"]),
    ("versions", "versions", &["month", "package", "version"], &["users"]),
    ("trends-users", "trends", &["month", "package"], &["users"]),
    ("trends-jobs", "trends", &["month", "package"], &["jobs"]),
    ("unlisted", "unlisted", &["name"], &["sampled_jobs", "users"]),
];

impl Answers {
    fn of_report(figures: &Path) -> Self {
        let mut all = Answers::default();
        for (question, figure, keys, values) in QUESTIONS {
            let mut rows = rows(&figures.join(format!("{figure}.csv"))).into_iter();
            let head = rows.next().expect("names of columns");
            let place = |name: &&str| head.iter().position(|column| column == name).expect("a column of the figure");
            let (keys, values) =
                (keys.iter().map(place).collect::<Vec<_>>(), values.iter().map(place).collect::<Vec<_>>());
            let row = |row: Vec<String>| {
                let key = keys.iter().map(|at| row[*at].clone()).collect();
                (key, values.iter().map(|at| number(&row[*at])).collect())
            };
            all.0.insert(question, rows.map(row).collect());
        }
        all
    }

    fn of_rival(folder: &Path) -> Self {
        let mut all = Answers::default();
        for (question, _, keys, _) in QUESTIONS {
            let row = |row: Vec<String>| {
                let (key, values) = row.split_at(keys.len());
                (key.to_vec(), values.iter().map(|value| number(value)).collect())
            };
            all.0.insert(question, rows(&folder.join(format!("{question}.csv"))).into_iter().map(row).collect());
        }
        all
    }

    /// Each of these numbers must be one of theirs, and the other way round where the report has all that there are.
    fn must_be(&self, other: &Answers, name: &str) {
        let mut compared = 0;
        for (question, own) in &self.0 {
            let theirs = &other.0[question];
            for (key, values) in own {
                // All users or jobs of a month stand in the same figure; zeros are no rows of a query.
                let Some(found) = theirs.get(key) else {
                    let is_sum = *question == "trends-jobs" && key[1].is_empty();
                    assert!(is_sum || values[0] == 0.0, "{name}: {question} has no {key:?}");
                    continue;
                };
                // The tables have times in milliseconds; what is counted is the same.
                let tolerance = if *question == "top-node-hours" { 1e-6 } else { 0.0 };
                let is_close = |(one, other): (&f64, &f64)| (one - other).abs() <= tolerance * one.abs();
                assert!(
                    values.iter().zip(found).all(is_close),
                    "{name}: {question} {key:?}: {found:?}, not {values:?}"
                );
                compared += values.len();
            }
            let unknown = theirs.keys().find(|key| !own.contains_key(*key));
            assert!(*question == "pairs" || unknown.is_none(), "{name}: {question} has {unknown:?} too");
        }
        println!("    {compared} numbers are the same");
    }
}

fn rows(file: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.lines().map(|line| line.split(',').map(|field| field.trim_matches('"').to_string()).collect()).collect()
}

fn number(text: &str) -> f64 {
    if text.is_empty() { 0.0 } else { text.parse().expect("a number") }
}
