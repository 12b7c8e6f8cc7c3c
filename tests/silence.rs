//! A process without Python does not notice the library: beyond what the loader does to map it, there is not one
//! system call more and no memory of ours.

use crate::support::hosts;
use crate::support::library::{Library, site};
use crate::support::trial::bare;
use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Output;

fn library() -> Library {
    Library::compile(&site("127.0.0.1:9".parse().unwrap()), "[[package]]\nname = \"numpy\"\n")
}

/// A system call as strace writes it.
#[derive(Clone)]
struct Call {
    name: String,
    /// Arguments and result, with the addresses in them masked.
    rest: String,
    /// Those addresses.
    addresses: Vec<u64>,
}

impl Call {
    fn of(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once('(')?;
        let mut parts = rest.split("0x");
        let mut masked = parts.next()?.to_string();
        let mut addresses = Vec::new();
        for part in parts {
            let end = part.find(|digit: char| !digit.is_ascii_hexdigit()).unwrap_or(part.len());
            let (digits, after) = part.split_at(end);
            addresses.push(u64::from_str_radix(digits, 16).ok()?);
            masked += &format!("0x…{after}");
        }
        if let "execve" | "set_tid_address" | "getpid" | "getppid" = name {
            masked.clear(); // the number of variables; process ids
        }
        Some(Call { name: name.to_string(), rest: masked, addresses })
    }
}

/// The system calls of a run.
fn trace(command: &[&str], library: Option<&Path>) -> (Output, Vec<Call>) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("trace");
    let mut strace = bare("strace");
    strace.args(["-q", "-s", "0", "-o"]).arg(&log);
    if let Some(library) = library {
        strace.arg("-E").arg(format!("LD_PRELOAD={}", library.display()));
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
    assert!(kinds.is_subset(&known), "to map it takes {kinds:?}");

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

/// `calls` without the memory that the loader takes for its notes on all objects, which one object more can make a
/// page larger: anonymous mappings from before it has set up the main thread.
fn without_loader_memory(calls: &[Call]) -> Vec<Call> {
    let set_up = calls.iter().position(|call| call.name == "set_tid_address").expect("a main thread");
    let is_memory = |call: &Call| {
        call.name == "mmap" && call.rest.starts_with("NULL") && call.rest.contains("MAP_PRIVATE|MAP_ANONYMOUS")
    };
    let before = calls[..set_up].iter().filter(|call| !is_memory(call));
    before.chain(&calls[set_up..]).cloned().collect()
}

fn assert_same_calls(command: &[&str]) {
    let library = library();
    let (without, expected) = trace(command, None);
    let (under, calls) = trace(command, Some(&library.path()));
    assert_eq!(without, under, "{command:?}");
    let calls = without_loading(&calls, &library.path());
    let [expected, calls] = [expected, calls].map(|calls| {
        let calls = without_loader_memory(&calls);
        calls.iter().map(|call| format!("{}({}\n", call.name, call.rest)).collect::<String>()
    });
    assert!(expected == calls, "{command:?} calls without the library\n{expected}\nand under it\n{calls}");
}

fn can_trace() -> bool {
    hosts::is_here("/usr/bin/strace", "tools")
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
            assert_same_calls(&[&program.with_code(&[])[0]]);
        }
    }
}

#[test]
fn a_process_without_python_has_no_memory_of_ours() {
    const MOST: u64 = 12; // KiB: the pages that the loader wrote to when it relocated
    let library = library();
    let output = bare("cat").arg("/proc/self/smaps").env("LD_PRELOAD", library.path()).output().unwrap();
    let maps = String::from_utf8(output.stdout).unwrap();
    let (mut ours, mut dirty, mut is_ours) = (0, 0, false);
    for line in maps.lines() {
        // A mapping begins with its addresses and its file; then come lines of a name and a value. There is none of
        // ours without a file: `contract` sees to that.
        match line.split_once(": ") {
            Some(("Private_Dirty", size)) if is_ours => dirty += kib(size),
            Some(_) => {}
            None => {
                is_ours = line.ends_with("/libcustoms.so");
                ours += u32::from(is_ours);
            }
        }
    }
    assert!(ours > 0, "the library is not mapped: {maps}");
    assert!(dirty <= MOST, "{dirty} KiB of private memory, {MOST} at most");
}

fn kib(size: &str) -> u64 {
    size.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}
