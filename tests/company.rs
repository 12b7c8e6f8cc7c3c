//! What else is in the process, and what is around it: other preloaded tools, limits, tracers, checkers, sandboxes,
//! secure execution, 32-bit programs. Each run is compared with the same one without the library, and exactly the
//! records that are due must come.

use crate::harm::SECCOMP;
use crate::support::hosts;
use crate::support::library::{Library, RUN, site};
use crate::support::receiver::Receiver;
use crate::support::trial::{PACKAGES, bare, python};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";
/// Debian's, which everybody may execute.
const DEBIAN: &str = "/usr/bin/python3.11";
/// Runs before each ending.
const IMPORTS: &str = "import os, sys, signal, json\n";

/// How Python code ends, and `exit` of each record that is expected, in order.
type Ending = (&'static str, &'static [&'static str]);

const ENDINGS: [Ending; 9] = [
    ("print('last line')", &["normal"]),
    ("raise ValueError", &["normal"]),
    ("os._exit(5)", &["os_exit"]),
    ("os.abort()", &["abort"]),
    ("os.kill(os.getpid(), signal.SIGTERM); signal.pause()", &["signal:TERM"]),
    ("os.execv('/bin/echo', ['echo', 'on'])", &["exec"]),
    ("pid = os.fork()\nif pid == 0: os._exit(7)\nprint(os.waitpid(pid, 0)[1])", &["normal"]),
    ("pid = os.fork()\nif pid == 0: import sqlite3; sys.exit(7)\nprint(os.waitpid(pid, 0)[1])", &["normal", "normal"]),
    (
        "import threading; threads = [threading.Thread(target=json.dumps, args=([0] * 9999,)) for _ in range(8)]\n\
         for thread in threads: thread.start()\n\
         os._exit(3)",
        &["os_exit"],
    ),
];

/// A library, a receiver, and what it is to receive.
struct Company {
    /// Everybody may look into it.
    folder: TempDir,
    library: String,
    receiver: Receiver,
    expected: Vec<(String, Vec<String>)>,
}

impl Company {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let receiver = Receiver::open();
        Library::compile(&site(receiver.address()), PACKAGES).copy_to(folder.path());
        let library = folder.path().join("libcustoms.so").to_str().unwrap().to_string();
        Company { folder, library, receiver, expected: Vec::new() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_string()
    }

    /// Makes `name` of C code.
    fn compile(&self, compiler: &str, name: &str, options: &[&str], code: &str) -> String {
        let path = self.path(name);
        let mut command = Command::new(compiler);
        command.args(options).args(["-o", &path, "-x", "c", "-"]).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(code.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{command:?}");
        path
    }

    /// Runs what `prepare` makes of the library's path, or of "" for the run without it. Both must end and say the same.
    fn compare(&mut self, name: &str, exits: &[&str], prepare: impl Fn(&str) -> Command) -> Output {
        let plain = self.output(prepare(""));
        let under = self.expect(name, exits, prepare(&self.library));
        assert_eq!(seen(&plain), seen(&under), "{name}: without the library, and under it");
        under
    }

    /// Runs a command whose records' `exit` must be these.
    fn expect(&mut self, name: &str, exits: &[&str], mut command: Command) -> Output {
        command.env(RUN, self.expected.len().to_string());
        self.expected.push((name.to_string(), exits.iter().map(|exit| exit.to_string()).collect()));
        self.output(command)
    }

    /// Runs it; what hangs is killed, and is then seen to end in another way.
    fn output(&self, mut command: Command) -> Output {
        command.current_dir(self.folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let (pid, (ended, is_running)) = (child.id().to_string(), mpsc::channel::<()>());
        thread::spawn(move || {
            if is_running.recv_timeout(Duration::from_secs(90)) == Err(RecvTimeoutError::Timeout) {
                let _ = Command::new("kill").args(["-s", "KILL", &pid]).status();
            }
        });
        let output = child.wait_with_output().unwrap();
        drop(ended);
        output
    }

    /// Compares what came with what was expected, and returns it.
    fn close(self) -> Vec<Value> {
        let records = self.receiver.close();
        for (number, (name, exits)) in self.expected.iter().enumerate() {
            let number = number.to_string();
            let own: Vec<_> = records.iter().filter(|record| record["job_id"] == *number).collect();
            let came: Vec<_> = own.iter().map(|record| record["exit"].as_str().unwrap()).collect();
            assert_eq!(&came, exits, "{name}: {own:?}");
            let has_json = |record: &&Value| record["packages"].as_array().unwrap().contains(&Value::from("json"));
            assert!(own.iter().all(has_json), "{name}: {own:?}");
        }
        assert_eq!(records.len(), self.expected.iter().map(|(_, exits)| exits.len()).sum::<usize>(), "{records:?}");
        records
    }
}

/// What must be the same.
fn seen(output: &Output) -> (Option<i32>, Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), output.status.signal(), text(&output.stdout), text(&output.stderr))
}

/// `python -B -c CODE` with `preloaded`, of which those that are empty are left out.
fn snippet(python: &str, code: &str, preloaded: &[&str]) -> Command {
    let mut command = bare(python);
    command.args(["-B", "-c", &format!("{IMPORTS}{code}")]).env("PYTHONHASHSEED", "0");
    preload(command, preloaded)
}

fn preload(mut command: Command, objects: &[&str]) -> Command {
    let objects: Vec<_> = objects.iter().copied().filter(|object| !object.is_empty()).collect();
    if !objects.is_empty() {
        command.env("LD_PRELOAD", objects.join(":"));
    }
    command
}

/// Interpreters that differ: libpython is shared or static, `_signal` is initialised in one step or in two.
fn pythons() -> Vec<String> {
    hosts::pyenv("3.8").into_iter().chain(hosts::is_here(DEBIAN, "debian").then(|| DEBIAN.to_string())).collect()
}

/// Waits until `condition` holds.
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what} did not come");
        thread::sleep(Duration::from_millis(10));
    }
}

