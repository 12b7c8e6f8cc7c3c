//! What the package list misses: names in the control sample that are on no list.

use super::{Figure, Source, count, percent};
use crate::report::draw::bars::{Axis, Bar, draw};
use crate::report::draw::number;
use crate::report::table::{Kind, Table};
use crate::share::wilson;
use std::collections::BTreeSet;

/// Unlisted packages by their share of sampled jobs.
pub fn figure(source: &Source) -> Figure {
    let counts = source.counts;
    let listed: BTreeSet<&str> = source.wishes.listed.iter().map(String::as_str).collect();
    let known: BTreeSet<&str> = counts.package_users.keys().map(|name| source.name(*name)).collect();
    let all = counts.sampled.jobs;
    let mut names: Vec<(&str, u64, u64, bool)> = counts
        .sampled_names
        .iter()
        .map(|(name, cell)| {
            let name = source.name(*name);
            (name, cell.jobs, cell.users.count(), listed.contains(name) || known.contains(name))
        })
        .collect();
    names.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
    let columns = [
        ("name", Kind::Text),
        ("listed", Kind::Text),
        ("sampled_jobs", Kind::Count),
        ("share", Kind::Real),
        ("share_low", Kind::Real),
        ("share_high", Kind::Real),
        ("users", Kind::Count),
    ];
    let mut table = Table::new(&columns);
    let mut bars = Vec::new();
    for (name, jobs, users, is_listed) in &names {
        let share = wilson(*jobs, all);
        let said = if *is_listed { "yes" } else { "no" };
        table.push([
            (*name).into(),
            said.into(),
            (*jobs).into(),
            share.observed.into(),
            share.low.into(),
            share.high.into(),
            (*users).into(),
        ]);
        if !is_listed && bars.len() < source.wishes.top {
            bars.push(Bar {
                label: name.to_string(),
                value: share.observed * 100.0,
                interval: Some((share.low * 100.0, share.high * 100.0)),
                note: format!("{} to {}", percent(share.low), percent(share.high)),
                said: format!(
                    "{name}: in {} of {} sampled ones, of {}",
                    count(*jobs, "job"),
                    number(all as f64),
                    count(*users, "user")
                ),
                ..Bar::default()
            });
        }
    }
    let (unlisted, total) = names.iter().fold((0, 0), |(unlisted, total), (_, jobs, _, is_listed)| {
        (unlisted + if *is_listed { 0 } else { *jobs }, total + jobs)
    });
    let text = if all == 0 {
        "There is no control sample in this period: a list of the site file with `all = true` and a `rate` makes one."
            .to_string()
    } else {
        format!(
            "Names of the control sample that are on no list, by their share of its {}, with the interval that holds the true share in 95 of 100 cases. The list's bias: {} of all that the sample saw, counted once a job, is on no list. Modules of users' own are among the names.",
            count(all, "job"),
            percent(unlisted as f64 / total as f64)
        )
    };
    let title = "What the list misses";
    let axis = Axis { title, unit: "share of sampled jobs, %", most: None, parts: None };
    Figure {
        key: "unlisted".to_string(),
        title: title.to_string(),
        text,
        drawing: (!bars.is_empty()).then(|| draw(&axis, &bars)),
        table,
    }
}
