//! The tests of others: suites that know nothing of us come out the same with the library and without, test by test.
//!
//! What runs with every `cargo test` is a slice. All of it, which takes most of an hour, is run by
//! `CUSTOMS_LONG=1 cargo test --test tests suites -- --nocapture`; `CUSTOMS_SUITES=test_io` picks the rows whose name
//! has that in it. Either way the table is in target/tmp/suites.txt. docs/HARM.md says what was seen.

use crate::support::hosts;
use crate::support::library::Library;
use crate::support::receiver::Receiver;
use crate::support::trial::{SITE, bare};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tempfile::TempDir;

/// So many tests may come out differently of two runs without the library.
const UNSTEADY: usize = 5;
/// How often a test that differs is run again: alone where its suite can do that, and then with all of its part.
const ALONE: usize = 5;
const TOGETHER: usize = 2;
/// Seconds for a part of a suite. The longest take some 150 on a machine with nothing else to do, and 600 on a busy one.
const LIMIT: u32 = 1800;

fn is_long() -> bool {
    std::env::var_os("CUSTOMS_LONG").is_some()
}

/// The long list in the long form, else the short one; of both only what is asked for.
fn chosen<'n>(suite: &str, short: &[&'n str], long: &[&'n str]) -> Vec<&'n str> {
    let wanted = std::env::var("CUSTOMS_SUITES").unwrap_or_default();
    let list = if is_long() { long } else { short };
    list.iter().filter(|name| format!("{suite} {name}").contains(&wanted)).copied().collect()
}

/// What became of each test, by its name. How the run itself ended stands among them, in brackets.
type Results = BTreeMap<String, String>;

const RUN: &str = "(exit status)";

/// One run of a part of a suite.
struct Run<'r> {
    /// The library that it is under.
    library: Option<&'r Path>,
    /// The test that is to be run, where it is one alone.
    only: Option<&'r str>,
    /// Where it runs, with nothing else in it.
    folder: TempDir,
}

impl<'r> Run<'r> {
    fn new(library: Option<&'r Path>, only: Option<&'r str>) -> Self {
        Run { library, only, folder: tempfile::tempdir().unwrap() }
    }

    /// `program` in a session of its own, with a time limit, and with the dispositions of signals that a shell gives
    /// to what it starts in the foreground: tests look at them.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = bare("setsid");
        command.args(["--wait", "timeout", "--kill-after=10", &LIMIT.to_string()]);
        command.args(["env", "--default-signal=INT,QUIT,HUP,TERM,PIPE"]);
        if let Some(library) = self.library {
            command.arg(format!("LD_PRELOAD={}", library.display()));
        }
        command.arg(program).current_dir(self.folder.path());
        command.env_remove("LC_ALL").env("LANG", "C.UTF-8").env("HOME", self.folder.path());
        command.env("TMPDIR", self.folder.path());
        command
    }

    /// Runs it, and returns how it ended and all that it wrote.
    fn finish(&self, mut command: Command) -> (ExitStatus, String) {
        let path = self.folder.path().join("log");
        let log = File::create(&path).unwrap();
        let status = command.stdout(log.try_clone().unwrap()).stderr(log).status().unwrap();
        (status, String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned())
    }

    /// Where a suite is to leave its results as JUnit's XML.
    fn xml(&self) -> PathBuf {
        self.folder.path().join("results.xml")
    }
}

/// The results in a file that ElementTree wrote, as regrtest and pytest do: no CDATA, and no `<` in any text.
fn from_xml(path: &Path) -> Results {
    let mut results = Results::new();
    let text = fs::read_to_string(path).unwrap_or_default();
    for case in text.split("<testcase").skip(1) {
        let (head, rest) = case.split_once('>').unwrap();
        let attribute = |name: &str| Some(head.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0);
        // pytest says which class or file it is of; regrtest has all of it in the name.
        let name = match (attribute("classname"), attribute("name")) {
            (Some(class), Some(name)) => format!("{class}::{name}"),
            (_, name) => name.unwrap().to_string(),
        };
        let has = |tag: &str| rest.contains(&format!("<{tag}"));
        let result = match () {
            () if has("error") => "error",
            () if has("failure") => "failure",
            () if has("skipped") => "skipped",
            () => "ok",
        };
        let worse = |old: &mut String| {
            let rank = |result: &str| ["skipped", "ok", "failure", "error"].iter().position(|one| *one == result);
            if rank(result) > rank(old) {
                *old = result.to_string();
            }
        };
        results.entry(without_addresses(&name)).and_modify(worse).or_insert_with(|| result.to_string());
    }
    results
}

