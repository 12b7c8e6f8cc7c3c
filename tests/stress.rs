//! Many at once: every record that is due arrives, none twice, and nobody is left hanging. The long form, with the
//! numbers of a busy node, is run by `CUSTOMS_LONG=1 cargo test --test tests stress -- --nocapture`.

use crate::support::library::{Library, site};
use crate::support::receiver::Receiver;
use crate::support::trial::{PACKAGES, bare, python};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Instant;

/// How many processes: few, or as many as a node may see.
fn count(few: usize, many: usize) -> usize {
    if std::env::var_os("CUSTOMS_LONG").is_some() { many } else { few }
}

/// Runs `python -S -c CODE` so many times, 50 at once, and returns what arrived.
fn storm(times: usize, code: &str) -> Vec<Value> {
    let receiver = Receiver::open();
    let library = Library::compile(&site(receiver.address()), PACKAGES);
    let start = Instant::now();
    let mut command = bare("sh");
    let line = "seq \"$TIMES\" | LD_PRELOAD=\"$LIBRARY\" xargs -P 50 -I{} \"$PYTHON\" -S -c \"$CODE\"";
    command.args(["-c", line]).env("TIMES", times.to_string()).env("LIBRARY", library.path());
    command.env("PYTHON", python()).env("CODE", code).stderr(Stdio::piped());
    let output = command.output().unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stderr.is_empty(), "{}: {error}", output.status);
    let records = receiver.close();
    println!("{times} times in {seconds:.1} s: {} records", records.len());
    let names: BTreeSet<_> = records.iter().map(|record| format!("{} {}", record["id"], record["seq"])).collect();
    assert_eq!(names.len(), records.len(), "some came twice");
    records
}

#[test]
fn every_one_of_many_short_pythons_is_reported_once() {
    let times = count(500, 10_000);
    assert_eq!(storm(times, "pass").len(), times);
}

#[test]
fn of_many_that_fork_only_those_with_more_are_reported() {
    let times = count(60, 1000);
    let code = "import os\n\
                children = [os.fork() or ((number % 4 == 0 and __import__('sqlite3')), os._exit(0)) for number in range(8)]\n\
                for child in children: os.waitpid(child, 0)\n\
                try: os.waitpid(-1, os.WNOHANG)\n\
                except ChildProcessError: pass\n\
                else: raise SystemExit('a zombie')";
    let records = storm(times, code);
    let (children, parents): (Vec<_>, Vec<_>) = records.iter().partition(|record| record.get("parent").is_some());
    assert_eq!((parents.len(), children.len()), (times, 2 * times));
    assert!(children.iter().all(|record| record["packages"] == serde_json::json!(["sqlite3"])));
}

#[test]
fn signals_at_any_moment_leave_one_report_and_the_same_death() {
    let times = count(150, 2000);
    let receiver = Receiver::open();
    let library = Library::compile(&site(receiver.address()), PACKAGES);
    // Killed between the first instruction and long after the last import.
    let code = "import subprocess, sys, time, random\n\
                random.seed(1)\n\
                for _ in range(int(sys.argv[1])):\n\
                \x20   p = subprocess.Popen([sys.executable, '-c', 'import sqlite3, json, multiprocessing, time; time.sleep(9)'],\n\
                \x20                        env={'LD_PRELOAD': sys.argv[2]})\n\
                \x20   time.sleep(random.random() * 0.15); p.terminate()\n\
                \x20   assert p.wait(timeout=5) == -15, p.returncode";
    let mut command = bare(python());
    command.args(["-S", "-c", code, &times.to_string()]).arg(library.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let records = receiver.close();
    println!("{times} killed at any moment: {} reported", records.len());
    assert!(records.iter().all(|record| record["exit"] == "signal:TERM"), "{records:?}");
    let ids: BTreeSet<_> = records.iter().map(|record| record["id"].to_string()).collect();
    assert_eq!(ids.len(), records.len(), "some came twice");
    // Who is killed before Python has looked at the dispositions dies as it always did.
    assert!(records.len() * 3 > times, "{} of {times}", records.len());
}
