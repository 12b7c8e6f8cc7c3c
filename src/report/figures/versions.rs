//! Which versions are used, and how new ones are taken up.

use super::{Figure, Source, count, percent, share};
use crate::report::brief::Brief;
use crate::report::draw::lines::{Line, draw};
use crate::report::table::{Kind, Table};
use std::collections::BTreeMap;

/// Versions a package that are drawn.
const SHOWN: usize = 6;

/// Users by version, by month: of the package with most users that has several.
pub fn figure(source: &Source) -> Figure {
    let columns = [("month", Kind::Text), ("package", Kind::Text), ("version", Kind::Text), ("users", Kind::Count)];
    let mut table = Table::new(&columns);
    for (period, brief) in source.months {
        for (package, version, users) in
            versions(source, brief.version_users.iter().map(|(word, users)| (*word, *users)))
        {
            table.push([period.name.as_str().into(), package.into(), version.into(), users.into()]);
        }
    }
    let all = versions(source, source.counts.version_users.iter().map(|(word, users)| (*word, users.count())));
    let mut by_package: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
    for (package, version, users) in all {
        by_package.entry(package).or_default().push((version, users));
    }
    let several = by_package.into_iter().filter(|(_, versions)| versions.len() > 1);
    let wanted = several.max_by_key(|(package, versions)| {
        (versions.iter().map(|(_, users)| users).sum::<u64>(), std::cmp::Reverse(*package))
    });
    let mut text = "Users by the version of a package that they loaded; who loaded two counts for both. Versions are known only where a package says its own. The numbers have all packages.".to_string();
    let mut drawing = None;
    let mut title = "Versions".to_string();
    if let Some((package, mut versions)) = wanted {
        versions.sort_by_key(|(_, users)| std::cmp::Reverse(*users));
        versions.truncate(SHOWN);
        title = format!("Versions of {package}");
        let total = versions.iter().map(|(_, users)| users).sum();
        let first = versions.first().map_or(String::new(), |(version, users)| {
            format!(" Most had {version}: {}, {} of those drawn.", count(*users, "user"), percent(share(*users, total)))
        });
        text.push_str(&first);
        let months: Vec<String> = source.months.iter().map(|(period, _)| period.name.clone()).collect();
        let lines = versions.iter().map(|(version, _)| {
            let word = format!("{package} {version}");
            let of_month = |brief: &Brief| {
                let users = brief.version_users.iter().find(|(number, _)| source.name(**number) == word);
                users.map(|(_, users)| *users as f64)
            };
            Line { name: version.to_string(), values: source.months.iter().map(|(_, brief)| of_month(brief)).collect() }
        });
        drawing = Some(draw(&title, "unique users in the month", &months, &lines.collect::<Vec<_>>()));
    }
    Figure { key: "versions".to_string(), title, text, drawing, table }
}

/// Package, version and users, by package and version.
fn versions<'a>(source: &'a Source, users: impl Iterator<Item = (u32, u64)>) -> Vec<(&'a str, &'a str, u64)> {
    let named = users.filter_map(|(word, users)| {
        source.name(word).split_once(' ').map(|(package, version)| (package, version, users))
    });
    let mut all: Vec<(&str, &str, u64)> = named.collect();
    all.sort_unstable();
    all
}
