//! Other preloaded objects: allocators, tools that lie to a program, one that counts its calls.

use super::{Company, DEBIAN, ENDINGS, IMPORTS, preload, pythons, snippet};
use crate::support::hosts;
use crate::support::trial::{bare, python};
use std::fs;
use std::path::Path;
use std::process::Command;

const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";

#[test]
fn an_allocator_before_or_behind_changes_no_end_and_no_report() {
    let mut company = Company::new();
    for allocator in ["libjemalloc.so.2", "libtcmalloc_minimal.so.4"] {
        let allocator = format!("{LIBRARIES}/{allocator}");
        if !hosts::is_here(&allocator, "company") {
            continue;
        }
        for python in pythons() {
            for (code, exits) in ENDINGS {
                company.compare(&format!("{allocator}, {python}, {code}"), exits, |library| {
                    snippet(&python, code, &[&allocator, library])
                });
                company.compare(&format!("{python}, {allocator} behind, {code}"), exits, |library| {
                    snippet(&python, code, &[library, &allocator])
                });
            }
        }
    }
    company.close();
}

#[test]
fn tools_that_lie_to_a_program_do_so_before_or_behind() {
    let mut company = Company::new();
    for (tool, variable, code) in [
        ("faketime/libfaketime.so.1", ("FAKETIME", "2000-01-02 03:04:05"), "import time; print(time.gmtime().tm_year)"),
        ("libeatmydata.so", ("", ""), "import tempfile; file = tempfile.TemporaryFile(); print(os.fsync(file))"),
    ] {
        let tool = format!("{LIBRARIES}/{tool}");
        if !hosts::is_here(&tool, "company") {
            continue;
        }
        for behind in [false, true] {
            for (end, exits) in ENDINGS {
                let name = format!("{tool}, behind: {behind}, {end}");
                let code = format!("{code}; sys.stdout.flush()\n{end}");
                let output = company.compare(&name, exits, |library| {
                    let objects = if behind { [library, &tool] } else { [&tool, library] };
                    let mut command = snippet(python(), &code, &objects);
                    if !variable.0.is_empty() {
                        command.env(variable.0, variable.1);
                    }
                    command
                });
                let told = if variable.0.is_empty() { "None\n" } else { "2000\n" };
                assert!(String::from_utf8_lossy(&output.stdout).starts_with(told), "{name}: {output:?}");
            }
        }
    }
    for record in company.close() {
        assert!(record["start"].as_str().unwrap() > "2020", "the clock is the kernel's: {record}");
    }
}

#[test]
fn fakeroot_is_believed_by_the_program_alone() {
    if !hosts::is_root("another user's process") || !hosts::is_here("/usr/bin/fakeroot", "company") {
        return;
    }
    let mut company = Company::new();
    // It puts itself before what is preloaded already.
    let code = "print(os.getuid()); open(sys.argv[1], 'w').close(); os.chown(sys.argv[1], 12, 34)\n\
                print(os.stat(sys.argv[1]).st_uid); os.remove(sys.argv[1]); sys.stdout.flush()\n";
    for (end, exits) in ENDINGS {
        let output = company.compare(end, exits, |library| {
            let file = std::env::temp_dir().join(format!("customs-fakeroot-{}", std::process::id()));
            let mut command = bare("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "fakeroot", DEBIAN, "-B", "-c"]);
            command.arg(format!("{IMPORTS}{code}{end}")).arg(file);
            preload(command, &[library])
        });
        assert!(output.stdout.starts_with(b"0\n12\n"), "{output:?}");
    }
    for record in company.close() {
        assert_eq!(record["uid"], 65534, "{record}");
    }
}

/// What `interposer` wrote, once without the library and once under it.
struct Logs {
    plain: String,
    under: String,
}

impl Company {
    /// Runs what `prepare` makes of what is to be preloaded, with the interposer before the library or behind it.
    fn interpose(&mut self, name: &str, exits: &[&str], behind: bool, prepare: impl Fn(&[&str]) -> Command) -> Logs {
        let interposer = self.path("interposer.so");
        let [plain, under] = ["plain.log", "under.log"].map(|log| self.path(log));
        self.compare(name, exits, |library| {
            let mut command = prepare(&if behind { [library, &interposer] } else { [&interposer, library] });
            command.env("INTERPOSER_LOG", if library.is_empty() { &plain } else { &under });
            command
        });
        let [plain, under] = [plain, under].map(|log| {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let _ = fs::remove_file(&log);
            text
        });
        Logs { plain, under }
    }

    fn with_interposer() -> Self {
        let company = Company::new();
        let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/interposer.c"));
        let options = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-O1"];
        company.compile("gcc", "interposer.so", &options, &source.unwrap());
        company
    }
}

fn perl(code: &str, preloaded: &[&str]) -> Command {
    let mut command = bare("perl");
    command.args(["-MPOSIX", "-e", code]);
    preload(command, preloaded)
}

#[test]
fn a_tool_that_counts_calls_counts_the_same_where_the_library_is_last() {
    let mut company = Company::with_interposer();
    for python in pythons() {
        for (code, exits) in ENDINGS {
            let logs = company
                .interpose(&format!("{python}, {code}"), exits, false, |preloaded| snippet(&python, code, preloaded));
            assert_eq!(logs.plain, logs.under, "{python}, {code}");
            // It hears of no signal, nor of an exec; but `/bin/echo` writes a line of its own.
            assert_eq!(logs.plain.is_empty(), code.contains("SIGTERM"), "{python}, {code}");
        }
    }
    for code in ["print 1", "POSIX::_exit(3)", "POSIX::abort()", "kill 15, $$"] {
        let logs = company.interpose(code, &[], false, |preloaded| perl(code, preloaded));
        assert_eq!(logs.plain, logs.under, "{code}");
    }
    company.close();
}

#[test]
fn a_tool_behind_the_library_is_passed_by_only_where_that_is_documented() {
    // docs/ENDINGS.md, "_exit, _Exit and abort", says: at `abort` everywhere, at `_exit` where there is no Python.
    let mut company = Company::with_interposer();
    for python in pythons() {
        for (code, exits) in ENDINGS {
            let logs = company
                .interpose(&format!("{python}, {code}"), exits, true, |preloaded| snippet(&python, code, preloaded));
            let expected = if code.contains("abort") { String::new() } else { without_confstr(&logs.plain) };
            assert_eq!(without_confstr(&logs.under), expected, "{python}, {code}");
        }
    }
    for (code, is_passed_by) in
        [("print 1", false), ("POSIX::_exit(3)", true), ("POSIX::abort()", true), ("kill 15, $$", false)]
    {
        let logs = company.interpose(code, &[], true, |preloaded| perl(code, preloaded));
        let expected = if is_passed_by { String::new() } else { without_confstr(&logs.plain) };
        assert_eq!(without_confstr(&logs.under), expected, "{code}");
    }
    company.close();
}

/// The library's `confstr` calls glibc's own way to it, and not the next definition.
fn without_confstr(log: &str) -> String {
    log.lines().map(|line| line.split(" confstr").next().unwrap().to_string() + "\n").collect()
}
