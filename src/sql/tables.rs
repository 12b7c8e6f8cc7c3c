//! What can be asked: the files of a dataset and of its tables as tables of SQL, and views of them.

use anyhow::{Context, Result, ensure};
use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::TableProvider;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::prelude::SessionContext;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;

/// The day, which the dataset has in the names of its folders.
const DATE: &str = "date";
const SUFFIX: &str = ".parquet";
/// Names that begin so are not for readers: `_customs`, and files that are still being written.
const HIDDEN: [char; 2] = ['.', '_'];
/// The same for DataFusion.
const SHOWN: &str = "[!._]*.parquet";

/// Of each process and list the row that counts, by the rule of docs/DATASET.md. Of one day, as `customs reduce` and the
/// merging of days have it, and so that what is asked of a day reads that day alone.
const PROCESSES: &str = "\
CREATE VIEW processes AS
SELECT * FROM records
QUALIFY row_number() OVER (PARTITION BY date, id, list ORDER BY seq DESC, elapsed DESC) = 1";

/// A row a package, for all who do not want to know of sets.
const OF_TABLES: [&str; 3] = [
    "CREATE VIEW job_packages AS
     SELECT * EXCLUDE (own), coalesce(array_has(own, package), false) AS is_direct
     FROM (SELECT jobs.* EXCLUDE (packages, direct), own.names AS own, unnest(all_of.names) AS package
           FROM jobs JOIN sets all_of ON jobs.packages = all_of.id LEFT JOIN sets own ON jobs.direct = own.id)",
    "CREATE VIEW user_packages AS
     SELECT * EXCLUDE (own), coalesce(array_has(own, package), false) AS is_direct
     FROM (SELECT users.* EXCLUDE (packages, direct, libraries, versions), own.names AS own, unnest(all_of.names) AS package
           FROM users JOIN sets all_of ON users.packages = all_of.id LEFT JOIN sets own ON users.direct = own.id)",
    "CREATE VIEW user_versions AS
     SELECT * EXCLUDE (pair), split_part(pair, ' ', 1) AS package, substr(pair, strpos(pair, ' ') + 1) AS version
     FROM (SELECT users.* EXCLUDE (packages, direct, libraries, versions), unnest(names) AS pair
           FROM users JOIN sets ON users.versions = sets.id)",
];

/// A folder of Parquet files that is a table.
struct Source {
    name: &'static str,
    folder: PathBuf,
    /// Whether its files lie in a folder for each day.
    by_day: bool,
    /// Never empty.
    files: Vec<PathBuf>,
}

/// All that can be asked.
pub struct Sources(Vec<Source>);

impl Sources {
    /// What lies in these folders.
    pub fn find(dataset: Option<&Path>, tables: Option<&Path>) -> Result<Self> {
        let mut all = Vec::new();
        if let Some(root) = dataset {
            all.push(Source::find("records", root, true)?);
        }
        if let Some(root) = tables {
            ensure!(root.is_dir(), "{} is no folder: name the one that `customs reduce` has written", root.display());
            for name in ["jobs", "users", "sets"] {
                all.push(Source::find(name, &root.join(name), false)?);
            }
        }
        Ok(Sources(all))
    }

    /// Makes them tables, with the views that belong to them.
    pub async fn register(&self, context: &SessionContext) -> Result<()> {
        for source in &self.0 {
            let table = source.table()?;
            match source.name {
                // The same set may be in several files.
                "sets" => context.register_table("sets", context.read_table(table)?.distinct()?.into_view())?,
                name => context.register_table(name, table)?,
            };
        }
        let views = [("records", &[PROCESSES][..]), ("jobs", &OF_TABLES[..])];
        for (_, views) in views.iter().filter(|(of, _)| self.0.iter().any(|source| source.name == *of)) {
            for view in *views {
                context.sql(view).await?;
            }
        }
        Ok(())
    }

    /// Every file that can be read for an answer.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().flat_map(|source| source.files.iter().map(PathBuf::as_path))
    }

    /// Which of the two folders were not given.
    pub fn missing(&self) -> &'static str {
        let has = |name: &str| self.0.iter().any(|source| source.name == name);
        match (has("records"), has("jobs")) {
            (false, _) => "; `records` and `processes` need --dataset DIR",
            (_, false) => "; `jobs`, `users` and what is made of them need --tables DIR",
            _ => "",
        }
    }
}