// Other preloaded objects

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
            // Of these it does not hear; `/bin/echo` has the other's line.
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

// The loader and the limits

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

// Tracers and checkers

/// A Python that has said that it is ready and waits for the signal that ends it.
fn start_waiting(company: &Company, number: usize, python: &str, library: &str) -> Child {
    let code = "import time; print('ready', flush=True)\nfor _ in range(9000): time.sleep(0.01)";
    let mut command = snippet(python, code, &[library]);
    command.env(RUN, number.to_string()).current_dir(company.folder.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

/// The process that traces `child`, or 0.
fn tracer(child: &Child) -> u32 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    line.unwrap().trim().parse().unwrap()
}

fn send(signal: &str, process: &Child) {
    assert!(Command::new("kill").args(["-s", signal, &process.id().to_string()]).status().unwrap().success());
}

/// A tracer of `child`, once it traces.
fn attach(child: &Child, program: &str, arguments: &[&str]) -> Child {
    let pid = child.id().to_string();
    let arguments = arguments.iter().map(|argument| argument.replace("{pid}", &pid));
    let mut command = bare(program);
    let tracing = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("a tracer", || tracer(child) != 0);
    tracing
}

const STRACE: [&str; 6] = ["-f", "-q", "-o", "/dev/null", "-p", "{pid}"];
const GDB: [&str; 10] = [
    "-batch",
    "-nx",
    "-p",
    "{pid}",
    "-ex",
    "handle SIGTERM nostop noprint pass",
    "-ex",
    "handle SIGINT nostop",
    "-ex",
    "continue",
];

fn can_trace() -> bool {
    hosts::is_here("/usr/bin/strace", "tools") && hosts::is_here("/usr/bin/gdb", "gdb")
}

#[test]
fn a_process_that_is_traced_from_its_start_reports_as_ever() {
    let mut company = Company::new();
    for (code, exits) in ENDINGS.into_iter().filter(|_| can_trace()) {
        company.compare(code, exits, |library| {
            let mut command = bare("strace");
            command.args(["-f", "-q", "-o", "/dev/null", "-E", &format!("LD_PRELOAD={library}")]);
            command.args([python(), "-B", "-c", &format!("{IMPORTS}{code}")]);
            command
        });
    }
    company.close();
}

#[test]
fn a_tracer_that_comes_and_maybe_goes_changes_neither_death_nor_report() {
    if !can_trace() {
        return;
    }
    let mut company = Company::new();
    for python in pythons() {
        for (program, arguments) in [("strace", &STRACE[..]), ("gdb", &GDB[..])] {
            for stays in [true, false] {
                let number = company.expected.len();
                company
                    .expected
                    .push((format!("{python}, {program}, stays: {stays}"), vec!["signal:TERM".to_string()]));
                let [plain, under] = ["", &company.library].map(|library| {
                    let child = start_waiting(&company, number, &python, library);
                    let mut tracing = if stays || program == "strace" {
                        attach(&child, program, arguments)
                    } else {
                        // Detaches by itself.
                        let pid = child.id().to_string();
                        bare("gdb")
                            .args(["-batch", "-nx", "-p", &pid])
                            .stdout(Stdio::piped())
                            .stderr(Stdio::null())
                            .spawn()
                            .unwrap()
                    };
                    if !stays {
                        if program == "strace" {
                            send("INT", &tracing);
                        }
                        tracing.wait().unwrap();
                        wait_until("the tracer's leave", || tracer(&child) == 0);
                    }
                    send("TERM", &child);
                    let output = child.wait_with_output().unwrap();
                    let mut told = String::new();
                    tracing.stdout.take().unwrap().read_to_string(&mut told).unwrap();
                    tracing.wait().unwrap();
                    assert_eq!(stays && program == "gdb", told.contains("terminated with signal SIGTERM"), "{told}");
                    seen(&output)
                });
                assert_eq!((plain.1, &plain), (Some(15), &under), "{python}, {program}");
            }
        }
    }
    company.close();
}

#[test]
fn a_debugger_steps_through_the_end_of_a_process() {
    if !can_trace() || !hosts::is_here(DEBIAN, "debian") {
        return;
    }
    let mut company = Company::new();
    for (code, exits, steps, told) in [
        ("os._exit(5)", ["os_exit"], "stepi 200", "exited with code 05]"),
        ("os._exit(5)", ["os_exit"], "next 9", "exited with code 05]"),
        ("os.abort()", ["abort"], "stepi 200", "Program received signal SIGABRT"),
    ] {
        let mut command = bare("gdb");
        let preload = format!("set exec-wrapper env LD_PRELOAD={} {RUN}={}", company.library, company.expected.len());
        command.args(["-batch", "-nx", "-ex", "set breakpoint pending on", "-ex", &preload]);
        command.args(["-ex", "break _exit", "-ex", "break abort", "-ex", "run", "-ex", steps, "-ex", "delete"]);
        command.args(["-ex", "continue", "--args", DEBIAN, "-B", "-c", &format!("{IMPORTS}{code}")]);
        let output = company.expect(&format!("{code}, {steps}"), &exits, command);
        let all = String::from_utf8_lossy(&output.stdout);
        assert!(all.contains("Breakpoint ") && all.contains(told), "{output:?}");
    }
    company.close();
}

#[test]
fn valgrind_finds_no_error() {
    if !hosts::is_here("/usr/bin/valgrind", "company") || !hosts::is_here(DEBIAN, "debian") {
        return;
    }
    let mut company = Company::new();
    let mut command = bare("valgrind");
    command.args(["--error-exitcode=9", "-q", DEBIAN, "-S", "-c", IMPORTS]);
    let command = preload(command, &[&company.library]);
    let output = company.expect("valgrind", &["normal"], command);
    assert_eq!(seen(&output), (Some(0), None, String::new(), String::new()));
    company.close();
}

const HELLO: &str = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 3; }";

