//! The columns of the dataset. Their names are those of the record's fields; docs/DATASET.md says what each holds.

pub use crate::record::MISSING_PARTS;
use crate::record::{FLAGS, NUMBERS, TEXTS};
use anyhow::Result;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, make_array};
use arrow_schema::{DataType, Field as Column, Fields, Schema, SchemaRef, TimeUnit};
use arrow_select::take::take;
use customs_spec::record::Field;
use std::sync::{Arc, LazyLock};

/// When the collector got the message.
pub const ARRIVED: &str = "arrived";
/// Who sent it: an address, or the socket's or file's kind.
pub const SOURCE: &str = "source";
/// Whether the sender's address is one of `host`.
pub const HOST_VERIFIED: &str = "host_verified";
/// Whether the kernel says that the sender has this `uid`.
pub const UID_VERIFIED: &str = "uid_verified";

/// Text of few different values.
pub fn word() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The child of a list.
pub fn item(of: DataType) -> Arc<Column> {
    Arc::new(Column::new("item", of, true))
}

/// Microseconds since 1970, UTC.
pub fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Names and versions.
fn map() -> DataType {
    let pair = Fields::from(vec![Column::new("key", word(), false), Column::new("value", word(), true)]);
    DataType::Map(Arc::new(Column::new("key_value", DataType::Struct(pair), false)), false)
}

/// The columns as they are in memory, and as readers of Arrow see them.
pub static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let column = |field: &Field| -> Column {
        let (kind, optional) = match field {
            Field::Id => (DataType::FixedSizeBinary(16), false),
            Field::Parent => (DataType::FixedSizeBinary(16), true),
            Field::Seq => (DataType::UInt32, false),
            Field::Start => (time(), true),
            Field::Elapsed => (DataType::Float64, false),
            Field::Rate | Field::Weight => (DataType::Float64, true),
            Field::Canary => (word(), true),
            Field::Packages | Field::Direct | Field::Libraries => (DataType::List(item(word())), false),
            Field::Versions => (map(), false),
            field if TEXTS.contains(field) => (word(), false),
            field if NUMBERS.contains(field) => (DataType::Int64, false),
            field => {
                debug_assert!(FLAGS.contains(field));
                (DataType::Boolean, false)
            }
        };
        Column::new(field.key(), kind, optional)
    };
    let fields = Field::ALL.iter().filter(|field| !matches!(field, Field::Schema | Field::Part | Field::Parts));
    let mut columns: Vec<Column> = fields.map(column).collect();
    columns.extend([
        Column::new(ARRIVED, time(), false),
        Column::new(SOURCE, word(), false),
        Column::new(HOST_VERIFIED, DataType::Boolean, true),
        Column::new(UID_VERIFIED, DataType::Boolean, true),
        Column::new(MISSING_PARTS, DataType::List(item(DataType::UInt8)), false),
    ]);
    Arc::new(Schema::new(columns))
});

/// The same columns with every dictionary taken apart: what rows are merged as, because dictionaries of many files
/// cannot be told from each other by their numbers.
pub static PLAIN: LazyLock<SchemaRef> = LazyLock::new(|| {
    let columns =
        SCHEMA.fields().iter().map(|column| column.as_ref().clone().with_data_type(plain(column.data_type())));
    Arc::new(Schema::new(columns.collect::<Vec<_>>()))
});

fn plain(kind: &DataType) -> DataType {
    let child = |column: &Arc<Column>| Arc::new(column.as_ref().clone().with_data_type(plain(column.data_type())));
    match kind {
        DataType::Dictionary(..) => DataType::Utf8,
        DataType::List(column) => DataType::List(child(column)),
        DataType::Map(column, sorted) => DataType::Map(child(column), *sorted),
        DataType::Struct(columns) => DataType::Struct(columns.iter().map(child).collect()),
        other => other.clone(),
    }
}

/// The same rows with every dictionary taken apart.
pub fn taken_apart(rows: &RecordBatch) -> Result<RecordBatch> {
    let columns = rows.columns().iter().map(without_dictionaries).collect::<Result<_>>()?;
    Ok(RecordBatch::try_new(PLAIN.clone(), columns)?)
}

fn without_dictionaries(array: &ArrayRef) -> Result<ArrayRef> {
    if let Some(words) = array.as_any_dictionary_opt() {
        return Ok(take(words.values(), words.keys(), None)?);
    }
    let data = array.to_data();
    let children =
        data.child_data().iter().map(|child| Ok(without_dictionaries(&make_array(child.clone()))?.to_data()));
    let children = children.collect::<Result<_>>()?;
    let kind = plain(data.data_type());
    Ok(make_array(data.into_builder().data_type(kind).child_data(children).build()?))
}
