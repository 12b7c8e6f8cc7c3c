//! A question and its answer: a period, filters, and the figures that are drawn of them.

use super::accounting::Accounting;
use super::counts::Counts;
use super::figures::{self, Figure, Source, Wishes};
use super::model::Model;
use super::period::{By, Period};
use super::select::{Asked, Selection};
use crate::cli::Wish;
use crate::share::Share;
use crate::site;
use anyhow::{Context, Result, bail, ensure};
use chrono::NaiveDate;
use clap::Args;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// What is asked.
#[derive(Args, Clone, Debug, Default)]
pub struct Question {
    /// From this day on [default: the first there is]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub from: Option<NaiveDate>,
    /// Up to this day [default: the last there is]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub to: Option<NaiveDate>,
    #[command(flatten)]
    pub asked: Asked,
    /// Show nothing that is of fewer users, nor lets it be had by subtraction: for publishing
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..))]
    pub min_users: Option<u64>,
}

/// What is to be seen.
pub struct Answer {
    pub figures: Vec<Figure>,
    pub counts: Counts,
}

impl Question {
    /// The days that are asked for, of those that there are; or what is wrong with the question.
    pub fn period(&self, model: &Model) -> Result<Period> {
        let first = self.from.or_else(|| model.days.keys().next().copied());
        let last = self.to.or_else(|| model.days.keys().next_back().copied());
        let (Some(first), Some(last)) = (first, last) else {
            bail!(
                "the tables have no days in this time: see which with `ls TABLES/jobs`, or make them with `customs reduce`"
            );
        };
        for (option, names) in self.asked.names() {
            for name in names {
                ensure!(model.texts.has(name), "--{option} {name}: the tables have no such name in this time");
            }
        }
        match self.min_users {
            Some(_) => Period::of_months(first, last, self.from.is_some(), self.to.is_some()),
            None => Period::whole(first, last),
        }
    }

    /// The figures of a period.
    pub fn answer(&self, model: &Model, period: &Period, wishes: &Wishes) -> Answer {
        let selection = Selection::new(&self.asked, model);
        let (counts, months) = match self.min_users {
            Some(least) => {
                let months = Counts::published(model, &selection, period.cut(By::Month), least);
                let counts = Counts::together(months.iter().map(|(_, counts)| counts));
                (counts, months.into_iter().map(|(month, counts)| (month, counts.brief())).collect())
            }
            None => Counts::of(model, &selection, period),
        };
        let days = model.days.range(period.from..=period.to).map(|(_, day)| day).collect();
        let figures = figures::all(&Source { model, period, counts: &counts, months: &months, wishes }, days);
        Answer { figures, counts }
    }

    /// In words, what was asked beside the period.
    pub fn about(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (what, names) in self.asked.names().into_iter().filter(|(_, names)| !names.is_empty()) {
            lines.push(format!("Only {what} {}.", names.join(", ")));
        }
        for (what, which) in [("staff", self.asked.staff), ("what ran outside of compute nodes", self.asked.login)] {
            if let Some(which) = which {
                lines.push(format!("In all figures: {} {what}.", which.word()));
            }
        }
        if let Some(least) = self.min_users {
            lines.push(format!(
                "Fit to be published: no number is of fewer than {least} users, nor can one be had by subtraction. Everything is counted by calendar months, and a longer period is the sum of what its months may show; a job that went on from one month to the next counts in both. Numbers of users are rounded to multiples of {least}; sizes are in classes that double."
            ));
        }
        lines
    }
}

impl Wishes {
    /// As they were typed.
    pub fn of(wish: &Wish) -> Result<Self> {
        let clip = match wish.clip.as_slice() {
            [low, high] if low < high && *low >= -1.0 && *high <= 1.0 => (*low, *high),
            _ => bail!("--clip takes two numbers from -1 to 1, the lower one first, such as --clip 0.6 0.8"),
        };
        Ok(Wishes {
            top: usize::from(wish.top),
            clip,
            packages: wish.package.clone(),
            total_users: wish.total_users,
            accounting: wish.sacct.as_deref().map(Accounting::read).transpose()?,
            canary_loss: wish.canaries.as_deref().map(canary_loss).transpose()?,
            listed: site::shipped_packages()?.into_iter().map(|(name, _)| name).collect(),
        })
    }
}

/// What `customs canary reconcile --json` has found.
fn canary_loss(file: &Path) -> Result<Share> {
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let said: Value = serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", file.display()))?;
    let number = |key: &str| said.get(key).and_then(Value::as_f64);
    let share = || Some(Share { observed: number("loss")?, low: number("loss_low")?, high: number("loss_high")? });
    share().with_context(|| format!("{} has no loss: write it with `customs canary reconcile --json`", file.display()))
}
