//! How much of what the batch system ran has reported.

use super::{Figure, Source, count, percent, share};
use crate::report::accounting::Accounting;
use crate::report::draw::bars::{Axis, Bar, draw};
use crate::report::table::{Kind, Table};
use std::collections::{BTreeMap, HashSet};

/// Jobs of the accounting that are in the tables, by account and by partition.
pub fn figure(source: &Source, accounting: &Accounting) -> Figure {
    let model = source.model;
    let rows = &model.jobs[source.period.rows(&model.jobs, |row| row.date)];
    let seen: HashSet<u64> = rows.iter().map(|row| row.key).collect();
    let systems: HashSet<u32> = model.settings.all().iter().map(|setting| setting.system).collect();
    let mut cells: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
    for (job, (account, partition)) in &accounting.jobs {
        let is_seen = systems.iter().any(|system| seen.contains(&model.key(*system, job)));
        let (jobs, reported) = cells.entry((account, partition)).or_default();
        *jobs += 1;
        *reported += u64::from(is_seen);
    }
    let columns = [
        ("account", Kind::Text),
        ("partition", Kind::Text),
        ("jobs", Kind::Count),
        ("reported", Kind::Count),
        ("share", Kind::Real),
    ];
    let mut table = Table::new(&columns);
    let mut accounts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let (mut all, mut reported) = (0, 0);
    for ((account, partition), (jobs, own)) in &cells {
        table.push([(*account).into(), (*partition).into(), (*jobs).into(), (*own).into(), share(*own, *jobs).into()]);
        let of_account = accounts.entry(account).or_default();
        (of_account.0, of_account.1) = (of_account.0 + jobs, of_account.1 + own);
        (all, reported) = (all + jobs, reported + own);
    }
    let mut accounts: Vec<(&str, (u64, u64))> = accounts.into_iter().collect();
    accounts.sort_by(|one, other| other.1.0.cmp(&one.1.0).then(one.0.cmp(other.0)));
    let bars: Vec<Bar> = accounts
        .into_iter()
        .take(source.wishes.top)
        .map(|(account, (jobs, own))| Bar {
            label: account.to_string(),
            value: 100.0 * share(own, jobs),
            note: format!("{} of {}", percent(share(own, jobs)), count(jobs, "job")),
            said: format!("{account}: {own} of {} have reported", count(jobs, "job")),
            ..Bar::default()
        })
        .collect();
    let title = "Jobs of the accounting that have reported";
    let axis = Axis { title, unit: "share of the account's jobs, %", most: Some(100.0), parts: None };
    Figure {
        key: "coverage".to_string(),
        title: title.to_string(),
        text: format!(
            "Of the {} that the batch system's accounting has, {} ({}) have reported a Python process in this period; by account, those with most jobs. The others ran none, opted out, were lost, or ran where the library is not.",
            count(all, "job"),
            percent(share(reported, all)),
            count(reported, "job")
        ),
        drawing: (!bars.is_empty()).then(|| draw(&axis, &bars)),
        table,
    }
}
