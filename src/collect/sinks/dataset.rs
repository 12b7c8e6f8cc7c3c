//! Into the dataset: a file for each segment of the journal and each day that its records are of.
//!
//! The file's name is made from the segment's, so a segment that is read a second time after a crash replaces what it
//! brought the first time.

use super::Sink;
use crate::collect::Metrics;
use crate::collect::journal::Position;
use crate::dataset::batch::Batch;
use crate::dataset::rows::Arrival;
use crate::dataset::{Dataset, SUFFIX};
use crate::record::Record;
use anyhow::Result;
use std::sync::Arc;

/// The sink.
pub struct IntoDataset {
    dataset: Dataset,
    instance: String,
    metrics: Arc<Metrics>,
    batch: Batch,
}

impl IntoDataset {
    /// Whose files have names that begin with `instance`.
    pub fn new(dataset: Dataset, instance: String, metrics: Arc<Metrics>) -> Self {
        IntoDataset { dataset, instance, metrics, batch: Batch::default() }
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
        self.batch.push(record, arrival)
    }

    fn commit(&mut self, position: Position) -> Result<u64> {
        // The position is at the beginning of the segment behind the one that was read.
        let segment = position.segment.saturating_sub(1);
        let count = self.batch.len() as u64;
        for (_, path) in self.batch.write(&self.dataset, &file_name(&self.instance, segment))? {
            self.metrics.dataset_files.add(1);
            self.metrics.dataset_bytes.add(path.metadata().map_or(0, |file| file.len()));
        }
        Ok(count)
    }

    fn most(&self) -> usize {
        usize::MAX
    }

    fn keeps_whole_segments(&self) -> bool {
        true
    }
}
