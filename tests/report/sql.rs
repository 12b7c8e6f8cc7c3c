//! `customs sql`: what one asks is answered, as others answer it.

use super::edges::{small, written};
use super::{Outcome, Place, made_up};
use crate::support::hosts;
use crate::support::trial::bare;
use serde_json::{Map, Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// The folder of `customs-sql`, of the sources as they are: what they need besides has been built by
/// `tests/hosts/install`.
fn program() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let folder = hosts::cache().join("sql/bin");
        hosts::is_here(folder.join("customs-sql").to_str().unwrap(), "sql").then(|| {
            let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/install");
            let output = Command::new(install).arg("sql").output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
            folder
        })
    };
    FOLDER.get_or_init(find).as_deref()
}

/// `customs sql ARGUMENTS` in a place, with what it reads.
fn asked(place: &Place, arguments: &[&str], stdin: &str) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_customs"));
    command.arg("sql").args(arguments).current_dir(&place.path).env("PATH", program().unwrap());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that does not read has closed it by now.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let outcome = Outcome { status: status.code(), out: text(stdout), error: text(stderr) };
    assert!(!outcome.error.contains("panicked"), "{arguments:?}: {}", outcome.error);
    outcome
}

/// The same, where it must end well.
fn answer(place: &Place, arguments: &[&str]) -> String {
    let outcome = asked(place, arguments, "");
    assert_eq!((outcome.status, outcome.error.as_str()), (Some(0), ""), "{arguments:?}");
    outcome.out
}

/// The same, where it must end with status 2 and name these.
fn refuses(place: &Place, arguments: &[&str], words: &[&str]) {
    let outcome = asked(place, arguments, "");
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(2), ""), "{arguments:?}: {}", outcome.error);
    for word in words {
        assert!(outcome.error.contains(word), "{arguments:?}: {word} is not in {}", outcome.error);
    }
}

fn rows(place: &Place, arguments: &[&str]) -> Vec<Map<String, Value>> {
    let lines = answer(place, &[&["--format", "json"], arguments].concat());
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|wrong| panic!("{wrong}: {line}"))).collect()
}

/// The queries of docs/SQL.md: what they ask, which figure of the report has the same numbers, and the text.
fn queries() -> Vec<(&'static str, Option<&'static str>, &'static str)> {
    let page = include_str!("../../docs/SQL.md");
    let blocks = page.split("```sql ").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    let query = |block: &'static str| {
        let (head, text) = block.split_once('\n').unwrap();
        let (what, figure) = head.split_once(' ').map_or((head, None), |(what, figure)| (what, Some(figure)));
        (what, figure, text)
    };
    blocks.map(query).collect()
}

/// The same numbers, but for what the last digits of a sum depend on.
fn are_near(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() <= 1e-9 * one.abs().max(1.0),
        _ => one == other,
    }
}

#[test]
fn the_queries_of_the_page_are_answered_as_duckdb_answers_them() {
    if program().is_none() {
        return;
    }
    let Some(python) = hosts::venv("readers") else { return };
    let (place, queries) = (made_up(), queries());
    assert_eq!(queries.len(), 10);

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/sql.py");
    let mut duckdb = bare(&python);
    duckdb.arg(script).args(["dataset", "tables"]).env("HOME", &place.path).current_dir(&place.path);
    duckdb.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut duckdb = duckdb.spawn().unwrap();
    let texts: Vec<&str> = queries.iter().map(|(_, _, text)| *text).collect();
    duckdb.stdin.take().unwrap().write_all(json!(texts).to_string().as_bytes()).unwrap();
    let output = duckdb.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected: Vec<Vec<Map<String, Value>>> = serde_json::from_slice(&output.stdout).unwrap();

    for ((what, figure, text), expected) in queries.iter().zip(&expected) {
        let found = rows(place, &[&format!("--{what}={what}"), text]);
        assert!(!found.is_empty(), "{text}");
        assert_eq!(found.len(), expected.len(), "{text}");
        for (found, expected) in found.iter().zip(expected) {
            let keys = |row: &Map<String, Value>| row.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(found), keys(expected), "{text}");
            let are_same = found.iter().zip(expected).all(|((_, one), (_, other))| are_near(one, other));
            assert!(are_same, "{text}: {found:?} should be {expected:?}");
        }
        if let Some(figure) = figure {
            let count = if *figure == "top-users" { "users" } else { "jobs" };
            let mut ranking = place.table("report", figure).only(&["package", count]);
            ranking.truncate(found.len());
            let found: Vec<_> =
                found.iter().map(|row| vec![row["package"].as_str().unwrap().into(), row[count].to_string()]).collect();
            assert_eq!(found, ranking, "{figure}");
        }
    }
}

