//! The page in a browser: wide and narrow, light and dark, with and without scripts.
//!
//! The pictures are left in the folder of the made-up centre, under `seen`, for people to look at.

use super::{Place, made_up};
use crate::support::hosts;
use crate::support::trial::bare;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// What Chromium has to say of these pages of a place, each NAME=PATH: an object for each page and setting.
fn look(place: &Place, settings: &str, pages: &[&str]) -> Option<Vec<Value>> {
    let python = hosts::venv("browser")?;
    if !hosts::is_here("/usr/bin/chromium", "browser") {
        return None;
    }
    fs::create_dir_all(place.path("seen")).unwrap();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/browse.py");
    let mut command = bare(&python);
    command.arg(program).arg(hosts::cache().join("browser/axe.min.js")).args(["seen", settings]).args(pages);
    let output = command.current_dir(&place.path).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    Some(serde_json::from_slice(&output.stdout).unwrap_or_else(|wrong| panic!("{wrong}: {error}")))
}

/// The pages of the made-up centre, looked at once.
fn seen() -> Option<&'static Vec<Value>> {
    static SEEN: OnceLock<Option<Vec<Value>>> = OnceLock::new();
    let seen = SEEN.get_or_init(|| {
        let place = made_up();
        let report = look(place, "wide,wide-dark,narrow,narrow-dark,without-scripts", &["report=report/index.html"])?;
        let months = look(place, "wide,narrow-dark", &["months=months/index.html"])?;
        Some([report, months].concat())
    });
    seen.as_ref()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// What is wrong with a page as it was seen: nothing, if all is well.
fn complaints(seen: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for said in texts(&seen["console"]) {
        found.push(format!("console: {said}"));
    }
    let requests = texts(&seen["requests"]);
    if requests.len() != 1 || !requests[0].starts_with("file://") {
        found.push(format!("requests: {requests:?}"));
    }
    if seen["overflow"] != 0 {
        found.push(format!("the body is {} pixels too wide", seen["overflow"]));
    }
    for violation in seen["violations"].as_array().into_iter().flatten() {
        if ["serious", "critical"].contains(&violation["impact"].as_str().unwrap_or_default()) {
            found.push(format!("axe: {violation}"));
        }
    }
    for section in seen["sections"].as_array().unwrap() {
        for what in ["cut", "crossing"] {
            if section[what] != Value::Array(Vec::new()) {
                found.push(format!("{}: {what}: {}", section["id"], section[what]));
            }
        }
    }
    found
}

/// Figures that a section has without a drawing: a table is enough.
const TABLES: [&str; 1] = ["summary"];

#[test]
fn every_figure_is_to_be_seen_in_a_browser_however_it_is_set() {
    let place = made_up();
    let Some(all) = seen() else { return };
    for seen in all {
        let what = format!("{} {}", seen["page"], seen["setting"]);
        assert_eq!(complaints(seen), [""; 0], "{what}");
        let sections = seen["sections"].as_array().unwrap();
        let expected = if seen["page"] == "report" { 17 } else { 1 };
        assert_eq!(sections.len(), expected, "{what}");
        for section in sections {
            let id = section["id"].as_str().unwrap();
            assert!(section["rows"].as_u64() > Some(0), "{what} {id}: no numbers");
            if TABLES.contains(&id) {
                continue;
            }
            let size = section["svg"].as_array().unwrap_or_else(|| panic!("{what} {id}: no drawing"));
            assert!(size.iter().all(|side| side.as_f64() > Some(100.0)), "{what} {id}: {size:?}");
            assert!(section["marks"].as_u64() > Some(3), "{what} {id}: {section}");
            assert!(!texts(&section["texts"]).is_empty(), "{what} {id}");
        }
        // With and without scripts, wide and narrow: the same figures with the same marks and words.
        let first = all.iter().find(|other| other["page"] == seen["page"]).unwrap();
        for (section, other) in sections.iter().zip(first["sections"].as_array().unwrap()) {
            for key in ["id", "heading", "rows", "marks", "texts"] {
                assert_eq!(section[key], other[key], "{what}");
            }
        }
    }
    // Of packages, the names are whole.
    let of = |id: &str| {
        let sections = all[0]["sections"].as_array().unwrap();
        texts(&sections.iter().find(|section| section["id"] == id).unwrap()["texts"]).join("\n")
    };
    let names = place.table("report", "top-users").only(&["package"]);
    for name in names.iter().take(20) {
        assert!(of("top-users").contains(&name[0]), "{name:?}");
    }
    // Each axis says what it is of.
    for (figure, units) in [
        ("top-users", &["unique users"][..]),
        ("top-jobs", &["jobs"]),
        ("top-node-hours", &["node-hours, approximate"]),
        ("job-sizes", &["jobs", "nodes of the job"]),
        ("package-sizes", &["jobs", "nodes of the job"]),
        ("correlations", &["Pearson correlation"]),
        ("with-mpi4py", &["Pearson correlation"]),
        ("unlisted", &["share of sampled jobs, %"]),
        ("endings", &["share of the package's jobs, %"]),
        ("trends", &["unique users in the month"]),
    ] {
        for unit in units {
            assert!(of(figure).contains(unit), "{figure} does not say {unit}: {}", of(figure));
        }
    }
    let page = fs::metadata(place.path("report/index.html")).unwrap().len();
    assert!(page <= 2 << 20, "{page} bytes");
}