/// `text`, with what follows a `0x` left out.
fn without_addresses(text: &str) -> String {
    let mut parts = text.split("0x");
    let first = parts.next().unwrap().to_string();
    parts.fold(first, |all, part| all + "0x" + part.trim_start_matches(|letter: char| letter.is_ascii_hexdigit()))
}

/// `text`, with numbers of three digits and more left out: they are process numbers, ports and times.
fn without_numbers(text: &str) -> String {
    let mut all = String::new();
    let mut digits = String::new();
    for letter in text.chars().chain(['\n']) {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        all += if digits.len() < 3 { &digits } else { "#" };
        digits.clear();
        all.push(letter);
    }
    all
}

/// A row of the table: a part of a suite, in one interpreter.
#[derive(Default)]
struct Row {
    suite: String,
    part: String,
    same: usize,
    skipped: usize,
    /// What the library changes.
    different: Vec<String>,
    /// What differs between two runs without the library, too.
    anyway: Vec<String>,
    /// What differed once, and never again.
    once: Vec<String>,
    seconds: u64,
    note: String,
}

static TABLE: Mutex<Vec<Row>> = Mutex::new(Vec::new());

impl Row {
    fn new(suite: &str, part: &str) -> Self {
        Row { suite: suite.to_string(), part: part.to_string(), ..Row::default() }
    }

    fn line(&self) -> String {
        let tests = self.same + self.skipped + self.different.len() + self.anyway.len() + self.once.len();
        let mut line = format!(
            "{:14} {:32} {tests:6} {:6} {:6} {:6} {:6} {:6} {:6}  {}",
            self.suite,
            self.part,
            self.same,
            self.different.len(),
            self.anyway.len(),
            self.once.len(),
            self.skipped,
            self.seconds,
            self.note
        );
        line.truncate(line.trim_end().len());
        let lists = [("DIFFERENT", &self.different), ("differs anyway", &self.anyway), ("differed once", &self.once)];
        for (what, names) in lists {
            names.iter().for_each(|name| write!(line, "\n    {what}: {name}").unwrap());
        }
        line
    }

    /// Shows it, and writes the table anew with it.
    fn enter(self) {
        println!("{}", self.line());
        let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
        table.push(self);
        let mut text = format!(
            "{:14} {:32} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6}\n",
            "suite", "part", "tests", "same", "differ", "anyway", "once", "skipd", "s"
        );
        table.iter().for_each(|row| writeln!(text, "{}", row.line()).unwrap());
        fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("suites.txt"), text).unwrap();
    }
}

/// Fails if the library changes anything, or if more is unsteady without it than there may be.
fn judge(suite: &str) {
    let table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    let different: Vec<_> = table.iter().filter(|row| row.suite == suite).flat_map(|row| &row.different).collect();
    assert!(different.is_empty(), "{suite}: the library changes {different:#?}");
    let unsteady: Vec<_> = table.iter().flat_map(|row| row.anyway.iter().chain(&row.once)).collect();
    assert!(unsteady.len() <= UNSTEADY, "{} tests are unsteady: {unsteady:#?}", unsteady.len());
}

/// How a part of a suite is run.
struct Part<'p> {
    suite: &'p str,
    name: &'p str,
    run: &'p (dyn Fn(&Run) -> Results + Sync),
    /// Whether a test can be run alone.
    can_pick: bool,
    /// Whether it uses names that are the same in each run, so that two runs must not meet.
    apart: bool,
}

