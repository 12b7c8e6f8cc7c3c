//! The library for aarch64 holds the contract and reports, in an emulated machine: no real one is at hand.

use crate::support::hosts;
use crate::support::library::Library;
use crate::support::receiver::Receiver;
use crate::support::trial::{PACKAGES, SITE, bare};
use object::LittleEndian as Little;
use object::elf::{DT_NEEDED, DT_VERNEED, PT_LOAD};
use object::read::elf::{ElfFile64, ProgramHeader, Sym};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "aarch64-unknown-linux-gnu";

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_string()
}

/// The root in which an aarch64 Python lies, if everything is here.
fn root() -> Option<PathBuf> {
    let root = hosts::cache().join("aarch64");
    let standard_library = output(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]));
    let needed = [root.join("usr/bin/python3.13"), "/usr/bin/qemu-aarch64".into(), standard_library.into()];
    if let Some(missing) = needed.iter().find(|path| !path.exists()) {
        println!("not here: no {} (tests/hosts/install aarch64, which is optional)", missing.display());
        return None;
    }
    Some(root)
}

/// Builds the library for aarch64, as the command's build does for its own machine.
fn build() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aarch64");
    let tools = output(Command::new("rustc").args(["--print", "sysroot"]));
    let host = output(Command::new("rustc").args(["--print", "host-tuple"]));
    let lld = format!("-Clink-arg=-fuse-ld=lld -Clink-arg=-B{tools}/lib/rustlib/{host}/bin/gcc-ld");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["build", "--locked", "--package", "customs-preload", "--profile", "preload"]);
    cargo.args(["--features", "freestanding", "--target", TARGET, "--target-dir"]).arg(&folder);
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("RUSTC_WORKSPACE_WRAPPER");
    cargo.env("RUSTFLAGS", format!("-Ctarget-feature=-outline-atomics {lld}"));
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc");
    output(&mut cargo);
    folder.join(TARGET).join("preload/libcustoms.so")
}

#[test]
fn an_emulated_aarch64_python_is_reported_however_it_ends() {
    let Some(root) = root() else { return };
    let pristine = build();
    let bytes = fs::read(&pristine).unwrap();
    let elf = ElfFile64::<Little>::parse(bytes.as_slice()).unwrap();
    let tags: Vec<_> = elf.elf_dynamic_table().unwrap().iter().map(|entry| entry.tag).collect();
    assert!(!tags.contains(&DT_NEEDED) && !tags.contains(&DT_VERNEED), "it needs a library, or a version of one");
    assert!(elf.elf_program_headers().iter().filter(|header| header.p_type(Little) == PT_LOAD).count() <= 3);
    let undefined = |symbol: &&object::elf::Sym64<Little>| symbol.is_undefined(Little) && symbol.st_name(Little) != 0;
    assert!(elf.elf_dynamic_symbol_table().iter().filter(undefined).all(|symbol| symbol.is_weak()));

    let receiver = Receiver::open();
    let here = Library::compile(&SITE.replace("{receiver}", &receiver.address().to_string()), PACKAGES);
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libcustoms.so");
    let site = folder.path().join("site.toml");
    fs::write(&site, output(Command::new(env!("CARGO_BIN_EXE_customs")).arg("inspect").arg(here.path()))).unwrap();
    let mut compile = Command::new(env!("CARGO_BIN_EXE_customs"));
    compile.arg("compile").arg(&site).arg("--library").arg(&pristine).arg("--output").arg(&library);
    output(&mut compile);

    let run = |code: &str, preload: bool| {
        let mut command = bare("qemu-aarch64");
        command.arg("-L").arg(&root);
        if preload {
            command.arg("-E").arg(format!("LD_PRELOAD={}", library.display()));
        }
        command.arg(root.join("usr/bin/python3.13")).args(["-c", code]).output().unwrap()
    };
    let endings = [
        ("normal", "pass"),
        ("normal", "sys.exit(3)"),
        ("os_exit", "os._exit(4)"),
        ("abort", "os.abort()"),
        ("signal:TERM", "os.kill(os.getpid(), 15); time.sleep(9)"),
        ("exec", "os.execv('/bin/true', ['true'])"),
    ];
    for (_, end) in endings {
        let code = format!("import os, sys, time, sqlite3, json\n{end}");
        let (plain, under) = (run(&code, false), run(&code, true));
        assert_eq!((under.status, &under.stdout), (plain.status, &plain.stdout), "{end}: {under:?}");
    }
    run("import os, json\nif os.fork() == 0:\n    import sqlite3; raise SystemExit\nos.wait()", true);
    let records = receiver.close();
    let exits: Vec<_> = records.iter().map(|record| record["exit"].as_str().unwrap()).collect();
    let expected: Vec<_> = endings.iter().map(|(exit, _)| *exit).chain(["normal", "normal"]).collect();
    assert_eq!(exits, expected, "{records:?}");
    for record in &records[..endings.len()] {
        let found = [json!(["sqlite3", "json", "json.decoder"]), json!(["json", "json.decoder", "sqlite3"])];
        assert!(found.contains(&record["packages"]), "{record}");
    }
    let [child, parent] = &records[endings.len()..] else { unreachable!() };
    assert_eq!(child["parent"], parent["id"]);
}
