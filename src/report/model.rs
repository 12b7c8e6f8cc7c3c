//! The tables in memory: texts and sets as small numbers, a row a day and job, a row a day and user.

use crate::tables::sets::{self, Sets as Named};
use crate::tables::write::Day;
use crate::tables::{self, JOBS, Month, Tables, USERS, schema};
use crate::words::{Quick, Sets, Words};
use anyhow::{Context, Result};
use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{Date32Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use chrono::NaiveDate;
use customs_spec::record::Field;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::mpsc::sync_channel;

/// What was read.
#[derive(Default)]
pub struct Model {
    /// User names, systems, accounts, endings, classes of environments.
    pub texts: Words,
    /// Sets of [`Model::texts`].
    pub text_sets: Sets,
    /// Names of packages, and of packages with versions.
    pub names: Words,
    /// Sets of [`Model::names`].
    pub sets: Sets,
    /// By date.
    pub jobs: Vec<JobRow>,
    /// By date.
    pub users: Vec<UserRow>,
    /// What each day says of itself.
    pub days: BTreeMap<NaiveDate, Day>,
    /// By which [`JobRow::key`] is made: at random, so whoever chooses ids cannot have two that are taken for one.
    pub hash: RandomState,
}

/// A job on a day. A job has several, where its processes began on several days or for several lists.
#[derive(Clone, Copy, Debug)]
pub struct JobRow {
    /// Days since 1970.
    pub date: i32,
    /// The same for all rows of a job, and for no other.
    pub key: u64,
    pub about: About,
    pub num_nodes: u32,
    /// Milliseconds since 1970; 0 where a site omits it.
    pub start: i64,
    pub end: i64,
    pub exits: u32,
}

/// A user on a day, in a setting.
#[derive(Clone, Copy, Debug)]
pub struct UserRow {
    pub date: i32,
    pub about: About,
    pub processes: u32,
    pub weight: f64,
    pub libraries: u32,
    pub versions: u32,
}

/// What rows of both tables have.
#[derive(Clone, Copy, Debug)]
pub struct About {
    pub list: u32,
    /// 1 for a list that is not sampled.
    pub rate: f32,
    pub system: u32,
    pub subsystem: u32,
    pub username: u32,
    pub repo: u32,
    pub is_staff: bool,
    pub is_compute: bool,
    pub is_jupyter: bool,
    /// A set of texts.
    pub environments: u32,
    /// Sets of names.
    pub packages: u32,
    pub direct: u32,
}

impl Model {
    /// What a job is known by.
    pub fn key(&self, system: u32, job_id: &str) -> u64 {
        of_system(self.hash.hash_one(job_id), system)
    }

    /// Reads the days of a range, the first and the last among them.
    pub fn read(tables: &Tables, from: Option<NaiveDate>, to: Option<NaiveDate>) -> Result<Self> {
        let mut model = Model::default();
        let is_meant = |date: NaiveDate| from.is_none_or(|from| date >= from) && to.is_none_or(|to| date <= to);
        let sets = SetsOfTables { named: sets::read(tables)?, known: HashMap::default() };
        let mut reader = Reader { sets, columns: HashMap::new() };
        let hash = model.hash.clone();
        let is_in = |month: &Month| {
            from.is_none_or(|from| *month >= Month::of(from)) && to.is_none_or(|to| *month <= Month::of(to))
        };
        let months: Vec<Month> = tables.months()?.into_iter().filter(is_in).collect();
        let damaged =
            |file: &Path| format!("{} is damaged: make it again with `customs reduce --again`", file.display());
        let (mut jobs, mut users) = (0, 0);
        for month in &months {
            let file = tables.file(JOBS, *month);
            let days = tables::days(&file).with_context(|| damaged(&file))?;
            model.days.extend(days.into_iter().filter(|(date, _)| is_meant(*date)));
            jobs += length(&file).with_context(|| damaged(&file))?;
            let file = tables.file(USERS, *month);
            users += length(&file).with_context(|| damaged(&file))?;
        }
        model.jobs.try_reserve_exact(jobs)?;
        model.users.try_reserve_exact(users)?;
        // One thread decodes what the other takes.
        std::thread::scope(|scope| -> Result<()> {
            let (send, receive) = sync_channel(4);
            let files = months.iter().flat_map(|month| [JOBS, USERS].map(|table| (table, tables.file(table, *month))));
            scope.spawn(move || {
                for (table, file) in files {
                    let read = || -> Result<()> {
                        for rows in tables::open(&file)?.with_batch_size(65_536).build()? {
                            let rows = rows?;
                            let keys = if table == JOBS { job_keys(&rows, &hash)? } else { Vec::new() };
                            if send.send(Ok((table, file.clone(), rows, keys))).is_err() {
                                break; // the other thread has failed, and says why
                            }
                        }
                        Ok(())
                    };
                    if let Err(error) = read().with_context(|| damaged(&file)) {
                        let _ = send.send(Err(error)); // as above
                    }
                }
            });
            for read in receive {
                let (table, file, rows, keys) = read?;
                reader.take(table, &rows, &keys, &mut model, &is_meant).with_context(|| damaged(&file))?;
            }
            Ok(())
        })?;
        // A month to which days were added has them at its end.
        model.jobs.sort_by_key(|row| row.date);
        model.users.sort_by_key(|row| row.date);
        Ok(model)
    }
}

/// The sets that the tables name, as they are met.
struct SetsOfTables {
    named: Named,
    known: HashMap<i64, u32, Quick>,
}

impl SetsOfTables {
    fn number(&mut self, id: i64, names: &mut Words, sets: &mut Sets) -> Result<u32> {
        if let Some(known) = self.known.get(&id) {
            return Ok(*known);
        }
        let set = self.named.get(&id).with_context(|| format!("the table of sets has no number {id}"))?;
        let mut members: Vec<u32> = set.iter().map(|name| names.number(name)).collect();
        let number = sets.number(&mut members);
        self.known.insert(id, number);
        Ok(number)
    }
}

struct Reader {
    sets: SetsOfTables,
    columns: HashMap<&'static str, Vec<u32>>,
}

impl Reader {
    fn take(
        &mut self,
        table: &str,
        rows: &RecordBatch,
        job_keys: &[u64],
        model: &mut Model,
        is_meant: &impl Fn(NaiveDate) -> bool,
    ) -> Result<()> {
        let texts = [Field::List, Field::System, Field::Subsystem, Field::Username, Field::Repo].map(Field::key);
        for name in texts {
            let numbers = coded(column(rows, name)?, &mut model.texts)?;
            self.columns.insert(name, numbers);
        }
        let mut lists = vec![schema::ENVIRONMENTS];
        let mut numbers = vec![schema::PACKAGES, schema::DIRECT];
        if table == JOBS {
            lists.push(schema::EXITS);
        } else {
            numbers.extend([schema::LIBRARIES, schema::VERSIONS]);
        }
        for name in lists {
            let sets = text_sets(column(rows, name)?, &mut model.texts, &mut model.text_sets)?;
            self.columns.insert(name, sets);
        }
        for name in numbers {
            let ids =
                column(rows, name)?.as_primitive_opt::<Int64Type>().with_context(|| format!("{name} is no number"))?;
            let sets = ids.values().iter().map(|id| self.sets.number(*id, &mut model.names, &mut model.sets));
            let sets = sets.collect::<Result<Vec<u32>>>()?;
            self.columns.insert(name, sets);
        }
        let dates = column(rows, schema::DATE)?.as_primitive_opt::<Date32Type>().context("date")?.values();
        let rates = column(rows, schema::RATE)?.as_primitive_opt::<Float64Type>().context("rate")?;
        let flag = |name: &str| column(rows, name)?.as_boolean_opt().cloned().with_context(|| name.to_string());
        let (is_staff, is_compute) = (flag(Field::IsStaff.key())?, flag(Field::IsCompute.key())?);
        let is_jupyter = flag(schema::IS_JUPYTER)?;
        let coded = |name: &'static str, row: usize| self.columns.get(name).map_or(0, |numbers| numbers[row]);
        let about = |row: usize| About {
            list: coded(Field::List.key(), row),
            rate: if rates.is_valid(row) { rates.value(row) as f32 } else { 1.0 },
            system: coded(Field::System.key(), row),
            subsystem: coded(Field::Subsystem.key(), row),
            username: coded(Field::Username.key(), row),
            repo: coded(Field::Repo.key(), row),
            is_staff: is_staff.value(row),
            is_compute: is_compute.value(row),
            is_jupyter: is_jupyter.value(row),
            environments: coded(schema::ENVIRONMENTS, row),
            packages: coded(schema::PACKAGES, row),
            direct: coded(schema::DIRECT, row),
        };
        let mut last = (i32::MIN, false);
        let mut is_in = |date: i32| {
            if last.0 != date {
                last = (date, NaiveDate::from_epoch_days(date).is_some_and(is_meant));
            }
            last.1
        };
        if table == JOBS {
            let nodes = column(rows, Field::NumNodes.key())?.as_primitive_opt::<Int64Type>().context("num_nodes")?;
            let time = |name: &str| {
                column(rows, name)?
                    .as_primitive_opt::<TimestampMillisecondType>()
                    .cloned()
                    .with_context(|| name.to_string())
            };
            let (start, end) = (time(schema::START)?, time(schema::END)?);
            for (row, date) in dates.iter().enumerate().filter(|(_, date)| is_in(**date)) {
                let about = about(row);
                model.jobs.push(JobRow {
                    date: *date,
                    key: of_system(job_keys[row], about.system),
                    about,
                    num_nodes: nodes.value(row).clamp(0, i64::from(u32::MAX)) as u32,
                    start: if start.is_valid(row) { start.value(row) } else { 0 },
                    end: if end.is_valid(row) { end.value(row) } else { 0 },
                    exits: coded(schema::EXITS, row),
                });
            }
        } else {
            let processes = column(rows, schema::PROCESSES)?.as_primitive_opt::<Int64Type>().context("processes")?;
            let weights = column(rows, schema::WEIGHT)?.as_primitive_opt::<Float64Type>().context("weight")?;
            for (row, date) in dates.iter().enumerate().filter(|(_, date)| is_in(**date)) {
                model.users.push(UserRow {
                    date: *date,
                    about: about(row),
                    processes: processes.value(row).clamp(0, i64::from(u32::MAX)) as u32,
                    weight: weights.value(row),
                    libraries: coded(schema::LIBRARIES, row),
                    versions: coded(schema::VERSIONS, row),
                });
            }
        }
        Ok(())
    }
}

/// How many rows a file has.
fn length(file: &Path) -> Result<usize> {
    Ok(usize::try_from(tables::open(file)?.metadata().file_metadata().num_rows())?)
}

/// The key of a job of that system, of its id's number.
fn of_system(number: u64, system: u32) -> u64 {
    number.wrapping_add(u64::from(system).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// The ids of jobs as numbers.
fn job_keys(rows: &RecordBatch, hash: &RandomState) -> Result<Vec<u64>> {
    let ids = column(rows, Field::JobId.key())?.as_string_opt::<i32>().context("job_id")?;
    Ok(ids.iter().map(|id| hash.hash_one(id.unwrap_or_default())).collect())
}

fn column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    rows.column_by_name(name).with_context(|| format!("no column {name}"))
}

/// Each row's text as a number.
fn coded(column: &ArrayRef, words: &mut Words) -> Result<Vec<u32>> {
    let coded = column.as_dictionary_opt::<Int32Type>().context("a text without a dictionary")?;
    let texts = coded.values().as_string_opt::<i32>().context("a dictionary of no texts")?;
    let numbers: Vec<u32> = texts.iter().map(|text| words.number(text.unwrap_or_default())).collect();
    Ok(coded.keys().values().iter().map(|key| numbers.get(*key as usize).copied().unwrap_or_default()).collect())
}

/// Each row's list of texts as the number of a set.
fn text_sets(column: &ArrayRef, words: &mut Words, sets: &mut Sets) -> Result<Vec<u32>> {
    let lists = column.as_list_opt::<i32>().context("no list")?;
    let members = coded(lists.values(), words)?;
    let mut last: (&[u32], u32) = (&[], 0);
    let mut of_row = |range: &[i32]| {
        let row = &members[range[0] as usize..range[1] as usize];
        if last.0 != row {
            last = (row, sets.number(&mut row.to_vec()));
        }
        last.1
    };
    Ok(lists.value_offsets().windows(2).map(&mut of_row).collect())
}
