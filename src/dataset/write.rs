//! A file of the dataset is written: how it is compressed, and what it says of itself.

use super::schema::SCHEMA;
use crate::whole::WholeFile;
use anyhow::Result;
use arrow_schema::SchemaRef;
use parquet::arrow::{add_encoded_arrow_schema_to_metadata, arrow_writer::ArrowWriterOptions};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use std::path::Path;

/// In the metadata of a merged file: the files that it stands in the place of, a line each.
pub const REPLACES: &str = "customs.replaces";
/// In the metadata of every file: the version of docs/DATASET.md that it is written by.
const VERSION: &str = "customs.dataset";
/// As measured: level 3 is a third smaller than 1 at the same speed, and higher ones save little.
const LEVEL: i32 = 3;
/// Of a row group: what a reader has in memory at once, and who writes it as well.
const ROWS_IN_GROUP: usize = 512 * 1024;
const BYTES_IN_GROUP: usize = 96 << 20;

/// A file that will have this name. Its rows are of that schema, and it stands for those that it `replaces`.
pub fn create(path: &Path, schema: SchemaRef, replaces: &[String]) -> Result<WholeFile> {
    let mut metadata = vec![KeyValue::new(VERSION.to_string(), "1".to_string())];
    if !replaces.is_empty() {
        metadata.push(KeyValue::new(REPLACES.to_string(), replaces.join("\n")));
    }
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
        .set_max_row_group_row_count(Some(ROWS_IN_GROUP))
        .set_max_row_group_bytes(Some(BYTES_IN_GROUP))
        .set_key_value_metadata(Some(metadata));
    // Numbers that hardly repeat: their bytes, taken one place after the other, do.
    for name in ["elapsed", "start", "arrived"] {
        let column = ColumnPath::from(name);
        properties = properties.set_column_dictionary_enabled(column.clone(), false);
        let encoding = if name == "elapsed" { Encoding::BYTE_STREAM_SPLIT } else { Encoding::DELTA_BINARY_PACKED };
        properties = properties.set_column_encoding(column, encoding);
    }
    for name in ["id", "parent"] {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), name == "parent");
    }
    let mut properties = properties.build();
    // Readers of Arrow get dictionaries, also where rows were merged without them.
    add_encoded_arrow_schema_to_metadata(&SCHEMA, &mut properties);
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    WholeFile::create(path, schema, options)
}
