//! Periods that reports are made of.

use anyhow::{Result, ensure};
use chrono::{Datelike, Months, NaiveDate};
use std::ops::Range;

/// How a range is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// Calendar months
    Month,
    /// Quarters of the year
    Quarter,
    /// Calendar years
    Year,
}

/// Days, the first and the last among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    pub name: String,
    pub from: NaiveDate,
    pub to: NaiveDate,
}

impl By {
    fn months(self) -> u32 {
        match self {
            By::Month => 1,
            By::Quarter => 3,
            By::Year => 12,
        }
    }

    /// The first day of the one that a day is in, and its name.
    fn of(self, day: NaiveDate) -> (NaiveDate, String) {
        let month = day.month0() / self.months() * self.months();
        let first = NaiveDate::from_ymd_opt(day.year(), month + 1, 1).unwrap_or(day);
        let name = match self {
            By::Month => format!("{:04}-{:02}", day.year(), month + 1),
            By::Quarter => format!("{:04}-Q{}", day.year(), month / 3 + 1),
            By::Year => format!("{:04}", day.year()),
        };
        (first, name)
    }
}

impl Period {
    /// All of these days.
    pub fn whole(from: NaiveDate, to: NaiveDate) -> Result<Self> {
        ensure!(from <= to, "--from {from} comes after --to {to}");
        Ok(Period { name: format!("{from} to {to}"), from, to })
    }

    /// Whole calendar months. An end that was asked for has to be one of a month.
    pub fn of_months(from: NaiveDate, to: NaiveDate, is_from_asked: bool, is_to_asked: bool) -> Result<Self> {
        let (first, _) = By::Month.of(from);
        let next = By::Month.of(to).0.checked_add_months(Months::new(1));
        let last = next.and_then(|next| next.pred_opt()).unwrap_or(to);
        let whole = "with --min-users everything is counted by whole months";
        ensure!(!is_from_asked || first == from, "--from {from}: {whole}; write {first}");
        ensure!(!is_to_asked || last == to, "--to {to}: {whole}; write {last}");
        Period::whole(first, last)
    }

    /// Its parts, in order. The first and the last are cut off where it ends.
    pub fn cut(&self, by: By) -> Vec<Period> {
        let mut parts = Vec::new();
        let mut day = self.from;
        while day <= self.to {
            let (first, name) = by.of(day);
            let Some(next) = first.checked_add_months(Months::new(by.months())) else { break };
            let last = next.pred_opt().unwrap_or(next).min(self.to);
            parts.push(Period { name, from: day, to: last });
            day = next;
        }
        parts
    }

    /// The days that two periods have in common, by the name of this one.
    pub fn common(&self, other: &Period) -> Option<Period> {
        let (from, to) = (self.from.max(other.from), self.to.min(other.to));
        (from <= to).then(|| Period { name: self.name.clone(), from, to })
    }

    /// Which of some rows are in it, by their date in days since 1970; rows are sorted by it.
    pub fn rows<T>(&self, rows: &[T], date: impl Fn(&T) -> i32) -> Range<usize> {
        let first = rows.partition_point(|row| date(row) < self.from.to_epoch_days());
        first..rows.partition_point(|row| date(row) <= self.to.to_epoch_days())
    }
}

#[cfg(test)]
mod tests {
    use super::{By, Period};

    #[test]
    fn a_range_is_cut_into_calendar_periods_and_its_ends_stay() {
        let day = |text: &str| text.parse().unwrap();
        let whole = Period::whole(day("2025-11-15"), day("2026-02-03")).unwrap();
        let names = |by| {
            whole.cut(by).iter().map(|part| format!("{} {} {}", part.name, part.from, part.to)).collect::<Vec<_>>()
        };
        assert_eq!(names(By::Year), ["2025 2025-11-15 2025-12-31", "2026 2026-01-01 2026-02-03"]);
        assert_eq!(names(By::Quarter), ["2025-Q4 2025-11-15 2025-12-31", "2026-Q1 2026-01-01 2026-02-03"]);
        assert_eq!(names(By::Month).len(), 4);
    }
}
