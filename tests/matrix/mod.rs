//! One library file in every interpreter and every program that embeds one, started in every way: the record comes,
//! it says what the interpreter itself says, and nobody else can tell that the library was there.

mod lives;
mod table;

use crate::support::hosts::{self, Folder, Host, Kind, Program};
use crate::support::library::{Library, site};
use crate::support::receiver::Receiver;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::process::Output;
use std::sync::Mutex;
use table::{Cell, Table};

/// What is looked for. `absent` is never imported; `probe` and `dependency` are written by [`write_packages`].
const PACKAGES: &str = "\
[[package]]
name = \"absent\"
[[package]]
name = \"json\"
[[package]]
name = \"sqlite3\"
version = \"sqlite3:sqlite_version\"
[[package]]
name = \"multiprocessing\"
[[package]]
name = \"probe\"
[[package]]
name = \"dependency\"
";

/// Modules of the standard library that are looked for, and where they keep a version.
const STANDARD: [(&str, &str); 3] =
    [("json", "__version__"), ("sqlite3", "sqlite_version"), ("multiprocessing", "__version__")];

/// The user imports `probe`, which brings `dependency` along.
fn write_packages(folder: &Folder) {
    fs::write(folder.outside().join("probe.py"), "import dependency\n__version__ = '1.2.3'\n").unwrap();
    fs::write(folder.outside().join("dependency.py"), "__version__ = '4.5'\n").unwrap();
}

/// One line of Python that imports all of [`PACKAGES`] that `host` has, and has the interpreter write down what the
/// record should say of it.
fn snippet(host: &Host, folder: &Folder) -> String {
    let standard: Vec<_> = STANDARD.into_iter().filter(|(module, _)| host.has(module)).collect();
    let modules: Vec<_> = standard.iter().map(|(module, _)| *module).collect();
    let versions: Vec<_> =
        standard.iter().map(|(module, version)| format!("'{module}': vars({module}).get('{version}')")).collect();
    format!(
        "import sys; sys.path.insert(0, '{folder}'); import {modules}, probe; \
         truth = {{'python': sys.version.split()[0], 'versions': {{{versions}}}}}; \
         truth_file = open('{folder}/truth', 'w'); truth_file.write(json.dumps(truth)); truth_file.close(); \
         print('to stdout'); sys.stderr.write('to stderr\\n')",
        folder = folder.inside,
        modules = modules.join(", "),
        versions = versions.join(", "),
    )
}

/// A program that was run in one of its forms, without the library and then under it.
struct Trial {
    host: usize,
    form: String,
    /// Its records' `job_id`.
    name: String,
    without: Output,
    under: Output,
    /// What the interpreter says of itself.
    truth: Value,
    /// The path that its `main` must be, where it is one.
    main: String,
}

impl Trial {
    fn run(number: usize, program: &Program, folder: &Folder, form: &str) -> Self {
        let code = snippet(&program.host, folder);
        let [module, script] = ["started_module.py", "script.py"];
        let inside = |name: &str| format!("{}/{name}", folder.inside);
        let write = |name: &str, code: &str| fs::write(folder.outside().join(name), code).unwrap();
        let (argv, stdin, main) = match form {
            "run" => (program.with_code(&[&code]), "", String::new()),
            "plain" => (program.with::<&str>(&[]), code.as_str(), String::new()),
            "-c" => (program.with(&["-c", &code]), "", String::new()),
            "-m" => {
                write(module, &code);
                (program.with(&["-m", "started_module"]), "", inside(module))
            }
            "script" => {
                write(script, &format!("{code}; sys.exit(7)"));
                (program.with(&[&inside(script)]), "", inside(script))
            }
            "venv" => {
                let made = program.run(&program.with(&["-m", "venv", "--without-pip", "venv"]), "", folder, None);
                assert!(made.status.success(), "{}: {}", program.host.name, String::from_utf8_lossy(&made.stderr));
                (vec![inside("venv/bin/python"), "-c".to_string(), code], "", String::new())
            }
            option => (program.with(&[option, "-c", &code]), "", String::new()),
        };
        let name = format!("{number}{form}");
        let without = program.run(&argv, stdin, folder, None);
        let _ = fs::remove_file(folder.outside().join("truth"));
        let under = program.run(&argv, stdin, folder, Some(&name));
        let truth = fs::read(folder.outside().join("truth")).unwrap_or_default();
        let truth = serde_json::from_slice(&truth).unwrap_or_default();
        Trial { host: number, form: form.to_string(), name, without, under, truth, main }
    }

    /// What is wrong with it.
    fn problems(&self, host: &Host, records: &[Value]) -> Vec<String> {
        let mut problems = Vec::new();
        if seen(host, &self.without) != seen(host, &self.under) {
            problems.push(format!("without the library {:?}\n under it {:?}", self.without, self.under));
        }
        if host.kind != Kind::Silent && self.truth.is_null() {
            problems.push(format!("the snippet did not run: {:?}", self.under));
        }
        let wrong = self.wrong_records(host, records);
        match host.misses() {
            None => problems.extend(wrong),
            Some(reason) if wrong.is_empty() => {
                problems.push(format!("hosts.toml says that it misses ({reason}), and it does not"))
            }
            Some(_) => {}
        }
        problems
    }

