//! Where records go. Each kind has a file of its own, and each sink reads the journal at its own pace: one that is slow
//! or away holds up neither the others nor the receiving, and loses nothing while the disk has room.

pub mod dataset;
pub mod elasticsearch;
pub mod jsonlines;
#[cfg(feature = "kafka")]
pub mod kafka;

use super::journal::Position;
use crate::dataset::rows::Arrival;
use crate::record::Record;
use anyhow::Result;

/// Something that keeps records.
pub trait Sink: Send {
    /// What it is called in metrics, and where its position is kept.
    fn name(&self) -> String;

    /// Takes a record. It need not be kept before [`Sink::commit`].
    fn take(&mut self, record: &Record, arrival: &Arrival) -> Result<()>;

    /// Keeps all that was taken; gives how many records that were. After an error it is called again, with the same
    /// records still taken. `position` is the place in the journal behind them.
    fn commit(&mut self, position: Position) -> Result<u64>;

    /// How many records it wants to be given at the most before they are kept.
    fn most(&self) -> usize {
        1000
    }

    /// Whether it keeps records only when a segment is over, so that what was interrupted can be done again and comes
    /// out the same.
    fn keeps_whole_segments(&self) -> bool {
        false
    }
}
