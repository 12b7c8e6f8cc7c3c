//! What each calendar month comes to: its rows put together once, because most questions are about whole months.
//!
//! Alike rows are one with their number; rows of one job are one where no other month and no other list has any of it.

use super::join::Joiner;
use super::model::{JobKind, JobRow, Model, UserRow};
use super::parallel::side_by_side;
use super::period::{By, Period};
use chrono::NaiveDate;
use std::mem;

/// A calendar month.
pub struct Digest {
    /// Its days, as far as there are rows.
    period: Period,
    /// Its jobs, but for the others below.
    pub jobs: Vec<Alike>,
    /// The same jobs, in the order of their nodes.
    pub sizes: Vec<OfSize>,
    /// Rows of jobs that another month has as well, or several lists: their places in [`Model::jobs`].
    pub others: Vec<u32>,
    /// In the order of their users.
    pub users: Vec<Processes>,
}

/// Jobs of a kind.
#[derive(Clone, Copy)]
pub struct Alike {
    /// In [`Model::job_kinds`].
    pub kind: u32,
    pub jobs: u32,
    /// Nodes times milliseconds.
    pub node_millis: u128,
}

/// Jobs of a size that have loaded something.
#[derive(Clone, Copy)]
pub struct OfSize {
    pub num_nodes: u32,
    /// In [`Model::settings`].
    pub setting: u32,
    pub jobs: u32,
    pub node_millis: u128,
}

/// What the rows of a kind of users come to.
#[derive(Clone, Copy)]
pub struct Processes {
    /// In [`Model::user_kinds`].
    pub kind: u32,
    pub processes: u64,
    /// In ten-thousandths.
    pub weight: i64,
}

/// Some days of a period.
pub enum Part<'a> {
    /// A whole month.
    Month(&'a Digest),
    /// Rows of a month of which the period has not all days.
    Days(&'a [JobRow], &'a [UserRow]),
}

impl Model {
    /// What a period is made of, in order.
    pub fn parts(&self, period: &Period) -> impl Iterator<Item = Part<'_>> {
        self.digests.iter().filter_map(move |digest| {
            let common = digest.period.common(period)?;
            if common == digest.period {
                return Some(Part::Month(digest));
            }
            let jobs = &self.jobs[common.rows(&self.jobs, |row| row.date)];
            Some(Part::Days(jobs, &self.users[common.rows(&self.users, |row| row.date)]))
        })
    }

    /// Makes the digests: to be done when all rows are there, in order.
    ///
    /// `repeated` are the places of rows of jobs that have several.
    pub(super) fn digest(&mut self, repeated: &[u32]) {
        let ends = [self.jobs.first().map(|row| row.date), self.users.first().map(|row| row.date)];
        let first = ends.into_iter().flatten().min();
        let ends = [self.jobs.last().map(|row| row.date), self.users.last().map(|row| row.date)];
        let (Some(first), Some(last)) = (first, ends.into_iter().flatten().max()) else { return };
        let day = |date| NaiveDate::from_epoch_days(date).expect("as the tables have it, where it is a date");
        let whole = Period::whole(day(first), day(last)).expect("the last is not before the first");
        let months = whole.cut(By::Month);
        // Of each job that has several rows: the month and the list of its first, and whether all are of these.
        let mut of_one: Vec<Option<(usize, u32, bool)>> = vec![None; self.repeated + 1];
        let rows = || repeated.iter().map(|place| &self.jobs[*place as usize]);
        let mut month = 0;
        for row in rows() {
            while months[month].to.to_epoch_days() < row.date {
                month += 1;
            }
            let this = (month, self.settings.get(self.job_kinds.get(row.kind).setting).list);
            match &mut of_one[row.repeated as usize] {
                Some((month, list, is_one)) => *is_one &= (*month, *list) == this,
                first => *first = Some((this.0, this.1, true)),
            }
        }
        let is_one: Vec<bool> = of_one.into_iter().map(|job| job.is_some_and(|(.., is_one)| is_one)).collect();
        let mut joiner = Joiner::new(mem::take(&mut self.sets), mem::take(&mut self.text_sets), self.repeated);
        for row in rows().filter(|row| is_one[row.repeated as usize]) {
            let JobKind { setting, what } = self.job_kinds.get(row.kind);
            joiner.add(self.settings.get(*setting), what, row);
        }
        let joined: Vec<JobRow> = joiner
            .take()
            .into_iter()
            .map(|job| {
                let setting = self.settings.number(job.setting);
                JobRow { kind: self.job_kinds.number(JobKind { setting, what: job.what }), ..job.row }
            })
            .collect();
        // Who counts has unions of its own.
        (self.sets, self.text_sets) = (joiner.sets.without_unions(), joiner.text_sets.without_unions());
        let model = &*self;
        let kinds = model.job_kinds.all().len().max(model.user_kinds.all().len());
        let places = || vec![0; kinds.max(model.settings.all().len())];
        self.digests = side_by_side(&months, places, |month, places| {
            let range = month.rows(&model.jobs, |row| row.date);
            let among = |place: usize| repeated.partition_point(|other| (*other as usize) < place);
            let repeated = &repeated[among(range.start)..among(range.end)];
            let is_other = |place: &&u32| !is_one[model.jobs[**place as usize].repeated as usize];
            let others = repeated.iter().filter(is_other).copied().collect();
            let single = model.jobs[range].iter().filter(|row| row.repeated == 0);
            let jobs = single.chain(&joined[month.rows(&joined, |row| row.date)]);
            let users = &model.users[month.rows(&model.users, |row| row.date)];
            Digest {
                jobs: alike(jobs.clone(), places),
                sizes: sizes(model, jobs, places),
                others,
                users: processes(model, users, places),
                period: month.clone(),
            }
        });
    }
}

