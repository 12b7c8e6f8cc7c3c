//! The figures, one file for each question. Each takes what was counted and makes numbers and a drawing of it.

mod beneath;
mod correlations;
mod coverage;
mod direct;
mod emerging;
mod endings;
mod histogram;
mod partners;
mod rankings;
mod sizes;
mod summary;
mod trends;
mod versions;

use super::accounting::Accounting;
use super::brief::Brief;
use super::counts::Counts;
use super::model::Model;
use super::period::Period;
use super::table::{Table, Value};
use crate::share::Share;
use crate::tables::write::Day;

/// A figure.
pub struct Figure {
    /// Names its files, and its place in the page.
    pub key: String,
    pub title: String,
    /// What is counted, of whom; and what to mind.
    pub text: String,
    /// Nothing where there is nothing to draw.
    pub drawing: Option<String>,
    /// The numbers.
    pub table: Table,
}

/// What figures are made from.
pub struct Source<'a> {
    pub model: &'a Model,
    pub period: &'a Period,
    pub counts: &'a Counts,
    /// The months of the period, each counted by itself.
    pub months: &'a [(Period, Brief)],
    pub wishes: &'a Wishes,
}

/// What is wanted of them.
pub struct Wishes {
    pub top: usize,
    pub clip: (f64, f64),
    pub packages: Vec<String>,
    pub total_users: Option<u64>,
    pub canary_loss: Option<Share>,
    pub accounting: Option<Accounting>,
    /// Names that the package list has.
    pub listed: Vec<String>,
}

impl Source<'_> {
    fn name(&self, number: u32) -> &str {
        self.model.names.text(number)
    }

    fn text(&self, number: u32) -> &str {
        self.model.texts.text(number)
    }
}

/// All of them, in the order of the page.
pub fn all(source: &Source, days: Vec<&Day>) -> Vec<Figure> {
    let mut figures = vec![summary::figure(source, &days)];
    figures.extend(rankings::figures(source));
    figures.push(sizes::figure(source));
    figures.push(histogram::figure(source));
    figures.push(correlations::figure(source));
    figures.extend(partners::figures(source));
    figures.push(beneath::environments(source));
    figures.push(beneath::libraries(source));
    figures.push(direct::figure(source));
    figures.push(versions::figure(source));
    figures.push(emerging::figure(source));
    figures.push(endings::figure(source));
    figures.push(trends::figure(source));
    // Who has few jobs in the accounting may be one user, which the accounting does not say.
    if let Some(accounting) = source.wishes.accounting.as_ref().filter(|_| !source.counts.is_protected) {
        figures.push(coverage::figure(source, accounting));
    }
    for figure in &mut figures {
        untold(source, &mut figure.table);
    }
    figures
}

/// The one that goes beyond a period.
pub fn over_time(source: &Source) -> Figure {
    let mut figure = trends::figure(source);
    untold(source, &mut figure.table);
    figure
}

/// Nothing is not told from what is not to be told, where some is not.
fn untold(source: &Source, table: &mut Table) {
    if source.counts.is_protected {
        for value in table.rows.iter_mut().flatten() {
            if *value == Value::Count(0) || *value == Value::Real(0.0) {
                *value = Value::Missing;
            }
        }
    }
}

/// What a population is called in the texts.
const JOBS: &str = "compute jobs of users who are not staff in which at least one listed package was loaded";

/// A share for people.
fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.1} %", share * 100.0) } else { "undefined".to_string() }
}

/// One number over another.
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// "1 job", "2 jobs".
fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", super::draw::number(number as f64))
}
