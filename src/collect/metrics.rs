//! What is counted, and how it is told: to Prometheus, and to whoever looks at the terminal.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// A number that only grows, or the latest of something.
#[derive(Debug, Default)]
pub struct Number(AtomicU64);

impl Number {
    /// Grows by `more`.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// Is `value` now; gives what it was.
    pub fn set(&self, value: u64) -> u64 {
        self.0.swap(value, Relaxed)
    }

    /// What it is.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Numbers by a word.
#[derive(Debug, Default)]
pub struct Numbers(Mutex<BTreeMap<String, u64>>);

impl Numbers {
    /// The one of `word` grows by `more`.
    pub fn add(&self, word: &str, more: u64) {
        self.edit(word, |number| *number += more);
    }

    /// The one of `word` is `value` now.
    pub fn set(&self, word: &str, value: u64) {
        self.edit(word, |number| *number = value);
    }

    fn edit(&self, word: &str, edit: impl FnOnce(&mut u64)) {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match numbers.get_mut(word) {
            Some(number) => edit(number),
            None => edit(numbers.entry(word.to_string()).or_default()),
        }
    }

    /// All of them added up.
    pub fn sum(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

/// Everything that the collector counts.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "`page` says of each what it is")]
pub struct Metrics {
    pub received: Number,
    pub received_bytes: Number,
    pub dropped_by_kernel: Numbers,
    pub dropped_disk_full: Number,
    pub disk_is_full: Number,
    pub parsed: Number,
    pub rejected: Numbers,
    pub duplicate: Number,
    pub joined: Number,
    pub incomplete: Number,
    pub mismatched_host: Number,
    pub mismatched_uid: Number,
    pub written: Numbers,
    pub failures: Numbers,
    pub refused: Numbers,
    pub dataset_files: Number,
    pub dataset_bytes: Number,
    pub merged_files: Number,
    pub superseded: Number,
    pub backlog_bytes: Number,
    pub lag_milliseconds: Number,
}

impl Metrics {
    /// As Prometheus reads it (text format 0.0.4).
    pub fn page(&self) -> String {
        let mut page = String::new();
        let counter = "counter";
        for (name, kind, help, number) in [
            ("received_total", counter, "Messages that were received.", &self.received),
            ("received_bytes_total", counter, "Their bytes.", &self.received_bytes),
            (
                "dropped_disk_full_total",
                counter,
                "Messages dropped because the disk had no room.",
                &self.dropped_disk_full,
            ),
            ("disk_full", "gauge", "1 while the disk has no room.", &self.disk_is_full),
            ("parsed_total", counter, "Messages that are records or parts of one.", &self.parsed),
            ("duplicate_total", counter, "Messages that came again soon after.", &self.duplicate),
            ("joined_total", counter, "Records that were joined from parts.", &self.joined),
            ("incomplete_total", counter, "Records of which parts were not there in time.", &self.incomplete),
            (
                "host_mismatch_total",
                counter,
                "Records whose sender's address is not that of their host.",
                &self.mismatched_host,
            ),
            ("uid_mismatch_total", counter, "Records whose sender has another uid.", &self.mismatched_uid),
            ("dataset_files_total", counter, "Files that were written into the dataset.", &self.dataset_files),
            ("dataset_bytes_total", counter, "Their bytes.", &self.dataset_bytes),
            ("merged_files_total", counter, "Files that were merged into others.", &self.merged_files),
            (
                "superseded_total",
                counter,
                "Rows that went when files were merged, because another row of their process counts.",
                &self.superseded,
            ),
            ("backlog_bytes", "gauge", "Bytes of the journal that some sink has yet to read.", &self.backlog_bytes),
        ] {
            head(&mut page, name, kind, help);
            line(&mut page, name, "", &number.get().to_string());
        }
        for (name, help, label, numbers) in [
            (
                "dropped_by_kernel_total",
                "Datagrams that a full receive buffer lost.",
                "listener",
                &self.dropped_by_kernel,
            ),
            ("rejected_total", "Messages that are no records.", "reason", &self.rejected),
            ("written_total", "Records that a sink keeps.", "sink", &self.written),
            ("failures_total", "Tries of a sink that failed.", "sink", &self.failures),
            ("refused_total", "Records that a sink's server refused for good.", "sink", &self.refused),
        ] {
            head(&mut page, name, counter, help);
            for (word, number) in numbers.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                let word = word.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                line(&mut page, name, &format!("{{{label}=\"{word}\"}}"), &number.to_string());
            }
        }
        head(&mut page, "lag_seconds", "gauge", "Age of the message that goes into the dataset now.");
        line(&mut page, "lag_seconds", "", &format!("{:.3}", self.lag_milliseconds.get() as f64 / 1000.0));
        page
    }
}

fn head(page: &mut String, name: &str, kind: &str, help: &str) {
    // Writing into a String cannot fail.
    let _ = writeln!(page, "# HELP customs_{name} {help}\n# TYPE customs_{name} {kind}");
}

fn line(page: &mut String, name: &str, labels: &str, value: &str) {
    let _ = writeln!(page, "customs_{name}{labels} {value}");
}
