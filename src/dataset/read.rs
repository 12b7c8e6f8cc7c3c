//! Files of a dataset are opened to be read, while a collector may be merging them.

use super::schema::{PLAIN, SCHEMA};
use anyhow::{Context, Error, Result};
use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

/// How often files are listed anew, because one that was listed has been merged meanwhile.
const TRIES: u32 = 10;

/// A file, its rows with their dictionaries taken apart ([`PLAIN`]).
pub fn open(file: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    open_as(file, &PLAIN)
}

/// A file, its texts as dictionaries ([`SCHEMA`]): each batch can have others.
pub fn open_coded(file: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    open_as(file, &SCHEMA)
}

fn open_as(file: &Path, schema: &SchemaRef) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let open = || {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true).with_schema(schema.clone());
        anyhow::Ok(ParquetRecordBatchReaderBuilder::try_new_with_options(File::open(file)?, options)?)
    };
    open().with_context(|| format!("cannot read {}", file.display()))
}

/// What `read` gives, which lists files and reads them: done again where one of them is gone by then.
pub fn again<T>(mut read: impl FnMut() -> Result<T>) -> Result<T> {
    let mut tries = 1;
    loop {
        match read() {
            Err(error) if tries < TRIES && was_merged(&error) => tries += 1,
            outcome => return outcome,
        }
    }
}

fn was_merged(error: &Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    io.is_some_and(|error| error.kind() == ErrorKind::NotFound)
}
