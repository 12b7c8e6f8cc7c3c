//! Which packages run at which size.

use super::sizes::{label, range};
use super::{Figure, JOBS, Source, count};
use crate::report::cell::{Cell as Jobs, class};
use crate::report::draw::grid::{Cell, Grid, draw};
use crate::report::draw::{number, shade};
use crate::report::table::{Kind, Table};
use std::collections::BTreeMap;

/// Packages by sizes of jobs.
pub fn figure(source: &Source) -> Figure {
    let cells = &source.counts.package_sizes;
    let columns = [
        ("package", Kind::Text),
        ("nodes_from", Kind::Count),
        ("nodes_to", Kind::Count),
        ("jobs", Kind::Count),
        ("users", Kind::Count),
    ];
    let mut table = Table::new(&columns);
    let mut rows: Vec<(&str, u32, &Jobs)> =
        cells.iter().map(|((package, class), jobs)| (source.name(*package), *class, jobs)).collect();
    rows.sort_by_key(|(name, class, _)| (*name, *class));
    for (name, class, jobs) in rows {
        let (first, last) = (1_u64 << class, (2_u64 << class) - 1);
        table.push([name.into(), first.into(), last.into(), jobs.jobs.into(), jobs.users.count().into()]);
    }
    let mut packages: Vec<(u32, u64)> =
        source.counts.package_jobs.iter().map(|(package, jobs)| (*package, jobs.jobs)).collect();
    packages.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| source.name(one.0).cmp(source.name(other.0))));
    packages.truncate(source.wishes.top);
    let classes = source.counts.sizes.keys().map(|nodes| class(*nodes)).max();
    let classes: Vec<u32> = (0..=classes.unwrap_or_default()).collect();
    let mut of_class: BTreeMap<u32, u64> = BTreeMap::new();
    for (nodes, jobs) in &source.counts.sizes {
        *of_class.entry(class(*nodes)).or_default() += jobs.jobs;
    }
    let greatest = cells.values().map(|jobs| jobs.jobs).max().unwrap_or(1);
    // On a logarithmic scale, as the sizes are.
    let level = |jobs: u64, most: u64| (jobs as f64 + 1.0).log10() / (most as f64 + 1.0).log10();
    let drawn = packages.iter().map(|(package, _)| {
        let row = classes.iter().map(|class| match cells.get(&(*package, *class)) {
            None => Cell::Empty,
            Some(jobs) => {
                let said = format!(
                    "{}, {}: {} of {}",
                    source.name(*package),
                    range(*class),
                    count(jobs.jobs, "job"),
                    count(jobs.users.count(), "user")
                );
                Cell::Filled(shade(level(jobs.jobs, greatest)), said)
            }
        });
        row.collect()
    });
    let most_rows = packages.iter().map(|(_, jobs)| *jobs).max().unwrap_or(1);
    let most_columns = of_class.values().copied().max().unwrap_or(1);
    let beside = packages.iter().map(|(package, jobs)| {
        (level(*jobs, most_rows), format!("{}: {}", source.name(*package), count(*jobs, "job")))
    });
    let above = classes.iter().map(|class| {
        let jobs = of_class.get(class).copied().unwrap_or_default();
        (level(jobs, most_columns), format!("{}: {}", range(*class), count(jobs, "job")))
    });
    let title = "Packages by size of job";
    let grid = Grid {
        title,
        across: "nodes of the job: so many, to below the next",
        rows: packages.iter().map(|(package, _)| source.name(*package).to_string()).collect(),
        columns: classes.iter().map(|class| label(*class)).collect(),
        slanted: false,
        cells: drawn.collect(),
        margins: Some((beside.collect(), above.collect())),
        legend: legend(greatest, level),
        unit: "jobs",
    };
    Figure {
        key: "package-sizes".to_string(),
        title: title.to_string(),
        text: format!(
            "Jobs by the package they loaded and the nodes they had; each job once a package. Of {JOBS}. Colours and both margins are logarithmic: at the right all jobs of a package, above all jobs of a size."
        ),
        drawing: (!packages.is_empty()).then(|| draw(&grid)),
        table,
    }
}

fn legend(greatest: u64, level: impl Fn(u64, u64) -> f64) -> Vec<(String, String)> {
    let decades = (0..).map(|power| 10_u64.pow(power)).take_while(|jobs| *jobs <= greatest);
    decades.map(|jobs| (shade(level(jobs, greatest)), number(jobs as f64))).collect()
}
