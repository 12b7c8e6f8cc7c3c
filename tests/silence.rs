//! A process without Python does not notice the library: beyond what the loader does to map it, there is not one
//! system call more and no page of its own.

use crate::support::hosts;
use crate::support::library::{Library, site};
use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn library() -> Library {
    Library::compile(&site("127.0.0.1:9".parse().unwrap()), "[[package]]\nname = \"numpy\"\n")
}

/// A command in a bare environment, which is the same with the library and without.
fn bare(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).current_dir("/");
    command
}

/// A system call as strace writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    name: String,
    /// The rest of the line, with the addresses in it masked.
    rest: String,
    /// Those addresses.
    addresses: Vec<u64>,
    /// What it returned, if that is a number.
    result: Option<u64>,
}

impl Call {
    fn of(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once('(')?;
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        let words: Vec<&str> = rest.split([',', ' ', '(', ')', '=', '*', '{', '}']).collect();
        let addresses: Vec<u64> =
            words.iter().filter(|word| word.starts_with("0x")).filter_map(|word| number(word)).collect();
        let result = rest.rsplit_once("= ").and_then(|(_, result)| number(result.split(' ').next().unwrap_or_default()));
        let masked = match name {
            // The number of variables; a process id.
            "execve" | "set_tid_address" => String::new(),
            _ => rest.split("0x").map(|part| part.trim_start_matches(|digit: char| digit.is_ascii_hexdigit())).collect::<Vec<_>>().join("0x"),
        };
        Some(Call { name: name.to_string(), rest: masked, addresses, result })
    }
}

/// The system calls of a run.
fn trace(command: &[&str], library: Option<&Path>) -> (Output, Vec<Call>) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("trace");
    let mut strace = bare("strace");
    strace.args(["-q", "-s", "0", "-o"]).arg(&log);
    if let Some(library) = library {
        strace.arg(format!("--env=LD_PRELOAD={}", library.display()));
    }
    let output = strace.args(command).output().expect("strace");
    let calls = fs::read_to_string(&log).unwrap().lines().filter_map(Call::of).collect();
    (output, calls)
}

/// `calls` without those by which the loader maps `library`: open it, read its headers, map its segments, close it,
/// and protect what it has relocated.
fn without_loading(calls: &[Call], library: &Path) -> Vec<Call> {
    let path = format!("\"{}\"", library.display());
    let opened = calls.iter().position(|call| call.name.starts_with("open") && call.rest.contains(&path));
    let opened = opened.expect("the loader opens the library");
    let length = calls[opened..].iter().position(|call| call.name == "close").expect("and closes it");
    let (loading, after) = calls[opened + 1..].split_at(length);
    let kinds: BTreeSet<&str> = loading.iter().map(|call| call.name.as_str()).collect();
    let known = BTreeSet::from(["read", "pread64", "fstat", "newfstatat", "fcntl", "mmap", "close"]);
    assert!(kinds.is_subset(&known), "while it is mapped: {loading:#?}");

    let segments: Vec<Range<u64>> = loading.iter().filter(|call| call.name == "mmap").map(mapped).collect();
    let protects_ours = |call: &Call| {
        call.name == "mprotect"
            && call.rest.contains("PROT_READ)")
            && segments.iter().any(|segment| segment.contains(&call.addresses[0]))
    };
    let after = after.iter().filter(|call| !protects_ours(call));
    calls[..opened].iter().chain(after).cloned().collect()
}

/// What an mmap mapped: `mmap(address, length, …) = address`.
fn mapped(call: &Call) -> Range<u64> {
    let length: u64 = call.rest.split(", ").nth(1).unwrap().parse().unwrap();
    let start = *call.addresses.last().unwrap();
    start..start + length
}

fn assert_same_calls(command: &[&str]) {
    let library = library();
    let (without, expected) = trace(command, None);
    let (under, calls) = trace(command, Some(&library.path()));
    assert_eq!(without, under, "{command:?}");
    let calls = without_loading(&calls, &library.path());
    let difference = expected.iter().zip(&calls).find(|(one, other)| (&one.name, &one.rest) != (&other.name, &other.rest));
    assert_eq!(difference, None, "{command:?}: the first system call that differs, without the library and under it");
    let more = &calls[expected.len().min(calls.len())..];
    assert!(more.is_empty() && calls.len() == expected.len(), "{command:?}: system calls more: {more:?}");
}

/// Whether strace is here. Where `.ci/run` asks for all hosts, it must be.
fn can_trace() -> bool {
    let here = bare("strace").arg("-V").stdout(Stdio::null()).status().is_ok();
    if !here {
        println!("not here: strace (tests/hosts/install tools)");
        assert!(std::env::var_os("CUSTOMS_REQUIRE_HOSTS").is_none_or(|value| value != "1"), "strace is missing");
    }
    here
}

#[test]
fn a_process_without_python_makes_no_system_call_more() {
    if can_trace() {
        for command in [&["/bin/true"][..], &["/bin/ls", "/usr"], &["/bin/sh", "-c", "exit 3"]] {
            assert_same_calls(command);
        }
    }
}

#[test]
fn a_process_on_musl_makes_no_system_call_more() {
    for program in hosts::with_argument("musl_program") {
        if can_trace() {
            assert_same_calls(&[&program.with::<&str>(&[])[0]]);
        }
    }
}

#[test]
fn a_process_without_python_has_no_memory_of_ours() {
    const MOST: u64 = 12; // KiB: what the loader wrote when it relocated
    let library = library();
    let output = bare("cat").arg("/proc/self/smaps").env("LD_PRELOAD", library.path()).output().unwrap();
    let maps = String::from_utf8(output.stdout).unwrap();
    let mut ours = 0;
    let mut dirty = 0;
    let mut is_ours = false;
    for line in maps.lines() {
        match line.split_once(':') {
            Some(("Private_Dirty", size)) if is_ours => dirty += kib(size),
            // A mapping begins with its addresses and ends with its file.
            _ if line.as_bytes().get(8..).is_some_and(|_| line.contains(" 00:00 ") || line.contains('/')) => {
                is_ours = line.ends_with("libcustoms.so");
                ours += u64::from(is_ours);
            }
            _ => {}
        }
    }
    assert!(ours > 0, "the library is not mapped: {maps}");
    assert!(dirty <= MOST, "{dirty} KiB of private memory, {MOST} at most");
}

fn kib(size: &str) -> u64 {
    size.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}
