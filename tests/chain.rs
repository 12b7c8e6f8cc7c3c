//! The whole way at once: a real job of Slurm, the library in its processes, the shipped relays, the collector, and what
//! pyarrow and DuckDB read of the dataset in the end. Every column is compared with what the job knew of itself.

use crate::support::collector::{Collector, Dataset};
use crate::support::engines::{OpenSearch, Rsyslogd, free_port};
use crate::support::hosts;
use crate::support::library::Library;
use crate::support::slurm::Slurm;
use crate::support::trial::bare;
use crate::support::wait::wait_for;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::net::ToSocketAddrs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's, which everybody may execute, as the packages that its jobs import.
const PYTHON: &str = "/usr/bin/python3.11";
/// A user of Debian's who is nobody in particular; its group is the staff.
const USER: &str = "games";

/// Every list goes three ways: by two relays and straight to a collector of the node.
const SITE: &str = "\
[site]
system = \"chain\"
[[transport]]
name = \"relay\"
servers = [\"unix://{relay}\"]
[[transport]]
name = \"straight\"
servers = [\"unix://{straight}\"]
[[transport]]
name = \"node\"
servers = [\"unix://{node}\"]
[[transport]]
name = \"loopback\"
servers = [\"udp://{loopback}\"]
[[subsystem]]
name = \"debug\"
env = { SLURM_JOB_PARTITION = \"deb*\" }
[staff]
groups = [\"games\"]
[[thin]]
shorter_than = \"1h\"
keep = 0.999999
[[list]]
name = \"packages\"
include = [\"packages.toml\"]
transport = [\"relay\", \"straight\", \"node\"]
[[list]]
name = \"everything\"
all = true
rate = 0.999999
transport = [\"relay\", \"straight\", \"loopback\"]
[[list.package]]
name = \"own\"
";

const PACKAGES: &str = "\
[[package]]
name = \"sqlite3\"
version = \"sqlite3:sqlite_version\"
[[package]]
name = \"json\"
[[package]]
name = \"json.decoder\"
[[package]]
name = \"decimal\"
[[package]]
name = \"sqlite\"
library = [\"libsqlite3.so*\"]
";

/// In the job, which has a QOS though this Slurm has no accounting to know one from: a program on two nodes, one in a container that leaves at once, and canaries, of which the last ones go
/// through a relay that loses some.
const SCRIPT: &str = "\
#!/bin/sh
cd {folder}
export TMPDIR={folder} SLURM_JOB_QOS=regular
srun --nodes=2 --ntasks=2 --overcommit env LD_PRELOAD={folder}/libcustoms.so {python} {folder}/job.py {folder} parent
SHIFTER_RUNTIME=1 CUSTOMS_CANARY=claimed LD_PRELOAD={folder}/libcustoms.so {python} {folder}/job.py {folder} leaving
for site in site lossy; do
  count=3
  [ $site = site ] || count=20
  ./customs canary run --site $site.toml --ledger $site.ledger --python {python} --count $count --import json || exit 3
done
";

/// Folders and files that the job's user can get at, too.
fn everybody(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let [said, error] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{command:?}: {} {error} {said}", output.status);
    said
}

fn import(out: &Path, from: &str) {
    output(bare(env!("CARGO_BIN_EXE_customs")).args(["import", "--from", from, "--out"]).arg(out));
}

/// A row as a reader gives it.
type Row = Map<String, Value>;

/// Of each reader, the rows that are not canaries', by process and list.
fn read(dataset: &Path, python: &Path) -> BTreeMap<String, BTreeMap<(String, String), Row>> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/rows.py");
    let said = output(bare(python).env("HOME", "/nonexistent").arg(program).arg(dataset));
    let readers: BTreeMap<String, Vec<Row>> = serde_json::from_str(&said).unwrap();
    let is_ours = |row: &Row| row["canary"].is_null() || row["canary"] == "claimed";
    let key = |row: &Row| ["id", "list"].map(|column| row[column].as_str().unwrap().to_string()).into();
    let by_key = |rows: Vec<Row>| -> BTreeMap<_, _> {
        let ours: Vec<Row> = rows.into_iter().filter(is_ours).collect();
        let count = ours.len();
        let found: BTreeMap<_, _> = ours.into_iter().map(|row| (key(&row), row)).collect();
        assert_eq!(found.len(), count, "rows that are there twice");
        found
    };
    readers.into_iter().map(|(name, rows)| (name, by_key(rows))).collect()
}

/// What a collector says of the way that a row of the list came.
type Way<'w> = &'w dyn Fn(&Row) -> [(&'static str, Value); 3];

/// Compares each column of each row with what the job noted, and each that there is.
fn compare(dataset: &Path, python: &Path, noted: &[Row], policy: &str, way: Way) {
    let now = chrono::Utc::now().timestamp_micros() as f64 / 1e6;
    let sorted = |value: &Value| {
        let mut names: Vec<String> = serde_json::from_value(value.clone()).unwrap();
        names.sort();
        json!(names)
    };
    let readers = read(dataset, python);
    assert_eq!(readers.keys().collect::<Vec<_>>(), ["duckdb", "pyarrow"]);
    for (reader, mut rows) in readers {
        for noted in noted {
            let key = ["id", "list"].map(|column| noted[column].as_str().unwrap().to_string()).into();
            let mut row = rows.remove(&key).unwrap_or_else(|| panic!("{reader} finds no {key:?}: {:?}", rows.keys()));
            let place = format!("{reader}, {}: {row:?}", dataset.display());
            let mut taken = |column: &str| row.remove(column).unwrap_or_else(|| panic!("no {column}: {place}"));
            let [start, elapsed, arrived] =
                ["start", "elapsed", "arrived"].map(|column| taken(column).as_f64().unwrap());
            let [began, age] = ["start", "elapsed"].map(|column| noted[column].as_f64().unwrap());
            // The job noted its age a moment before it ended.
            assert!((start - began).abs() < 0.05, "began at {began}: {place}");
            assert!((age - 0.011..age + 10.0).contains(&elapsed), "was {age} s old: {place}");
            assert!((start + elapsed - 0.05..now).contains(&arrived), "arrived: {place}");
            let day = chrono::DateTime::from_timestamp_micros((start * 1e6) as i64).unwrap().format("%Y-%m-%d");
            let own = [("date", json!(day.to_string())), ("policy", json!(policy)), ("missing_parts", json!([]))];
            for (column, expected) in own.into_iter().chain(way(noted)) {
                assert_eq!(taken(column), expected, "{column}: {place}");
            }
            for (column, expected) in
                noted.iter().filter(|(column, _)| !["start", "elapsed"].contains(&column.as_str()))
            {
                let found = taken(column);
                match column.as_str() {
                    "packages" | "direct" | "libraries" => {
                        assert_eq!(sorted(&found), sorted(expected), "{column}: {place}")
                    }
                    _ => assert_eq!(&found, expected, "{column}: {place}"),
                }
            }
            assert!(row.is_empty(), "columns that nobody has looked at: {row:?}");
        }
        assert!(rows.is_empty(), "{reader}: rows that nobody expects: {:?}", rows.keys());
    }
}

/// `customs canary reconcile` of a ledger with a dataset: the exit status and what it says.
fn reconcile(ledger: &Path, dataset: &Path) -> (Option<i32>, Value) {
    let mut command = bare(env!("CARGO_BIN_EXE_customs"));
    command.args(["canary", "reconcile", "--json", "--max-loss", "0", "--ledger"]).arg(ledger);
    let output = command.arg("--dataset").arg(dataset).output().unwrap();
    let answer = serde_json::from_slice(&output.stdout);
    (output.status.code(), answer.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
}

fn counts(answer: &Value) -> [u64; 6] {
    ["sent", "arrived", "lost", "wrong", "unexpected", "failed"].map(|key| answer[key].as_u64().unwrap())
}

/// Runs the job with these `arguments` for the collector that relays connect to; `more` gets that collector and the number
/// of records it has, waits until its sinks have them, and gives what is to be imported from.
fn chain(arguments: &[&str], more: impl FnOnce(&Collector, f64) -> Vec<String>) {
    let Some(readers) = hosts::venv("readers") else { return };
    if !hosts::is_here("/usr/sbin/rsyslogd", "rsyslog") || !hosts::is_here(PYTHON, "debian") {
        return;
    }
    let Some(slurm) = Slurm::start_two_nodes() else { return };
    let folder = slurm.folder().join("job");
    fs::create_dir(&folder).unwrap();
    everybody(&folder);
    fs::set_permissions(slurm.folder(), Permissions::from_mode(0o755)).unwrap();

    // Who receives, from the end to the beginning of each way.
    let datasets: [Dataset; 3] = [(); 3].map(|()| Dataset::new());
    let [followed, streamed, taken] = datasets.each_ref().map(Dataset::path);
    let (central_port, node_socket) = (free_port().to_string(), folder.join("node.sock"));
    let central = Rsyslogd::start("rsyslog/central.conf", &[("0.0.0.0", "127.0.0.1"), ("6514", &central_port)]);
    let lines = central.file("customs.json");
    let metrics = ["--metrics", "127.0.0.1:0"];
    let following = Collector::start(&followed, &[&["--follow", lines.to_str().unwrap()], &metrics[..]].concat());
    let listen = ["--listen", "tcp://127.0.0.1:0"];
    let streaming = Collector::start(&streamed, &[&listen, &metrics[..], arguments].concat());
    let node_url = format!("unix://{}", node_socket.display());
    let taking = Collector::start(&taken, &[&["--listen", "udp://127.0.0.1:0", &node_url], &metrics[..]].concat());
    let streaming_port = streaming.address("tcp").port().to_string();
    let to = |port| [("customs.example.org", "127.0.0.1"), ("6514", port)];
    let relay = Rsyslogd::start("rsyslog/relay.conf", &to(&central_port));
    let straight = Rsyslogd::start("rsyslog/relay.conf", &to(&streaming_port));
    let losing = "ruleset(name=\"customs-relay\") {";
    let lost = folder.join("lost");
    let planted = format!(
        "template(name=\"lost\" type=\"string\" string=\"%rawmsg%\\n\")\n{losing}\n  set $.chance = random(4);\n  \
         if $.chance == 0 then {{ action(type=\"omfile\" file=\"{}\" template=\"lost\") stop }}\n",
        lost.display()
    );
    let mut lossy =
        Rsyslogd::start("rsyslog/relay.conf", &[&to(&central_port)[..], &[(losing, planted.as_str())]].concat());
    let sockets = [&relay, &straight, &lossy].map(|relay| {
        fs::set_permissions(relay.folder.path(), Permissions::from_mode(0o755)).unwrap();
        let socket = relay.file("log.sock");
        wait_for("the relay's socket", || socket.exists().then_some(()));
        socket.display().to_string()
    });

    // Who sends.
    let site = SITE.replace("{relay}", &sockets[0]).replace("{straight}", &sockets[1]);
    let site = site.replace("{node}", node_socket.to_str().unwrap());
    let site = site.replace("{loopback}", &taking.address("udp").to_string());
    let to_lossy = SITE.split("[[list]]").next().unwrap().replace("{relay}", &sockets[2]);
    let library = Library::compile(&site, PACKAGES);
    library.copy_to(&folder);
    everybody(&folder.join("libcustoms.so"));
    let lossy_site = [&to_lossy[..], "[[list]]\nname = \"packages\"\ninclude = [\"packages.toml\"]\n"].concat();
    let lossy_site =
        lossy_site.replace("{straight}", "/x").replace("{node}", "/x").replace("{loopback}", "127.0.0.1:9");
    let script = SCRIPT.replace("{folder}", folder.to_str().unwrap()).replace("{python}", PYTHON);
    for (name, text) in [
        ("site.toml", &*site),
        ("lossy.toml", &lossy_site),
        ("packages.toml", PACKAGES),
        ("own.py", "__version__ = '1.2.3'\n"),
        ("job.py", &fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/job.py")).unwrap()),
        ("script", &script),
    ] {
        fs::write(folder.join(name), text).unwrap();
        everybody(&folder.join(name));
    }
    fs::copy(env!("CARGO_BIN_EXE_customs"), folder.join("customs")).unwrap();
    let mut command = bare("setpriv");
    command.env("SLURM_CONF", slurm.folder().join("slurm.conf"));
    command.args([&format!("--reuid={USER}"), &format!("--regid={USER}"), "--init-groups", "sbatch", "--wait"]);
    command.args(["--parsable", "--nodes=2", "--ntasks=2", "--oversubscribe", "--mem=10"]);
    command.args(["--account=m1", "--chdir=/", &format!("--output={}", folder.join("said").display())]);
    let run = command.arg(folder.join("script")).output().unwrap();
    let said = fs::read_to_string(folder.join("said")).unwrap_or_default();
    assert!(run.status.success(), "{} {said}", String::from_utf8_lossy(&run.stderr));
    let job = String::from_utf8(run.stdout).unwrap().trim().to_string();

    // Three processes and three canaries, two lists each; and what the lossy relay let through.
    let count = 2.0 * (3.0 + 3.0);
    lossy.stop();
    let lost = fs::read_to_string(&lost).unwrap_or_default().lines().count() as u64;
    following.wait_for("customs_parsed_total", |parsed| parsed == count + (20 - lost) as f64);
    streaming.wait_for("customs_parsed_total", |parsed| parsed == count);
    taking.wait_for("customs_parsed_total", |parsed| parsed == count);
    let sources = more(&streaming, count);
    for collector in [following, streaming, taking] {
        collector.stop();
    }

    let noted = ["parent", "child", "leaving"].map(|name| folder.join(name).with_extension("json"));
    let noted = noted.map(|path| fs::read(&path).unwrap_or_else(|_| panic!("{}: {said}", path.display())));
    let noted: Vec<Row> = noted.iter().flat_map(|text| serde_json::from_slice::<Vec<Row>>(text).unwrap()).collect();
    assert_eq!(noted.len(), 6);
    assert!(noted.iter().all(|row| row["job_id"] == *job && row["username"] == USER && row["num_nodes"] == 2));
    let said = output(bare(env!("CARGO_BIN_EXE_customs")).args(["check", "--json"]).arg(folder.join("site.toml")));
    let policy = serde_json::from_str::<Value>(&said).unwrap()["digest"].as_str().unwrap().to_string();
    let way = |source: &str, host: Option<bool>, uid: Option<bool>| {
        [("source", json!(source)), ("host_verified", json!(host)), ("uid_verified", json!(uid))]
    };
    compare(&followed, &readers, &noted, &policy, &|_| way("file", None, None));
    compare(&streamed, &readers, &noted, &policy, &|_| way("127.0.0.1", None, None));
    // As the name service of this machine says.
    let host = |row: &Row| {
        let mut found = (row["host"].as_str().unwrap(), 0).to_socket_addrs().ok()?;
        Some(found.any(|address| address.ip().is_loopback()))
    };
    compare(&taken, &readers, &noted, &policy, &|row| match row["list"] == "packages" {
        true => way("unix", None, Some(true)),
        false => way("127.0.0.1", host(row), None),
    });
    let imported: Vec<Dataset> = sources.iter().map(|_| Dataset::new()).collect();
    for (from, dataset) in sources.iter().zip(&imported) {
        import(&dataset.path(), from);
        compare(&dataset.path(), &readers, &noted, &policy, &|_| way("127.0.0.1", None, None));
    }

    // Canaries: all of them by every way, and exactly those that the relay did not lose.
    let ledger = folder.join("site.ledger");
    let everywhere: Vec<PathBuf> = imported.iter().chain(&datasets).map(Dataset::path).collect();
    for dataset in &everywhere {
        let (status, answer) = reconcile(&ledger, dataset);
        assert_eq!((status, counts(&answer)), (Some(0), [6, 6, 0, 0, 0, 0]), "{answer:#}");
    }
    let (status, answer) = reconcile(&folder.join("lossy.ledger"), &followed);
    let expected = [20, 20 - lost, lost, 0, 0, 0];
    assert_eq!((status, counts(&answer)), (Some(i32::from(lost > 0)), expected), "{answer:#}");
    let [low, high] = ["loss_low", "loss_high"].map(|key| answer[key].as_f64().unwrap());
    assert!((low..=high).contains(&(lost as f64 / 20.0)), "{answer:#}");
    println!(
        "{} rows by {} ways, all columns equal; {lost} of 20 canaries planted as lost",
        noted.len(),
        everywhere.len()
    );
}

#[test]
fn what_a_slurm_job_knows_of_itself_stands_in_the_dataset_by_whatever_way_it_came() {
    let Some(server) = OpenSearch::start() else { return };
    let index = format!("http://{}/customs-%Y", server.address);
    chain(&["--elasticsearch", &index, "--put-template"], |collector, count| {
        let sink = format!("customs_written_total{{sink=\"elasticsearch:{index}\"}}");
        collector.wait_for(&sink, |written| written == count);
        vec![format!("http://{}/customs-*", server.address)]
    });
}

#[cfg(feature = "kafka")]
mod kafka {
    use super::*;
    use crate::support::engines::Kafka;

    #[test]
    fn what_a_slurm_job_knows_of_itself_comes_through_a_topic_as_well() {
        let kafka = Kafka::start();
        let topic = format!("kafka://{}/customs", kafka.brokers);
        chain(&["--kafka", &topic], |collector, count| {
            collector.wait_for(&format!("customs_written_total{{sink=\"{topic}\"}}"), |written| written == count);
            vec![topic.clone()]
        });
    }
}
