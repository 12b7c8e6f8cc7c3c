//! Canaries tell what is lost, late or changed on the way, and what only claims to be one of them.

use crate::support::collector::{Collector, Dataset, id, message};
use crate::support::hosts;
use crate::support::library::Library;
use crate::support::trial::{PACKAGES, SITE, bare, python};
use crate::support::wait::wait_for;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use tempfile::TempDir;

/// Asks a relay to say how much it has passed on of what came before.
const ASK: &[u8] = b"how much?";

/// Stands between the library and the collector.
struct Relay {
    address: SocketAddr,
    forwarded: mpsc::Receiver<u64>,
}

impl Relay {
    /// `plan` says what becomes of a datagram; it gets its number as well.
    fn to(collector: &Collector, mut plan: impl FnMut(u64, &str) -> Option<String> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (address, to) = (socket.local_addr().unwrap(), collector.address("udp"));
        let (say, forwarded) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            let (mut number, mut count) = (0, 0);
            loop {
                let length = socket.recv(&mut buffer).unwrap();
                if &buffer[..length] == ASK {
                    say.send(count).unwrap();
                    continue;
                }
                if let Some(datagram) = plan(number, std::str::from_utf8(&buffer[..length]).unwrap()) {
                    socket.send_to(datagram.as_bytes(), to).unwrap();
                    count += 1;
                }
                number += 1;
            }
        });
        Relay { address, forwarded }
    }

    /// All that it passed on has been read by the collector.
    fn settle(&self, collector: &Collector) {
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(ASK, self.address).unwrap();
        // What a canary sent before it ended is before this in the relay's socket.
        let forwarded = self.forwarded.recv().unwrap() as f64;
        collector.wait_for("customs_parsed_total", |parsed| parsed >= forwarded);
    }
}

/// A site and its ledger.
struct Place {
    folder: TempDir,
}

impl Place {
    /// `site` without its receiver, which is `to`.
    fn new(site: &str, packages: &str, to: SocketAddr) -> Self {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        fs::write(place.path("site.toml"), site.replace("{receiver}", &to.to_string())).unwrap();
        fs::write(place.path("packages.toml"), packages).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `customs canary run`, with these arguments beside the site and the ledger.
    fn run(&self, arguments: &[&str]) -> Command {
        let mut command = bare(env!("CARGO_BIN_EXE_customs"));
        command.args(["canary", "run", "--json", "--site"]).arg(self.path("site.toml"));
        command.arg("--ledger").arg(self.path("ledger")).args(arguments);
        if !arguments.contains(&"--python") {
            command.args(["--python", python()]);
        }
        command
    }

    /// Runs canaries, all of which must do as they are told.
    fn release(&self, arguments: &[&str]) -> Value {
        let (status, answer, error) = answer(&mut self.run(arguments));
        assert_eq!(status, Some(0), "{answer} {error}");
        answer
    }

    /// `customs canary reconcile --json`.
    fn reconcile(&self, dataset: &str, arguments: &[&str]) -> (Option<i32>, Value) {
        let mut command = bare(env!("CARGO_BIN_EXE_customs"));
        command.args(["canary", "reconcile", "--json", "--dataset", dataset]);
        let (status, answer, error) = answer(command.arg("--ledger").arg(self.path("ledger")).args(arguments));
        assert!(answer.is_object(), "{error}");
        (status, answer)
    }

    /// The lines of the ledger that are whole.
    fn ledger(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("ledger")).unwrap();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

fn answer(command: &mut Command) -> (Option<i32>, Value, String) {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), error)
}

fn counts(answer: &Value, keys: &[&str]) -> Vec<u64> {
    keys.iter().map(|key| answer[key].as_u64().unwrap_or_else(|| panic!("{key}: {answer}"))).collect()
}

/// [`SITE`] with a list of everything as well.
fn with_everything(more: &str) -> String {
    format!("{SITE}[[list]]\nname = \"everything\"\nall = true\n{more}")
}

