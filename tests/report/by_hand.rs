//! Twenty records that were written by hand, and every cell that comes of them.

use super::Place;
use serde_json::{Value, json};

/// The records, a line each.
fn records() -> String {
    let mut lines = Vec::new();
    let mut add = |username: &str, job_id: &str, num_nodes: u64, start: &str, packages: Value, other: Value| {
        let number = lines.len() + 1;
        let mut record = json!({
            "schema": 1, "id": format!("{number:032x}"), "seq": 0, "part": 1, "parts": 1, "list": "packages",
            "policy": "0123456789abcdef", "host": "nid1", "system": "cori", "subsystem": "cpu", "username": username,
            "uid": 1000 + number, "pid": 7, "ppid": 1, "executable": "/opt/python/3.11/bin/python3", "main": "/a.py",
            "prefix": "/opt/python/3.11", "python": "3.11.7", "is_compute": true, "is_shifter": false, "container": "",
            "is_staff": false, "job_id": job_id, "num_nodes": num_nodes, "qos": "regular", "repo": "m1",
            "start": format!("2026-{start}:00.000000Z"), "elapsed": 3600.0, "exit": "normal", "packages": packages,
        });
        for (key, value) in other.as_object().unwrap() {
            record[key] = value.clone();
        }
        lines.push(record.to_string());
    };
    let login = json!({ "is_compute": false, "subsystem": "login", "repo": "" });
    let and = |one: &Value, other: Value| -> Value {
        one.as_object()
            .unwrap()
            .iter()
            .chain(other.as_object().unwrap())
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    // A job over midnight, and into the next month.
    add(
        "alice",
        "1",
        4,
        "01-30T22:00",
        json!(["numpy", "scipy"]),
        json!({ "versions": { "numpy": "1.26.4" }, "direct": ["scipy"] }),
    );
    add("alice", "1", 4, "01-31T00:30", json!(["numpy", "mpi4py"]), json!({ "elapsed": 1800.0 }));
    add(
        "alice",
        "1",
        4,
        "02-01T00:10",
        json!(["pandas"]),
        json!({ "elapsed": 600.0, "exit": "signal:TERM", "versions": { "pandas": "2.2.0" } }),
    );
    // The sample saw it as well.
    add(
        "alice",
        "1",
        4,
        "01-30T22:00",
        json!(["numpy", "scipy", "mysolver"]),
        json!({ "list": "everything", "rate": 0.1, "id": format!("{:032x}", 1) }),
    );
    // A job of the same number on another system; one of ten such processes is reported.
    let elsewhere = json!({ "system": "perlmutter", "subsystem": "gpu", "repo": "m2", "weight": 10.0 });
    add("bob", "1", 1, "01-31T10:00", json!(["numpy", "mkl"]), and(&elsewhere, json!({ "libraries": ["mkl"] })));
    add(
        "bob",
        "1",
        1,
        "01-31T10:00",
        json!(["numpy", "mkl", "othertool"]),
        and(&elsewhere, json!({ "list": "everything", "rate": 0.1, "id": format!("{:032x}", 5) })),
    );
    add("carol", "2", 8, "01-31T11:00", json!(["dask"]), json!({ "is_staff": true }));
    add("dave", "", 1, "02-02T09:00", json!(["requests"]), and(&login, json!({ "prefix": "/usr" })));
    add(
        "erin",
        "",
        1,
        "02-02T10:00",
        json!(["ipykernel", "numpy"]),
        and(&login, json!({ "main": "/x/ipykernel_launcher.py", "prefix": "/home/erin/miniconda3/envs/x" })),
    );
    add("nightly", "3", 1, "01-31T12:00", json!(["numpy"]), json!({ "canary": "c-1" }));
    // The tool conda uses multiprocessing itself.
    add(
        "frank",
        "4",
        2,
        "02-03T08:00",
        json!(["multiprocessing", "requests"]),
        json!({ "main": "/home/frank/miniconda3/bin/conda", "prefix": "/home/frank/miniconda3" }),
    );
    // A container that knows no user names.
    add("", "5", 1, "02-03T09:00", json!(["json"]), json!({ "uid": 4711, "container": "shifter", "is_shifter": true }));
    // Two reports of one process.
    add("grace", "6", 16, "02-03T10:00", json!(["numpy"]), json!({ "exit": "exec" }));
    add(
        "grace",
        "6",
        16,
        "02-03T10:00",
        json!(["numpy", "dask"]),
        json!({ "id": format!("{:032x}", 13), "seq": 1, "elapsed": 7200.0, "versions": { "numpy": "2.1.0" } }),
    );
    // One report in two parts.
    let parts = json!({ "prefix": "/home/heidi/.venv", "exit": "os_exit", "parts": 2 });
    add("heidi", "7", 2, "02-04T08:00", json!(["numpy"]), parts.clone());
    add(
        "heidi",
        "7",
        2,
        "02-04T08:00",
        json!(["xarray"]),
        and(&parts, json!({ "id": format!("{:032x}", 15), "part": 2 })),
    );
    add("ivan", "8", 1, "02-04T09:00", json!([]), json!({ "prefix": "/usr" }));
    // Somebody who has jobs as well.
    add("alice", "", 1, "02-04T10:00", json!(["pandas"]), login.clone());
    // Two processes of a job, which end differently.
    let spack = json!({ "prefix": "/opt/spack/linux/python-3.11-abc" });
    add(
        "judy",
        "9",
        1,
        "02-04T08:00",
        json!(["numpy", "mkl"]),
        and(&spack, json!({ "libraries": ["mkl"], "direct": ["numpy"] })),
    );
    add("judy", "9", 1, "02-04T08:30", json!(["mpi4py"]), and(&spack, json!({ "exit": "killed" })));
    assert_eq!(lines.len(), 20);
    lines.join("\n") + "\n"
}

const LEDGER: &str = r#"{"ledger":1,"event":"start","canary":"c-1","time":"2026-01-31T11:59:59.000000Z","interpreter":"python3","imports":[]}"#;

/// With `dataset`, and `tables` of it.
fn place() -> Place {
    let place = Place::new();
    place.write("records.jsonl", records());
    place.write("ledger.jsonl", format!("{LEDGER}\n"));
    let answer = place.done("import --from records.jsonl --out dataset --json");
    // The second part belongs to the first, and the first report is replaced.
    assert_eq!(answer["rejected"], 0, "{answer}");
    place.done("reduce dataset --out tables --ledger ledger.jsonl");
    place
}

impl Place {
    fn has(&self, report: &str, figure: &str, expected: &[&str]) {
        assert_eq!(self.table(report, figure).lines(), expected, "{report} {figure}");
    }

    fn says(&self, report: &str, figure: &str, expected: &str) {
        let lines = self.table(report, figure).lines();
        assert!(lines.iter().any(|line| line == expected), "{report} {figure}: no {expected} in {lines:#?}");
    }
}

#[test]
fn every_cell_of_twenty_records_is_as_worked_out_by_hand() {
    let place = place();
    place.done("report tables --out report --total-users 44");
    let has = |figure: &str, expected: &[&str]| place.has("report", figure, expected);
    has(
        "summary",
        &[
            "users who ran Python 11 44 0.2500",
            "users on cpu 8 11 0.7273",
            "users on gpu 1 11 0.0909",
            "users on login 3 11 0.2727",
            "users in Jupyter 1 11 0.0909",
            "users on compute nodes 9 11 0.8182",
            "jobs with a listed package 7 8 0.8750",
            "jobs with Jupyter 0 7 0",
            "node-hours of these jobs (approximate) 145 - -",
            "jobs with MKL, of those with numpy 2 5 0.4000",
            "processes reported 15 - -",
            "processes they stand for 24 - -",
            "records 17 - -",
            "records of canaries, left out 1 - -",
            "records that claim to be canaries 0 - -",
        ],
    );
    has(
        "top-users",
        &[
            "1 numpy 6 0.5455",
            "2 dask 2 0.1818",
            "3 mkl 2 0.1818",
            "4 mpi4py 2 0.1818",
            "5 requests 2 0.1818",
            "6 ipykernel 1 0.0909",
            "7 json 1 0.0909",
            "8 pandas 1 0.0909",
            "9 scipy 1 0.0909",
            "10 xarray 1 0.0909",
        ],
    );
    has(
        "top-jobs",
        &[
            "1 numpy 5 0.7143 5",
            "2 mkl 2 0.2857 2",
            "3 mpi4py 2 0.2857 2",
            "4 dask 1 0.1429 1",
            "5 json 1 0.1429 1",
            "6 pandas 1 0.1429 1",
            "7 requests 1 0.1429 1",
            "8 scipy 1 0.1429 1",
            "9 xarray 1 0.1429 1",
        ],
    );
    // alice: from 22:00 on 30 January to 0:20 on 1 February, on 4 nodes.
    has(
        "top-node-hours",
        &[
            "1 numpy 141.8333 0.9793 5",
            "2 mpi4py 106.8333 0.7376 2",
            "3 pandas 105.3333 0.7273 1",
            "4 scipy 105.3333 0.7273 1",
            "5 dask 32 0.2209 1",
            "6 mkl 2.5000 0.0173 2",
            "7 requests 2 0.0138 1",
            "8 xarray 2 0.0138 1",
            "9 json 1 0.0069 1",
        ],
    );
    has("job-sizes", &["1 3 3", "2 2 2", "4 1 1", "16 1 1"]);
    has(
        "package-sizes",
        &[
            "dask 16 31 1 1",
            "json 1 1 1 1",
            "mkl 1 1 2 2",
            "mpi4py 1 1 1 1",
            "mpi4py 4 7 1 1",
            "numpy 1 1 2 2",
            "numpy 2 3 1 1",
            "numpy 4 7 1 1",
            "numpy 16 31 1 1",
            "pandas 4 7 1 1",
            "requests 2 3 1 1",
            "scipy 4 7 1 1",
            "xarray 2 3 1 1",
        ],
    );
    has(
        "correlations",
        &[
            "numpy mkl 2 5 2 0.4000",
            "numpy mpi4py 2 5 2 0.4000",
            "numpy dask 1 5 1 0.2582",
            "numpy pandas 1 5 1 0.2582",
            "numpy scipy 1 5 1 0.2582",
            "numpy xarray 1 5 1 0.2582",
            "mkl mpi4py 1 2 2 0.3000",
            "mpi4py pandas 1 2 1 0.6455",
            "mpi4py scipy 1 2 1 0.6455",
            "pandas scipy 1 1 1 1",
        ],
    );
    has(
        "with-mpi4py",
        &[
            "mpi4py pandas 1 1 0.5000 0.6455",
            "mpi4py scipy 1 1 0.5000 0.6455",
            "mpi4py numpy 2 5 1 0.4000",
            "mpi4py mkl 1 2 0.5000 0.3000",
            "mpi4py dask 0 1 0 -0.2582",
            "mpi4py json 0 1 0 -0.2582",
            "mpi4py requests 0 1 0 -0.2582",
            "mpi4py xarray 0 1 0 -0.2582",
        ],
    );
    has("with-multiprocessing", &[]);
    assert!(place.read("report/index.html").contains("No job of the period loaded multiprocessing."));
    has(
        "environments",
        &[
            "module 4 0.3636 3 0.4286",
            "conda 2 0.1818 1 0.1429",
            "system 2 0.1818 0 0",
            "container 1 0.0909 1 0.1429",
            "spack 1 0.0909 1 0.1429",
            "venv 1 0.0909 1 0.1429",
        ],
    );
    has("libraries", &["mkl 2 0.1818 2 0.2857"]);
    has(
        "direct",
        &[
            "numpy 6 1 0.1667 5 1",
            "dask 2 0 0 1 0",
            "mkl 2 0 0 2 0",
            "mpi4py 2 0 0 2 0",
            "requests 2 0 0 1 0",
            "ipykernel 1 0 0 0 0",
            "json 1 0 0 1 0",
            "pandas 1 0 0 1 0",
            "scipy 1 1 1 1 1",
            "xarray 1 0 0 1 0",
        ],
    );
    has("versions", &["2026-01 numpy 1.26.4 1", "2026-02 numpy 2.1.0 1", "2026-02 pandas 2.2.0 1"]);
    has(
        "unlisted",
        &[
            "numpy yes 2 1 0.3424 1 2",
            "mkl yes 1 0.5000 0.0945 0.9055 1",
            "mysolver no 1 0.5000 0.0945 0.9055 1",
            "othertool no 1 0.5000 0.0945 0.9055 1",
            "scipy yes 1 0.5000 0.0945 0.9055 1",
        ],
    );
    has(
        "endings",
        &[
            "- killed 1 0.1429 1",
            "- normal 6 0.8571 6",
            "- os_exit 1 0.1429 1",
            "- signal:TERM 1 0.1429 1",
            "dask normal 1 1 1",
            "json normal 1 1 1",
            "mkl killed 1 0.5000 1",
            "mkl normal 2 1 2",
            "mpi4py killed 1 0.5000 1",
            "mpi4py normal 2 1 2",
            "mpi4py signal:TERM 1 0.5000 1",
            "numpy killed 1 0.2000 1",
            "numpy normal 4 0.8000 4",
            "numpy os_exit 1 0.2000 1",
            "numpy signal:TERM 1 0.2000 1",
            "pandas normal 1 1 1",
            "pandas signal:TERM 1 1 1",
            "requests normal 1 1 1",
            "scipy normal 1 1 1",
            "scipy signal:TERM 1 1 1",
            "xarray os_exit 1 1 1",
        ],
    );
    has(
        "trends",
        &[
            "2026-01 - 3 1 2",
            "2026-01 dask 1 0.3333 0",
            "2026-01 mkl 1 0.3333 1",
            "2026-01 mpi4py 1 0.3333 1",
            "2026-01 numpy 2 0.6667 2",
            "2026-01 scipy 1 0.3333 1",
            "2026-02 - 9 1 6",
            "2026-02 dask 1 0.1111 1",
            "2026-02 ipykernel 1 0.1111 0",
            "2026-02 json 1 0.1111 1",
            "2026-02 mkl 1 0.1111 1",
            "2026-02 mpi4py 1 0.1111 1",
            "2026-02 numpy 4 0.4444 3",
            "2026-02 pandas 1 0.1111 1",
            "2026-02 requests 2 0.2222 1",
            "2026-02 xarray 1 0.1111 1",
        ],
    );
}

#[test]
fn a_job_across_months_is_in_each_with_what_it_did_there() {
    let place = place();
    place.done("report tables --out months --by month");
    place.has("months/2026-01", "job-sizes", &["1 1 1", "4 1 1"]);
    // From 22:00 to 1:00.
    place.has(
        "months/2026-01",
        "top-node-hours",
        &["1 numpy 13 1 2", "2 mpi4py 12 0.9231 1", "3 scipy 12 0.9231 1", "4 mkl 1 0.0769 1"],
    );
    // numpy is in every job: with it nothing can be correlated.
    place.has(
        "months/2026-01",
        "correlations",
        &["numpy mkl 1 2 1 -", "numpy mpi4py 1 2 1 -", "numpy scipy 1 2 1 -", "mpi4py scipy 1 1 1 1"],
    );
    place.has(
        "months/2026-01",
        "endings",
        &["- normal 2 1 2", "mkl normal 1 1 1", "mpi4py normal 1 1 1", "numpy normal 2 1 2", "scipy normal 1 1 1"],
    );
    place.has("months/2026-02", "job-sizes", &["1 2 2", "2 2 2", "4 1 1", "16 1 1"]);
    place.says("months/2026-02", "top-node-hours", "8 pandas 0.6667 0.0170 1");
    place.says("months/2026-02", "endings", "pandas signal:TERM 1 1 1");
    place.has("months/2026-02", "unlisted", &[]);
    // By days, too.
    place.done("report tables --out day --from 2026-01-31 --to 2026-01-31");
    place.has("day", "top-jobs", &["1 numpy 2 1 2", "2 mkl 1 0.5000 1", "3 mpi4py 1 0.5000 1"]);
    place.done("report tables --out quarters --by quarter");
    place.has("quarters/2026-Q1", "job-sizes", &["1 3 3", "2 2 2", "4 1 1", "16 1 1"]);
    place.done("report tables --out years --by year");
    assert_eq!(place.read("years/2026/figures/top-jobs.csv"), place.read("quarters/2026-Q1/figures/top-jobs.csv"));
}

#[test]
fn a_canary_that_no_ledger_has_counts_and_is_named() {
    let place = place();
    let outcome = place.customs("reduce dataset --out believing");
    assert_eq!(outcome.status, Some(0));
    assert!(
        outcome.error.contains("1 records say that they are canaries'") && outcome.error.contains("--ledger"),
        "{}",
        outcome.error
    );
    place.done("report believing --out report");
    for line in [
        "users who ran Python 12 - -",
        "jobs with a listed package 8 9 0.8889",
        "records 18 - -",
        "records of canaries, left out 0 - -",
        "records that claim to be canaries 1 - -",
    ] {
        place.says("report", "summary", line);
    }
    place.says("report", "top-users", "1 numpy 7 0.5833");
}

#[test]
fn filters_take_what_they_name() {
    let place = place();
    let report = |filters: &str| {
        let name = filters.replace([' ', '-'], "");
        place.done(&format!("report tables --out {name} {filters}"));
        name
    };
    let summary = |filters: &str, expected: &[&str]| {
        let name = report(filters);
        for line in expected {
            place.says(&name, "summary", line);
        }
        name
    };
    let name = summary("--staff include", &["users who ran Python 11 - -", "jobs with a listed package 8 9 0.8889"]);
    place.says(&name, "job-sizes", "8 1 1");
    let name = summary("--staff only", &["users who ran Python 1 - -", "jobs with a listed package 1 1 1"]);
    place.has(&name, "top-users", &["1 dask 1 1"]);
    summary("--staff exclude", &["users who ran Python 10 - -", "jobs with a listed package 7 8 0.8750"]);
    let name = summary("--login only", &["users who ran Python 3 - -", "jobs with a listed package 0 0 -"]);
    place.has(
        &name,
        "top-users",
        &["1 ipykernel 1 0.3333", "2 numpy 1 0.3333", "3 pandas 1 0.3333", "4 requests 1 0.3333"],
    );
    summary("--login exclude", &["users who ran Python 9 - -"]);
    for filters in ["--system perlmutter", "--subsystem gpu", "--repo m2"] {
        let name = summary(
            filters,
            &["users who ran Python 1 - -", "jobs with a listed package 1 1 1", "processes they stand for 10 - -"],
        );
        place.has(&name, "top-jobs", &["1 mkl 1 1 1", "2 numpy 1 1 1"]);
        place.has(
            &name,
            "unlisted",
            &["mkl yes 1 1 0.2065 1 1", "numpy yes 1 1 0.2065 1 1", "othertool no 1 1 0.2065 1 1"],
        );
        assert!(place.read(&format!("{name}/index.html")).contains("Only "), "the page says what it is of");
    }
    summary("--system cori,perlmutter --repo m1", &["users who ran Python 8 - -"]);
    place.fails("report tables --out none --system edison", 2, &["--system edison"]);
}
