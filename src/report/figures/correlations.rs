//! Which packages are loaded by the same jobs.

use super::{Figure, JOBS, Source, count};
use crate::report::draw::diverging;
use crate::report::draw::grid::{Cell, Grid, draw};
use crate::report::table::{Kind, Table, Value};

/// Packages that the heat map has room for.
const SHOWN: usize = 32;

/// Pearson's coefficient of two properties that each of `all` jobs has or has not. Undefined where one of them is in all
/// jobs, or in none.
pub fn pearson(all: u64, one: u64, other: u64, both: u64) -> Option<f64> {
    let [n, a, b, ab] = [all, one, other, both].map(|count| count as f64);
    let spread = a * (n - a) * b * (n - b);
    (spread > 0.0).then(|| (n * ab - a * b) / spread.sqrt())
}

/// The heat map.
pub fn figure(source: &Source) -> Figure {
    let all = source.counts.jobs.jobs;
    let pair = |one: (u32, u64), other: (u32, u64)| source.counts.pair(one.0, other.0);
    let coefficient = |one, other| pair(one, other).and_then(|[both, one, other, all]| pearson(all, one, other, both));
    let mut packages: Vec<(u32, u64)> =
        source.counts.package_jobs.iter().map(|(package, cell)| (*package, cell.jobs)).collect();
    packages.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| source.name(one.0).cmp(source.name(other.0))));
    let columns = [
        ("package", Kind::Text),
        ("other", Kind::Text),
        ("jobs", Kind::Count),
        ("jobs_of_package", Kind::Count),
        ("jobs_of_other", Kind::Count),
        ("correlation", Kind::Real),
    ];
    let mut table = Table::new(&columns);
    let mut strongest = vec![0.0_f64; packages.len()];
    for (at, one) in packages.iter().enumerate() {
        for (place, other) in packages.iter().enumerate().skip(at + 1) {
            let Some([both, of_one, of_other, all]) = pair(*one, *other) else { continue };
            let coefficient = pearson(all, of_one, of_other, both);
            for place in [at, place] {
                strongest[place] = coefficient.map_or(strongest[place], |value| strongest[place].max(value));
            }
            let value: Value = coefficient.into();
            // Those that never meet are told from the rest by being absent, but for what is undefined.
            if both > 0 || value == Value::Missing {
                let (one, other) = (source.name(one.0), source.name(other.0));
                table.push([one.into(), other.into(), both.into(), of_one.into(), of_other.into(), value]);
            }
        }
    }
    // Shown are those that have to do with each other, above all; then the most used.
    let (low, high) = source.wishes.clip;
    let enough = (all / 1000).max(2);
    let mut shown: Vec<(u32, u64, f64)> = packages
        .iter()
        .zip(strongest)
        .filter(|((_, jobs), _)| *jobs >= enough)
        .map(|((package, jobs), strongest)| (*package, *jobs, strongest))
        .collect();
    shown.sort_by(|one, other| (other.2 >= low).cmp(&(one.2 >= low)).then(other.1.cmp(&one.1)));
    shown.truncate(SHOWN);
    let shown: Vec<(u32, u64)> = shown.into_iter().map(|(package, jobs, _)| (package, jobs)).collect();
    let ordered = clustered(&shown, |one, other| coefficient(one, other).unwrap_or(0.0));
    let cells = ordered.iter().enumerate().map(|(row, one)| {
        let cells = ordered.iter().enumerate().map(|(column, other)| {
            let names = format!("{} and {}", source.name(one.0), source.name(other.0));
            if row == column {
                let said = format!("{}: {}", source.name(one.0), count(one.1, "job"));
                return Cell::Filled("#8888".to_string(), said);
            }
            let Some([both, of_one, of_other, all]) = pair(*one, *other) else { return Cell::Empty };
            match pearson(all, of_one, of_other, both) {
                None => Cell::Undefined(format!("{names}: undefined, because one is in all jobs")),
                Some(value) if value < low => Cell::Empty,
                Some(value) => {
                    let said = format!("{names}: {value:.2}, {} with both", count(both, "job"));
                    Cell::Filled(colour(value, low, high), said)
                }
            }
        });
        cells.collect()
    });
    let title = "Packages loaded by the same jobs";
    let names: Vec<String> = ordered.iter().map(|(package, _)| source.name(*package).to_string()).collect();
    let steps = (0..=4).map(|step| low + (high - low) * f64::from(step) / 4.0);
    let legend =
        steps.map(|value| (colour(value, low, high), format!("{value:.2}{}", if value >= high { " up" } else { "" })));
    let grid = Grid {
        title,
        across: "",
        columns: names.clone(),
        rows: names,
        slanted: true,
        cells: cells.collect(),
        margins: None,
        legend: legend.collect(),
        unit: "Pearson correlation",
    };
    Figure {
        key: "correlations".to_string(),
        title: title.to_string(),
        text: format!(
            "Pearson correlation of packages within jobs; of {JOBS}. Below {low} a cell is left blank. A dashed cell is undefined: one of the two is in every job. Shown are up to {SHOWN} packages in at least {}, ordered so that those that belong together stand together; the numbers have all pairs that were met.",
            count(enough, "job")
        ),
        drawing: (ordered.len() > 1).then(|| draw(&grid)),
        table,
    }
}

