//! What is sent is kept: by every way in, once, whole, and through whatever happens to the collector.

use crate::support::collector::{Collector, Dataset, Row, files, id, message, rows};
use crate::support::hosts;
use crate::support::library::Library;
use crate::support::trial::{PACKAGES, SITE, bare, python};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

fn the_only(rows: Vec<Row>) -> Row {
    let [row] = rows.try_into().unwrap_or_else(|rows: Vec<Row>| panic!("{} rows: {rows:?}", rows.len()));
    row
}

fn import(out: &Path, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_customs"));
    let output = command.args(["import", "--json", "--out"]).arg(out).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), error)
}

#[test]
fn a_python_under_the_library_is_a_row_of_the_dataset() {
    let dataset = Dataset::new();
    let collector = Collector::on_loopback(&dataset.path(), &[]);
    let site = SITE.replace("{receiver}", &collector.address("udp").to_string());
    let library = Library::compile(&site, PACKAGES);
    let mut command = bare(python());
    command.args(["-c", "import sqlite3, os; print(os.getpid())"]).env("LD_PRELOAD", library.path());
    let variables = [
        ("SLURM_JOB_ID", "4711"),
        ("SLURMD_NODENAME", "nid00012"),
        ("SLURM_JOB_NUM_NODES", "3"),
        ("SLURM_JOB_QOS", "regular"),
        ("SLURM_JOB_ACCOUNT", "m1234"),
        ("CUSTOMS_CANARY", "c-1"),
    ];
    let output = command.envs(variables).output().unwrap();
    let pid = String::from_utf8(output.stdout).unwrap().trim().to_string();
    collector.wait_for("customs_parsed_total", |count| count == 1.0);
    collector.stop();
    let row = the_only(dataset.rows());
    for (column, expected) in [
        ("pid", pid.as_str()),
        ("job_id", "4711"),
        ("num_nodes", "3"),
        ("qos", "regular"),
        ("repo", "m1234"),
        ("system", "test"),
        ("is_compute", "true"),
        ("executable", python()),
        ("exit", "normal"),
        ("packages", "[sqlite3]"),
        ("direct", "[sqlite3]"),
        ("canary", "c-1"),
        ("source", "127.0.0.1"),
        ("missing_parts", "[]"),
        ("seq", "0"),
    ] {
        assert_eq!(row[column], expected, "{column}: {row:?}");
    }
    assert!(row["versions"].starts_with("{sqlite3: 3."), "{row:?}");
    assert!(row["start"].starts_with(&row["date"]) && row["start"] < row["arrived"], "{row:?}");
}

