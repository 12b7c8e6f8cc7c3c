//! Interpreters that begin, multiply and end in unusual ways.

use crate::support::hosts::{self, Program};
use crate::support::library::{Library, site};
use crate::support::receiver::Receiver;
use serde_json::{Value, json};
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
