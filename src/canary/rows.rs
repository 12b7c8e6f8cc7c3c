//! The rows of a dataset that claim to be of a canary. Only the columns that are needed are read, and the others of them
//! only where `canary` has a value.

use crate::dataset::read::{again, open};
use crate::dataset::schema::{ARRIVED, MISSING_PARTS};
use crate::dataset::{Dataset, Day};
use anyhow::{Context, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType, UInt8Type, UInt32Type};
use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_buffer::BooleanBuffer;
use customs_spec::record::Field;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, RowFilter};
use std::collections::BTreeSet;
use std::path::Path;

/// A row, or a document of an index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// What it claims to be a canary of.
    pub canary: String,
    /// The list.
    pub list: String,
    /// The record's `id`.
    pub process: u128,
    /// Of one process and list the highest counts,
    pub seq: u32,
    /// and of those the greatest age, in seconds.
    pub elapsed: f64,
    /// In microseconds since 1970.
    pub start: Option<i64>,
    /// The host.
    pub host: String,
    /// The Python.
    pub python: String,
    /// What was found.
    pub packages: BTreeSet<String>,
    /// The parts that are not in it.
    pub missing: BTreeSet<u8>,
    /// When it arrived, where that is known.
    pub arrived: Option<i64>,
}

/// All of the days from `first` to `last`.
pub fn of_dataset(root: &Path, first: &Day, last: &Day) -> Result<Vec<Row>> {
    let dataset = Dataset::open(root)?;
    again(|| of_days(&dataset, first, last))
}

fn of_days(dataset: &Dataset, first: &Day, last: &Day) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for day in dataset.days()?.iter().filter(|day| (first..=last).contains(day)) {
        for file in dataset.files(day)? {
            of_file(&file, &mut rows).with_context(|| format!("cannot read {}", file.display()))?;
        }
    }
    Ok(rows)
}

fn of_file(file: &Path, rows: &mut Vec<Row>) -> Result<()> {
    let reader = open(file)?;
    let columns = |names: &[&str]| ProjectionMask::columns(reader.parquet_schema(), names.iter().copied());
    let fields = [Field::Canary, Field::List, Field::Id, Field::Seq, Field::Elapsed, Field::Start, Field::Host];
    let mut names: Vec<&str> = fields.iter().map(|field| field.key()).collect();
    names.extend([Field::Python.key(), Field::Packages.key(), MISSING_PARTS, ARRIVED]);
    let (wanted, canary) = (columns(&names), columns(&[Field::Canary.key()]));
    let is_canary = ArrowPredicateFn::new(canary, |rows| Ok(has_value(rows.column(0))));
    let reader = reader.with_projection(wanted).with_row_filter(RowFilter::new(vec![Box::new(is_canary)]));
    for batch in reader.build()? {
        let batch = batch?;
        for at in 0..batch.num_rows() {
            rows.push(row(&batch, at)?);
        }
    }
    Ok(())
}

/// For each row, whether there is something.
fn has_value(column: &dyn Array) -> BooleanArray {
    let values =
        column.logical_nulls().map_or_else(|| BooleanBuffer::new_set(column.len()), |nulls| nulls.into_inner());
    BooleanArray::new(values, None)
}

fn row(batch: &RecordBatch, at: usize) -> Result<Row> {
    let column = |name: &str| batch.column_by_name(name).with_context(|| format!("no column {name}"));
    let text = |field: Field| -> Result<String> {
        let texts =
            column(field.key())?.as_string_opt::<i32>().with_context(|| format!("{} is no text", field.key()))?;
        Ok(if texts.is_null(at) { String::new() } else { texts.value(at).to_string() })
    };
    let time = |name: &str| -> Result<Option<i64>> {
        let times = column(name)?.as_primitive_opt::<TimestampMicrosecondType>().context("not a time")?;
        Ok(times.is_valid(at).then(|| times.value(at)))
    };
    let list = |name: &str| anyhow::Ok(column(name)?.as_list_opt::<i32>().context("not a list")?.value(at));
    let packages = list(Field::Packages.key())?;
    let packages = packages.as_string_opt::<i32>().context("packages are no texts")?;
    let missing = list(MISSING_PARTS)?;
    let missing = missing.as_primitive_opt::<UInt8Type>().context("missing parts are no numbers")?;
    let id = column(Field::Id.key())?.as_fixed_size_binary_opt().context("id")?.value(at);
    Ok(Row {
        canary: text(Field::Canary)?,
        list: text(Field::List)?,
        process: u128::from_be_bytes(id.try_into()?),
        seq: column(Field::Seq.key())?.as_primitive_opt::<UInt32Type>().context("seq")?.value(at),
        elapsed: column(Field::Elapsed.key())?.as_primitive_opt::<Float64Type>().context("elapsed")?.value(at),
        start: time(Field::Start.key())?,
        host: text(Field::Host)?,
        python: text(Field::Python)?,
        packages: packages.iter().flatten().map(str::to_string).collect(),
        missing: missing.values().iter().copied().collect(),
        arrived: time(ARRIVED)?,
    })
}
