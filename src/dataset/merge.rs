//! Small files become larger ones, and of every process one row is left.
//!
//! Files are sorted, so they are merged as they are read, a few thousand rows in memory. The new file says in its
//! metadata which ones it stands for; they are removed when it has its name. Whoever is stopped between the two leaves
//! rows behind that are there twice, and [`heal`] removes them.

use super::order::{Keys, sorted};
use super::read::open;
use super::rows::{Arrival, Rows};
use super::schema::{PLAIN, taken_apart};
use super::write::{REPLACES, create};
use super::{Dataset, Day, SUFFIX, fresh_name, sync_folder, twins};
use crate::record::Record;
use crate::whole::WholeFile;
use anyhow::{Context, Result};
use arrow_array::{BooleanArray, RecordBatch, UInt32Array};
use arrow_row::OwnedRow;
use arrow_select::filter::filter_record_batch;
use arrow_select::interleave::interleave_record_batch;
use arrow_select::take::take_record_batch;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Files that are merged at once where nothing else is done: each needs some megabytes.
const MOST: usize = 16;
/// Files of about the same size that are worth being merged, and are, beside a collector.
const ENOUGH: usize = 8;
/// All smaller ones count as of this size.
const SMALL: u64 = 1 << 20;
/// A day to which nothing was added for so long, and which is over, becomes one file.
pub const QUIET: Duration = Duration::from_secs(3600);
/// How the names of merged files begin.
const MERGED: &str = "merged";
/// Rows that are read of each file, and written, at a time; fewer where rows are so long that they have more [`BYTES`].
const ROWS: usize = 1024;
const BYTES: usize = 1 << 20;
/// Records that are joined of their parts at a time. Of what somebody made up, each can be half a megabyte in memory.
const JOINED: usize = 256;

/// The files of a day that should become one, if any should. `now` decides whether the day is over, `is_safe` whether
/// a file may go.
pub fn candidates(
    dataset: &Dataset,
    day: &Day,
    now: SystemTime,
    is_safe: impl Fn(&Path) -> bool,
) -> Result<Option<Vec<PathBuf>>> {
    let mut by_size: BTreeMap<u32, Vec<PathBuf>> = BTreeMap::new();
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut all = Vec::new();
    for file in dataset.files(day)?.into_iter().filter(|file| is_safe(file)) {
        let Ok(metadata) = file.metadata() else { continue };
        newest = newest.max(metadata.modified()?);
        // Sizes within a factor of four are about the same.
        by_size.entry(metadata.len().max(SMALL).ilog2() / 2).or_default().push(file.clone());
        all.push((metadata.len(), file));
    }
    if let Some(files) = by_size.into_values().find(|files| files.len() >= ENOUGH) {
        return Ok(Some(files.into_iter().take(ENOUGH).collect()));
    }
    let today = Day::of(i64::try_from(now.duration_since(SystemTime::UNIX_EPOCH)?.as_micros())?);
    // What is of the future was written by a clock that has been put back since, and must not keep the day open until then.
    let is_quiet = now.duration_since(newest).unwrap_or_else(|ahead| ahead.duration()) > QUIET;
    all.sort();
    let all: Vec<PathBuf> = all.into_iter().map(|(_, file)| file).collect();
    Ok((*day < today && is_quiet && !is_settled(&all)).then(|| all.into_iter().take(ENOUGH).collect()))
}

/// Whether no row of a day can be there twice: there is one file, which came out of a merge, or none.
pub fn is_settled(files: &[PathBuf]) -> bool {
    let is_merged = |file: &PathBuf| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(MERGED));
    files.len() < 2 && files.iter().all(is_merged)
}

/// Merges all files of a day into one; gives how many rows went because another one counts.
pub fn settle(dataset: &Dataset, day: &Day) -> Result<u64> {
    let mut superseded = 0;
    loop {
        let mut files = dataset.files(day)?;
        files.sort_by_key(|file| file.metadata().map(|metadata| metadata.len()).unwrap_or_default());
        if is_settled(&files) {
            return Ok(superseded);
        }
        files.truncate(MOST);
        superseded += merge(dataset, day, &files)?;
    }
}

