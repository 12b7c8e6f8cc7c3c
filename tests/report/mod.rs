//! From a dataset to a page of figures: each number is the right one, and each figure is to be seen.

mod by_hand;
mod edges;
mod independent;
mod published;
mod seen;
mod sql;
mod truth;

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use tempfile::TempDir;

/// A folder that commands are given in, as a person does who has gone there.
struct Place {
    path: PathBuf,
    _folder: Option<TempDir>,
}

/// What came of a command.
struct Outcome {
    status: Option<i32>,
    out: String,
    error: String,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Place { path: folder.path().to_path_buf(), _folder: Some(folder) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// `customs LINE`, its words apart by spaces.
    fn customs(&self, line: &str) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_customs"));
        let Output { status, stdout, stderr } =
            command.args(line.split_whitespace()).current_dir(&self.path).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Outcome { status: status.code(), out: text(stdout), error: text(stderr) }
    }

    /// The same, where it must end well; gives what it said, as JSON where it is that.
    fn done(&self, line: &str) -> Value {
        let Outcome { status, out, error } = self.customs(line);
        assert_eq!(status, Some(0), "customs {line}: {error}");
        assert!(!error.contains("panicked"), "customs {line}: {error}");
        serde_json::from_str(&out).unwrap_or(Value::String(out))
    }

    /// The same, where it must end with this status and name these in what it says.
    fn fails(&self, line: &str, status: i32, words: &[&str]) {
        let outcome = self.customs(line);
        assert_eq!(outcome.status, Some(status), "customs {line}: {}{}", outcome.out, outcome.error);
        for word in words {
            assert!(outcome.error.contains(word), "customs {line}: {word} is not in {}", outcome.error);
        }
        assert!(!outcome.error.contains("panicked"), "customs {line}: {}", outcome.error);
    }

    /// The numbers of a figure.
    fn table(&self, report: &str, figure: &str) -> Table {
        Table::parse(&self.read(&format!("{report}/figures/{figure}.csv")))
    }
}

/// A file with a header.
#[derive(Clone, Debug, PartialEq)]
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// As RFC 4180 has it.
    fn parse(text: &str) -> Self {
        let mut rows = vec![vec![String::new()]];
        let mut is_quoted = false;
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            let row = rows.last_mut().unwrap();
            match letter {
                '"' if is_quoted && letters.peek() == Some(&'"') => {
                    row.last_mut().unwrap().push(letters.next().unwrap())
                }
                '"' => is_quoted = !is_quoted,
                ',' if !is_quoted => row.push(String::new()),
                '\r' if !is_quoted => assert_eq!(letters.peek(), Some(&'\n')),
                '\n' if !is_quoted => rows.push(vec![String::new()]),
                letter => row.last_mut().unwrap().push(letter),
            }
        }
        assert_eq!(rows.pop(), Some(vec![String::new()]), "the last line is ended");
        let columns = rows.remove(0);
        assert!(rows.iter().all(|row| row.len() == columns.len()), "{text}");
        Table { columns, rows }
    }

    /// These columns of each row.
    fn only(&self, columns: &[&str]) -> Vec<Vec<String>> {
        let place =
            |name: &&str| self.columns.iter().position(|column| column == name).unwrap_or_else(|| panic!("{name}"));
        let places: Vec<usize> = columns.iter().map(place).collect();
        self.rows.iter().map(|row| places.iter().map(|place| row[*place].clone()).collect()).collect()
    }

    /// All of it, for a test that says what it expects: a line a row, `-` for nothing, fractions to four decimals.
    fn lines(&self) -> Vec<String> {
        let word = |cell: &String| match cell.parse::<f64>() {
            _ if cell.is_empty() => "-".to_string(),
            Ok(number) if number.fract() != 0.0 => format!("{number:.4}"),
            _ => cell.clone(),
        };
        self.rows.iter().map(|row| row.iter().map(word).collect::<Vec<_>>().join(" ")).collect()
    }
}

/// `found` has the rows of `expected`, in whatever order.
fn same(what: &str, found: Vec<Vec<String>>, expected: Vec<Vec<String>>) {
    let count = found.len();
    let (found, expected): (BTreeSet<_>, BTreeSet<_>) = (found.into_iter().collect(), expected.into_iter().collect());
    assert_eq!(count, found.len(), "{what}: rows that are there twice");
    let some = |one: &BTreeSet<Vec<String>>, other: &BTreeSet<Vec<String>>| {
        one.difference(other).take(5).map(|row| row.join(" ")).collect::<Vec<_>>()
    };
    let (more, less) = (some(&found, &expected), some(&expected, &found));
    assert!(more.is_empty() && less.is_empty(), "{what}: {more:#?} should be {less:#?}");
}

/// A centre that was made up, reduced and reported: once, for all tests that only look at it. In it are `dataset`,
/// `truth.json`, `ledger.jsonl`, `tables`, `report` and, with a page for each month, `months`.
fn made_up() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        let place = Place { path, _folder: None };
        place.done(
            "synth --out dataset --users 200 --jobs 2500 --from 2025-11-20 --days 90 --seed 7 --truth truth.json --ledger ledger.jsonl",
        );
        place.done("reduce dataset --out tables --ledger ledger.jsonl");
        place.done("report tables --out report --total-users 1000");
        place.done("report tables --out months --by month");
        place
    })
}
