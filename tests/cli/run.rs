//! `customs run`

use super::{GOOD, Site};
use serde_json::{Value, json};
use std::fs;

/// The interpreter itself: `python3` on PATH may be a shim.
fn python() -> String {
    let output =
        std::process::Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_string()
}

/// Arguments for a Python one-liner under `customs run` with these options.
fn one_liner<'a>(options: &[&'a str], python: &'a str, code: &'a str) -> Vec<&'a str> {
    [&["run"], options, &["--", python, "-c", code]].concat()
}

#[test]
fn a_python_that_imports_something_is_shown_as_a_person_reads_it() {
    let answer = Site::new(GOOD).customs(one_liner(&[], &python(), "import json, sqlite3; print('mine')"));
    assert_eq!((answer.status, answer.stdout.as_str()), (0, "mine\n"), "{answer:?}");
    assert!(answer.stderr.starts_with("customs  python 3."), "{answer:?}");
    assert!(answer.stderr.contains("ended normally after"), "{answer:?}");
    assert!(answer.stderr.contains("\n  what   no script (-c, -m or interactive)\n"), "{answer:?}");
    assert!(answer.stderr.contains("sqlite3"), "{answer:?}");
}

#[test]
fn json_is_a_line_a_record_and_the_site_decides_what_is_in_it() {
    let site = Site::new(&GOOD.replace("rate = 0.5\n", ""));
    let code = "import multiprocessing, xml";
    let python = python();
    let answer = site.customs(one_liner(&["--site", "site.toml", "--json"], &python, code));
    assert_eq!((answer.status, answer.stderr.as_str()), (0, ""), "{answer:?}");
    let records: Vec<Value> = answer.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 2, "{answer:?}");
    assert_eq!((&records[0]["system"], &records[0]["list"]), (&json!("cori"), &json!("packages")));
    assert_eq!(records[0]["packages"], json!(["multiprocessing"]));
    assert_eq!(records[1]["list"], "everything");
}

#[test]
fn raw_is_what_went_over_the_wire() {
    let answer = Site::new(GOOD).customs(one_liner(&["--raw"], &python(), "import sqlite3"));
    let fields: Vec<&str> = answer.stdout.trim_end().splitn(8, ' ').collect();
    assert_eq!((fields[0], fields[3], fields[5], fields[6]), ("<134>1", "customs", "customs", "-"), "{answer:?}");
    assert!(serde_json::from_str::<Value>(fields[7]).unwrap().is_object());
}

#[test]
fn a_script_is_named_by_its_path_however_it_ends() {
    // CPython deletes `__main__.__file__` when a script reaches its last line (pythonrun.c, `_PyRun_SimpleFile`),
    // and leaves it there when `sys.exit` ends the script.
    let site = Site::new(GOOD);
    let (python, script) = (python(), site.path("script.py").to_str().unwrap().to_string());
    for code in ["pass", "import sys; sys.exit(0)"] {
        fs::write(&script, code).unwrap();
        let answer = site.customs(["run", "--json", "--", python.as_str(), script.as_str()]);
        assert_eq!(answer.json()["main"], script.as_str(), "{code}");
    }
}

#[test]
fn records_can_go_to_a_file_of_their_own() {
    let site = Site::new(GOOD);
    let answer = site.customs(one_liner(&["--json", "--output", "records"], &python(), "print('mine')"));
    assert_eq!((answer.stdout.as_str(), answer.stderr.as_str()), ("mine\n", ""));
    assert_eq!(fs::read_to_string(site.path("records")).unwrap().lines().count(), 1);
}

#[test]
fn it_exits_as_the_command_does() {
    let site = Site::new(GOOD);
    for (arguments, status) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "kill -TERM $$"], 143),
        (&["sh", "-c", "kill -KILL $$"], 137),
        (&["no-such-command"], 127),
        (&["./no-such-file"], 127),
        (&["./site.toml"], 126),
    ] {
        let answer = site.customs([&["run", "--"], arguments].concat());
        assert_eq!((answer.status, answer.stdout.as_str()), (status, ""), "{arguments:?} {answer:?}");
    }
    let answer = site.customs(one_liner(&[], &python(), "import sys; sys.exit(3)"));
    assert_eq!(answer.status, 3);
}

