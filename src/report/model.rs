//! The tables in memory: texts and sets as small numbers, a row a day and job, a row a day and user.
//!
//! What rows say is much the same from day to day, so it is kept once, as a kind: a few hundred thousand kinds stand for
//! millions of rows, and what is counted is counted by kinds.

use super::digest::Digest;
use super::parallel::side_by_side;
use crate::tables::write::Day;
use crate::words::{Quick, Sets, Words};
use ahash::RandomState;
use chrono::NaiveDate;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;
use std::thread;

/// What was read.
#[derive(Default)]
pub struct Model {
    /// User names, apart from other texts: sets of users are bits, and have no gaps so.
    pub people: Words,
    /// Systems, accounts, endings, classes of environments.
    pub texts: Words,
    /// Sets of [`Model::texts`].
    pub text_sets: Sets,
    /// Names of packages, and of packages with versions.
    pub names: Words,
    /// Sets of [`Model::names`].
    pub sets: Sets,
    pub settings: Kinds<Setting>,
    pub job_kinds: Kinds<JobKind>,
    pub user_kinds: Kinds<UserKind>,
    /// By date.
    pub jobs: Vec<JobRow>,
    /// By date.
    pub users: Vec<UserRow>,
    /// How many jobs have several rows.
    pub repeated: usize,
    /// What each calendar month comes to.
    pub digests: Vec<Digest>,
    /// What each day says of itself.
    pub days: BTreeMap<NaiveDate, Day>,
    /// By which [`JobRow::key`] is made: at random, so whoever chooses ids cannot have two that are taken for one.
    pub hash: RandomState,
}

/// A job on a day. A job has several, where its processes began on several days or for several lists.
#[derive(Clone, Copy, Debug)]
pub struct JobRow {
    /// Days since 1970.
    pub date: i32,
    /// In [`Model::job_kinds`].
    pub kind: u32,
    pub num_nodes: u32,
    /// 0 where the job has no other row; else a number from 1 on, the same for all of its rows of lists, and another one
    /// for those of the sample.
    pub repeated: u32,
    /// The same for all rows of a job, and for no other.
    pub key: u64,
    /// Milliseconds since 1970; 0 where a site omits it.
    pub start: i64,
    pub end: i64,
}

/// A user on a day, in a setting.
#[derive(Clone, Copy, Debug)]
pub struct UserRow {
    pub date: i32,
    /// In [`Model::user_kinds`].
    pub kind: u32,
    pub processes: u32,
    /// How many processes these stand for, in ten-thousandths: whole numbers, whose sum does not depend on their order.
    pub weight: i64,
}

/// What many rows of jobs say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobKind {
    /// In [`Model::settings`].
    pub setting: u32,
    pub what: What,
}

/// What a job was. All but its class are numbers of sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct What {
    /// Of texts.
    pub environments: u32,
    pub exits: u32,
    /// Of names.
    pub packages: u32,
    pub direct: u32,
    /// Of its nodes.
    pub class: u32,
}

/// What many rows of users say. All but the setting are numbers of sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UserKind {
    /// In [`Model::settings`].
    pub setting: u32,
    /// Of texts.
    pub environments: u32,
    /// Of names.
    pub packages: u32,
    pub direct: u32,
    pub libraries: u32,
    pub versions: u32,
}

/// Whose it was, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Setting {
    /// Texts, but for the user's name, which is one of [`Model::people`].
    pub list: u32,
    pub rate: Rate,
    pub system: u32,
    pub subsystem: u32,
    pub username: u32,
    pub repo: u32,
    pub is_staff: bool,
    pub is_compute: bool,
    pub is_jupyter: bool,
}

/// Of how many processes a list reports: 1 where it is not sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate(u64);

impl Rate {
    pub const ALL: Rate = Rate::new(1.0);

    pub const fn new(rate: f64) -> Self {
        Rate(rate.to_bits())
    }

    pub const fn get(self) -> f64 {
        f64::from_bits(self.0)
    }

    pub fn is_sample(self) -> bool {
        self.get() < 1.0
    }
}

/// Things that are alike, each once, by a number.
pub struct Kinds<T> {
    known: HashMap<T, u32, Quick>,
    all: Vec<T>,
    /// The one that was asked for last: rows of a user stand together.
    last: u32,
}

