//! Reads the tables into memory.

use super::cell::class;
use super::model::{JobKind, JobRow, Model, Rate, Setting, UserKind, UserRow, What};
use super::parallel::side_by_side;
use crate::tables::sets::{self, Sets as Named};
use crate::tables::{self, JOBS, Month, Tables, USERS, schema};
use crate::words::{Quick, Words};
use ahash::RandomState;
use anyhow::{Context, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use chrono::NaiveDate;
use customs_spec::record::Field;
use parquet::arrow::ProjectionMask;
use std::collections::HashMap;
use std::path::Path;
use std::thread;

/// Reads the days of a range, the first and the last among them.
pub fn read(tables: &Tables, from: Option<NaiveDate>, to: Option<NaiveDate>) -> Result<Model> {
    let is_in = |month: &Month| {
        from.is_none_or(|from| *month >= Month::of(from)) && to.is_none_or(|to| *month <= Month::of(to))
    };
    let months: Vec<Month> = tables.months()?.into_iter().filter(is_in).collect();
    let is_meant = |date: NaiveDate| from.is_none_or(|from| date >= from) && to.is_none_or(|to| date <= to);
    let named = sets::read(tables)?;
    let hash = RandomState::new();
    // Each thread has its own share of the months, which follow each other, and numbers of its own.
    let threads = thread::available_parallelism().map_or(1, usize::from).min(months.len()).max(1);
    let shares = shares(tables, &months, threads);
    let share = |at: usize| -> Result<Model> {
        let mut reader =
            Reader { named: &named, known: HashMap::default(), model: Model::default(), is_meant: &is_meant };
        reader.model.hash = hash.clone();
        for (month, _) in months.iter().zip(&shares).filter(|(_, share)| **share == at) {
            for table in [JOBS, USERS] {
                let file = tables.file(table, *month);
                let damaged = || format!("{} is damaged: make it again with `customs reduce --again`", file.display());
                reader.file(table, &file).with_context(damaged)?;
            }
        }
        Ok(reader.model)
    };
    let models = side_by_side(&(0..threads).collect::<Vec<_>>(), || (), |at, ()| share(*at));
    let mut models = models.into_iter();
    let mut all = models.next().transpose()?.unwrap_or_default();
    for model in models {
        all.unite(model?);
    }
    all.order();
    Ok(all)
}

/// Which of so many shares each month belongs to, so that all have about as many bytes.
fn shares(tables: &Tables, months: &[Month], shares: usize) -> Vec<usize> {
    let length = |table, month| tables.file(table, month).metadata().map_or(0, |file| file.len());
    let lengths: Vec<u64> = months.iter().map(|month| length(JOBS, *month) + length(USERS, *month)).collect();
    let all = lengths.iter().sum::<u64>() + 1;
    let middles = lengths.iter().scan(0, |before, length| {
        *before += length;
        Some(*before - length / 2)
    });
    middles.map(|middle| (middle * shares as u64 / all) as usize).collect()
}

/// Puts months into a model.
struct Reader<'a, F> {
    named: &'a Named,
    /// The sets that the tables name, as they are met.
    known: HashMap<i64, u32, Quick>,
    model: Model,
    is_meant: &'a F,
}

