//! Which rows a figure is about.

use super::cell::Cell;
use super::digest::Part;
use super::join::{Joined, Joiner};
use super::model::{JobKind, JobRow, Model, Setting, What};
use super::period::Period;
use crate::words::Quick;
use clap::{Args, ValueEnum};
use std::collections::{BTreeMap, HashMap};

/// Of two kinds of rows, which are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// These too
    Include,
    /// Not these
    Exclude,
    /// These alone
    Only,
}

impl Which {
    /// For a sentence.
    pub fn word(self) -> &'static str {
        match self {
            Which::Include => "with",
            Which::Exclude => "without",
            Which::Only => "only",
        }
    }

    fn takes(self, is_one: bool) -> bool {
        match self {
            Which::Include => true,
            Which::Exclude => !is_one,
            Which::Only => is_one,
        }
    }
}

/// What was asked for. Where nothing was, each figure has a default of its own.
#[derive(Args, Clone, Debug, Default)]
pub struct Asked {
    /// What staff do [default: with all users of the system, but without in figures of jobs]
    #[arg(long, value_name = "WHICH")]
    pub staff: Option<Which>,
    /// What is run outside of compute nodes, Jupyter's servers among it [default: as for --staff]
    #[arg(long, value_name = "WHICH")]
    pub login: Option<Which>,
    /// On these systems alone
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub system: Vec<String>,
    /// In these parts of a system alone
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub subsystem: Vec<String>,
    /// For these accounts alone
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub repo: Vec<String>,
    /// By these lists of the site file alone
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub list: Vec<String>,
}

impl Asked {
    /// The names that each option was given.
    pub fn names(&self) -> [(&'static str, &Vec<String>); 4] {
        [("system", &self.system), ("subsystem", &self.subsystem), ("repo", &self.repo), ("list", &self.list)]
    }
}

/// The same in numbers of the model: which of its kinds of rows count.
pub struct Selection {
    asked: Takes,
    /// By the number of a setting.
    settings: Vec<Role>,
    /// By the number of a kind of jobs.
    jobs: Vec<Role>,
    /// By the number of a kind of users.
    users: Vec<bool>,
}

/// What a kind of jobs counts for.
#[derive(Clone, Copy, PartialEq)]
struct Role {
    /// It is of a list that was asked for, and that reports all.
    is_listed: bool,
    is_sample: bool,
    /// It counts if it is all that is known of its job.
    counts: bool,
}

/// The filters.
struct Takes {
    staff: Option<Which>,
    login: Option<Which>,
    system: Vec<bool>,
    subsystem: Vec<bool>,
    repo: Vec<bool>,
    list: Vec<bool>,
}

impl Takes {
    fn names(&self, setting: &Setting) -> bool {
        let is_in = |among: &[bool], number: u32| among.get(number as usize).copied().unwrap_or_default();
        is_in(&self.system, setting.system)
            && is_in(&self.subsystem, setting.subsystem)
            && is_in(&self.repo, setting.repo)
    }

    /// Where all of the system counts: jobs, login sessions and Jupyter, staff too.
    fn user(&self, setting: &Setting) -> bool {
        self.is_listed(setting)
            && self.names(setting)
            && self.staff.unwrap_or(Which::Include).takes(setting.is_staff)
            && self.login.unwrap_or(Which::Include).takes(!setting.is_compute)
    }

    /// Where compute jobs of those who are not staff count.
    fn job(&self, setting: &Setting) -> bool {
        self.names(setting)
            && self.staff.unwrap_or(Which::Exclude).takes(setting.is_staff)
            && self.login.unwrap_or(Which::Exclude).takes(!setting.is_compute)
    }

    /// Of a list that reports all processes, and that was asked for.
    fn is_listed(&self, setting: &Setting) -> bool {
        !setting.rate.is_sample() && self.list.get(setting.list as usize).copied().unwrap_or_default()
    }
}

impl Selection {
    /// What is asked of these tables.
    pub fn new(asked: &Asked, model: &Model) -> Self {
        let among = |names: &[String]| -> Vec<bool> {
            let is_one = |number| names.is_empty() || names.iter().any(|name| **name == **model.texts.text(number));
            (0..model.texts.len() as u32).map(is_one).collect()
        };
        let asked = Takes {
            staff: asked.staff,
            login: asked.login,
            system: among(&asked.system),
            subsystem: among(&asked.subsystem),
            repo: among(&asked.repo),
            list: among(&asked.list),
        };
        let role = |setting: &Setting| {
            let (is_listed, is_sample) = (asked.is_listed(setting), setting.rate.is_sample());
            Role { is_listed, is_sample, counts: (is_listed || is_sample) && asked.job(setting) }
        };
        let settings: Vec<Role> = model.settings.all().iter().map(role).collect();
        let jobs = model.job_kinds.all().iter().map(|kind| settings[kind.setting as usize]).collect();
        let users = model.user_kinds.all().iter().map(|kind| asked.user(model.settings.get(kind.setting))).collect();
        Selection { asked, settings, jobs, users }
    }

