//! As lines of JSON, one object a record: to a file, or to the standard input of a program, which is a site's own
//! Reporter.

use super::Sink;
use crate::collect::journal::Position;
use crate::dataset::json;
use crate::dataset::rows::Arrival;
use crate::record::Record;
use anyhow::{Context, Result};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Lines that are appended to a file.
pub struct IntoFile {
    path: PathBuf,
    lines: Lines,
}

impl IntoFile {
    /// The file is opened anew for each batch, so that logrotate may move it away.
    pub fn new(path: &Path) -> Self {
        IntoFile { path: path.to_path_buf(), lines: Lines::default() }
    }
}

impl Sink for IntoFile {
    fn name(&self) -> String {
        format!("json:{}", self.path.display())
    }

    fn take(&mut self, record: &Record, arrival: &Arrival) -> Result<()> {
        self.lines.add(record, arrival)
    }

    fn commit(&mut self, _: Position) -> Result<u64> {
        let explain = || format!("cannot write {}", self.path.display());
        let mut file: File = OpenOptions::new().append(true).create(true).open(&self.path).with_context(explain)?;
        let before = file.metadata()?.len();
        if let Err(error) = file.write_all(&self.lines.bytes) {
            let _ = file.set_len(before); // half a line would be joined with the next one
            return Err(error).with_context(explain);
        }
        file.sync_data().with_context(explain)?;
        Ok(self.lines.clear())
    }
}

/// Lines that a program reads. It is started again when it has ended.
pub struct IntoProgram {
    command: String,
    child: Option<Child>,
    lines: Lines,
}

impl IntoProgram {
    /// A command line for sh(1).
    pub fn new(command: &str) -> Self {
        IntoProgram { command: command.to_string(), child: None, lines: Lines::default() }
    }

    fn write(&mut self) -> Result<()> {
        let child = match &mut self.child {
            Some(child) => child,
            None => {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", &self.command]).stdin(Stdio::piped());
                self.child.insert(command.spawn().context("cannot start it")?)
            }
        };
        let input = child.stdin.as_mut().context("it has no standard input")?;
        input.write_all(&self.lines.bytes).context("it does not read")
    }
}

impl Sink for IntoProgram {
    fn name(&self) -> String {
        format!("program:{}", self.command)
    }

    fn take(&mut self, record: &Record, arrival: &Arrival) -> Result<()> {
        self.lines.add(record, arrival)
    }

    fn commit(&mut self, _: Position) -> Result<u64> {
        if let Err(error) = self.write() {
            if let Some(mut child) = self.child.take() {
                let _ = child.kill();
                let _ = child.wait();
            }
            return Err(error.context(format!("`{}`", self.command)));
        }
        Ok(self.lines.clear())
    }
}

impl Drop for IntoProgram {
    /// It reads to the end, and ends.
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

/// Lines that are being collected.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    count: u64,
}

impl Lines {
    fn add(&mut self, record: &Record, arrival: &Arrival) -> Result<()> {
        serde_json::to_writer(&mut self.bytes, &json::object(record, arrival))?;
        self.bytes.push(b'\n');
        self.count += 1;
        Ok(())
    }

    fn clear(&mut self) -> u64 {
        self.bytes.clear();
        std::mem::take(&mut self.count)
    }
}