#[test]
fn what_every_python_reports_is_what_the_ledger_expects() {
    let dataset = Dataset::new();
    let collector = Collector::on_loopback(&dataset.path(), &[]);
    let place = Place::new(&with_everything(""), PACKAGES, collector.address("udp"));
    let mut pythons = vec![python().to_string()];
    pythons.extend(["2.7", "3.6", "3.9", "3.13"].iter().filter_map(|version| hosts::pyenv(version)));
    let count = pythons.len() as u64 + 2;
    let number = count.to_string();
    let mut arguments = vec!["--count", &number, "--python"];
    arguments.extend(pythons.iter().map(String::as_str));
    let released = place.release(&arguments);
    assert_eq!(counts(&released, &["canaries", "records", "not_sent", "failed"]), [count, 2 * count, 0, 0]);
    collector.wait_for("customs_parsed_total", |parsed| parsed == 2.0 * count as f64);
    collector.stop();

    let textfile = place.path("customs.prom");
    let dataset = dataset.path().display().to_string();
    let (status, answer) = place.reconcile(&dataset, &["--max-loss", "0", "--textfile", textfile.to_str().unwrap()]);
    let keys = ["sent", "arrived", "lost", "late", "wrong", "pending", "unexpected", "unknown", "duplicates"];
    assert_eq!(counts(&answer, &keys), [2 * count, 2 * count, 0, 0, 0, 0, 0, 0, 0], "{answer:#}");
    assert_eq!((status, &answer["loss"], &answer["loss_low"]), (Some(0), &json!(0.0), &json!(0.0)));
    assert!(answer["loss_high"].as_f64().unwrap() > 0.0);
    assert!((-0.1..60.0).contains(&answer["delay_max"].as_f64().unwrap()), "{answer}");
    let metrics = fs::read_to_string(&textfile).unwrap();
    for line in [&format!("customs_canary_sent {}", 2 * count), "customs_canary_loss_ratio 0", "customs_canary_lost 0"]
    {
        assert!(metrics.lines().any(|other| other == line), "{line}: {metrics}");
    }
    // sqlite3 is of the standard library and on the list, so it is what canaries import where nobody says what.
    let ended = place.ledger().into_iter().filter(|line| line["event"] == "end").collect::<Vec<_>>();
    let has_sqlite = |line: &Value| line["lists"][0]["packages"].as_array().unwrap().contains(&json!("sqlite3"));
    assert!(ended.len() as u64 == count && ended.iter().any(has_sqlite), "{ended:?}");

    // Only one of the lists, and only what began in the future.
    let (_, answer) = place.reconcile(&dataset, &["--list", "packages"]);
    assert_eq!(counts(&answer, &["sent", "arrived", "unexpected"]), [count, count, 0]);
    let (status, answer) = place.reconcile(&dataset, &["--since", "2100-01-01", "--max-loss", "0"]);
    assert_eq!((status, counts(&answer, &["sent", "unknown"])), (Some(0), vec![0, 0]));
    assert_eq!((&answer["loss"], &answer["loss_high"]), (&Value::Null, &json!(1.0)));
    assert_eq!(place.reconcile(&dataset, &["--since", "2100-01-01", "--min-sent", "1"]).0, Some(1));
    let (_, answer) = place.reconcile(&dataset, &["--until", "24h"]);
    assert_eq!(counts(&answer, &["sent", "canaries"]), [0, 0]);
}

#[test]
fn the_loss_that_was_planted_is_the_loss_that_is_printed() {
    let dataset = Dataset::new();
    let collector = Collector::on_loopback(&dataset.path(), &["--every", "1"]);
    let planted = Arc::new(AtomicU64::new(0));
    let counter = planted.clone();
    // A fifth of them.
    let relay = Relay::to(&collector, move |number, text| {
        if number % 5 == 3 {
            counter.fetch_add(1, Ordering::SeqCst);
            return None;
        }
        Some(text.to_string())
    });
    let place = Place::new(SITE, PACKAGES, relay.address);
    let count = 40;
    place.release(&["--count", &count.to_string(), "--import", "json"]);
    relay.settle(&collector);
    let planted = planted.load(Ordering::SeqCst);
    assert_eq!(planted, count / 5);
    // Two who have heard of canaries, one of whom makes up many.
    let forged = ["nightly-1", "ffffffffffffffffffffffffffffffff", "ffffffffffffffffffffffffffffffff"];
    for (number, forged) in forged.iter().enumerate() {
        collector.send(&message(|record| {
            record["id"] = json!(id(number as u64));
            record["canary"] = json!(forged);
        }));
    }
    collector.wait_for("customs_written_total{sink=\"dataset\"}", |written| written >= (count - planted) as f64 + 3.0);

    // The collector is at work, so what is not there may yet come.
    let path = dataset.path().display().to_string();
    let (status, answer) = place.reconcile(&path, &["--max-loss", "0.01"]);
    assert_eq!((status, counts(&answer, &["lost", "pending", "unknown"])), (Some(0), vec![0, planted, 2]), "{answer}");
    // For who does not wait, and once nobody writes any more, it is lost.
    let (waited_for, _) = (place.reconcile(&path, &["--max-loss", "0.01", "--grace", "0"]), collector.stop());
    for (status, answer) in [waited_for, place.reconcile(&path, &["--max-loss", "0.01"])] {
        assert_eq!(status, Some(1));
        let keys = ["sent", "arrived", "lost", "wrong", "pending", "unknown"];
        assert_eq!(counts(&answer, &keys), [count, count - planted, planted, 0, 0, 2], "{answer:#}");
        let [loss, low, high] = ["loss", "loss_low", "loss_high"].map(|key| answer[key].as_f64().unwrap());
        assert_eq!(loss, 0.2);
        assert!(low < loss && loss < high, "{low} {loss} {high}");
    }
    assert_eq!(place.reconcile(&path, &["--max-loss", "0.9"]).0, Some(0));
    assert_eq!(place.reconcile(&path, &[]).0, Some(1), "a lost canary is a no");
}