    /// Where the records are not those that should have come.
    fn wrong_records(&self, host: &Host, records: &[Value]) -> Vec<String> {
        let mut wrong = Vec::new();
        if records.len() != host.records() {
            wrong.push(format!("{} records instead of {}: {:?}", records.len(), host.records(), self.under));
        }
        wrong.extend(records.iter().flat_map(|record| self.differences(host, record)));
        wrong
    }

    /// Where a record is not what the interpreter says.
    fn differences(&self, host: &Host, record: &Value) -> Vec<String> {
        let mut versions = json!({ "probe": "1.2.3", "dependency": "4.5" });
        let mut direct = vec!["probe"];
        for (module, _) in STANDARD.iter().filter(|(module, _)| host.has(module)) {
            direct.push(module);
            if let Some(version) = self.truth["versions"][module].as_str() {
                versions[module] = Value::from(version);
            }
        }
        let packages = [direct.as_slice(), &["dependency"]].concat();
        let python = self.truth["python"].as_str().unwrap_or_default();
        let mut differences = Vec::new();
        let mut expect = |field: &str, expected: Value| {
            let found = sorted(&record[field]);
            if found != expected {
                differences.push(format!("{field} is {found} and should be {expected}"));
            }
        };
        expect("packages", sorted(&json!(packages)));
        expect("direct", sorted(&json!(direct)));
        expect("versions", versions);
        expect("python", json!(python));
        expect("exit", json!(host.exit()));
        if host.kind == Kind::Python {
            expect("main", json!(self.main));
        }
        expect("seq", json!(0));
        expect("parts", json!(1));
        if !python.starts_with(&host.version) {
            differences.push(format!("this is Python {python} and should be {}", host.version));
        }
        differences
    }
}

/// A list with its names in order; anything else as it is.
fn sorted(value: &Value) -> Value {
    match value.as_array() {
        Some(names) => {
            let mut names: Vec<_> = names.iter().map(|name| name.as_str().unwrap()).collect();
            names.sort_unstable();
            json!(names)
        }
        None => value.clone(),
    }
}

/// What a user sees of a run: exit status, standard output and standard error.
fn seen(host: &Host, output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        // uWSGI prints its process ids, addresses and the time, and workers of it may overtake each other.
        if host.kind == Kind::Embedder { in_any_order(&without_numbers(&text)) } else { text }
    };
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn without_numbers(text: &str) -> String {
    text.split(|character: char| character.is_ascii_hexdigit()).filter(|part| !part.is_empty()).collect()
}

fn in_any_order(text: &str) -> String {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Every form of a host that is here.
fn trials(number: usize, program: &Program, library: &Library) -> Vec<Trial> {
    let folder = program.folder(library);
    write_packages(&folder);
    let forms = if program.host.kind == Kind::Python { program.host.forms.clone() } else { vec!["run".to_string()] };
    let trials = forms.iter().map(|form| Trial::run(number, program, &folder, form)).collect();
    let used = fs::read(folder.outside().join("libcustoms.so")).unwrap();
    assert!(used == library.bytes(), "{}: it ran under another library", program.host.name);
    trials
}

#[test]
fn one_library_reports_from_every_python_however_it_is_started() {
    let receiver = Receiver::open();
    let library = Library::compile(&site(receiver.address()), PACKAGES);
    let hosts = hosts::all();
    let found: Vec<_> = hosts.iter().map(Host::find).collect();
    assert!(found.iter().any(Result::is_ok), "there is no Python at all; see tests/hosts/README.md");

    let work = Mutex::new(found.iter().enumerate());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = work.lock().unwrap().next();
                    match next {
                        Some((number, Ok(program))) => {
                            let trials = trials(number, program, &library);
                            done.lock().unwrap().extend(trials);
                        }
                        Some(_) => {}
                        None => break,
                    }
                }
            });
        }
    });

    let mut records: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for record in receiver.close() {
        records.entry(record["job_id"].as_str().unwrap().to_string()).or_default().push(record);
    }
    let mut problems = Vec::new();
    let mut table = Table::default();
    for trial in done.into_inner().unwrap() {
        let host = &hosts[trial.host];
        let records = records.remove(&trial.name).unwrap_or_default();
        let found = trial.problems(host, &records);
        table.set(&host.name, &trial.form, Cell::of(host, found.is_empty()));
        problems.extend(found.iter().map(|problem| format!("{}, {}: {problem}", host.name, trial.form)));
    }
    for (host, found) in hosts.iter().zip(&found) {
        if let Err(reason) = found {
            table.missing(&host.name, reason);
            if host.is_required() {
                problems.push(format!("{}: {reason}", host.name));
            }
        }
    }
    problems.extend(records.keys().map(|name| format!("records of a run that was none of ours: {name}")));
    table.publish(&hosts);
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}
