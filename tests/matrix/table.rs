//! What the matrix shows: a row an interpreter, a column a way to start it.

use crate::support::hosts::{Host, Kind};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// How an interpreter can be started.
const FORMS: [&str; 8] = ["plain", "-I", "-S", "-E", "-c", "-m", "script", "venv"];

/// What came of one trial.
#[derive(Clone, Copy)]
pub enum Cell {
    /// The right records came.
    Reported,
    /// None came, and none may.
    LeftAlone,
    /// It never finalises, which is not reported yet; unharmed.
    NotYet,
    /// It is not as it must be.
    Failed,
}

impl Cell {
    /// Of a trial of `host`.
    pub fn of(host: &Host, good: bool) -> Self {
        match good {
            false => Cell::Failed,
            true if host.kind == Kind::Silent => Cell::LeftAlone,
            true if host.never_finalises() => Cell::NotYet,
            true => Cell::Reported,
        }
    }

    fn short(self) -> &'static str {
        match self {
            Cell::Failed => "FAILED",
            _ => "ok",
        }
    }

    fn long(self) -> &'static str {
        match self {
            Cell::Reported => "reported",
            Cell::LeftAlone => "left alone",
            Cell::NotYet => "not yet: never finalises; unharmed",
            Cell::Failed => "FAILED",
        }
    }
}

/// Cells by host and form.
#[derive(Default)]
pub struct Table {
    cells: BTreeMap<(String, String), Cell>,
    missing: BTreeMap<String, String>,
}

impl Table {
    /// Fills a cell.
    pub fn set(&mut self, host: &str, form: &str, cell: Cell) {
        self.cells.insert((host.to_string(), form.to_string()), cell);
    }

    /// Says why a row is empty.
    pub fn missing(&mut self, host: &str, reason: &str) {
        self.missing.insert(host.to_string(), reason.to_string());
    }

    /// Prints it, and writes it to `matrix.txt` in cargo's folder for what tests leave behind.
    pub fn publish(&self, hosts: &[Host]) {
        let text = self.text(hosts);
        println!("{text}");
        fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("matrix.txt"), text).unwrap();
    }

    fn text(&self, hosts: &[Host]) -> String {
        let widest = hosts.iter().map(|host| host.name.chars().count()).max().unwrap_or(0);
        let mut text = format!("{:widest$}", "");
        for form in FORMS {
            write!(text, "  {form:6}").unwrap();
        }
        for host in hosts {
            let cell = |form: &str| self.cells.get(&(host.name.clone(), form.to_string()));
            write!(text, "\n{:widest$}", host.name).unwrap();
            if let Some(reason) = self.missing.get(&host.name) {
                write!(text, "  {reason}").unwrap();
            } else if host.kind == Kind::Python {
                for form in FORMS {
                    write!(text, "  {:6}", cell(form).map_or("", |cell| cell.short())).unwrap();
                }
            } else {
                write!(text, "  {}", cell("run").map_or("", |cell| cell.long())).unwrap();
            }
        }
        let failed = self.cells.values().filter(|cell| matches!(cell, Cell::Failed)).count();
        let (all, missing) = (self.cells.len(), self.missing.len());
        write!(text, "\n\n{} of {all} launches as they must be, {missing} rows not here\n", all - failed).unwrap();
        text.lines().map(|line| line.trim_end().to_string() + "\n").collect()
    }
}
