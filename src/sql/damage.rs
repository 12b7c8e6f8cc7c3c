//! Which file it was: DataFusion does not say.

use crate::tables::Sources;
use anyhow::{Context, Error, Result};
use arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::PageIndexPolicy;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// If it is a file that could not be read: the first such of those that were read for this plan, or, where there is no
/// plan because the end of a file, with its description, could not be read, of all.
pub fn find(error: &DataFusionError, plan: Option<&Arc<dyn ExecutionPlan>>, sources: &Sources) -> Option<Error> {
    if !is_of_file(error.find_root()) {
        return None;
    }
    match plan {
        Some(plan) => files(plan).iter().find_map(|file| read(file, true).err()),
        None => sources.files().find_map(|file| read(file, false).err()),
    }
}

fn is_of_file(error: &DataFusionError) -> bool {
    match error {
        DataFusionError::ParquetError(_) | DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => true,
        DataFusionError::ArrowError(error, _) => {
            matches!(**error, ArrowError::ParquetError(_) | ArrowError::ExternalError(_) | ArrowError::IoError(..))
        }
        DataFusionError::External(_) => true,
        _ => false,
    }
}

fn files(plan: &Arc<dyn ExecutionPlan>) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = plan.children().into_iter().flat_map(files).collect();
    let scan = plan.downcast_ref::<DataSourceExec>();
    let scan = scan.and_then(|source| source.data_source().downcast_ref::<FileScanConfig>());
    for group in scan.into_iter().flat_map(|scan| &scan.file_groups) {
        all.extend(group.iter().map(|file| Path::new("/").join(file.object_meta.location.to_string())));
    }
    all.sort();
    all.dedup();
    all
}

/// Reads a file's description and, if it must be, all of it.
fn read(file: &Path, whole: bool) -> Result<()> {
    let read = || -> Result<()> {
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(
            File::open(file)?,
            ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional),
        )?;
        if whole {
            for batch in reader.build()? {
                batch?;
            }
        }
        Ok(())
    };
    let wrong = || match file.exists() {
        true => format!("cannot read {}", file.display()),
        false => format!("{} was merged into another file meanwhile; ask again", file.display()),
    };
    read().with_context(wrong)
}
