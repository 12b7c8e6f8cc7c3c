//! What the loader is told to preload here: `LD_PRELOAD`, then `/etc/ld.so.preload` (ld.so(8)).

use crate::library::Library;
use anyhow::{Result, ensure};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The variable.
pub const VARIABLE: &str = "LD_PRELOAD";
/// The file.
pub const FILE: &str = "/etc/ld.so.preload";

/// What `$LIB` stands for in a 64-bit program: on Debian, on others (ld.so(8), "Dynamic string tokens").
const WIDE: [&str; 2] =
    [if cfg!(target_arch = "aarch64") { "lib/aarch64-linux-gnu" } else { "lib/x86_64-linux-gnu" }, "lib64"];
/// And in a 32-bit one.
const NARROW: [&str; 2] =
    [if cfg!(target_arch = "aarch64") { "lib/arm-linux-gnueabihf" } else { "lib/i386-linux-gnu" }, "lib"];
/// Where a name without a slash is looked for, whatever else ld.so.conf(5) says.
const USUAL: [&str; 5] = ["/lib64", "/usr/lib64", "/usr/local/lib", "/lib", "/usr/lib"];

/// An object to be preloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As it is written.
    pub text: String,
    /// Where: the variable's or the file's name.
    pub named_by: &'static str,
}

/// All of them, in the order in which they are loaded.
pub fn entries() -> Vec<Entry> {
    let variable = std::env::var_os(VARIABLE).unwrap_or_default().to_string_lossy().into_owned();
    let file = fs::read(FILE).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
    let mut entries = of_variable(&variable);
    entries.extend(of_file(&file));
    entries
}

/// Those that a value of the variable names.
pub fn of_variable(text: &str) -> Vec<Entry> {
    let names = text.split([' ', ':']).filter(|name| !name.is_empty());
    names.map(|name| Entry { text: name.to_string(), named_by: VARIABLE }).collect()
}

/// With comments (`do_preload_file` in glibc's elf/rtld.c).
fn of_file(text: &str) -> Vec<Entry> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let names = lines.flat_map(|line| line.split([' ', ':', '\t'])).filter(|name| !name.is_empty());
    names.map(|name| Entry { text: name.to_string(), named_by: FILE }).collect()
}

/// The first of them that is libcustoms.so, by its name or by what is in it.
pub fn library() -> Option<Entry> {
    entries().into_iter().find(Entry::is_ours)
}

impl Entry {
    /// The file that a program like this one loads: that is there, or the first that might be.
    pub fn path(&self) -> PathBuf {
        self.resolved(WIDE)
    }

    /// The file that a 32-bit program loads, if that is another one.
    pub fn narrow_path(&self) -> Option<PathBuf> {
        self.has_token().then(|| self.resolved(NARROW))
    }

    fn has_token(&self) -> bool {
        self.text.contains("$LIB") || self.text.contains("${LIB}")
    }

    fn resolved(&self, folders: [&str; 2]) -> PathBuf {
        let with = |folder: &str| PathBuf::from(self.text.replace("${LIB}", folder).replace("$LIB", folder));
        let candidates: Vec<PathBuf> = match (self.has_token(), self.text.contains('/')) {
            (true, _) => folders.map(with).to_vec(),
            (false, true) => vec![PathBuf::from(&self.text)],
            (false, false) => USUAL.map(|folder| Path::new(folder).join(&self.text)).to_vec(),
        };
        let there = candidates.iter().find(|path| path.exists()).cloned();
        there.or_else(|| candidates.into_iter().next()).unwrap_or_default()
    }

    /// Whether it is libcustoms.so, by its name or by what is in it.
    pub fn is_ours(&self) -> bool {
        let path = self.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("libcustoms") || Library::read(&path).is_ok()
    }
}

/// A value of `LD_PRELOAD` with `library` before what it names already, and in the place of one that is a libcustoms.so
/// itself: two would both report.
pub fn instead_of_ours(library: &Path) -> Result<OsString> {
    let entries = entries();
    value(library, entries.iter().filter(|entry| entry.named_by == VARIABLE && !entry.is_ours()))
}

/// A value of `LD_PRELOAD` with `library` before `others`: the first one's definition of a symbol is the one that counts.
pub fn value<'e>(library: &Path, others: impl IntoIterator<Item = &'e Entry>) -> Result<OsString> {
    let path = library.to_str().unwrap_or(" ");
    ensure!(
        !path.contains([' ', ':', '\t', '\n']),
        "{VARIABLE} cannot carry the path {} (spaces and colons separate, ld.so(8)); set TMPDIR to a plainer folder",
        library.display()
    );
    let mut value = OsString::from(library);
    for other in others {
        value.push(":");
        value.push(&other.text);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_told_apart_as_the_loader_does() {
        let names = |entries: Vec<Entry>| entries.into_iter().map(|entry| entry.text).collect::<Vec<_>>();
        assert_eq!(names(of_variable("/a.so:/b.so  c.so:")), ["/a.so", "/b.so", "c.so"]);
        assert_eq!(names(of_file("# ours\n/a.so /b.so # and\n\t/c.so:/d.so\n")), ["/a.so", "/b.so", "/c.so", "/d.so"]);
    }

    #[test]
    fn tokens_are_filled_in() {
        let entry = Entry { text: "/usr/$LIB/customs/libcustoms.so".to_string(), named_by: VARIABLE };
        assert!(entry.path().to_str().unwrap().contains("64"), "{entry:?}");
        assert!(entry.narrow_path().unwrap().starts_with("/usr/lib/"));
        let entry = Entry { text: "/usr/lib64/libcustoms.so".to_string(), named_by: VARIABLE };
        assert_eq!((entry.narrow_path(), entry.is_ours()), (None, true));
    }
}
