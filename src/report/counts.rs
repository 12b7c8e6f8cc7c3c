//! What is counted of a period, before it is drawn: each number with the users it comes from.
//!
//! Rows become jobs. They are counted by their sets first, and each set is then counted for its members: a period has far
//! fewer different sets than jobs.

use super::model::Model;
use super::period::{By, Period};
use super::protect::{Tally, protect};
use super::select::{Job, Selection};
use crate::words::{Quick, Sets};
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::iter;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;

/// Some users.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Users {
    bits: Vec<u64>,
    /// Their number is told in multiples of it, if it is not 0.
    step: u64,
}

impl Users {
    /// Adds one.
    pub fn add(&mut self, user: u32) {
        let word = user as usize / 64;
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        self.bits[word] |= 1 << (user % 64);
    }

    /// Adds those.
    pub fn unite(&mut self, others: &Users) {
        if self.bits.len() < others.bits.len() {
            self.bits.resize(others.bits.len(), 0);
        }
        for (own, other) in self.bits.iter_mut().zip(&others.bits) {
            *own |= other;
        }
        self.step = self.step.max(others.step);
    }

    /// Tells their number in multiples of `step` from now on.
    pub fn round(&mut self, step: u64) {
        self.step = step;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        let count = self.bits.iter().map(|word| u64::from(word.count_ones())).sum();
        match self.step {
            0 => count,
            _ if count == 0 => 0,
            step => ((count + step / 2) / step * step).max(step),
        }
    }
}

/// Jobs, and whose they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    pub jobs: u64,
    pub users: Users,
    /// Nodes times milliseconds: whole numbers, whose sum does not depend on their order.
    node_millis: u128,
}

impl Cell {
    fn add(&mut self, job: &Job) {
        self.jobs += 1;
        self.node_millis += job.node_millis();
        self.users.add(job.about.username);
    }

    /// Nodes times hours: approximate, because only the time between the first and the last that was heard of a job is known.
    pub fn node_hours(&self) -> f64 {
        self.node_millis as f64 / 3_600_000.0
    }

    /// Adds another one's.
    pub fn unite(&mut self, other: &Cell) {
        self.jobs += other.jobs;
        self.node_millis += other.node_millis;
        self.users.unite(&other.users);
    }
}

