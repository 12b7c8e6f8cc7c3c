//! A condensed day becomes rows of the two tables.

use super::day::{Condensed, Counted, Names};
use crate::tables::schema::{JOBS, USERS};
use crate::words::{Sets, Words};
use anyhow::{Context, Result};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, DictionaryArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray, TimestampMillisecondArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, SchemaRef};
use chrono::NaiveDate;
use std::sync::Arc;

/// Rows of the table of jobs.
pub fn jobs(day: &Condensed, date: NaiveDate, names: &mut Names) -> Result<RecordBatch> {
    let (texts, rows) = (&day.texts, &day.job_rows);
    let counted = || rows.iter().map(|(_, job)| &job.counted);
    let flag = |of: fn(&super::day::Job) -> bool| -> ArrayRef {
        Arc::new(rows.iter().map(|(_, job)| Some(of(job))).collect::<BooleanArray>())
    };
    let time = |of: fn(&super::day::Job) -> Option<i64>| -> ArrayRef {
        let millis = rows.iter().map(|(_, job)| of(job).map(|micros| micros / 1000));
        Arc::new(millis.collect::<TimestampMillisecondArray>().with_timezone("UTC"))
    };
    let job_ids = rows.iter().map(|(key, _)| Some(texts.text(key.job_id).as_ref()));
    let columns: Vec<ArrayRef> = vec![
        dates(date, rows.len()),
        coded(texts, rows.iter().map(|(key, _)| key.list)),
        rates(counted()),
        coded(texts, rows.iter().map(|(key, _)| key.system)),
        Arc::new(job_ids.collect::<StringArray>()),
        coded(texts, rows.iter().map(|(_, job)| job.subsystem)),
        coded(texts, rows.iter().map(|(_, job)| job.username)),
        coded(texts, rows.iter().map(|(_, job)| job.repo)),
        flag(|job| job.is_staff),
        flag(|job| job.is_compute),
        flag(|job| job.is_jupyter),
        Arc::new(rows.iter().map(|(_, job)| Some(job.num_nodes)).collect::<Int64Array>()),
        processes(counted()),
        weights(counted()),
        time(|job| job.start),
        time(|job| job.end),
        lists(&JOBS, "environments", texts, &day.text_sets, counted().map(|counted| counted.environments))?,
        lists(&JOBS, "exits", texts, &day.text_sets, rows.iter().map(|(_, job)| job.exits))?,
        ids(names, counted().map(|counted| counted.packages)),
        ids(names, counted().map(|counted| counted.direct)),
    ];
    Ok(RecordBatch::try_new(JOBS.clone(), columns)?)
}

/// Rows of the table of users.
pub fn users(day: &Condensed, date: NaiveDate, names: &mut Names) -> Result<RecordBatch> {
    let (texts, rows) = (&day.texts, &day.user_rows);
    let counted = || rows.iter().map(|(_, counted)| counted);
    let flag = |of: fn(&super::day::UserKey) -> bool| -> ArrayRef {
        Arc::new(rows.iter().map(|(key, _)| Some(of(key))).collect::<BooleanArray>())
    };
    let columns: Vec<ArrayRef> = vec![
        dates(date, rows.len()),
        coded(texts, rows.iter().map(|(key, _)| key.list)),
        rates(counted()),
        coded(texts, rows.iter().map(|(key, _)| key.system)),
        coded(texts, rows.iter().map(|(key, _)| key.subsystem)),
        coded(texts, rows.iter().map(|(key, _)| key.username)),
        coded(texts, rows.iter().map(|(key, _)| key.repo)),
        flag(|key| key.is_staff),
        flag(|key| key.is_compute),
        flag(|key| key.is_jupyter),
        processes(counted()),
        weights(counted()),
        lists(&USERS, "environments", texts, &day.text_sets, counted().map(|counted| counted.environments))?,
        ids(names, counted().map(|counted| counted.packages)),
        ids(names, counted().map(|counted| counted.direct)),
        ids(names, counted().map(|counted| counted.libraries)),
        ids(names, counted().map(|counted| counted.versions)),
    ];
    Ok(RecordBatch::try_new(USERS.clone(), columns)?)
}

fn dates(date: NaiveDate, rows: usize) -> ArrayRef {
    Arc::new(Date32Array::from_value(date.to_epoch_days(), rows))
}

fn rates<'a>(rows: impl Iterator<Item = &'a Counted>) -> ArrayRef {
    Arc::new(rows.map(|counted| counted.rate).collect::<Float64Array>())
}

fn processes<'a>(rows: impl Iterator<Item = &'a Counted>) -> ArrayRef {
    Arc::new(rows.map(|counted| Some(counted.processes)).collect::<Int64Array>())
}

fn weights<'a>(rows: impl Iterator<Item = &'a Counted>) -> ArrayRef {
    Arc::new(rows.map(|counted| Some(counted.weight)).collect::<Float64Array>())
}

fn ids(names: &mut Names, sets: impl Iterator<Item = u32>) -> ArrayRef {
    Arc::new(sets.map(|set| Some(names.id(set))).collect::<Int64Array>())
}

/// Texts by their numbers, with a dictionary of those that occur.
fn coded(texts: &Words, numbers: impl Iterator<Item = u32>) -> ArrayRef {
    let mut places: Vec<i32> = vec![-1; texts.len()];
    let mut occurring = Vec::new();
    let keys = numbers.map(|number| {
        let place = &mut places[number as usize];
        if *place < 0 {
            *place = occurring.len() as i32;
            occurring.push(texts.text(number).clone());
        }
        *place
    });
    let keys: Int32Array = keys.collect::<Vec<_>>().into();
    let values: StringArray = occurring.iter().map(|text| Some(text.as_ref())).collect();
    Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(values)))
}

/// A list of texts in each row, by the numbers of sets.
fn lists(
    schema: &SchemaRef,
    name: &str,
    texts: &Words,
    sets: &Sets,
    rows: impl Iterator<Item = u32>,
) -> Result<ArrayRef> {
    let DataType::List(item) = schema.field_with_name(name)?.data_type().clone() else {
        anyhow::bail!("{name} is no list");
    };
    let mut lengths = Vec::new();
    let mut members = Vec::new();
    for set in rows {
        let mut of_set = sets.members(set).to_vec();
        of_set.sort_by_key(|number| texts.text(*number));
        lengths.push(of_set.len());
        members.extend(of_set);
    }
    let values = coded(texts, members.into_iter());
    let lists = ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), values, None);
    Ok(Arc::new(lists.with_context(|| format!("the lists of {name}"))?))
}