/// Rows put together by their kind, in the order of kinds. By the number of a kind, `places` has where it is, counted from 1;
/// it has nothing before and after.
fn together<R, T: Copy>(
    rows: impl Iterator<Item = R>,
    places: &mut [u32],
    kind: impl Fn(&R) -> u32,
    nothing: impl Fn(u32) -> T,
    add: impl Fn(&mut T, R),
) -> Vec<T> {
    let mut all: Vec<T> = Vec::new();
    for row in rows {
        let kind = kind(&row);
        let place = &mut places[kind as usize];
        if *place == 0 {
            all.push(nothing(kind));
            *place = all.len() as u32;
        }
        add(&mut all[*place as usize - 1], row);
    }
    let taken = places.iter_mut().filter(|place| **place != 0).map(mem::take);
    taken.map(|place| all[place as usize - 1]).collect()
}

/// Jobs by kind.
fn alike<'a>(rows: impl Iterator<Item = &'a JobRow>, places: &mut [u32]) -> Vec<Alike> {
    let nothing = |kind| Alike { kind, jobs: 0, node_millis: 0 };
    together(
        rows,
        places,
        |row| row.kind,
        nothing,
        |alike, row| {
            alike.jobs += 1;
            alike.node_millis += row.node_millis();
        },
    )
}

/// Processes by the kind of their users, those of a user together.
fn processes(model: &Model, rows: &[UserRow], places: &mut [u32]) -> Vec<Processes> {
    let nothing = |kind| Processes { kind, processes: 0, weight: 0 };
    let mut all = together(
        rows.iter(),
        places,
        |row| row.kind,
        nothing,
        |alike, row| {
            alike.processes += u64::from(row.processes);
            alike.weight += row.weight;
        },
    );
    all.sort_by_key(|alike| model.user_of(alike.kind));
    all
}

/// Jobs that have loaded something, by nodes and setting. `places` is by the number of a setting here.
fn sizes<'a>(model: &Model, rows: impl Iterator<Item = &'a JobRow>, places: &mut [u32]) -> Vec<OfSize> {
    let kind = |row: &JobRow| model.job_kinds.get(row.kind);
    let loaded = rows.filter(|row| kind(row).what.packages != 0);
    let mut rows: Vec<(u32, &JobRow)> = loaded.map(|row| (row.num_nodes, row)).collect();
    rows.sort_unstable_by_key(|(num_nodes, _)| *num_nodes);
    let mut all: Vec<OfSize> = Vec::new();
    for rows in rows.chunk_by(|(one, _), (other, _)| one == other) {
        let first = all.len();
        for (_, row) in rows {
            let setting = kind(row).setting;
            let place = &mut places[setting as usize];
            if *place == 0 {
                all.push(OfSize { num_nodes: row.num_nodes, setting, jobs: 0, node_millis: 0 });
                *place = all.len() as u32;
            }
            let size = &mut all[*place as usize - 1];
            size.jobs += 1;
            size.node_millis += row.node_millis();
        }
        all[first..].iter().for_each(|size| places[size.setting as usize] = 0);
    }
    all
}