impl Part<'_> {
    fn run(&self, library: Option<&Path>, only: Option<&str>) -> Results {
        (self.run)(&Run::new(library, only))
    }

    /// A run without the library and one with it.
    fn both(&self, library: &Path, only: Option<&str>) -> [Results; 2] {
        if self.apart {
            return [self.run(None, only), self.run(Some(library), only)];
        }
        std::thread::scope(|scope| {
            let plain = scope.spawn(|| self.run(None, only));
            let under = self.run(Some(library), only);
            [plain.join().unwrap(), under]
        })
    }

    /// Runs it with and without the library, and what differs again.
    fn compare(&self, library: &Path) -> Row {
        let start = Instant::now();
        let mut row = Row::new(self.suite, self.name);
        let [plain, under] = self.both(library, None);
        let names: BTreeSet<&String> = plain.keys().chain(under.keys()).collect();
        let mut differing = Vec::new();
        for name in names {
            match (plain.get(name), under.get(name)) {
                (Some(one), Some(other)) if one == other => match name.as_str() {
                    RUN if plain.len() == 1 => row.note = format!("no results in either run: {one}"),
                    RUN => {}
                    _ if one == "skipped" => row.skipped += 1,
                    _ => row.same += 1,
                },
                _ => differing.push(name.as_str()),
            }
        }
        if differing.len() > 1 {
            differing.retain(|name| *name != RUN); // it follows from the others
        }
        if !differing.is_empty() {
            self.try_again(library, &differing, [&plain, &under], &mut row);
        }
        row.seconds = start.elapsed().as_secs();
        row
    }

    fn try_again(&self, library: &Path, differing: &[&str], first: [&Results; 2], row: &mut Row) {
        let result = |results: &Results, name: &str| results.get(name).map_or("-", String::as_str).to_string();
        let mut seen: Vec<[Vec<String>; 2]> =
            differing.iter().map(|name| first.map(|results| vec![result(results, name)])).collect();
        let mut add = |place: usize, both: &[Results; 2]| {
            for (list, results) in seen[place].iter_mut().zip(both) {
                list.push(result(results, differing[place]));
            }
        };
        // Where much differs, it is not for a single test.
        if self.can_pick && differing.len() <= 10 {
            for (place, name) in differing.iter().enumerate().filter(|(_, name)| is_a_test(name)) {
                (0..ALONE).for_each(|_| add(place, &self.both(library, Some(name))));
            }
        }
        for _ in 0..TOGETHER {
            let both = self.both(library, None);
            (0..differing.len()).for_each(|place| add(place, &both));
        }
        for (name, [plain, under]) in differing.iter().zip(&seen) {
            let text = format!("{name}: without {}; with {}", shown(plain), shown(under));
            match () {
                () if plain.iter().any(|result| *result != plain[0]) => row.anyway.push(text),
                () if under[1..].iter().any(|result| *result != plain[0]) => row.different.push(text),
                () => row.once.push(text),
            }
        }
    }
}

/// Results in a line; of long ones the begin, and a digest that tells them apart.
fn shown(results: &[String]) -> String {
    let short = |result: &String| match result.char_indices().nth(40) {
        None => result.clone(),
        Some((end, _)) => {
            let mut hasher = DefaultHasher::new();
            result.hash(&mut hasher);
            format!("{}… ({:04x})", result[..end].replace('\n', " "), hasher.finish() as u16)
        }
    };
    results.iter().map(short).collect::<Vec<_>>().join(", ")
}

/// Whether it is the name of one test, and not of a class's preparation or of something about the run.
fn is_a_test(name: &str) -> bool {
    !name.contains([' ', '('])
}

/// A library as a site would have it, with the shipped list and one for everything, and who receives its records.
fn deploy() -> (Receiver, Library) {
    let receiver = Receiver::open();
    let site =
        SITE.replace("{receiver}", &receiver.address().to_string()).replace("include = [\"packages.toml\"]\n", "");
    let library = Library::compile(&(site + "[[list]]\nname = \"everything\"\nall = true\n"), "");
    (receiver, library)
}

// --- CPython's own

/// What CPython tests that could notice us.
const FILES: [&str; 28] = [
    "test_os",
    "test_posix",
    "test_signal",
    "test_threading",
    "test_threadsignals",
    "test_subprocess",
    "test_multiprocessing_fork",
    "test_multiprocessing_spawn",
    "test_multiprocessing_forkserver",
    "test_concurrent_futures",
    "test_asyncio",
    "test_faulthandler",
    "test_atexit",
    "test_embed",
    "test_capi",
    "test_import",
    "test_importlib",
    "test_site",
    "test_cmd_line",
    "test_gc",
    "test_fork1",
    "test_wait4",
    "test__xxsubinterpreters",
    "test__interpreters",
    "test_interpreters",
    "test_io",
    "test_sys",
    "test_regrtest",
];

