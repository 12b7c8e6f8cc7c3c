//! Others come to the same numbers: DuckDB and pandas from the dataset, and every reader from the tables.

use super::made_up;
use crate::support::hosts;
use crate::support::trial::bare;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Runs a program of tests/programs in a venv, in the folder of the made-up centre; gives what it prints.
fn program(python: &Path, name: &str, arguments: &[&str]) -> Value {
    let place = made_up();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(name);
    let mut command = bare(python);
    command.arg(path).args(arguments).env("HOME", &place.path).env("TABLES", "tables").current_dir(&place.path);
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {arguments:?}: {error}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|wrong| panic!("{name}: {wrong}: {error}"))
}

fn readers() -> Option<PathBuf> {
    hosts::venv("readers")
}

#[test]
fn duckdb_and_pandas_come_to_the_same_figures_from_the_dataset() {
    let Some(python) = readers() else { return };
    let place = made_up();
    let figures = |report: &str, period: [&str; 2], narrowed: &[&str]| {
        let arguments = [&["dataset", "ledger.jsonl", report, period[0], period[1]], narrowed].concat();
        let compared = program(&python, "figures.py", &arguments);
        let compared = compared.as_object().unwrap();
        assert_eq!(compared.len(), 17, "{compared:?}");
        assert!(compared.values().all(|rows| rows.as_u64() > Some(0)), "{report}: {compared:?}");
    };
    let whole = ["2025-11-01", "2026-03-31"];
    figures("report", whole, &[]);
    figures("months/2026-01", ["2026-01-01", "2026-01-31"], &[]);
    // Other populations than the figures' own, in a period that ends within a month.
    place.done("report tables --out narrowed --from 2025-12-10 --to 2026-01-20 --staff include --subsystem gpu,login");
    let users = "subsystem IN ('gpu', 'login')";
    let jobs = "subsystem IN ('gpu', 'login') AND is_compute";
    figures("narrowed", ["2025-12-10", "2026-01-20"], &[users, jobs]);
}

/// Packages with their users and their jobs, as a reader says and as the report does.
fn rankings(report: &str, answers: &Value, readers: usize) {
    let place = made_up();
    let ranking = |figure: &str, column: &str| -> BTreeMap<String, u64> {
        let rows = place.table(report, figure).only(&["package", column]);
        rows.into_iter().map(|row| (row[0].clone(), row[1].parse().unwrap())).collect()
    };
    let expected = [("users", ranking("top-users", "users")), ("jobs", ranking("top-jobs", "jobs"))];
    let answers = answers.as_object().unwrap();
    assert_eq!(answers.len(), readers);
    for (reader, answer) in answers {
        for (what, expected) in &expected {
            let found: BTreeMap<String, u64> = serde_json::from_value(answer[what].clone()).unwrap();
            assert!(found == *expected, "{reader}, {what}: {found:?} should be {expected:?}");
        }
    }
}

#[test]
fn every_reader_reads_the_tables_as_they_lie() {
    let Some(python) = readers() else { return };
    rankings("report", &program(&python, "tables.py", &["tables"]), 5);
}

#[test]
fn spark_reads_dataset_and_tables_as_they_lie() {
    let Some(python) = hosts::venv("spark") else { return };
    let arguments = ["dataset", "tables", "ledger.jsonl", "2025-11-01", "2025-11-30"];
    rankings("months/2025-11", &program(&python, "spark.py", &arguments), 2);
}

#[test]
fn the_notebook_draws_the_first_figure_anew() {
    let Some(python) = readers() else { return };
    let notebook = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/packages.ipynb");
    let drawn = program(&python, "notebook.py", &[notebook.to_str().unwrap()]);
    let drawn: BTreeMap<String, u64> = serde_json::from_value(drawn).unwrap();
    let rows = made_up().table("report", "top-users").only(&["package", "users"]);
    let expected: Vec<(String, u64)> = rows.into_iter().map(|row| (row[0].clone(), row[1].parse().unwrap())).collect();
    assert_eq!(drawn.len(), 20);
    let least = drawn.values().min().unwrap();
    for (package, users) in &drawn {
        assert!(expected.contains(&(package.clone(), *users)), "{package}: {users}");
    }
    assert_eq!(expected[19].1, *least, "the first twenty");
}
