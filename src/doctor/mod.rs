//! `customs doctor`: would a record of this node, now, come through, and what is in the way?
//!
//! The library decides what is reported and where it goes, so it is asked: a Python runs under a copy of it that carries
//! the same policy, but for where records go. What is told by looking (files, variables, limits) explains the answer.

mod environment;
mod library;
mod node;
mod recorder;
mod report;
mod servers;
mod trial;

use crate::cli::Doctor;
use crate::{NO, check, diagnostics, here, site};
use anyhow::{Context, Result, ensure};
use customs_spec::policy::digest;
use customs_spec::record::Field;
use customs_spec::site::Compiled;
use report::{Report, Verdict};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use trial::Bench;

/// Looks, tries, and says.
pub fn run(args: &Doctor) -> Result<ExitCode> {
    for root in &args.root {
        ensure!(root.is_dir(), "--root {} is no folder", root.display());
    }
    for python in &args.python {
        let is_there = python.exists() || args.root.iter().any(|root| trial::within(root, python).exists());
        ensure!(is_there, "--python {} is not there", python.display());
    }
    let mut report = Report::default();
    let site = match site_file(args, &mut report) {
        Ok(site) => site,
        Err(error) => return check::refuse(args.json, error),
    };

    let subject = library::examine(args, site.as_ref(), &mut report);
    environment::preloaded(subject.as_ref(), args.library.is_none(), &mut report);
    let mut answer = json!({ "host": here::host(), "library": null, "policy": null, "here": {}, "goes_to": {} });
    if let Some(subject) = &subject {
        answer["library"] = subject.path.as_ref().map_or(Value::Null, |path| json!(path.display().to_string()));
        answer["policy"] = json!(subject.library.digest());
        environment::variables(&subject.model, &mut report);
        let record = interpreters(args, subject, &mut report);
        let found = environment::standing(&subject.model, record.as_ref(), &mut report);
        answer["here"] = found.json;
        answer["goes_to"] = environment::ways(&subject.model, found.is_compute, &mut report);
        servers::ask(&environment::servers(&subject.model, found.is_compute), &mut report);
        recorder::look(&subject.model, &mut report);
    }
    node::look(subject.as_ref(), &mut report);
    if let Some(address) = args.collector {
        servers::collector(address, &mut report);
    }

    if args.json {
        let Value::Object(checks) = report.json() else { unreachable!("it is made as an object") };
        if let Value::Object(answer) = &mut answer {
            answer.extend(checks);
        }
        crate::stdout::answer(&format!("{answer}\n"))?;
    } else {
        let mut out = anstream::stdout();
        out.write_all(report.text().as_bytes()).context("cannot write to standard output")?;
    }
    Ok(if report.has(Verdict::Problem) { ExitCode::from(NO) } else { ExitCode::SUCCESS })
}

/// A site file and what it says.
pub struct Site {
    path: PathBuf,
    compiled: Compiled,
}

impl Site {
    fn digest(&self) -> String {
        format!("{:016x}", digest(&self.compiled.bytes))
    }
}

/// The one that was named, which must make sense, or the usual one, which may be missing.
fn site_file(args: &Doctor, report: &mut Report) -> Result<Option<Site>> {
    let read = |path: &Path| site::compile(path).map(|compiled| Site { path: path.to_path_buf(), compiled });
    if let Some(path) = &args.site {
        return read(path).map(Some);
    }
    let usual = Path::new(site::DEFAULT);
    if !usual.exists() {
        return Ok(None);
    }
    match read(usual) {
        Ok(site) => Ok(Some(site)),
        Err(error) => {
            let what = if diagnostics::json(&error).is_some() {
                "it makes no sense".to_string()
            } else {
                format!("{error:#}")
            };
            report.problem(
                "site",
                format!("{}: {what}", usual.display()),
                "`customs check` says what is wrong with it",
            );
            Ok(None)
        }
    }
}

/// Tries each interpreter, here and in each root; gives the first record that came.
fn interpreters(
    args: &Doctor,
    subject: &library::Subject,
    report: &mut Report,
) -> Option<serde_json::Map<String, Value>> {
    let bench = match Bench::new(subject) {
        Ok(bench) => bench,
        Err(error) => {
            report.problem("python", format!("nothing can be tried: {error:#}"), "set TMPDIR to a folder of your own");
            return None;
        }
    };
    let mut first = None;
    for python in trial::pythons(&args.python) {
        let record = bench.try_here(&python, report);
        first = first.or(record);
    }
    for root in &args.root {
        bench.try_in_root(root, &args.python, report);
    }
    first
}

/// A field of a record, as text.
fn text(record: &serde_json::Map<String, Value>, field: Field) -> &str {
    record.get(field.key()).and_then(Value::as_str).unwrap_or_default()
}