#[test]
fn every_reader_reads_the_dataset_as_it_lies() {
    let Some(python) = hosts::venv("readers") else { return };
    let dataset = Dataset::new();
    let collector = Collector::on_loopback(&dataset.path(), &["--every", "1"]);
    let start = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S.123456Z").to_string();
    let send = |number: u64| {
        collector.send(&message(|record| {
            record["id"] = json!(id(number));
            record["start"] = json!(start);
            record["packages"] = json!(["numpy", "scipy"]);
            record["versions"] = json!({ "numpy": "2.1.0" });
        }));
    };
    // As the collector writes them first, and merged.
    send(1);
    collector.wait_for("customs_written_total{sink=\"dataset\"}", |count| count == 1.0);
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/readers.py");
    let read = |rows: u64| {
        let output = bare(&python).env("HOME", dataset.path()).arg(&program).arg(dataset.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answers: BTreeMap<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
        let expected = json!({
            "rows": rows, "id": id(1), "packages": ["numpy", "scipy"], "versions": { "numpy": "2.1.0" },
            "username": "alice", "num_nodes": 4, "is_compute": true, "start": start.replace('Z', "+00:00"),
            "date": &start[..10],
        });
        assert_eq!(answers.len(), 5);
        for (reader, answer) in answers {
            assert_eq!(answer, expected, "{reader}");
        }
    };
    read(1);
    for number in 2..10 {
        send(number);
        collector.wait_for("customs_written_total{sink=\"dataset\"}", |count| count >= number as f64);
    }
    collector.wait_for("customs_merged_files_total", |count| count >= 8.0);
    collector.stop();
    read(9);
}

#[test]
fn every_way_in_brings_the_same_record() {
    let dataset = Dataset::new();
    let folder = tempfile::tempdir().unwrap();
    let (socket, log) = (folder.path().join("log"), folder.path().join("customs.json"));
    let unix = format!("unix://{}", socket.display());
    let arguments = ["--listen", "udp://127.0.0.1:0", "tcp://127.0.0.1:0", &unix, "--follow", log.to_str().unwrap()];
    let collector = Collector::start(&dataset.path(), &[&arguments[..], &["--metrics", "127.0.0.1:0"]].concat());
    let uid = nix::unistd::getuid().as_raw();
    let framed = |number: u64| {
        message(|record| {
            record["id"] = json!(id(number));
            record["uid"] = json!(uid);
        })
    };
    let text = |number: u64| String::from_utf8(framed(number)).unwrap();
    let body = |number: u64| text(number).split_once(" - {").map(|(_, body)| format!("{{{body}")).unwrap();

    collector.send(&framed(1));
    UnixDatagram::unbound().unwrap().send_to(&framed(2), &socket).unwrap();
    let mut stream = TcpStream::connect(collector.address("tcp")).unwrap();
    let counted = text(3);
    write!(stream, "{} {counted}{}\n{} {}", counted.len(), text(4), text(5).len(), text(5)).unwrap();
    // As rsyslog's templates write a message: as it came, its MSG alone, and in an object of their own.
    fs::write(&log, format!("{}\n{}\n", text(6), body(7))).unwrap();
    let mut grown = fs::OpenOptions::new().append(true).open(&log).unwrap();
    writeln!(grown, "{}", json!({ "host": "nid1", "msg": format!(" {}", body(8)) })).unwrap();
    collector.wait_for("customs_parsed_total", |count| count == 8.0);
    // logrotate takes the file away, and rsyslog begins another.
    fs::rename(&log, folder.path().join("customs.json.1")).unwrap();
    fs::write(&log, body(9) + "\n").unwrap();
    collector.wait_for("customs_parsed_total", |count| count == 9.0);
    collector.stop();

    let rows: BTreeMap<String, Row> = dataset.rows().into_iter().map(|row| (row["id"].clone(), row)).collect();
    assert_eq!(rows.len(), 9);
    let of = |number: u64, column: &str| rows[&id(number)][column].as_str();
    for number in 1..=9 {
        assert_eq!(
            (of(number, "username"), of(number, "packages"), of(number, "elapsed")),
            ("alice", "[numpy]", "1.5")
        );
        assert_eq!(
            of(number, "source"),
            ["127.0.0.1", "unix", "127.0.0.1", "127.0.0.1", "127.0.0.1", "file", "file", "file", "file"]
                [number as usize - 1]
        );
        // The kernel says who writes to a socket of this machine; root may speak for others.
        let verified = if number == 2 && uid != 0 { "true" } else { "" };
        assert_eq!(of(number, "uid_verified"), verified, "{number}");
    }
    assert!(!socket.exists(), "the socket is removed at the end");
}

#[test]
fn of_a_process_one_row_is_left_whatever_came_of_it_and_whenever() {
    let dataset = Dataset::new();
    let collector = Collector::on_loopback(&dataset.path(), &["--every", "1"]);
    let mut sent = 0.0;
    let mut send = |edit: &dyn Fn(&mut Value)| {
        collector.send(&message(|record| edit(record)));
        sent += 1.0;
        collector.wait_for("customs_received_total", |count| count == sent);
    };
    let part = |number: u64, name: &'static str| {
        move |record: &mut Value| {
            record["id"] = json!(id(1));
            record["parts"] = json!(3);
            record["part"] = json!(number);
            record["packages"] = json!([name]);
            record["versions"] = json!({ name: "1" });
        }
    };
    // In the same file: parts in disorder, one of them twice.
    send(&part(3, "c"));
    send(&part(1, "a"));
    send(&part(1, "a"));
    // In another file: what is left of it, and reports of other processes.
    let written = |count: f64| collector.wait_for("customs_written_total{sink=\"dataset\"}", |now| now >= count);
    written(1.0);
    send(&part(2, "b"));
    for seq in [0, 2, 1] {
        send(&|record| {
            record["id"] = json!(id(2));
            record["seq"] = json!(seq);
            record["exit"] = json!(format!("exit {seq}"));
        });
    }
    written(5.0);
    // After an exec, seq begins anew.
    for (elapsed, exit) in [(1.0, "exec"), (9.0, "normal"), (5.0, "exec")] {
        send(&|record| {
            record["id"] = json!(id(3));
            record["elapsed"] = json!(elapsed);
            record["exit"] = json!(exit);
        });
    }
    // Another list of the same process is another record.
    send(&|record| {
        record["id"] = json!(id(3));
        record["list"] = json!("everything");
    });
    written(9.0);
    // And the whole of it once more, as a relay does that was not answered.
    send(&part(2, "b"));
    // Enough files, so that they are merged.
    for number in 10..18 {
        send(&|record| record["id"] = json!(id(number)));
        written(number as f64);
    }
    collector.wait_for("customs_merged_files_total", |count| count >= 8.0);
    collector.stop();
    // An import of nothing new merges what is left of the days that it touches.
    let file = dataset.path().with_extension("json");
    fs::write(&file, message(|record| record["id"] = json!(id(17)))).unwrap();
    let (status, answer, error) = import(&dataset.path(), &["--from", file.to_str().unwrap()]);
    assert_eq!((status, &answer["kept"], &answer["read"]), (Some(0), &json!(0), &json!(1)), "{answer} {error}");

    let rows = dataset.rows();
    let of = |number: u64| rows.iter().filter(|row| row["id"] == id(number)).cloned().collect::<Vec<_>>();
    let joined = the_only(of(1));
    let names: BTreeSet<char> = joined["packages"].chars().filter(char::is_ascii_lowercase).collect();
    assert_eq!((names.len(), joined["missing_parts"].as_str()), (3, "[]"), "{joined:?}");
    assert_eq!(joined["versions"].matches(": 1").count(), 3, "{joined:?}");
    assert_eq!(the_only(of(2))["exit"], "exit 2");
    let exits: BTreeSet<(String, String)> =
        of(3).into_iter().map(|row| (row["list"].clone(), row["exit"].clone())).collect();
    let expected = [("everything", "normal"), ("packages", "normal")].map(|(a, b)| (a.to_string(), b.to_string()));
    assert_eq!(exits, BTreeSet::from(expected));
    assert_eq!(rows.len(), 4 + 8);
    assert_eq!(files(&dataset.path()).len(), 1);
    // Sorted, as the document says.
    let order: Vec<_> =
        rows.iter().map(|row| [&row["username"], &row["system"], &row["job_id"], &row["start"]]).collect();
    assert!(order.is_sorted());
}

