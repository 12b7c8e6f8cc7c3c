//! Who knows that they use a package: what a user's own code binds, and what came along with something else.

use super::{Figure, Source, count, percent, share};
use crate::report::cell::{Cell, Users};
use crate::report::draw::bars::{Axis, Bar, draw};
use crate::report::table::{Kind, Table};
use std::collections::BTreeMap;

/// Users who import a package themselves, of all who load it.
pub fn figure(source: &Source) -> Figure {
    let counts = source.counts;
    let mut ranked: Vec<(u32, u64, u64)> = counts
        .package_users
        .iter()
        .map(|(name, users)| (*name, users.count(), counts.direct_users.get(name).map_or(0, Users::count)))
        .collect();
    ranked.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| source.name(one.0).cmp(source.name(other.0))));
    let columns = [
        ("package", Kind::Text),
        ("users", Kind::Count),
        ("direct_users", Kind::Count),
        ("share_direct", Kind::Real),
        ("jobs", Kind::Count),
        ("direct_jobs", Kind::Count),
    ];
    let mut table = Table::new(&columns);
    let mut bars = Vec::new();
    for (package, users, direct) in &ranked {
        let name = source.name(*package);
        let jobs = |of: &BTreeMap<u32, Cell>| of.get(package).map_or(0, |cell| cell.jobs);
        table.push([
            name.into(),
            (*users).into(),
            (*direct).into(),
            share(*direct, *users).into(),
            jobs(&counts.package_jobs).into(),
            jobs(&counts.direct_jobs).into(),
        ]);
        if counts.is_protected && *direct == 0 {
            continue; // how many is not to be told
        }
        bars.push(Bar {
            label: name.to_string(),
            value: *users as f64,
            part: Some(*direct as f64),
            note: format!("{} direct", percent(share(*direct, *users))),
            said: format!("{name}: {}, of whom {direct} import it themselves", count(*users, "user")),
            ..Bar::default()
        });
    }
    bars.truncate(source.wishes.top);
    let title = "Imported directly, or by another package";
    let parts = Some(("import it themselves", "have it through another package only"));
    let axis = Axis { title, unit: "unique users", most: None, parts };
    Figure {
        key: "direct".to_string(),
        title: title.to_string(),
        text: "Users of a package whose own code binds it at least once, and those who only ever had it because something else imported it: \u{201c}I am not aware to have used Dask\u{201d}. A lower bound for the first: it cannot be seen at every ending.".to_string(),
        drawing: (!bars.is_empty()).then(|| draw(&axis, &bars)),
        table,
    }
}