impl<F: Fn(NaiveDate) -> bool> Reader<'_, F> {
    fn file(&mut self, table: &str, file: &Path) -> Result<()> {
        let reader = tables::open(file)?;
        if table == JOBS {
            let days = tables::days_of(&reader, file)?;
            self.model.days.extend(days.into_iter().filter(|(date, _)| (self.is_meant)(*date)));
        }
        // What no figure shows is not decoded.
        let of_jobs = |name: &str| table == JOBS && [schema::PROCESSES, schema::WEIGHT].contains(&name);
        let columns = reader.parquet_schema().root_schema().get_fields().iter().enumerate();
        let shown = columns.filter(|(_, column)| !of_jobs(column.name())).map(|(at, _)| at);
        let shown = ProjectionMask::roots(reader.parquet_schema(), shown);
        for rows in reader.with_projection(shown).with_batch_size(65_536).build()? {
            if table == JOBS {
                self.jobs(&rows?)?
            } else {
                self.users(&rows?)?
            };
        }
        Ok(())
    }

    fn jobs(&mut self, rows: &RecordBatch) -> Result<()> {
        let settings = self.settings(rows)?;
        let (environments, exits) = (self.texts(rows, schema::ENVIRONMENTS)?, self.texts(rows, schema::EXITS)?);
        let (packages, direct) = (self.names(rows, schema::PACKAGES)?, self.names(rows, schema::DIRECT)?);
        let ids = column(rows, Field::JobId.key())?.as_string_opt::<i32>().context("job_id")?;
        let nodes = integers(rows, Field::NumNodes.key())?;
        let time = |name: &str| {
            column(rows, name)?.as_primitive_opt::<TimestampMillisecondType>().with_context(|| name.to_string())
        };
        let (start, end) = (time(schema::START)?, time(schema::END)?);
        for (row, date) in self.meant(rows)? {
            let num_nodes = nodes.value(row).clamp(0, i64::from(u32::MAX)) as u32;
            let what = What {
                environments: environments[row],
                exits: exits[row],
                packages: packages[row],
                direct: direct[row],
                class: class(num_nodes),
            };
            let setting = settings[row];
            let model = &mut self.model;
            let system = model.settings.get(setting).system;
            model.jobs.push(JobRow {
                date,
                kind: model.job_kinds.number(JobKind { setting, what }),
                num_nodes,
                repeated: 0,
                key: model.key(system, ids.value(row)),
                start: if start.is_valid(row) { start.value(row) } else { 0 },
                end: if end.is_valid(row) { end.value(row) } else { 0 },
            });
        }
        Ok(())
    }

    fn users(&mut self, rows: &RecordBatch) -> Result<()> {
        let settings = self.settings(rows)?;
        let environments = self.texts(rows, schema::ENVIRONMENTS)?;
        let (packages, direct) = (self.names(rows, schema::PACKAGES)?, self.names(rows, schema::DIRECT)?);
        let (libraries, versions) = (self.names(rows, schema::LIBRARIES)?, self.names(rows, schema::VERSIONS)?);
        let processes = integers(rows, schema::PROCESSES)?;
        let weights = column(rows, schema::WEIGHT)?.as_primitive_opt::<Float64Type>().context("weight")?;
        for (row, date) in self.meant(rows)? {
            let kind = UserKind {
                setting: settings[row],
                environments: environments[row],
                packages: packages[row],
                direct: direct[row],
                libraries: libraries[row],
                versions: versions[row],
            };
            self.model.users.push(UserRow {
                date,
                kind: self.model.user_kinds.number(kind),
                processes: processes.value(row).clamp(0, i64::from(u32::MAX)) as u32,
                weight: (weights.value(row) * 1e4).round() as i64,
            });
        }
        Ok(())
    }

    /// The rows of days that are meant, with their dates.
    fn meant(&self, rows: &RecordBatch) -> Result<Vec<(usize, i32)>> {
        let dates = column(rows, schema::DATE)?.as_primitive_opt::<Date32Type>().context("date")?;
        let mut last = (i32::MIN, false);
        let is_meant = |(_, date): &(usize, i32)| {
            if last.0 != *date {
                last = (*date, NaiveDate::from_epoch_days(*date).is_some_and(self.is_meant));
            }
            last.1
        };
        Ok(dates.values().iter().copied().enumerate().filter(is_meant).collect())
    }

    /// Each row's setting.
    fn settings(&mut self, rows: &RecordBatch) -> Result<Vec<u32>> {
        let mut texts = |field: Field| coded(column(rows, field.key())?, &mut self.model.texts);
        let (list, system, subsystem) = (texts(Field::List)?, texts(Field::System)?, texts(Field::Subsystem)?);
        let repo = texts(Field::Repo)?;
        let username = coded(column(rows, Field::Username.key())?, &mut self.model.people)?;
        let rates = column(rows, schema::RATE)?.as_primitive_opt::<Float64Type>().context("rate")?;
        let flag = |name: &str| column(rows, name)?.as_boolean_opt().with_context(|| name.to_string());
        let (is_staff, is_compute) = (flag(Field::IsStaff.key())?, flag(Field::IsCompute.key())?);
        let is_jupyter = flag(schema::IS_JUPYTER)?;
        let setting = |row: usize| Setting {
            list: list[row],
            rate: if rates.is_valid(row) { Rate::new(rates.value(row)) } else { Rate::ALL },
            system: system[row],
            subsystem: subsystem[row],
            username: username[row],
            repo: repo[row],
            is_staff: is_staff.value(row),
            is_compute: is_compute.value(row),
            is_jupyter: is_jupyter.value(row),
        };
        Ok((0..rows.num_rows()).map(|row| self.model.settings.number(setting(row))).collect())
    }

    /// Each row's list of texts as the number of a set. Most have one text.
    fn texts(&mut self, rows: &RecordBatch, name: &str) -> Result<Vec<u32>> {
        let lists = column(rows, name)?.as_list_opt::<i32>().context("no list")?;
        let (numbers, keys) = keys(lists.values(), &mut self.model.texts)?;
        let sets = &mut self.model.text_sets;
        let alone: Vec<u32> = numbers.iter().map(|number| sets.number(&mut vec![*number])).collect();
        let of_row = |range: &[i32]| match &keys[range[0] as usize..range[1] as usize] {
            [key] => alone[*key as usize],
            several => sets.number(&mut several.iter().map(|key| numbers[*key as usize]).collect()),
        };
        Ok(lists.value_offsets().windows(2).map(of_row).collect())
    }

    /// Each row's set of names. Rows that stand together often have the same.
    fn names(&mut self, rows: &RecordBatch, name: &str) -> Result<Vec<u32>> {
        let mut last = None;
        let mut number = |id: &i64| match last {
            Some((same, number)) if same == *id => Ok(number),
            _ => {
                let number = self.set(*id)?;
                last = Some((*id, number));
                Ok(number)
            }
        };
        integers(rows, name)?.values().iter().map(&mut number).collect()
    }

    /// The set that the tables know by this number.
    fn set(&mut self, id: i64) -> Result<u32> {
        if let Some(known) = self.known.get(&id) {
            return Ok(*known);
        }
        let set = self.named.get(&id).with_context(|| format!("the table of sets has no number {id}"))?;
        let mut members: Vec<u32> = set.iter().map(|name| self.model.names.number(name)).collect();
        let number = self.model.sets.number(&mut members);
        self.known.insert(id, number);
        Ok(number)
    }
}

fn column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    rows.column_by_name(name).with_context(|| format!("no column {name}"))
}

fn integers<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a Int64Array> {
    column(rows, name)?.as_primitive_opt::<Int64Type>().with_context(|| format!("{name} is no number"))
}

/// The texts of a column by the keys of its dictionary, as numbers; and each row's key.
fn keys<'a>(column: &'a ArrayRef, words: &mut Words) -> Result<(Vec<u32>, &'a [i32])> {
    let coded = column.as_dictionary_opt::<Int32Type>().context("a text without a dictionary")?;
    let texts = coded.values().as_string_opt::<i32>().context("a dictionary of no texts")?;
    let numbers = texts.iter().map(|text| words.number(text.unwrap_or_default())).collect();
    Ok((numbers, coded.keys().values()))
}

/// Each row's text as a number.
fn coded(column: &ArrayRef, words: &mut Words) -> Result<Vec<u32>> {
    let (numbers, keys) = keys(column, words)?;
    Ok(keys.iter().map(|key| numbers.get(*key as usize).copied().unwrap_or_default()).collect())
}