/// How often the collector is killed: `CUSTOMS_LONG=1` for a hundred times.
fn kills() -> u64 {
    if std::env::var_os("CUSTOMS_LONG").is_some() { 100 } else { 8 }
}

#[test]
fn a_collector_that_is_killed_again_and_again_keeps_what_it_had_and_doubles_nothing() {
    let dataset = Dataset::new();
    let mut number = 0;
    let mut kept: BTreeSet<String> = BTreeSet::new();
    for round in 0..kills() {
        // Small segments, so that it is killed while it writes, renames and merges.
        let collector = Collector::on_loopback(&dataset.path(), &["--every", "1"]);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = collector.address("udp");
        let start = Instant::now();
        let life = Duration::from_millis(1200 + (round * 7919) % 1700);
        let mut sent: Vec<(Duration, String)> = Vec::new();
        while start.elapsed() < life {
            number += 1;
            let message = message(|record| record["id"] = json!(id(number)));
            socket.send_to(&message, to).unwrap();
            sent.push((start.elapsed(), id(number)));
            if number % 50 == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
            if number % 5000 == 0 {
                collector.signal(Signal::SIGHUP); // closes a segment
            }
        }
        let lost = collector.metric("customs_dropped_by_kernel_total");
        assert_eq!(lost, 0.0, "this machine cannot keep up with the test");
        let end = start.elapsed();
        collector.kill();
        kept.extend(sent.into_iter().filter(|(when, _)| *when + Duration::from_secs(1) < end).map(|(_, id)| id));
    }
    Collector::on_loopback(&dataset.path(), &[]).stop();
    let rows = dataset.rows();
    let found: BTreeSet<String> = rows.iter().map(|row| row["id"].clone()).collect();
    assert_eq!(found.len(), rows.len(), "rows that are there twice");
    let missing: Vec<_> = kept.difference(&found).collect();
    assert!(missing.is_empty(), "{} of {} are missing: {:?}", missing.len(), kept.len(), missing.first());
    println!("{} kills: {} sent, {} older than a second, {} kept", kills(), number, kept.len(), rows.len());
}