#[test]
fn a_record_that_says_something_else_is_noticed() {
    let dataset = Dataset::new();
    let collector = Collector::on_loopback(&dataset.path(), &[]);
    let change = |text: &str, key: &str, value: &str| {
        let (header, body) = text.split_once(" - {").unwrap();
        let mut record: Value = serde_json::from_str(&format!("{{{body}")).unwrap();
        record[key] = serde_json::from_str(value).unwrap();
        Some(format!("{header} - {record}"))
    };
    let relay = Relay::to(&collector, move |number, text| match number {
        0 => change(text, "packages", "[\"json\", \"numpy\"]"),
        1 => change(text, "host", "\"elsewhere\""),
        2 => change(text, "python", "\"2.6.1\""),
        // Another process that has learnt the canary's id, and comes first.
        3 => change(text, "id", "\"00000000000000000000000000000007\""),
        _ => Some(text.to_string()),
    });
    let place = Place::new(SITE, PACKAGES, relay.address);
    place.release(&["--count", "5", "--import", "json"]);
    relay.settle(&collector);
    collector.stop();
    let (status, answer) = place.reconcile(&dataset.path().display().to_string(), &["--max-loss", "1"]);
    let keys = ["sent", "arrived", "lost", "wrong", "unexpected", "unknown"];
    assert_eq!((status, counts(&answer, &keys)), (Some(1), vec![5, 4, 1, 3, 1, 0]), "{answer:#}");
    assert_eq!(answer["wrong_by"], json!({ "host": 1, "packages": 1, "python": 1 }));
    let problems = answer["problems"].to_string();
    for said in ["and also numpy", "without json.decoder", "host `elsewhere` and not", "python `2.6.1` and not"] {
        assert!(problems.contains(said), "{said}: {problems}");
    }
}

#[test]
fn thinned_sampled_and_split_records_are_expected_exactly() {
    let dataset = Dataset::new();
    let collector = Collector::on_loopback(&dataset.path(), &[]);
    // Of one record a part is lost.
    let mut is_lost = false;
    let relay = Relay::to(&collector, move |_, text| {
        let is_first = !is_lost && text.contains("\"part\":2,");
        is_lost |= is_first;
        (!is_first).then(|| text.to_string())
    });
    let thin = "[[thin]]\nshorter_than = \"1h\"\nkeep = 0.5\n";
    let site = with_everything("rate = 0.5\nper = \"process\"\n") + thin;
    let site = site.replace("on = \"any\"", "on = \"any\"\nmax_datagram = 1232");
    let long = |number: usize| format!("[[package]]\nname = \"{number:060}\"\nmodule = [\"json\"]\n");
    let packages: String = (0..40).map(long).collect();
    let place = Place::new(&site, &packages, relay.address);
    let count = 30;
    place.release(&["--count", &count.to_string(), "--import", "json"]);
    relay.settle(&collector);
    collector.stop();
    let (_, answer) = place.reconcile(&dataset.path().display().to_string(), &["--max-loss", "0"]);
    let keys = ["lost", "wrong", "unexpected", "unknown", "unsure", "duplicates", "pending"];
    assert_eq!(counts(&answer, &keys), [0, 1, 0, 0, 0, 0, 0], "{answer:#}");
    assert_eq!(answer["wrong_by"], json!({ "parts": 1 }));
    let [sent, not_sent] = ["sent", "not_sent"].map(|key| answer[key].as_u64().unwrap());
    assert_eq!(sent + not_sent, 2 * count);
    let lines = place.ledger();
    let reasons: Vec<&Value> = lines.iter().flat_map(|line| line["lists"].as_array()).flatten().collect();
    let because = |why: &str| reasons.iter().filter(|listed| listed["why"] == *why).count();
    assert!(because("thinned out") > 0 && because("not in the list's sample") > 0 && sent > 0, "{reasons:?}");
    let is_split = |listed: &&&Value| listed["list"] == "packages" && listed["parts"].as_u64() >= Some(3);
    assert_eq!(reasons.iter().filter(is_split).count() as u64, count);
}

