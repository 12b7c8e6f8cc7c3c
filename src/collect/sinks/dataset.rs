//! Into the dataset: a file for each segment of the journal and each day that its records are of.
//!
//! The file's name is made from the segment's, so a segment that is read a second time after a crash replaces what it
//! brought the first time.

use super::Sink;
use crate::collect::Metrics;
use crate::collect::journal::Position;
use crate::dataset::rows::{Arrival, Rows};
use crate::dataset::schema::SCHEMA;
use crate::dataset::write::{Writer, sorted};
use crate::dataset::{Dataset, Day, SUFFIX};
use crate::record::Record;
use anyhow::Result;
use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The sink.
pub struct IntoDataset {
    dataset: Dataset,
    instance: String,
    metrics: Arc<Metrics>,
    rows: Rows,
    days: Vec<Day>,
    /// What was taken, in the order in which it is written: `commit` may have to begin anew.
    batch: Option<RecordBatch>,
}

impl IntoDataset {
    /// Whose files have names that begin with `instance`.
    pub fn new(dataset: Dataset, instance: String, metrics: Arc<Metrics>) -> Self {
        IntoDataset { dataset, instance, metrics, rows: Rows::default(), days: Vec::new(), batch: None }
    }
}

/// The file that a segment brings.
pub fn file_name(instance: &str, segment: u64) -> String {
    format!("{instance}-{segment:012}{SUFFIX}")
}

impl Sink for IntoDataset {
    fn name(&self) -> String {
        "dataset".to_string()
    }

    fn take(&mut self, record: &Record, arrival: &Arrival) -> Result<()> {
        self.rows.push(record, arrival)?;
        self.days.push(Day::of_record(record, arrival));
        Ok(())
    }

    fn commit(&mut self, position: Position) -> Result<u64> {
        // The position is at the beginning of the segment behind the one that was read.
        let segment = position.segment.saturating_sub(1);
        if self.batch.is_none() {
            self.batch = Some(self.rows.take()?);
        }
        let batch = self.batch.clone().unwrap_or_else(|| RecordBatch::new_empty(SCHEMA.clone()));
        let mut by_day: BTreeMap<&Day, Vec<u32>> = BTreeMap::new();
        for (row, day) in (0..).zip(&self.days) {
            by_day.entry(day).or_default().push(row);
        }
        for (day, rows) in by_day {
            let rows = take_record_batch(&batch, &UInt32Array::from(rows))?;
            let path = self.dataset.folder(day).join(file_name(&self.instance, segment));
            let mut out = Writer::create(&path, SCHEMA.clone(), &[])?;
            out.write(&sorted(&rows)?)?;
            out.finish()?;
            self.metrics.dataset_files.add(1);
            self.metrics.dataset_bytes.add(path.metadata().map_or(0, |file| file.len()));
        }
        let count = self.days.len() as u64;
        self.days.clear();
        self.batch = None;
        Ok(count)
    }

    fn most(&self) -> usize {
        usize::MAX
    }

    fn keeps_whole_segments(&self) -> bool {
        true
    }
}
