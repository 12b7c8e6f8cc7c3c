//! What is empty, damaged, done twice, done in parts, or meant ill.

use super::{Place, made_up};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Every file of numbers in a report, by its path.
fn numbers(place: &Place, report: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for file in fs::read_dir(place.path(report).join("figures")).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|suffix| suffix == "csv") {
            found.insert(file.file_name().unwrap().to_str().unwrap().to_string(), fs::read(&file).unwrap());
        }
    }
    assert!(found.len() > 10);
    found
}

/// Twelve days around the end of a month, of a few users; `dataset`.
pub fn small() -> Place {
    let place = Place::new();
    place.done("synth --out dataset --users 20 --jobs 120 --from 2025-11-25 --days 12");
    place
}

/// A dataset of the records that these make of a usual one.
pub fn written(edits: &[serde_json::Value]) -> Place {
    let place = Place::new();
    let mut lines = String::new();
    for (number, edit) in edits.iter().enumerate() {
        let mut record = json!({
            "schema": 1, "id": format!("{number:032x}"), "seq": 0, "part": 1, "parts": 1, "list": "packages",
            "policy": "0123456789abcdef", "host": "nid1", "system": "cori", "subsystem": "", "username": "alice",
            "uid": 1000, "pid": 7, "ppid": 1, "executable": "/usr/bin/python3", "main": "/a.py", "prefix": "/usr",
            "python": "3.11.7", "is_compute": true, "is_shifter": false, "container": "", "is_staff": false,
            "job_id": "1", "num_nodes": 1, "qos": "", "repo": "", "start": "2026-01-31T12:00:00.000000Z",
            "elapsed": 1.5, "exit": "normal", "packages": ["numpy"],
        });
        for (key, value) in edit.as_object().unwrap() {
            record[key] = value.clone();
        }
        lines.push_str(&format!("{record}\n"));
    }
    place.write("records.jsonl", lines);
    place.done("import --from records.jsonl --out dataset");
    place.done("reduce dataset --out tables");
    place
}