#[test]
fn silence_is_explained() {
    let site = Site::new(GOOD);
    let answer = site.customs(["run", "--", "cat"]);
    assert!(answer.stderr.starts_with("customs  nothing was reported\n  why    /"), "{answer:?}");
    assert!(answer.stderr.ends_with("/cat is not Python, and it started no Python that reported\n"), "{answer:?}");

    let python = python();
    for (name, value, expected) in [
        ("CUSTOMS_OPT_OUT", "1", "CUSTOMS_OPT_OUT is set: the user opted out"),
        ("PMI_RANK", "3", "PMI_RANK is 3: of a parallel program, rank 0 alone reports"),
    ] {
        let mut command = site.command(one_liner(&[], &python, "pass"));
        let answer = super::Answer::of(command.env(name, value).output().unwrap());
        assert_eq!(answer.stderr, format!("customs  nothing was reported\n  why    {expected}\n"));
    }
    let answer = site.customs(["run", "--", "no-such-command"]);
    assert_eq!(answer.stderr, "customs: cannot run no-such-command: it is in no directory of PATH\n");
}

#[test]
fn what_was_preloaded_before_still_is() {
    let site = Site::new(GOOD);
    let mut command = site.command(["run", "--", "sh", "-c", "echo $LD_PRELOAD"]);
    let answer = super::Answer::of(command.env("LD_PRELOAD", "/usr/lib/x86_64-linux-gnu/libm.so.6").output().unwrap());
    assert!(answer.stdout.ends_with("/libcustoms.so:/usr/lib/x86_64-linux-gnu/libm.so.6\n"), "{answer:?}");
}

#[test]
fn a_library_that_is_preloaded_here_by_default_does_not_report_as_well() {
    let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = format!("udp://{}", receiver.local_addr().unwrap());
    let site = Site::new(&GOOD.replace("unix:///dev/log", &server).replace("rate = 0.5\n", ""));
    assert_eq!(site.customs(["compile", "site.toml"]).status, 0);
    let python = python();
    let mut command = site.command(one_liner(&["--json"], &python, "pass"));
    let answer = super::Answer::of(command.env("LD_PRELOAD", site.path("libcustoms.so")).output().unwrap());
    assert_eq!(answer.stdout.lines().count(), 1, "{answer:?}");
    receiver.set_nonblocking(true).unwrap();
    assert!(receiver.recv(&mut [0; 64]).is_err(), "it was sent to the site as well");
}

#[test]
fn many_processes_report_and_none_is_lost() {
    let python = python();
    let code = "import subprocess, sys; [subprocess.run([sys.executable, '-c', 'pass']) for _ in range(20)]";
    let answer = Site::new(GOOD).customs(one_liner(&["--json"], &python, code));
    assert_eq!(answer.stdout.lines().count(), 21, "{answer:?}");
}

/// What `customs run` does when `signal` is sent to it, and, where a terminal would, to the command as well.
fn signalled(signal: &str, to_the_group: bool, code: &str) -> super::Answer {
    use std::os::unix::process::CommandExt;
    let (site, python) = (Site::new(GOOD), python());
    let code = format!("import signal, time; open('ready', 'w').close(); {code}");
    // A shell ignores SIGINT for what it puts into the background, and the tests may be among that.
    let mut command = site.command(["run", "--", "env", "--default-signal=INT", &python, "-c", &code]);
    command.process_group(0).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    while !site.path("ready").exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let target = if to_the_group { format!("-{}", child.id()) } else { child.id().to_string() };
    let sent = std::process::Command::new("kill").args(["-s", signal, "--", &target]).status().unwrap();
    assert!(sent.success());
    super::Answer::of(child.wait_with_output().unwrap())
}

#[test]
fn the_key_that_interrupts_a_command_does_not_lose_its_record() {
    let answer = signalled("INT", true, "time.sleep(60)");
    assert_eq!(answer.status, 130, "Python ends itself with the signal: {answer:?}");
    assert!(answer.stderr.contains("customs  python 3."), "{answer:?}");
}

#[test]
fn a_batch_system_that_ends_us_ends_the_command() {
    let answer = signalled("TERM", false, "time.sleep(60)");
    assert_eq!(answer.status, 143, "{answer:?}");
}

#[test]
fn what_was_put_into_the_background_is_interrupted_by_no_key() {
    let (site, python) = (Site::new(GOOD), python());
    let code = "import os, signal; os.kill(os.getppid(), signal.SIGINT); os.kill(os.getpid(), signal.SIGINT); \
                print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)";
    let customs = site.command(one_liner(&["--output", "records"], &python, code));
    let mut command = std::process::Command::new("env");
    command.arg("--ignore-signal=INT").arg(customs.get_program()).args(customs.get_args()).current_dir(site.path(""));
    let answer = super::Answer::of(command.output().unwrap());
    assert_eq!((answer.status, answer.stdout.as_str()), (0, "True\n"), "{answer:?}");
    assert!(fs::read_to_string(site.path("records")).unwrap().contains("ended normally"));
}
