//! Every field of the record has the value that the process, its job and its node give it.

use crate::support::hosts;
use crate::support::trial::{PACKAGES, SITE, bare, python, run, under};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

const CODE: &str = "import sqlite3, json, multiprocessing";

fn with(more: &str) -> String {
    format!("{SITE}{more}")
}

fn names(record: &Value) -> Vec<&str> {
    record["packages"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

#[test]
fn a_plain_process_says_who_and_what_it_is() {
    let outcome = run(SITE, &[], &["-c", "import os, sys, sqlite3; print(os.getpid(), os.getppid(), sys.prefix)"]);
    let record = outcome.record();
    let printed = String::from_utf8_lossy(&outcome.output.stdout);
    let [pid, ppid, prefix] = printed.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{printed}") };
    assert_eq!(record["pid"].to_string(), pid);
    assert_eq!(record["ppid"].to_string(), ppid);
    assert_eq!(record["prefix"], prefix);
    assert_eq!(record["executable"], python());
    assert_eq!(record["uid"], nix::unistd::getuid().as_raw());
    assert_eq!(record["username"], nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name.as_str());
    assert_eq!(record["host"], nix::unistd::gethostname().unwrap().to_str().unwrap());
    let version = Command::new(python()).arg("--version").output().unwrap().stdout;
    assert_eq!(format!("Python {}", record["python"].as_str().unwrap()), String::from_utf8_lossy(&version).trim());
    for (field, expected) in [
        ("schema", json!(1)),
        ("seq", json!(0)),
        ("part", json!(1)),
        ("parts", json!(1)),
        ("list", json!("packages")),
        ("system", json!("test")),
        ("subsystem", json!("")),
        ("main", json!("")),
        ("is_compute", json!(false)),
        ("is_shifter", json!(false)),
        ("is_staff", json!(false)),
        ("job_id", json!("")),
        ("num_nodes", json!(1)),
        ("qos", json!("")),
        ("repo", json!("")),
        ("exit", json!("normal")),
    ] {
        assert_eq!(record[field], expected, "{field}");
    }
    let elapsed = record["elapsed"].as_f64().unwrap();
    assert!((0.0..60.0).contains(&elapsed), "{elapsed}");
    for absent in ["rate", "weight", "canary", "parent", "libraries"] {
        assert!(record.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn packages_versions_and_direct_marks_are_those_of_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("run.py");
    // The user's own module binds json.decoder; multiprocessing only comes along, inside a function's scope.
    fs::write(folder.path().join("own.py"), "from json.decoder import JSONDecoder\n").unwrap();
    fs::write(&script, "import own, sqlite3\ndef f():\n    import multiprocessing\nf()\n").unwrap();
    let outcome = run(SITE, &[], &[script.to_str().unwrap()]);
    let record = outcome.record();
    assert_eq!(names(record), ["sqlite3", "json", "json.decoder", "multiprocessing"]);
    assert_eq!(record["direct"], json!(["sqlite3", "json", "json.decoder"]));
    assert_eq!(record["main"], script.to_str().unwrap());
    let version =
        Command::new(python()).args(["-c", "import sqlite3; print(sqlite3.sqlite_version)"]).output().unwrap();
    assert_eq!(record["versions"]["sqlite3"], String::from_utf8_lossy(&version.stdout).trim());
}

#[test]
fn a_batch_job_is_named_in_each_systems_words() {
    type Case = (&'static [(&'static str, &'static str)], &'static str, u32, &'static str, &'static str, bool);
    let cases: [Case; 4] = [
        (
            &[
                ("SLURM_JOB_ID", "123"),
                ("SLURM_JOB_NUM_NODES", "4"),
                ("SLURM_JOB_QOS", "regular"),
                ("SLURM_JOB_ACCOUNT", "m1234"),
                ("SLURMD_NODENAME", "nid1"),
                ("SLURM_PROCID", "0"),
            ],
            "123",
            4,
            "regular",
            "m1234",
            true,
        ),
        (
            &[
                ("PBS_JOBID", "77.server"),
                ("PBS_NUM_NODES", "2"),
                ("PBS_QUEUE", "workq"),
                ("PBS_ACCOUNT", "a"),
                ("PBS_NODENUM", "0"),
            ],
            "77.server",
            2,
            "workq",
            "a",
            true,
        ),
        (
            &[("LSB_JOBID", "9"), ("LSB_MCPU_HOSTS", "h1 8 h2 8 h3 2"), ("LSB_QUEUE", "q"), ("LSB_PROJECT_NAME", "p")],
            "9",
            3,
            "q",
            "p",
            true,
        ),
        (&[("FLUX_JOB_ID", "ƒA1"), ("FLUX_JOB_NNODES", "5"), ("FLUX_TASK_RANK", "0")], "ƒA1", 5, "", "", true),
    ];
    for (variables, job, nodes, qos, repo, compute) in cases {
        let outcome = run(SITE, variables, &["-c", CODE]);
        let record = outcome.record();
        assert_eq!(record["job_id"], job);
        assert_eq!(record["num_nodes"], nodes, "{job}");
        assert_eq!(record["qos"], qos, "{job}");
        assert_eq!(record["repo"], repo, "{job}");
        assert_eq!(record["is_compute"], compute, "{job}");
    }
}

#[test]
fn containers_are_told_by_their_own_marks() {
    for (variable, value, expected) in [
        ("SHIFTER_RUNTIME", "1", "shifter"),
        ("APPTAINER_CONTAINER", "/x.sif", "apptainer"),
        ("SINGULARITY_CONTAINER", "/x.sif", "singularity"),
        ("CH_RUNNING", "Weird Al Yankovic", "charliecloud"),
        ("container", "podman", "podman"),
        ("container", "my secret", "other"),
    ] {
        let variables = [(variable, value), ("SLURMD_NODENAME", "nid42")];
        let outcome = run(SITE, &variables, &["-c", "pass"]);
        let record = outcome.record();
        assert_eq!(record["container"], expected);
        assert_eq!(record["is_shifter"], expected == "shifter");
        assert_eq!(record["host"], "nid42", "the node's name, not the container's");
    }
}

#[test]
fn partitions_compute_nodes_and_staff_are_what_the_site_says() {
    let gid = nix::unistd::getgid();
    let site = with(&format!(
        "[compute]\nenv = [\"MY_TASK\"]\n[staff]\ngroups = [{gid}]\n\
         [[subsystem]]\nname = \"gpu\"\nenv = {{ PART = \"gpu*\" }}\n[[subsystem]]\nname = \"rest\"\nhosts = [\"*\"]\n"
    ));
    let outcome = run(&site, &[("PART", "gpu_long"), ("MY_TASK", "1")], &["-c", "pass"]);
    let record = outcome.record();
    assert_eq!(
        (&record["subsystem"], &record["is_compute"], &record["is_staff"]),
        (&json!("gpu"), &json!(true), &json!(true))
    );
    let outcome = run(&site, &[("PART", "cpu")], &["-c", "pass"]);
    assert_eq!(outcome.record()["subsystem"], "rest");
    assert_eq!(outcome.record()["is_compute"], false);
}

#[test]
fn a_name_comes_from_the_number_and_never_from_the_environment() {
    if !hosts::is_root("a process of somebody else's") || !hosts::is_here("/usr/bin/python3", "debian") {
        return;
    }
    let nobody_knows = 4242;
    let cases: [(&[(&str, &str)], &str); 3] = [
        (&[("USER", "mallory"), ("LOGNAME", "mallory")], ""),
        (&[("SLURM_JOB_USER", "alice"), ("SLURM_JOB_UID", "4242")], "alice"),
        (&[("SLURM_JOB_USER", "alice"), ("SLURM_JOB_UID", "4243")], ""),
    ];
    for (variables, expected) in cases {
        let outcome = under(SITE, PACKAGES, |library| {
            // A library that this user can reach, and an interpreter too: pyenv's may lie in a private folder.
            let shared = std::env::temp_dir().join(format!("libcustoms-{}.so", std::process::id()));
            fs::copy(library, &shared).unwrap();
            let mut command = bare("/usr/bin/python3");
            command.args(["-c", "pass"]).env("LD_PRELOAD", &shared).envs(variables.iter().copied());
            command.uid(nobody_knows).gid(nobody_knows);
            command
        });
        let record = outcome.record();
        assert_eq!(record["uid"], nobody_knows);
        assert_eq!(record["username"], expected, "{variables:?}");
    }
}

#[test]
fn ranks_other_than_zero_and_opted_out_processes_stay_silent() {
    let silent: [&[(&str, &str)]; 4] = [
        &[("CUSTOMS_OPT_OUT", "1")],
        &[("SLURM_PROCID", "3")],
        &[("SLURM_PROCID", "0"), ("OMPI_COMM_WORLD_RANK", "12")],
        &[("PMI_RANK", "001")],
    ];
    for variables in silent {
        let outcome = run(SITE, variables, &["-c", CODE]);
        assert!(outcome.output.status.success());
        assert_eq!(outcome.records.len(), 0, "{variables:?}");
    }
    for variables in [[("CUSTOMS_OPT_OUT", "")], [("SLURM_PROCID", "0")], [("PMI_RANK", "00")]] {
        run(SITE, &variables, &["-c", CODE]).record();
    }
}

#[test]
fn lists_have_fates_of_their_own() {
    let site = SITE.replace("include = [\"packages.toml\"]\n", "include = [\"packages.toml\"]\nempty = false\n")
        + "[[list]]\nname = \"everything\"\nall = true\nrate = 0.5\n";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("unheard_of.py"), "").unwrap();
    let path = [("PYTHONPATH", folder.path().to_str().unwrap())];
    let mut sampled = 0;
    for job in 0..40 {
        let job = job.to_string();
        let variables = [path[0], ("SLURM_JOB_ID", &job)];
        let outcome = run(&site, &variables, &["-c", "import unheard_of, os, json"]);
        let of = |name: &str| outcome.records.iter().find(|record| record["list"] == name).cloned();
        assert_eq!(names(&of("packages").unwrap()), ["json", "json.decoder"]);
        if let Some(record) = of("everything") {
            sampled += 1;
            assert_eq!(record["rate"], 0.5);
            let names = names(&record);
            assert!(names.contains(&"unheard_of"), "{names:?}");
            for standard in ["os", "json", "sys", "__main__", "atexit", "_frozen_importlib"] {
                assert!(!names.contains(&standard), "{standard} in {names:?}");
            }
            let again = run(&site, &variables, &["-c", "pass"]);
            assert!(again.records.iter().any(|record| record["list"] == "everything"), "a chosen job is seen whole");
        }
    }
    assert!((8..=32).contains(&sampled), "half of 40 jobs, and it were {sampled}");
    let outcome = run(&site, &[], &["-S", "-c", "pass"]);
    assert!(outcome.records.iter().all(|record| record["list"] != "packages"), "nothing found, and `empty = false`");
}

#[test]
fn unless_omit_and_pseudonymise_hold() {
    let folder = tempfile::tempdir().unwrap();
    let conda = folder.path().join("conda");
    fs::write(&conda, "import multiprocessing").unwrap();
    let outcome = run(SITE, &[], &[conda.to_str().unwrap()]);
    assert_eq!(names(outcome.record()), [""; 0]);
    let site = SITE.replace(
        "system = \"test\"\n",
        "system = \"test\"\nomit = [\"main\", \"uid\"]\npseudonymise = [\"username\"]\npseudonym_key = \"k\"\n",
    );
    let outcome = run(&site, &[], &[conda.to_str().unwrap()]);
    assert_eq!(outcome.record()["main"], "");
    assert_eq!(outcome.record()["uid"], -1);
    assert_eq!(outcome.record()["username"].as_str().unwrap().len(), 32);
}

#[test]
fn a_long_list_arrives_in_parts_that_each_stand_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut packages = String::new();
    let mut code = String::from("import sys\n");
    for number in 0..200 {
        let name = format!("a_package_of_this_test_{number}");
        packages += &format!("[[package]]\nname = \"{name}\"\n");
        fs::write(folder.path().join(format!("{name}.py")), format!("__version__ = '{number}.0'")).unwrap();
        code += &format!("import {name}\n");
    }
    let outcome = under(SITE, &packages, |library| {
        let mut command = bare(python());
        command.args(["-c", &code]).env("LD_PRELOAD", library).env("PYTHONPATH", folder.path());
        command
    });
    assert!(outcome.records.len() > 5);
    let mut seen = Vec::new();
    for (index, part) in outcome.records.iter().enumerate() {
        assert_eq!(part["part"], index + 1);
        assert_eq!(part["parts"], outcome.records.len());
        assert_eq!(part["id"], outcome.records[0]["id"]);
        assert!(part.to_string().len() < 1452);
        for name in names(part) {
            assert_eq!(part["versions"][name], format!("{}.0", name.rsplit('_').next().unwrap()));
            seen.push(name);
        }
    }
    assert_eq!(seen.len(), 200);
}

/// An object of no content, preloaded as `link`, which leads to `file`.
fn with_a_library(pattern: &str, file: &str, link: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("nothing.c");
    fs::write(&source, "void nothing(void) {}\n").unwrap();
    let file = folder.path().join(file);
    let built = Command::new("cc").args(["-shared", "-nostdlib", "-o"]).arg(&file).arg(&source).status().unwrap();
    assert!(built.success());
    let link = folder.path().join(link);
    if link != file {
        std::os::unix::fs::symlink(&file, &link).unwrap();
    }
    let package = format!("[[package]]\nname = \"wanted\"\nlibrary = [\"{pattern}\"]\n");
    let outcome = under(SITE, &package, |library| {
        let mut command = bare(python());
        command.args(["-c", "pass"]).env("LD_PRELOAD", format!("{}:{library}", link.display()));
        command
    });
    outcome.record().clone()
}

#[test]
fn libraries_are_found_by_the_names_of_their_files_and_not_of_links() {
    for (pattern, file, link, version) in [
        ("libwanted.so*", "libwanted.so.1.2.3", "libwanted.so.1", json!({"wanted": "1.2.3"})),
        ("libwanted.so*", "libwanted.so.1.2.3", "libanother.so", json!({"wanted": "1.2.3"})),
        ("libwanted*", "libwanted.so", "libwanted.so", Value::Null),
    ] {
        let record = with_a_library(pattern, file, link);
        assert_eq!(record["libraries"], json!(["wanted"]), "{file} by {link}: {record}");
        assert_eq!(record["versions"], version);
    }
    assert!(with_a_library("libwanted.so*", "libanother.so", "libwanted.so").get("libraries").is_none());
}

#[test]
fn a_library_that_every_program_is_linked_with_is_found_where_a_site_asks_for_it() {
    for pattern in ["libc.so*", "libc[.-]*so*", "*c.so.6"] {
        let record = with_a_library(pattern, "libanother.so", "libanother.so");
        assert_eq!(record["libraries"], json!(["wanted"]), "{pattern}: {record}");
        let package = format!("[[package]]\nname = \"wanted\"\nlibrary = [\"{pattern}\"]\n");
        let outcome = under(SITE, &package, |library| {
            let mut command = bare(python());
            command.args(["-c", "pass"]).env("LD_PRELOAD", library);
            command
        });
        assert_eq!(outcome.record()["libraries"], json!(["wanted"]), "{pattern}");
    }
}

#[test]
fn a_version_is_found_in_the_name_of_a_dist_info_folder_where_a_site_wants_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("shy")).unwrap();
    fs::write(folder.path().join("shy/__init__.py"), "def __getattr__(name): raise SystemExit(name)").unwrap();
    fs::create_dir_all(folder.path().join("Very_Shy-4.5.6.dist-info")).unwrap();
    let packages = "[[package]]\nname = \"shy\"\ndistribution = \"very-shy\"\n";
    for (option, expected) in [("true", json!({"shy": "4.5.6"})), ("false", Value::Null)] {
        let site = SITE.replace("system = \"test\"\n", &format!("system = \"test\"\ndist_info = {option}\n"));
        let outcome = under(&site, packages, |library| {
            let mut command = bare(python());
            command.args(["-c", "import shy"]).env("LD_PRELOAD", library).env("PYTHONPATH", folder.path());
            command
        });
        assert_eq!(outcome.record()["versions"], expected);
    }
}

