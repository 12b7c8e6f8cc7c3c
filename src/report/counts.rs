//! What is counted of a period, before it is drawn: each number with the users it comes from.
//!
//! Rows become jobs, and jobs of one kind a lot. Lots are counted by their sets first, and each set is then counted for its
//! members: a period has far fewer different sets than jobs.

use super::brief::Brief;
use super::cell::{Cell, Users};
use super::join::Joiner;
use super::model::{JobKind, Model, Rate, Setting, What};
use super::parallel::side_by_side;
use super::period::{By, Period};
use super::protect::{Tally, protect};
use super::select::{Found, Selection};
use crate::words::{Quick, Sets};
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::mem;

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
    /// How many processes these stand for, in ten-thousandths.
    pub weight: i64,
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

/// What is done by itself.
enum Task {
    Jobs,
    Sizes,
    Users,
    Month(Period),
}

/// What it comes to.
enum Done {
    Jobs(Box<Counts>),
    Sizes(BTreeMap<u32, Cell>),
    Users(Box<Counts>),
    Month(Period, Brief),
}

/// What each thread that counts has for itself.
struct Own {
    joiner: Joiner,
    /// By the number of a kind: its jobs. There are none whenever it is not used.
    jobs: Vec<Amount>,
}

/// Some jobs, and nodes times milliseconds.
#[derive(Clone, Copy, Default)]
struct Amount {
    jobs: u64,
    node_millis: u128,
}

impl Own {
    fn new(model: &Model) -> Self {
        let joiner = Joiner::new(model.sets.clone(), model.text_sets.clone(), model.repeated);
        Own { joiner, jobs: vec![Amount::default(); model.job_kinds.all().len()] }
    }
}

/// Jobs of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Lot {
    pub user: u32,
    pub rate: Rate,
    pub is_jupyter: bool,
    pub what: What,
    pub jobs: u64,
    /// Nodes times milliseconds.
    pub node_millis: u128,
}

impl Counts {
    fn new() -> Self {
        Counts { rate: 1.0, ..Counts::default() }
    }

    /// Counts a period, and of each of its months the users by package and version and the jobs by package.
    pub fn of(model: &Model, selection: &Selection, period: &Period) -> (Self, Vec<(Period, Brief)>) {
        let months = period.cut(By::Month).into_iter().map(Task::Month);
        let tasks: Vec<Task> = [Task::Jobs, Task::Sizes, Task::Users].into_iter().chain(months).collect();
        let done = side_by_side(
            &tasks,
            || Own::new(model),
            |task, own| match task {
                Task::Jobs => {
                    let lots = lots(model, selection, period, own);
                    Done::Jobs(Box::new(Counts::of_lots(&lots, own)))
                }
                Task::Sizes => Done::Sizes(selection.sizes(model, period, &mut own.joiner)),
                Task::Users => Done::Users(Box::new(Counts::of_users(model, selection, period))),
                Task::Month(month) => Done::Month(month.clone(), Brief::of(model, selection, month, &mut own.joiner)),
            },
        );
        let (mut all, mut months) = (Counts::new(), Vec::new());
        for done in done {
            match done {
                Done::Jobs(counts) => all = *counts,
                Done::Sizes(sizes) => all.sizes = sizes,
                Done::Users(counts) => all.add_users_of(&counts),
                Done::Month(month, brief) => months.push((month, brief)),
            }
        }
        (all, months)
    }

    /// Counts each of some calendar months, as far as they may be published.
    pub fn published(model: &Model, selection: &Selection, months: Vec<Period>, least: u64) -> Vec<(Period, Self)> {
        let counted = side_by_side(
            &months,
            || Own::new(model),
            |month, own| {
                let lots = lots(model, selection, month, own);
                let tally = Tally::of(&lots, &own.joiner.sets, &own.joiner.text_sets);
                let mut counts = Counts::of_lots(&lots, own);
                counts.sizes = selection.sizes(model, month, &mut own.joiner);
                counts.add_users_of(&Counts::of_users(model, selection, month));
                protect(&mut counts, &tally, least);
                counts
            },
        );
        months.into_iter().zip(counted).collect()
    }

