//! A file of the tables is written.

use super::schema::{DATE, END, START};
use crate::whole::WholeFile;
use anyhow::Result;
use arrow_schema::SchemaRef;
use customs_spec::record::Field;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// In the metadata of a file of a month: the days it has, and what each was made from, as JSON.
pub const DAYS: &str = "customs.days";
/// In the metadata of every file: the version of docs/TABLES.md that it is written by.
const VERSION: &str = "customs.tables";

/// What a day of the tables was made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Day {
    /// A digest of the dataset's files of that day and of the options.
    pub made_from: String,
    /// Records that count.
    pub records: u64,
    /// Records that were left out, because a ledger has them as canaries.
    pub canaries: u64,
    /// Records that say they are canaries, and that no ledger has.
    pub claims: u64,
    /// Files of the dataset that could not be read.
    pub damaged: Vec<String>,
}

/// A file that will have this name; `said` goes into its metadata.
pub fn create(path: &Path, schema: SchemaRef, said: Vec<(&str, String)>) -> Result<WholeFile> {
    let said = said.into_iter().chain([(VERSION, "1".to_string())]);
    let job_id = ColumnPath::from(Field::JobId.key());
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_key_value_metadata(Some(said.map(|(key, value)| KeyValue::new(key.to_string(), value)).collect()))
        // A month's rows have nearly every value of a column: only the days tell one part of a file from another.
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled(ColumnPath::from(DATE), EnabledStatistics::Chunk)
        // Sorted, so that each begins as the one before it does.
        .set_column_dictionary_enabled(job_id.clone(), false)
        .set_column_encoding(job_id, Encoding::DELTA_BYTE_ARRAY);
    for name in [START, END] {
        let column = ColumnPath::from(name);
        properties = properties.set_column_dictionary_enabled(column.clone(), false);
        properties = properties.set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    WholeFile::create(path, schema, ArrowWriterOptions::new().with_properties(properties.build()))
}