#[test]
fn of_a_process_that_reported_twice_one_row_counts() {
    if program().is_none() {
        return;
    }
    let place = written(&[json!({}), json!({ "packages": ["scipy"] })]);
    let later = place.read("records.jsonl").lines().next().unwrap().replace("\"seq\":0", "\"seq\":1");
    place.write("later.jsonl", later.replace("numpy", "dask") + "\n");
    // As a collector would have it, before the day is merged.
    place.done("import --from later.jsonl --out later");
    let day = "date=2026-01-31";
    let file = fs::read_dir(place.path("later").join(day)).unwrap().next().unwrap().unwrap().path();
    fs::copy(file, place.path("dataset").join(day).join("later.parquet")).unwrap();
    let all = "SELECT encode(id, 'hex') AS id, seq, packages FROM";
    let of = |table: &str| rows(&place, &["--dataset", "dataset", &format!("{all} {table} ORDER BY id, seq")]);
    assert_eq!(of("records").len(), 3);
    let counting: Vec<_> = of("processes").iter().map(|row| row["packages"].to_string()).collect();
    assert_eq!(counting, ["[\"dask\"]", "[\"scipy\"]"]);
}

#[test]
fn an_answer_is_a_table_csv_or_json_and_a_reader_may_close_it_early() {
    if program().is_none() {
        return;
    }
    // A path with what means something to shells, to URLs and to patterns.
    let place = small();
    place.done("reduce dataset --out tables");
    fs::rename(place.path("tables"), place.path("ta[b]les *?%20")).unwrap();
    let tables = "--tables=ta[b]les *?%20";
    let query = "SELECT 'a \"b\", c' AS text, NULL AS none, [1, 2] AS list, count(*) > 0 AS some, \
                 DATE '2026-01-31' AS day, '\u{1b}[31mred' AS red FROM jobs";
    let table = answer(&place, &[tables, query]);
    assert_eq!(
        table,
        "+----------+------+--------+------+------------+----------+\n\
         | text     | none | list   | some | day        | red      |\n\
         +----------+------+--------+------+------------+----------+\n\
         | a \"b\", c | NULL | [1, 2] | true | 2026-01-31 | \u{fffd}[31mred |\n\
         +----------+------+--------+------+------------+----------+\n"
    );
    assert_eq!(
        answer(&place, &[tables, "--format=csv", query]),
        "text,none,list,some,day,red\n\"a \"\"b\"\", c\",,\"[1, 2]\",true,2026-01-31,\u{1b}[31mred\n"
    );
    let json = answer(&place, &[tables, "--format=json", query]);
    let row = json!({ "text": "a \"b\", c", "none": null, "list": [1, 2], "some": true, "day": "2026-01-31", "red": "\u{1b}[31mred" });
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), row);
    // What a record has besides texts and numbers.
    let versions = "SELECT versions['numpy'] AS version, start, encode(id, 'hex') AS id, id AS bytes FROM processes \
                    WHERE array_has(packages, 'numpy') AND versions['numpy'] LIKE '1.%' LIMIT 1";
    let row = &rows(&place, &["--dataset=dataset", versions])[0];
    assert!(row["version"].as_str().unwrap().starts_with("1.") && row["id"] == row["bytes"], "{row:?}");
    assert!(row["start"].as_str().unwrap().starts_with("2025-1") && row["start"].as_str().unwrap().ends_with('Z'));
    // Nothing found.
    let nothing = "SELECT username, packages FROM users WHERE username = 'nobody'";
    assert_eq!(answer(&place, &[tables, "--format=csv", nothing]), "username,packages\n");
    assert_eq!(answer(&place, &[tables, "--format=json", nothing]), "");
    assert!(answer(&place, &[tables, nothing]).contains("| username | packages |\n"));
    // From a file, and from standard input.
    place.write("query.sql", "-- as people write it\nSELECT 6 * 7 AS answer;\n");
    assert_eq!(answer(&place, &[tables, "--format=csv", "--file=query.sql"]), "answer\n42\n");
    let read = asked(&place, &[tables, "--format=csv", "-"], &place.read("query.sql"));
    assert_eq!((read.out.as_str(), read.status), ("answer\n42\n", Some(0)));
    // Without a query, what there is.
    let columns = rows(&place, &[tables, "--dataset=dataset"]);
    let kind = |table: &str, column: &str| {
        let row = columns.iter().find(|row| row["table"] == table && row["column"] == column);
        row.unwrap_or_else(|| panic!("{table}.{column} is not in {columns:?}"))["type"].as_str().unwrap().to_string()
    };
    assert_eq!(kind("records", "versions"), "map of string to string");
    assert_eq!(kind("processes", "date"), "date");
    assert_eq!(kind("jobs", "environments"), "list of string");
    assert_eq!(kind("user_packages", "is_direct"), "boolean");
    assert_eq!(kind("user_versions", "version"), "string");
    // All that is long, to a reader who has seen enough.
    let long = "SELECT one.id, two.id, one.names FROM sets AS one CROSS JOIN sets AS two CROSS JOIN sets AS three";
    for format in ["csv", "json"] {
        let mut shell = bare("sh");
        shell.args(["-c", "\"$@\" | head -n 1; exit", "sh", env!("CARGO_BIN_EXE_customs"), "sql", tables, long]);
        let path = format!("{}:/usr/bin:/bin", program().unwrap().display());
        let output = shell.args(["--format", format]).env("PATH", path).current_dir(&place.path).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{format}");
        assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
}

