//! Records become rows: one builder a column.

use super::schema::{self, SCHEMA};
use crate::record::{FLAGS, NUMBERS, Record, TEXTS};
use anyhow::{Context, Result};
use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, FixedSizeBinaryBuilder, Float64Builder, Int64Builder, ListBuilder, MapBuilder,
    MapFieldNames, StringDictionaryBuilder, TimestampMicrosecondBuilder, UInt8Builder, UInt32Builder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt8Type, UInt32Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use customs_spec::record::Field;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

type Words = StringDictionaryBuilder<Int32Type>;

/// How a record came here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arrival {
    /// Microseconds since 1970.
    pub time: i64,
    /// Who sent it.
    pub source: String,
    /// Whether the sender's address is one of `host`; `None` where that cannot be known.
    pub host_verified: Option<bool>,
    /// Whether the kernel says that the sender has this `uid`.
    pub uid_verified: Option<bool>,
}

/// Rows that are being collected.
pub struct Rows {
    id: FixedSizeBinaryBuilder,
    seq: UInt32Builder,
    texts: [Words; TEXTS.len()],
    numbers: [Int64Builder; NUMBERS.len()],
    flags: [BooleanBuilder; FLAGS.len()],
    start: TimestampMicrosecondBuilder,
    elapsed: Float64Builder,
    packages: ListBuilder<Words>,
    versions: MapBuilder<Words, Words>,
    direct: ListBuilder<Words>,
    libraries: ListBuilder<Words>,
    rate: Float64Builder,
    weight: Float64Builder,
    canary: Words,
    parent: FixedSizeBinaryBuilder,
    arrived: TimestampMicrosecondBuilder,
    source: Words,
    host_verified: BooleanBuilder,
    uid_verified: BooleanBuilder,
    missing: ListBuilder<UInt8Builder>,
}

impl Default for Rows {
    fn default() -> Self {
        let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
        let list = || ListBuilder::new(Words::new());
        Rows {
            id: FixedSizeBinaryBuilder::new(16),
            seq: UInt32Builder::new(),
            texts: std::array::from_fn(|_| Words::new()),
            numbers: std::array::from_fn(|_| Int64Builder::new()),
            flags: std::array::from_fn(|_| BooleanBuilder::new()),
            start: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            elapsed: Float64Builder::new(),
            packages: list(),
            versions: MapBuilder::new(Some(names), Words::new(), Words::new()),
            direct: list(),
            libraries: list(),
            rate: Float64Builder::new(),
            weight: Float64Builder::new(),
            canary: Words::new(),
            parent: FixedSizeBinaryBuilder::new(16),
            arrived: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            source: Words::new(),
            host_verified: BooleanBuilder::new(),
            uid_verified: BooleanBuilder::new(),
            missing: ListBuilder::new(UInt8Builder::new()),
        }
    }
}

impl Rows {
    /// Adds a row.
    pub fn push(&mut self, record: &Record, arrival: &Arrival) -> Result<()> {
        self.id.append_value(record.id)?;
        self.seq.append_value(record.seq);
        for (words, text) in self.texts.iter_mut().zip(&record.texts) {
            words.append(text)?;
        }
        for (builder, number) in self.numbers.iter_mut().zip(record.numbers) {
            builder.append_value(number);
        }
        for (builder, flag) in self.flags.iter_mut().zip(record.flags) {
            builder.append_value(flag);
        }
        self.start.append_option(record.start);
        self.elapsed.append_value(record.elapsed);
        list(&mut self.packages, &record.packages)?;
        list(&mut self.direct, &record.direct)?;
        list(&mut self.libraries, &record.libraries)?;
        for (name, version) in &record.versions {
            self.versions.keys().append(name)?;
            self.versions.values().append(version)?;
        }
        self.versions.append(true)?;
        self.rate.append_option(record.rate);
        self.weight.append_option(record.weight);
        match &record.canary {
            Some(canary) => drop(self.canary.append(canary)?),
            None => self.canary.append_null(),
        }
        match record.parent {
            Some(parent) => self.parent.append_value(parent)?,
            None => self.parent.append_null(),
        }
        self.arrived.append_value(arrival.time);
        self.source.append(&arrival.source)?;
        self.host_verified.append_option(arrival.host_verified);
        self.uid_verified.append_option(arrival.uid_verified);
        self.missing.values().append_slice(&record.missing);
        self.missing.append(true);
        Ok(())
    }

    /// All of them; afterwards there are none.
    pub fn take(&mut self) -> Result<RecordBatch> {
        let mut rows = std::mem::take(self);
        let mut columns: HashMap<&str, ArrayRef> = HashMap::new();
        for (field, words) in TEXTS.iter().zip(&mut rows.texts) {
            columns.insert(field.key(), Arc::new(words.finish()));
        }
        for (field, numbers) in NUMBERS.iter().zip(&mut rows.numbers) {
            columns.insert(field.key(), Arc::new(numbers.finish()));
        }
        for (field, flags) in FLAGS.iter().zip(&mut rows.flags) {
            columns.insert(field.key(), Arc::new(flags.finish()));
        }
        let single: [(&str, &mut dyn ArrayBuilder); 16] = [
            (Field::Id.key(), &mut rows.id),
            (Field::Seq.key(), &mut rows.seq),
            (Field::Start.key(), &mut rows.start),
            (Field::Elapsed.key(), &mut rows.elapsed),
            (Field::Packages.key(), &mut rows.packages),
            (Field::Versions.key(), &mut rows.versions),
            (Field::Direct.key(), &mut rows.direct),
            (Field::Libraries.key(), &mut rows.libraries),
            (Field::Rate.key(), &mut rows.rate),
            (Field::Weight.key(), &mut rows.weight),
            (Field::Canary.key(), &mut rows.canary),
            (Field::Parent.key(), &mut rows.parent),
            (schema::ARRIVED, &mut rows.arrived),
            (schema::SOURCE, &mut rows.source),
            (schema::HOST_VERIFIED, &mut rows.host_verified),
            (schema::UID_VERIFIED, &mut rows.uid_verified),
        ];
        columns.extend(single.map(|(name, builder)| (name, builder.finish())));
        columns.insert(schema::MISSING_PARTS, Arc::new(rows.missing.finish()));
        let columns = SCHEMA.fields().iter().filter_map(|column| columns.remove(column.name().as_str())).collect();
        Ok(RecordBatch::try_new(SCHEMA.clone(), columns)?)
    }
}