    /// Shows `each` the kinds of users of a period, with their processes and what these stand for. A kind may come several
    /// times; within a whole month it does not, and those of a user come together.
    pub fn users(&self, model: &Model, period: &Period, mut each: impl FnMut(u32, u64, i64)) {
        let mut found = |kind: u32, processes: u64, weight: i64| {
            if self.users[kind as usize] {
                each(kind, processes, weight);
            }
        };
        for part in model.parts(period) {
            match part {
                Part::Month(month) => month.users.iter().for_each(|of| found(of.kind, of.processes, of.weight)),
                Part::Days(_, rows) => rows.iter().for_each(|row| found(row.kind, row.processes.into(), row.weight)),
            }
        }
    }

    /// Shows `each` the jobs of a period, each job once, whatever it has loaded.
    pub fn jobs(&self, model: &Model, period: &Period, joiner: &mut Joiner, mut each: impl FnMut(Found)) {
        let mut found = |kind: u32, jobs: u64, node_millis: u128| {
            if self.jobs[kind as usize].counts {
                let JobKind { setting, what } = model.job_kinds.get(kind);
                each(Found { kind: Some(kind), setting: model.settings.get(*setting), what, jobs, node_millis });
            }
        };
        for part in model.parts(period) {
            match part {
                Part::Month(month) => {
                    month.jobs.iter().for_each(|alike| found(alike.kind, alike.jobs.into(), alike.node_millis));
                }
                Part::Days(rows, _) => {
                    let single = rows.iter().filter(|row| row.repeated == 0);
                    single.for_each(|row| found(row.kind, 1, row.node_millis()));
                }
            }
        }
        for Joined { setting, what, row } in self.joined(model, period, joiner) {
            each(Found { kind: None, setting: &setting, what: &what, jobs: 1, node_millis: row.node_millis() });
        }
    }

    /// The jobs of a period by lists that report all and that have loaded something, by their nodes.
    pub fn sizes(&self, model: &Model, period: &Period, joiner: &mut Joiner) -> BTreeMap<u32, Cell> {
        let mut sizes: HashMap<u32, Cell, Quick> = HashMap::default();
        let counts = |setting: u32| {
            let role = self.settings[setting as usize];
            role.counts && role.is_listed
        };
        for part in model.parts(period) {
            match part {
                Part::Month(month) => {
                    for alike in month.sizes.chunk_by(|one, other| one.num_nodes == other.num_nodes) {
                        let mut counted = alike.iter().filter(|size| counts(size.setting)).peekable();
                        if counted.peek().is_some() {
                            let cell = sizes.entry(alike[0].num_nodes).or_default();
                            let user = |setting: u32| model.settings.get(setting).username;
                            counted.for_each(|size| cell.add(user(size.setting), size.jobs.into(), size.node_millis));
                        }
                    }
                }
                Part::Days(rows, _) => {
                    for row in rows.iter().filter(|row| row.repeated == 0) {
                        let JobKind { setting, what } = model.job_kinds.get(row.kind);
                        if what.packages != 0 && counts(*setting) {
                            let cell = sizes.entry(row.num_nodes).or_default();
                            cell.add(model.settings.get(*setting).username, 1, row.node_millis());
                        }
                    }
                }
            }
        }
        for Joined { setting, what, row } in self.joined(model, period, joiner) {
            if what.packages != 0 && !setting.rate.is_sample() {
                sizes.entry(row.num_nodes).or_default().add(setting.username, 1, row.node_millis());
            }
        }
        sizes.into_iter().collect()
    }

    /// Jobs that have several rows, of which a period has some that no month has put together.
    fn joined(&self, model: &Model, period: &Period, joiner: &mut Joiner) -> impl Iterator<Item = Joined> {
        let mut join = |row: &JobRow| {
            let role = self.jobs[row.kind as usize];
            if role.is_listed || role.is_sample {
                let JobKind { setting, what } = model.job_kinds.get(row.kind);
                joiner.add(model.settings.get(*setting), what, row);
            }
        };
        for part in model.parts(period) {
            match part {
                Part::Month(month) => month.others.iter().for_each(|place| join(&model.jobs[*place as usize])),
                Part::Days(rows, _) => rows.iter().filter(|row| row.repeated != 0).for_each(&mut join),
            }
        }
        joiner.take().into_iter().filter(|job| self.asked.job(&job.setting))
    }
}

/// Jobs that count: of a kind, or one that has several rows.
pub struct Found<'a> {
    /// In [`Model::job_kinds`].
    pub kind: Option<u32>,
    pub setting: &'a Setting,
    pub what: &'a What,
    pub jobs: u64,
    /// Nodes times milliseconds.
    pub node_millis: u128,
}
