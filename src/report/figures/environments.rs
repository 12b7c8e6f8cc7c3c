//! Where users' Pythons come from.

use super::{Figure, JOBS, Source, count, percent, share};
use crate::report::draw::bars::{Axis, Bar, draw};
use crate::report::draw::number;
use crate::report::table::{Kind, Table};

/// Users and jobs by class of environment.
pub fn figure(source: &Source) -> Figure {
    let counts = source.counts;
    let (users, jobs) = (counts.users.count(), counts.jobs.jobs);
    let mut classes: Vec<(u32, u64, u64)> = counts
        .environment_users
        .iter()
        .map(|(class, users)| (*class, users.count(), counts.environment_jobs.get(class).map_or(0, |cell| cell.jobs)))
        .collect();
    classes.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| source.text(one.0).cmp(source.text(other.0))));
    let columns = [
        ("environment", Kind::Text),
        ("users", Kind::Count),
        ("share_of_users", Kind::Real),
        ("jobs", Kind::Count),
        ("share_of_jobs", Kind::Real),
    ];
    let mut table = Table::new(&columns);
    let mut bars = Vec::new();
    for (class, own, of_jobs) in &classes {
        let name = source.text(*class);
        table.push([
            name.into(),
            (*own).into(),
            share(*own, users).into(),
            (*of_jobs).into(),
            share(*of_jobs, jobs).into(),
        ]);
        bars.push(Bar {
            label: name.to_string(),
            value: *own as f64,
            note: format!("{} · {} of jobs", percent(share(*own, users)), percent(share(*of_jobs, jobs))),
            said: format!("{name}: {} and {}", count(*own, "user"), count(*of_jobs, "job")),
            ..Bar::default()
        });
    }
    let title = "Where Python comes from";
    let axis = Axis { title, unit: "unique users", most: None, parts: None };
    Figure {
        key: "environments".to_string(),
        title: title.to_string(),
        text: format!(
            "By the prefix of the interpreter: the centre's own module, conda, venv, spack, the operating system's, in a container. Who uses several counts in each, so shares add up to more than 100 %. Users: all {}; jobs: {JOBS}.",
            number(users as f64)
        ),
        drawing: (!bars.is_empty()).then(|| draw(&axis, &bars)),
        table,
    }
}
