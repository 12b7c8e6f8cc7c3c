//! Every way a Python can end, in every Python: what is reported of it, and that it ends as it does without the library.

use crate::support::hosts::{self, Folder, Host, Kind, Program};
use crate::support::library::{Library, site};
use crate::support::receiver::Receiver;
use crate::support::trial::{SITE, bare, python, run};
use serde_json::{Value, json};
use std::fmt::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Output};
use std::time::{Duration, Instant};

const ALL_SIGNALS: &str = "[endings]\nsignals = [\"TERM\", \"XCPU\", \"USR1\", \"USR2\", \"HUP\", \"ALRM\"]\n";
const PACKAGES: &str = "[[package]]\nname = \"json\"\n[[package]]\nname = \"multiprocessing\"\n";
/// Runs before each ending.
const IMPORTS: &str = "import os, sys, signal, json, multiprocessing\n";

/// An ending: its name, how code brings it about, and `exit` of each record that is expected, in order.
struct Ending(&'static str, &'static str, &'static [&'static str]);

const ENDINGS: [Ending; 25] = [
    Ending("last line", "pass", &["normal"]),
    Ending("sys.exit", "sys.exit(3)", &["normal"]),
    Ending("exception", "raise ValueError", &["normal"]),
    Ending("Ctrl-C", "os.kill(os.getpid(), signal.SIGINT); signal.pause()", &["normal"]),
    Ending("os._exit", "os._exit(5)", &["os_exit"]),
    Ending("_exit", "import ctypes; ctypes.CDLL(None)._exit(5)", &["os_exit"]),
    Ending("_Exit", "import ctypes; ctypes.CDLL(None)._Exit(5)", &["os_exit"]),
    Ending("exit, GIL held", "import ctypes; ctypes.PyDLL(None).exit(6)", &["exit"]),
    Ending("exit, GIL released", "import ctypes; ctypes.CDLL(None).exit(6)", &["exit"]),
    Ending("os.abort", "os.abort()", &["abort"]),
    Ending("abort", "import ctypes; ctypes.CDLL(None).abort()", &["abort"]),
    Ending("os.execv", "os.execv('/bin/true', ['true'])", &["exec"]),
    Ending("os.execve", "os.execve('/bin/true', ['true'], {})", &["exec"]),
    Ending("os.execvp", "os.execvp('true', ['true'])", &["exec"]),
    Ending("exec of nothing", "try: os.execv('/no/such', ['x'])\nexcept OSError: pass", &["normal"]),
    Ending(
        "exec that fails",
        "open('odd', 'w').write('odd'); os.chmod('odd', 0o755)\ntry: os.execv('./odd', ['x'])\nexcept OSError: pass",
        &["exec", "normal"],
    ),
    Ending("SIGTERM", "os.kill(os.getpid(), signal.SIGTERM); signal.pause()", &["signal:TERM"]),
    Ending("SIGXCPU", "os.kill(os.getpid(), signal.SIGXCPU); signal.pause()", &["signal:XCPU"]),
    Ending("SIGHUP", "os.kill(os.getpid(), signal.SIGHUP); signal.pause()", &["signal:HUP"]),
    Ending("SIGUSR1", "os.kill(os.getpid(), signal.SIGUSR1); signal.pause()", &["signal:USR1"]),
    Ending("SIGALRM", "signal.setitimer(signal.ITIMER_REAL, 0.01); signal.pause()", &["signal:ALRM"]),
    Ending(
        "SIGTERM, handled",
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(4)); os.kill(os.getpid(), signal.SIGTERM); signal.pause()",
        &["normal"],
    ),
    Ending(
        "SIGTERM, put back",
        "old = signal.signal(signal.SIGTERM, print); print(old == signal.SIG_DFL, signal.signal(signal.SIGTERM, old))\n\
         sys.stdout.flush(); os.kill(os.getpid(), signal.SIGTERM); signal.pause()",
        &["signal:TERM"],
    ),
    Ending("SIGSEGV", "os.kill(os.getpid(), signal.SIGSEGV); signal.pause()", &[]),
    Ending("SIGKILL", "os.kill(os.getpid(), signal.SIGKILL); signal.pause()", &[]),
];

