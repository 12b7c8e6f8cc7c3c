//! `customs check`: does a site file make sense, and what would it have reported?

use crate::cli::Check;
use crate::stdout::answer;
use crate::{BAD_INPUT, diagnostics, site};
use anyhow::{Context, Result};
use customs_spec::inspect::Inspector;
use customs_spec::policy::{List, Policy};
use customs_spec::site::Compiled;
use customs_spec::stdlib;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

/// Checks, and answers.
pub fn run(args: &Check) -> Result<ExitCode> {
    let compiled = match site::compile(&args.site) {
        Ok(compiled) => compiled,
        Err(error) => return refuse(args.json, error),
    };
    match &args.modules {
        Some(modules) => answer(&findings(args, modules, &compiled)?)?,
        None if args.json => answer(&format!("{}\n", site::summary_json(&compiled)))?,
        None => answer(&format!("{}: ok, {}\n", args.site.display(), site::summary(&compiled)))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The answer of a verb whose site file was refused: a program gets the problems as JSON, a person as they are.
pub fn refuse(json: bool, error: anyhow::Error) -> Result<ExitCode> {
    match diagnostics::json(&error).filter(|_| json) {
        Some(problems) => answer(&format!("{problems}\n")).map(|()| ExitCode::from(BAD_INPUT)),
        None => Err(error),
    }
}

/// What each list would report of a process with these modules.
fn findings(args: &Check, modules: &[String], compiled: &Compiled) -> Result<String> {
    let policy = Policy::read(&compiled.bytes)?;
    let mut space = vec![0; Inspector::SPACE];
    let mut inspector = Inspector::new(policy, args.main.as_bytes(), args.executable.as_bytes(), &mut space)
        .context("the inspector's space is too small")?;
    for module in modules {
        inspector.see_module(module.as_bytes());
    }
    for library in &args.libraries {
        inspector.see_library(library.as_bytes(), |_| {});
    }
    let found: Vec<(String, BTreeSet<String>)> =
        policy.lists().map(|list| (text(list.name), found(&inspector, list, modules))).collect();
    if args.json {
        return Ok(format!("{}\n", json!({ "lists": found.into_iter().collect::<BTreeMap<_, _>>() })));
    }
    let line = |(list, names): (String, BTreeSet<String>)| {
        let names = if names.is_empty() { "nothing".to_string() } else { Vec::from_iter(names).join(", ") };
        format!("{list}: {names}\n")
    };
    Ok(found.into_iter().map(line).collect())
}

fn found<'p>(inspector: &Inspector<'p, '_>, list: List<'p>, modules: &[String]) -> BTreeSet<String> {
    let all = list.all.then(|| modules.iter().filter_map(|module| module.split('.').next()));
    let outside = all.into_iter().flatten().filter(|module| !stdlib::contains(module.as_bytes()));
    let found = inspector.found(list);
    let listed = found.iter().map(|found| text(found.check.name));
    listed.chain(outside.map(str::to_string)).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