impl<T> Default for Kinds<T> {
    fn default() -> Self {
        Kinds { known: HashMap::default(), all: Vec::new(), last: 0 }
    }
}

impl<T: Copy + Eq + Hash> Kinds<T> {
    /// The number of one.
    pub fn number(&mut self, kind: T) -> u32 {
        if self.all.get(self.last as usize) != Some(&kind) {
            self.last = *self.known.entry(kind).or_insert_with(|| {
                self.all.push(kind);
                u32::try_from(self.all.len() - 1).expect("fewer kinds than memory holds")
            });
        }
        self.last
    }

    /// The one with this number.
    pub fn get(&self, number: u32) -> &T {
        &self.all[number as usize]
    }

    /// All, by their number.
    pub fn all(&self) -> &[T] {
        &self.all
    }
}

impl JobRow {
    /// Nodes times milliseconds.
    pub fn node_millis(&self) -> u128 {
        let millis = if self.start == 0 { 0 } else { (self.end - self.start).max(0) };
        u128::from(millis.unsigned_abs()) * u128::from(self.num_nodes)
    }
}

impl Model {
    /// What a job is known by.
    pub fn key(&self, system: u32, job_id: &str) -> u64 {
        let system = self.texts.text(system);
        self.hash.hash_one((&**system, job_id))
    }

    /// Whose a kind of users is.
    pub fn user_of(&self, kind: u32) -> u32 {
        self.settings.get(self.user_kinds.get(kind).setting).username
    }

    /// Adds what another model has, whose numbers are its own. Both have the same [`Model::hash`].
    pub fn unite(&mut self, other: Model) {
        let people: Vec<u32> = other.people.all().iter().map(|name| self.people.number(name)).collect();
        let texts: Vec<u32> = other.texts.all().iter().map(|text| self.texts.number(text)).collect();
        let names: Vec<u32> = other.names.all().iter().map(|name| self.names.number(name)).collect();
        let renumbered = |of: &Sets, members: &[u32], sets: &mut Sets| -> Vec<u32> {
            let set = |set: &Arc<[u32]>| sets.number(&mut set.iter().map(|member| members[*member as usize]).collect());
            of.all().iter().map(set).collect()
        };
        let text_sets = renumbered(&other.text_sets, &texts, &mut self.text_sets);
        let sets = renumbered(&other.sets, &names, &mut self.sets);
        let setting = |setting: &Setting| {
            let [list, system, subsystem, repo] =
                [setting.list, setting.system, setting.subsystem, setting.repo].map(|text| texts[text as usize]);
            let username = people[setting.username as usize];
            self.settings.number(Setting { list, system, subsystem, username, repo, ..*setting })
        };
        let settings: Vec<u32> = other.settings.all().iter().map(setting).collect();
        let of_texts = |set: u32| text_sets[set as usize];
        let of_names = |set: u32| sets[set as usize];
        let job_kind = |JobKind { setting, what }: &JobKind| {
            let what = What {
                environments: of_texts(what.environments),
                exits: of_texts(what.exits),
                packages: of_names(what.packages),
                direct: of_names(what.direct),
                class: what.class,
            };
            self.job_kinds.number(JobKind { setting: settings[*setting as usize], what })
        };
        let job_kinds: Vec<u32> = other.job_kinds.all().iter().map(job_kind).collect();
        let user_kind = |kind: &UserKind| {
            let kind = UserKind {
                setting: settings[kind.setting as usize],
                environments: of_texts(kind.environments),
                packages: of_names(kind.packages),
                direct: of_names(kind.direct),
                libraries: of_names(kind.libraries),
                versions: of_names(kind.versions),
            };
            self.user_kinds.number(kind)
        };
        let user_kinds: Vec<u32> = other.user_kinds.all().iter().map(user_kind).collect();
        let job = |row: JobRow| JobRow { kind: job_kinds[row.kind as usize], ..row };
        self.jobs.extend(other.jobs.into_iter().map(job));
        let user = |row: UserRow| UserRow { kind: user_kinds[row.kind as usize], ..row };
        self.users.extend(other.users.into_iter().map(user));
        self.days.extend(other.days);
    }