/// The same with and without the library.
fn seen(output: &Output) -> (ExitStatus, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status, text(&output.stdout), text(&output.stderr))
}

/// An ending in one interpreter, without the library and then under it.
struct Trial<'e> {
    host: Host,
    ending: &'e Ending,
    /// Its records' `job_id`.
    name: String,
    without: Output,
    under: Output,
}

impl<'e> Trial<'e> {
    fn run(program: &Program, folder: &Folder, ending: &'e Ending) -> Self {
        let name = format!("{}, {}", program.host.name, ending.0);
        let argv = program.with(&["-c", &format!("{IMPORTS}{}", ending.1)]);
        let without = program.run(&argv, "", folder, None);
        let under = program.run(&argv, "", folder, Some(&name));
        Trial { host: program.host.clone(), ending, name, without, under }
    }

    /// Whether the ending cannot be brought about: some builds have no working `ctypes`.
    fn is_impossible(&self) -> bool {
        let error = String::from_utf8_lossy(&self.without.stderr);
        self.ending.1.contains("ctypes") && error.contains("Error")
    }

    /// What is wrong with it.
    fn problems(&self, records: &[&Value]) -> Vec<String> {
        let mut problems = Vec::new();
        if seen(&self.without) != seen(&self.under) {
            problems.push(format!("without {:?}, under it {:?}", seen(&self.without), seen(&self.under)));
        }
        let expected = if self.is_impossible() { &["normal"] } else { self.ending.2 };
        let exits: Vec<_> = records.iter().map(|record| record["exit"].as_str().unwrap()).collect();
        if exits != expected {
            problems.push(format!("exit is {exits:?} and should be {expected:?}"));
        }
        for (seq, record) in records.iter().enumerate() {
            let packages = record["packages"].as_array().unwrap();
            let mut all = ["json", "multiprocessing"].iter().filter(|name| self.host.has(name));
            if !all.all(|name| packages.contains(&json!(name))) || record["seq"] != json!(seq) {
                problems.push(format!("record {seq} is {record}"));
            }
        }
        problems
    }
}

fn is_wanted(host: &Host) -> bool {
    let is_odd = host.name.contains(" 2.7 ") || host.name.contains("venv");
    host.kind == Kind::Python && !is_odd && host.has("multiprocessing")
}

#[test]
fn every_ending_but_sigkill_is_reported_and_none_is_changed() {
    let receiver = Receiver::open();
    let library = Library::compile(&(site(receiver.address()) + ALL_SIGNALS), PACKAGES);
    let mut trials = Vec::new();
    for host in hosts::all().into_iter().filter(is_wanted) {
        match host.find() {
            Ok(program) => {
                let folder = program.folder(&library);
                trials.extend(ENDINGS.iter().map(|ending| Trial::run(&program, &folder, ending)));
            }
            Err(missing) => {
                println!("{}: {missing}", host.name);
                assert!(!host.is_required(), "{}: {missing}", host.name);
            }
        }
    }
    let records = receiver.close();
    let mut table = String::new();
    let mut wrong = Vec::new();
    for trial in &trials {
        let own: Vec<_> = records.iter().filter(|record| record["job_id"] == json!(trial.name)).collect();
        let problems = trial.problems(&own);
        let reported: Vec<_> = own.iter().map(|record| record["exit"].as_str().unwrap()).collect();
        let verdict = match &problems[..] {
            [] if trial.is_impossible() => "no ctypes here".to_string(),
            [] if reported.is_empty() => "not reported".to_string(),
            [] => format!("reported as {}", reported.join(", then ")),
            _ => "FAILED".to_string(),
        };
        let status = trial.under.status;
        writeln!(table, "{:42} {:20} {:32} {status}", trial.host.name, trial.ending.0, verdict).unwrap();
        wrong.extend(problems.into_iter().map(|problem| format!("{}: {problem}", trial.name)));
    }
    println!("{table}");
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("endings.txt"), table).unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_fault_in_the_handler_is_death_by_the_signal_all_the_same() {
    // The library's own memory is taken away from under it.
    let code = "import ctypes, os, time\n\
                libc = ctypes.CDLL(None)\n\
                for line in list(open('/proc/self/maps')):\n\
                \x20   if 'libcustoms.so' in line and ' rw-' in line:\n\
                \x20       first, last = (int(end, 16) for end in line.split()[0].split('-'))\n\
                \x20       last -= 32768  # its own stack stays\n\
                \x20       assert libc.mprotect(ctypes.c_void_p(first), ctypes.c_size_t(last - first), 0) == 0\n\
                libc.kill(os.getpid(), 15); time.sleep(10)";
    let start = Instant::now();
    let outcome = run(SITE, &[], &["-S", "-c", code]);
    assert_eq!(outcome.output.status.signal(), Some(15), "{:?}", outcome.output);
    assert!(start.elapsed() < Duration::from_secs(9));
    assert_eq!(outcome.records.len(), 0);
}