/// Merges these files of a day; gives how many rows went because another one counts.
pub fn merge(dataset: &Dataset, day: &Day, files: &[PathBuf]) -> Result<u64> {
    let twins = twins::find(files)?;
    let folder = dataset.folder(day);
    let names: Vec<String> = files.iter().filter_map(|file| Some(file.file_name()?.to_str()?.to_string())).collect();
    let mut out = create(&folder.join(fresh_name(MERGED) + SUFFIX), PLAIN.clone(), &names)?;
    let joined: Vec<RecordBatch> =
        twins.parts.chunks(JOINED).map(|parts| joined(files, parts)).collect::<Result<_>>()?;
    let mut inputs = Vec::new();
    for (file, stays) in files.iter().zip(&twins.stays) {
        inputs.push(Input::of_file(file, stays.clone())?);
    }
    inputs.extend(joined.into_iter().map(Input::of_rows));
    let gone: u64 = twins.stays.iter().flatten().map(|stays| stays.false_count() as u64).sum();
    Merger::new(inputs)?.run(&mut out)?;
    out.finish()?;
    for file in files {
        fs::remove_file(file).with_context(|| format!("cannot remove {}, which was merged", file.display()))?;
    }
    sync_folder(&folder)?;
    Ok(gone.saturating_sub(twins.parts.len() as u64))
}

/// Removes what a merged file stands for and what was never finished, after a crash.
pub fn heal(dataset: &Dataset) -> Result<()> {
    for day in dataset.days()? {
        let folder = dataset.folder(&day);
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') && name.ends_with(".new") {
                fs::remove_file(entry.path())?;
            }
        }
        for file in dataset.files(&day)? {
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&file)?)
                .with_context(|| format!("cannot read {}; move it out of the dataset", file.display()))?;
            let metadata = reader.metadata().file_metadata().key_value_metadata();
            let replaced = metadata.into_iter().flatten().find(|pair| pair.key == REPLACES);
            for name in replaced.and_then(|pair| pair.value.as_deref()).unwrap_or_default().lines() {
                let stale = folder.join(name);
                if !name.contains('/') && stale != file && stale.exists() {
                    fs::remove_file(&stale).with_context(|| format!("cannot remove {}", stale.display()))?;
                }
            }
        }
    }
    Ok(())
}

fn batches(file: &Path) -> Result<ParquetRecordBatchReader> {
    let reader = open(file)?;
    let metadata = reader.metadata();
    let bytes: i64 = metadata.row_groups().iter().map(|group| group.total_byte_size()).sum();
    let each = (bytes / metadata.file_metadata().num_rows().max(1)).max(1);
    let rows = (BYTES / usize::try_from(each)?).clamp(16, ROWS);
    Ok(reader.with_batch_size(rows).build()?)
}

