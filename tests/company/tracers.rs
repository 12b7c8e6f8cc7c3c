//! Tracers and debuggers; valgrind and the sanitizers.

use super::{Company, DEBIAN, ENDINGS, IMPORTS, preload, pythons, seen, snippet};
use crate::support::hosts;
use crate::support::library::RUN;
use crate::support::trial::{bare, python};
use crate::support::wait::wait_for;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

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
    wait_for("a tracer", || (tracer(child) != 0).then_some(()));
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
                        wait_for("the tracer's leave", || (tracer(&child) == 0).then_some(()));
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
