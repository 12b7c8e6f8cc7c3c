//! `--min-users`: what is published says nothing of fewer than so many users, also not by subtraction.
//!
//! Everything is counted by calendar months first, and what a longer period shows is the sum of what its months may show:
//! so two periods, whichever they are, differ by months that are themselves fit to be shown. Within a month
//!
//! - a number is shown if it comes from at least so many users, and if what is left of each total it is part of comes from
//!   as many, or from nobody;
//! - sizes of jobs are counted in classes that double, and of the classes that share a total the smallest follow those
//!   that are left out, until what is left of the total comes from as many users (secondary suppression);
//! - numbers of users are rounded to multiples of it, because users do not add up and their differences would tell.
//!
//! Each number of jobs is so decided with the jobs of each user at hand: that a total less its parts is another user's is
//! seen here as it would be seen by whoever subtracts.

use super::cell::{Cell, Users, class};
use super::counts::{Counts, Lot};
use crate::words::{Quick, Sets};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Something that jobs are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum By {
    All,
    Empty,
    Jupyter,
    Package(u32),
    Direct(u32),
    Size(u32),
    PackageSize(u32, u32),
    Pair(u32, u32),
    Environment(u32),
    Exit(u32),
    PackageExit(u32, u32),
    Sampled,
    SampledName(u32),
}

/// How many jobs each user has, in the order of users.
type Jobs = Vec<(u32, i64)>;

/// The jobs of each user, by everything that is counted.
#[derive(Default)]
pub struct Tally {
    jobs: HashMap<By, Jobs, Quick>,
}

impl Tally {
    /// Of these jobs, counted as [`Counts`] does.
    pub fn of(lots: &[Lot], sets: &Sets, text_sets: &Sets) -> Self {
        let mut tally = Tally::default();
        let mut by_user: Vec<&Lot> = lots.iter().collect();
        by_user.sort_by_key(|lot| lot.user);
        by_user.into_iter().for_each(|lot| tally.add(lot, sets, text_sets));
        tally
    }

    /// Adds jobs of a user; those of all users before have been added.
    fn add(&mut self, lot: &Lot, sets: &Sets, text_sets: &Sets) {
        let (what, jobs) = (&lot.what, lot.jobs as i64);
        let mut add = |by: By| {
            let of_users = self.jobs.entry(by).or_default();
            match of_users.last_mut() {
                Some((user, own)) if *user == lot.user => *own += jobs,
                _ => of_users.push((lot.user, jobs)),
            }
        };
        let packages = sets.members(what.packages);
        if lot.rate.is_sample() {
            add(By::Sampled);
            packages.iter().for_each(|name| add(By::SampledName(*name)));
            return;
        }
        if packages.is_empty() {
            add(By::Empty);
            return;
        }
        let size = what.class;
        let direct = sets.members(what.direct);
        let exits = text_sets.members(what.exits);
        add(By::All);
        add(By::Size(size));
        if lot.is_jupyter {
            add(By::Jupyter);
        }
        text_sets.members(what.environments).iter().for_each(|class| add(By::Environment(*class)));
        exits.iter().for_each(|exit| add(By::Exit(*exit)));
        for (at, name) in packages.iter().enumerate() {
            add(By::Package(*name));
            add(By::PackageSize(*name, size));
            if direct.binary_search(name).is_ok() {
                add(By::Direct(*name));
            }
            exits.iter().for_each(|exit| add(By::PackageExit(*name, *exit)));
            packages[at + 1..].iter().for_each(|other| add(By::Pair(*name, *other)));
        }
    }

    fn of_users(&self, by: By) -> &[(u32, i64)] {
        self.jobs.get(&by).map_or(&[], Vec::as_slice)
    }

    fn users(&self, by: By) -> u64 {
        self.of_users(by).len() as u64
    }

    /// Whose jobs are left of a total when some others are taken from it, and some added again.
    fn left(&self, total: By, less: &[By], more: &[By]) -> u64 {
        let less = less.iter().map(|by| (-1, self.of_users(*by)));
        let mut others: Vec<(i64, &[(u32, i64)])> = less.chain(more.iter().map(|by| (1, self.of_users(*by)))).collect();
        let is_left = |(user, jobs): &&(u32, i64)| {
            let mut rest = *jobs;
            for (sign, of_users) in &mut others {
                while of_users.first().is_some_and(|(other, _)| other < user) {
                    *of_users = &of_users[1..];
                }
                rest += of_users.first().filter(|(other, _)| other == user).map_or(0, |(_, jobs)| *sign * jobs);
            }
            rest != 0
        };
        self.of_users(total).iter().filter(is_left).count() as u64
    }
}