#[test]
fn an_address_sanitizer_program_dies_under_any_preloaded_object_and_there_are_ways_out() {
    let company = Company::new();
    let program = company.compile("gcc", "sanitized", &["-fsanitize=address"], HELLO);
    let empty = company.compile("gcc", "empty.so", &["-shared", "-fPIC", "-nostdlib"], "");
    let runtime = Command::new("gcc").arg("-print-file-name=libasan.so").output().unwrap().stdout;
    let runtime = fs::canonicalize(String::from_utf8(runtime).unwrap().trim()).unwrap();
    let answer = |preloaded: &[&str], options: &str| {
        let mut command = preload(bare(&program), preloaded);
        command.env("ASAN_OPTIONS", options);
        let mut answer = seen(&company.output(command));
        // Its messages begin with the process's number.
        answer.3 = answer.3.trim_start_matches(|letter: char| letter == '=' || letter.is_ascii_digit()).to_string();
        answer
    };
    let plain = answer(&[], "");
    assert_eq!((plain.0, plain.2.as_str(), plain.3.as_str()), (Some(3), "hello\n", ""));
    let dead = answer(&[&company.library], "");
    assert_eq!((dead.0, dead.2.as_str()), (Some(1), ""));
    assert!(dead.3.starts_with("ASan runtime does not come first in initial library list"), "{}", dead.3);
    assert_eq!(dead, answer(&[&empty], ""), "an object with nothing in it");
    assert_eq!(plain, answer(&[&company.library], "verify_asan_link_order=0"));
    assert_eq!(plain, answer(&[runtime.to_str().unwrap(), &company.library], ""));
    // A Python that is to load a module built so is started in the same way.
    let mut company = company;
    for (code, exits) in ENDINGS {
        company.compare(code, exits, |library| {
            let mut command = snippet(python(), code, &[runtime.to_str().unwrap(), library]);
            command.env("ASAN_OPTIONS", "detect_leaks=0");
            command
        });
    }
    company.close();
}

