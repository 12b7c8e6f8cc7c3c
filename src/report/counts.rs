//! What is counted of a period, before it is drawn: each number with the users it comes from.
//!
//! Rows become jobs, and jobs of one kind a lot. Lots are counted by their sets first, and each set is then counted for its
//! members: a period has far fewer different sets than jobs.

use super::cell::{Cell, Users};
use super::model::Model;
use super::period::{By, Period};
use super::protect::{Tally, protect};
use super::select::{Lot, Selection, Sorter};
use crate::words::{Quick, Sets};
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::iter;
use std::mem;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};

/// Jobs with both of two packages, and what they are to be seen beside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pair {
    pub both: u64,
    /// Jobs with the package of the smaller number, and with the other.
    pub one: u64,
    pub other: u64,
    /// All jobs.
    pub all: u64,
}

/// The numbers. Packages are by their number in the model's names, all else in its texts.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Whoever ran Python.
    pub users: Users,
    pub jupyter_users: Users,
    pub login_users: Users,
    pub compute_users: Users,
    pub subsystem_users: BTreeMap<u32, Users>,
    pub environment_users: BTreeMap<u32, Users>,
    pub package_users: BTreeMap<u32, Users>,
    pub direct_users: BTreeMap<u32, Users>,
    /// By the number of a package with its version.
    pub version_users: BTreeMap<u32, Users>,
    /// Packages that are shared libraries.
    pub libraries: BTreeMap<u32, Users>,
    pub processes: u64,
    pub weight: f64,
    /// Jobs that have loaded at least one package of the lists.
    pub jobs: Cell,
    /// And those that have loaded none.
    pub empty_jobs: Cell,
    pub jupyter_jobs: Cell,
    pub package_jobs: BTreeMap<u32, Cell>,
    /// Of these, jobs in which the user's own code binds the package.
    pub direct_jobs: BTreeMap<u32, Cell>,
    /// By nodes.
    pub sizes: BTreeMap<u32, Cell>,
    /// By package and class of nodes.
    pub package_sizes: BTreeMap<(u32, u32), Cell>,
    /// By two packages, the smaller number first.
    pub pairs: HashMap<(u32, u32), Pair, Quick>,
    pub environment_jobs: BTreeMap<u32, Cell>,
    pub exits: BTreeMap<u32, Cell>,
    pub package_exits: BTreeMap<(u32, u32), Cell>,
    /// Of the control sample: its jobs, those with a name in them, and what they stand for.
    pub sampled: Cell,
    pub sampled_names: BTreeMap<u32, Cell>,
    /// The lowest rate that a sample had.
    pub rate: f64,
    /// What is not here may have been left out, and need not be nothing.
    pub is_protected: bool,
}

/// How much is counted of jobs.
#[derive(Clone, Copy, PartialEq)]
enum Depth {
    All,
    /// What changes over time: jobs by package.
    Brief,
}

impl Counts {
    /// Counts the rows of a period, and of each of its months the users by package and version and the jobs by package.
    pub fn of(model: &Model, selection: &Selection, period: &Period) -> (Self, Vec<(Period, Self)>) {
        let months = period.cut(By::Month);
        let tasks: Vec<(&Period, Depth)> =
            iter::once((period, Depth::All)).chain(months.iter().map(|month| (month, Depth::Brief))).collect();
        let done = side_by_side(model, &tasks, |(period, depth), sorter| {
            let mut counts = Counts { rate: 1.0, ..Counts::default() };
            counts.add_rows_of_jobs(model, selection, period, *depth, sorter, None);
            if *depth == Depth::Brief {
                counts.add_users(model, selection, period);
            }
            counts
        });
        let mut done = done.into_iter();
        let mut counts = done.next().unwrap_or_default();
        let months: Vec<(Period, Counts)> = months.into_iter().zip(done).collect();
        for (_, month) in &months {
            counts.add_users_of(month);
        }
        (counts, months)
    }

    /// Counts the rows of each of some calendar months, as far as they may be published.
    pub fn published(model: &Model, selection: &Selection, months: Vec<Period>, least: u64) -> Vec<(Period, Self)> {
        let counted = side_by_side(model, &months, |month, sorter| {
            let mut tally = Tally::default();
            let mut counts = Counts { rate: 1.0, ..Counts::default() };
            counts.add_rows_of_jobs(model, selection, month, Depth::All, sorter, Some(&mut tally));
            counts.add_users(model, selection, month);
            protect(&mut counts, &tally, least);
            counts
        });
        months.into_iter().zip(counted).collect()
    }