#[test]
fn who_is_not_reported_is_not_missed() {
    let dataset = Dataset::new();
    let collector = Collector::on_loopback(&dataset.path(), &[]);
    let site = SITE.replace("on = \"any\"", "on = \"compute\"");
    let place = Place::new(&site, PACKAGES, collector.address("udp"));
    let node = ("SLURMD_NODENAME", "nid00012");
    for (variables, records) in [
        (vec![], 0),
        (vec![node], 1),
        (vec![node, ("CUSTOMS_OPT_OUT", "1")], 0),
        (vec![node, ("SLURM_PROCID", "3")], 0),
        (vec![node, ("SLURM_PROCID", "0"), ("SLURM_JOB_ID", "4711")], 1),
    ] {
        let (status, answer, error) = answer(place.run(&[]).envs(variables.clone()));
        assert_eq!((status, &answer["records"]), (Some(0), &json!(records)), "{variables:?}: {answer} {error}");
    }
    collector.wait_for("customs_parsed_total", |parsed| parsed == 2.0);
    collector.stop();
    let (status, answer) = place.reconcile(&dataset.path().display().to_string(), &["--max-loss", "0"]);
    let keys = ["sent", "arrived", "not_sent", "wrong", "unexpected"];
    assert_eq!((status, counts(&answer, &keys)), (Some(0), vec![2, 2, 3, 0, 0]), "{answer:#}");
}

#[test]
fn a_canary_under_another_name_and_number_is_known_again() {
    if !hosts::is_root("a namespace") {
        return;
    }
    let dataset = Dataset::new();
    let collector = Collector::on_loopback(&dataset.path(), &[]);
    let place = Place::new(SITE, PACKAGES, collector.address("udp"));
    // As a container does: another process, another number, another host name.
    let inside = "hostname inside && exec \"$0\" \"$@\"";
    let script =
        format!("#!/bin/sh\nexec unshare --uts --pid --fork --mount-proc sh -c '{inside}' {} \"$@\"\n", python());
    let wrapper = place.path("python");
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    place.release(&["--python", wrapper.to_str().unwrap(), python(), "--count", "2", "--import", "json"]);
    collector.wait_for("customs_parsed_total", |parsed| parsed == 2.0);
    collector.stop();
    let (status, answer) = place.reconcile(&dataset.path().display().to_string(), &["--max-loss", "0"]);
    assert_eq!((status, counts(&answer, &["arrived", "wrong", "unexpected"])), (Some(0), vec![2, 0, 0]), "{answer:#}");
    let hosts: Vec<String> = dataset.rows().into_iter().map(|row| row["host"].clone()).collect();
    assert_eq!(hosts.iter().filter(|host| *host == "inside").count(), 1, "{hosts:?}");
}