#[test]
fn nothing_but_a_query_is_taken_and_what_is_wrong_is_named() {
    if program().is_none() {
        return;
    }
    let place = small();
    place.done("reduce dataset --out tables");
    let tables = "--tables=tables";
    for statement in [
        "COPY (SELECT * FROM jobs) TO 'out.csv'",
        "EXPLAIN ANALYZE COPY (SELECT * FROM jobs) TO 'out.csv'",
        "INSERT INTO jobs SELECT * FROM jobs",
        "DELETE FROM jobs",
        "CREATE TABLE out AS SELECT * FROM jobs",
        "CREATE EXTERNAL TABLE passwd STORED AS PARQUET LOCATION '/etc/passwd'",
        "DROP VIEW job_packages",
        "SET datafusion.execution.target_partitions = 1",
    ] {
        refuses(&place, &[tables, statement], &["the query: ", "only reads"]);
    }
    refuses(&place, &[tables, "SELECT 1; SELECT 2"], &["more than one query"]);
    refuses(&place, &[tables, "SELECT * FROM 'dataset'"], &["there is no table dataset"]);
    assert!(!place.path("out.csv").exists());
    let explained = answer(&place, &[tables, "EXPLAIN SELECT count(*) FROM jobs"]);
    assert!(explained.contains("plan"), "{explained}");

    refuses(&place, &[tables, "SELECT usrname FROM users"], &["usrname", "username"]);
    refuses(&place, &[tables, "SELEC 1"], &["SELEC", "Line: 1, Column: 1"]);
    refuses(&place, &[tables, ""], &["the query"]);
    refuses(&place, &[tables, "SELECT * FROM processes"], &["no table processes", "--dataset DIR"]);
    refuses(&place, &["--dataset=dataset", "SELECT * FROM jobs"], &["no table jobs", "--tables DIR"]);
    refuses(&place, &[tables, "SELECT 1 / (count(*) - count(*)) FROM jobs"], &["the query: ", "by zero"]);
    refuses(&place, &[tables, &format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000))], &["nested too deeply"]);
    refuses(&place, &["SELECT 1"], &["--dataset"]);
    refuses(&place, &["--tables=dataset", "SELECT 1"], &["dataset/jobs", "customs reduce"]);
    refuses(&place, &["--dataset=tables", "SELECT 1"], &["tables", "customs collect"]);
    refuses(&place, &["--tables=nowhere", "SELECT 1"], &["nowhere"]);
    refuses(&place, &[tables, "--format=csv", "SELECT regexp_match(username, '(') FROM users"], &["unclosed group"]);
    let sorted = "SELECT array_agg(a.names) FROM sets AS a CROSS JOIN sets AS b";
    refuses(&place, &[tables, "--memory-limit=1", sorted], &["--memory-limit"]);
}