    fn add_rows_of_jobs(
        &mut self,
        model: &Model,
        selection: &Selection,
        period: &Period,
        depth: Depth,
        sorter: &mut Sorter,
        tally: Option<&mut Tally>,
    ) {
        let rows = &model.jobs[period.rows(&model.jobs, |row| row.date)];
        let jobs = selection.jobs(model, rows, sorter);
        let Sorter { sets, text_sets, .. } = sorter;
        if let Some(tally) = tally {
            jobs.listed.iter().for_each(|lot| tally.add(lot, sets, text_sets, false));
            jobs.sampled.iter().for_each(|lot| tally.add(lot, sets, text_sets, true));
        }
        let (empty, listed): (Vec<Lot>, Vec<Lot>) = jobs.listed.into_iter().partition(|lot| lot.what.packages == 0);
        empty.iter().for_each(|lot| lot.add_to(&mut self.empty_jobs));
        self.add_jobs(&listed, sets, text_sets, depth);
        if depth == Depth::All {
            self.sizes = jobs.sizes.into_iter().collect();
        }
        for lot in &jobs.sampled {
            self.rate = self.rate.min(lot.setting.rate.get());
            lot.add_to(&mut self.sampled);
        }
        for (packages, cell) in cells(&jobs.sampled, |lot| lot.what.packages) {
            for name in sets.members(packages).iter() {
                self.sampled_names.entry(*name).or_default().unite(&cell);
            }
        }
        let of = |name: u32| self.package_jobs.get(&name).map_or(0, |cell| cell.jobs);
        for ((one, other), pair) in &mut self.pairs {
            (pair.one, pair.other, pair.all) = (of(*one), of(*other), self.jobs.jobs);
        }
    }

    /// Users that have no name to go by.
    pub fn users_mut(&mut self) -> [&mut Users; 4] {
        [&mut self.users, &mut self.jupyter_users, &mut self.login_users, &mut self.compute_users]
    }

    /// Users by what they have.
    pub fn named_users_mut(&mut self) -> [&mut BTreeMap<u32, Users>; 6] {
        [
            &mut self.subsystem_users,
            &mut self.environment_users,
            &mut self.package_users,
            &mut self.direct_users,
            &mut self.version_users,
            &mut self.libraries,
        ]
    }

    /// Jobs with both of two packages, with the one, with the other, and all of them, if that may be told.
    pub fn pair(&self, one: u32, other: u32) -> Option<[u64; 4]> {
        let jobs = |name: u32| self.package_jobs.get(&name).map_or(0, |cell| cell.jobs);
        match self.pairs.get(&(one.min(other), one.max(other))) {
            Some(pair) if one < other => Some([pair.both, pair.one, pair.other, pair.all]),
            Some(pair) => Some([pair.both, pair.other, pair.one, pair.all]),
            None => (!self.is_protected).then(|| [0, jobs(one), jobs(other), self.jobs.jobs]),
        }
    }