    fn of_lots(lots: &[Lot], own: &Own) -> Self {
        let mut counts = Counts::new();
        let sampled = || lots.iter().filter(|lot| lot.rate.is_sample());
        let listed = || lots.iter().filter(|lot| !lot.rate.is_sample());
        let Joiner { sets, text_sets, .. } = &own.joiner;
        listed().filter(|lot| lot.what.packages == 0).for_each(|lot| lot.add_to(&mut counts.empty_jobs));
        counts.add_listed(listed().filter(|lot| lot.what.packages != 0), sets, text_sets);
        for lot in sampled() {
            counts.rate = counts.rate.min(lot.rate.get());
            lot.add_to(&mut counts.sampled);
        }
        for (packages, cell) in cells(sampled(), |lot| lot.what.packages) {
            for name in sets.members(packages).iter() {
                counts.sampled_names.entry(*name).or_default().unite(&cell);
            }
        }
        let of = |name: u32| counts.package_jobs.get(&name).map_or(0, |cell| cell.jobs);
        let mut pairs = mem::take(&mut counts.pairs);
        for ((one, other), pair) in &mut pairs {
            (pair.one, pair.other, pair.all) = (of(*one), of(*other), counts.jobs.jobs);
        }
        Counts { pairs, ..counts }
    }

    /// How many processes those that were counted stand for.
    pub fn stand_for(&self) -> f64 {
        self.weight as f64 / 1e4
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

    /// What figures over time show of it.
    pub fn brief(&self) -> Brief {
        let users = |of: &BTreeMap<u32, Users>| of.iter().map(|(name, users)| (*name, users.count())).collect();
        Brief {
            users: self.users.count(),
            package_users: users(&self.package_users),
            version_users: users(&self.version_users),
            jobs: self.jobs.jobs,
            package_jobs: self.package_jobs.iter().map(|(name, cell)| (*name, cell.jobs)).collect(),
        }
    }

    /// Of several periods. A job that was in two of them counts twice.
    pub fn together<'a>(parts: impl Iterator<Item = &'a Counts>) -> Self {
        let mut all = Counts::new();
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

    fn of_users(model: &Model, selection: &Selection, period: &Period) -> Self {
        let mut counts = Counts::new();
        let (mut kinds, mut is_known) = (Vec::new(), vec![false; model.user_kinds.all().len()]);
        selection.users(model, period, |kind, processes, weight| {
            if !mem::replace(&mut is_known[kind as usize], true) {
                kinds.push(kind);
            }
            counts.processes += processes;
            counts.weight += weight;
        });
        let mut environments = UsersOfSets::default();
        let [mut packages, mut direct, mut libraries, mut versions] = [(); 4].map(|()| UsersOfSets::default());
        for kind in kinds.into_iter().map(|kind| model.user_kinds.get(kind)) {
            let setting = model.settings.get(kind.setting);
            let user = setting.username;
            counts.users.add(user);
            if setting.is_jupyter {
                counts.jupyter_users.add(user);
            }
            if setting.is_compute { &mut counts.compute_users } else { &mut counts.login_users }.add(user);
            counts.subsystem_users.entry(setting.subsystem).or_default().add(user);
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
        counts.environment_users = by_member(environments, &model.text_sets, model.texts.len());
        for (counted, of_sets) in [
            (&mut counts.package_users, packages),
            (&mut counts.direct_users, direct),
            (&mut counts.libraries, libraries),
            (&mut counts.version_users, versions),
        ] {
            *counted = by_member(of_sets, &model.sets, model.names.len());
        }
        counts
    }

    /// Jobs that have loaded something. Those that have loaded the same are put together first.
    fn add_listed<'a>(&mut self, lots: impl Iterator<Item = &'a Lot>, sets: &Sets, text_sets: &Sets) {
        let mut order: Vec<(u32, &Lot)> = lots.map(|lot| (lot.what.packages, lot)).collect();
        order.sort_by_key(|(packages, _)| *packages);
        let [mut package_sizes, mut package_exits] = [(); 2].map(|()| HashMap::<(u32, u32), Cell, Quick>::default());
        let mut package_jobs: HashMap<u32, Cell, Quick> = HashMap::default();
        let [mut classes, mut directs, mut endings, mut environments] = [(); 4].map(|()| Cells::default());
        let mut all = Cell::default();
        for same in order.chunk_by(|(packages, _), (others, _)| packages == others) {
            for (_, lot) in same {
                lot.add_to(&mut all);
                lot.add_to(classes.cell(lot.what.class));
                lot.add_to(directs.cell(lot.what.direct));
                lot.add_to(endings.cell(lot.what.exits));
                lot.add_to(environments.cell(lot.what.environments));
                if lot.is_jupyter {
                    lot.add_to(&mut self.jupyter_jobs);
                }
            }
            let packages = sets.members(same[0].0);
            self.jobs.unite(&all);
            for (at, name) in packages.iter().enumerate() {
                package_jobs.entry(*name).or_default().unite(&all);
                for other in &packages[at + 1..] {
                    self.pairs.entry((*name, *other)).or_default().both += all.jobs;
                }
            }
            all.clear();
            for (class, cell) in classes.drain() {
                packages.iter().for_each(|name| package_sizes.entry((*name, class)).or_default().unite(cell));
            }
            for (direct, cell) in directs.drain() {
                let direct = sets.members(direct);
                for name in packages.iter().filter(|name| direct.binary_search(name).is_ok()) {
                    self.direct_jobs.entry(*name).or_default().unite(cell);
                }
            }
            for (exits, cell) in endings.drain() {
                for exit in text_sets.members(exits).iter() {
                    self.exits.entry(*exit).or_default().unite(cell);
                    packages.iter().for_each(|name| package_exits.entry((*name, *exit)).or_default().unite(cell));
                }
            }
            for (environments, cell) in environments.drain() {
                for class in text_sets.members(environments).iter() {
                    self.environment_jobs.entry(*class).or_default().unite(cell);
                }
            }
        }
        self.package_jobs = package_jobs.into_iter().collect();
        self.package_sizes = package_sizes.into_iter().collect();
        self.package_exits = package_exits.into_iter().collect();
    }
}

/// Cells by something that many have. What they were made in is used again.
#[derive(Default)]
struct Cells {
    cells: Vec<(u32, Cell)>,
    /// How many of them are in use.
    used: usize,
    /// By key: which of those in use it is, counted from 1.
    places: Vec<u32>,
}

impl Cells {
    fn cell(&mut self, key: u32) -> &mut Cell {
        if self.places.len() <= key as usize {
            self.places.resize(key as usize + 1, 0);
        }
        let place = &mut self.places[key as usize];
        if *place == 0 {
            match self.cells.get_mut(self.used) {
                Some((own, cell)) => {
                    *own = key;
                    cell.clear();
                }
                None => self.cells.push((key, Cell::default())),
            }
            self.used += 1;
            *place = self.used as u32;
        }
        &mut self.cells[*place as usize - 1].1
    }