#[test]
fn the_job_that_is_shipped_runs_canaries_on_the_node_and_in_an_image() {
    let dataset = Dataset::new();
    let collector = Collector::on_loopback(&dataset.path(), &[]);
    let library = Library::compile(&SITE.replace("{receiver}", &collector.address("udp").to_string()), PACKAGES);
    let folder = tempfile::tempdir().unwrap();
    // What stands in for Apptainer passes on what the real one is told to pass on, and nothing else.
    let fake = "#!/bin/sh\n[ \"$1 $2\" = \"exec --bind\" ] && [ -e \"$3/libcustoms.so\" ] && [ \"$4 $6\" = \"--env --env\" ] || exit 9\n\
        first=$5 second=$7 image=$8; shift 8\n[ \"$image\" = image.sif ] && exec env -i \"$first\" \"$second\" \"$@\"\n";
    fs::write(folder.path().join("apptainer"), fake).unwrap();
    fs::set_permissions(folder.path().join("apptainer"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_customs"), folder.path().join("customs")).unwrap();
    let share = concat!(env!("CARGO_MANIFEST_DIR"), "/rpm/canary");
    let ledgers = folder.path().join("ledgers");
    let output = bare("sh")
        .arg(format!("{share}/customs-canary.sbatch"))
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", folder.path().display()))
        .env("CUSTOMS_CANARY_SHARE", share)
        .env("CUSTOMS_CANARY_LIBRARY", library.path())
        .env("CUSTOMS_CANARY_LEDGERS", &ledgers)
        .env("CUSTOMS_CANARY_PYTHONS", python())
        .env("CUSTOMS_CANARY_PYTHON", python())
        .env("CUSTOMS_CANARY_IMAGE", "image.sif")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    collector.wait_for("customs_parsed_total", |parsed| parsed == 4.0);
    collector.stop();
    let ledger = fs::read_dir(&ledgers).unwrap().next().unwrap().unwrap().path();
    let mut command = bare(env!("CARGO_BIN_EXE_customs"));
    command.args(["canary", "reconcile", "--json", "--dataset"]).arg(dataset.path()).arg("--ledger").arg(ledger);
    let (status, answer, _) = answer(&mut command);
    assert_eq!((status, counts(&answer, &["sent", "arrived", "wrong"])), (Some(0), vec![4, 4, 0]), "{answer:#}");
}

#[test]
fn a_ledger_stays_whole_under_two_runs_at_once_a_failure_and_a_kill() {
    let dataset = Dataset::new();
    let collector = Collector::on_loopback(&dataset.path(), &[]);
    let place = Place::new(SITE, PACKAGES, collector.address("udp"));
    let ledger = place.path("ledger");
    let sleepy = "import os, time\nopen(os.environ['STARTED'], 'w').close()\ntime.sleep(3)\n";
    fs::write(place.path("sleepy.py"), sleepy).unwrap();

    let runs =
        [(); 2].map(|()| place.run(&["--count", "6", "--import", "json"]).stdout(Stdio::null()).spawn().unwrap());
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    assert_eq!(place.ledger().len(), 2 * 12);

    let mut run = place.run(&["--import", "sleepy"]);
    run.env("PYTHONPATH", place.folder.path()).env("STARTED", place.path("started"));
    let mut run = run.stdout(Stdio::null()).spawn().unwrap();
    wait_for("the canary", || place.path("started").exists().then_some(()));
    run.kill().unwrap();
    run.wait().unwrap();
    // As far as the disk had it, if the machine went down.
    let mut torn = fs::OpenOptions::new().append(true).open(&ledger).unwrap();
    torn.write_all(b"{\"ledger\":1,\"event\":\"end\",\"cana").unwrap();

    let (status, answer, error) = answer(&mut place.run(&["--import", "no_such_module"]));
    assert_eq!((status, &answer["failed"], &answer["records"]), (Some(1), &json!(1), &json!(0)), "{answer}");
    assert!(error.contains("no_such_module"), "{error}");
    place.release(&["--import", "json"]);
    // Twelve, the last one, the one that failed, and the one that nobody waited for.
    collector.wait_for("customs_parsed_total", |parsed| parsed == 15.0);
    collector.stop();
    let (status, answer) = place.reconcile(&dataset.path().display().to_string(), &["--max-loss", "0"]);
    let keys = ["canaries", "sent", "arrived", "failed", "unfinished", "unreadable", "unknown", "unexpected"];
    assert_eq!((status, counts(&answer, &keys)), (Some(0), vec![15, 13, 13, 1, 1, 1, 0, 0]), "{answer:#}");
}

#[test]
fn an_index_is_reconciled_as_a_dataset_is() {
    let dataset = Dataset::new();
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("records.json");
    let collector = Collector::on_loopback(&dataset.path(), &["--json-lines", lines.to_str().unwrap()]);
    let place = Place::new(SITE, PACKAGES, collector.address("udp"));
    place.release(&["--count", "3", "--import", "json"]);
    collector.wait_for("customs_parsed_total", |parsed| parsed == 3.0);
    collector.stop();
    let records: Vec<Value> =
        fs::read_to_string(&lines).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 3);
    // What stands in for a server: it answers a search as they do, with two of the three.
    let hits: Vec<Value> = records[..2].iter().map(|record| json!({ "_source": record, "sort": [1, "a"] })).collect();
    let found = json!({ "hits": { "total": { "value": 2 }, "hits": hits } }).to_string();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut request = BufReader::new(stream.try_clone().unwrap());
        let (mut first, mut length) = (String::new(), 0);
        request.read_line(&mut first).unwrap();
        loop {
            let mut line = String::new();
            request.read_line(&mut line).unwrap();
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        request.read_exact(&mut body).unwrap();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{found}",
            found.len()
        )
        .unwrap();
        (first, serde_json::from_slice::<Value>(&body).unwrap())
    });
    let (_, answer) = place.reconcile(&format!("http://{address}/customs"), &["--grace", "0"]);
    let (first, search) = serving.join().unwrap();
    assert!(first.starts_with("POST /customs/_search "), "{first}");
    assert_eq!(search["query"]["bool"]["filter"][0]["exists"]["field"], "canary");
    assert_eq!(counts(&answer, &["sent", "arrived", "lost", "wrong"]), [3, 2, 1, 0], "{answer:#}");
    assert!(answer["delay_max"].is_number());
}
