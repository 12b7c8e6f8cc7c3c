//! What is loaded together with a package: its correlation with all others.

use super::correlations::pearson;
use super::{Figure, JOBS, Source, count, percent, share};
use crate::report::draw::bars::{Axis, Bar, draw};
use crate::report::table::{Kind, Table};

/// A figure for each package that was asked for.
pub fn figures(source: &Source) -> Vec<Figure> {
    source.wishes.packages.iter().map(|package| figure(source, package)).collect()
}

fn figure(source: &Source, package: &str) -> Figure {
    let own = source.counts.package_jobs.iter().find(|(name, _)| source.name(**name) == package);
    let mut partners: Vec<(&str, [u64; 3], Option<f64>)> = Vec::new();
    if let Some((number, _)) = own {
        for other in source.counts.package_jobs.keys().filter(|other| *other != number) {
            let Some([both, one, others, all]) = source.counts.pair(*number, *other) else { continue };
            partners.push((source.name(*other), [both, one, others], pearson(all, one, others, both)));
        }
    }
    let rank = |value: Option<f64>| value.unwrap_or(f64::NEG_INFINITY);
    partners.sort_by(|one, other| rank(other.2).total_cmp(&rank(one.2)).then(one.0.cmp(other.0)));
    let columns = [
        ("package", Kind::Text),
        ("other", Kind::Text),
        ("jobs_with_both", Kind::Count),
        ("jobs_with_other", Kind::Count),
        ("share_of_package", Kind::Real),
        ("correlation", Kind::Real),
    ];
    let mut table = Table::new(&columns);
    let mut bars = Vec::new();
    for (other, [both, jobs, others], coefficient) in partners {
        let part = share(both, jobs);
        table.push([package.into(), other.into(), both.into(), others.into(), part.into(), coefficient.into()]);
        if let Some(value) = coefficient.filter(|value| *value > 0.0 && bars.len() < source.wishes.top) {
            bars.push(Bar {
                label: other.to_string(),
                value,
                note: format!("{value:.2} · in {}", percent(part)),
                said: format!("{other}: correlation {value:.3}; in {} of {}", count(both, "job"), count(jobs, "job")),
                ..Bar::default()
            });
        }
    }
    let jobs = own.map_or(0, |(_, own)| own.jobs);
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