impl Source {
    fn find(name: &'static str, folder: &Path, by_day: bool) -> Result<Self> {
        let by = if by_day { "customs collect` or `customs import" } else { "customs reduce" };
        let nothing = || format!("{} has no {name} in it: name the folder that `{by}` has written", folder.display());
        // As DataFusion names it, who knows of no folder that one is in.
        let place = folder.canonicalize().with_context(nothing)?;
        let folders = match by_day {
            true => listed(&place, |name| name.starts_with("date="))?,
            false => vec![place.clone()],
        };
        let mut files = Vec::new();
        for folder in &folders {
            files.extend(listed(folder, |name| name.ends_with(SUFFIX))?);
        }
        ensure!(!files.is_empty(), nothing());
        for file in &files {
            // DataFusion would go past it without a word. One that was merged meanwhile is gone.
            let is_empty = file.metadata().is_ok_and(|file| file.len() == 0);
            ensure!(!is_empty, "{} is damaged: it is empty", file.display());
        }
        Ok(Source { name, folder: place, by_day, files })
    }

    fn table(&self) -> Result<Arc<dyn TableProvider>> {
        let wrong = || format!("cannot read {}", self.folder.display());
        let url = Url::from_directory_path(&self.folder).ok().with_context(wrong)?;
        let url = ListingTableUrl::try_new(url, None)?.with_glob(SHOWN)?;
        let days = if self.by_day { vec![(DATE.to_string(), DataType::Date32)] } else { Vec::new() };
        let options = ListingOptions::new(Arc::new(ParquetFormat::default()))
            .with_file_extension(SUFFIX)
            .with_table_partition_cols(days);
        let config = ListingTableConfig::new(url).with_listing_options(options).with_schema(self.schema()?);
        Ok(Arc::new(ListingTable::try_new(config)?))
    }

    /// The columns of the newest file. What older files lack is null in their rows.
    fn schema(&self) -> Result<SchemaRef> {
        let newest = self.files.last().context("a table has files")?;
        let read = || anyhow::Ok(ParquetRecordBatchReaderBuilder::try_new(File::open(newest)?)?);
        let reader = read().with_context(|| format!("cannot read {}", newest.display()))?;
        let columns = reader.schema().fields().iter().map(|column| Arc::new(plain(column).with_nullable(true)));
        Ok(Arc::new(Schema::new(columns.collect::<Vec<_>>())))
    }
}

/// What is in a folder and so named, in order.
fn listed(folder: &Path, is_meant: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut paths: Vec<PathBuf> =
        names.filter(|name| !name.starts_with(HIDDEN) && is_meant(name)).map(|name| folder.join(name)).collect();
    paths.sort();
    Ok(paths)
}

/// Without dictionaries: texts are texts for every function, and DataFusion groups by them faster.
fn plain(column: &Field) -> Field {
    with_texts(column, &DataType::Utf8View)
}

fn with_texts(column: &Field, text: &DataType) -> Field {
    let child = |column: &FieldRef, text: &DataType| Arc::new(with_texts(column, text));
    let kind = match column.data_type() {
        DataType::Dictionary(_, value) if **value == DataType::Utf8 => text.clone(),
        DataType::Utf8 => text.clone(),
        DataType::List(item) => DataType::List(child(item, text)),
        // What is written in a query is looked up in a map as it is.
        DataType::Map(entry, is_sorted) => DataType::Map(child(entry, &DataType::Utf8), *is_sorted),
        DataType::Struct(columns) => DataType::Struct(columns.iter().map(|column| child(column, text)).collect()),
        other => other.clone(),
    };
    column.clone().with_data_type(kind)
}

/// All tables with their columns.
pub async fn describe(context: &SessionContext) -> Result<RecordBatch> {
    let schema = context.catalog("datafusion").and_then(|catalog| catalog.schema("public")).context("no tables")?;
    let mut names = schema.table_names();
    names.sort();
    let mut rows = [Vec::new(), Vec::new(), Vec::new()];
    for name in names {
        let table = schema.table(&name).await?.context("a table that is listed is there")?;
        for column in table.schema().fields() {
            for (cells, cell) in rows.iter_mut().zip([name.clone(), column.name().clone(), kind(column.data_type())]) {
                cells.push(cell);
            }
        }
    }
    let columns = ["table", "column", "type"].into_iter().zip(rows);
    Ok(RecordBatch::try_from_iter(columns.map(|(name, cells)| (name, Arc::new(StringArray::from(cells)) as _)))?)
}

/// A type in the words of docs/DATASET.md.
fn kind(of: &DataType) -> String {
    match of {
        DataType::Utf8View | DataType::Utf8 | DataType::LargeUtf8 => "string".into(),
        DataType::Float64 => "double".into(),
        DataType::Date32 => "date".into(),
        DataType::FixedSizeBinary(length) => format!("binary({length})"),
        DataType::Timestamp(TimeUnit::Microsecond, _) => "timestamp (µs, UTC)".into(),
        DataType::Timestamp(TimeUnit::Millisecond, _) => "timestamp (ms, UTC)".into(),
        DataType::List(item) => format!("list of {}", kind(item.data_type())),
        DataType::Map(entry, _) => match entry.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                format!("map of {} to {}", kind(pair[0].data_type()), kind(pair[1].data_type()))
            }
            other => format!("map of {}", kind(other)),
        },
        other => other.to_string().to_lowercase(),
    }
}