#[test]
fn a_damaged_file_is_named_and_what_is_not_for_readers_is_not_read() {
    if program().is_none() {
        return;
    }
    let place = small();
    place.done("reduce dataset --out tables");
    let (folder, query) =
        (place.path("dataset/date=2025-11-26"), ["--dataset=dataset", "SELECT max(elapsed) FROM records"]);
    let before = answer(&place, &query);
    fs::create_dir_all(place.path("dataset/_customs")).unwrap();
    for hidden in ["dataset/_customs/x.parquet", "tables/jobs/.2025-11.parquet", "tables/sets/_x.parquet"] {
        place.write(hidden, "no Parquet");
    }
    for hidden in [".x.parquet", ".x.parquet.new", "_x.parquet", "notes.txt"] {
        fs::write(folder.join(hidden), "no Parquet").unwrap();
    }
    assert_eq!(answer(&place, &query), before);
    let jobs = ["--tables=tables", "SELECT count(*) AS jobs FROM jobs JOIN sets ON packages = id"];
    answer(&place, &jobs);

    let file = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|file| file.file_name().unwrap().to_str().unwrap().starts_with("merged")).unwrap();
    let (whole, path) = (fs::read(&file).unwrap(), file.to_str().unwrap());
    let mut changed = whole.clone();
    let third = changed.len() / 3;
    changed[4..2 * third].fill(0xa5);
    for damaged in [&whole[..0], &whole[..third], &whole[third..], &changed[..]] {
        fs::write(&file, damaged).unwrap();
        let all = ["--dataset=dataset", "--format=json", "SELECT max(versions), max(main), max(elapsed) FROM records"];
        refuses(&place, &all, &[path]);
    }
    // What is asked of other days does not need it.
    let elsewhere = "SELECT count(*) AS count FROM records WHERE date > '2025-11-26'";
    assert_ne!(rows(&place, &["--dataset=dataset", elsewhere])[0]["count"], 0);
    fs::write(&file, whole).unwrap();
    assert_eq!(answer(&place, &query), before);
    fs::write(place.path("tables/sets/sets-1.parquet"), "PAR1").unwrap();
    refuses(&place, &jobs, &["tables/sets/sets-1.parquet"]);
}

#[test]
fn without_its_program_it_says_what_brings_it() {
    let place = Place::new();
    // One that lies where somebody happens to be is not meant.
    fs::copy("/bin/true", place.path("customs-sql")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_customs"));
    command.args(["sql", "--tables", "tables", "SELECT 1"]).current_dir(&place.path).env("PATH", "/nonexistent:");
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{error}");
    for word in ["the package customs-sql", "cargo build --release --manifest-path src/sql/Cargo.toml"] {
        assert!(error.contains(word), "{error}");
    }
}