#[test]
fn tables_are_sorted_and_tooltips_shown_where_scripts_run() {
    let Some(all) = seen() else { return };
    let used = &all[0]["use"];
    let numbers = |key: &str| -> Vec<f64> { serde_json::from_value(used[key].clone()).unwrap() };
    let (down, up) = (numbers("down"), numbers("up"));
    assert!(down.len() > 3 && down.is_sorted_by(|one, other| one >= other), "{down:?}");
    assert!(up.is_sorted() && up.len() == down.len(), "{up:?}");
    assert!(used["said"].is_string() && used["said"] == used["expected"], "{used}");
}

#[test]
fn names_that_are_long_or_meant_ill_do_no_harm_to_the_page() {
    let place = Place::new();
    let mut lines = String::new();
    let evil = "<img src=x onerror=alert(2)>\"'&";
    let long = "a_package_with_a_name_as_long_as_a_name_is_allowed_to_be.at_mostx";
    for number in 0..40_u32 {
        let mut packages = vec!["numpy".to_string(), format!("p{}", number % 9)];
        packages.extend((number % 2 == 0).then(|| long[..64].to_string()));
        packages.extend((number % 3 == 0).then(|| evil.to_string()));
        let record = serde_json::json!({
            "schema": 1, "id": format!("{number:032x}"), "seq": 0, "part": 1, "parts": 1, "list": "packages",
            "policy": "0123456789abcdef", "host": "nid1", "system": "cori", "subsystem": evil,
            "username": format!("u{}", number % 7), "uid": 1000, "pid": 7, "ppid": 1, "executable": "/usr/bin/python3",
            "main": "/a.py", "prefix": "/usr", "python": "3.11.7", "is_compute": true, "is_shifter": false,
            "container": "", "is_staff": false, "job_id": number.to_string(), "num_nodes": 1 << (number % 18), "qos": "",
            "repo": "", "start": format!("2026-{:02}-03T12:00:00.000000Z", 1 + number % 10), "elapsed": 3600.0,
            "exit": evil, "packages": packages, "versions": { "numpy": format!("1.{}", number % 9), evil: evil },
            "libraries": [evil],
        });
        lines.push_str(&format!("{record}\n"));
    }
    place.write("records.jsonl", lines);
    place.done("import --from records.jsonl --out dataset");
    place.done("reduce dataset --out tables");
    place.done("report tables --out report --clip -1 1");
    let Some(all) = look(&place, "wide,narrow-dark", &["report=report/index.html"]) else { return };
    for seen in &all {
        assert_eq!(complaints(seen), [""; 0], "{}", seen["setting"]);
        assert!(!texts(&seen["elements"]).contains(&"img"));
    }
    let text = all[0]["sections"].to_string();
    assert!(text.contains("<img src=x") && text.contains(&long[..64]), "the names are whole");
}

#[test]
fn what_is_broken_is_seen() {
    // Else the tests above would find every page well.
    let place = Place::new();
    let page = made_up().read("report/index.html");
    let add = "<p style=\"color:#ccc\">pale</p><img src=\"http://127.0.0.1:9/x.png\"><div>wide_wide_wide_wide_wide_wide_wide_wide_wide_wide</div><script>console.log('x')</script><section id=\"more\"><h2>More</h2><svg width=\"200\" height=\"200\"><text x=\"180\" y=\"20\">too long for it</text></svg></section></main>";
    place.write("page.html", page.replace("</main>", add));
    let Some(all) = look(&place, "narrow", &["page=page.html"]) else { return };
    let found = complaints(&all[0]).join("\n");
    for word in ["console: ", "Content Security Policy", "the body is", "image-alt", "cut"] {
        assert!(found.contains(word), "{word} is not in {found}");
    }
}
