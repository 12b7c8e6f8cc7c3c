//! Records that are written together: a file for each day that they are of.

use super::order::sorted;
use super::rows::{Arrival, Rows};
use super::schema::SCHEMA;
use super::write::create;
use super::{Dataset, Day};
use crate::record::Record;
use anyhow::Result;
use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The records.
#[derive(Default)]
pub struct Batch {
    rows: Rows,
    days: Vec<Day>,
    /// The rows, once they were tried to be written: that may have to be done again.
    whole: Option<RecordBatch>,
}

impl Batch {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.days.len()
    }

    /// Adds one.
    pub fn push(&mut self, record: &Record, arrival: &Arrival) -> Result<()> {
        self.days.push(Day::of_record(record, arrival));
        self.rows.push(record, arrival)
    }

    /// Writes all of them, into a file of that name in the folder of each day; afterwards there are none. After an error
    /// they are still there.
    pub fn write(&mut self, dataset: &Dataset, name: &str) -> Result<Vec<(Day, PathBuf)>> {
        let rows = match self.whole.take() {
            Some(rows) => rows,
            None => self.rows.take()?,
        };
        let rows = self.whole.insert(rows);
        let mut by_day: BTreeMap<&Day, Vec<u32>> = BTreeMap::new();
        for (row, day) in (0..).zip(&self.days) {
            by_day.entry(day).or_default().push(row);
        }
        let mut files = Vec::new();
        for (day, of_day) in by_day {
            let path = dataset.folder(day).join(name);
            let mut out = create(&path, SCHEMA.clone(), &[])?;
            out.write(&sorted(&take_record_batch(rows, &UInt32Array::from(of_day))?)?)?;
            out.finish()?;
            files.push((day.clone(), path));
        }
        self.days.clear();
        self.whole = None;
        Ok(files)
    }
}