/// A collector whose clock is told by a file: `+1h` and the like, from the true time. Clocks that only run forward (sleeps,
/// timeouts) are left alone, as they are when a machine's clock is set.
fn with_a_clock(out: &Path, clock: &Path, tool: &str) -> Collector {
    let mut command = bare(env!("CARGO_BIN_EXE_customs"));
    command.args(["collect", "--listen", "udp://127.0.0.1:0", "--metrics", "127.0.0.1:0", "--out"]).arg(out);
    command.env("LD_PRELOAD", tool).env("FAKETIME_TIMESTAMP_FILE", clock).env("FAKETIME_NO_CACHE", "1");
    for variable in ["DONT_FAKE_MONOTONIC", "FAKETIME_DONT_FAKE_MONOTONIC", "NO_FAKE_STAT"] {
        command.env(variable, "1");
    }
    Collector::from(command)
}

#[test]
fn a_clock_that_jumps_loses_doubles_and_stops_nothing() {
    let tool = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
    if !hosts::is_here(tool, "company") {
        return;
    }
    let dataset = Dataset::new();
    let clock = dataset.path().with_extension("clock");
    let set = |by: &str| {
        let new = clock.with_extension("new");
        fs::write(&new, format!("{by}\n")).unwrap();
        fs::rename(&new, &clock).unwrap();
    };
    set("+0");
    let mut collector = with_a_clock(&dataset.path(), &clock, tool);
    let mut number = 0;
    let mut send = |collector: &Collector, edit: &dyn Fn(&mut Value)| {
        let counters = ["customs_parsed_total", "customs_written_total{sink=\"dataset\"}"];
        let before = counters.map(|counter| collector.metric(counter));
        number += 1;
        collector.send(&message(|record| {
            record["id"] = json!(id(number));
            edit(record);
        }));
        collector.wait_for(counters[0], |parsed| parsed > before[0]);
        // A file of its own, as soon as the collector looks.
        collector.signal(Signal::SIGHUP);
        collector.wait_for(counters[1], |written| written > before[1]);
    };
    let part = |number: u64| {
        move |record: &mut Value| {
            record["id"] = json!(id(9000));
            record["parts"] = json!(3);
            record["part"] = json!(number);
            record["packages"] = json!([format!("part{number}")]);
        }
    };
    send(&collector, &part(1));
    let merged = |collector: &Collector, before: f64| {
        collector.wait_for("customs_merged_files_total", |merged| merged >= before + 8.0);
        collector.metric("customs_merged_files_total")
    };
    for _ in 0..8 {
        send(&collector, &|_| ());
    }
    let mut before = merged(&collector, 0.0);
    set("+1h");
    send(&collector, &part(2));
    set("+40d");
    send(&collector, &|_| ());
    // What was written up to now is of the future.
    set("-3h");
    send(&collector, &part(3));
    for _ in 0..8 {
        send(&collector, &|_| ());
    }
    before = merged(&collector, before);
    // As on a machine whose clock has no battery; Linux lets nobody set it to less (clock_settime(2)).
    let zero = "@1970-01-01 00:00:00";
    for by in [zero, "+0", "-3h", "+400d"] {
        set(by);
        send(&collector, &|_| ());
    }
    assert!(collector.page("/healthz").starts_with("HTTP/1.1 200"));
    // Killed and started again while the clock is wrong.
    set(zero);
    collector.kill();
    collector = with_a_clock(&dataset.path(), &clock, tool);
    send(&collector, &|_| ());
    set("+0");
    for _ in 0..8 {
        send(&collector, &|_| ());
    }
    merged(&collector, 0.0);
    let said = collector.stop();
    assert!(said.contains("stopped; 9 received, 9 parsed, 0 rejected, 0 lost") && before >= 16.0, "{said}");
    // What is left of the days is merged by whoever adds to them.
    let file = dataset.path().with_extension("json");
    fs::write(&file, message(|record| record["id"] = json!(id(2)))).unwrap();
    let (status, answer, error) = import(&dataset.path(), &["--from", file.to_str().unwrap()]);
    assert_eq!((status, &answer["kept"]), (Some(0), &json!(0)), "{error}");

    let rows = dataset.rows();
    let ids: BTreeSet<&str> = rows.iter().map(|row| row["id"].as_str()).collect();
    assert_eq!(ids.len(), rows.len(), "rows that are there twice");
    // Parts are of one process.
    assert_eq!(rows.len() as u64, number - 3 + 1);
    let joined = rows.iter().find(|row| row["id"] == id(9000)).unwrap();
    assert_eq!((joined["missing_parts"].as_str(), joined["packages"].matches("part").count()), ("[]", 3), "{joined:?}");
    let years: BTreeSet<&str> = rows.iter().map(|row| &row["arrived"][..4]).collect();
    assert!(years.contains("1970") && years.len() >= 3, "the clock did not jump: {years:?}");
}