/// Decides what of a month is shown.
struct Guard<'a> {
    tally: &'a Tally,
    least: u64,
}

impl Guard<'_> {
    /// Enough users, or none.
    fn is_fit(&self, users: u64) -> bool {
        users == 0 || users >= self.least
    }

    /// Whether a number is shown beside totals that it is part of.
    fn shows(&self, by: By, totals: &[By]) -> bool {
        self.tally.users(by) >= self.least
            && totals.iter().all(|total| self.is_fit(self.tally.left(*total, &[by], &[])))
    }

    /// Whether a pair is shown: with both packages, with one and not the other, with neither.
    fn shows_pair(&self, one: u32, other: u32) -> bool {
        let (pair, one, other) = (By::Pair(one, other), By::Package(one), By::Package(other));
        self.shows(pair, &[one, other]) && self.is_fit(self.tally.left(By::All, &[one, other], &[pair]))
    }

    /// Of parts that add up to a total, those that are shown: as many as leave enough users in the rest.
    fn parts(&self, total: By, parts: impl Iterator<Item = By>) -> Vec<By> {
        let mut shown: Vec<By> = parts.filter(|part| self.tally.users(*part) >= self.least).collect();
        // The greatest first, so that the least goes.
        shown.sort_by_key(|part| std::cmp::Reverse(self.tally.users(*part)));
        while !shown.is_empty() && !self.is_fit(self.tally.left(total, &shown, &[])) {
            shown.pop();
        }
        shown
    }
}

/// Leaves of a month what may be published.
pub fn protect(counts: &mut Counts, tally: &Tally, least: u64) {
    counts.is_protected = true;
    let guard = Guard { tally, least };
    by_class(counts);
    users(counts, least);
    if tally.users(By::All) < least {
        counts.jobs = Cell::default();
    }
    let shows_all = counts.jobs.jobs > 0;
    keep(&mut counts.empty_jobs, guard.shows(By::Empty, &[]));
    keep(&mut counts.jupyter_jobs, guard.shows(By::Jupyter, &[By::All]));
    counts.package_jobs.retain(|name, _| shows_all && guard.shows(By::Package(*name), &[By::All]));
    let sizes = guard.parts(By::All, counts.sizes.keys().map(|nodes| By::Size(class(*nodes))));
    counts.sizes.retain(|nodes, _| shows_all && sizes.contains(&By::Size(class(*nodes))));
    // Most jobs have one ending and one environment each, so these all but add up to the total as well.
    let of_all = |parts: Vec<By>| guard.parts(By::All, parts.into_iter().filter(|part| guard.shows(*part, &[By::All])));
    let exits = of_all(counts.exits.keys().map(|exit| By::Exit(*exit)).collect());
    counts.exits.retain(|exit, _| shows_all && exits.contains(&By::Exit(*exit)));
    let environments = of_all(counts.environment_jobs.keys().map(|class| By::Environment(*class)).collect());
    counts.environment_jobs.retain(|class, _| shows_all && environments.contains(&By::Environment(*class)));

    let packages = &counts.package_jobs;
    let has = |name: &u32| packages.contains_key(name);
    counts.direct_jobs.retain(|name, _| has(name) && guard.shows(By::Direct(*name), &[By::Package(*name)]));
    counts.pairs.retain(|(one, other), _| has(one) && has(other) && guard.shows_pair(*one, *other));
    let sizes = &counts.sizes;
    let (mut of_sizes, mut of_exits): (BTreeMap<u32, Vec<By>>, BTreeMap<u32, Vec<By>>) = Default::default();
    for (package, class) in counts.package_sizes.keys() {
        let by = By::PackageSize(*package, *class);
        if sizes.contains_key(&first(*class)) && guard.shows(by, &[By::Size(*class)]) {
            of_sizes.entry(*package).or_default().push(by);
        }
    }
    for (package, exit) in counts.package_exits.keys() {
        let by = By::PackageExit(*package, *exit);
        if counts.exits.contains_key(exit) && guard.shows(by, &[By::Exit(*exit), By::Package(*package)]) {
            of_exits.entry(*package).or_default().push(by);
        }
    }
    let shown = |of: BTreeMap<u32, Vec<By>>| -> HashSet<By> {
        let rows = of.into_iter().filter(|(package, _)| has(package));
        rows.flat_map(|(package, parts)| guard.parts(By::Package(package), parts.into_iter())).collect()
    };
    let (of_sizes, of_exits) = (shown(of_sizes), shown(of_exits));
    counts.package_sizes.retain(|(package, class), _| of_sizes.contains(&By::PackageSize(*package, *class)));
    counts.package_exits.retain(|(package, exit), _| of_exits.contains(&By::PackageExit(*package, *exit)));
    keep(&mut counts.sampled, guard.shows(By::Sampled, &[]));
    let is_sampled = counts.sampled.jobs > 0;
    counts.sampled_names.retain(|name, _| is_sampled && guard.shows(By::SampledName(*name), &[By::Sampled]));
    round(counts, least);
}

