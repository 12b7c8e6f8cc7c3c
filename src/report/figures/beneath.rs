//! What lies beneath users' packages: where their Pythons come from, and shared libraries.

use super::{Figure, JOBS, Source, count, percent, share};
use crate::report::cell::{Cell, Users};
use crate::report::draw::bars::{Axis, Bar, draw};
use crate::report::draw::number;
use crate::report::table::{Kind, Table};
use std::collections::BTreeMap;

/// Users and jobs by class of environment.
pub fn environments(source: &Source) -> Figure {
    let counts = source.counts;
    let named = |class: u32| source.text(class);
    let (table, bars) =
        users_and_jobs(source, "environment", named, &counts.environment_users, &counts.environment_jobs);
    let title = "Where Python comes from";
    let axis = Axis { title, unit: "unique users", most: None, parts: None };
    Figure {
        key: "environments".to_string(),
        title: title.to_string(),
        text: format!(
            "By the prefix of the interpreter: the centre's own module, conda, venv, spack, the operating system's, in a container. Who uses several counts in each, so shares add up to more than 100 %. Users: all {}; jobs: {JOBS}.",
            number(counts.users.count() as f64)
        ),
        drawing: (!bars.is_empty()).then(|| draw(&axis, &bars)),
        table,
    }
}

/// Users and jobs by native library.
pub fn libraries(source: &Source) -> Figure {
    let counts = source.counts;
    let named = |library: u32| source.name(library);
    let (table, mut bars) = users_and_jobs(source, "library", named, &counts.libraries, &counts.package_jobs);
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

/// Both by name, the one with most users first.
fn users_and_jobs<'a>(
    source: &Source,
    column: &'static str,
    named: impl Fn(u32) -> &'a str,
    users: &BTreeMap<u32, Users>,
    jobs: &BTreeMap<u32, Cell>,
) -> (Table, Vec<Bar>) {
    let (all_users, all_jobs) = (source.counts.users.count(), source.counts.jobs.jobs);
    let row =
        |(number, users): (&u32, &Users)| (named(*number), users.count(), jobs.get(number).map_or(0, |cell| cell.jobs));
    let mut rows: Vec<(&str, u64, u64)> = users.iter().map(row).collect();
    rows.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
    let mut table = Table::new(&[
        (column, Kind::Text),
        ("users", Kind::Count),
        ("share_of_users", Kind::Real),
        ("jobs", Kind::Count),
        ("share_of_jobs", Kind::Real),
    ]);
    let mut bars = Vec::new();
    for (name, users, jobs) in rows {
        let (of_users, of_jobs) = (share(users, all_users), share(jobs, all_jobs));
        table.push([name.into(), users.into(), of_users.into(), jobs.into(), of_jobs.into()]);
        bars.push(Bar {
            label: name.to_string(),
            value: users as f64,
            note: match jobs {
                0 if source.counts.is_protected => percent(of_users),
                _ => format!("{} · {} of jobs", percent(of_users), percent(of_jobs)),
            },
            said: match jobs {
                0 if source.counts.is_protected => format!("{name}: {}", count(users, "user")),
                _ => format!("{name}: {} and {}", count(users, "user"), count(jobs, "job")),
            },
            ..Bar::default()
        });
    }
    (table, bars)
}