    /// All of them, which are not in use afterwards.
    fn drain(&mut self) -> impl Iterator<Item = (u32, &Cell)> {
        let used = &self.cells[..mem::take(&mut self.used)];
        used.iter().for_each(|(key, _)| self.places[*key as usize] = 0);
        used.iter().map(|(key, cell)| (*key, cell))
    }
}

impl Lot {
    fn add_to(&self, cell: &mut Cell) {
        cell.add(self.user, self.jobs, self.node_millis);
    }
}

/// The jobs of a period by kind, and those by themselves that have several rows.
fn lots(model: &Model, selection: &Selection, period: &Period, own: &mut Own) -> Vec<Lot> {
    let lot = |setting: &Setting, what: &What, Amount { jobs, node_millis }: Amount| Lot {
        user: setting.username,
        rate: setting.rate,
        is_jupyter: setting.is_jupyter,
        what: *what,
        jobs,
        node_millis,
    };
    let mut lots = Vec::new();
    selection.jobs(model, period, &mut own.joiner, |Found { kind, setting, what, jobs, node_millis }| match kind {
        Some(kind) => {
            let amount = &mut own.jobs[kind as usize];
            amount.jobs += jobs;
            amount.node_millis += node_millis;
        }
        None => lots.push(lot(setting, what, Amount { jobs, node_millis })),
    });
    let kinds = model.job_kinds.all().iter().zip(&mut own.jobs);
    lots.extend(
        kinds
            .filter(|(_, amount)| amount.jobs > 0)
            .map(|(JobKind { setting, what }, amount)| lot(model.settings.get(*setting), what, mem::take(amount))),
    );
    lots
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
fn cells<'a, K: Eq + Hash>(lots: impl Iterator<Item = &'a Lot>, key: impl Fn(&Lot) -> K) -> HashMap<K, Cell, Quick> {
    let mut cells: HashMap<K, Cell, Quick> = HashMap::default();
    for lot in lots {
        lot.add_to(cells.entry(key(lot)).or_default());
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::{ROW, SETTING, WHAT, add};
    use super::super::model::{JobRow, UserKind, UserRow};
    use super::super::select::{Asked, Which};
    use super::*;
    use chrono::NaiveDate;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeSet;

    const LISTS: [&str; 2] = ["main", "other"];

    /// Three months of rows, of jobs that go on for days and that several lists and samples see.
    fn model(random: &mut ChaCha8Rng) -> Model {
        let mut model = Model::default();
        let names: Vec<u32> = ["numpy", "scipy", "dask", "torch"].map(|name| model.names.number(name)).to_vec();
        let lists = LISTS.map(|list| model.texts.number(list));
        let users: Vec<u32> = (0..5).map(|user| model.people.number(&format!("user{user}"))).collect();
        let first = day("2025-01-10").to_epoch_days();
        for _ in 0..random.random_range(1..200) {
            let key = random.random_range(1..120_u64) << 32;
            let mut set: Vec<u32> = names.iter().copied().filter(|_| random.random_bool(0.4)).collect();
            let packages = model.sets.number(&mut set);
            let setting = Setting {
                list: lists[random.random_range(0..2)],
                rate: Rate::new(if random.random_bool(0.2) { 0.1 } else { 1.0 }),
                username: users[key.count_ones() as usize % 5],
                is_staff: random.random_bool(0.1),
                is_compute: random.random_bool(0.8),
                ..SETTING
            };
            let date = first + random.random_range(0..70);
            let start = i64::from(date) * 86_400_000;
            let (num_nodes, end) = (random.random_range(1..9), start + random.random_range(0..1_000));
            add(&mut model, setting, What { packages, ..WHAT }, JobRow { date, num_nodes, key, start, end, ..ROW });
            let setting = model.settings.number(setting);
            let kind = UserKind { setting, environments: 0, packages, direct: 0, libraries: 0, versions: packages };
            let kind = model.user_kinds.number(kind);
            model.users.push(UserRow { date, kind, processes: random.random_range(1..4), weight: 10_000 });
        }
        model.order();
        model
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// What is counted of a period, the long way round.
    #[derive(Debug, Default, PartialEq)]
    struct Told {
        jobs: u64,
        package_jobs: BTreeMap<u32, u64>,
        sizes: BTreeMap<u32, u64>,
        node_hours: f64,
        sampled: u64,
        users: u64,
        package_users: BTreeMap<u32, u64>,
        processes: u64,
    }

    impl Told {
        fn of_counts(counts: &Counts) -> Self {
            let jobs = |cells: &BTreeMap<u32, Cell>| cells.iter().map(|(key, cell)| (*key, cell.jobs)).collect();
            Told {
                jobs: counts.jobs.jobs,
                package_jobs: jobs(&counts.package_jobs),
                sizes: jobs(&counts.sizes),
                node_hours: counts.jobs.node_hours(),
                sampled: counts.sampled.jobs,
                users: counts.users.count(),
                package_users: counts.package_users.iter().map(|(name, users)| (*name, users.count())).collect(),
                processes: counts.processes,
            }
        }

        fn of_rows(model: &Model, period: &Period, list: Option<&str>, staff: Option<Which>) -> Self {
            let mut told = Told::default();
            let is_in = |date: i32| (period.from.to_epoch_days()..=period.to.to_epoch_days()).contains(&date);
            let takes = |by_default: Which, is_staff: bool| match staff.unwrap_or(by_default) {
                Which::Include => true,
                Which::Exclude => !is_staff,
                Which::Only => is_staff,
            };
            let is_asked = |setting: &Setting| list.is_none_or(|list| **model.texts.text(setting.list) == *list);
            let mut jobs: BTreeMap<(bool, u64), Vec<&JobRow>> = BTreeMap::new();
            let setting = |row: &JobRow| model.settings.get(model.job_kinds.get(row.kind).setting);
            for row in model.jobs.iter().filter(|row| is_in(row.date)) {
                let is_sample = setting(row).rate.is_sample();
                if is_sample || is_asked(setting(row)) {
                    jobs.entry((is_sample, row.key)).or_default().push(row);
                }
            }
            let mut node_millis = 0;
            for ((is_sample, _), rows) in jobs {
                let counts = rows.iter().any(|row| setting(row).is_compute)
                    && takes(Which::Exclude, rows.iter().any(|row| setting(row).is_staff));
                let loaded = rows
                    .iter()
                    .flat_map(|row| model.sets.members(model.job_kinds.get(row.kind).what.packages).to_vec());
                let loaded: BTreeSet<u32> = loaded.collect();
                if counts && is_sample {
                    told.sampled += 1;
                } else if counts && !loaded.is_empty() {
                    told.jobs += 1;
                    loaded.iter().for_each(|name| *told.package_jobs.entry(*name).or_default() += 1);
                    let nodes = rows.iter().map(|row| row.num_nodes).max().unwrap();
                    *told.sizes.entry(nodes).or_default() += 1;
                    let start = rows.iter().map(|row| row.start).min().unwrap();
                    let end = rows.iter().map(|row| row.end).max().unwrap();
                    node_millis += (end - start) as u64 * u64::from(nodes);
                }
            }
            told.node_hours = node_millis as f64 / 3_600_000.0;
            let (mut users, mut by_name) = (BTreeSet::new(), BTreeMap::<u32, BTreeSet<u32>>::new());
            for row in model.users.iter().filter(|row| is_in(row.date)) {
                let kind = model.user_kinds.get(row.kind);
                let setting = model.settings.get(kind.setting);
                if is_asked(setting) && !setting.rate.is_sample() && takes(Which::Include, setting.is_staff) {
                    users.insert(setting.username);
                    told.processes += u64::from(row.processes);
                    for name in model.sets.members(kind.packages).iter() {
                        by_name.entry(*name).or_default().insert(setting.username);
                    }
                }
            }
            told.users = users.len() as u64;
            told.package_users = by_name.into_iter().map(|(name, users)| (name, users.len() as u64)).collect();
            told
        }
    }

    #[test]
    fn what_months_come_to_is_what_their_rows_say() {
        let periods = [
            ("2025-01-01", "2025-12-31"),
            ("2025-02-01", "2025-02-28"),
            ("2025-01-01", "2025-02-28"),
            ("2025-01-17", "2025-03-03"),
            ("2025-02-05", "2025-02-20"),
            ("2024-01-01", "2024-01-31"),
        ];
        let mut found = 0;
        for seed in 0..150 {
            let model = model(&mut ChaCha8Rng::seed_from_u64(seed));
            for (from, to) in periods {
                let period = Period::whole(day(from), day(to)).unwrap();
                for (list, staff) in [
                    (None, None),
                    (Some(LISTS[0]), None),
                    (None, Some(Which::Include)),
                    (Some(LISTS[1]), Some(Which::Only)),
                ] {
                    let list_asked = list.map(str::to_string).into_iter().collect();
                    let asked = Asked { list: list_asked, staff, ..Asked::default() };
                    let (counts, months) = Counts::of(&model, &Selection::new(&asked, &model), &period);
                    let told = Told::of_rows(&model, &period, list, staff);
                    assert_eq!(Told::of_counts(&counts), told, "seed {seed}, {from} to {to}, {asked:?}");
                    found += told.jobs;
                    for (month, brief) in months {
                        let told = Told::of_rows(&model, &month, list, staff);
                        let own = (brief.users, brief.package_users, brief.jobs, brief.package_jobs);
                        let theirs = (told.users, told.package_users, told.jobs, told.package_jobs);
                        assert_eq!(own, theirs, "seed {seed}, {}, {asked:?}", month.name);
                    }
                }
            }
        }
        assert!(found > 10_000, "only {found} jobs were there to be counted");
    }
}
