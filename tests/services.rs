//! Programs that start processes of their own and talk to them: Jupyter's kernels and server, papermill, gunicorn, Dask,
//! a loader of batches, Ray. Which process reports what, and that all of them run as they do without the library.

use crate::recorder::{Site, reap_all};
use crate::support::hosts::{cache, venv};
use crate::support::trial::bare;
use crate::support::wait::wait_for;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use tempfile::TempDir;

/// What is looked for; `colorsys` and `wave` are what no program here imports on its own account.
const PACKAGES: [&str; 10] = [
    "colorsys",
    "wave",
    "numpy",
    "ipykernel",
    "jupyter_client",
    "jupyter_server",
    "papermill",
    "gunicorn",
    "distributed",
    "ray",
];

fn site() -> Site {
    Site::with("", &PACKAGES.map(|name| format!("[[package]]\nname = \"{name}\"\n")).concat())
}

/// A folder with the programs, in which one runs that has it for its home.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/services");
    for entry in fs::read_dir(programs).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, home.path().join(path.file_name().unwrap())).unwrap();
    }
    home
}

fn at(home: &TempDir, program: &Path, arguments: &[&str], library: Option<PathBuf>) -> Command {
    let mut command = bare(program);
    command.args(arguments).current_dir(home).env("HOME", home.path());
    if let Some(library) = library {
        command.env("LD_PRELOAD", library);
    }
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A line as it is in every run: without numbers of processes, times and the like.
fn without_numbers(line: &str) -> String {
    line.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

/// Several processes write there, and none waits for another. Whether a kernel gets to say that it was interrupted
/// while it ended, or that its parent is gone, is chance.
fn lines(output: &str, home: &TempDir) -> Vec<String> {
    let output = output.replace(home.path().to_str().unwrap(), "HOME");
    let is_chance = |line: &str| line.starts_with("[IPKernelApp]");
    let mut lines: Vec<String> = output.lines().filter(|line| !is_chance(line)).map(without_numbers).collect();
    lines.sort();
    lines
}

/// What came of a program that did the same without the library and under it.
struct Trial {
    output: Output,
    records: Vec<Value>,
    homes: [TempDir; 2],
}

/// Runs a program without the library and then under it, and expects the same.
fn same(program: &Path, arguments: &[&str]) -> Trial {
    let (plain_home, home, site) = (home(), home(), site());
    let plain = at(&plain_home, program, arguments, None).output().unwrap();
    let output = at(&home, program, arguments, Some(site.library())).output().unwrap();
    assert_eq!(output.status, plain.status, "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), text(&plain.stdout), "{}", text(&output.stderr));
    assert_eq!(lines(&text(&output.stderr), &home), lines(&text(&plain.stderr), &plain_home));
    reap_all(&site);
    Trial { output, records: site.records(), homes: [plain_home, home] }
}

/// What a record says: its end, its packages, and of which other it is a child.
fn told(records: &[Value]) -> Vec<(String, Vec<&str>, Option<usize>)> {
    let mut told: Vec<_> = records
        .iter()
        .map(|record| {
            let packages = record["packages"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
            let parent = record.get("parent").map(|id| records.iter().position(|other| other["id"] == *id));
            let parent = parent.map(|found| found.expect("a parent that has reported"));
            let parent = parent.map(|index| records[index]["packages"].as_array().unwrap().len());
            (record["exit"].as_str().unwrap().to_owned(), packages.collect::<Vec<_>>(), parent)
        })
        .collect();
    told.sort();
    told
}

#[test]
fn each_kernel_of_jupyter_is_reported_with_what_its_cells_imported() {
    let Some(python) = venv("services") else { return };
    let client = ["ipykernel", "jupyter_client"];
    // Whoever has it shut down at once has it killed. One that is left alone ends itself.
    for (word, status, client_exit, exit) in
        [("close", 0, "normal", "normal"), ("kill", 0, "normal", "killed"), ("leave", 3, "os_exit", "os_exit")]
    {
        let Trial { output, records, .. } = same(&python, &["kernel.py", word]);
        assert_eq!(output.status.code(), Some(status), "{}", text(&output.stderr));
        let printed = text(&output.stdout);
        for line in ["stdout 'wave\\n'", "result 42", "ended error KeyboardInterrupt", "ended error ZeroDivisionError"]
        {
            assert!(printed.contains(line), "{printed}");
        }
        let mut expected = vec![
            (client_exit.to_owned(), client.to_vec(), None),
            ("normal".to_owned(), [&["wave"], &client[..]].concat(), None),
            (exit.to_owned(), [&["colorsys"], &client[..]].concat(), None),
        ];
        expected.sort();
        assert_eq!(told(&records), expected, "{word}: {records:?}");
    }
}

#[test]
fn what_a_kernels_cells_bind_is_direct_though_ipython_empties_their_namespace() {
    let Some(python) = venv("services") else { return };
    let Trial { output, records, .. } = same(&python, &["cells.py"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let kernel = records.iter().find(|record| record["packages"][0] == "colorsys").expect("the kernel's record");
    assert_eq!(kernel["packages"], json!(["colorsys", "wave", "ipykernel", "jupyter_client", "papermill"]), "{kernel}");
    // What the kernel's own launcher binds was `__main__`'s too. Of `papermill`, which was imported, nothing is bound.
    assert_eq!(kernel["direct"], json!(["colorsys", "wave", "ipykernel"]), "{kernel}");
    assert_eq!(kernel["exit"], "normal");
}

#[test]
fn a_jupyter_server_and_the_kernels_that_it_starts_over_rest_are_reported() {
    let Some(python) = venv("services") else { return };
    let Trial { output, records, .. } = same(&python, &["rest.py"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    for line in ["stdout 'wave\\n'", "stdout 'colorsys\\n'", "delete 204 None", "left True", "server 0"] {
        assert!(printed.contains(line), "{printed}");
    }
    let kernel = ["ipykernel", "jupyter_client"];
    let mut expected = vec![
        ("normal".to_owned(), vec![], None),
        ("normal".to_owned(), vec!["ipykernel", "jupyter_client", "jupyter_server"], None),
        // One was shut down by a request, the other by the server when SIGTERM ended that.
        ("normal".to_owned(), [&["wave"], &kernel[..]].concat(), None),
        ("normal".to_owned(), [&["colorsys"], &kernel[..]].concat(), None),
    ];
    expected.sort();
    assert_eq!(told(&records), expected, "{records:?}");
}

/// What the cells of a notebook have become.
fn cells(home: &TempDir) -> Vec<Value> {
    let notebook: Value = serde_json::from_slice(&fs::read(home.path().join("done.ipynb")).unwrap()).unwrap();
    let part = |cell: &Value| json!([cell["source"], cell["outputs"], cell["execution_count"]]);
    notebook["cells"].as_array().unwrap().iter().map(part).collect()
}

#[test]
fn notebooks_that_papermill_executes_are_reported_and_come_out_the_same() {
    let Some(python) = venv("services") else { return };
    for (number, status) in [("5", 0), ("6", 1)] {
        let arguments = ["execute.py", "--no-progress-bar", "-p", "number", number, "notebook.ipynb", "done.ipynb"];
        let Trial { output, records, homes } = same(&python, &arguments);
        assert_eq!(output.status.code(), Some(status), "{}", text(&output.stderr));
        let [plain, under] = homes.each_ref().map(cells);
        assert_eq!(under, plain);
        let printed = Value::Array(under).to_string();
        assert!(printed.contains(&format!("number is {number}")), "{printed}");
        let papermill = vec!["ipykernel", "jupyter_client", "papermill"];
        let kernel = vec!["wave", "ipykernel", "jupyter_client"];
        let expected = [("normal".to_owned(), papermill, None), ("normal".to_owned(), kernel, None)];
        assert_eq!(told(&records), expected, "{records:?}");
    }
}

/// A server that was started, and is stopped at the end.
struct Server {
    process: Child,
    home: TempDir,
}

impl Server {
    fn start(program: &Path, arguments: &[&str], library: Option<PathBuf>) -> Self {
        let home = home();
        let mut command = at(&home, program, arguments, library);
        let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Server { process, home }
    }

    /// The answer to a request, as soon as somebody listens.
    fn ask(&self, path: &str) -> String {
        let answer = wait_for("an answer", || {
            let mut stream = UnixStream::connect(self.home.path().join("socket")).ok()?;
            stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            Some(answer)
        });
        answer.rsplit_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// How many of its workers have said that they are ready.
    fn ready(&self) -> usize {
        let names = fs::read_dir(&self.home).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("ready.")).count()
    }

    fn terminate(mut self) -> (ExitStatus, Vec<String>) {
        let pid = nix::unistd::Pid::from_raw(self.process.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::SIGTERM).unwrap();
        let status = self.process.wait().unwrap();
        let mut error = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        (status, lines(&error, &self.home))
    }
}

#[test]
fn gunicorns_workers_are_reported_where_they_have_imported_more_than_their_master() {
    let Some(python) = venv("services") else { return };
    for preload in [false, true] {
        let mut arguments = vec!["--workers", "2", "--bind", "unix:socket", "app:app"];
        arguments.extend(preload.then_some("--preload"));
        let site = site();
        let [plain, under] = [None, Some(site.library())].map(|library| {
            let server = Server::start(&python.with_file_name("gunicorn"), &arguments, library);
            let answers = ["/a", "/wave", "/b"].map(|path| server.ask(path));
            wait_for("the second worker", || (server.ready() == 2).then_some(()));
            (answers, server.terminate())
        });
        assert_eq!(under, plain);
        assert_eq!(under.0, ["/a", "/wave", "/b"]);
        assert!(under.1.0.success(), "{:?}", under.1);
        reap_all(&site);
        let records = site.records();
        let normal = || "normal".to_owned();
        let mut expected = if preload {
            vec![
                (normal(), vec!["colorsys", "gunicorn"], None),
                (normal(), vec!["colorsys", "wave", "gunicorn"], Some(2)),
            ]
        } else {
            vec![
                (normal(), vec!["gunicorn"], None),
                (normal(), vec!["colorsys", "gunicorn"], Some(1)),
                (normal(), vec!["colorsys", "wave", "gunicorn"], Some(1)),
            ]
        };
        expected.sort();
        assert_eq!(told(&records), expected, "{records:?}");
    }
}

#[test]
fn a_dask_cluster_is_its_program_and_its_workers_each_once() {
    let Some(python) = venv("science") else { return };
    let Trial { output, records, .. } = same(&python, &["cluster.py"]);
    assert_eq!(text(&output.stdout), "999999000000\n[8, 8]\n", "{}", text(&output.stderr));
    let worker = || ("normal".to_owned(), vec!["colorsys", "numpy", "distributed"], Some(2));
    let program = ("normal".to_owned(), vec!["numpy", "distributed"], None);
    assert_eq!(told(&records), [worker(), worker(), program], "{records:?}");
}

#[test]
fn of_a_loaders_workers_that_with_more_imports_is_reported() {
    let Some(python) = venv("science") else { return };
    // A worker that returns leaves by `os._exit`; one that is left is terminated.
    for (word, exit) in [("close", "os_exit"), ("leave", "signal:TERM")] {
        let Trial { output, records, .. } = same(&python, &["loader.py", word]);
        assert_eq!(text(&output.stdout), "[0, 6, 12, 18, 24, 30]\n".repeat(2), "{}", text(&output.stderr));
        let mut expected =
            [("normal".to_owned(), vec!["numpy"], None), (exit.to_owned(), vec!["colorsys", "numpy"], Some(1))];
        expected.sort();
        assert_eq!(told(&records), expected, "{records:?}");
    }
}

#[test]
fn rays_processes_are_reported_and_its_tasks_give_the_same() {
    let python = cache().join("ray/bin/python");
    if !python.exists() {
        println!("not here: Ray, which is optional (tests/hosts/install ray)");
        return;
    }
    let (plain_home, home, site) = (home(), home(), site());
    let plain = at(&plain_home, &python, &["tasks.py"], None).output().unwrap();
    let output = at(&home, &python, &["tasks.py"], Some(site.library())).output().unwrap();
    assert_eq!(output.status, plain.status, "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), text(&plain.stdout));
    assert_eq!(text(&output.stdout), "[7, 14]\n", "{}", text(&output.stderr));
    reap_all(&site);
    let records = site.records();
    let of = |main: &str| -> Vec<&Value> {
        records.iter().filter(|record| record["main"].as_str().unwrap().ends_with(main)).collect()
    };
    let [program] = of("tasks.py")[..] else { panic!("{records:?}") };
    assert_eq!((&program["exit"], &program["packages"]), (&json!("normal"), &json!(["ray"])));
    // Workers leave by `_Exit` when they find that all is over, if they are not killed before.
    let workers: Vec<_> =
        of("default_worker.py").into_iter().filter(|record| record["packages"] == json!(["wave", "ray"])).collect();
    assert!(!workers.is_empty(), "{records:?}");
    assert!(workers.iter().all(|record| record["exit"] == "os_exit" || record["exit"] == "killed"), "{records:?}");
    let mut ids: Vec<_> = records.iter().map(|record| record["id"].as_str()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), records.len(), "each once: {records:?}");
}
