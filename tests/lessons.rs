//! What once broke: programs found by reviews, each of which crashed, or was reported wrongly, before a fix.

use crate::support::hosts;
use crate::support::trial::{Outcome, PACKAGES, SITE, bare, python, run, under};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(name)
}

/// A shared libpython and its home: of the interpreter `python`.
fn libpython(python: &str) -> Option<(String, String)> {
    let code = "import sys, sysconfig as s; v = s.get_config_var; print(v('LIBDIR') + '/' + v('INSTSONAME')); print(sys.base_prefix)";
    let output = Command::new(python).args(["-c", code]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (library, home) = text.trim().split_once('\n').unwrap();
    let shared = hosts::given(library.contains(".so"), &format!("{python} has no shared libpython"));
    (shared && hosts::is_here(library, "pyenv")).then(|| (library.to_owned(), home.to_owned()))
}

/// A C program, linked with `library` if there is one.
fn build(name: &str, library: Option<&str>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join(name);
    let mut command = Command::new("cc");
    command.arg("-w").arg("-o").arg(&program).arg(source(&format!("{name}.c")));
    if let Some(library) = library {
        let home = Path::new(library).parent().unwrap().display();
        command.arg(library).arg(format!("-Wl,-rpath,{home}"));
    }
    assert!(command.arg("-ldl").status().unwrap().success());
    (folder, program)
}

/// Runs it under the library.
fn trial(program: &Path, home: &str, arguments: &[&str]) -> Outcome {
    under(SITE, PACKAGES, |library| {
        let mut command = bare(program);
        command.args(arguments).env("LD_PRELOAD", library).env("PYTHONHOME", home);
        command
    })
}

#[test]
fn a_second_python_in_a_process_is_left_alone() {
    let pyenv = |version: &str| hosts::pyenv(version).and_then(|python| libpython(&python));
    let (Some((first, home1)), Some((second, home2))) = (pyenv("3.11"), pyenv("3.12")) else { return };
    let (_folder, program) = build("two_pythons", None);
    for [first, second, home1, home2] in [[&first, &second, &home1, &home2], [&second, &first, &home2, &home1]] {
        let plain = bare(&program).args([first, second, home1, home2]).output().unwrap();
        assert!(plain.status.success(), "{}", String::from_utf8_lossy(&plain.stderr));
        let outcome = trial(&program, home1, &[first, second, home1, home2]);
        assert_eq!(outcome.output.status, plain.status, "{}", String::from_utf8_lossy(&outcome.output.stderr));
        assert_eq!(outcome.output.stdout, plain.stdout);
        assert!(outcome.records.len() <= 1);
    }
}

#[test]
fn a_program_with_copies_of_libpythons_variables_is_reported_right() {
    let Some((library, home)) = libpython(python()) else { return };
    let (_folder, program) = build("copies", Some(&library));
    let outcome = trial(&program, &home, &[]);
    // And not sqlite3, which is `None` in `sys.modules`: the program's own `None`.
    assert_eq!(outcome.record()["packages"], serde_json::json!(["json", "json.decoder"]));
}

#[test]
fn a_child_that_starts_a_python_of_its_own_reports_it_as_its_own() {
    let Some((library, home)) = libpython(python()) else { return };
    let (_folder, program) = build("fork_between_lives", Some(&library));
    let outcome = trial(&program, &home, &[]);
    assert!(outcome.output.status.success());
    let [parent, child] = &outcome.records[..] else { panic!("{:?}", outcome.records) };
    assert_eq!(parent["packages"], serde_json::json!(["sqlite3"]));
    assert_eq!(child["packages"], serde_json::json!(["json", "json.decoder"]));
    assert_ne!(parent["id"], child["id"]);
    assert_ne!(parent["pid"], child["pid"]);
    assert_eq!(child["seq"], 0);
}

#[test]
fn interpreters_that_start_and_end_together_all_count() {
    let Some(python) = hosts::pyenv("3.13") else { return };
    let packages: String = ["json", "csv", "wave", "colorsys", "calendar", "fractions"]
        .iter()
        .map(|name| format!("[[package]]\nname = \"{name}\"\n"))
        .collect();
    for _ in 0..6 {
        let outcome = under(SITE, &packages, |library| {
            let mut command = bare(&python);
            command.arg(source("lives_at_once.py")).env("LD_PRELOAD", library);
            command
        });
        assert_eq!(outcome.record()["packages"].as_array().unwrap().len(), 6, "{:?}", outcome.records);
    }
}

#[test]
fn what_a_look_up_takes_away_is_not_looked_at_again() {
    let code = "
import sys, types, gc
class Key:
    def __hash__(self): return hash('__file__')
    def __eq__(self, other):
        sys.modules.pop('victim', None); globals().pop('victim', None); gc.collect(); return False
victim = types.ModuleType('victim'); victim.__dict__[Key()] = 1; sys.modules['victim'] = victim
for number in range(50):
    other = types.ModuleType('other%d' % number); other.__file__ = '/x'; sys.modules['other%d' % number] = other
";
    run(SITE, &[("PYTHONMALLOC", "debug")], &["-c", code]).record();
}

#[test]
fn a_limit_on_file_sizes_brings_no_signal() {
    let Some((library, home)) = libpython(python()) else { return };
    let (_folder, program) = build("fork_between_lives", Some(&library));
    let folder = tempfile::tempdir().unwrap();
    let site = SITE.replace("udp://{receiver}", &format!("file://{}/records", folder.path().display()));
    let outcome = under(&site, PACKAGES, |library| {
        let mut command = bare("bash");
        command.args(["-c", &format!("ulimit -f 0; exec env LD_PRELOAD={library} {}", program.display())]);
        command.env("PYTHONHOME", &home);
        command
    });
    assert!(outcome.output.status.success(), "{}", outcome.output.status);
}

#[test]
fn a_server_that_is_not_there_is_made_good_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let nobody = folder.path().join("nobody");
    let servers = format!("unix://{}\", \"unix://{}", nobody.display(), path.display());
    for _ in 0..8 {
        assert!(run(&SITE.replace("udp://{receiver}", &servers), &[], &["-c", "pass"]).output.status.success());
    }
    let mut buffer = [0; 4096];
    assert_eq!(std::iter::from_fn(|| socket.recv(&mut buffer).ok()).count(), 8);
}

#[test]
fn who_has_opted_out_stays_so_whatever_becomes_of_the_environment() {
    let code = "import os, sys; os.environ.pop('CUSTOMS_OPT_OUT'); os.confstr('CS_GNU_LIBPTHREAD_VERSION'); \
                [None for _ in range(100000)]; print('atexit' in sys.modules)";
    let outcome = run(SITE, &[("CUSTOMS_OPT_OUT", "1")], &["-S", "-c", code]);
    assert_eq!(outcome.output.stdout, b"False\n");
    assert_eq!(outcome.records.len(), 0);
}

#[test]
fn a_libpython_that_was_unloaded_is_not_called() {
    for version in ["3.6", "3.8", "3.11", "3.13"] {
        let Some((library, home)) = hosts::pyenv(version).and_then(|python| libpython(&python)) else { continue };
        let (_folder, program) = build("unload", None);
        let outcome = trial(&program, &home, &[&library]);
        assert_eq!(outcome.record()["packages"], serde_json::json!(["json", "json.decoder"]), "{version}");
    }
}