    /// Of several periods. A job that was in two of them counts twice.
    pub fn together<'a>(parts: impl Iterator<Item = &'a Counts>) -> Self {
        let mut all = Counts { rate: 1.0, ..Counts::default() };
        for part in parts {
            all.unite(part);
        }
        all
    }

    fn unite(&mut self, part: &Counts) {
        self.add_users_of(part);
        for (own, others) in [
            (&mut self.jobs, &part.jobs),
            (&mut self.empty_jobs, &part.empty_jobs),
            (&mut self.jupyter_jobs, &part.jupyter_jobs),
            (&mut self.sampled, &part.sampled),
        ] {
            own.unite(others);
        }
        for (own, others) in [
            (&mut self.package_jobs, &part.package_jobs),
            (&mut self.direct_jobs, &part.direct_jobs),
            (&mut self.sizes, &part.sizes),
            (&mut self.environment_jobs, &part.environment_jobs),
            (&mut self.exits, &part.exits),
            (&mut self.sampled_names, &part.sampled_names),
        ] {
            others.iter().for_each(|(name, cell)| own.entry(*name).or_default().unite(cell));
        }
        for (own, others) in
            [(&mut self.package_sizes, &part.package_sizes), (&mut self.package_exits, &part.package_exits)]
        {
            others.iter().for_each(|(name, cell)| own.entry(*name).or_default().unite(cell));
        }
        for (names, pair) in &part.pairs {
            let own = self.pairs.entry(*names).or_default();
            own.both += pair.both;
            own.one += pair.one;
            own.other += pair.other;
            own.all += pair.all;
        }
        self.rate = self.rate.min(part.rate);
        self.is_protected |= part.is_protected;
    }

    /// Adds the users of another period.
    fn add_users_of(&mut self, other: &Counts) {
        for (own, other) in [
            (&mut self.users, &other.users),
            (&mut self.jupyter_users, &other.jupyter_users),
            (&mut self.login_users, &other.login_users),
            (&mut self.compute_users, &other.compute_users),
        ] {
            own.unite(other);
        }
        for (own, other) in [
            (&mut self.subsystem_users, &other.subsystem_users),
            (&mut self.environment_users, &other.environment_users),
            (&mut self.package_users, &other.package_users),
            (&mut self.direct_users, &other.direct_users),
            (&mut self.version_users, &other.version_users),
            (&mut self.libraries, &other.libraries),
        ] {
            for (name, users) in other {
                own.entry(*name).or_default().unite(users);
            }
        }
        self.processes += other.processes;
        self.weight += other.weight;
    }

    fn add_users(&mut self, model: &Model, selection: &Selection, period: &Period) {
        let rows = &model.users[period.rows(&model.users, |row| row.date)];
        let mut kinds = Vec::new();
        let mut is_known = vec![false; model.user_kinds.all().len()];
        for row in rows.iter().filter(|row| selection.takes_user(row.kind)) {
            if !mem::replace(&mut is_known[row.kind as usize], true) {
                kinds.push(row.kind);
            }
            self.processes += u64::from(row.processes);
            self.weight += row.weight;
        }
        let mut environments = UsersOfSets::default();
        let [mut packages, mut direct, mut libraries, mut versions] = [(); 4].map(|()| UsersOfSets::default());
        for kind in kinds.into_iter().map(|kind| model.user_kinds.get(kind)) {
            let setting = model.settings.get(kind.setting);
            let user = setting.username;
            self.users.add(user);
            if setting.is_jupyter {
                self.jupyter_users.add(user);
            }
            if setting.is_compute { &mut self.compute_users } else { &mut self.login_users }.add(user);
            self.subsystem_users.entry(setting.subsystem).or_default().add(user);
            for (of_sets, set) in [
                (&mut environments, kind.environments),
                (&mut packages, kind.packages),
                (&mut direct, kind.direct),
                (&mut libraries, kind.libraries),
                (&mut versions, kind.versions),
            ] {
                of_sets.entry(set).or_default().add(user);
            }
        }
        self.environment_users = by_member(environments, &model.text_sets, model.texts.len());
        for (counted, of_sets) in [
            (&mut self.package_users, packages),
            (&mut self.direct_users, direct),
            (&mut self.libraries, libraries),
            (&mut self.version_users, versions),
        ] {
            *counted = by_member(of_sets, &model.sets, model.names.len());
        }
    }

    /// Jobs that have loaded something.
    fn add_jobs(&mut self, lots: &[Lot], sets: &Sets, text_sets: &Sets, depth: Depth) {
        for (packages, cell) in cells(lots, |lot| lot.what.packages) {
            self.jobs.unite(&cell);
            let packages = sets.members(packages);
            for (at, name) in packages.iter().enumerate() {
                self.package_jobs.entry(*name).or_default().unite(&cell);
                if depth == Depth::All {
                    for other in &packages[at + 1..] {
                        self.pairs.entry((*name, *other)).or_default().both += cell.jobs;
                    }
                }
            }
        }
        if depth == Depth::Brief {
            return;
        }
        for lot in lots.iter().filter(|lot| lot.setting.is_jupyter) {
            lot.add_to(&mut self.jupyter_jobs);
        }
        for ((packages, class), cell) in cells(lots, |lot| (lot.what.packages, lot.what.class)) {
            for name in sets.members(packages).iter() {
                self.package_sizes.entry((*name, class)).or_default().unite(&cell);
            }
        }
        for ((packages, direct), cell) in cells(lots, |lot| (lot.what.packages, lot.what.direct)) {
            let direct = sets.members(direct);
            for name in sets.members(packages).iter().filter(|name| direct.binary_search(name).is_ok()) {
                self.direct_jobs.entry(*name).or_default().unite(&cell);
            }
        }
        for (environments, cell) in cells(lots, |lot| lot.what.environments) {
            for class in text_sets.members(environments).iter() {
                self.environment_jobs.entry(*class).or_default().unite(&cell);
            }
        }
        for ((packages, exits), cell) in cells(lots, |lot| (lot.what.packages, lot.what.exits)) {
            for exit in text_sets.members(exits).iter() {
                self.exits.entry(*exit).or_default().unite(&cell);
                for name in sets.members(packages).iter() {
                    self.package_exits.entry((*name, *exit)).or_default().unite(&cell);
                }
            }
        }
    }
}

impl Lot {
    fn add_to(&self, cell: &mut Cell) {
        cell.add(self.setting.username, self.jobs, self.node_millis);
    }
}

/// Does each of some tasks, on all processors; what they come to, in order.
fn side_by_side<T: Sync, R: Send>(model: &Model, tasks: &[T], work: impl Fn(&T, &mut Sorter) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let until_done = || {
        let mut sorter = Sorter::new(model);
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(task) = tasks.get(number) else { return done };
            done.push((number, work(task, &mut sorter)));
        }
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(tasks.len());
        let threads: Vec<ScopedJoinHandle<_>> = (0..threads).map(|_| scope.spawn(until_done)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

/// By the number of a set.
type UsersOfSets = HashMap<u32, Users, Quick>;

/// By what is in the sets, of so many members that there are.
fn by_member(of_sets: UsersOfSets, sets: &Sets, members: usize) -> BTreeMap<u32, Users> {
    let mut all = vec![Users::default(); members];
    for (set, users) in of_sets {
        for member in sets.members(set).iter() {
            all[*member as usize].unite(&users);
        }
    }
    (0..).zip(all).filter(|(_, users)| users.count() > 0).collect()
}

/// Jobs by something that many have.
fn cells<K: Eq + Hash>(lots: &[Lot], key: impl Fn(&Lot) -> K) -> HashMap<K, Cell, Quick> {
    let mut cells: HashMap<K, Cell, Quick> = HashMap::default();
    for lot in lots {
        lot.add_to(cells.entry(key(lot)).or_default());
    }
    cells
}
