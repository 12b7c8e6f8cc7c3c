//! `customs canary run`: starts Pythons under a library, and notes what is to be reported of each.

use super::expect::{self, Said};
use super::ledger::{self, Entry, Ledger, Report};
use crate::cli::CanaryRun;
use crate::library::Library;
use crate::{NO, compile, preloaded, site, stdout};
use anyhow::{Context, Result, bail, ensure};
use chrono::Utc;
use customs_spec::policy::Policy;
use customs_spec::policy::model::Model;
use customs_spec::record::Field;
use customs_spec::stdlib;
use serde_json::json;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What a canary runs.
const PROGRAM: &str = include_str!("program.py");
/// How many packages outside of the standard library are tried, until two are there.
const TRIED: usize = 40;
/// How long to sleep between looks at whether a canary has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// What came of all of them.
#[derive(Default)]
struct Tally {
    canaries: u64,
    records: u64,
    not_sent: u64,
    unsure: u64,
    failed: u64,
}

/// Starts them, one after the other. Exit status 1 if one failed.
pub fn run(args: &CanaryRun) -> Result<ExitCode> {
    let folder =
        tempfile::Builder::new().prefix("customs-canary-").tempdir().context("cannot make a temporary folder")?;
    let library = library(args, folder.path())?;
    let model = library.1.policy().with_context(|| format!("{} carries no policy", library.0.display()))?;
    ensure!(
        !model.omit.contains(&Field::Canary),
        "the site file omits `canary`, and without it no canary can be told from other processes"
    );
    let mut flock =
        Flock { args, model, library, ledger: Ledger::open(&args.ledger)?, folder: folder.path().to_path_buf() };
    let pythons = interpreters(args);
    let count = args.count.unwrap_or(pythons.len() as u64);
    let mut tally = Tally::default();
    for number in 0..count {
        let python = pythons.get((number % pythons.len() as u64) as usize).context("no interpreter")?;
        flock.release(python, &mut tally)?;
    }
    let Tally { canaries, records, not_sent, unsure, failed } = tally;
    if args.json {
        let answer = json!({
            "canaries": canaries, "records": records, "not_sent": not_sent, "unsure": unsure, "failed": failed,
        });
        stdout::answer(&format!("{answer}\n"))?;
    } else {
        stdout::answer(&format!(
            "{canaries} canaries: {records} records to arrive, {not_sent} not sent, {unsure} that cannot be told, {failed} canaries failed\n"
        ))?;
    }
    Ok(if failed > 0 { ExitCode::from(NO) } else { ExitCode::SUCCESS })
}

/// The library, and its path.
fn library(args: &CanaryRun, folder: &Path) -> Result<(PathBuf, Library)> {
    if let Some(path) = &args.library {
        let library = Library::read(path)?;
        if let Some(site) = &args.site {
            let compiled = Library::pristine()?.stamp(&site::compile(site)?.bytes)?;
            let place = folder.join("compare.so");
            compile::write(&place, &compiled)?;
            if Library::read(&place)?.digest() != library.digest() {
                let (site, path) = (site.display(), path.display());
                eprintln!(
                    "customs: {path} was not compiled from {site} as it is now; what the library says is expected"
                );
            }
        }
        return Ok((std::path::absolute(path)?, library));
    }
    let site = args.site.as_ref().context("name a site file with --site, or a library with --library")?;
    let path = folder.join("libcustoms.so");
    compile::write(&path, &Library::pristine()?.stamp(&site::compile(site)?.bytes)?)?;
    let library = Library::read(&path)?;
    Ok((path, library))
}

/// Absolute where they are paths: canaries run in the root folder.
fn interpreters(args: &CanaryRun) -> Vec<PathBuf> {
    let absolute = |path: &PathBuf| match path.components().count() {
        0 | 1 if path.is_relative() => path.clone(),
        _ => std::path::absolute(path).unwrap_or_else(|_| path.clone()),
    };
    args.python.iter().map(absolute).collect()
}

/// 128 bits from the kernel.
fn unguessable() -> Result<u128> {
    let mut bytes = [0; 16];
    let mut read = || File::open("/dev/urandom")?.read_exact(&mut bytes);
    read().context("cannot read /dev/urandom")?;
    Ok(u128::from_le_bytes(bytes))
}

/// Seconds since the machine was started (proc_uptime(5)).
fn uptime() -> f64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split(' ').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(f64::NAN)
}

