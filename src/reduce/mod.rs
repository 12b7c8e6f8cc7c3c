//! `customs reduce`: a dataset becomes tables that a laptop holds.
//!
//! ```text
//! a day's files → columns (numbers for texts) → day (rows of jobs and users) → rows → a file a month
//! ```
//!
//! No query engine, because what costs those is to group by texts: here what is in a dictionary is looked at once, and a
//! row is a few look-ups by small numbers. Days are independent of each other. A day that was reduced is left as it is
//! until its files change; where they are gone the day stays, so what was reduced need not be kept.

mod columns;
mod day;
mod environment;
mod rows;

use crate::canary::ledger;
use crate::cli::Reduce;
use crate::dataset::{self, Dataset, read};
use crate::tables::sets::Sets;
use crate::tables::write::{DAYS, Day, create};
use crate::tables::{self, JOBS, Month, Tables, USERS, schema, sets};
use crate::whole::WholeFile;
use crate::{progress, site, stdout};
use anyhow::{Context, Result, ensure};
use arrow_array::cast::AsArray;
use arrow_array::types::Date32Type;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;
use chrono::NaiveDate;
use day::{Names, Options};
use environment::Environments;
use serde_json::json;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;

/// Changes when the same files would give other tables.
const VERSION: &str = "1";

/// What came of it.
#[derive(Default)]
pub struct Outcome {
    reduced: u64,
    unchanged: u64,
    records: u64,
    canaries: u64,
    claims: u64,
    damaged: Vec<String>,
}

/// Reduces, and says what came of it.
pub fn run(args: &Reduce) -> Result<ExitCode> {
    say(args, &reduce(args)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Reduces.
pub fn reduce(args: &Reduce) -> Result<Outcome> {
    let dataset = Dataset::open(&args.dataset)?;
    let days = days(&dataset, args)?;
    ensure!(
        !days.is_empty(),
        "{} has no days from {} to {}: a dataset has folders such as date=2026-11-22",
        args.dataset.display(),
        args.from.map_or("the first".to_string(), |day| day.to_string()),
        args.to.map_or("the last".to_string(), |day| day.to_string())
    );
    let mut canaries = HashSet::new();
    for file in &args.ledger {
        canaries.extend(ledger::read(file)?.0.into_keys());
    }
    let own = args.site.as_deref().map(environments_of).transpose()?.unwrap_or_default();
    let about = digest(&own, &canaries, args.skip_damaged);
    let options = Options { environments: Environments::new(own), canaries, skip_damaged: args.skip_damaged };
    let tables = Tables::create(&args.out)?;
    let threads = args.threads.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
    let workers = (0..threads).map(|_| Mutex::default()).collect();
    let reducer = Reducer { dataset, tables, options, about, again: args.again, workers };
    let mut months: BTreeMap<Month, Vec<NaiveDate>> = BTreeMap::new();
    for day in &days {
        months.entry(Month::of(*day)).or_default().push(*day);
    }
    let bar = progress::bar(days.len() as u64, "{spinner} day {pos} of {len} {wide_bar} {eta}");
    let mut outcome = Outcome::default();
    // A month is written while the days of the next one are read.
    std::thread::scope(|scope| -> Result<()> {
        let mut writing = None;
        for (month, days) in months {
            let ready = reducer.month(month, &days, &mut outcome, &bar)?;
            writing.take().map_or(Ok(()), joined)?;
            writing = ready.map(|ready| scope.spawn(|| reducer.write(ready)));
        }
        writing.map_or(Ok(()), joined)
    })?;
    sets::compact(&reducer.tables)?;
    bar.finish_and_clear();
    Ok(outcome)
}

fn say(args: &Reduce, outcome: &Outcome) -> Result<()> {
    let Outcome { reduced, unchanged, records, canaries, claims, damaged } = outcome;
    for file in damaged {
        eprintln!("customs: {file} cannot be read and was left out");
    }
    if *claims > 0 && args.ledger.is_empty() && !args.json {
        eprintln!(
            "customs: {claims} records say that they are canaries' and are counted as everybody's: name the ledger with --ledger to leave them out"
        );
    }
    if args.json {
        let answer = json!({ "days": reduced, "unchanged": unchanged, "records": records, "canaries": canaries, "claims": claims, "damaged": damaged });
        return stdout::answer(&format!("{answer}\n"));
    }
    stdout::answer(&format!(
        "{}: {reduced} days reduced, {records} records; {unchanged} days had not changed\n",
        args.out.display()
    ))
}

/// The days of the dataset that are asked for.
fn days(dataset: &Dataset, args: &Reduce) -> Result<Vec<NaiveDate>> {
    let is_meant = |day: &NaiveDate| args.from.is_none_or(|from| *day >= from) && args.to.is_none_or(|to| *day <= to);
    let mut days = Vec::new();
    for day in dataset.days()?.into_iter().filter(|day| is_meant(&day.date())) {
        // An empty folder is what is left where records were deleted: what the tables have of that day stays.
        if !dataset.files(&day)?.is_empty() {
            days.push(day.date());
        }
    }
    Ok(days)
}

/// The `[[environment]]` of a site file.
fn environments_of(site: &Path) -> Result<Vec<(String, Vec<String>)>> {
    let environments = site::compile(site)?.environments;
    Ok(environments.into_iter().map(|environment| (environment.name, environment.prefix)).collect())
}

/// What the options are, as far as they change the tables.
fn digest(environments: &[(String, Vec<String>)], canaries: &HashSet<String>, skip_damaged: bool) -> String {
    let mut canaries: Vec<&String> = canaries.iter().collect();
    canaries.sort();
    json!([VERSION, environments, canaries, skip_damaged]).to_string()
}

struct Reducer {
    dataset: Dataset,
    tables: Tables,
    options: Options,
    about: String,
    again: bool,
    /// What each thread knows of names from one day to the next.
    workers: Vec<Mutex<Names>>,
}

/// A day that was reduced.
struct Reduced {
    date: NaiveDate,
    jobs: RecordBatch,
    users: RecordBatch,
    day: Day,
}

/// A month whose days were reduced.
struct Ready {
    month: Month,
    days: Vec<Reduced>,
    /// What its file says of each of its days.
    known: BTreeMap<NaiveDate, Day>,
    /// Sets that were named for the first time.
    sets: Sets,
    /// Nobody else reduces it.
    lock: File,
}

/// What a thread has come to.
fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| anyhow::bail!("a thread has died"))
}

