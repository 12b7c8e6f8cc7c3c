//! What was planted is what is reported, to the last number, for the whole and for each month.

use super::{Place, Table, made_up, same};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A period: what is true of it, and where it is reported.
struct Period<'a> {
    name: String,
    truth: &'a Value,
    place: &'static Place,
    report: String,
    /// The months in it, and what is true of them.
    months: Vec<(&'a str, &'a Value)>,
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value}"))
}

fn share(part: &Value, whole: &Value) -> String {
    (count(part) as f64 / count(whole) as f64).to_string()
}

fn near(what: &str, found: &str, expected: f64, tolerance: f64) {
    let found: f64 = found.parse().unwrap_or_else(|_| panic!("{what}: {found}"));
    assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{what}: {found} should be {expected}");
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

impl Period<'_> {
    fn table(&self, figure: &str) -> Table {
        self.place.table(&self.report, figure)
    }

    fn compare(&self, figure: &str, columns: &[&str], expected: Vec<Vec<String>>) {
        assert!(!expected.is_empty(), "{} {figure}: nothing was planted", self.name);
        same(&format!("{} {figure}", self.name), self.table(figure).only(columns), expected);
    }

    /// Ranks go from the most to the least, equal ones by their names.
    fn is_ranked(&self, figure: &str, by: &str) {
        let rows = self.table(figure).only(&["rank", by, "package"]);
        let mut sorted: Vec<(f64, &str)> =
            rows.iter().map(|row| (-row[1].parse::<f64>().unwrap(), row[2].as_str())).collect();
        sorted.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(other.1)));
        for (at, (row, (_, package))) in rows.iter().zip(sorted).enumerate() {
            assert_eq!((row[0].as_str(), row[2].as_str()), ((at + 1).to_string().as_str(), package), "{figure}");
        }
    }

    /// Packages, and what is true of them.
    fn packages(&self) -> impl Iterator<Item = (&String, &Value)> {
        object(&self.truth["packages"]).iter()
    }

    /// Those that jobs of the figures have loaded.
    fn of_jobs(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.packages().filter(|(_, facts)| count(&facts["jobs"]) > 0)
    }

    /// Jobs that have both of two packages, whichever comes first.
    fn pairs(&self) -> BTreeMap<(String, String), u64> {
        let of = |pair: &Value| {
            let mut names = [text(&pair[0]), text(&pair[1])];
            names.sort();
            let [one, other] = names;
            ((one, other), count(&pair[2]))
        };
        self.truth["pairs"].as_array().unwrap().iter().map(of).collect()
    }
}

/// Every period that was planted. The whole comes last.
fn each(check: impl Fn(&Period)) {
    let place = made_up();
    let truth: Value = serde_json::from_str(&place.read("truth.json")).unwrap();
    let months: Vec<(&str, &Value)> =
        object(&truth).iter().filter(|(name, _)| *name != "all").map(|(name, truth)| (name.as_str(), truth)).collect();
    assert_eq!(months.len(), 4);
    for (name, truth) in &months {
        let months = vec![(*name, *truth)];
        check(&Period { name: name.to_string(), truth, place, report: format!("months/{name}"), months });
    }
    let (name, report) = ("all".to_string(), "report".to_string());
    check(&Period { name, truth: &truth["all"], place, report, months });
}

#[test]
fn users_and_jobs_of_packages_are_those_that_were_planted() {
    each(|period| {
        let all = &period.truth["users"];
        let users =
            |(name, facts): (&String, &Value)| vec![name.clone(), text(&facts["users"]), share(&facts["users"], all)];
        period.compare("top-users", &["package", "users", "share"], period.packages().map(users).collect());
        period.is_ranked("top-users", "users");
        let jobs = |(name, facts): (&String, &Value)| {
            vec![
                name.clone(),
                text(&facts["jobs"]),
                share(&facts["jobs"], &period.truth["jobs"]),
                text(&facts["job_users"]),
            ]
        };
        period.compare("top-jobs", &["package", "jobs", "share", "users"], period.of_jobs().map(jobs).collect());
        period.is_ranked("top-jobs", "jobs");
        let hours = period.table("top-node-hours").only(&["package", "node_hours", "share", "users"]);
        assert_eq!(hours.len(), period.of_jobs().count());
        for row in hours {
            let facts = &period.truth["packages"][&row[0]];
            let (own, all) = (facts["node_hours"].as_f64().unwrap(), period.truth["node_hours"].as_f64().unwrap());
            near(&row[0], &row[1], own, 1e-5);
            near(&row[0], &row[2], own / all, 1e-5);
            assert_eq!(row[3], text(&facts["job_users"]));
        }
        period.is_ranked("top-node-hours", "node_hours");
    });
}