/// Tests that are left out: of which version, of which files, and what. Without the library, too, those with threads
/// of 3.11.7 wait for ever; `test_terminate` waits for five minutes, or not, as its threads happen to start (3.13 has
/// it mended); and the two of `concurrent.futures` can wait for ever: the thread that feeds the queue waits for a lock
/// whose holder waits for that thread (CPython's issue 125451, mended in 3.13.1; *measured*
/// in 3.12.1 and 3.13.0 with a delay before the lock, and not in 3.11.7).
const LEFT_OUT: [(&str, &str, &str); 8] = [
    ("3.11", "test__xxsubinterpreters", "*thread*"),
    ("3.11", "test_interpreters", "*thread*"),
    ("3.11", "test_multiprocessing", "*WithThreadsTestPool.test_terminate"),
    ("3.12", "test_multiprocessing", "*WithThreadsTestPool.test_terminate"),
    ("3.12", "test_concurrent_futures", "*test_shutdown_deadlock_pickle"),
    ("3.12", "test_concurrent_futures", "*test_processes_terminate"),
    ("3.13", "test_concurrent_futures", "*test_shutdown_deadlock_pickle"),
    ("3.13", "test_concurrent_futures", "*test_processes_terminate"),
];

fn left_out(version: &str, file: &str) -> Vec<&'static str> {
    let is_of = |(of, files, _): &&(&str, &str, &str)| *of == version && file.starts_with(files);
    LEFT_OUT.iter().filter(is_of).map(|row| row.2).collect()
}

/// CPython's own tests, in pyenv's interpreter of that version.
fn cpython(version: &str, short: &[&str]) {
    let Some(python) = hosts::pyenv(version) else { return };
    let suite = format!("CPython {version}");
    let (receiver, library) = deploy();
    let files = chosen(&suite, short, &FILES);
    for file in &files {
        let lent = tempfile::tempdir().unwrap();
        let row = match place(&python, version, file, lent.path()) {
            Err(why) => Row { note: why, ..Row::new(&suite, file) },
            Ok(arguments) => {
                let run = |run: &Run| regrtest(run, &python, &arguments);
                let apart = file.starts_with("test_multiprocessing");
                let part = Part { suite: &suite, name: file, run: &run, can_pick: true, apart };
                let mut row = part.compare(&library.path());
                for pattern in left_out(version, file) {
                    write!(row.note, "without {pattern} ").unwrap();
                }
                row
            }
        };
        row.enter();
    }
    // Each of them is well formed, or the receiver says so.
    let records = receiver.close().len();
    println!("{suite}: {records} records");
    assert!(records >= files.len(), "{suite}: {records} records of {} files", files.len());
    judge(&suite);
}

/// The arguments by which regrtest finds `file`; what the interpreter was installed without is put into `lent`.
fn place(python: &str, version: &str, file: &str, lent: &Path) -> Result<Vec<String>, String> {
    let tests = Path::new(python).parent().unwrap().parent().unwrap().join(format!("lib/python{version}/test"));
    let mut arguments = Vec::new();
    for pattern in left_out(version, file) {
        arguments.extend(["-i".to_string(), pattern.to_string()]);
    }
    if tests.join(file).is_dir() || tests.join(format!("{file}.py")).is_file() {
        arguments.push(file.to_string());
        return Ok(arguments);
    }
    // 3.11.7 and 3.12.1 do not install these packages. The tests of multiprocessing are there all the same, and lack
    // only the few lines that name the start method; those of concurrent.futures are lent by Debian's 3.11.
    let text = if let Some(method) = file.strip_prefix("test_multiprocessing_") {
        format!(
            "import unittest\nimport test._test_multiprocessing as tests\n\
             tests.install_tests_in_module_dict(globals(), '{method}')\n"
        )
    } else if file == "test_concurrent_futures" {
        let source = hosts::cache().join("cpython311-tests/test_concurrent_futures.py");
        if !hosts::is_here(source.to_str().unwrap(), "cpython311-tests") {
            return Err("not here".to_string());
        }
        fs::read_to_string(source).unwrap()
    } else {
        return Err("not in this version".to_string());
    };
    // regrtest looks for a package where it knows the name as one's.
    let name = file.replace("test_", "test_lent_");
    fs::write(lent.join(format!("{name}.py")), text).unwrap();
    arguments.extend(["--testdir".to_string(), lent.to_str().unwrap().to_string(), name]);
    Ok(arguments)
}

/// CPython's test runner. What it says of a changed environment counts as a test.
fn regrtest(run: &Run, python: &str, arguments: &[String]) -> Results {
    let mut command = run.command(python);
    command.args(["-m", "test", "-v", "--fail-env-changed", "--junit-xml"]).arg(run.xml());
    if let Some(only) = run.only {
        command.args(["-m", only]);
    }
    command.args(arguments);
    let (status, log) = run.finish(command);
    let mut results = from_xml(&run.xml());
    for warning in log.lines().filter_map(|line| line.strip_prefix("Warning -- ")) {
        if !warning.contains("Before:") && !warning.contains("After:") {
            results.insert(format!("(warning) {}", without_numbers(&without_addresses(warning)).trim()), "said".into());
        }
    }
    results.insert(RUN.to_string(), status.to_string());
    results
}

