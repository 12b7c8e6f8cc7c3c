//! The tables: what `customs reduce` writes and the figures are drawn from. docs/TABLES.md describes them.
//!
//! ```text
//! TABLES/jobs/2026-11.parquet     a row a day and job
//!        users/2026-11.parquet    a row a day and user, and each setting they were in
//!        sets/….parquet           the names that the numbers in both stand for
//!        _customs/                for `customs reduce` alone
//! ```
//!
//! A file appears whole or not at all. Sets are named by what is in them, so tables that were made apart from each other
//! are united by putting their files together.

pub mod schema;
pub mod sets;
pub mod write;

use crate::dataset::SUFFIX;
use anyhow::{Context, Result, ensure};
use chrono::{Datelike, NaiveDate};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A row a day and job.
pub const JOBS: &str = "jobs";
/// A row a day and user.
pub const USERS: &str = "users";
/// What the numbers of sets stand for.
pub const SETS: &str = "sets";
/// Not for readers.
const OWN: &str = "_customs";

/// Tables in a folder.
#[derive(Clone, Debug)]
pub struct Tables {
    root: PathBuf,
}

/// A month, as files are named by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: i32,
    month: u32,
}

impl Month {
    /// The one that a day is in.
    pub fn of(day: NaiveDate) -> Self {
        Month { year: day.year(), month: day.month() }
    }

    fn named(name: &str) -> Option<Self> {
        let first = format!("{}-01", name.strip_suffix(SUFFIX)?).parse().ok()?;
        Some(Month::of(first)).filter(|month| name == format!("{month}{SUFFIX}"))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:04}-{:02}", self.year, self.month)
    }
}

impl Tables {
    /// Those in this folder, which is made if it is not there.
    pub fn create(root: &Path) -> Result<Self> {
        for folder in [JOBS, USERS, SETS, OWN] {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(Tables { root: root.to_path_buf() })
    }

    /// Those that are in this folder.
    pub fn open(root: &Path) -> Result<Self> {
        let holds = |name: &str| root.join(name).is_dir();
        let place = root.display();
        ensure!(root.is_dir(), "{place} is no folder: name the one that `customs reduce` has written");
        if !(holds(JOBS) && holds(USERS) && holds(SETS)) {
            let days = fs::read_dir(root)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            let is_dataset = days.into_iter().any(|name| name.starts_with("date="));
            ensure!(
                !is_dataset,
                "{place} is a dataset: make tables of it with `customs reduce {place} --out DIR`, and name DIR"
            );
            anyhow::bail!("{place} has no tables in it: name the folder that `customs reduce` has written");
        }
        Ok(Tables { root: root.to_path_buf() })
    }

    /// A file of one of the two tables that go by months.
    pub fn file(&self, table: &str, month: Month) -> PathBuf {
        self.root.join(table).join(format!("{month}{SUFFIX}"))
    }

    /// The months that there are rows of.
    pub fn months(&self) -> Result<Vec<Month>> {
        let mut months: Vec<Month> = self.names(JOBS)?.iter().filter_map(|name| Month::named(name)).collect();
        months.sort();
        Ok(months)
    }

    /// All files of sets.
    pub fn sets(&self) -> Result<Vec<PathBuf>> {
        let folder = self.root.join(SETS);
        let names = self.names(SETS)?.into_iter().filter(|name| !name.starts_with('.') && name.ends_with(SUFFIX));
        let mut files: Vec<PathBuf> = names.map(|name| folder.join(name)).collect();
        files.sort();
        Ok(files)
    }

    /// A place for a file of sets.
    pub fn sets_file(&self, name: &str) -> PathBuf {
        self.root.join(SETS).join(format!("{name}{SUFFIX}"))
    }

    /// When any of them was last written: a file is renamed into its folder.
    pub fn written(&self) -> Result<SystemTime> {
        let mut last = SystemTime::UNIX_EPOCH;
        for table in [JOBS, USERS, SETS] {
            let folder = self.root.join(table);
            let written = folder.metadata().and_then(|folder| folder.modified());
            last = last.max(written.with_context(|| format!("cannot read {}", folder.display()))?);
        }
        Ok(last)
    }

    fn names(&self, table: &str) -> Result<Vec<String>> {
        let folder = self.root.join(table);
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
    }

    /// For as long as the file is open, nobody else holds what is named so.
    pub fn lock(&self, name: &str, is_shared: bool) -> Result<Option<File>> {
        let path = self.root.join(OWN).join(format!("{name}.lock"));
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        if is_shared {
            file.lock_shared()?;
            return Ok(Some(file));
        }
        Ok(file.try_lock().is_ok().then_some(file))
    }
}

/// A file of the tables, to be read with the types that it was written with.
pub fn open(file: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let open = || {
        anyhow::Ok(ParquetRecordBatchReaderBuilder::try_new_with_options(File::open(file)?, ArrowReaderOptions::new())?)
    };
    open().with_context(|| format!("cannot read {}", file.display()))
}

/// What a file's metadata say under this key.
pub fn said(reader: &ParquetRecordBatchReaderBuilder<File>, key: &str) -> Option<String> {
    let pairs = reader.metadata().file_metadata().key_value_metadata();
    pairs.into_iter().flatten().find(|pair| pair.key == key).and_then(|pair| pair.value.clone())
}

/// What each day of a month was made from: see [`write::DAYS`].
pub fn days(file: &Path) -> Result<BTreeMap<NaiveDate, write::Day>> {
    if !file.exists() {
        return Ok(BTreeMap::new());
    }
    days_of(&open(file)?, file)
}

/// The same of a file that is open.
pub fn days_of(reader: &ParquetRecordBatchReaderBuilder<File>, file: &Path) -> Result<BTreeMap<NaiveDate, write::Day>> {
    let said =
        said(reader, write::DAYS).with_context(|| format!("{} is no file of `customs reduce`", file.display()))?;
    Ok(serde_json::from_str(&said)?)
}
