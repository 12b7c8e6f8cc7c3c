//! A Parquet file that appears whole or not at all: written under a name with a dot before it, and renamed.

use crate::dataset::sync_folder;
use anyhow::{Context, Result};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// A file that is being written. If it is dropped before [`WholeFile::finish`], it is removed.
pub struct WholeFile {
    out: Option<ArrowWriter<BufWriter<File>>>,
    temporary: PathBuf,
    path: PathBuf,
}

impl WholeFile {
    /// To be renamed to `path`; its folder is made if it is not there.
    pub fn create(path: &Path, schema: SchemaRef, options: ArrowWriterOptions) -> Result<Self> {
        let folder = path.parent().context("a file has a folder")?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = folder.join(format!(".{name}.new"));
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let file = File::create(&temporary).with_context(|| format!("cannot write {}", temporary.display()))?;
        let out = ArrowWriter::try_new_with_options(BufWriter::new(file), schema, options)?;
        Ok(WholeFile { out: Some(out), temporary, path: path.to_path_buf() })
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

impl Drop for WholeFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.temporary); // renamed, if it was finished
    }
}