impl Reducer {
    /// Reduces the days of a month that need it; nothing if none does.
    fn month(
        &self,
        month: Month,
        days: &[NaiveDate],
        outcome: &mut Outcome,
        bar: &indicatif::ProgressBar,
    ) -> Result<Option<Ready>> {
        let lock = self.tables.lock(&month.to_string(), false)?;
        let elsewhere = || format!("{month} is being reduced by another `customs reduce`: give each months of its own");
        let lock = lock.with_context(elsewhere)?;
        let path = self.tables.file(JOBS, month);
        let mut known = match tables::days(&path) {
            // What cannot be read is made anew, as the report asks for.
            Err(error) if self.again => {
                eprintln!("customs: {error:#}: days whose records are gone from the dataset are lost");
                BTreeMap::new()
            }
            known => known?,
        };
        let mut todo = Vec::new();
        for date in days {
            let made_from = self.made_from(*date)?;
            if !self.again && known.get(date).is_some_and(|day| day.made_from == made_from) {
                outcome.unchanged += 1;
                bar.inc(1);
            } else {
                todo.push(*date);
            }
        }
        if todo.is_empty() {
            return Ok(None);
        }
        let next = AtomicUsize::new(0);
        let work = |names: &Mutex<Names>| -> Result<Vec<Reduced>> {
            let mut names = names.lock().map_err(|_| anyhow::anyhow!("a thread has died"))?;
            let mut done = Vec::new();
            while let Some(date) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
                done.push(self.day(*date, &mut names).with_context(|| format!("{date} cannot be reduced"))?);
                bar.inc(1);
            }
            Ok(done)
        };
        let done: Vec<Result<Vec<Reduced>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = self.workers.iter().map(|names| scope.spawn(|| work(names))).collect();
            threads.into_iter().map(joined).collect()
        });
        let mut days: Vec<Reduced> = done.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
        days.sort_by_key(|reduced| reduced.date);
        for Reduced { date, day, .. } in &days {
            outcome.reduced += 1;
            outcome.records += day.records;
            outcome.canaries += day.canaries;
            outcome.claims += day.claims;
            outcome.damaged.extend(day.damaged.iter().cloned());
            known.insert(*date, day.clone());
        }
        Ok(Some(Ready { month, days, known, sets: self.fresh_sets()?, lock }))
    }

    fn write(&self, ready: Ready) -> Result<()> {
        let Ready { month, days, known, sets, lock } = ready;
        // Sets first: nothing in the tables names one that is not there. Jobs last: they say which days there are.
        sets::add(&self.tables, &sets)?;
        let said = serde_json::to_string(&known)?;
        let keeps_others = known.len() > days.len();
        let users = days.iter().map(|reduced| (reduced.date, &reduced.users)).collect();
        let jobs = days.iter().map(|reduced| (reduced.date, &reduced.jobs)).collect();
        let (users, jobs) = std::thread::scope(|scope| {
            let users = scope.spawn(|| self.written(USERS, &schema::USERS, month, users, Vec::new(), keeps_others));
            let jobs = self.written(JOBS, &schema::JOBS, month, jobs, vec![(DAYS, said)], keeps_others);
            (joined(users), jobs)
        });
        users?.finish()?;
        jobs?.finish()?;
        drop(lock);
        Ok(())
    }

    /// What a day's rows would be made from.
    fn made_from(&self, date: NaiveDate) -> Result<String> {
        let mut about = self.about.clone();
        for file in self.dataset.files(&dataset::Day::from(date))? {
            let length = file.metadata().map_or(0, |file| file.len());
            about.push_str(&format!("\n{} {length}", file.file_name().unwrap_or_default().display()));
        }
        Ok(format!("{:032x}", customs_spec::hash::of_parts([0, 0], &[about.as_bytes()])))
    }

    fn day(&self, date: NaiveDate, names: &mut Names) -> Result<Reduced> {
        read::again(|| {
            let made_from = self.made_from(date)?;
            let condensed = day::condense(&self.dataset.files(&dataset::Day::from(date))?, &self.options, names)?;
            let (jobs, users) = (rows::jobs(&condensed, date, names)?, rows::users(&condensed, date, names)?);
            let day::Condensed { records, canaries, claims, damaged, .. } = condensed;
            Ok(Reduced { date, jobs, users, day: Day { made_from, records, canaries, claims, damaged } })
        })
    }

    /// The sets that were named for the first time.
    fn fresh_sets(&self) -> Result<Sets> {
        let mut fresh = Sets::new();
        for names in &self.workers {
            let mut names = names.lock().map_err(|_| anyhow::anyhow!("a thread has died"))?;
            for (id, set) in std::mem::take(&mut names.named) {
                if let Some(other) = fresh.insert(id, set.clone()) {
                    ensure!(other == set, "two sets have the number {id}");
                }
            }
        }
        Ok(fresh)
    }

    /// A month's file, still to be finished: the rows of these days, and, if there are others, those that it has.
    fn written(
        &self,
        table: &str,
        schema: &SchemaRef,
        month: Month,
        mut rows: BTreeMap<NaiveDate, &RecordBatch>,
        said: Vec<(&str, String)>,
        keeps_others: bool,
    ) -> Result<WholeFile> {
        let path = self.tables.file(table, month);
        let mut out = create(&path, schema.clone(), said)?;
        let new: HashSet<i32> = rows.keys().map(NaiveDate::to_epoch_days).collect();
        if keeps_others {
            for batch in tables::open(&path)?.build()? {
                let batch = batch?;
                let dates = batch.column(0).as_primitive_opt::<Date32Type>().context("the first column is no date")?;
                let stays: BooleanArray = dates.values().iter().map(|date| Some(!new.contains(date))).collect();
                out.write(&filter_record_batch(&batch, &stays)?)?;
            }
        }
        while let Some((_, batch)) = rows.pop_first() {
            out.write(batch)?;
        }
        Ok(out)
    }
}