#[test]
fn a_stack_that_is_nearly_full_is_no_reason_to_die_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/deep.c");
    let deep = folder.path().join("deep.so");
    assert!(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&deep).arg(source).status().unwrap().success());
    let (mut reported, mut expected) = (0, 0);
    for left in [4096, 6144, 8192, 12_288, 16_384, 65_536] {
        for (end, exit) in [(15, "signal:TERM"), (24, "signal:XCPU"), (0, "os_exit"), (6, "abort")] {
            let code = format!("import json, ctypes; ctypes.CDLL({:?}).run({left}, {end})", deep.to_str().unwrap());
            let plain = bare(python()).args(["-c", &code]).output().unwrap();
            let outcome = run(SITE, &[], &["-c", &code]);
            assert_eq!(outcome.output.status, plain.status, "{left} bytes left, {end}");
            assert!(outcome.records.iter().all(|record| record["exit"] == exit), "{:?}", outcome.records);
            (reported, expected) = (reported + outcome.records.len(), expected + 1);
        }
    }
    assert_eq!(reported, expected);
}

#[test]
fn process_1_of_a_pid_namespace_goes_on_ignoring_what_it_has_no_handler_for() {
    if !hosts::is_root("a pid namespace") {
        return;
    }
    let code = "import os, signal, time\nif os.fork() == 0:\n    try: signal.sigtimedwait([signal.SIGUSR1], 3)\n    \
                finally: os._exit(9)\n";
    // The child of unshare(2) is process 1; a default SIGTERM does not reach it, and its wait is not interrupted.
    let unshare = format!("import ctypes; assert ctypes.CDLL(None).unshare(0x20000000) == 0\n{code}");
    let wait = "time.sleep(0.5); pid = int(open('/proc/self/task/%d/children' % os.getpid()).read().split()[0])\n\
                os.kill(pid, signal.SIGTERM); time.sleep(0.3); print(os.waitpid(pid, os.WNOHANG))\nos.kill(pid, 9); print(os.waitpid(pid, 0)[1])";
    let code = unshare.replace("signal.sigtimedwait([signal.SIGUSR1], 3)", "signal.pause()") + wait;
    let plain = bare(python()).args(["-c", &code]).output().unwrap();
    let outcome = run(SITE, &[], &["-c", &code]);
    assert_eq!(String::from_utf8_lossy(&plain.stdout), "(0, 0)\n9\n", "{plain:?}");
    assert_eq!(outcome.output.stdout, plain.stdout, "{:?}", outcome.output);
}

#[test]
fn a_call_that_does_not_end_the_process_is_no_end() {
    let code = "import os, json\nfor wrong in ('x', None, 1.5):\n    try: os._exit(wrong)\n    except TypeError: pass";
    let outcome = run(SITE, &[], &["-c", code]);
    assert_eq!(outcome.record()["exit"], "normal");
}
