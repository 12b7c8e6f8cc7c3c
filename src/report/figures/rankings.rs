//! The packages that most users, most jobs and most node-hours have.

use super::{Figure, JOBS, Source, count, percent, share};
use crate::report::draw::bars::{Axis, Bar, draw};
use crate::report::draw::number;
use crate::report::table::{Kind, Table};

/// By users, by jobs, by node-hours.
pub fn figures(source: &Source) -> Vec<Figure> {
    vec![by_users(source), by_jobs(source), by_node_hours(source)]
}

fn by_users(source: &Source) -> Figure {
    let all = source.counts.users.count();
    let mut ranked: Vec<(&str, u64)> =
        source.counts.package_users.iter().map(|(name, users)| (source.name(*name), users.count())).collect();
    ranked.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
    let mut table =
        Table::new(&[("rank", Kind::Count), ("package", Kind::Text), ("users", Kind::Count), ("share", Kind::Real)]);
    for (at, (name, users)) in ranked.iter().enumerate() {
        table.push([(at as u64 + 1).into(), (*name).into(), (*users).into(), share(*users, all).into()]);
    }
    let bars: Vec<Bar> = ranked
        .iter()
        .take(source.wishes.top)
        .map(|(name, users)| Bar {
            label: name.to_string(),
            value: *users as f64,
            note: format!("{} · {}", number(*users as f64), percent(share(*users, all))),
            said: format!(
                "{name}: {}, {} of {}",
                count(*users, "user"),
                percent(share(*users, all)),
                number(all as f64)
            ),
            ..Bar::default()
        })
        .collect();
    let title = "Packages by unique users";
    let axis = Axis { title, unit: "unique users", most: None, parts: None };
    Figure {
        key: "top-users".to_string(),
        title: title.to_string(),
        text: format!(
            "Users who loaded a package at least once, anywhere on the system: in jobs, on login nodes, in Jupyter. Shares are of the {} who ran Python.",
            count(all, "user")
        ),
        drawing: (!bars.is_empty()).then(|| draw(&axis, &bars)),
        table,
    }
}

fn by_jobs(source: &Source) -> Figure {
    let all = source.counts.jobs.jobs;
    let mut ranked: Vec<(&str, u64, u64)> = source
        .counts
        .package_jobs
        .iter()
        .map(|(name, cell)| (source.name(*name), cell.jobs, cell.users.count()))
        .collect();
    ranked.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
    let columns = [
        ("rank", Kind::Count),
        ("package", Kind::Text),
        ("jobs", Kind::Count),
        ("share", Kind::Real),
        ("users", Kind::Count),
    ];
    let mut table = Table::new(&columns);
    for (at, (name, jobs, users)) in ranked.iter().enumerate() {
        table.push([(at as u64 + 1).into(), (*name).into(), (*jobs).into(), share(*jobs, all).into(), (*users).into()]);
    }
    let bars: Vec<Bar> = ranked
        .iter()
        .take(source.wishes.top)
        .map(|(name, jobs, users)| Bar {
            label: name.to_string(),
            value: *jobs as f64,
            note: format!("{} · {}", number(*jobs as f64), percent(share(*jobs, all))),
            said: format!(
                "{name}: {} of {}, {} of all",
                count(*jobs, "job"),
                count(*users, "user"),
                percent(share(*jobs, all))
            ),
            ..Bar::default()
        })
        .collect();
    let title = "Packages by jobs";
    let axis = Axis { title, unit: "jobs", most: None, parts: None };
    Figure {
        key: "top-jobs".to_string(),
        title: title.to_string(),
        text: format!(
            "Of {} {JOBS}. A job counts once for each package, however many of its processes loaded it.",
            number(all as f64)
        ),
        drawing: (!bars.is_empty()).then(|| draw(&axis, &bars)),
        table,
    }
}

fn by_node_hours(source: &Source) -> Figure {
    let all = source.counts.jobs.node_hours();
    let mut ranked: Vec<(&str, f64, u64)> = source
        .counts
        .package_jobs
        .iter()
        .map(|(name, cell)| (source.name(*name), cell.node_hours(), cell.users.count()))
        .collect();
    ranked.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(other.0)));
    let columns = [
        ("rank", Kind::Count),
        ("package", Kind::Text),
        ("node_hours", Kind::Real),
        ("share", Kind::Real),
        ("users", Kind::Count),
    ];
    let mut table = Table::new(&columns);
    for (at, (name, hours, users)) in ranked.iter().enumerate() {
        table.push([(at as u64 + 1).into(), (*name).into(), (*hours).into(), (hours / all).into(), (*users).into()]);
    }
    let bars: Vec<Bar> = ranked
        .iter()
        .take(source.wishes.top)
        .map(|(name, hours, _)| Bar {
            label: name.to_string(),
            value: *hours,
            note: format!("{} · {}", number(hours.round()), percent(hours / all)),
            said: format!("{name}: about {} node-hours, {} of all", number(hours.round()), percent(hours / all)),
            ..Bar::default()
        })
        .collect();
    let title = "Packages by node-hours (approximate)";
    let axis = Axis { title, unit: "node-hours, approximate", most: None, parts: None };
    Figure {
        key: "top-node-hours".to_string(),
        title: title.to_string(),
        text: format!(
            "Nodes of a job times the hours between the start of its first reported process and the end of its last; of {JOBS}. Approximate: what a job did before and after its Python is not known."
        ),
        drawing: (!bars.is_empty()).then(|| draw(&axis, &bars)),
        table,
    }
}
