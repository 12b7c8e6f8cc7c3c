//! What is counted of a period, before it is drawn: each number with the users it comes from.
//!
//! Rows become jobs, jobs become groups of equal ones, and groups are counted: a period has far fewer different jobs than
//! jobs.

use super::model::{Model, UserRow};
use super::period::Period;
use super::select::{Job, Selection};
use crate::words::Quick;
use std::collections::{BTreeMap, HashMap};

/// Some users.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Users(Vec<u64>);

impl Users {
    /// Adds one.
    pub fn add(&mut self, user: u32) {
        let word = user as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (user % 64);
    }

    /// Adds those.
    pub fn unite(&mut self, others: &Users) {
        if self.0.len() < others.0.len() {
            self.0.resize(others.0.len(), 0);
        }
        for (own, other) in self.0.iter_mut().zip(&others.0) {
            *own |= other;
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

/// Jobs, and whose they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    pub jobs: u64,
    pub users: Users,
    pub node_hours: f64,
}

impl Cell {
    fn add(&mut self, group: &Group, jobs: u64, node_hours: f64) {
        self.jobs += jobs;
        self.node_hours += node_hours;
        self.users.add(group.user);
    }

    /// Adds another one's.
    pub fn unite(&mut self, other: &Cell) {
        self.jobs += other.jobs;
        self.node_hours += other.node_hours;
        self.users.unite(&other.users);
    }
}

/// Jobs that are equal in all that is counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Group {
    user: u32,
    packages: u32,
    direct: u32,
    nodes: u32,
    exits: u32,
    environments: u32,
    is_jupyter: bool,
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
    /// By package and nodes.
    pub package_sizes: BTreeMap<(u32, u32), Cell>,
    /// By two packages, the smaller number first.
    pub pairs: HashMap<(u32, u32), Cell, Quick>,
    pub environment_jobs: BTreeMap<u32, Cell>,
    pub exits: BTreeMap<u32, Cell>,
    pub package_exits: BTreeMap<(u32, u32), Cell>,
    /// Of the control sample: its jobs, those with a name in them, and what they stand for.
    pub sampled: Cell,
    pub sampled_names: BTreeMap<u32, Cell>,
    /// The lowest rate that a sample had.
    pub rate: f64,
}

/// How much is counted.
#[derive(Clone, Copy, PartialEq)]
pub enum Depth {
    All,
    /// What changes over time: users and jobs by package and version.
    Brief,
}

impl Counts {
    /// Counts the rows of a period.
    pub fn of(model: &mut Model, selection: &Selection, period: &Period, depth: Depth) -> Self {
        let mut counts = Counts { rate: 1.0, ..Counts::default() };
        for row in model.users.iter().filter(|row| period.has(row.date) && selection.takes_user(&row.about)) {
            counts.add_user(row, model);
        }
        let rows: Vec<_> = model.jobs.iter().filter(|row| period.has(row.date)).copied().collect();
        let (jobs, sampled) = selection.jobs(&rows, &mut model.sets, &mut model.text_sets);
        for (group, (jobs, node_hours)) in grouped(&jobs) {
            counts.add_jobs(&group, jobs, node_hours, model, depth);
        }
        for job in &sampled {
            counts.rate = counts.rate.min(f64::from(job.about.rate));
        }
        for (group, (jobs, node_hours)) in grouped(&sampled) {
            counts.sampled.add(&group, jobs, node_hours);
            for name in model.sets.members(group.packages).iter() {
                counts.sampled_names.entry(*name).or_default().add(&group, jobs, node_hours);
            }
        }
        counts
    }

    /// Of several periods, what [`Depth::Brief`] has. A job that was in two of them counts twice.
    pub fn together<'a>(parts: impl Iterator<Item = &'a Counts>) -> Self {
        let mut all = Counts::default();
        for part in parts {
            all.users.unite(&part.users);
            all.jobs.unite(&part.jobs);
            for (name, users) in &part.package_users {
                all.package_users.entry(*name).or_default().unite(users);
            }
            for (name, cell) in &part.package_jobs {
                all.package_jobs.entry(*name).or_default().unite(cell);
            }
            for (name, users) in &part.version_users {
                all.version_users.entry(*name).or_default().unite(users);
            }
        }
        all
    }

    fn add_user(&mut self, row: &UserRow, model: &Model) {
        let (about, user) = (&row.about, row.about.username);
        self.users.add(user);
        if about.is_jupyter {
            self.jupyter_users.add(user);
        }
        if about.is_compute { &mut self.compute_users } else { &mut self.login_users }.add(user);
        self.subsystem_users.entry(about.subsystem).or_default().add(user);
        for class in model.text_sets.members(about.environments).iter() {
            self.environment_users.entry(*class).or_default().add(user);
        }
        let each = |set: u32, counted: &mut BTreeMap<u32, Users>| {
            for name in model.sets.members(set).iter() {
                counted.entry(*name).or_default().add(user);
            }
        };
        each(about.packages, &mut self.package_users);
        each(about.direct, &mut self.direct_users);
        each(row.libraries, &mut self.libraries);
        each(row.versions, &mut self.version_users);
        self.processes += u64::from(row.processes);
        self.weight += row.weight;
    }

    fn add_jobs(&mut self, group: &Group, jobs: u64, node_hours: f64, model: &Model, depth: Depth) {
        let packages = model.sets.members(group.packages);
        if packages.is_empty() {
            self.empty_jobs.add(group, jobs, node_hours);
            return;
        }
        let exits = model.text_sets.members(group.exits);
        let direct = model.sets.members(group.direct);
        self.jobs.add(group, jobs, node_hours);
        if depth == Depth::Brief {
            for name in packages.iter() {
                self.package_jobs.entry(*name).or_default().add(group, jobs, node_hours);
            }
            return;
        }
        if group.is_jupyter {
            self.jupyter_jobs.add(group, jobs, node_hours);
        }
        self.sizes.entry(group.nodes).or_default().add(group, jobs, node_hours);
        for class in model.text_sets.members(group.environments).iter() {
            self.environment_jobs.entry(*class).or_default().add(group, jobs, node_hours);
        }
        for exit in exits.iter() {
            self.exits.entry(*exit).or_default().add(group, jobs, node_hours);
        }
        for (at, name) in packages.iter().enumerate() {
            self.package_jobs.entry(*name).or_default().add(group, jobs, node_hours);
            self.package_sizes.entry((*name, group.nodes)).or_default().add(group, jobs, node_hours);
            if direct.binary_search(name).is_ok() {
                self.direct_jobs.entry(*name).or_default().add(group, jobs, node_hours);
            }
            for exit in exits.iter() {
                self.package_exits.entry((*name, *exit)).or_default().add(group, jobs, node_hours);
            }
            for other in &packages[at + 1..] {
                self.pairs.entry((*name, *other)).or_default().add(group, jobs, node_hours);
            }
        }
    }
}

/// How many jobs are equal, and their node-hours.
fn grouped(jobs: &[Job]) -> HashMap<Group, (u64, f64), Quick> {
    let mut groups: HashMap<Group, (u64, f64), Quick> = HashMap::default();
    for job in jobs {
        let about = &job.about;
        let group = Group {
            user: about.username,
            packages: about.packages,
            direct: about.direct,
            nodes: job.num_nodes,
            exits: job.exits,
            environments: about.environments,
            is_jupyter: about.is_jupyter,
        };
        let (count, node_hours) = groups.entry(group).or_default();
        *count += 1;
        *node_hours += job.node_hours();
    }
    groups
}
