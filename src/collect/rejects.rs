//! What is no record is kept for whoever wants to know why: in two files that take turns, so that a flood of garbage
//! fills no disk.

use super::journal::Entry;
use crate::record::Rejected;
use chrono::DateTime;
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Bytes of a file; the one before it is kept, too.
const MOST: u64 = 8 << 20;
/// Bytes of a message that are kept.
const SHOWN: usize = 2048;

/// Lines of JSON in two files that take turns.
pub struct Turns {
    path: PathBuf,
    file: Option<(File, u64)>,
}

/// The file of messages.
pub struct Rejects {
    lines: Turns,
}

impl Rejects {
    /// In this folder.
    pub fn new(folder: &Path) -> Self {
        Rejects { lines: Turns::new(&folder.join("rejects.jsonl")) }
    }

    /// Adds a line.
    pub fn add(&mut self, entry: &Entry, source: &str, why: &Rejected) {
        let arrived = DateTime::from_timestamp_micros(entry.arrived).unwrap_or_default();
        let shown = entry.message.get(..SHOWN).unwrap_or(entry.message);
        self.lines.add(&json!({
            "arrived": arrived.to_rfc3339(),
            "source": source,
            "reason": why.reason,
            "detail": why.detail,
            "length": entry.message.len(),
            "message": String::from_utf8_lossy(shown),
        }));
    }
}

impl Turns {
    /// This file, and beside it the one before it, with `.1` at the end of its name.
    pub fn new(path: &Path) -> Self {
        Turns { path: path.to_path_buf(), file: None }
    }

    /// Adds a line. It is not worth stopping for if that cannot be done.
    pub fn add(&mut self, line: &Value) {
        let _ = self.write(format!("{line}\n"));
    }

    fn write(&mut self, line: String) -> io::Result<()> {
        if self.file.as_ref().is_none_or(|(_, length)| length + line.len() as u64 > MOST) {
            let length = self.path.metadata().map_or(0, |file| file.len());
            if length + line.len() as u64 > MOST {
                fs::rename(&self.path, self.path.with_extension("jsonl.1"))?;
            }
            let file = OpenOptions::new().append(true).create(true).open(&self.path)?;
            let length = file.metadata()?.len();
            self.file = Some((file, length));
        }
        if let Some((file, length)) = &mut self.file {
            file.write_all(line.as_bytes())?;
            *length += line.len() as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal::{Sender, Via};
    use super::*;

    #[test]
    fn a_flood_leaves_two_files_of_bounded_size() {
        let folder = tempfile::tempdir().unwrap();
        let mut rejects = Rejects::new(folder.path());
        let message = vec![b'x'; 60_000];
        let entry = Entry { arrived: 0, sender: Sender { via: Via::Udp, address: None, uid: None }, message: &message };
        let why = crate::record::read(&message).unwrap_err();
        for _ in 0..10_000 {
            rejects.add(&entry, "192.0.2.1", &why);
        }
        let mut sizes: Vec<u64> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).collect();
        sizes.sort_unstable();
        assert_eq!(sizes.len(), 2);
        assert!(sizes[1] <= MOST && sizes[1] > MOST - 4096, "{sizes:?}");
    }
}