#[test]
fn the_period_in_numbers_is_as_planted() {
    each(|period| {
        let truth = period.truth;
        let users = count(&truth["users"]) as f64;
        let jobs = count(&truth["jobs"]) as f64;
        let mut expected: Vec<(String, f64, Option<f64>)> = Vec::new();
        let mut add = |what: &str, value: f64, of: Option<f64>| expected.push((what.to_string(), value, of));
        add("users who ran Python", users, (period.name == "all").then_some(1000.0));
        for (subsystem, own) in object(&truth["subsystem_users"]) {
            add(&format!("users on {subsystem}"), count(own) as f64, Some(users));
        }
        add("users in Jupyter", count(&truth["jupyter_users"]) as f64, Some(users));
        add("users on compute nodes", count(&truth["compute_users"]) as f64, Some(users));
        add("jobs with a listed package", jobs, Some(jobs + count(&truth["empty_jobs"]) as f64));
        add("jobs with Jupyter", 0.0, Some(jobs));
        add("node-hours of these jobs (approximate)", truth["node_hours"].as_f64().unwrap().round(), None);
        let both = period.pairs()[&("mkl".to_string(), "numpy".to_string())];
        add("jobs with MKL, of those with numpy", both as f64, Some(count(&truth["packages"]["numpy"]["jobs"]) as f64));
        add("processes reported", count(&truth["processes"]) as f64, None);
        add("processes they stand for", truth["weight"].as_f64().unwrap(), None);
        add("records", count(&truth["records"]) as f64, None);
        assert!(count(&truth["canaries"]) > 0);
        add("records of canaries, left out", count(&truth["canaries"]) as f64, None);
        add("records that claim to be canaries", 0.0, None);
        let or_nothing = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        let rows = expected.into_iter().map(|(what, value, of)| {
            vec![what, value.to_string(), or_nothing(of), or_nothing(of.map(|of| value / of))]
        });
        period.compare("summary", &["what", "value", "of", "share"], rows.collect());
    });
}

#[test]
fn sizes_of_jobs_are_those_that_were_planted() {
    each(|period| {
        let sizes = object(&period.truth["sizes"]).iter();
        let rows = sizes.map(|(nodes, cell)| vec![nodes.clone(), text(&cell["jobs"]), text(&cell["users"])]);
        period.compare("job-sizes", &["nodes", "jobs", "users"], rows.collect());
        let mut rows = Vec::new();
        for (package, facts) in period.of_jobs() {
            for (from, cell) in object(&facts["classes"]) {
                let to = 2 * from.parse::<u64>().unwrap() - 1;
                rows.push(vec![
                    package.clone(),
                    from.clone(),
                    to.to_string(),
                    text(&cell["jobs"]),
                    text(&cell["users"]),
                ]);
            }
            // The plan by exact sizes says the same.
            let sizes: u64 = object(&facts["sizes"]).values().map(count).sum();
            assert_eq!(sizes, count(&facts["jobs"]));
        }
        period.compare("package-sizes", &["package", "nodes_from", "nodes_to", "jobs", "users"], rows);
    });
}

/// Pearson's coefficient, from means and deviations.
fn pearson(all: u64, one: u64, other: u64, both: u64) -> Option<f64> {
    let [one, other, both] = [one, other, both].map(|count| count as f64 / all as f64);
    let deviation = |mean: f64| (mean - mean * mean).sqrt();
    (one < 1.0 && other < 1.0).then(|| (both - one * other) / deviation(one) / deviation(other))
}