/// A file of a day of `dataset`.
fn file_of(place: &Place, day: &str) -> PathBuf {
    let folder = place.path(&format!("dataset/date={day}"));
    fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn a_period_without_anything_is_said_to_be_empty() {
    let place = small();
    place.done("reduce dataset --out tables");
    for filters in ["--from 2030-01-01 --to 2030-01-31", "--from 2020-01-01 --to 2020-02-29 --by month"] {
        let outcome = place.customs(&format!("report tables --out empty {filters}"));
        assert_eq!(outcome.status, Some(0), "{filters}: {}", outcome.error);
        assert!(outcome.error.contains("no days in this time"), "{filters}: {}", outcome.error);
    }
    for page in ["empty/index.html", "empty/2020-02/index.html"] {
        let page = place.read(page);
        assert!(page.contains("Empty: the tables have no days in this time.") && !page.contains("NaN"), "{page}");
        assert!(!page.contains("<svg"), "{page}");
    }
    place.fails("report tables --to 2020-01-01", 2, &["no days in this time"]);
    place.fails("report tables --from 2025-12-01 --to 2025-11-01", 2, &["comes after"]);
    place.fails("reduce dataset --out other --from 2030-01-01", 2, &["no days from 2030-01-01"]);
    // A month in the middle, of which there is nothing, is a page that says so.
    place.done("synth --out later --users 20 --jobs 60 --from 2026-02-01 --days 3");
    place.done("reduce later --out tables");
    place.done("report tables --out months --by month");
    let page = place.read("months/2026-01/index.html");
    assert!(page.contains("Nothing to show.") && page.contains("no days in this time"), "{page}");
    assert_eq!(place.table("months/2026-01", "top-users").lines(), [""; 0]);
    assert!(place.read("months/2026-02/index.html").contains("<svg"));
}

#[test]
fn a_single_job_is_a_report() {
    let place = written(&[json!({})]);
    place.done("report tables --out report");
    assert_eq!(place.table("report", "top-users").lines(), ["1 numpy 1 1"]);
    assert_eq!(place.table("report", "job-sizes").lines(), ["1 1 1"]);
    assert_eq!(place.table("report", "correlations").lines(), [""; 0]);
    for page in ["report/index.html", "report/figures/top-users.svg", "report/figures/job-sizes.svg"] {
        let page = place.read(page);
        assert!(!page.contains("NaN") && !page.contains("inf\""), "{page}");
    }
}

#[test]
fn a_package_that_nobody_has_is_said_to_be_in_no_job() {
    let place = written(&[json!({})]);
    place.done("report tables --out report --package nosuch,../numpy");
    assert!(place.read("report/index.html").contains("No job of the period loaded nosuch."));
    assert_eq!(place.table("report", "with-nosuch").lines(), [""; 0]);
    // What is asked for cannot get out of the folder.
    let names: Vec<String> = numbers(&place, "report").into_keys().filter(|name| name.starts_with("with-")).collect();
    assert_eq!(names, ["with-.._numpy.csv", "with-nosuch.csv"]);
}

#[test]
fn a_damaged_file_of_the_dataset_is_named_and_left_out_on_request_alone() {
    // Cut off, overwritten in the middle, and no Parquet at all.
    for how in ["cut", "overwritten", "empty"] {
        let place = small();
        let file = file_of(&place, "2025-11-28");
        let mut bytes = fs::read(&file).unwrap();
        match how {
            "cut" => bytes.truncate(bytes.len() / 2),
            // The footer stays: it is found when the rows are read.
            "overwritten" => bytes[100..1500].fill(0xa5),
            _ => bytes.clear(),
        }
        fs::write(&file, bytes).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let path = format!("date=2025-11-28/{name}");
        place.fails("reduce dataset --out tables", 2, &[&path, "--skip-damaged"]);
        let outcome = place.customs("reduce dataset --out tables --skip-damaged");
        assert_eq!(outcome.status, Some(0), "{how}: {}", outcome.error);
        assert!(outcome.error.contains(&path), "{how}: {}", outcome.error);
        place.done("report tables --out report");
        let page = place.read("report/index.html");
        assert!(page.contains(&path), "{how}: the page does not name it");
        assert!(
            page.contains("1 files of the dataset could not be read")
                || page.contains("1 file of the dataset could not be read"),
            "{how}"
        );
        // Nothing of it is in the numbers, not even what could be read before.
        fs::remove_dir_all(file.parent().unwrap()).unwrap();
        place.done("reduce dataset --out without");
        place.done("report without --out expected");
        let (found, expected) = (numbers(&place, "report"), numbers(&place, "expected"));
        for (name, bytes) in expected {
            assert!(found[&name] == bytes, "{how}: {name}");
        }
    }
}

#[test]
fn a_damaged_file_of_the_tables_is_named() {
    let place = small();
    place.done("reduce dataset --out tables");
    let sets = fs::read_dir(place.path("tables/sets")).unwrap().next().unwrap().unwrap().path();
    let sets = format!("sets/{}", sets.file_name().unwrap().to_str().unwrap());
    for name in ["jobs/2025-12.parquet", "users/2025-11.parquet", &sets] {
        let file = place.path("tables").join(name);
        let whole = fs::read(&file).unwrap();
        for bytes in [&whole[..whole.len() / 2], b"", b"PAR1 this is none"] {
            fs::write(&file, bytes).unwrap();
            place.fails("report tables --out report", 2, &[name]);
        }
        fs::remove_file(&file).unwrap();
        if !name.starts_with("jobs") {
            let outcome = place.customs("report tables --out report");
            assert_eq!(outcome.status, Some(2), "{name} is gone: {}", outcome.error);
        }
        fs::write(&file, whole).unwrap();
    }
    place.done("report tables --out report");
    // As it is told to be mended.
    for name in ["jobs/2025-11.parquet", "users/2025-11.parquet"] {
        place.write(&format!("tables/{name}"), "none");
        place.done("reduce dataset --out tables --again");
        place.done("report tables --out mended");
        assert!(numbers(&place, "mended") == numbers(&place, "report"), "{name}");
    }
    fs::remove_file(place.path("tables").join(&sets)).unwrap();
    place.done("reduce dataset --out tables --again");
    place.done("report tables --out mended");
    assert!(numbers(&place, "mended") == numbers(&place, "report"));
}

#[test]
fn what_is_reduced_again_or_in_parts_gives_the_same_numbers() {
    let place = small();
    let answer = place.done("reduce dataset --out tables --json");
    let days = answer["days"].as_u64().unwrap();
    assert!(days >= 12, "{answer}");
    place.done("report tables --out report");
    let whole = numbers(&place, "report");
    let same = |tables: &str| {
        place.done(&format!("report {tables} --out again"));
        let found = numbers(&place, "again");
        for (name, bytes) in &whole {
            assert!(found[name] == *bytes, "{tables}: {name}");
        }
    };
    // Again, and all of it again.
    let answer = place.done("reduce dataset --out tables --json");
    assert_eq!((&answer["days"], &answer["unchanged"]), (&json!(0), &json!(days)));
    same("tables");
    let answer = place.done("reduce dataset --out tables --json --again");
    assert_eq!(answer["days"], days);
    same("tables");
    // One thread, a day at a time, the last first.
    for day in ["2025-12-01", "2025-11-27", "2025-11-25"] {
        place.done(&format!("reduce dataset --out parts --threads 1 --from {day} --to {day}"));
    }
    let answer = place.done("reduce dataset --out parts --json");
    assert_eq!(answer["unchanged"], 3);
    same("parts");
    // Tables that were made apart are united by putting their files together.
    place.done("reduce dataset --out apart --to 2025-11-30");
    place.done("reduce dataset --out other --from 2025-12-01");
    for table in ["jobs", "users", "sets"] {
        for file in fs::read_dir(place.path("other").join(table)).unwrap().map(|entry| entry.unwrap()) {
            fs::copy(file.path(), place.path("apart").join(table).join(file.file_name())).unwrap();
        }
    }
    same("apart");
}

#[test]
fn a_day_that_is_new_or_has_changed_is_reduced_and_no_other() {
    let place = small();
    let last = place.path("dataset/date=2025-12-05");
    let aside = place.path("aside");
    fs::rename(&last, &aside).unwrap();
    place.done("reduce dataset --out tables");
    let of = |answer: &serde_json::Value| answer["days"].as_u64().unwrap();
    let untouched = fs::metadata(place.path("tables/jobs/2025-11.parquet")).unwrap().modified().unwrap();
    fs::rename(&aside, &last).unwrap();
    assert_eq!(of(&place.done("reduce dataset --out tables --json")), 1);
    // A day gets more rows.
    let second = place.path("dataset/date=2025-12-04/more.parquet");
    fs::copy(file_of(&place, "2025-12-05"), &second).unwrap();
    assert_eq!(of(&place.done("reduce dataset --out tables --json")), 1);
    fs::remove_file(&second).unwrap();
    assert_eq!(of(&place.done("reduce dataset --out tables --json")), 1);
    assert_eq!(fs::metadata(place.path("tables/jobs/2025-11.parquet")).unwrap().modified().unwrap(), untouched);
    place.done("reduce dataset --out fresh");
    place.done("report tables --out report");
    place.done("report fresh --out expected");
    assert!(numbers(&place, "report") == numbers(&place, "expected"));
    // Other options make other tables.
    place.write("ledger.jsonl", "");
    assert!(of(&place.done("reduce dataset --out tables --json --skip-damaged")) >= 12);
}

#[test]
fn days_whose_records_were_deleted_stay_in_the_tables() {
    let place = small();
    place.done("reduce dataset --out tables");
    place.done("report tables --out before");
    for day in 25..30 {
        fs::remove_dir_all(place.path(&format!("dataset/date=2025-11-{day}"))).unwrap();
    }
    place.done("reduce dataset --out tables");
    // One whose folder is still there.
    fs::remove_file(file_of(&place, "2025-11-30")).unwrap();
    place.done("reduce dataset --out tables");
    place.done("report tables --out after");
    assert!(numbers(&place, "before") == numbers(&place, "after"));
}

#[test]
fn two_at_once_reduce_different_months_into_the_same_tables() {
    let place = made_up();
    let _ = fs::remove_dir_all(place.path("at-once"));
    let run = |from: &str, to: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_customs"));
        command.args(["reduce", "dataset", "--out", "at-once", "--ledger", "ledger.jsonl", "--from", from, "--to", to]);
        command.current_dir(&place.path).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let months = [
        ("2025-11-01", "2025-11-30"),
        ("2025-12-01", "2025-12-31"),
        ("2026-01-01", "2026-01-31"),
        ("2026-02-01", "2026-02-28"),
    ];
    let all: Vec<_> = months.iter().map(|(from, to)| run(from, to)).collect();
    for one in all {
        let output = one.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    place.done("report at-once --out at-once-report --total-users 1000");
    assert!(numbers(place, "at-once-report") == numbers(place, "report"));
}

#[test]
fn what_cannot_be_meant_is_refused_with_what_to_do() {
    let place = small();
    place.done("reduce dataset --out tables");
    place.done("report tables --clip -0.2 0.8 --out clipped");
    for clip in ["0.8 0.6", "0.6 0.6", "0.5 1.5", "-2 0.5", "NaN 0.5"] {
        let outcome = place.customs(&format!("report tables --clip {clip}"));
        assert_eq!(outcome.status, Some(2), "{clip}: {}", outcome.error);
        assert!(outcome.error.contains("--clip"), "{clip}: {}", outcome.error);
    }
    place.fails("report tables --clip 0.6", 2, &["--clip"]);
    place.fails("report dataset", 2, &["is a dataset", "customs reduce dataset --out DIR"]);
    place.fails("reduce tables --out other", 2, &["tables has no days"]);
    place.fails("report nowhere", 2, &["nowhere"]);
    place.fails("reduce nowhere --out other", 2, &["nowhere"]);
    fs::create_dir(place.path("empty")).unwrap();
    place.fails("report empty", 2, &["no tables", "customs reduce"]);
    place.fails("synth --out dataset --users 1 --jobs 1", 2, &["has days in it already"]);
    assert!(!place.path("report").exists() && !place.path("other").exists(), "nothing was written");
}

#[test]
fn a_name_cannot_become_an_element_of_the_page() {
    let evil = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&";
    let place = written(&[
        json!({ "username": evil, "subsystem": evil, "packages": [evil, "numpy"], "versions": { evil: "<b>1</b>" }, "direct": [evil],
            "libraries": [evil], "exit": evil, "system": evil, "repo": evil }),
        json!({ "id": format!("{:032x}", 7), "job_id": "2", "packages": ["numpy"], "versions": { evil: "1" } }),
        json!({ "id": format!("{:032x}", 8), "job_id": "1", "system": evil, "list": "everything", "rate": 0.5, "packages": [evil] }),
    ]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_customs"));
    command.args([
        "report",
        "tables",
        "--out",
        "report",
        "--title",
        evil,
        "--package",
        evil,
        "--by",
        "month",
        "--system",
        evil,
    ]);
    let output = command.current_dir(&place.path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for page in ["report/index.html", "report/2026-01/index.html"] {
        let text = place.read(page);
        assert!(text.contains("&lt;script&gt;alert(1)"), "{page}: it is not there");
        assert!(!text.contains("<script>alert") && !text.contains("<img"), "{page}");
        assert_eq!(text.matches("<script").count(), 1, "{page}: the page's own");
    }
    for file in fs::read_dir(place.path("report/2026-01/figures")).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|suffix| suffix == "svg") {
            let text = fs::read_to_string(&file).unwrap();
            assert!(!text.contains("<script") && !text.contains("<img"), "{}", file.display());
        }
    }
    assert_eq!(place.table("report/2026-01", "top-users").only(&["package"])[0][0], evil);
}
