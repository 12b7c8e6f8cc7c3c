//! How large jobs are.

use super::{Figure, JOBS, Source, count};
use crate::report::cell::{Cell, class};
use crate::report::draw::columns::{Column, draw};
use crate::report::draw::number;
use crate::report::table::{Kind, Table};
use std::collections::BTreeMap;

/// Jobs by number of nodes.
pub fn figure(source: &Source) -> Figure {
    let mut table = Table::new(&[("nodes", Kind::Count), ("jobs", Kind::Count), ("users", Kind::Count)]);
    let mut classes: BTreeMap<u32, Cell> = BTreeMap::new();
    for (nodes, cell) in &source.counts.sizes {
        table.push([u64::from(*nodes).into(), cell.jobs.into(), cell.users.count().into()]);
        classes.entry(class(*nodes)).or_default().unite(cell);
    }
    let last = classes.keys().last().copied();
    let columns: Vec<Column> = (0..=last.unwrap_or_default())
        .map(|class| {
            let (jobs, users) = classes.get(&class).map_or((0, 0), |cell| (cell.jobs, cell.users.count()));
            let said = format!("{}: {} of {}", range(class), count(jobs, "job"), count(users, "user"));
            Column { label: label(class), value: jobs as f64, said }
        })
        .collect();
    let title = "Size of jobs";
    Figure {
        key: "job-sizes".to_string(),
        title: title.to_string(),
        text: format!(
            "{}: {JOBS}, by the nodes they had. Both scales are logarithmic; the numbers have every size.",
            number(source.counts.jobs.jobs as f64)
        ),
        drawing: last.is_some().then(|| draw(title, "nodes of the job: so many, to below the next", "jobs", &columns)),
        table,
    }
}

/// The sizes of a class, as an axis has room for them: from this one on.
pub fn label(class: u32) -> String {
    (1_u64 << class).to_string()
}

/// The sizes of a class in words.
pub fn range(class: u32) -> String {
    match class {
        0 => "1 node".to_string(),
        _ => format!("{} to {} nodes", 1_u64 << class, (2_u64 << class) - 1),
    }
}