#[test]
fn cpython_3_8_passes_its_own_tests_alike() {
    let short =
        ["test_atexit", "test_site", "test_fork1", "test_wait4", "test_threadsignals", "test_signal", "test_os"];
    cpython("3.8", &short);
}

#[test]
fn cpython_3_11_passes_its_own_tests_alike() {
    cpython("3.11", &["test_atexit", "test_site"]);
}

#[test]
fn cpython_3_12_passes_its_own_tests_alike() {
    cpython("3.12", &["test_atexit", "test_gc"]);
}

#[test]
fn cpython_3_13_passes_its_own_tests_alike() {
    let short = ["test_atexit", "test_site", "test_fork1", "test_wait4", "test_threadsignals", "test_posix"];
    cpython("3.13", &short);
}

#[test]
fn a_library_that_does_harm_is_found() {
    let Some(python) = hosts::pyenv("3.13") else { return };
    let folder = tempfile::tempdir().unwrap();
    let harmful = folder.path().join("talks.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/talks.c");
    assert!(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&harmful).arg(source).status().unwrap().success());
    let run = |run: &Run| regrtest(run, &python, &["test_atexit".to_string()]);
    let part = Part { suite: "CPython 3.13", name: "test_atexit", run: &run, can_pick: true, apart: false };
    let row = part.compare(&harmful);
    assert!(row.same > 0 && !row.different.is_empty() && row.anyway.is_empty(), "{}", row.line());
    assert!(
        row.different.iter().all(|test| test.contains("ok, ok") && test.contains("failure, failure")),
        "{}",
        row.line()
    );
}

// --- Packages' own

/// A package's tests, run by pytest.
fn packages(suite: &str, short: &[&str], long: &[&str]) {
    let python = hosts::cache().join("suites/bin/python");
    if !hosts::is_here(python.to_str().unwrap(), "suites") {
        return;
    }
    let (receiver, library) = deploy();
    let parts = chosen(suite, short, long);
    for name in &parts {
        let run = |run: &Run| {
            let mut command = run.command(&python);
            command.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", "-m", "not slow"]);
            // Tests are named by their place under that folder.
            command
                .arg("--rootdir")
                .arg(python.parent().unwrap().parent().unwrap().join("lib/python3.12/site-packages"));
            command.arg("--junit-xml").arg(run.xml()).args(["--pyargs", name]);
            command.env("HYPOTHESIS_STORAGE_DIRECTORY", run.folder.path());
            let (status, _) = run.finish(command);
            let mut results = from_xml(&run.xml());
            results.insert(RUN.to_string(), status.to_string());
            results
        };
        Part { suite, name, run: &run, can_pick: false, apart: false }.compare(&library.path()).enter();
    }
    let records = receiver.close().len();
    println!("{suite}: {records} records");
    assert!(records >= parts.len(), "{suite}: {records} records of {} parts", parts.len());
    judge(suite);
}

#[test]
fn numpy_passes_its_own_tests_alike() {
    let short = ["numpy.fft", "numpy._core.tests.test_mem_policy"];
    let long = [
        "numpy._core",
        "numpy.fft",
        "numpy.lib",
        "numpy.linalg",
        "numpy.ma",
        "numpy.matrixlib",
        "numpy.polynomial",
        "numpy.random",
        "numpy.testing",
        "numpy.tests",
    ];
    packages("numpy", &short, &long);
}

/// Test files of a package that is too large to be one part, as modules.
fn files_of(package: &str) -> Vec<String> {
    let folder = hosts::cache().join("suites/lib/python3.12/site-packages").join(package.replace('.', "/"));
    let mut modules: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".py").filter(|name| name.starts_with("test_")).map(str::to_owned))
        .map(|name| format!("{package}.{name}"))
        .collect();
    modules.sort();
    modules
}

#[test]
fn dask_passes_its_own_tests_alike() {
    let arrays = [files_of("dask.array.tests"), files_of("dask.array._array_expr.tests")].concat();
    let mut long = vec!["dask.tests", "dask.bag", "dask.diagnostics"];
    long.extend(arrays.iter().map(String::as_str));
    packages("dask", &["dask.tests.test_multiprocessing"], &long);
}