#[test]
fn a_full_disk_is_said_and_outlived() {
    if !hosts::is_root("a small disk") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().to_str().unwrap();
    let mount = |arguments: &[&str]| {
        assert!(bare("mount").args(arguments).status().unwrap().success());
    };
    mount(&["-t", "tmpfs", "-o", "size=40m", "tmpfs", disk]);
    let out = folder.path().join("dataset");
    let collector = Collector::on_loopback(&out, &["--keep-free", "16"]);
    let send = |number: u64| collector.send(&message(|record| record["id"] = json!(id(number))));
    send(1);
    collector.wait_for("customs_parsed_total", |count| count == 1.0);
    let ballast = folder.path().join("ballast");
    fs::write(&ballast, vec![1; 28 << 20]).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    send(2);
    collector.wait_for("customs_dropped_disk_full_total", |count| count == 1.0);
    assert!(collector.page("/healthz").starts_with("HTTP/1.1 503"));
    fs::remove_file(&ballast).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    send(3);
    collector.wait_for("customs_parsed_total", |count| count == 2.0);
    assert!(collector.page("/healthz").starts_with("HTTP/1.1 200"));
    let said = collector.stop();
    let ids: BTreeSet<String> = rows(&out).into_iter().map(|row| row["id"].clone()).collect();
    let status = bare("umount").arg(disk).status().unwrap();
    assert_eq!(ids, BTreeSet::from([id(1), id(3)]));
    assert!(
        said.contains("less than 16 MiB free") && said.contains("1 messages were dropped since the start"),
        "{said}"
    );
    assert!(status.success());
}