/// Jobs with both of two packages, and what they are to be seen beside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pair {
    pub cell: Cell,
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
        let next = AtomicUsize::new(0);
        let work = || {
            let mut unions = Unions::of(model);
            let mut done = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some((period, depth)) = tasks.get(number) else { return done };
                let mut counts = Counts { rate: 1.0, ..Counts::default() };
                counts.add_rows_of_jobs(model, selection, period, *depth, &mut unions, None);
                if *depth == Depth::Brief {
                    counts.add_users(model, selection, period);
                }
                done.push((number, counts));
            }
        };
        let mut done: Vec<(usize, Counts)> = std::thread::scope(|scope| {
            let threads = std::thread::available_parallelism().map_or(1, usize::from).min(tasks.len());
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let joined = |thread: ScopedJoinHandle<_>| thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            threads.into_iter().flat_map(joined).collect()
        });
        done.sort_by_key(|(number, _)| *number);
        let mut done = done.into_iter().map(|(_, counts)| counts);
        let mut counts = done.next().unwrap_or_default();
        let months: Vec<(Period, Counts)> = months.into_iter().zip(done).collect();
        for (_, month) in &months {
            counts.add_users_of(month);
        }
        (counts, months)
    }

    /// Counts those of a calendar month, as far as they may be published.
    pub fn published(model: &Model, selection: &Selection, month: &Period, least: u64) -> Self {
        let mut tally = Tally::default();
        let mut counts = Counts { rate: 1.0, ..Counts::default() };
        counts.add_rows_of_jobs(model, selection, month, Depth::All, &mut Unions::of(model), Some(&mut tally));
        counts.add_users(model, selection, month);
        protect(&mut counts, &tally, least);
        counts
    }

    fn add_rows_of_jobs(
        &mut self,
        model: &Model,
        selection: &Selection,
        period: &Period,
        depth: Depth,
        unions: &mut Unions,
        tally: Option<&mut Tally>,
    ) {
        let Unions { sets, text_sets } = unions;
        let rows = &model.jobs[period.rows(&model.jobs, |row| row.date)];
        let (mut jobs, sampled) = selection.jobs(rows, sets, text_sets);
        if let Some(tally) = tally {
            jobs.iter().for_each(|job| tally.add(job, sets, text_sets, false));
            sampled.iter().for_each(|job| tally.add(job, sets, text_sets, true));
        }
        jobs.retain(|job| {
            if job.about.packages == 0 {
                self.empty_jobs.add(job);
            }
            job.about.packages != 0
        });
        self.add_jobs(&jobs, sets, text_sets, depth);
        for job in &sampled {
            self.rate = self.rate.min(f64::from(job.about.rate));
            self.sampled.add(job);
        }
        for (packages, cell) in cells(&sampled, |job| job.about.packages) {
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
            Some(pair) if one < other => Some([pair.cell.jobs, pair.one, pair.other, pair.all]),
            Some(pair) => Some([pair.cell.jobs, pair.other, pair.one, pair.all]),
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
            own.cell.unite(&pair.cell);
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
        let mut environments = UsersOfSets::default();
        let [mut packages, mut direct, mut libraries, mut versions] = [(); 4].map(|()| UsersOfSets::default());
        for row in rows.iter().filter(|row| selection.takes_user(&row.about)) {
            let (about, user) = (&row.about, row.about.username);
            self.users.add(user);
            if about.is_jupyter {
                self.jupyter_users.add(user);
            }
            if about.is_compute { &mut self.compute_users } else { &mut self.login_users }.add(user);
            self.subsystem_users.entry(about.subsystem).or_default().add(user);
            for (of_sets, set) in [
                (&mut environments, about.environments),
                (&mut packages, about.packages),
                (&mut direct, about.direct),
                (&mut libraries, row.libraries),
                (&mut versions, row.versions),
            ] {
                of_sets.entry(set).or_default().add(user);
            }
            self.processes += u64::from(row.processes);
            self.weight += row.weight;
        }
        let each = |of_sets: UsersOfSets, sets: &Sets, counted: &mut BTreeMap<u32, Users>| {
            for (set, users) in of_sets {
                for name in sets.members(set).iter() {
                    counted.entry(*name).or_default().unite(&users);
                }
            }
        };
        each(environments, &model.text_sets, &mut self.environment_users);
        each(packages, &model.sets, &mut self.package_users);
        each(direct, &model.sets, &mut self.direct_users);
        each(libraries, &model.sets, &mut self.libraries);
        each(versions, &model.sets, &mut self.version_users);
    }

    /// Jobs that have loaded something.
    fn add_jobs(&mut self, jobs: &[Job], sets: &Sets, text_sets: &Sets, depth: Depth) {
        for (packages, cell) in cells(jobs, |job| job.about.packages) {
            self.jobs.unite(&cell);
            let packages = sets.members(packages);
            for (at, name) in packages.iter().enumerate() {
                self.package_jobs.entry(*name).or_default().unite(&cell);
                if depth == Depth::All {
                    for other in &packages[at + 1..] {
                        self.pairs.entry((*name, *other)).or_default().cell.unite(&cell);
                    }
                }
            }
        }
        if depth == Depth::Brief {
            return;
        }
        for job in jobs.iter().filter(|job| job.about.is_jupyter) {
            self.jupyter_jobs.add(job);
        }
        self.sizes = cells(jobs, |job| job.num_nodes).into_iter().collect();
        for ((packages, class), cell) in cells(jobs, |job| (job.about.packages, class(job.num_nodes))) {
            for name in sets.members(packages).iter() {
                self.package_sizes.entry((*name, class)).or_default().unite(&cell);
            }
        }
        for ((packages, direct), cell) in cells(jobs, |job| (job.about.packages, job.about.direct)) {
            let direct = sets.members(direct);
            for name in sets.members(packages).iter().filter(|name| direct.binary_search(name).is_ok()) {
                self.direct_jobs.entry(*name).or_default().unite(&cell);
            }
        }
        for (environments, cell) in cells(jobs, |job| job.about.environments) {
            for class in text_sets.members(environments).iter() {
                self.environment_jobs.entry(*class).or_default().unite(&cell);
            }
        }
        for ((packages, exits), cell) in cells(jobs, |job| (job.about.packages, job.exits)) {
            for exit in text_sets.members(exits).iter() {
                self.exits.entry(*exit).or_default().unite(&cell);
                for name in sets.members(packages).iter() {
                    self.package_exits.entry((*name, *exit)).or_default().unite(&cell);
                }
            }
        }
    }
}

/// Sets of the model, and those that jobs of several rows have and it has not.
struct Unions {
    sets: Sets,
    text_sets: Sets,
}

impl Unions {
    fn of(model: &Model) -> Self {
        Unions { sets: model.sets.clone(), text_sets: model.text_sets.clone() }
    }
}

/// By the number of a set.
type UsersOfSets = HashMap<u32, Users, Quick>;

/// Jobs by something that many have.
fn cells<K: Eq + Hash>(jobs: &[Job], key: impl Fn(&Job) -> K) -> HashMap<K, Cell, Quick> {
    let mut cells: HashMap<K, Cell, Quick> = HashMap::default();
    for job in jobs {
        cells.entry(key(job)).or_default().add(job);
    }
    cells
}

/// Classes of sizes: each begins at twice the nodes of the one before it.
pub fn class(nodes: u32) -> u32 {
    nodes.max(1).ilog2()
}
