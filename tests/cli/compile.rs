//! `customs compile` and `customs inspect`

use super::{GOOD, Site};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[test]
fn a_policy_that_is_inspected_compiles_to_the_same_bytes() {
    let site = Site::new(GOOD);
    assert_eq!(site.customs(["compile", "site.toml", "-o", "first.so"]).status, 0);
    let back = site.customs(["inspect", "first.so"]);
    assert_eq!((back.status, back.stderr.as_str()), (0, ""));
    fs::write(site.path("back.toml"), &back.stdout).unwrap();
    assert_eq!(site.customs(["compile", "back.toml", "-o", "second.so"]).status, 0);
    assert_eq!(fs::read(site.path("first.so")).unwrap(), fs::read(site.path("second.so")).unwrap());
}

#[test]
fn what_was_written_is_said_and_anyone_may_load_it() {
    let site = Site::new(GOOD);
    let answer = site.customs(["compile", "site.toml"]);
    assert!(answer.stdout.starts_with("libcustoms.so: written, 4 packages in 2 lists, "), "{answer:?}");
    let mode = fs::metadata(site.path("libcustoms.so")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    let answer = site.customs(["compile", "--json", "site.toml", "-o", "other.so"]).json();
    assert_eq!((&answer["ok"], &answer["output"]), (&true.into(), &"other.so".into()));
}

#[test]
fn an_error_leaves_the_old_library_and_nothing_else() {
    let site = Site::new("[site]\n");
    fs::write(site.path("libcustoms.so"), "the old one").unwrap();
    let before = fs::metadata(site.path("libcustoms.so")).unwrap();
    let answer = site.customs(["compile", "site.toml"]);
    assert_eq!((answer.status, answer.stdout.as_str()), (2, ""));
    let after = fs::metadata(site.path("libcustoms.so")).unwrap();
    assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));
    assert_eq!(fs::read_dir(site.path("")).unwrap().count(), 3, "site.toml, packages.toml, libcustoms.so");
}

#[test]
fn the_old_library_is_replaced_and_not_written_over() {
    let site = Site::new(GOOD);
    site.customs(["compile", "site.toml"]);
    let first = fs::metadata(site.path("libcustoms.so")).unwrap().ino();
    let mapped = fs::File::open(site.path("libcustoms.so")).unwrap();
    site.customs(["compile", "site.toml"]);
    assert_ne!(fs::metadata(site.path("libcustoms.so")).unwrap().ino(), first);
    assert_eq!(mapped.metadata().unwrap().ino(), first, "a process that has it mapped keeps it");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let answer = Site::new(GOOD).customs(["compile", "site.toml", "-o", "no/such/folder/x.so"]);
    assert_eq!(answer.status, 2);
    assert!(
        answer.stderr.starts_with("customs: cannot write no/such/folder/x.so; what was there is untouched: "),
        "{answer:?}"
    );
}

#[test]
fn inspect_says_what_is_wrong_with_a_library() {
    let site = Site::new(GOOD);
    site.customs(["compile", "site.toml"]);
    let good = fs::read(site.path("libcustoms.so")).unwrap();
    let policy = good.windows(8).position(|bytes| bytes == b"customs\0").unwrap();
    for (at, byte, reason) in [
        (policy, b'C', "is not one"),
        (policy + 8, 99, "the policy has layout 99"),
        (policy + 100, good[policy + 100] ^ 1, "it was damaged"),
        (policy + 14, 255, "cut short"),
    ] {
        let mut bytes = good.clone();
        bytes[at] = byte;
        fs::write(site.path("bad.so"), bytes).unwrap();
        let answer = site.customs(["inspect", "bad.so"]);
        assert_eq!((answer.status, answer.stdout.as_str()), (2, ""));
        assert!(answer.stderr.starts_with("customs: bad.so: "), "{answer:?}");
        assert!(answer.stderr.contains(reason), "{answer:?}");
    }
    fs::write(site.path("text.so"), "hello").unwrap();
    let answer = site.customs(["inspect", "text.so"]);
    assert!(answer.stderr.starts_with("customs: text.so: this is not a shared library"), "{answer:?}");
}

#[test]
fn inspect_answers_a_program_in_json() {
    let site = Site::new(GOOD);
    site.customs(["compile", "site.toml"]);
    let answer = site.customs(["inspect", "--json", "libcustoms.so"]).json();
    assert_eq!(answer["site"]["system"], "cori");
    assert_eq!(answer["list"][0]["package"][1]["module"][0], "ROOT.std");
    assert_eq!(answer["list"][1]["rate"], 0.5);
    assert_eq!(answer["policy"], site.customs(["check", "--json", "site.toml"]).json()["digest"]);
}
