//! The columns of the tables. Where a column is what the record has, it has the record's name.

use crate::dataset::schema::{item, word};
use arrow_schema::{DataType, Field as Column, Schema, SchemaRef, TimeUnit};
use customs_spec::record::Field;
use std::sync::{Arc, LazyLock};

/// The day, UTC, on which processes began.
pub const DATE: &str = "date";
/// Whether one of them is a Jupyter kernel or server.
pub const IS_JUPYTER: &str = "is_jupyter";
/// How many there were.
pub const PROCESSES: &str = "processes";
/// How many they stand for: the sum of their weights.
pub const WEIGHT: &str = Field::Weight.key();
/// When the first began, and the last was heard of.
pub const START: &str = Field::Start.key();
/// See [`START`].
pub const END: &str = "end";
/// Where their Pythons come from.
pub const ENVIRONMENTS: &str = "environments";
/// How they ended.
pub const EXITS: &str = "exits";
/// The number of a set.
pub const PACKAGES: &str = Field::Packages.key();
/// The number of a set.
pub const DIRECT: &str = Field::Direct.key();
/// The number of a set.
pub const LIBRARIES: &str = Field::Libraries.key();
/// The number of a set, whose names are a package and its version, with a space between.
pub const VERSIONS: &str = Field::Versions.key();
/// Of a sampled list.
pub const RATE: &str = Field::Rate.key();
/// The number of a set, in the table of sets.
pub const ID: &str = "id";
/// What is in it, sorted.
pub const NAMES: &str = "names";

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

fn columns(all: &[(&str, DataType)]) -> SchemaRef {
    let optional = [RATE, START, END];
    let columns = all.iter().map(|(name, kind)| Column::new(*name, kind.clone(), optional.contains(name)));
    Arc::new(Schema::new(columns.collect::<Vec<_>>()))
}

/// A row a day and job.
pub static JOBS: LazyLock<SchemaRef> = LazyLock::new(|| {
    columns(&[
        (DATE, DataType::Date32),
        (Field::List.key(), word()),
        (RATE, DataType::Float64),
        (Field::System.key(), word()),
        (Field::JobId.key(), DataType::Utf8),
        (Field::Subsystem.key(), word()),
        (Field::Username.key(), word()),
        (Field::Repo.key(), word()),
        (Field::IsStaff.key(), DataType::Boolean),
        (Field::IsCompute.key(), DataType::Boolean),
        (IS_JUPYTER, DataType::Boolean),
        (Field::NumNodes.key(), DataType::Int64),
        (PROCESSES, DataType::Int64),
        (WEIGHT, DataType::Float64),
        (START, time()),
        (END, time()),
        (ENVIRONMENTS, DataType::List(item(word()))),
        (EXITS, DataType::List(item(word()))),
        (PACKAGES, DataType::Int64),
        (DIRECT, DataType::Int64),
    ])
});

/// A row a day, user and setting.
pub static USERS: LazyLock<SchemaRef> = LazyLock::new(|| {
    columns(&[
        (DATE, DataType::Date32),
        (Field::List.key(), word()),
        (RATE, DataType::Float64),
        (Field::System.key(), word()),
        (Field::Subsystem.key(), word()),
        (Field::Username.key(), word()),
        (Field::Repo.key(), word()),
        (Field::IsStaff.key(), DataType::Boolean),
        (Field::IsCompute.key(), DataType::Boolean),
        (IS_JUPYTER, DataType::Boolean),
        (PROCESSES, DataType::Int64),
        (WEIGHT, DataType::Float64),
        (ENVIRONMENTS, DataType::List(item(word()))),
        (PACKAGES, DataType::Int64),
        (DIRECT, DataType::Int64),
        (LIBRARIES, DataType::Int64),
        (VERSIONS, DataType::Int64),
    ])
});

/// The sets.
pub static SETS: LazyLock<SchemaRef> =
    LazyLock::new(|| columns(&[(ID, DataType::Int64), (NAMES, DataType::List(item(word())))]));
