//! Parallel programs of real MPIs, started by their own launchers and by Slurm: of four ranks one reports, also when
//! they are aborted, and they end as they do without the library.

use crate::recorder::{Site, reap_all};
use crate::support::hosts;
use crate::support::slurm::Slurm;
use crate::support::trial::{Outcome, SITE, bare, under};
use crate::wheels::{installed, names};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// An MPI: its recipe, its launcher, and what that one needs to start four ranks on this machine.
struct Mpi(&'static str, &'static str, &'static [&'static str]);

const MPICH: Mpi = Mpi("mpich", "mpiexec", &[]);
const OPEN_MPI: Mpi = Mpi("openmpi", "mpirun", &["--oversubscribe"]);

/// Every rank reports.
const ALL_RANKS: &str = "[ranks]\nenv = []\n";
const ABORT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/abort.py");

/// Ranks that wait for each other are busy all the time, and one test of them is enough for two cores.
struct Alone(SystemTime, #[expect(dead_code, reason = "held until it is dropped")] MutexGuard<'static, ()>);

impl Alone {
    fn now() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        Alone(SystemTime::now(), guard)
    }
}

impl Drop for Alone {
    /// Ranks of MPICH that are killed leave 4 MB of shared memory each time.
    fn drop(&mut self) {
        for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            let is_new = entry.metadata().and_then(|file| file.modified()).is_ok_and(|time| time >= self.0);
            if is_new && entry.file_name().to_string_lossy().starts_with("mpich_shm_") {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

impl Mpi {
    fn python(&self) -> Option<PathBuf> {
        hosts::venv(self.0)
    }

    /// Ranks of Python with these arguments, under a library where there is one.
    fn command(&self, ranks: usize, python: &Path, library: Option<&str>, arguments: &[&str]) -> Command {
        let mut command = bare(python.with_file_name(self.1));
        command.args(self.2).arg("-n").arg(ranks.to_string()).args(in_python(python, library, arguments));
        as_root(&mut command);
        command
    }
}

/// Each rank's own command line: the launcher runs without the library.
fn in_python(python: &Path, library: Option<&str>, arguments: &[&str]) -> Vec<String> {
    let start = ["env".to_string(), format!("LD_PRELOAD={}", library.unwrap_or("")), python.display().to_string()];
    start.into_iter().chain(arguments.iter().map(|argument| (*argument).to_string())).collect()
}

fn as_root(command: &mut Command) {
    command.env("HOME", std::env::temp_dir());
    for name in ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] {
        command.env(name, "1");
    }
}

fn shipped() -> String {
    SITE.replace("include = [\"packages.toml\"]\n", "")
}

fn lines(bytes: &[u8]) -> Vec<String> {
    let mut lines: Vec<String> = String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// What is the same in every run: all but the order of lines and the numbers of processes, jobs and times. MPICH's
/// launcher can end before it has passed on what the aborting rank says, and Slurm says more where it takes longer.
fn seen(output: &Output) -> (Option<i32>, Vec<String>, Vec<String>) {
    let without_numbers = |line: &String| line.trim().chars().filter(|letter| !letter.is_ascii_digit()).collect();
    let is_chance = |line: &String| ["Abort(", "srun:", "slurmstepd"].iter().any(|start| line.starts_with(start));
    let error = lines(&output.stderr);
    let mut error: Vec<String> = error.iter().filter(|line| !is_chance(line)).map(without_numbers).collect();
    error.sort();
    (output.status.code(), lines(&output.stdout), error)
}

#[test]
fn of_four_mpi_ranks_one_reports_or_each_where_the_site_wants_it() {
    let _alone = Alone::now();
    for mpi in [MPICH, OPEN_MPI] {
        let Some(python) = mpi.python() else { return };
        for (more, count) in [("", 1), (ALL_RANKS, 4)] {
            let code = "from mpi4py import MPI; import os; os.write(1, b'%d\\n' % MPI.COMM_WORLD.Get_size())";
            let Outcome { output, records } = under(&(shipped() + more), "", |library| {
                let mut command = mpi.command(4, &python, Some(library), &["-c", code]);
                command.env("SLURM_JOB_NUM_NODES", "3");
                command
            });
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{error}");
            assert_eq!(lines(&output.stdout), ["4"; 4], "{error}");
            assert_eq!(records.len(), count, "{}: {records:?}", mpi.0);
            for record in &records {
                assert!(names(record, "packages").contains(&"mpi4py"), "{record}");
                assert!(names(record, "direct").contains(&"mpi4py"), "{record}");
                assert_eq!(record["versions"]["mpi4py"], installed(&python, "mpi4py"));
                assert!(names(record, "libraries").iter().any(|name| name.contains("mpi")), "{record}");
                assert_eq!((&record["num_nodes"], &record["exit"]), (&json!(3), &json!("normal")), "{record}");
            }
        }
    }
}

#[test]
fn ranks_that_slurm_starts_on_two_nodes_are_one_record_of_two_nodes() {
    let _alone = Alone::now();
    let (Some(mpich), Some(openmpi)) = (MPICH.python(), OPEN_MPI.python()) else { return };
    let Some(slurm) = Slurm::start_two_nodes() else { return };
    let code = "from mpi4py import MPI; import os; r = MPI.COMM_WORLD; os.write(1, b'%d\\n' % r.allreduce(1))";
    let outcome = under(&shipped(), "", |library| {
        let mut command = slurm.client("srun");
        command.args(["--nodes=2", "--ntasks=4", "--mpi=pmi2"]).args(in_python(&mpich, Some(library), &["-c", code]));
        command
    });
    assert_eq!(lines(&outcome.output.stdout), ["4"; 4], "{:?}", outcome.output);
    let record = outcome.record();
    assert_eq!((&record["num_nodes"], &record["is_compute"]), (&json!(2), &json!(true)), "{record}");

    // In a batch script all of Open MPI's ranks have the script's SLURM_PROCID, which is 0.
    let printed = slurm.folder().join("printed");
    let outcome = under(&shipped(), "", |library| {
        let script = slurm.folder().join("job");
        let command = OPEN_MPI.command(4, &openmpi, Some(library), &["job.py"]);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let line: Vec<_> = words.map(|word| word.to_str().unwrap()).collect();
        fs::write(slurm.folder().join("job.py"), code).unwrap();
        // The second node is this machine, too, but there is no ssh to it.
        fs::write(&script, format!("#!/bin/sh\nunset SLURM_JOBID SLURM_NODELIST\n{}\n", line.join(" "))).unwrap();
        let mut command = slurm.client("sbatch");
        as_root(&mut command);
        command.args(["--wait", "--nodes=2", "--ntasks=4", "--parsable", "--chdir"]).arg(slurm.folder());
        command.arg(format!("--output={}", printed.display())).arg(script);
        command
    });
    let printed = fs::read(printed).unwrap_or_default();
    assert_eq!(lines(&printed), ["4"; 4], "{}", String::from_utf8_lossy(&printed));
    let record = outcome.record();
    assert_eq!((&record["num_nodes"], &record["is_compute"]), (&json!(2), &json!(true)), "{record}");
    assert_eq!(record["job_id"], String::from_utf8_lossy(&outcome.output.stdout).trim());
}

/// What came of ranks that were aborted: `exit` of those that reported, and of those that were killed before.
fn exits(site: Site) -> Vec<String> {
    reap_all(&site);
    let records = site.records();
    let mut exits: Vec<String> = records.iter().map(|record| record["exit"].as_str().unwrap().to_owned()).collect();
    assert!(records.iter().all(|record| names(record, "packages").contains(&"mpi4py")), "{records:?}");
    let mut ids: Vec<&Value> = records.iter().map(|record| &record["id"]).collect();
    ids.sort_by_key(|id| id.as_str());
    ids.dedup();
    assert_eq!(ids.len(), records.len(), "each once: {records:?}");
    exits.sort();
    exits
}

#[test]
fn ranks_that_are_aborted_are_reported_and_end_as_they_do_without_the_library() {
    let _alone = Alone::now();
    for mpi in [MPICH, OPEN_MPI] {
        let Some(python) = mpi.python() else { return };
        for (aborting, more, ranks) in [("0", "", 1), ("2", "", 1), ("2", ALL_RANKS, 4)] {
            let arguments = [ABORT, aborting];
            let plain = mpi.command(4, &python, None, &arguments).output().unwrap();
            let site = Site::with(more, "");
            let library = site.library();
            let output = mpi.command(4, &python, library.to_str(), &arguments).output().unwrap();
            assert_eq!(seen(&output), seen(&plain), "{} {aborting}", mpi.0);
            assert_eq!(output.status.code(), Some(7), "{output:?}");
            let exits = exits(site);
            assert_eq!(exits.len(), ranks, "{} {aborting}: {exits:?}", mpi.0);
            // MPICH has its launcher kill every rank, the one that aborts as well. Of Open MPI's ranks that one calls
            // `_exit`; the others get SIGTERM, and SIGKILL as soon as one of them is gone.
            let is_expected = |exit: &str| match (mpi.0, aborting, more) {
                ("mpich", ..) => exit == "killed",
                (_, "0", _) => exit == "os_exit",
                (_, _, ALL_RANKS) => ["killed", "os_exit", "signal:TERM"].contains(&exit),
                _ => ["killed", "signal:TERM"].contains(&exit),
            };
            assert!(exits.iter().all(|exit| is_expected(exit)), "{} {aborting}: {exits:?}", mpi.0);
            let leaving = exits.iter().filter(|exit| *exit == "os_exit").count();
            let aborting_reports = aborting == "0" || more == ALL_RANKS;
            assert_eq!(leaving, usize::from(mpi.0 == "openmpi" && aborting_reports), "{exits:?}");
        }
    }
}

#[test]
fn ranks_of_slurm_that_are_aborted_are_left_to_the_black_box() {
    let _alone = Alone::now();
    let Some(python) = MPICH.python() else { return };
    let Some(slurm) = Slurm::start() else { return };
    let site = Site::with("", "");
    let run = |library: Option<&str>| {
        let mut command = slurm.client("srun");
        command.args(["--ntasks=4", "--overcommit", "--mpi=pmi2"]).args(in_python(&python, library, &[ABORT, "0"]));
        command.output().unwrap()
    };
    let [plain, output] = [run(None), run(site.library().to_str())];
    assert_eq!(seen(&output), seen(&plain));
    assert_eq!(output.status.code(), Some(137), "{output:?}");
    assert_eq!(exits(site), ["killed"]);
}

#[test]
fn open_mpi_prints_its_stack_trace_and_c_plus_plus_its_reason_when_they_abort() {
    let _alone = Alone::now();
    let Some(python) = OPEN_MPI.python() else { return };
    let terminate = "import ctypes; ctypes.CDLL('libstdc++.so.6')['_ZSt9terminatev']()";
    for (code, trace) in [
        ("from mpi4py import MPI; import os; os.abort()", "Signal: Aborted (6)"),
        (&*format!("from mpi4py import MPI; {terminate}"), "Signal: Aborted (6)"),
        (&*format!("import mpi4py; {terminate}"), "terminate called without an active exception"),
    ] {
        let arguments = ["-c", code];
        let plain = OPEN_MPI.command(1, &python, None, &arguments).output().unwrap();
        let outcome = under(&shipped(), "", |library| OPEN_MPI.command(1, &python, Some(library), &arguments));
        for output in [&plain, &outcome.output] {
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(error.contains(trace), "{error}");
        }
        assert_eq!(outcome.output.status, plain.status, "{code}");
        let exits: Vec<_> = outcome.records.iter().map(|record| &record["exit"]).collect();
        assert_eq!(exits, ["abort"], "{code}");
    }
}