#[test]
fn correlations_are_what_the_planted_pairs_give() {
    each(|period| {
        let (all, pairs) = (count(&period.truth["jobs"]), period.pairs());
        let jobs = |package: &str| count(&period.truth["packages"][package]["jobs"]);
        let check = |one: &str, other: &str, both: &str, found: &str| {
            let mut key = [one.to_string(), other.to_string()];
            key.sort();
            let planted = pairs.get(&key.into()).copied().unwrap_or_default();
            let what = format!("{}: {one} and {other}", period.name);
            assert_eq!(both, planted.to_string(), "{what}");
            match pearson(all, jobs(one), jobs(other), planted) {
                Some(coefficient) => near(&what, found, coefficient, 1e-9),
                None => assert_eq!(found, "", "{what}"),
            }
        };
        let columns = ["package", "other", "jobs", "jobs_of_package", "jobs_of_other", "correlation"];
        let mut met = BTreeSet::new();
        for row in period.table("correlations").only(&columns) {
            assert_eq!((&row[3], &row[4]), (&jobs(&row[0]).to_string(), &jobs(&row[1]).to_string()), "{row:?}");
            check(&row[0], &row[1], &row[2], &row[5]);
            let mut key = [row[0].clone(), row[1].clone()];
            key.sort();
            assert!(met.insert(key), "{row:?} is there twice");
        }
        let met: BTreeSet<(String, String)> = met.into_iter().map(Into::into).collect();
        assert_eq!(met, pairs.keys().cloned().collect());
        for package in ["mpi4py", "multiprocessing", "dask"] {
            let columns = ["package", "other", "jobs_with_both", "jobs_with_other", "share_of_package", "correlation"];
            let rows = period.table(&format!("with-{package}")).only(&columns);
            let others: BTreeSet<&str> = rows.iter().map(|row| row[1].as_str()).collect();
            let expected = period.of_jobs().map(|(name, _)| name.as_str()).filter(|name| *name != package);
            assert_eq!(others, expected.collect(), "{}: {package}", period.name);
            for row in &rows {
                assert_eq!((row[0].as_str(), &row[3]), (package, &jobs(&row[1]).to_string()));
                check(package, &row[1], &row[2], &row[5]);
                near(&row[1], &row[4], row[2].parse::<f64>().unwrap() / jobs(package) as f64, 1e-12);
            }
        }
    });
}

#[test]
fn what_was_planted_to_be_loaded_together_is_found() {
    let place = made_up();
    let of = |package: &str, other: &str| -> f64 {
        let rows = place.table("report", &format!("with-{package}")).only(&["other", "correlation"]);
        rows.iter().find(|row| row[0] == other).unwrap()[1].parse().unwrap()
    };
    assert!(of("dask", "xarray") > 0.5);
    assert!(of("mpi4py", "astropy") > 0.2);
}

#[test]
fn environments_libraries_and_direct_imports_are_those_that_were_planted() {
    each(|period| {
        let truth = period.truth;
        let shares = |name: &str, users: &Value, jobs: &Value| {
            let (of_users, of_jobs) = (share(users, &truth["users"]), share(jobs, &truth["jobs"]));
            vec![name.to_string(), text(users), of_users, text(jobs), of_jobs]
        };
        let columns = ["users", "share_of_users", "jobs", "share_of_jobs"];
        let zero = Value::from(0);
        let environments = object(&truth["environment_users"]).iter();
        let rows =
            environments.map(|(name, users)| shares(name, users, truth["environment_jobs"].get(name).unwrap_or(&zero)));
        period.compare("environments", &[&["environment"], &columns[..]].concat(), rows.collect());
        let libraries = period.packages().filter(|(_, facts)| facts["is_library"] == true);
        let rows = libraries.map(|(name, facts)| shares(name, &facts["users"], &facts["jobs"]));
        period.compare("libraries", &[&["library"], &columns[..]].concat(), rows.collect());
        let rows = period.packages().map(|(name, facts)| {
            let [users, direct, jobs, of_jobs] =
                ["users", "direct_users", "jobs", "direct_jobs"].map(|key| text(&facts[key]));
            vec![name.clone(), users, direct, share(&facts["direct_users"], &facts["users"]), jobs, of_jobs]
        });
        let columns = ["package", "users", "direct_users", "share_direct", "jobs", "direct_jobs"];
        period.compare("direct", &columns, rows.collect());
    });
}

