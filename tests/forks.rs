//! Children: those that were forked are silent unless they have something to add, and nobody is reported twice.

use crate::support::hosts::{self, Kind};
use crate::support::library::{Library, site};
use crate::support::receiver::Receiver;
use crate::support::trial::{SITE, run};
use crate::support::wait::wait_until;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const PACKAGES: &str = "[[package]]\nname = \"multiprocessing\"\n[[package]]\nname = \"sqlite3\"\n";

/// A word that `processes.py` knows, and how many records come of it beside the program's own: of children that
/// imported no more than it, and of children that did.
const CASES: [(&str, usize, usize); 12] = [
    ("fork", 0, 0),
    ("fork-more", 0, 1),
    ("pool", 0, 0),
    ("start-fork", 0, 0),
    ("start-forkserver", 0, 0),
    ("start-spawn", 2, 0),
    ("more-fork", 0, 2),
    ("more-forkserver", 0, 2),
    ("more-spawn", 0, 2),
    ("terminated", 0, 0),
    ("daemon", 1, 0),
    ("others", 0, 0),
];

#[test]
fn children_are_reported_where_they_have_something_to_add() {
    let program_text = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/processes.py")).unwrap();
    let receiver = Receiver::open();
    let library = Library::compile(&site(receiver.address()), PACKAGES);
    let mut expected = Vec::new();
    let wanted = ["3.6 (pyenv", "3.8 (pyenv", "3.11 (Debian, static", "3.12 (pyenv", "3.13 (pyenv", "3.13t", "3.14"];
    for host in hosts::all().into_iter().filter(|host| host.kind == Kind::Python) {
        if !wanted.iter().any(|wanted| host.name.contains(wanted)) {
            continue;
        }
        let program = match host.find() {
            Ok(program) => program.with_proc(),
            Err(missing) => {
                println!("{}: {missing}", host.name);
                assert!(!host.is_required(), "{}: {missing}", host.name);
                continue;
            }
        };
        let folder = program.folder(&library);
        fs::write(folder.outside().join("processes.py"), &program_text).unwrap();
        // What a pool's semaphores lie in; a root of the tests has none.
        for place in ["../../dev/shm", "../../proc"] {
            fs::create_dir_all(folder.outside().join(place)).unwrap();
        }
        for (word, same, more) in CASES {
            let name = format!("{} {word}", host.name);
            let output = program.run(&program.with(&["processes.py", word]), "", &folder, Some(&name));
            assert!(output.status.success(), "{name}: {output:?}");
            expected.push((name, same, if host.has("sqlite3") { more } else { 0 }));
        }
        let daemon = folder.outside().join("daemon");
        let is_gone = || fs::read_to_string(&daemon).is_ok_and(|pid| !Path::new("/proc").join(pid).exists());
        wait_until(is_gone, || format!("{}: the daemon does not end", host.name));
    }
    let records = receiver.close();
    let mut wrong = Vec::new();
    for (name, same, more) in &expected {
        let own: Vec<&Value> = records.iter().filter(|record| record["job_id"] == json!(name)).collect();
        let mut roots = own.iter().filter(|record| record.get("parent").is_none());
        let (Some(root), None) = (roots.next(), roots.next()) else {
            wrong.push(format!("{name}: not one root in {own:?}"));
            continue;
        };
        let children: Vec<_> = own.iter().filter(|record| record.get("parent") == Some(&root["id"])).collect();
        let with_more =
            children.iter().filter(|record| record["packages"].as_array().unwrap().contains(&json!("sqlite3"))).count();
        let counts = (own.len(), children.len() - with_more, with_more);
        if counts != (1 + same + more, *same, *more) {
            wrong.push(format!("{name}: {counts:?} records, children with the same, with more: {own:?}"));
        }
        let mut ids: Vec<_> = own.iter().map(|record| record["id"].as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() != own.len() {
            wrong.push(format!("{name}: reported twice: {own:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_multiprocessing_keeps_for_itself_is_told_by_what_it_was_started_with() {
    // As a fork server is when another `__main__` has come in the place of its own.
    for (code, count) in [
        ("from multiprocessing.forkserver import main; del main; import sqlite3", 0),
        ("import sys; from multiprocessing.forkserver import main; del main; import sqlite3", 0),
        ("import sys; from multiprocessing.pool import Pool; del Pool; import sqlite3", 1),
    ] {
        let outcome = run(SITE, &[], &["-c", code]);
        assert_eq!(outcome.records.len(), count, "{code}: {:?}", outcome.records);
    }
}