#[test]
fn an_id_names_the_process_and_no_other() {
    let first = run(SITE, &[], &["-c", "pass"]);
    let second = run(SITE, &[], &["-c", "pass"]);
    assert_ne!(first.record()["id"], second.record()["id"]);
    assert_eq!(first.record()["id"].as_str().unwrap().len(), 32);
    // A child that was forked stays silent: it is told by its parent's record.
    let outcome = run(SITE, &[], &["-c", "import os, sys\nif os.fork() == 0: sys.exit(0)\nos.wait()"]);
    outcome.record();
}

#[test]
fn short_processes_are_thinned_out_and_the_rest_carries_the_weight() {
    let thinned = |more: &str, runs: &str| {
        let site = format!("{SITE}[[thin]]\nshorter_than = \"10m\"\nkeep = 0.25\n{more}");
        under(&site, PACKAGES, |library| {
            let mut command = bare("sh");
            command.args(["-c", runs]).env("LIBRARY", library).env("PYTHON", python());
            command
        })
    };
    let one_by_one = "for i in $(seq 120); do LD_PRELOAD=$LIBRARY $PYTHON -S -c pass; done";
    let records = thinned("", one_by_one).records;
    // Of 120 at 0.25: 30, and less than one in a million is outside of this.
    assert!((8..=58).contains(&records.len()), "{}", records.len());
    assert!(records.iter().all(|record| record["weight"] == json!(4)), "{records:?}");
    // Workers of one parent are kept together: with all of them, or with none.
    let code = "import multiprocessing as m, sys\ndef f():\n import sqlite3\nif __name__ == '__main__':\n c = m.get_context('fork')\n \
                p = [c.Process(target=f) for _ in range(6)]\n [q.start() for q in p]; [q.join() for q in p]";
    let many = format!("for i in $(seq 8); do LD_PRELOAD=$LIBRARY $PYTHON -c {}; done", quoted(code));
    let records = thinned("per = \"parent\"\n", &many).records;
    let mut families = std::collections::BTreeMap::<String, usize>::new();
    for record in records.iter().filter_map(|record| record.get("parent")) {
        *families.entry(record.to_string()).or_default() += 1;
    }
    assert!(families.values().all(|workers| *workers == 6), "{families:?}");
    // Longer ones are reported as they are.
    let site = format!("{SITE}[[thin]]\nshorter_than = \"1ms\"\nkeep = 0.001\n");
    let outcome = run(&site, &[], &["-c", "import time; time.sleep(0.2)"]);
    assert!(outcome.record().get("weight").is_none());
}

fn quoted(code: &str) -> String {
    format!("'{}'", code.replace('\'', "'\\''"))
}
