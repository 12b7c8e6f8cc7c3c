//! The records of one user: of a day's rows only those are read that are wanted, and of those of one process and list only
//! the one that counts is left (docs/RECORD.md), whether the files are merged yet or not.

use super::read::{again, open};
use super::rows::{Arrival, row};
use super::{Dataset, Day};
use crate::record::Record;
use anyhow::{Context, Result};
use arrow_array::BooleanArray;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::ArrowError;
use customs_spec::record::Field;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, RowFilter};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

type Kept = (Record<'static>, Arrival);
/// Says by uid and name whether a row is wanted.
pub type Wanted = Arc<dyn Fn(i64, &str) -> bool + Send + Sync>;

/// Of a day, the records of those whose uid and name are `wanted`.
pub fn records(dataset: &Dataset, day: &Day, wanted: &Wanted) -> Result<Vec<Kept>> {
    again(|| of_files(dataset, day, wanted))
}

fn of_files(dataset: &Dataset, day: &Day, wanted: &Wanted) -> Result<Vec<Kept>> {
    let mut counting: BTreeMap<([u8; 16], String), Kept> = BTreeMap::new();
    for file in dataset.files(day)? {
        of_file(&file, wanted, &mut |record, arrival| {
            let process = (record.id, record.text(Field::List).to_string());
            match counting.get_mut(&process) {
                None => drop(counting.insert(process, (record, arrival))),
                Some(known) => settle(known, record, arrival),
            }
        })
        .with_context(|| format!("cannot read {}", file.display()))?;
    }
    let mut records: Vec<Kept> = counting.into_values().collect();
    records.sort_by_key(|(record, arrival)| (record.start, arrival.time));
    Ok(records)
}

/// Of two records of a process, the one that counts; of the same report, what both have of it.
fn settle(known: &mut Kept, record: Record<'static>, arrival: Arrival) {
    let order = (record.seq, record.elapsed).partial_cmp(&(known.0.seq, known.0.elapsed));
    match order {
        Some(std::cmp::Ordering::Greater) => *known = (record, arrival),
        Some(std::cmp::Ordering::Equal) if !known.0.is_whole() => known.0.join(record),
        _ => {}
    }
}

fn of_file(file: &Path, wanted: &Wanted, take: &mut dyn FnMut(Record<'static>, Arrival)) -> Result<()> {
    let reader = open(file)?;
    let (uid, username) = (Field::Uid.key(), Field::Username.key());
    let mask = ProjectionMask::columns(reader.parquet_schema(), [uid, username]);
    let wanted = wanted.clone();
    let filter = ArrowPredicateFn::new(mask, move |batch| {
        let missing = || ArrowError::SchemaError("no uid or no username".to_string());
        let uids =
            batch.column_by_name(uid).and_then(|column| column.as_primitive_opt::<Int64Type>()).ok_or_else(missing)?;
        let names =
            batch.column_by_name(username).and_then(|column| column.as_string_opt::<i32>()).ok_or_else(missing)?;
        let rows = uids.values().iter().enumerate();
        Ok(BooleanArray::from_iter(rows.map(|(at, uid)| Some(wanted(*uid, names.value(at))))))
    });
    for batch in reader.with_row_filter(RowFilter::new(vec![Box::new(filter)])).build()? {
        let batch = batch?;
        for at in 0..batch.num_rows() {
            let (record, arrival) = row(&batch, at)?;
            take(record.into_owned(), arrival);
        }
    }
    Ok(())
}