#[test]
fn the_other_sanitizers_do_not_notice() {
    let mut company = Company::new();
    for kind in ["undefined", "thread", "leak"] {
        let program = company.compile("gcc", kind, &[&format!("-fsanitize={kind}")], HELLO);
        let output = company.compare(kind, &[], |library| preload(bare(&program), &[library]));
        assert_eq!(output.stdout, b"hello\n", "{output:?}");
    }
    // Clang's runtime is part of the program, and does not ask who comes first.
    if hosts::is_here("/usr/bin/clang-14", "company") {
        let program = company.compile("clang-14", "clang", &["-fsanitize=address"], HELLO);
        let output = company.compare("clang", &[], |library| preload(bare(&program), &[library]));
        assert_eq!(output.stdout, b"hello\n", "{output:?}");
    }
    company.close();
}

// Secure execution, sandboxes, and the other word size

/// Makes `copy` of a program, which runs as a user who owns nothing else. So it is not root's, and yet privileged.
fn copy_setuid(program: &str, copy: &Path) {
    fs::copy(program, copy).unwrap();
    chown(copy, Some(4242), None).unwrap();
    fs::set_permissions(copy, fs::Permissions::from_mode(0o4755)).unwrap();
}

#[test]
fn a_setuid_program_is_not_entered() {
    if !hosts::is_root("a setuid program") || !hosts::is_here(DEBIAN, "debian") {
        return;
    }
    let mut company = Company::new();
    copy_setuid("/usr/bin/grep", &company.folder.path().join("grep"));
    copy_setuid(DEBIAN, &company.folder.path().join("python"));
    let [grep, python] = ["grep", "python"].map(|name| company.path(name));
    let code = "print(os.geteuid(), 'libcustoms' in open('/proc/self/maps').read())";
    let user = |program: &str, arguments: &[&str], library: &str| {
        let mut command = bare("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", program]).args(arguments);
        preload(command, &[library])
    };
    let output = company.compare("grep", &[], |library| user(&grep, &["-c", "libcustoms", "/proc/self/maps"], library));
    assert_eq!(output.stdout, b"0\n");
    let code = format!("{IMPORTS}{code}");
    let output = company.compare("setuid", &[], |library| user(&python, &["-c", &code], library));
    assert_eq!(output.stdout, b"4242 False\n", "{output:?}");
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let output = company.expect("not setuid", &["normal"], user(&python, &["-c", &code], &company.library));
    assert_eq!(output.stdout, b"65534 True\n", "{output:?}");
    company.close();
}

#[test]
fn a_setuid_program_that_is_entered_by_ld_so_preload_is_not_touched() {
    let root = hosts::cache().join("trixie");
    if !hosts::is_root("a mount namespace")
        || !hosts::is_here(&format!("{}/usr/bin/python3.13", root.display()), "trixie")
    {
        return;
    }
    let mut company = Company::new();
    // In a root of its own, with an /etc of its own, in a mount namespace of its own: nothing else may see that file.
    let folder = tempfile::tempdir_in(root.join("tmp")).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let inside = Path::new("/").join(folder.path().strip_prefix(&root).unwrap()).to_str().unwrap().to_string();
    fs::copy(&company.library, folder.path().join("libcustoms.so")).unwrap();
    copy_setuid(root.join("usr/bin/python3.13").to_str().unwrap(), &folder.path().join("python"));
    let line = "mount -t tmpfs none \"$0/etc\" && mount --bind /proc \"$0/proc\" && echo \"$1\" > \"$0/etc/ld.so.preload\" &&\n\
                shift && exec chroot --userspec=65534:65534 \"$0\" \"$@\"";
    let code = "print(os.geteuid(), 'libcustoms' in open('/proc/self/maps').read(), end=' ')\n\
                import atexit; print(atexit._ncallbacks())";
    let in_root = |library: &str, python: &str, end: &str| {
        let mut command = bare("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", line]).arg(&root).arg(library);
        command.args([python, "-c", &format!("{IMPORTS}{code}\nsys.stdout.flush(); {end}")]);
        command
    };
    let preloaded = format!("{inside}/libcustoms.so");
    let setuid = format!("{inside}/python");
    for (end, exits, status) in [
        ("pass", &["normal"][..], (Some(0), None)),
        ("os._exit(5)", &["os_exit"], (Some(5), None)),
        ("os.abort()", &["abort"], (None, Some(6))),
        ("os.kill(os.getpid(), 15)", &["signal:TERM"], (None, Some(15))),
    ] {
        let output = company.expect(end, &[], in_root(&preloaded, &setuid, end));
        let expected = (status.0, status.1, "4242 True 0\n".to_string(), String::new());
        assert_eq!(seen(&output), expected, "{end}");
        let output = company.expect(end, exits, in_root(&preloaded, "/usr/bin/python3.13", end));
        assert_eq!(output.stdout, b"65534 True 1\n", "{end}: {output:?}");
    }
    company.close();
}