fn list(builder: &mut ListBuilder<Words>, names: &[Cow<str>]) -> Result<()> {
    for name in names {
        builder.values().append(name)?;
    }
    builder.append(true);
    Ok(())
}

/// A row with its dictionaries taken apart ([`schema::PLAIN`]), as the record that it was.
pub fn row(rows: &RecordBatch, at: usize) -> Result<(Record<'_>, Arrival)> {
    let column = |name: &str| rows.column_by_name(name).with_context(|| format!("the file has no column {name}"));
    let text = |name: &str| -> Result<&str> {
        let column = column(name)?.as_string_opt::<i32>().with_context(|| format!("{name} is no text"))?;
        Ok(if column.is_null(at) { "" } else { column.value(at) })
    };
    let number = |name: &str| -> Result<Option<i64>> {
        let column = column(name)?;
        let time = column.as_primitive_opt::<TimestampMicrosecondType>().map(|times| times.value(at));
        let plain = column.as_primitive_opt::<Int64Type>().map(|numbers| numbers.value(at));
        Ok(time.or(plain).filter(|_| !column.is_null(at)))
    };
    let real = |name: &str| -> Result<Option<f64>> {
        let column = column(name)?.as_primitive_opt::<Float64Type>().with_context(|| format!("{name} is no number"))?;
        Ok(column.is_valid(at).then(|| column.value(at)))
    };
    let flag = |name: &str| -> Result<Option<bool>> {
        let column = column(name)?.as_boolean_opt().with_context(|| format!("{name} is neither yes nor no"))?;
        Ok(column.is_valid(at).then(|| column.value(at)))
    };
    let id = |name: &str| -> Result<Option<[u8; 16]>> {
        let column = column(name)?.as_fixed_size_binary_opt().with_context(|| format!("{name} is no id"))?;
        Ok(if column.is_null(at) { None } else { Some(column.value(at).try_into()?) })
    };
    let names = |name: &str| -> Result<Vec<Cow<'_, str>>> {
        let column = column(name)?.as_list_opt::<i32>().with_context(|| format!("{name} is no list"))?;
        let (from, to) = (column.value_offsets()[at] as usize, column.value_offsets()[at + 1] as usize);
        let values = column.values().as_string_opt::<i32>().with_context(|| format!("{name} has no names"))?;
        Ok((from..to).map(|value| Cow::Borrowed(values.value(value))).collect())
    };
    let versions = column(Field::Versions.key())?.as_map_opt().context("versions is no map")?;
    let (from, to) = (versions.value_offsets()[at] as usize, versions.value_offsets()[at + 1] as usize);
    let (keys, values) = (versions.keys().as_string::<i32>(), versions.values().as_string::<i32>());
    let missing = column(schema::MISSING_PARTS)?.as_list_opt::<i32>().context("missing_parts is no list")?.value(at);
    let seq = column(Field::Seq.key())?.as_primitive_opt::<UInt32Type>().context("seq is no number")?;
    let mut record = Record {
        id: id(Field::Id.key())?.unwrap_or_default(),
        seq: seq.value(at),
        missing: missing.as_primitive::<UInt8Type>().values().to_vec(),
        start: number(Field::Start.key())?,
        elapsed: real(Field::Elapsed.key())?.unwrap_or_default(),
        packages: names(Field::Packages.key())?,
        versions: (from..to).map(|pair| (keys.value(pair).into(), values.value(pair).into())).collect(),
        direct: names(Field::Direct.key())?,
        libraries: names(Field::Libraries.key())?,
        rate: real(Field::Rate.key())?,
        weight: real(Field::Weight.key())?,
        canary: if column(Field::Canary.key())?.is_null(at) { None } else { Some(text(Field::Canary.key())?.into()) },
        parent: id(Field::Parent.key())?,
        ..Record::default()
    };
    for (field, place) in TEXTS.iter().zip(&mut record.texts) {
        *place = Cow::Borrowed(text(field.key())?);
    }
    for (field, place) in NUMBERS.iter().zip(&mut record.numbers) {
        *place = number(field.key())?.unwrap_or_default();
    }
    for (field, place) in FLAGS.iter().zip(&mut record.flags) {
        *place = flag(field.key())?.unwrap_or_default();
    }
    let arrival = Arrival {
        time: number(schema::ARRIVED)?.unwrap_or_default(),
        source: text(schema::SOURCE)?.to_string(),
        host_verified: flag(schema::HOST_VERIFIED)?,
        uid_verified: flag(schema::UID_VERIFIED)?,
    };
    Ok((record, arrival))
}
