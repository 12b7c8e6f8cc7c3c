//! What a command is, from its file alone: enough to say why the library cannot work in it.

use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Object, ObjectSymbol, elf};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The file behind a command.
pub struct Program {
    /// Where it lies; of a script, its interpreter.
    pub path: PathBuf,
    /// What it is.
    pub nature: Nature,
    /// setuid or setgid: the loader ignores LD_PRELOAD (ld.so(8), "secure-execution mode").
    pub privileged: bool,
    /// It needs gcc's AddressSanitizer, which does not start behind an object that is preloaded.
    pub sanitized: bool,
    /// Its loader is musl's.
    pub musl: bool,
}

/// What a file is to the loader.
#[derive(Debug, PartialEq, Eq)]
pub enum Nature {
    /// Not there, or not readable.
    Unknown,
    /// Not ELF.
    NotElf,
    /// ELF of another word size or machine than ours.
    Foreign,
    /// ELF without an interpreter: nothing is ever loaded into it.
    Static,
    /// What the library can be loaded into; whether it is or uses Python itself.
    Dynamic {
        /// It defines or imports CPython's functions.
        python: bool,
    },
}

/// Scripts that start scripts: as many as Linux follows (execve(2)).
const MAX_SCRIPTS: usize = 4;

impl Program {
    /// The program that `command` starts.
    pub fn find(command: &OsStr) -> Program {
        Program::behind(resolve(command))
    }

    /// The program that this file, a script perhaps, starts.
    pub fn behind(mut path: PathBuf) -> Program {
        let mut bytes = fs::read(&path).ok();
        for _ in 0..MAX_SCRIPTS {
            let Some(interpreter) = bytes.as_deref().and_then(interpreter) else { break };
            path = resolve(&interpreter);
            bytes = fs::read(&path).ok();
        }
        let nature = bytes.as_deref().map_or(Nature::Unknown, nature);
        let privileged = fs::metadata(&path).is_ok_and(|found| found.permissions().mode() & 0o6000 != 0);
        let [sanitized, musl] = bytes.as_deref().map_or([false; 2], |bytes| {
            let needed = needed(bytes);
            ["libasan.so", "libc.musl-"].map(|start| needed.iter().any(|name| name.starts_with(start)))
        });
        let musl = musl || bytes.as_deref().is_some_and(has_musls_loader);
        Program { path, nature, privileged, sanitized, musl }
    }

    /// Why nothing is reported from it itself, as far as its file tells.
    pub fn refusal(&self) -> Option<String> {
        let path = self.path.display();
        if self.privileged {
            return Some(format!("{path} runs with other rights than yours, and the loader then ignores LD_PRELOAD"));
        }
        match self.nature {
            Nature::Static => {
                Some(format!("{path} is a static program: no loader runs, and nothing can be loaded into it"))
            }
            Nature::Foreign => Some(format!("{path} is built for another word size or machine than libcustoms.so")),
            Nature::NotElf | Nature::Unknown => Some(format!("{path} cannot be read as a program")),
            Nature::Dynamic { python: false } => {
                Some(format!("{path} is not Python, and it started no Python that reported"))
            }
            Nature::Dynamic { python: true } => None,
        }
    }
}

/// The names of the libraries that it needs (`DT_NEEDED`).
fn needed(bytes: &[u8]) -> Vec<String> {
    let names = |bytes| {
        let header = elf::FileHeader64::<object::Endianness>::parse(bytes).ok()?;
        let endian = header.endian().ok()?;
        let sections = header.sections(endian, bytes).ok()?;
        let (entries, strings) = sections.dynamic(endian, bytes).ok()??;
        let strings = sections.strings(endian, bytes, strings).ok()?;
        let needed = entries.iter().filter(|entry| entry.tag(endian) == elf::DT_NEEDED);
        let names = needed.filter_map(|entry| strings.get(entry.val32(endian)?).ok());
        Some(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    };
    names(bytes).unwrap_or_default()
}

/// Whether `PT_INTERP` names musl's loader, as musl itself calls it.
fn has_musls_loader(bytes: &[u8]) -> bool {
    let interpreter = |bytes| {
        let header = elf::FileHeader64::<object::Endianness>::parse(bytes).ok()?;
        let endian = header.endian().ok()?;
        let headers = header.program_headers(endian, bytes).ok()?;
        headers.iter().find_map(|header| header.interpreter(endian, bytes).ok()?)
    };
    interpreter(bytes).is_some_and(|path: &[u8]| path.windows(8).any(|part| part == b"ld-musl-"))
}

/// As execvp(3) does.
fn resolve(command: &OsStr) -> PathBuf {
    if command.as_bytes().contains(&b'/') {
        return PathBuf::from(command);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let executable = |file: &PathBuf| {
        fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&path).map(|folder| folder.join(command)).find(executable).unwrap_or(PathBuf::from(command))
}

/// What a `#!` line starts; of `#!/usr/bin/env python3`, python3.
fn interpreter(bytes: &[u8]) -> Option<std::ffi::OsString> {
    let line = bytes.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let first = words.next()?;
    let is_env = Path::new(OsStr::from_bytes(first)).file_name() == Some(OsStr::new("env"));
    let program = if is_env { words.find(|word| !word.starts_with(b"-")).unwrap_or(first) } else { first };
    Some(OsStr::from_bytes(program).to_os_string())
}

/// What the bytes of a file are to the loader.
pub fn nature(bytes: &[u8]) -> Nature {
    if !bytes.starts_with(&elf::ELFMAG) {
        return Nature::NotElf;
    }
    let Ok(header) = elf::FileHeader64::<object::Endianness>::parse(bytes) else { return Nature::Foreign };
    let Ok(endian) = header.endian() else { return Nature::Foreign };
    let ours = if cfg!(target_arch = "aarch64") { elf::EM_AARCH64 } else { elf::EM_X86_64 };
    if header.e_machine(endian) != ours {
        return Nature::Foreign;
    }
    let headers = header.program_headers(endian, bytes).unwrap_or_default();
    if !headers.iter().any(|header| header.p_type(endian) == elf::PT_INTERP) {
        return Nature::Static;
    }
    let python = object::read::elf::ElfFile64::<object::Endianness>::parse(bytes)
        .is_ok_and(|file| file.dynamic_symbols().any(|symbol| symbol.name().is_ok_and(|name| name.starts_with("Py"))));
    Nature::Dynamic { python }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_what_its_first_line_names() {
        for (line, expected) in [
            ("#!/bin/sh\n", Some("/bin/sh")),
            ("#! /usr/bin/python3 -E\nimport x", Some("/usr/bin/python3")),
            ("#!/usr/bin/env python3\n", Some("python3")),
            ("#!/usr/bin/env -S python3 -u\n", Some("python3")),
            ("echo", None),
        ] {
            assert_eq!(interpreter(line.as_bytes()).as_deref(), expected.map(OsStr::new), "{line}");
        }
    }

    #[test]
    fn programs_are_told_apart() {
        // `python3` itself may be pyenv's shim, a shell script.
        let python = std::process::Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
        let python = String::from_utf8(python.unwrap().stdout).unwrap();
        assert_eq!(Program::find(OsStr::new(python.trim())).nature, Nature::Dynamic { python: true });
        assert_eq!(Program::find(OsStr::new("cat")).nature, Nature::Dynamic { python: false });
        assert_eq!(Program::find(OsStr::new("/etc/passwd")).nature, Nature::NotElf);
        assert_eq!(Program::find(OsStr::new("/nowhere")).nature, Nature::Unknown);
    }
}
