//! The dataset: a folder of Parquet files, one folder a day within it, as docs/DATASET.md describes it.
//!
//! ```text
//! DATASET/date=2026-11-22/00000017.parquet     rows of processes that began on that day, sorted
//!                         import-….parquet     what was imported
//!                         merged-….parquet     what was merged of such files
//!         _customs/                            the collector's own; names with _ are skipped by every reader
//! ```
//!
//! A file appears whole or not at all: it is written under a name with a dot before it, and renamed. Rows of the same
//! process can be in several files of a day until they are merged; [`merge`] leaves the one that counts.

pub mod batch;
pub mod json;
pub mod merge;
pub mod of_user;
mod order;
pub mod read;
pub mod rows;
pub mod schema;
pub mod twins;
pub mod write;

use crate::record::Record;
use anyhow::{Context, Result, ensure};
use chrono::{DateTime, NaiveDate};
use rows::Arrival;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a day's folder is called, as Hive's partitions are.
const DAY: &str = "date=";
/// How a file of the dataset ends.
pub const SUFFIX: &str = ".parquet";

/// The folder in it that is not for readers.
const OWN: &str = "_customs";

/// A dataset.
#[derive(Clone, Debug)]
pub struct Dataset {
    root: PathBuf,
}

/// A day of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(NaiveDate);

const MICROS: i64 = 86_400_000_000;
/// A process that says it began longer ago is believed to be of the day on which it was heard of.
const OLDEST: i64 = 366 * MICROS;
/// And one that begins in the future, past what clocks differ by.
const NEWEST: i64 = MICROS;

impl Day {
    /// The day that a record belongs to: the one on which its process began.
    pub fn of_record(record: &Record, arrival: &Arrival) -> Day {
        let plausible = arrival.time - OLDEST..=arrival.time + NEWEST;
        Day::of(record.start.filter(|start| plausible.contains(start)).unwrap_or(arrival.time))
    }

    /// Its first moment, in microseconds since 1970.
    pub fn begin(&self) -> i64 {
        self.0.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_micros()
    }

    /// The day, in UTC, of a moment in microseconds since 1970.
    pub fn of(micros: i64) -> Day {
        Day(DateTime::from_timestamp_micros(micros).unwrap_or_default().date_naive())
    }

    /// `date=2026-11-22`.
    pub fn folder(&self) -> String {
        format!("{DAY}{}", self.0)
    }

    /// The day.
    pub fn date(&self) -> NaiveDate {
        self.0
    }

    fn named(folder: &str) -> Option<Day> {
        folder.strip_prefix(DAY)?.parse().ok().map(Day)
    }
}

impl From<NaiveDate> for Day {
    fn from(date: NaiveDate) -> Self {
        Day(date)
    }
}

impl Dataset {
    /// The one in this folder, which is made if it is not there.
    pub fn create(root: &Path) -> Result<Self> {
        fs::create_dir_all(root).with_context(|| format!("cannot make the dataset's folder {}", root.display()))?;
        Ok(Dataset { root: root.to_path_buf() })
    }

    /// The one that is in this folder, to be read.
    pub fn open(root: &Path) -> Result<Self> {
        let dataset = Dataset { root: root.to_path_buf() };
        dataset.days().map(|_| dataset)
    }

    /// Whether somebody has it locked, and may add to it: as far as that can be seen from here.
    pub fn is_being_written(&self) -> bool {
        let Ok(file) = fs::File::open(self.root.join(OWN).join("lock")) else { return false };
        matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock))
    }

    /// The collector's own folder in it, made if it is not there.
    pub fn own(&self) -> Result<PathBuf> {
        let own = self.root.join(OWN);
        fs::create_dir_all(&own).with_context(|| format!("cannot make {}", own.display()))?;
        Ok(own)
    }

    /// For as long as the file is open, nobody else writes into the dataset.
    pub fn lock(&self) -> Result<fs::File> {
        let path = self.own()?.join("lock");
        let file = fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let root = self.root.display();
        ensure!(file.try_lock().is_ok(), "{root} is being written by another `customs collect` or `customs import`");
        Ok(file)
    }

    /// The folder of a day.
    pub fn folder(&self, day: &Day) -> PathBuf {
        self.root.join(day.folder())
    }

    /// The days that have a folder, in order.
    pub fn days(&self) -> Result<Vec<Day>> {
        let entries =
            fs::read_dir(&self.root).with_context(|| format!("cannot read the dataset {}", self.root.display()))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut days: Vec<Day> = names.filter_map(|name| Day::named(&name)).collect();
        days.sort();
        Ok(days)
    }

    /// Whether a file of that day came or went lately, `within` that time, or in the future: then the clock was put back,
    /// and it may be long until it gets there.
    pub fn was_touched(&self, day: &Day, within: Duration) -> bool {
        let touched = fs::metadata(self.folder(day)).and_then(|folder| folder.modified());
        touched.is_ok_and(|touched| touched.elapsed().map_or(true, |age| age < within))
    }

    /// The files of a day, in order; what is still being written is not among them.
    pub fn files(&self, day: &Day) -> Result<Vec<PathBuf>> {
        let folder = self.folder(day);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| format!("cannot read {}", folder.display()))?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut files: Vec<PathBuf> = names
            .filter(|name| !name.starts_with('.') && name.ends_with(SUFFIX))
            .map(|name| folder.join(name))
            .collect();
        files.sort();
        Ok(files)
    }
}

/// A name that is never used again: a merged file may still say that it stands for it.
pub fn fresh_name(what: &str) -> String {
    format!("{what}-{}-{}", chrono::Utc::now().format("%Y%m%dT%H%M%S"), salt())
}

/// Eight hexadecimal digits at random.
pub fn salt() -> String {
    format!("{:08x}", RandomState::new().hash_one(std::process::id()) as u32)
}

/// Makes what was written, renamed or removed in a folder last.
pub fn sync_folder(folder: &Path) -> Result<()> {
    let sync = || fs::File::open(folder)?.sync_all();
    sync().with_context(|| format!("cannot write {} to its disk", folder.display()))
}