#[test]
fn a_32_bit_program_is_as_ever_but_for_one_line_and_without_it_beside_a_32_bit_object() {
    let root = hosts::cache().join("i386");
    if !hosts::is_root("a root") || !hosts::is_here(&format!("{}/usr/bin/python3", root.display()), "i386") {
        return;
    }
    let mut company = Company::new();
    let folder = tempfile::tempdir_in(root.join("tmp")).unwrap();
    let inside = Path::new("/").join(folder.path().strip_prefix(&root).unwrap()).to_str().unwrap().to_string();
    fs::copy(&company.library, folder.path().join("libcustoms.so")).unwrap();
    // $LIB in both: what Debian's loaders make of it (ld.so(8)).
    let [narrow, wide] = [folder.path().join("lib/i386-linux-gnu"), company.folder.path().join("lib/x86_64-linux-gnu")];
    for folder in [&narrow, &wide] {
        fs::create_dir_all(folder).unwrap();
    }
    let empty = company.compile("gcc", "empty.so", &["-m32", "-shared", "-fPIC", "-nostdlib"], "");
    fs::copy(empty, narrow.join("libcustoms.so")).unwrap();
    fs::copy(&company.library, wide.join("libcustoms.so")).unwrap();

    let complaint = format!(
        "ERROR: ld.so: object '{inside}/libcustoms.so' from LD_PRELOAD cannot be preloaded (wrong ELF class: \
         ELFCLASS64): ignored.\n"
    );
    for arguments in
        [&["echo", "on"][..], &["false"], &["python3", "-c", "import os; print(1, flush=True); os._exit(4)"]]
    {
        let [plain, under, beside] = ["", "libcustoms.so", "$LIB/libcustoms.so"].map(|object| {
            let mut command = bare("chroot");
            command.arg(&root).arg("/usr/bin/env");
            if !object.is_empty() {
                command.arg(format!("LD_PRELOAD={inside}/{object}"));
            }
            command.args(arguments);
            seen(&company.expect(arguments[0], &[], command))
        });
        assert_eq!((plain.0, plain.1, plain.2.clone(), plain.3.clone() + &complaint), under, "{arguments:?}");
        assert_eq!(plain, beside, "{arguments:?}");
    }
    let [pattern, code] = [company.path("$LIB/libcustoms.so"), "print(1)".to_string()];
    let output = company.expect("64 bits", &["normal"], snippet(python(), &code, &[&pattern]));
    assert_eq!(output.stderr, b"");
    // No loader, no line.
    let code = "void _start(void) { __asm__ volatile(\"int $0x80\" :: \"a\"(1), \"b\"(7)); }";
    let program = company.compile("gcc", "static", &["-m32", "-static", "-nostdlib", "-fno-pie", "-no-pie"], code);
    let output = company.compare("static", &[], |library| preload(bare(&program), &[library]));
    assert_eq!(output.status.code(), Some(7));
    company.close();
}

#[test]
fn a_sandbox_that_kills_for_a_socket_needs_the_opt_out() {
    // docs/TRUST.md, "Seccomp": nothing tells what a filter that was there before Python does.
    let company = Company::new();
    let start = "import os, sys; os.execve(sys.argv[1], sys.argv[1:], dict(os.environ, LD_PRELOAD=sys.argv[-1]))";
    let launcher = SECCOMP.replace("ACTION", "0x80000000").replace("print('locked in')", start);
    let answer = |library: &str, opted_out: &str| {
        let mut command = bare("prlimit");
        command.args(["--core=0", python(), "-c", &launcher, python(), "-c", "print(1, flush=True)", library]);
        command.env("HOME", "/"); // or Python asks libc for it, which asks a daemon by a socket
        command.env("CUSTOMS_OPT_OUT", opted_out);
        seen(&company.output(command))
    };
    let plain = answer("", "");
    assert_eq!(plain, (Some(0), None, "1\n".to_string(), String::new()));
    assert_eq!(answer(&company.library, ""), (None, Some(31), "1\n".to_string(), String::new()));
    assert_eq!(answer(&company.library, "1"), plain);
    company.close();
}
