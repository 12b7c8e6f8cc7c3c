//! A file of the dataset is written: sorted, compressed, and under its name only when it is whole.

use super::schema::{ORDER, SCHEMA};
use super::sync_folder;
use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use arrow::compute::{SortColumn, lexsort_to_indices, take_record_batch};
use parquet::arrow::{ArrowWriter, add_encoded_arrow_schema_to_metadata, arrow_writer::ArrowWriterOptions};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// In the metadata of a merged file: the files that it stands in the place of, a line each.
pub const REPLACES: &str = "customs.replaces";
/// In the metadata of every file: the version of docs/DATASET.md that it is written by.
const VERSION: &str = "customs.dataset";
/// As measured: level 3 is a third smaller than 1 at the same speed, and higher ones save little.
const LEVEL: i32 = 3;
/// Of a row group: what a reader has in memory at once, and who writes it as well.
const ROWS_IN_GROUP: usize = 512 * 1024;
const BYTES_IN_GROUP: usize = 96 << 20;

/// A file that is being written. If it is dropped before [`Writer::finish`], it is removed.
pub struct Writer {
    out: Option<ArrowWriter<BufWriter<File>>>,
    temporary: PathBuf,
    path: PathBuf,
}

impl Writer {
    /// To be renamed to `path`.
    pub fn create(path: &Path, schema: arrow::datatypes::SchemaRef, replaces: &[String]) -> Result<Self> {
        let folder = path.parent().context("a file of the dataset has a folder")?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = folder.join(format!(".{name}.new"));
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let file = File::create(&temporary).with_context(|| format!("cannot write {}", temporary.display()))?;
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
        let out = ArrowWriter::try_new_with_options(BufWriter::new(file), schema, options)?;
        Ok(Writer { out: Some(out), temporary, path: path.to_path_buf() })
    }

    /// Rows that come after those that were written.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let out = self.out.as_mut().context("the file is finished")?;
        out.write(rows).with_context(|| format!("cannot write {}", self.temporary.display()))
    }

    /// The file takes its name, and stays.
    pub fn finish(mut self) -> Result<()> {
        let writer = self.out.take().context("the file is finished")?;
        let explain = || format!("cannot write {}", self.temporary.display());
        let file = writer.into_inner().with_context(explain)?.into_inner().with_context(explain)?;
        file.sync_all().with_context(explain)?;
        fs::rename(&self.temporary, &self.path).with_context(|| format!("cannot write {}", self.path.display()))?;
        sync_folder(self.path.parent().unwrap_or(Path::new(".")))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.temporary); // renamed, if it was finished
    }
}

/// The rows in the order of a file.
pub fn sorted(rows: &RecordBatch) -> Result<RecordBatch> {
    let columns = ORDER.iter().filter_map(|name| rows.column_by_name(name));
    let columns: Vec<SortColumn> = columns.map(|values| SortColumn { values: values.clone(), options: None }).collect();
    let order = lexsort_to_indices(&columns, None)?;
    Ok(take_record_batch(rows, &order)?)
}