fn keep(cell: &mut Cell, shows: bool) {
    if !shows {
        *cell = Cell::default();
    }
}

/// Sizes in classes, each by its first.
fn by_class(counts: &mut Counts) {
    let mut sizes: BTreeMap<u32, Cell> = BTreeMap::new();
    for (nodes, cell) in &counts.sizes {
        sizes.entry(first(class(*nodes))).or_default().unite(cell);
    }
    counts.sizes = sizes;
}

/// The smallest size of a class.
fn first(class: u32) -> u32 {
    1 << class
}

/// Names with too few users go.
fn users(counts: &mut Counts, least: u64) {
    let is_enough = |users: &Users| users.count() >= least;
    for users in counts.users_mut() {
        if !is_enough(users) {
            *users = Users::default();
        }
    }
    if counts.users == Users::default() {
        (counts.processes, counts.weight) = (0, 0);
    }
    for named in counts.named_users_mut() {
        named.retain(|_, users| is_enough(users));
    }
}

/// Users are told in multiples.
fn round(counts: &mut Counts, least: u64) {
    for users in counts.users_mut() {
        users.round(least);
    }
    for named in counts.named_users_mut() {
        named.values_mut().for_each(|users| users.round(least));
    }
    for cell in [&mut counts.jobs, &mut counts.empty_jobs, &mut counts.jupyter_jobs, &mut counts.sampled] {
        cell.users.round(least);
    }
    for cells in [
        &mut counts.package_jobs,
        &mut counts.direct_jobs,
        &mut counts.sizes,
        &mut counts.environment_jobs,
        &mut counts.exits,
        &mut counts.sampled_names,
    ] {
        cells.values_mut().for_each(|cell| cell.users.round(least));
    }
    for cells in [&mut counts.package_sizes, &mut counts.package_exits] {
        cells.values_mut().for_each(|cell| cell.users.round(least));
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::{ROW, SETTING, WHAT, add};
    use super::super::model::{JobRow, Model, Setting, What};
    use super::super::period::Period;
    use super::super::select::{Asked, Selection};
    use super::*;
    use rand::{RngExt, SeedableRng};
    use std::collections::BTreeSet;

    const LEAST: u64 = 3;

    /// A job: whose, with which packages, on how many nodes, ended how; its environment has the same name as that.
    struct Job(u32, Vec<&'static str>, u32, &'static str);

    fn model(jobs: &[Job]) -> Model {
        let mut model = Model::default();
        for (key, Job(user, packages, nodes, exit)) in jobs.iter().enumerate() {
            let mut packages: Vec<u32> = packages.iter().map(|name| model.names.number(name)).collect();
            let user = model.people.number(&format!("user{user}"));
            let exit = model.texts.number(exit);
            let nothing = model.texts.number("");
            let packages = model.sets.number(&mut packages);
            let exits = model.text_sets.number(&mut vec![exit]);
            let setting = Setting {
                list: nothing,
                system: nothing,
                subsystem: nothing,
                username: user,
                repo: nothing,
                ..SETTING
            };
            let what = What { environments: exits, exits, packages, ..WHAT };
            let row = JobRow { date: 20_000, num_nodes: *nodes, key: key as u64, start: 1, end: 2, ..ROW };
            add(&mut model, setting, what, row);
        }
        model.order();
        model
    }

    fn published(jobs: &[Job]) -> (Model, Counts) {
        let model = model(jobs);
        let selection = Selection::new(&Asked::default(), &model);
        let month =
            Period { name: String::new(), from: "2024-10-01".parse().unwrap(), to: "2024-10-31".parse().unwrap() };
        let mut months = Counts::published(&model, &selection, vec![month], LEAST);
        let (_, counts) = months.remove(0);
        (model, counts)
    }

    /// Whether jobs may be told of together: they are nobody's, or enough users'.
    fn is_fit<'a>(jobs: impl Iterator<Item = &'a Job>) -> bool {
        let users: BTreeSet<u32> = jobs.map(|job| job.0).collect();
        users.is_empty() || users.len() as u64 >= LEAST
    }

    #[test]
    fn what_is_left_out_cannot_be_had_from_the_total() {
        // Three users on one node, one on two: the two would be what is left of the package's jobs.
        let mut jobs: Vec<Job> = (0..3).map(|user| Job(user, vec!["numpy"], 1, "normal")).collect();
        jobs.push(Job(3, vec!["numpy"], 2, "normal"));
        let (_, counts) = published(&jobs);
        assert_eq!(counts.package_jobs.len(), 1);
        assert_eq!((counts.sizes.len(), counts.package_sizes.len()), (0, 0));
        // With as many on two nodes, both are shown.
        jobs.extend((4..6).map(|user| Job(user, vec!["numpy"], 3, "normal")));
        let (_, counts) = published(&jobs);
        assert_eq!((counts.sizes.len(), counts.package_sizes.len()), (2, 2));
        assert_eq!(counts.jobs.users.count(), 6, "a multiple of {LEAST}");
    }

    #[test]
    fn no_difference_of_two_numbers_is_of_too_few() {
        let names = ["numpy", "scipy", "dask", "mpi4py", "torch"];
        let exits = ["normal", "killed", "os_exit"];
        let mut shown = 0;
        for seed in 0..60 {
            let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let jobs: Vec<Job> = (0..random.random_range(5..120))
                .map(|_| {
                    let most = random.random_range(3..30);
                    let user = random.random_range(0..most);
                    let packages = names.into_iter().filter(|_| random.random_bool(0.5)).collect();
                    Job(user, packages, 1 << random.random_range(0..3), exits[random.random_range(0..3)])
                })
                .collect();
            let (model, counts) = published(&jobs);
            let listed: Vec<&Job> = jobs.iter().filter(|job| !job.1.is_empty()).collect();
            if counts.jobs.jobs == 0 {
                continue;
            }
            let name = |number: &u32| model.names.text(*number).to_string();
            let has = |job: &Job, name: &str| job.1.contains(&name);
            for package in counts.package_jobs.keys().map(name) {
                let fits = |with: bool| is_fit(listed.iter().copied().filter(|job| has(job, &package) == with));
                assert!(fits(true) && fits(false), "seed {seed}: {package}");
                shown += 1;
            }
            let sizes: Vec<u32> = counts.sizes.keys().copied().collect();
            assert!(is_fit(listed.iter().copied().filter(|job| !sizes.contains(&job.2))), "seed {seed}: sizes");
            for named in [&counts.exits, &counts.environment_jobs] {
                let told: Vec<String> = named.keys().map(|exit| model.texts.text(*exit).to_string()).collect();
                let rest = listed.iter().copied().filter(|job| !told.iter().any(|exit| exit == job.3));
                assert!(told.is_empty() || is_fit(rest), "seed {seed}: what is left beside {told:?}");
            }
            for package in counts.package_jobs.keys() {
                let own: Vec<&Job> = listed.iter().copied().filter(|job| has(job, &name(package))).collect();
                let sizes: Vec<u32> = counts
                    .package_sizes
                    .keys()
                    .filter(|(other, _)| other == package)
                    .map(|(_, class)| 1 << class)
                    .collect();
                let rest = own.iter().copied().filter(|job| !sizes.contains(&job.2));
                assert!(sizes.is_empty() || is_fit(rest), "seed {seed}: sizes of {}", name(package));
                for size in sizes {
                    let of_size = |with: bool| {
                        listed.iter().copied().filter(move |job| job.2 == size && has(job, &name(package)) == with)
                    };
                    assert!(
                        is_fit(of_size(true)) && is_fit(of_size(false)),
                        "seed {seed}: {} at {size}",
                        name(package)
                    );
                    shown += 1;
                }
                for exit in counts.package_exits.keys().filter(|(other, _)| other == package).map(|(_, exit)| *exit) {
                    let exit = model.texts.text(exit).to_string();
                    let (is_so, other): (Vec<&Job>, Vec<&Job>) = own.iter().copied().partition(|job| job.3 == exit);
                    assert!(
                        is_fit(is_so.into_iter()) && is_fit(other.into_iter()),
                        "seed {seed}: {} {exit}",
                        name(package)
                    );
                    shown += 1;
                }
            }
            for (one, other) in counts.pairs.keys() {
                for (first, second) in [(true, true), (true, false), (false, true), (false, false)] {
                    let quarter = listed
                        .iter()
                        .copied()
                        .filter(|job| has(job, &name(one)) == first && has(job, &name(other)) == second);
                    assert!(is_fit(quarter), "seed {seed}: {} and {}", name(one), name(other));
                    shown += 1;
                }
            }
        }
        assert!(shown > 500, "only {shown} numbers were there to be looked at");
    }
}
