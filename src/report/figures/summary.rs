//! The period in numbers, and how complete they are.

use super::{Figure, JOBS, Source, percent, share};
use crate::report::draw::number;
use crate::report::table::{Kind, Table, Value};
use crate::tables::write::Day;

/// The table at the top; `days` are those of the period.
pub fn figure(source: &Source, days: &[&Day]) -> Figure {
    let counts = source.counts;
    let mut table =
        Table::new(&[("what", Kind::Text), ("value", Kind::Real), ("of", Kind::Real), ("share", Kind::Real)]);
    let mut add = |what: &str, value: f64, of: Option<f64>| {
        table.push([what.into(), value.into(), of.into(), of.map(|of| value / of).into()]);
    };
    let users = counts.users.count();
    add("users who ran Python", users as f64, source.wishes.total_users.map(|total| total as f64));
    let mut subsystems: Vec<(&str, u64)> =
        counts.subsystem_users.iter().map(|(name, users)| (source.text(*name), users.count())).collect();
    subsystems.sort_unstable();
    for (subsystem, own) in subsystems {
        let name = if subsystem.is_empty() { "no subsystem" } else { subsystem };
        add(&format!("users on {name}"), own as f64, Some(users as f64));
    }
    add("users in Jupyter", counts.jupyter_users.count() as f64, Some(users as f64));
    add("users on compute nodes", counts.compute_users.count() as f64, Some(users as f64));
    add(
        "jobs with a listed package",
        counts.jobs.jobs as f64,
        // Where jobs without one may not be told, all of them may not either.
        (!counts.is_protected || counts.empty_jobs.jobs > 0)
            .then_some((counts.jobs.jobs + counts.empty_jobs.jobs) as f64),
    );
    add("jobs with Jupyter", counts.jupyter_jobs.jobs as f64, Some(counts.jobs.jobs as f64));
    add("node-hours of these jobs (approximate)", counts.jobs.node_hours().round(), None);
    let of = |name: &str| counts.package_jobs.iter().find(|(package, _)| source.name(**package) == name);
    if let Some((numpy, cell)) = of("numpy") {
        let mkl = of("mkl").map(|(mkl, _)| counts.pair(*numpy, *mkl));
        if let Some([both, numpy, _, _]) = mkl.unwrap_or_else(|| (!counts.is_protected).then_some([0, cell.jobs, 0, 0]))
        {
            add("jobs with MKL, of those with numpy", both as f64, Some(numpy as f64));
        }
    }
    add("processes reported", counts.processes as f64, None);
    add("processes they stand for", counts.stand_for().round(), None);
    // What is published does not say of how many users records are.
    let days_told = if counts.is_protected { &[] } else { days };
    let sum = |of: fn(&Day) -> u64| days_told.iter().map(|day| of(day)).sum::<u64>() as f64;
    add("records", sum(|day| day.records), None);
    add("records of canaries, left out", sum(|day| day.canaries), None);
    add("records that claim to be canaries", sum(|day| day.claims), None);
    if let Some(loss) = source.wishes.canary_loss {
        for (what, value) in [
            ("loss of canaries", loss.observed),
            ("loss of canaries, at least", loss.low),
            ("loss of canaries, at most", loss.high),
        ] {
            table.push([what.into(), Value::Missing, Value::Missing, value.into()]);
        }
    }
    let damaged: Vec<&str> = days.iter().flat_map(|day| &day.damaged).map(String::as_str).collect();
    let mut text = format!("Jobs are {JOBS}; users are all of the system. ");
    text.push_str(&uncertain(source, users));
    if !damaged.is_empty() {
        text.push_str(&format!(
            " {} files of the dataset could not be read and are not in any number: {}.",
            damaged.len(),
            damaged.join(", ")
        ));
    }
    Figure { key: "summary".to_string(), title: "In numbers".to_string(), text, drawing: None, table }
}

/// What thinning, sampling, opting out and loss leave open.
fn uncertain(source: &Source, users: u64) -> String {
    let counts = source.counts;
    let mut text = String::from(
        "Numbers of users and jobs are lower bounds: whoever opted out is not in them, and neither is what was lost on the way",
    );
    match source.wishes.canary_loss {
        Some(loss) => text.push_str(&format!(
            " ({}, by canaries, between {} and {}).",
            percent(loss.observed),
            percent(loss.low),
            percent(loss.high)
        )),
        None => text.push_str("; how much that is, canaries can tell (--canaries)."),
    }
    if counts.stand_for() > counts.processes as f64 {
        text.push_str(&format!(
            " Short processes were thinned: {} reports stand for about {} processes, and users or jobs all of whose processes are short can be missing.",
            number(counts.processes as f64),
            number(counts.stand_for().round())
        ));
    }
    if counts.sampled.jobs > 0 {
        text.push_str(&format!(
            " The control sample has {} jobs, at a rate of {}.",
            number(counts.sampled.jobs as f64),
            number(counts.rate)
        ));
    }
    if let Some(total) = source.wishes.total_users {
        text.push_str(&format!(
            " {} of the centre's {} users ran Python.",
            percent(share(users, total)),
            number(total as f64)
        ));
    }
    text
}
