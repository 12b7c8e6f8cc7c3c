//! What the matrix shows: a row an interpreter, a column a way to start it.

use crate::support::hosts::{Host, Kind};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// How an interpreter can be started.
const FORMS: [&str; 8] = ["plain", "-I", "-S", "-E", "-c", "-m", "script", "venv"];

/// What came of one trial.
#[derive(Clone)]
pub enum Cell {
    /// The right records came.
    Reported,
    /// None came, and none may.
    LeftAlone,
    /// The right records do not come yet, for a reason that the row gives; it was not harmed.
    NotYet(String),
    /// It is not as it must be.
    Failed,
}

impl Cell {
    /// Of a trial of `host`.
    pub fn of(host: &Host, good: bool) -> Self {
        match host.misses() {
            _ if !good => Cell::Failed,
            Some(reason) => Cell::NotYet(reason.to_string()),
            None if host.kind == Kind::Silent => Cell::LeftAlone,
            None => Cell::Reported,
        }
    }

    fn short(&self) -> &str {
        match self {
            Cell::Reported | Cell::LeftAlone => "ok",
            Cell::NotYet(_) => "not yet",
            Cell::Failed => "FAILED",
        }
    }

    fn long(&self) -> String {
        match self {
            Cell::Reported => "reported".to_string(),
            Cell::LeftAlone => "left alone".to_string(),
            Cell::NotYet(reason) => format!("not yet: {reason}"),
            Cell::Failed => "FAILED".to_string(),
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
                    write!(text, "  {:6}", cell(form).map_or("", Cell::short)).unwrap();
                }
            } else {
                write!(text, "  {}", cell("run").map(Cell::long).unwrap_or_default()).unwrap();
            }
        }
        let count = |wanted: fn(&Cell) -> bool| self.cells.values().filter(|cell| wanted(cell)).count();
        let good = count(|cell| matches!(cell, Cell::Reported | Cell::LeftAlone));
        let (not_yet, failed) =
            (count(|cell| matches!(cell, Cell::NotYet(_))), count(|cell| matches!(cell, Cell::Failed)));
        let missing = self.missing.len();
        write!(text, "\n\nlaunches: {good} good, {not_yet} not yet, {failed} failed; rows not here: {missing}\n")
            .unwrap();
        text.lines().map(|line| line.trim_end().to_string() + "\n").collect()
    }
}