    /// Puts the rows in order, sees which jobs have several, and what months come to: to be done when all are there.
    pub fn order(&mut self) {
        // A month to which days were added has them at its end.
        self.jobs.sort_by_key(|row| row.date);
        self.users.sort_by_key(|row| row.date);
        let Model { jobs, job_kinds, settings, .. } = self;
        let is_sample: Vec<bool> =
            job_kinds.all().iter().map(|kind| settings.get(kind.setting).rate.is_sample()).collect();
        let key = |row: &JobRow| row.key ^ u64::from(is_sample[row.kind as usize]);
        // Each processor has its share of the keys.
        let shares: Vec<u64> = (0..thread::available_parallelism().map_or(1, usize::from).min(16) as u64).collect();
        let found = side_by_side(
            &shares,
            || (),
            |share, ()| {
                let is_own = |(key, _): &(u64, u32)| (key >> 32) % shares.len() as u64 == *share;
                again(|| jobs.iter().map(key).zip(0..).filter(is_own), jobs.len() / shares.len())
            },
        );
        let mut places = Vec::new();
        for rows in found.iter().flat_map(|found| found.chunk_by(|(one, _), (other, _)| one == other)) {
            self.repeated += 1;
            for (_, place) in rows {
                self.jobs[*place as usize].repeated = self.repeated as u32;
                places.push(*place);
            }
        }
        places.sort_unstable();
        self.digest(&places);
    }
}

/// Of the places of rows by their keys, those whose key others have as well, by key. There are about so many rows.
fn again<I: Iterator<Item = (u64, u32)>>(keys: impl Fn() -> I, rows: usize) -> Vec<(u64, u32)> {
    let seen = Seen::of(keys().map(|(key, _)| key), rows);
    let mut perhaps: Vec<(u64, u32)> = keys().filter(|(key, _)| seen.perhaps_again(*key)).collect();
    perhaps.sort_unstable();
    let jobs = perhaps.chunk_by(|(one, _), (other, _)| one == other);
    jobs.filter(|rows| rows.len() > 1).flatten().copied().collect()
}

/// Which of many keys may be there again: most are not, and need not be looked up.
struct Seen {
    again: Vec<u64>,
    shift: u32,
}

impl Seen {
    fn of(keys: impl Iterator<Item = u64>, about: usize) -> Self {
        // One key in so many places by chance has another one's: 3 of 100.
        let places = (about.max(2) * 32).next_power_of_two();
        let shift = 64 - places.ilog2();
        let (mut once, mut again) = (vec![0_u64; places / 64], vec![0_u64; places / 64]);
        for key in keys {
            let (word, bit) = place(key, shift);
            again[word] |= once[word] & bit;
            once[word] |= bit;
        }
        Seen { again, shift }
    }

    fn perhaps_again(&self, key: u64) -> bool {
        let (word, bit) = place(key, self.shift);
        self.again[word] & bit != 0
    }
}

fn place(key: u64, shift: u32) -> (usize, u64) {
    let place = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift) as usize;
    (place / 64, 1 << (place % 64))
}

#[cfg(test)]
pub mod tests {
    use super::super::cell::class;
    use super::*;

    /// Adds a row of a job.
    pub fn add(model: &mut Model, setting: Setting, what: What, row: JobRow) {
        let setting = model.settings.number(setting);
        let what = What { class: class(row.num_nodes), ..what };
        let kind = model.job_kinds.number(JobKind { setting, what });
        model.jobs.push(JobRow { kind, ..row });
    }

    pub const SETTING: Setting = Setting {
        list: 0,
        rate: Rate::ALL,
        system: 0,
        subsystem: 0,
        username: 0,
        repo: 0,
        is_staff: false,
        is_compute: true,
        is_jupyter: false,
    };
    pub const WHAT: What = What { environments: 0, exits: 0, packages: 0, direct: 0, class: 0 };
    pub const ROW: JobRow = JobRow { date: 0, kind: 0, num_nodes: 1, repeated: 0, key: 0, start: 0, end: 0 };

