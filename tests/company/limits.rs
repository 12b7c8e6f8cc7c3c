//! The loader's own variables, and what a process may have only little of.

use super::{Company, ENDINGS, IMPORTS, preload, pythons, seen, snippet};
use crate::support::hosts;
use crate::support::trial::{bare, python};
use std::fs;
use std::process::{Command, Stdio};

#[test]
fn the_loaders_own_variables_change_nothing() {
    let mut company = Company::new();
    let audit = "unsigned la_version(unsigned version) { return version; }";
    let audit = company.compile("gcc", "audit.so", &["-shared", "-fPIC"], audit);
    let debug = company.path("debug");
    for (code, exits) in ENDINGS {
        for (variable, value) in [("LD_BIND_NOW", "1"), ("LD_DEBUG", "bindings"), ("LD_AUDIT", audit.as_str())] {
            company.compare(&format!("{variable}, {code}"), exits, |library| {
                let mut command = snippet(python(), code, &[library]);
                command.env(variable, value).env("LD_DEBUG_OUTPUT", &debug);
                command
            });
        }
    }
    company.close();
}

/// `prlimit OPTIONS python`, so that the limits are those of the interpreter's whole life.
fn limited(python: &str, options: &[&str], code: &str, library: &str) -> Command {
    let mut command = bare("prlimit");
    command.args(options).args([python, "-B", "-c", &format!("{IMPORTS}{code}")]);
    preload(command, &[library])
}

#[test]
fn where_everything_else_is_scarce_there_is_a_report_all_the_same() {
    let mut company = Company::new();
    let each = ["--fsize=0", "--nproc=1", "--stack=131072", "--memlock=0", "--sigpending=0", "--msgqueue=0"];
    for (code, exits) in ENDINGS.into_iter().filter(|(code, _)| !code.contains("fork") && !code.contains("thread")) {
        for limit in each {
            company.compare(&format!("{limit}, {code}"), exits, |library| limited(python(), &[limit], code, library));
        }
        for python in pythons() {
            company.compare(&format!("{python}, {code}"), exits, |library| limited(&python, &each, code, library));
        }
    }
    company.close();
}

#[test]
fn a_process_with_hardly_any_address_space_needs_no_more_than_its_file() {
    const STEP: u64 = 64 << 10;
    let mut company = Company::new();
    let ours = fs::metadata(&company.library).unwrap().len() + STEP;
    for python in pythons() {
        let answer = |limit: u64, library: &str| limited(&python, &[&format!("--as={limit}")], "print(1)", library);
        let starts = |limit| seen(&company.output(answer(limit, ""))) == (Some(0), None, "1\n".into(), String::new());
        let (mut fails, mut enough) = (STEP, 512 << 20);
        while enough - fails > STEP {
            let middle = (fails + enough) / 2;
            *if starts(middle) { &mut enough } else { &mut fails } = middle;
        }
        println!("{python} starts with {} KiB", enough >> 10);
        let output = company.expect(&python, &["normal"], answer(enough + ours, &company.library));
        assert_eq!(seen(&output), (Some(0), None, "1\n".into(), String::new()), "{python}: {enough}");
    }
    company.close();
}

#[test]
fn without_a_descriptor_the_loader_says_so_once_and_nothing_else_changes() {
    let company = Company::new();
    let complaint = format!(
        "ERROR: ld.so: object '{}' from LD_PRELOAD cannot be preloaded (cannot open shared object file): ignored.\n",
        company.library
    );
    for python in pythons() {
        let [plain, under] = ["", &company.library].map(|library| {
            let mut command = limited(&python, &["--nofile=3"], "print(1)", library);
            command.stdin(Stdio::null());
            company.output(command)
        });
        assert_eq!(plain.status.code(), Some(127), "{python} needs libraries: {plain:?}");
        let expected = String::from_utf8_lossy(&plain.stderr).into_owned();
        assert_eq!(seen(&under), (Some(127), None, String::new(), complaint.clone() + &expected), "{python}");
    }
    // With one of the three closed it is loaded. That one is the program's, so there is none for a socket.
    let mut company = company;
    for python in pythons() {
        let line = |library: &str| {
            let mut command = bare("bash");
            command.args(["-c", "exec prlimit --nofile=3 \"$0\" -c \"$1\" <&-", &python, "import json; print(1)"]);
            preload(command, &[library])
        };
        company.compare(&python, &[], line);
    }
    company.close();
}

#[test]
fn a_root_that_cannot_be_written_to_is_no_harm() {
    if !hosts::is_root("a mount namespace") {
        return;
    }
    let mut company = Company::new();
    let line = "mount --rbind / / && mount -o remount,bind,ro / && ! touch \"$0\" 2> /dev/null && exec \"$@\"";
    for python in pythons() {
        for (code, exits) in ENDINGS {
            company.compare(&format!("{python}, {code}"), exits, |library| {
                let mut command = bare("unshare");
                command.args(["--mount", "--propagation", "private", "sh", "-c", line, "/customs-test"]);
                command.args([&python, "-c", &format!("{IMPORTS}{code}")]);
                preload(command, &[library])
            });
        }
    }
    company.close();
}
