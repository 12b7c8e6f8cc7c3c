//! `customs check`

use super::{GOOD, Site};
use serde_json::json;

#[test]
fn a_good_site_file_is_summed_up_in_a_line() {
    let answer = Site::new(GOOD).customs(["check", "site.toml"]);
    assert_eq!((answer.status, answer.stderr.as_str()), (0, ""), "{answer:?}");
    assert!(answer.stdout.starts_with("site.toml: ok, 4 packages in 2 lists, "), "{answer:?}");
    assert!(answer.stdout.contains(" bytes of 131072; digest "), "{answer:?}");
    assert_eq!(answer.stdout.lines().count(), 1);
}

#[test]
fn a_program_gets_the_same_as_json() {
    let answer = Site::new(GOOD).customs(["check", "--json", "site.toml"]).json();
    assert_eq!(answer["ok"], true);
    assert_eq!((&answer["packages"], &answer["lists"], &answer["capacity"]), (&json!(4), &json!(2), &json!(131_072)));
    assert_eq!(answer["digest"].as_str().unwrap().len(), 16);
}

const BAD: &str = "\
[site]
sistem = \"cori\"
system = \"cori\"
[[transport]]
name = \"t\"
servers = [\"udp://loghost:514\"]
[[list]]
name = \"l\"
";

#[test]
fn every_problem_points_at_its_line_with_the_fix_and_the_status_is_2() {
    let answer = Site::new(BAD).customs(["check", "site.toml"]);
    assert_eq!((answer.status, answer.stdout.as_str()), (2, ""));
    let expected = "\
error: unknown key `sistem`
 --> site.toml:2:1
  |
2 | sistem = \"cori\"
  | ^^^^^^ did you mean `system`?

error: `loghost` is not a numeric address
 --> site.toml:6:12
  |
6 | servers = [\"udp://loghost:514\"]
  |            ^^^^^^^^^^^^^^^^^^^ the library never asks a name service; write the address, e.g. udp://10.128.0.7:514 (`getent hosts loghost` prints it)

";
    assert_eq!(answer.stderr, expected);
}

#[test]
fn problems_as_json_keep_their_places() {
    let answer = Site::new(BAD).customs(["check", "--json", "site.toml"]);
    assert_eq!((answer.status, answer.stderr.as_str()), (2, ""));
    let expected = json!({ "kind": "unknown-key", "file": "site.toml", "line": 2, "column": 1,
        "message": "unknown key `sistem`", "help": "did you mean `system`?" });
    assert_eq!(answer.json()["problems"][0], expected);
    assert_eq!(answer.json()["ok"], false);
}

#[test]
fn a_mistake_in_an_included_list_is_shown_there() {
    let site = Site::new(GOOD);
    std::fs::write(site.path("packages.toml"), "[[package]]\nname = \"numpy\"\nmodul = [\"np\"]\n").unwrap();
    let answer = site.customs(["check", "site.toml"]);
    assert_eq!(answer.status, 2);
    assert!(answer.stderr.contains("packages.toml:3:1"), "{answer:?}");
    assert!(answer.stderr.contains("did you mean `module`?"), "{answer:?}");
}

#[test]
fn a_site_file_that_is_not_there_is_bad_input() {
    let answer = Site::new(GOOD).customs(["check", "nowhere.toml"]);
    assert_eq!((answer.status, answer.stdout.as_str()), (2, ""));
    assert_eq!(
        answer.stderr,
        "customs: cannot read the site file nowhere.toml: No such file or directory (os error 2)\n"
    );
}

#[test]
fn wrong_usage_is_status_2() {
    for arguments in [&["check"][..], &["check", "--modul", "x", "site.toml"], &["chek"], &[], &["run", "--"]] {
        let answer = Site::new(GOOD).customs(arguments);
        assert_eq!((answer.status, answer.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(answer.stderr.contains("Usage: customs"), "{answer:?}");
    }
}

#[test]
fn a_list_can_be_tried_without_running_anything() {
    let site = Site::new(GOOD);
    let try_out = |more: &[&str]| site.customs([&["check", "site.toml", "--modules"], more].concat()).stdout;
    assert_eq!(
        try_out(&["numpy,ROOT.std,json,pandas.core"]),
        "packages: numpy, root\neverything: ROOT, numpy, pandas\n"
    );
    assert_eq!(try_out(&["json"]), "packages: nothing\neverything: nothing\n");
    assert_eq!(try_out(&["json", "--libraries", "libmkl_rt.so.2"]), "packages: mkl\neverything: nothing\n");
    assert_eq!(try_out(&["multiprocessing"]), "packages: multiprocessing\neverything: nothing\n");
    assert_eq!(try_out(&["multiprocessing", "--main", "/opt/bin/conda"]), "packages: nothing\neverything: nothing\n");
    let answer = site.customs(["check", "site.toml", "--json", "--modules", "numpy"]).json();
    assert_eq!(answer, json!({ "lists": { "packages": ["numpy"], "everything": ["numpy"] } }));
}

#[test]
fn the_shipped_list_is_sound() {
    let site = Site::new(
        "[site]\nsystem = \"x\"\n[[transport]]\nname = \"t\"\nservers = [\"unix:///dev/log\"]\n[[list]]\nname = \"l\"\n",
    );
    let answer = site.customs(["check", "site.toml"]);
    assert_eq!(answer.status, 0, "{answer:?}");
}
