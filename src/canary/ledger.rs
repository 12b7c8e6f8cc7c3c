//! The ledger: a file that is only ever added to, a JSON object a line. docs/CANARY.md has its keys.
//!
//! Every line is written in one go under a lock and is on the disk before the next thing happens, so that runs on one
//! file do not mix and whoever is killed leaves at most one line that has no end.

use super::{micros_of, text_of};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A ledger to be added to.
pub struct Ledger {
    file: File,
    path: PathBuf,
}

impl Ledger {
    /// The one at this place, made if it is not there: for its owner alone, because whoever can read the ids of canaries
    /// whose records are still on the way can forge those.
    pub fn open(path: &Path) -> Result<Self> {
        let open = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path);
        let file = open.with_context(|| format!("cannot write the ledger {}", path.display()))?;
        Ok(Ledger { file, path: path.to_path_buf() })
    }

    /// Adds a line, and returns when it is on the disk.
    pub fn add(&mut self, entry: &Value) -> Result<()> {
        let mut write = || {
            self.file.lock()?;
            let mut line = format!("{entry}\n");
            // What somebody was killed over stays a line of its own.
            if !self.ends_with_a_line()? {
                line.insert(0, '\n');
            }
            let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
            self.file.unlock()?;
            written
        };
        write().with_context(|| format!("cannot write the ledger {}", self.path.display()))
    }

    fn ends_with_a_line(&self) -> std::io::Result<bool> {
        let mut file = &self.file;
        if file.seek(SeekFrom::End(0))? == 0 {
            return Ok(true);
        }
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        Ok(last == *b"\n")
    }
}

/// A canary that was started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// When, in microseconds since 1970.
    pub time: i64,
    /// When it had ended; `None` where nobody saw it end.
    pub end: Option<i64>,
    /// Whether it did what it was told.
    pub is_well: bool,
    /// Its record's `id`, where it could tell.
    pub process: Option<u128>,
    /// What its record may say for `host`.
    pub hosts: Vec<String>,
    /// And for `python`.
    pub python: String,
    /// What is expected for each list of the policy.
    pub lists: Vec<Listed>,
}

/// What is expected for a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// The list's name.
    pub list: String,
    /// Whether there will be a record.
    pub report: Report,
    /// If not, or if that cannot be told: why.
    pub why: String,
    /// What it names, sorted.
    pub packages: Vec<String>,
    /// How many datagrams it takes at least.
    pub parts: u32,
}

/// Whether there will be a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Report {
    /// There will.
    Yes,
    /// There will not.
    No,
    /// That cannot be told.
    Unsure,
}

/// The line of a canary that is about to be started.
pub fn started(canary: &str, time: i64, interpreter: &str, imports: &[String]) -> Value {
    json!({
        "ledger": 1, "event": "start", "canary": canary, "time": text_of(time), "interpreter": interpreter,
        "imports": imports,
    })
}

/// The line of one that has ended.
pub fn ended(canary: &str, entry: &Entry, why: &str) -> Value {
    json!({
        "ledger": 1, "event": "end", "canary": canary, "time": text_of(entry.time),
        "end": text_of(entry.end.unwrap_or(entry.time)), "ok": entry.is_well, "why": why,
        "process": entry.process.map(|id| format!("{id:032x}")), "host": entry.hosts, "python": entry.python,
        "lists": entry.lists,
    })
}

/// A line, as far as it is needed.
#[derive(Deserialize)]
struct Line {
    event: String,
    canary: String,
    time: String,
    end: Option<String>,
    #[serde(default)]
    ok: bool,
    process: Option<String>,
    #[serde(default)]
    host: Vec<String>,
    #[serde(default)]
    python: String,
    #[serde(default)]
    lists: Vec<Listed>,
}

/// All canaries of a ledger by their id, and how many of its lines cannot be read: the end of what was killed.
pub fn read(path: &Path) -> Result<(BTreeMap<String, Entry>, u64)> {
    let text = std::fs::read(path).with_context(|| format!("cannot read the ledger {}", path.display()))?;
    let mut entries = BTreeMap::new();
    let mut unreadable = 0;
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line).ok().and_then(entry) {
            // Of a canary that has ended, the end counts.
            Some((canary, entry)) if entry.end.is_some() || !entries.contains_key(&canary) => {
                drop(entries.insert(canary, entry));
            }
            Some(_) => {}
            None => unreadable += 1,
        }
    }
    Ok((entries, unreadable))
}

fn entry(line: Line) -> Option<(String, Entry)> {
    let end = if line.event == "end" { Some(micros_of(line.end.as_deref()?)?) } else { None };
    let process = match line.process {
        Some(text) => Some(u128::from_str_radix(&text, 16).ok()?),
        None => None,
    };
    let entry = Entry {
        time: micros_of(&line.time)?,
        end,
        is_well: line.ok,
        process,
        hosts: line.host,
        python: line.python,
        lists: line.lists,
    };
    Some((line.canary, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_read_also_behind_a_line_without_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let listed = Listed {
            list: "packages".to_string(),
            report: Report::Yes,
            why: String::new(),
            packages: vec!["json".to_string()],
            parts: 1,
        };
        let entry = Entry {
            time: 1_000_000,
            end: Some(2_000_000),
            is_well: true,
            process: Some(7),
            hosts: vec!["nid1".to_string()],
            python: "3.12.1".to_string(),
            lists: vec![listed],
        };
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.add(&started("a", 1_000_000, "/usr/bin/python3", &[])).unwrap();
        ledger.add(&ended("a", &entry, "")).unwrap();
        ledger.file.write_all(b"{\"ledger\":1,\"event\":\"sta").unwrap();
        ledger.add(&started("b", 3_000_000, "/usr/bin/python3", &[])).unwrap();
        let (entries, unreadable) = read(&path).unwrap();
        assert_eq!(unreadable, 1);
        assert_eq!(entries["a"], entry);
        assert_eq!((entries.len(), entries["b"].end, entries["b"].time), (2, None, 3_000_000));
    }
}
