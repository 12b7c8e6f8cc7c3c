//! `--min-users`: what is published tells nothing of fewer users, and longer periods are the sums of what their months tell.

use super::made_up;
use std::collections::BTreeMap;
use std::fs;

const LEAST: u64 = 5;

/// What is told of jobs: a figure, its keys and its number.
const OF_JOBS: [(&str, &[&str], &str); 6] = [
    ("top-jobs", &["package"], "jobs"),
    ("job-sizes", &["nodes"], "jobs"),
    ("package-sizes", &["package", "nodes_from"], "jobs"),
    ("endings", &["package", "exit"], "jobs"),
    ("correlations", &["package", "other"], "jobs"),
    ("environments", &["environment"], "jobs"),
];

#[test]
fn a_published_report_has_no_number_of_fewer_users_and_is_the_sum_of_its_months() {
    let place = made_up();
    place.done(&format!("report tables --out published --min-users {LEAST}"));
    place.done(&format!("report tables --out published-months --by month --min-users {LEAST}"));
    let mut told = 0;
    for folder in ["published", "published-months/2026-01"] {
        for entry in fs::read_dir(place.path(&format!("{folder}/figures"))).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let Some(figure) = name.strip_suffix(".csv") else { continue };
            let table = place.table(folder, figure);
            let is_nothing = |field: &String| field == "0";
            assert!(!table.rows.iter().flatten().any(is_nothing), "{folder} {figure}: told to be nothing");
            for column in
                ["users", "direct_users"].into_iter().filter(|column| table.columns.iter().any(|name| name == column))
            {
                for row in table.only(&[column]) {
                    // Nothing and what is not told look the same.
                    let users: u64 = if row[0].is_empty() { continue } else { row[0].parse().unwrap() };
                    assert!(users >= LEAST && users.is_multiple_of(LEAST), "{folder} {figure}: {row:?}");
                    told += 1;
                }
            }
        }
    }
    assert!(told > 200, "{told} numbers of users");
    for (figure, keys, number) in OF_JOBS {
        let cells = |folder: &str| -> BTreeMap<Vec<String>, u64> {
            let rows = place.table(folder, figure).only(&[keys, &[number]].concat());
            let cell = |mut row: Vec<String>| {
                let jobs = row.pop().unwrap().parse().unwrap_or(0);
                (row, jobs)
            };
            rows.into_iter().map(cell).filter(|(_, jobs)| *jobs > 0).collect()
        };
        let mut sum: BTreeMap<Vec<String>, u64> = BTreeMap::new();
        for entry in fs::read_dir(place.path("published-months")).unwrap() {
            let entry = entry.unwrap();
            let month = entry.file_name().into_string().unwrap();
            if month.starts_with("20") {
                for (key, jobs) in cells(&format!("published-months/{month}")) {
                    // A pair has one order in one period, and may have the other in another.
                    let mut key = key;
                    if figure == "correlations" {
                        key.sort();
                    }
                    *sum.entry(key).or_default() += jobs;
                }
            }
        }
        let whole = cells("published").into_iter().map(|(mut key, jobs)| {
            if figure == "correlations" {
                key.sort();
            }
            (key, jobs)
        });
        let whole: BTreeMap<Vec<String>, u64> = whole.collect();
        assert!(!whole.is_empty() || figure == "package-sizes", "{figure}");
        assert_eq!(whole, sum, "{figure}");
    }
    // Fewer are told of than there are.
    let rows = |folder: &str, figure: &str| place.table(folder, figure).rows.len();
    assert!(rows("published", "top-users") < rows("report", "top-users"));
    assert!(place.read("published/index.html").contains("Fit to be published"));
    place.fails("report tables --out no --min-users 5 --from 2025-12-05", 2, &["--from 2025-12-05", "2025-12-01"]);
}
