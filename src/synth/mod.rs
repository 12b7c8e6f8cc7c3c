//! `customs synth`: a dataset of which everything is known, because it was made up.
//!
//! For trying `customs reduce` and `customs report` without a cluster, and for their tests and benchmarks. The same
//! options give the same rows.

mod centre;
mod truth;

use crate::canary::ledger::started;
use crate::cli::Synth;
use crate::dataset::batch::Batch;
use crate::dataset::rows::Arrival;
use crate::dataset::{Dataset, Day, SUFFIX};
use crate::progress;
use crate::record::Record;
use crate::stdout;
use anyhow::{Context, Result, ensure};
use centre::{Centre, Job, LIST, Process, RATE, SAMPLE, SYSTEM, UNLISTED};
use customs_spec::record::Field;
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;
use truth::Truth;

/// What was made.
pub struct Made {
    records: u64,
    jobs: u64,
}

/// Makes the dataset, and says so.
pub fn run(args: &Synth) -> Result<ExitCode> {
    let Made { records, jobs } = make(args)?;
    let (users, days) = (args.users, args.days);
    let answer = if args.json {
        json!({ "records": records, "jobs": jobs, "users": users, "days": days }).to_string()
    } else {
        format!("{}: {records} records of {jobs} jobs and {users} users in {days} days", args.out.display())
    };
    stdout::answer(&format!("{answer}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the dataset.
pub fn make(args: &Synth) -> Result<Made> {
    let dataset = Dataset::create(&args.out)?;
    ensure!(dataset.days()?.is_empty(), "{} has days in it already: name a new folder", args.out.display());
    let days = i64::from(args.days);
    let centre = Centre::new(args.seed, args.users as usize, f64::from(args.jobs) / days as f64, args.from)?;
    let mut truth = args.truth.is_some().then(|| Truth::new(args.ledger.is_some()));
    let mut ledger = String::new();
    let mut batches: BTreeMap<Day, Batch> = BTreeMap::new();
    let (mut records, mut jobs) = (0, 0);
    let bar = progress::bar(days as u64, "{spinner} day {pos} of {len} {wide_bar} {eta}");
    for number in 0..days {
        for job in centre.day(number, days) {
            jobs += u64::from(!job.id.is_empty());
            let canary = job.is_canary.then(|| format!("synth-{}", job.id));
            for process in &job.processes {
                let arrival = Arrival {
                    time: process.start + (process.elapsed * 1e6) as i64,
                    source: "synth".into(),
                    ..Arrival::default()
                };
                for list in [LIST, SAMPLE].iter().take(1 + usize::from(job.is_sampled)) {
                    let record = record(&centre, &job, process, number, list, canary.as_deref());
                    batches.entry(Day::of_record(&record, &arrival)).or_default().push(&record, &arrival)?;
                    records += 1;
                }
            }
            if let Some(canary) = &canary {
                let start = job.processes.first().map_or(0, |process| process.start);
                let line = started(canary, start, "/usr/bin/python3", &[]);
                ledger.push_str(&format!("{line}\n"));
            }
            if let Some(truth) = &mut truth {
                truth.add(&centre, &job, number);
            }
        }
        // Nothing runs for longer than a day: what began two days ago is whole.
        while batches.len() > 2
            && let Some((_, mut batch)) = batches.pop_first()
        {
            write(&dataset, &mut batch)?;
        }
        bar.inc(1);
    }
    for batch in batches.values_mut() {
        write(&dataset, batch)?;
    }
    bar.finish_and_clear();
    if let (Some(path), Some(truth)) = (&args.truth, truth) {
        let write = fs::write(path, format!("{:#}\n", truth.finish(&centre)));
        write.with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &args.ledger {
        fs::write(path, ledger).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(Made { records, jobs })
}

fn write(dataset: &Dataset, batch: &mut Batch) -> Result<()> {
    // As a merged file is: sorted, and nothing in it twice.
    batch.write(dataset, &format!("merged-synth{SUFFIX}")).map(drop)
}

/// What the library would have sent.
fn record<'a>(
    centre: &'a Centre,
    job: &'a Job,
    process: &Process,
    day: i64,
    list: &'a str,
    canary: Option<&'a str>,
) -> Record<'a> {
    let user = &centre.users[job.user];
    let profile = &user.profiles[job.profile];
    let loaded = &profile.packages[..process.packages.min(profile.packages.len())];
    let name = |at: &usize| Cow::Borrowed(centre.packages[*at].as_str());
    let mut packages: Vec<Cow<str>> = loaded.iter().map(name).collect();
    if job.is_jupyter {
        packages.push("ipykernel".into());
    }
    let is_sample = list == SAMPLE;
    if is_sample {
        packages.extend(profile.unlisted.iter().map(|at| Cow::Borrowed(UNLISTED[*at])));
    }
    let versions = loaded.iter().filter_map(|at| Some((name(at), user.version(*at, day)?.into())));
    let mut record = Record {
        id: process.id,
        start: Some(process.start),
        elapsed: process.elapsed,
        packages,
        versions: if is_sample { Vec::new() } else { versions.collect() },
        direct: if is_sample {
            Vec::new()
        } else {
            profile.direct.iter().filter(|at| loaded.contains(at)).map(name).collect()
        },
        libraries: loaded.iter().filter(|at| centre.libraries.contains(at)).map(name).collect(),
        rate: is_sample.then_some(RATE),
        weight: job.weight,
        canary: canary.map(Cow::Borrowed),
        numbers: [user.uid, 4000, 3999, job.nodes],
        flags: [job.is_compute, !profile.container.is_empty(), user.is_staff],
        ..Record::default()
    };
    let texts: [(Field, Cow<str>); 13] = [
        (Field::List, list.into()),
        (Field::Policy, "0123456789abcdef".into()),
        (Field::Host, if job.is_compute { "nid00001" } else { "login01" }.into()),
        (Field::System, SYSTEM.into()),
        (Field::Subsystem, if job.is_compute { user.subsystem } else { "login" }.into()),
        (Field::Username, user.name.as_str().into()),
        (Field::Executable, profile.executable.as_str().into()),
        (Field::Main, profile.main.as_str().into()),
        (Field::Prefix, profile.prefix.as_str().into()),
        (Field::Python, "3.11.7".into()),
        (Field::Container, profile.container.into()),
        (Field::JobId, job.id.as_str().into()),
        (Field::Exit, job.exit.into()),
    ];
    for (field, text) in texts {
        if let Some(place) = record.text_mut(field) {
            *place = text;
        }
    }
    if job.is_compute
        && let Some(repo) = record.text_mut(Field::Repo)
    {
        *repo = user.repo.as_str().into();
    }
    record
}
