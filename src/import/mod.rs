//! `customs import`: what another receiver has kept becomes a dataset, or more of one.
//!
//! Records are read in whatever order they come and written as files of the dataset. At the end, all files of each day
//! that was touched are merged, and of a record that was there already one row is left: that is what makes an import
//! something that can be done again.

mod elasticsearch;
#[cfg(feature = "kafka")]
mod kafka;
mod lines;

use crate::cli::Import;
use crate::dataset::batch::Batch;
use crate::dataset::rows::Arrival;
use crate::dataset::{Dataset, Day, SUFFIX, fresh_name, merge};
use crate::elasticsearch::Index;
use crate::place::Note;
use crate::progress::bar;
use crate::record::{Joiner, Record, Rejected};
use crate::{NO, stdout};
use anyhow::{Result, anyhow};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

/// Rows that are kept in memory before they are written.
const ROWS: usize = 100_000;
/// Records of which parts are waited for, within that.
const MOST_WAITING: usize = 10_000;
/// Reasons for which a line was no record that are shown.
const SHOWN: usize = 5;

/// Imports, and says what came of it. Exit status 1 if something was no record.
pub fn run(args: &Import) -> Result<ExitCode> {
    let dataset = Dataset::create(&args.out)?;
    let _lock = dataset.lock()?;
    merge::heal(&dataset)?;
    let notes = dataset.own()?.join("import");
    let mut import = Importer::new(dataset.clone());
    for from in &args.from {
        let note = |name: &str| -> Result<Note> {
            let note = Note::of(&notes, name.as_bytes())?;
            if args.again {
                note.remove()?;
            }
            Ok(note)
        };
        if from.starts_with("http://") || from.starts_with("https://") {
            let index: Index = from.parse().map_err(|wrong: String| anyhow!("--from: {wrong}"))?;
            elasticsearch::import(&index, args, &note(&index.to_string())?, &mut import)?;
        } else if from.starts_with("kafka://") {
            #[cfg(feature = "kafka")]
            {
                let topic = from.parse().map_err(|wrong: String| anyhow!("--from: {wrong}"))?;
                kafka::import(&topic, args, &note(from)?, &mut import)?;
            }
            #[cfg(not(feature = "kafka"))]
            anyhow::bail!("{from}: this `customs` was built without Kafka; build it with `--features kafka`");
        } else {
            lines::import(Path::new(from), &note(from)?, &mut import)?;
        }
        import.flush()?;
    }
    let Importer { read, rejected, problems, days, .. } = import;
    let bar = bar(days.len() as u64, "{spinner} merging day {pos} of {len}");
    let mut known = 0;
    for day in &days {
        known += merge::settle(&dataset, day)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let kept = read - known;
    if args.json {
        let answer = json!({ "read": read, "kept": kept, "known": known, "rejected": rejected, "days": days.len() });
        stdout::answer(&format!("{answer}\n"))?;
    } else {
        for problem in problems {
            eprintln!("customs: {problem}");
        }
        stdout::answer(&format!(
            "{read} records read: {kept} kept in {} days, {known} were there already or are older reports; {rejected} lines are no records\n",
            days.len()
        ))?;
    }
    Ok(if rejected > 0 { ExitCode::from(NO) } else { ExitCode::SUCCESS })
}

/// Collects records and writes them.
struct Importer {
    dataset: Dataset,
    batch: Batch,
    joiner: Joiner<Arrival>,
    days: BTreeSet<Day>,
    name: String,
    files: u32,
    read: u64,
    rejected: u64,
    problems: Vec<String>,
}

impl Importer {
    fn new(dataset: Dataset) -> Self {
        Importer {
            dataset,
            batch: Batch::default(),
            joiner: Joiner::default(),
            days: BTreeSet::new(),
            name: fresh_name("import"),
            files: 0,
            read: 0,
            rejected: 0,
            problems: Vec::new(),
        }
    }

    /// A record, or a part of one. Whether it is time to [`Importer::flush`] and to note how far the source was read.
    fn take(&mut self, record: Record, arrival: Arrival) -> Result<bool> {
        if record.is_whole() {
            self.push(&record, &arrival)?;
        } else if let Some((record, arrival)) = self.joiner.take(record, arrival) {
            self.push(&record, &arrival)?;
        }
        Ok(self.batch.len() >= ROWS || self.joiner.len() >= MOST_WAITING)
    }

    fn push(&mut self, record: &Record, arrival: &Arrival) -> Result<()> {
        self.read += 1;
        self.batch.push(record, arrival)
    }

    fn reject(&mut self, place: &str, why: &Rejected) {
        self.rejected += 1;
        match self.problems.len() {
            shown if shown < SHOWN => self.problems.push(format!("{place}: {why}")),
            SHOWN => self.problems.push("… and more".to_string()),
            _ => {}
        }
    }

    /// Everything that was taken is in the dataset, records without some of their parts as well.
    fn flush(&mut self) -> Result<()> {
        for (record, arrival) in self.joiner.incomplete() {
            self.push(&record, &arrival)?;
        }
        self.files += 1;
        let name = format!("{}-{:06}{SUFFIX}", self.name, self.files);
        self.days.extend(self.batch.write(&self.dataset, &name)?.into_iter().map(|(day, _)| day));
        Ok(())
    }
}