#[test]
fn endings_are_those_that_were_planted() {
    each(|period| {
        let mut rows = Vec::new();
        let mut add = |package: &str, exits: &Value, jobs: &Value| {
            for (exit, cell) in object(exits) {
                let share = share(&cell["jobs"], jobs);
                rows.push(vec![package.to_string(), exit.clone(), text(&cell["jobs"]), share, text(&cell["users"])]);
            }
        };
        add("", &period.truth["exits"], &period.truth["jobs"]);
        for (package, facts) in period.of_jobs() {
            add(package, &facts["exits"], &facts["jobs"]);
        }
        period.compare("endings", &["package", "exit", "jobs", "share", "users"], rows);
    });
}

#[test]
fn months_and_versions_are_those_that_were_planted() {
    each(|period| {
        let (mut trends, mut versions) = (Vec::new(), Vec::new());
        for (month, truth) in &period.months {
            let [users, jobs] = ["users", "jobs"].map(|key| text(&truth[key]));
            trends.push([month, "", &users, "1", &jobs].map(str::to_string).to_vec());
            for (package, facts) in object(&truth["packages"]) {
                let share = share(&facts["users"], &truth["users"]);
                trends.push(vec![
                    month.to_string(),
                    package.clone(),
                    text(&facts["users"]),
                    share,
                    text(&facts["jobs"]),
                ]);
                for (version, users) in object(&facts["versions"]) {
                    versions.push(vec![month.to_string(), package.clone(), version.clone(), text(users)]);
                }
            }
        }
        period.compare("versions", &["month", "package", "version", "users"], versions);
        period.compare("trends", &["month", "package", "users", "share", "jobs"], trends);
    });
    // The page over the months has the same line.
    let place = made_up();
    assert_eq!(place.table("months", "trends"), place.table("report", "trends"));
}

#[test]
fn what_the_list_misses_is_what_was_planted() {
    each(|period| {
        let all = count(&period.truth["sampled_jobs"]);
        let names = object(&period.truth["sampled_names"]);
        let unlisted = object(&period.truth["unlisted_jobs"]);
        assert!(!unlisted.is_empty());
        let rows = names.iter().map(|(name, cell)| {
            let listed = if unlisted.contains_key(name) { "no" } else { "yes" };
            let share = count(&cell["jobs"]) as f64 / all as f64;
            vec![name.clone(), listed.to_string(), text(&cell["jobs"]), share.to_string(), text(&cell["users"])]
        });
        period.compare("unlisted", &["name", "listed", "sampled_jobs", "share", "users"], rows.collect());
        // Wilson's interval at 95 %: its ends are the shares from which what was seen is 1.96 deviations away.
        for row in period.table("unlisted").only(&["name", "share", "share_low", "share_high"]) {
            let [seen, low, high] = [1, 2, 3].map(|at| row[at].parse::<f64>().unwrap());
            assert!(low <= seen && seen <= high, "{row:?}");
            for end in [low, high].into_iter().filter(|end| *end > 1e-9 && *end < 1.0 - 1e-9) {
                let deviation = (end * (1.0 - end) / all as f64).sqrt();
                assert!(((seen - end).abs() / deviation - 1.96).abs() < 1e-3, "{row:?}");
            }
        }
    });
}

#[test]
fn the_sum_of_the_months_is_not_the_whole_where_jobs_and_users_are_in_several() {
    // Else nothing above has shown that they are counted once.
    let truth: Value = serde_json::from_str(&made_up().read("truth.json")).unwrap();
    let sum = |key: &str| {
        object(&truth).iter().filter(|(name, _)| *name != "all").map(|(_, of)| count(&of[key])).sum::<u64>()
    };
    assert!(sum("jobs") > count(&truth["all"]["jobs"]), "no job across months");
    assert!(sum("users") > count(&truth["all"]["users"]));
    assert_eq!(sum("records"), count(&truth["all"]["records"]));
}