    #[test]
    fn jobs_with_several_rows_are_found_and_the_sample_is_apart() {
        let mut model = Model::default();
        let sampled = Setting { rate: Rate::new(0.1), ..SETTING };
        // Every third job goes on the next day, every fifth on the day after as well; each is in the sample once.
        for job in 1..=30_000_u64 {
            let key = job.wrapping_mul(0xd605_bbb5_8c8a_bbfd);
            add(&mut model, SETTING, WHAT, JobRow { date: 1, key, ..ROW });
            add(&mut model, sampled, WHAT, JobRow { date: 1, key, ..ROW });
            for (step, date) in [(3, 2), (5, 3)] {
                if job % step == 0 {
                    add(&mut model, SETTING, WHAT, JobRow { date, key, ..ROW });
                }
            }
        }
        model.order();
        let mut rows: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for row in &model.jobs {
            rows.entry(row.repeated).or_default().push(row.key);
        }
        let single = rows.remove(&0).unwrap_or_default();
        assert_eq!(single.len(), 30_000 + 16_000, "the sample's, and those that neither 3 nor 5 divides");
        assert_eq!((rows.len(), model.repeated), (14_000, 14_000));
        assert_eq!(rows.values().filter(|keys| keys.len() == 3).count(), 2_000);
        assert!(rows.values().all(|keys| keys.iter().all(|key| *key == keys[0])));
    }

    /// A row of a user with a package, of a model of its own numbers.
    fn one(names: &[&str], user: &str, job: u64) -> Model {
        let mut model = Model::default();
        let mut set: Vec<u32> = names.iter().map(|name| model.names.number(name)).collect();
        let packages = model.sets.number(&mut set);
        let system = model.texts.number(&format!("system of {user}"));
        let exit = model.texts.number("normal");
        let exits = model.text_sets.number(&mut vec![exit]);
        let username = model.people.number(user);
        let setting = Setting { system, username, ..SETTING };
        add(&mut model, setting, What { packages, exits, ..WHAT }, JobRow { key: job, ..ROW });
        let setting = model.settings.number(setting);
        let kind = UserKind { setting, environments: 0, packages, direct: 0, libraries: 0, versions: packages };
        let kind = model.user_kinds.number(kind);
        model.users.push(UserRow { date: 0, kind, processes: 1, weight: 10_000 });
        model
    }

    #[test]
    fn what_two_models_say_is_the_same_when_they_are_one() {
        let said = |model: &Model| -> Vec<String> {
            let names = |set: u32| -> Vec<&str> {
                let mut names: Vec<&str> =
                    model.sets.members(set).iter().map(|name| &**model.names.text(*name)).collect();
                names.sort_unstable();
                names
            };
            let setting = |number: u32| {
                let setting = model.settings.get(number);
                format!("{} on {}", model.people.text(setting.username), model.texts.text(setting.system))
            };
            let job = |row: &JobRow| {
                let JobKind { setting: whose, what } = *model.job_kinds.get(row.kind);
                let exits: Vec<&str> =
                    model.text_sets.members(what.exits).iter().map(|exit| &**model.texts.text(*exit)).collect();
                format!("{} {}: {:?} {exits:?}", row.key, setting(whose), names(what.packages))
            };
            let user = |row: &UserRow| {
                let kind = model.user_kinds.get(row.kind);
                format!("{}: {:?} {:?}", setting(kind.setting), names(kind.packages), names(kind.versions))
            };
            model.jobs.iter().map(job).chain(model.users.iter().map(user)).collect()
        };
        let parts = [(&["numpy", "scipy"][..], "alice"), (&["scipy", "dask"], "bob"), (&["scipy", "numpy"], "alice")];
        let models = || (1..).zip(parts).map(|(job, (names, user))| one(names, user, job));
        let (jobs, users): (Vec<String>, Vec<String>) = models()
            .map(|model| said(&model))
            .map(|mut said| {
                let user = said.pop().unwrap();
                (said.pop().unwrap(), user)
            })
            .unzip();
        let all = models().reduce(|mut all, model| {
            all.unite(model);
            all
        });
        let all = all.unwrap();
        assert_eq!(said(&all), [jobs, users].concat());
        // What was said twice is kept once.
        assert_eq!((all.settings.all().len(), all.job_kinds.all().len(), all.user_kinds.all().len()), (2, 2, 2));
    }
}