#[test]
fn floods_of_what_is_no_record_are_counted_and_leave_no_trace_but_a_bounded_file() {
    let dataset = Dataset::new();
    let collector = Collector::on_loopback(&dataset.path(), &[]);
    let good = message(|_| ());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = collector.address("udp");
    let mut seed = 1_u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    let count = 40_000;
    for number in 0..count {
        let garbage = match number % 4 {
            0 => (0..random() % 1400).map(|_| random() as u8).collect(),
            1 => good[..random() % good.len()].to_vec(),
            2 => {
                let mut message = good.clone();
                let place = random() % message.len();
                message[place] = random() as u8;
                message
            }
            _ => vec![b'<'; if number % 400 == 3 { 65_000 } else { 100 }],
        };
        socket.send_to(&garbage, to).unwrap();
        if number % 200 == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    // Someone else's name and host: that is marked, and cannot be told from the truth otherwise.
    collector.send(&message(|record| {
        record["id"] = json!(id(77));
        record["host"] = json!("localhost.localdomain.invalid");
    }));
    collector.wait_for("customs_received_total", |received| received >= f64::from(count) * 0.99);
    collector.send(&message(|record| record["id"] = json!(id(78))));
    std::thread::sleep(Duration::from_secs(1));
    let memory = collector.peak_memory();
    let reasons = collector.page("/metrics");
    collector.stop();
    for reason in ["frame", "json", "record"] {
        assert!(reasons.contains(&format!("customs_rejected_total{{reason=\"{reason}\"}}")), "{reasons}");
    }
    assert!(memory < 256, "{memory} MiB");
    let rows = dataset.rows();
    let unharmed = rows.iter().filter(|row| [id(77), id(78)].contains(&row["id"])).count();
    assert_eq!(unharmed, 2);
    let own = dataset.path().join("_customs");
    let sizes: u64 = fs::read_dir(&own).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(sizes < 20 << 20, "{sizes}");
}

#[test]
fn floods_of_what_looks_like_records_are_counted_and_take_bounded_memory() {
    let dataset = Dataset::new();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("log");
    let unix = format!("unix://{}", socket.display());
    let arguments = ["--listen", "udp://127.0.0.1:0", "tcp://127.0.0.1:0", &unix, "--metrics", "127.0.0.1:0"];
    let collector = Collector::start(&dataset.path(), &[&arguments[..], &["--json-lines", "/dev/null"]].concat());
    let mut stream = TcpStream::connect(collector.address("tcp")).unwrap();
    let mut push = |message: &[u8]| {
        write!(stream, "{} ", message.len()).unwrap();
        stream.write_all(message).unwrap();
    };
    // Longer than any message may be, and a field longer than it may be.
    let long = |length| message(|record| record["main"] = json!("x".repeat(length)));
    let sender = UnixDatagram::unbound().unwrap();
    for _ in 0..10 {
        sender.send_to(&long(100_000), &socket).unwrap();
        push(&long(60_000));
    }
    collector.wait_for("customs_rejected_total{reason=\"truncated\"}", |count| count == 10.0);
    collector.wait_for("customs_rejected_total{reason=\"record\"}", |count| count == 10.0);
    // The same again and again.
    let good = message(|record| record["id"] = json!(id(1)));
    (0..20_000).for_each(|_| push(&good));
    collector.wait_for("customs_duplicate_total", |count| count == 19_999.0);
    // From an address that the host has not. Its own is that of the first one.
    for (address, number) in [("127.0.0.1:0", 2), ("127.0.0.2:0", 3)] {
        let spoofed = message(|record| {
            record["id"] = json!(id(number));
            record["host"] = json!("localhost");
        });
        UdpSocket::bind(address).unwrap().send_to(&spoofed, collector.address("udp")).unwrap();
        collector.wait_for("customs_host_mismatch_total", |count| count == (number - 2) as f64);
        collector.wait_for("customs_received_total", |count| count == 20_020.0 + (number - 1) as f64);
    }
    // Hosts that there are not, each of which a name service would have to be asked for.
    for number in 0..2_000 {
        let host = format!("n{number}.invalid");
        collector.send(&message(|record| {
            record["id"] = json!(id(10_000 + number));
            record["host"] = json!(host);
        }));
    }
    // Parts of records whose other parts never come, with as many names as a message may have: what they take in memory
    // is many times what they took on the wire.
    let names: Vec<String> = (0..8192).map(|number| format!("{number:x}")).collect();
    for number in 0..600 {
        push(&message(|record| {
            record["id"] = json!(id(20_000 + number / 2));
            record["parts"] = json!(255);
            record["part"] = json!(1 + number % 2);
            record["packages"] = json!(names);
        }));
    }
    collector.wait_for("customs_parsed_total", |count| count == 20_000.0 + 2.0 + 2_000.0 + 600.0);
    let memory = collector.peak_memory();
    collector.stop();
    assert!(memory < 256, "{memory} MiB");
    println!("at most {memory} MiB");
    let rows = dataset.rows();
    let of = |number: u64| rows.iter().filter(|row| row["id"] == id(number)).collect::<Vec<_>>();
    assert_eq!(of(1).len(), 1);
    assert_eq!(
        [2, 3].map(|number| the_only(of(number).into_iter().cloned().collect())["host_verified"].clone()),
        ["true", "false"]
    );
    assert_eq!(
        rows.iter().filter(|row| row["host"].ends_with(".invalid") && row["host_verified"].is_empty()).count(),
        2_000
    );
    let parts = rows.iter().filter(|row| row["missing_parts"] != "[]").map(|row| row["id"].as_str());
    assert_eq!(parts.collect::<BTreeSet<_>>().len(), 300);
}

#[test]
fn two_collectors_do_not_write_into_the_same_dataset() {
    let dataset = Dataset::new();
    let collector = Collector::on_loopback(&dataset.path(), &[]);
    let mut second = Command::new(env!("CARGO_BIN_EXE_customs"));
    let output =
        second.args(["collect", "--listen", "udp://127.0.0.1:0", "--out"]).arg(dataset.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is being written by another"));
    collector.stop();
}

#[test]
fn a_program_and_a_file_get_every_record_as_json() {
    let dataset = Dataset::new();
    let folder = tempfile::tempdir().unwrap();
    let (lines, other) = (folder.path().join("records.jsonl"), folder.path().join("other.jsonl"));
    let program = format!("cat >> {}", other.display());
    let arguments = ["--json-lines", lines.to_str().unwrap(), "--program", &program];
    let collector = Collector::on_loopback(&dataset.path(), &arguments);
    for number in 0..3 {
        collector.send(&message(|record| record["id"] = json!(id(number))));
    }
    collector.wait_for("customs_parsed_total", |count| count == 3.0);
    collector.stop();
    for file in [lines, other] {
        let text = fs::read_to_string(&file).unwrap();
        let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(records.len(), 3, "{}", file.display());
        assert_eq!((&records[2]["id"], &records[2]["packages"]), (&json!(id(2)), &json!(["numpy"])));
        assert_eq!(records[2]["source"], "127.0.0.1");
        // What was kept so can be imported.
        let (status, answer, error) = import(&dataset.path(), &["--from", file.to_str().unwrap()]);
        assert_eq!((status, &answer["read"], &answer["kept"]), (Some(0), &json!(3), &json!(0)), "{answer} {error}");
    }
}

#[test]
fn an_import_can_be_done_again_and_goes_on_where_it_was() {
    let dataset = Dataset::new();
    let file = dataset.path().with_extension("json");
    let lines = |numbers: std::ops::Range<u64>| -> Vec<u8> {
        numbers
            .flat_map(|number| [message(|record| record["id"] = json!(id(number))), b"\n".to_vec()].concat())
            .collect()
    };
    let from = ["--from", file.to_str().unwrap()];
    fs::write(&file, [lines(0..3), lines(0..1), b"nonsense\n".to_vec()].concat()).unwrap();
    let (status, answer, error) = import(&dataset.path(), &from);
    assert_eq!(status, Some(1));
    assert_eq!(answer, json!({ "read": 4, "kept": 3, "known": 1, "rejected": 1, "days": 1 }), "{error}");
    assert!(error.is_empty(), "{error}");
    // Nothing new, then more of it, then all of it again.
    assert_eq!(import(&dataset.path(), &from).1["read"], 0);
    fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(&lines(3..5)).unwrap();
    assert_eq!(import(&dataset.path(), &from).1["kept"], 2);
    let (_, answer, _) = import(&dataset.path(), &[&from[..], &["--again"]].concat());
    assert_eq!((&answer["read"], &answer["kept"]), (&json!(6), &json!(0)));
    let ids: Vec<String> = dataset.rows().into_iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, [0, 1, 2, 3, 4].map(id));
}
