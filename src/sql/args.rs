//! What can be typed after `customs sql`: the one definition for the verb and for the program that does it.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  customs sql --tables /srv/tables --format csv \\
    \"SELECT package, count(DISTINCT username) AS users FROM user_packages GROUP BY package\"
  customs sql --dataset /srv/customs \\
    \"SELECT date, count(*) AS processes FROM processes GROUP BY date ORDER BY date\"";

/// Ask a dataset and its tables in SQL
///
/// Answers one query, which can only read. Without one, says which tables there are, and their columns: `records`, and
/// `processes` of it, which are the rows that count; `jobs`, `users`, `sets`, and `job_packages`, `user_packages`,
/// `user_versions`, which have a row a package. docs/SQL.md has queries to begin with.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Sql {
    /// The query; - reads it from standard input
    pub query: Option<String>,
    /// The dataset that `customs collect` and `customs import` keep
    #[arg(long, value_name = "DIR", required_unless_present = "tables")]
    pub dataset: Option<PathBuf>,
    /// The tables that `customs reduce` has written
    #[arg(long, value_name = "DIR")]
    pub tables: Option<PathBuf>,
    /// Read the query from this file
    #[arg(long, value_name = "FILE", conflicts_with = "query")]
    pub file: Option<PathBuf>,
    /// How to answer
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: Format,
    /// Take about this much memory at most; what needs more goes to files in TMPDIR, where it can
    #[arg(long, value_name = "MIB", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    pub memory_limit: u32,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people; all of it is in memory before the first line is written
    Table,
    /// With a line of names; lists as [one, two]
    Csv,
    /// A line of JSON a row
    Json,
}