/// The rows of joined parts, sorted.
fn joined(files: &[PathBuf], parts: &[Vec<twins::Place>]) -> Result<RecordBatch> {
    let mut wanted: BTreeMap<usize, Vec<(u32, usize)>> = BTreeMap::new();
    for (number, places) in parts.iter().enumerate() {
        for (file, row) in places {
            wanted.entry(*file).or_default().push((*row, number));
        }
    }
    let mut found: BTreeMap<usize, (Record<'static>, Arrival)> = BTreeMap::new();
    for (file, mut rows) in wanted {
        rows.sort_unstable();
        let file = files.get(file).context("a part of no file")?;
        let mut first = 0_u32;
        for batch in batches(file)? {
            let batch = batch?;
            let next = first + u32::try_from(batch.num_rows())?;
            let here: Vec<(u32, usize)> = rows.iter().copied().filter(|(row, _)| (first..next).contains(row)).collect();
            let places = here.iter().map(|(row, _)| row - first);
            let picked = take_record_batch(&batch, &UInt32Array::from_iter_values(places))?;
            for (at, (_, number)) in here.into_iter().enumerate() {
                let (record, arrival) = super::rows::row(&picked, at)?;
                match found.entry(number) {
                    // In the order of the places: what is kept of the first one is kept.
                    Entry::Occupied(mut whole) => whole.get_mut().0.join(record.into_owned()),
                    Entry::Vacant(place) => {
                        place.insert((record.into_owned(), arrival));
                    }
                }
            }
            first = next;
        }
    }
    let mut rows = Rows::default();
    for (whole, arrival) in found.values() {
        rows.push(whole, arrival)?;
    }
    sorted(&taken_apart(&rows.take()?)?)
}

/// What is merged: the rest of a file.
struct Input {
    batches: Box<dyn Iterator<Item = Result<RecordBatch>>>,
}

impl Input {
    fn of_file(file: &Path, stays: Option<BooleanArray>) -> Result<Self> {
        let mut first = 0;
        let batches = batches(file)?.map(move |batch| {
            let batch = batch?;
            let length = batch.num_rows();
            let kept = match &stays {
                Some(stays) => filter_record_batch(&batch, &stays.slice(first, length))?,
                None => batch,
            };
            first += length;
            Ok(kept)
        });
        Ok(Input { batches: Box::new(batches) })
    }

    fn of_rows(rows: RecordBatch) -> Self {
        Input { batches: Box::new(std::iter::once(Ok(rows))) }
    }
}

/// Takes the least row of all inputs, again and again.
struct Merger {
    inputs: Vec<Input>,
    order: Keys,
    /// Those that rows still to be written lie in, and the one that each input is at.
    batches: Vec<RecordBatch>,
    current: Vec<Option<Current>>,
}

/// Where an input is.
struct Current {
    batch: usize,
    keys: arrow_row::Rows,
    at: usize,
}

impl Merger {
    fn new(inputs: Vec<Input>) -> Result<Self> {
        let current = inputs.iter().map(|_| None).collect();
        Ok(Merger { inputs, order: Keys::new(&PLAIN)?, batches: Vec::new(), current })
    }

    fn run(mut self, out: &mut WholeFile) -> Result<()> {
        let mut heap: BinaryHeap<Reverse<(OwnedRow, usize)>> = BinaryHeap::new();
        for input in 0..self.inputs.len() {
            heap.extend(self.advance(input)?.map(Reverse));
        }
        let mut picked: Vec<(usize, usize)> = Vec::new();
        while let Some(Reverse((_, input))) = heap.pop() {
            let current = self.current.get_mut(input).and_then(Option::as_mut).context("an input that is over")?;
            picked.push((current.batch, current.at));
            current.at += 1;
            // Long rows come in small batches, of which not many are to be held.
            if picked.len() == ROWS || self.batches.len() > 2 * self.inputs.len() + 16 {
                self.write(&mut picked, out)?;
            }
            heap.extend(self.advance(input)?.map(Reverse));
        }
        self.write(&mut picked, out)
    }

    /// The key of the row that `input` is at; `None` when there is none left.
    fn advance(&mut self, input: usize) -> Result<Option<(OwnedRow, usize)>> {
        loop {
            let place = self.current.get_mut(input).context("no such input")?;
            if let Some(current) = place
                && current.at < current.keys.num_rows()
            {
                return Ok(Some((current.keys.row(current.at).owned(), input)));
            }
            *place = None;
            let Some(batch) = self.inputs.get_mut(input).and_then(|input| input.batches.next()) else {
                return Ok(None);
            };
            let batch = batch?;
            let keys = self.order.of(&batch)?;
            *place = Some(Current { batch: self.batches.len(), keys, at: 0 });
            self.batches.push(batch);
        }
    }

    /// Writes the rows that were picked, and lets go of what lies behind.
    fn write(&mut self, picked: &mut Vec<(usize, usize)>, out: &mut WholeFile) -> Result<()> {
        if picked.is_empty() {
            return Ok(());
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        out.write(&interleave_record_batch(&batches, picked)?)?;
        picked.clear();
        let mut kept = Vec::new();
        for current in self.current.iter_mut().flatten() {
            let batch = self.batches.get(current.batch).context("a batch that was let go")?.clone();
            current.batch = kept.len();
            kept.push(batch);
        }
        self.batches = kept;
        Ok(())
    }
}
