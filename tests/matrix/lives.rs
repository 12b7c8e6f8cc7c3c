//! Interpreters that begin, multiply and end in unusual ways.

use crate::support::hosts::{self, Program};
use crate::support::library::{Library, site};
use crate::support::receiver::Receiver;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;

/// Runs `codes` in `program`; how that went and what was reported.
fn run(program: &Program, codes: &[&str]) -> (Output, Vec<Value>) {
    let receiver = Receiver::open();
    let library = Library::compile(&site(receiver.address()), super::PACKAGES);
    let folder = program.folder(&library);
    let output = program.run(&program.with_code(codes), "", &folder, Some(&program.host.name));
    (output, receiver.close())
}

fn assert_unharmed(program: &Program, output: &Output) {
    assert!(output.status.success() && output.stderr.is_empty(), "{}: {output:?}", program.host.name);
}

#[test]
fn what_three_sub_interpreters_import_is_one_record() {
    for program in hosts::with_argument("subinterpreters") {
        let (output, records) = run(&program, &["import json", "import sqlite3", "import multiprocessing"]);
        assert_unharmed(&program, &output);
        assert_eq!(records.len(), 1, "{}: {records:?}", program.host.name);
        let packages = super::sorted(&records[0]["packages"]);
        assert_eq!(packages, json!(["json", "multiprocessing", "sqlite3"]), "{}", program.host.name);
        assert_eq!(super::sorted(&records[0]["direct"]), packages, "{}", program.host.name);
    }
}

#[test]
fn a_sub_interpreter_that_nobody_ends_is_ended_and_reported() {
    // From 3.13 on CPython ends the last one when the main one has reported; then there is a report that knows more.
    for program in hosts::with_argument("subinterpreters-alive") {
        let (output, records) = run(&program, &["import json", "import sqlite3", "import multiprocessing"]);
        assert_unharmed(&program, &output);
        let [first, last] = &records[..] else { panic!("{}: {records:?}", program.host.name) };
        assert_eq!((&first["id"], &first["seq"], &last["seq"]), (&last["id"], &json!(0), &json!(1)));
        assert_eq!(super::sorted(&last["packages"]), json!(["json", "multiprocessing", "sqlite3"]));
    }
}

#[test]
fn a_second_life_sees_the_default_dispositions_too() {
    let code = "import signal; assert all(signal.getsignal(number) == signal.SIG_DFL for number in (15, 24)), signal.getsignal(15)";
    for program in hosts::with_argument("twice") {
        let (output, records) = run(&program, &[code]);
        assert_unharmed(&program, &output);
        assert_eq!(records.len(), 1, "{}: {records:?}", program.host.name);
    }
}

#[test]
fn a_second_life_that_imports_more_is_a_second_record_of_the_same_process() {
    // The environment outlives the interpreter.
    let code = "import os, json; second = 'SECOND_LIFE' in os.environ; os.environ['SECOND_LIFE'] = '1'; \
                exec('import multiprocessing' if second else '')";
    for program in hosts::with_argument("twice") {
        let (output, records) = run(&program, &[code]);
        assert_unharmed(&program, &output);
        assert_eq!(records.len(), 2, "{}: {records:?}", program.host.name);
        assert_eq!(records[0]["id"], records[1]["id"]);
        assert_eq!((&records[0]["seq"], &records[1]["seq"]), (&json!(0), &json!(1)));
        assert_eq!(super::sorted(&records[0]["packages"]), json!(["json"]));
        assert_eq!(super::sorted(&records[1]["packages"]), json!(["json", "multiprocessing"]));
    }
}

/// Ends while one thread imports and forgets modules, and two do to `sys.modules` what an import does to it as fast as
/// they can. The many modules that stay make a walk over it long enough to be met by them.
const DAEMONS: &str = "\
import sys, threading, time, types

started = threading.Barrier(4)


def import_for_ever():
    names = ['made_%d' % number for number in range(40)]
    started.wait()
    while True:
        for name in names:
            __import__(name)
        for name in names:
            del sys.modules[name]


def change_for_ever(thread):
    names = ['added_%d_%d' % (thread, number) for number in range(2000)]
    started.wait()
    while True:
        for name in names:
            sys.modules[name] = types.ModuleType(name)
        for name in names:
            del sys.modules[name]


for number in range(2000):
    sys.modules['stays_%d' % number] = types.ModuleType('stays')
threading.Thread(target=import_for_ever, daemon=True).start()
for thread in range(2):
    threading.Thread(target=change_for_ever, args=(thread,), daemon=True).start()
started.wait()
time.sleep(0.02)
";

/// CPython 3.13t itself stands still at every tenth end of [`DAEMONS`], in `Py_FinalizeEx`, waiting for a lock that a
/// thread held when it was stopped: measured without the library. What it had to report, it has reported by then.
const STANDS_STILL: &str = "6";

#[test]
fn daemon_threads_that_import_while_a_free_threaded_python_ends_crash_nothing() {
    const TIMES: usize = 30;
    for program in hosts::with_argument("3.13t") {
        let receiver = Receiver::open();
        let library = Library::compile(&site(receiver.address()), super::PACKAGES);
        let folder = program.folder(&library);
        fs::write(folder.outside().join("daemons.py"), DAEMONS).unwrap();
        for number in 0..40 {
            fs::write(folder.outside().join(format!("made_{number}.py")), "made = True\n").unwrap();
        }
        let argv =
            [&["timeout", "--signal=KILL", STANDS_STILL].map(str::to_string), &*program.with(&["daemons.py"])].concat();
        let ends: Vec<_> =
            (1..=TIMES).map(|time| program.run(&argv, "", &folder, Some(&format!("end {time}")))).collect();
        let records = receiver.close();
        for (time, output) in (1..).zip(&ends) {
            let stands_still = output.status.signal() == Some(9);
            assert!(output.status.success() || stands_still, "end {time}: {output:?}");
            assert!(output.stderr.is_empty(), "end {time}: {output:?}");
            let count = records.iter().filter(|record| record["job_id"] == format!("end {time}")).count();
            assert_eq!(count, 1, "records of end {time}: {output:?}");
        }
    }
}
