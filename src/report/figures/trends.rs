//! How use changes from month to month.

use super::{Figure, Source, share};
use crate::report::draw::lines::{Line, draw};
use crate::report::table::{Kind, Table};

/// Packages that are drawn.
const SHOWN: usize = 8;

/// Users of packages by month.
pub fn figure(source: &Source) -> Figure {
    let columns = [
        ("month", Kind::Text),
        ("package", Kind::Text),
        ("users", Kind::Count),
        ("share", Kind::Real),
        ("jobs", Kind::Count),
    ];
    let mut table = Table::new(&columns);
    for (period, brief) in source.months {
        let month = period.name.as_str();
        table.push([
            month.into(),
            "".into(),
            brief.users.into(),
            share(brief.users, brief.users).into(),
            brief.jobs.into(),
        ]);
        let jobs = |name: &u32| brief.package_jobs.get(name).copied().unwrap_or_default();
        let packages = brief.package_users.iter().map(|(name, users)| (source.name(*name), *users, jobs(name)));
        let mut packages: Vec<(&str, u64, u64)> = packages.collect();
        packages.sort_unstable();
        for (package, users, jobs) in packages {
            table.push([month.into(), package.into(), users.into(), share(users, brief.users).into(), jobs.into()]);
        }
    }
    let mut most: Vec<(u32, u64)> =
        source.counts.package_users.iter().map(|(name, users)| (*name, users.count())).collect();
    most.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| source.name(one.0).cmp(source.name(other.0))));
    most.truncate(SHOWN);
    let months: Vec<String> = source.months.iter().map(|(period, _)| period.name.clone()).collect();
    let lines: Vec<Line> = most
        .iter()
        .map(|(name, _)| Line {
            name: source.name(*name).to_string(),
            values: source
                .months
                .iter()
                .map(|(_, brief)| match brief.package_users.get(name) {
                    Some(users) => Some(*users as f64),
                    None => (!source.counts.is_protected).then_some(0.0),
                })
                .collect(),
        })
        .collect();
    let title = "Users by month";
    Figure {
        key: "trends".to_string(),
        title: title.to_string(),
        text: "Unique users of a package in each month, the most used packages of the period. A month at either end may be cut off. Rows without a package are all who ran Python.".to_string(),
        drawing: (months.len() > 1 && !lines.is_empty()).then(|| draw(title, "unique users in the month", &months, &lines)),
        table,
    }
}
