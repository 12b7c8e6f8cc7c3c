//! Shared libraries that lie beneath packages.

use super::{Figure, Source, count, percent, share};
use crate::report::draw::bars::{Axis, Bar, draw};
use crate::report::table::{Kind, Table};

/// Users and jobs by native library.
pub fn figure(source: &Source) -> Figure {
    let counts = source.counts;
    let (all, jobs) = (counts.users.count(), counts.jobs.jobs);
    let mut ranked: Vec<(u32, u64, u64)> = counts
        .libraries
        .iter()
        .map(|(name, users)| (*name, users.count(), counts.package_jobs.get(name).map_or(0, |cell| cell.jobs)))
        .collect();
    ranked.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| source.name(one.0).cmp(source.name(other.0))));
    let columns = [
        ("library", Kind::Text),
        ("users", Kind::Count),
        ("share_of_users", Kind::Real),
        ("jobs", Kind::Count),
        ("share_of_jobs", Kind::Real),
    ];
    let mut table = Table::new(&columns);
    let mut bars = Vec::new();
    for (library, users, of_jobs) in &ranked {
        let name = source.name(*library);
        table.push([
            name.into(),
            (*users).into(),
            share(*users, all).into(),
            (*of_jobs).into(),
            share(*of_jobs, jobs).into(),
        ]);
        bars.push(Bar {
            label: name.to_string(),
            value: *users as f64,
            note: format!("{} · {} of jobs", percent(share(*users, all)), percent(share(*of_jobs, jobs))),
            said: format!("{name}: {} and {}", count(*users, "user"), count(*of_jobs, "job")),
            ..Bar::default()
        });
    }
    bars.truncate(source.wishes.top);
    let title = "Native libraries";
    let axis = Axis { title, unit: "unique users", most: None, parts: None };
    Figure {
        key: "libraries".to_string(),
        title: title.to_string(),
        text: "Shared libraries of the list that Python processes had mapped, whatever brought them: MKL, OpenBLAS, MPI, CUDA, HDF5. Users of all of the system.".to_string(),
        drawing: (!bars.is_empty()).then(|| draw(&axis, &bars)),
        table,
    }
}