// --- Programs without Python

/// bash's own tests: each a file `run-NAME` that shows how what it does differs from what is right.
fn bash(run: &Run, names: &[&str]) -> Results {
    let tests = run.folder.path().join("tests");
    copy(&hosts::cache().join("bash-tests/tests"), &tests);
    let mut results = Results::new();
    for name in names {
        let mut command = run.command("sh");
        command.arg(format!("run-{name}")).current_dir(&tests);
        command.env("PATH", ".:/usr/bin:/bin").env("THIS_SH", "/bin/bash").env("BUILD_DIR", "..").env("LANG", "C");
        command.env("BASH_TSTOUT", run.folder.path().join("out"));
        let (status, log) = run.finish(command);
        let log = without_numbers(&log.replace(run.folder.path().to_str().unwrap(), "FOLDER"));
        results.insert(name.to_string(), format!("{status}: {log}"));
    }
    results
}

/// make's own tests: a line says how many of a category passed.
fn make(run: &Run, names: &[&str]) -> Results {
    let folder = run.folder.path().join("make");
    copy(&hosts::cache().join("make-tests"), &folder);
    let mut command = run.command("perl");
    command.args(["run_make_tests.pl", "-srcdir", "..", "-make", "/usr/bin/make"]).args(names);
    command.current_dir(folder.join("tests")).env("SHELL", "/bin/sh");
    let (status, log) = run.finish(command);
    let mut results = Results::new();
    let mut category = String::new();
    for line in log.lines() {
        // Complaints come between a category's name and its result.
        if let Some((name, _)) = line.split_once(" ...").filter(|(name, _)| name.contains('/') && !name.contains(' ')) {
            category = name.to_string();
        }
        let result = ["ok     (", "FAILED (", "N/A"].iter().find_map(|word| line.find(word));
        if let Some(result) = result.filter(|_| !category.is_empty()) {
            results.insert(std::mem::take(&mut category), line[result..].to_string());
        }
    }
    results.insert(RUN.to_string(), status.to_string());
    results
}

fn copy(from: &Path, to: &Path) {
    assert!(bare("cp").arg("-r").args([from, to]).status().unwrap().success());
}

/// The tests of `bash` that take no time; in the long form all that are there.
fn names_of_bash() -> Vec<String> {
    let quick = ["builtins", "comsub", "execscript", "exp-tests", "lastpipe", "procsub", "redir", "set-e", "vredir"];
    if !is_long() {
        return quick.map(String::from).to_vec();
    }
    let folder = fs::read_dir(hosts::cache().join("bash-tests/tests")).unwrap();
    let mut names: Vec<String> = folder
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_prefix("run-")?.to_string()))
        .filter(|name| !["all", "minimal", "gprof"].contains(&name.as_str()))
        .collect();
    names.sort();
    names
}

/// The tests of a program without Python, of which no record may come. `steady` is one that shows what is written to
/// standard error.
fn program(suite: &str, names: &[&str], steady: &str, run: fn(&Run, &[&str]) -> Results) {
    let (receiver, library) = deploy();
    let all = |one: &Run| match one.only {
        Some(name) => run(one, &[name]),
        None => run(one, names),
    };
    Part { suite, name: "its own tests", run: &all, can_pick: true, apart: true }.compare(&library.path()).enter();
    assert_eq!(receiver.close().len(), 0, "{suite}: a record");
    judge(suite);
    // It is there in all that the suite starts, and what it changes is found: of a library that is not there, the
    // loader complains.
    let one = |one: &Run| run(one, &[steady]);
    let row =
        Part { suite, name: steady, run: &one, can_pick: true, apart: true }.compare(Path::new("/no/such/library"));
    assert_eq!(row.different.len(), 1, "{suite} does not notice what it runs under: {}", row.line());
}

#[test]
fn bash_passes_its_own_tests_alike() {
    if !hosts::is_here(hosts::cache().join("bash-tests/tests/recho").to_str().unwrap(), "bash-tests") {
        return;
    }
    let names = names_of_bash();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    program("bash", &names, "execscript", bash);
}

#[test]
fn make_passes_its_own_tests_alike() {
    if !hosts::is_here(hosts::cache().join("make-tests/tests/run_make_tests.pl").to_str().unwrap(), "make-tests") {
        return;
    }
    let quick = ["features/parallelism", "features/recursion", "features/errors", "functions/shell", "variables/SHELL"];
    program("make", if is_long() { &[] } else { &quick }, "functions/shell", make);
}
