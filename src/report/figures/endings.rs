//! How jobs end, by package: what ran into its walltime, and what came to its own end.

use super::{Figure, JOBS, Source, count, percent, share};
use crate::report::draw::bars::{Axis, Bar, draw};
use crate::report::table::{Kind, Table};

/// Whether a process was ended from outside: by the batch system at the walltime, by the kernel, by hand.
fn is_cut(exit: &str) -> bool {
    exit == "killed" || exit.starts_with("signal:")
}

/// Jobs that were cut short, by package.
pub fn figure(source: &Source) -> Figure {
    let counts = source.counts;
    let mut table = Table::new(&[
        ("package", Kind::Text),
        ("exit", Kind::Text),
        ("jobs", Kind::Count),
        ("share", Kind::Real),
        ("users", Kind::Count),
    ]);
    let mut rows: Vec<(&str, &str, u64, f64, u64)> = counts
        .package_exits
        .iter()
        .map(|((package, exit), cell)| {
            let jobs = counts.package_jobs.get(package).map_or(0, |cell| cell.jobs);
            (source.name(*package), source.text(*exit), cell.jobs, share(cell.jobs, jobs), cell.users.count())
        })
        .collect();
    rows.extend(counts.exits.iter().map(|(exit, cell)| {
        ("", source.text(*exit), cell.jobs, share(cell.jobs, counts.jobs.jobs), cell.users.count())
    }));
    rows.sort_by(|one, other| (one.0, one.1).cmp(&(other.0, other.1)));
    for (package, exit, jobs, share, users) in rows {
        table.push([package.into(), exit.into(), jobs.into(), share.into(), users.into()]);
    }
    let mut packages: Vec<(u32, u64, u64)> = counts
        .package_jobs
        .iter()
        .map(|(package, cell)| {
            let cut =
                counts.package_exits.iter().filter(|((other, exit), _)| other == package && is_cut(source.text(*exit)));
            // A job with two such endings counts once at most: the greatest of them is what is certain.
            (*package, cell.jobs, cut.map(|(_, cell)| cell.jobs).sum::<u64>().min(cell.jobs))
        })
        .collect();
    packages.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| source.name(one.0).cmp(source.name(other.0))));
    let bars: Vec<Bar> = packages
        .iter()
        // How many is not to be told, and not none.
        .filter(|(_, _, cut)| !(counts.is_protected && *cut == 0))
        .take(source.wishes.top)
        .map(|(package, jobs, cut)| Bar {
            label: source.name(*package).to_string(),
            value: 100.0 * share(*cut, *jobs),
            note: percent(share(*cut, *jobs)),
            said: format!("{}: {} of {} were cut short", source.name(*package), cut, count(*jobs, "job")),
            ..Bar::default()
        })
        .collect();
    let title = "Jobs that were cut short";
    let axis = Axis { title, unit: "share of the package's jobs, %", most: None, parts: None };
    Figure {
        key: "endings".to_string(),
        title: title.to_string(),
        text: format!(
            "Jobs in which a process was ended by a signal (SIGTERM and SIGXCPU at the walltime, above all) or killed; the most used packages, of {JOBS}. The numbers have every ending; a job with processes that ended differently counts for each. Rows without a package are all jobs."
        ),
        drawing: (!bars.is_empty()).then(|| draw(&axis, &bars)),
        table,
    }
}