/// From light at the lower end to dark at the upper one. Where both signs are shown, 0 is grey.
fn colour(value: f64, low: f64, high: f64) -> String {
    if low < 0.0 {
        return diverging(value / if value < 0.0 { -low } else { high }.max(1e-9));
    }
    let share = ((value - low) / (high - low).max(1e-9)).clamp(0.0, 1.0);
    diverging(0.25 + 0.75 * share)
}

/// An order in which neighbours are alike: groups are joined by the average of their coefficients, the most alike first,
/// and stand side by side, the ends that are most alike together.
fn clustered(packages: &[(u32, u64)], alike: impl Fn((u32, u64), (u32, u64)) -> f64) -> Vec<(u32, u64)> {
    let mut groups: Vec<Vec<(u32, u64)>> = packages.iter().map(|package| vec![*package]).collect();
    let average = |one: &[(u32, u64)], other: &[(u32, u64)]| {
        let sum: f64 = one.iter().flat_map(|a| other.iter().map(|b| alike(*a, *b))).sum();
        sum / (one.len() * other.len()) as f64
    };
    while groups.len() > 1 {
        let mut best = (0, 1, f64::NEG_INFINITY);
        for one in 0..groups.len() {
            for other in one + 1..groups.len() {
                let value = average(&groups[one], &groups[other]);
                if value > best.2 {
                    best = (one, other, value);
                }
            }
        }
        let mut right = groups.remove(best.1);
        let left = &mut groups[best.0];
        let meet = |left: &[(u32, u64)], right: &[(u32, u64)]| match (left.last(), right.first()) {
            (Some(one), Some(other)) => alike(*one, *other),
            _ => 0.0,
        };
        let mut turned = left.clone();
        turned.reverse();
        if meet(&turned, &right) > meet(left, &right) {
            *left = turned;
        }
        let mut turned = right.clone();
        turned.reverse();
        if meet(left, &turned) > meet(left, &right) {
            right = turned;
        }
        left.extend(right);
    }
    groups.pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{clustered, colour, pearson};
    use crate::report::draw::diverging;

    #[test]
    fn the_coefficient_is_pearsons_and_undefined_where_nothing_varies() {
        // Of 10 jobs 4 have one, 5 the other, 3 both: cov = 0.3 - 0.2, sd = sqrt(0.24) and 0.5.
        let value = pearson(10, 4, 5, 3).unwrap();
        assert!((value - 0.1 / (0.24_f64.sqrt() * 0.5)).abs() < 1e-12);
        assert_eq!(pearson(10, 5, 5, 5), Some(1.0));
        assert_eq!(pearson(10, 5, 5, 0), Some(-1.0));
        assert_eq!([pearson(10, 10, 5, 5), pearson(10, 0, 5, 0), pearson(0, 0, 0, 0)], [None; 3]);
    }

    #[test]
    fn nothing_in_common_is_grey_where_both_signs_are_shown() {
        let of = |values: [f64; 3], low, high| values.map(|value| colour(value, low, high));
        assert_eq!(of([-0.5, 0.0, 0.8], -0.5, 0.8), [-1.0, 0.0, 1.0].map(diverging));
        assert_eq!(of([0.6, 0.7, 0.9], 0.6, 0.8), [0.25, 0.625, 1.0].map(diverging));
    }

    #[test]
    fn what_is_alike_stands_together() {
        let alike = |one: (u32, u64), other: (u32, u64)| if one.0 % 2 == other.0 % 2 { 0.9 } else { 0.1 };
        let ordered = clustered(&[(1, 0), (2, 0), (3, 0), (4, 0)], alike);
        let parity: Vec<u32> = ordered.iter().map(|(number, _)| number % 2).collect();
        assert!(parity == [0, 0, 1, 1] || parity == [1, 1, 0, 0], "{ordered:?}");
    }
}
