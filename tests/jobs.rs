//! Real jobs of Slurm, as they run, are cancelled and run into their limits.

use crate::support::library::Library;
use crate::support::receiver::Receiver;
use crate::support::slurm::Slurm;
use crate::support::trial::{PACKAGES, SITE, python, under};
use crate::support::wait::wait_until;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn a_slurm_job_is_reported_once_as_slurm_knows_it() {
    let Some(slurm) = Slurm::start() else { return };
    let outcome = under(SITE, PACKAGES, |library| {
        let mut command = slurm.client("srun");
        let code = "import os, sqlite3; print(os.environ['SLURM_JOB_ID'])";
        command.args(["--ntasks=2", "--overcommit", "--qos=normal", "--account=m1", "env"]);
        command.arg(format!("LD_PRELOAD={library}")).args([python(), "-c", code]);
        command
    });
    let printed = String::from_utf8_lossy(&outcome.output.stdout).into_owned();
    let record = outcome.record(); // of two ranks, one
    assert_eq!(record["job_id"], printed.lines().next().unwrap());
    assert_eq!(record["is_compute"], true);
    assert_eq!(record["num_nodes"], 1);
    assert_eq!(record["repo"], "m1");
    assert_eq!(record["packages"], serde_json::json!(["sqlite3"]));
}

/// A batch script of `line`, under the library.
fn batch(folder: &Path, name: &str, library: &str, line: &str) -> PathBuf {
    let path = folder.join(name);
    let marker = folder.join(format!("{name}.started"));
    let text = format!("#!/bin/sh\nexport LD_PRELOAD={library} STARTED={}\n{line}\n", marker.display());
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn slurm_jobs_that_are_cancelled_requeued_or_run_into_their_limit_are_reported() {
    let Some(slurm) = Slurm::start() else { return };
    let receiver = Receiver::open();
    let site = SITE.replace("{receiver}", &receiver.address().to_string());
    let library = Library::compile(&site, PACKAGES);
    let library = library.path();
    let library = library.to_str().unwrap();
    let folder = slurm.folder();
    let started = |name: &str| {
        let text = fs::read_to_string(folder.join(format!("{name}.started"))).unwrap_or_default();
        text.lines().count()
    };
    let submit = |name: &str, options: &[&str], line: &str| {
        let script = batch(folder, name, library, line);
        let mut command = slurm.client("sbatch");
        command.args(["--parsable", "--output=/dev/null", "--oversubscribe", "--mem=10", "--ntasks=1"]);
        let output = command.args(options).arg(script).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_string()
    };
    let queue = || {
        let output = slurm.client("squeue").args(["--noheader", "--states=all", "--format=%i %T %r"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let until_started =
        |name: &str, count: usize| wait_until(|| started(name) >= count, || format!("{name}:\n{}", queue()));
    let says_so = r#"import os; open(os.environ["STARTED"], "a").write("started\n")"#;
    let long = format!("exec {} -c 'import sqlite3, time; {says_so}; time.sleep(600)'", python());
    // A limit of a minute is the least there is; meanwhile the others run.
    let limited = submit("limited", &["--time=1"], &long);
    until_started("limited", 1);

    let cancelled = submit("cancelled", &["--time=10"], &long);
    until_started("cancelled", 1);
    assert!(slurm.client("scancel").arg("--full").arg(&cancelled).status().unwrap().success());

    let array =
        submit("array", &["--array=0-2", "--time=10"], &format!("exec {} -c 'import json; {says_so}'", python()));
    let line = format!("[ \"$SLURM_RESTART_COUNT\" = 1 ] && exec {} -c 'import json'\n{long}", python());
    let requeued = submit("requeued", &["--requeue", "--time=10"], &line);
    until_started("requeued", 1);
    assert!(slurm.client("scontrol").args(["requeue", &requeued]).status().unwrap().success());
    until_started("array", 3);
    let is_over = |job: &str| !["PENDING", "RUNNING", "COMPLETING", "REQUEUED"].iter().any(|state| job.contains(state));
    // A requeued job waits for some two minutes before it begins again.
    wait_until(|| queue().lines().all(is_over), || format!("not all jobs end:\n{}", queue()));
    println!("{}", queue());

    let records = receiver.close();
    let of = |job: &str| -> Vec<&Value> { records.iter().filter(|record| record["job_id"] == *job).collect() };
    let ends = |job: &str| -> Vec<&str> { of(job).iter().map(|record| record["exit"].as_str().unwrap()).collect() };
    assert_eq!(ends(&limited), ["signal:TERM"], "{records:?}");
    assert_eq!(ends(&cancelled), ["signal:TERM"], "{records:?}");
    assert_eq!(of(&limited)[0]["packages"], serde_json::json!(["sqlite3"]));
    assert_eq!(ends(&requeued), ["signal:TERM", "normal"], "{records:?}");
    let number: u64 = array.parse().unwrap();
    let of_array =
        records.iter().filter(|record| record["packages"] == serde_json::json!(["json", "json.decoder"])).count();
    assert_eq!(of_array, 3 + 1, "job {number}: {records:?}");
    assert!(records.iter().all(|record| record["is_compute"] == true && record["num_nodes"] == 1));
}

#[test]
fn the_tasks_of_an_array_reduce_a_month_each_and_the_tables_are_those_of_one_go() {
    let Some(slurm) = Slurm::start() else { return };
    let customs = env!("CARGO_BIN_EXE_customs");
    let folder = slurm.folder();
    let place = |name: &str| folder.join(name).display().to_string();
    let run = |args: &[&str]| {
        let output = Command::new(customs).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let (dataset, whole, parts) = (place("dataset"), place("whole"), place("parts"));
    run(&["synth", "--out", &dataset, "--users=40", "--jobs=900", "--from=2026-01-01", "--days=90"]);
    run(&["reduce", &dataset, "--out", &whole]);
    // As docs/TABLES.md has it.
    let script = folder.join("array.sh");
    let lines = [
        "#!/bin/bash".to_string(),
        "from=$(printf '2026-%02d-01' \"$SLURM_ARRAY_TASK_ID\")".to_string(),
        "to=$(date -d \"$from +1 month -1 day\" +%F)".to_string(),
        format!("'{customs}' reduce '{dataset}' --out '{parts}' --from \"$from\" --to \"$to\""),
    ];
    fs::write(&script, lines.join("\n") + "\n").unwrap();
    let mut command = slurm.client("sbatch");
    command.args(["--wait", "--array=1-4", "--oversubscribe", "--mem=10", "--output", &place("array-%a.out")]);
    let output = command.arg(&script).output().unwrap();
    let said = |task: u32| fs::read_to_string(place(&format!("array-{task}.out"))).unwrap_or_default();
    assert!(output.status.success(), "{}{}{}", String::from_utf8_lossy(&output.stderr), said(1), said(4));
    for tables in [&whole, &parts] {
        run(&["report", tables, "--out", &format!("{tables}.report")]);
    }
    let mut compared = 0;
    for entry in fs::read_dir(format!("{whole}.report/figures")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".csv") {
            let read = |tables: &str| fs::read_to_string(format!("{tables}.report/figures/{name}")).unwrap();
            assert_eq!(read(&whole), read(&parts), "{name}");
            compared += 1;
        }
    }
    assert!(compared > 15, "{compared} figures");
}