/// What all canaries of a run share.
struct Flock<'a> {
    args: &'a CanaryRun,
    model: Model,
    library: (PathBuf, Library),
    ledger: Ledger,
    folder: PathBuf,
}

impl Flock<'_> {
    /// Starts a canary, waits for its end and notes what is expected.
    fn release(&mut self, python: &Path, tally: &mut Tally) -> Result<()> {
        let canary = format!("{:032x}", unguessable()?);
        let time = Utc::now().timestamp_micros();
        let [must, may, others] = self.imports()?;
        let name = python.display().to_string();
        self.ledger.add(&ledger::started(&canary, time, &name, &must))?;

        let (policy, mut entry) = (Policy::read(self.library.1.bytes_of_policy())?, Entry { time, ..Entry::default() });
        let variables: Vec<String> = expect::variables(policy).into_iter().collect();
        let mut command = Command::new(python);
        command.args(["-c", PROGRAM, &variables.join(","), &must.join(","), &may.join(","), &others.join(",")]);
        command
            .env("CUSTOMS_CANARY", &canary)
            .env(preloaded::VARIABLE, preloaded::instead_of_ours(&self.library.0)?)
            .current_dir("/");
        let outcome = attempt(command, &self.folder, Duration::from_secs(self.args.timeout));
        let until = uptime();
        entry.end = Some(Utc::now().timestamp_micros());
        tally.canaries += 1;

        let expected = outcome.and_then(|output| {
            let said = Said::read(&output).context("it did not say what it had imported")?;
            let lists = expect::expect(policy, &said, until).context("its packages cannot be looked up")?;
            Ok((said, lists))
        });
        let why = match expected {
            Ok((said, lists)) => {
                entry.is_well = true;
                (entry.hosts, entry.python) = (said.hosts(policy), said.python(policy));
                entry.process = said.process();
                entry.lists = lists;
                String::new()
            }
            Err(error) => {
                eprintln!("customs: a canary of {name} failed: {error:#}");
                tally.failed += 1;
                format!("{error:#}")
            }
        };
        for listed in &entry.lists {
            match listed.report {
                Report::Yes => tally.records += 1,
                Report::No => tally.not_sent += 1,
                Report::Unsure => tally.unsure += 1,
            }
        }
        self.ledger.add(&ledger::ended(&canary, &entry, &why))
    }

    /// What is imported: what must be, what is if it is there, and others of which two are.
    fn imports(&self) -> Result<[Vec<String>; 3]> {
        if !self.args.import.is_empty() {
            return Ok([self.args.import.clone(), Vec::new(), Vec::new()]);
        }
        let modules = self.model.checks.iter().flat_map(|check| &check.modules);
        let is_standard = |module: &&String| stdlib::contains(module.split('.').next().unwrap_or_default().as_bytes());
        let (standard, mut others): (Vec<&String>, Vec<&String>) = modules.partition(is_standard);
        // Importing these starts MPI, and outside of its launcher that may end the process.
        others.retain(|module| !module.contains('.') && !module.contains("mpi") && !module.contains("horovod"));
        let mut picked = Vec::new();
        while !others.is_empty() && picked.len() < TRIED {
            let at = unguessable()? % others.len() as u128;
            picked.push(others.swap_remove(at as usize).clone());
        }
        Ok([Vec::new(), standard.into_iter().cloned().collect(), picked])
    }
}

/// Runs it to its end; gives what it wrote.
fn attempt(mut command: Command, folder: &Path, timeout: Duration) -> Result<String> {
    let [mut out, mut errors] = [tempfile::tempfile_in(folder)?, tempfile::tempfile_in(folder)?];
    command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(errors.try_clone()?);
    let mut child = command.spawn().context("cannot start it")?;
    let ended = wait(&mut child, timeout)?;
    let [output, problem] = [text(&mut out)?, text(&mut errors)?];
    if !ended.success() {
        bail!("{ended}: {}", problem.trim_end().lines().last().unwrap_or("it said nothing"));
    }
    Ok(output)
}

fn wait(child: &mut Child, timeout: Duration) -> Result<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(ended) = child.try_wait()? {
            return Ok(ended);
        }
        if start.elapsed() > timeout {
            child.kill()?;
            child.wait()?;
            bail!("it ran for more than {} s and was killed", timeout.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
}

fn text(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
