//! What is loaded together with a package: its correlation with all others.

use super::correlations::pearson;
use super::{Figure, JOBS, Source, count, percent, share};
use crate::report::draw::bars::{Axis, Bar, draw};
use crate::report::table::{Kind, Table, Value};

/// A figure for each package that was asked for.
pub fn figures(source: &Source) -> Vec<Figure> {
    source.wishes.packages.iter().map(|package| figure(source, package)).collect()
}

fn figure(source: &Source, package: &str) -> Figure {
    let all = source.counts.jobs.jobs;
    let own = source.counts.package_jobs.iter().find(|(name, _)| source.name(**name) == package);
    let mut partners: Vec<(&str, u64, u64, Option<f64>)> = Vec::new();
    if let Some((number, own)) = own {
        for (other, cell) in source.counts.package_jobs.iter().filter(|(other, _)| *other != number) {
            let both = source.counts.pairs.get(&(*number.min(other), *number.max(other))).map_or(0, |pair| pair.jobs);
            partners.push((source.name(*other), both, cell.jobs, pearson(all, own.jobs, cell.jobs, both)));
        }
    }
    let rank = |value: Option<f64>| value.unwrap_or(f64::NEG_INFINITY);
    partners.sort_by(|one, other| rank(other.3).total_cmp(&rank(one.3)).then(one.0.cmp(other.0)));
    let jobs = own.map_or(0, |(_, own)| own.jobs);
    let columns = [
        ("package", Kind::Text),
        ("other", Kind::Text),
        ("jobs_with_both", Kind::Count),
        ("jobs_with_other", Kind::Count),
        ("share_of_package", Kind::Real),
        ("correlation", Kind::Real),
    ];
    let mut table = Table::new(&columns);
    for (other, both, others, coefficient) in &partners {
        let coefficient: Value = (*coefficient).into();
        table.push([
            package.into(),
            (*other).into(),
            (*both).into(),
            (*others).into(),
            share(*both, jobs).into(),
            coefficient,
        ]);
    }
    let bars: Vec<Bar> = partners
        .iter()
        .filter_map(|(other, both, _, coefficient)| Some((other, both, (*coefficient)?)))
        .filter(|(_, _, coefficient)| *coefficient > 0.0)
        .take(source.wishes.top)
        .map(|(other, both, coefficient)| Bar {
            label: other.to_string(),
            value: coefficient,
            note: format!("{coefficient:.2} · in {}", percent(share(*both, jobs))),
            said: format!(
                "{other}: correlation {coefficient:.3}; in {} of {}",
                count(*both, "job"),
                count(jobs, "job")
            ),
            ..Bar::default()
        })
        .collect();
    let title = format!("Loaded together with {package}");
    let axis = Axis { title: &title, unit: "Pearson correlation within jobs", most: None, parts: None };
    let text = match jobs {
        0 => format!("No job of the period loaded {package}."),
        jobs => format!(
            "Correlation of {package}, which {} loaded, with each other package; of {JOBS}. Beside it, in which share of its jobs the other one is.",
            count(jobs, "job")
        ),
    };
    let drawing = (!bars.is_empty()).then(|| draw(&axis, &bars));
    Figure { key: format!("with-{}", super::super::file_name(package)), title: title.clone(), text, drawing, table }
}
