//! Which rows a figure is about.

use super::cell::{Cell, class};
use super::model::{JobKind, JobRow, Model, Setting, What};
use crate::words::{Quick, Sets};
use clap::{Args, ValueEnum};
use std::collections::HashMap;
use std::mem;

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
        let role = |kind: &JobKind| {
            let setting = model.settings.get(kind.setting);
            let (is_listed, is_sample) = (asked.is_listed(setting), setting.rate.is_sample());
            Role { is_listed, is_sample, counts: (is_listed || is_sample) && asked.job(setting) }
        };
        let jobs = model.job_kinds.all().iter().map(role).collect();
        let users = model.user_kinds.all().iter().map(|kind| asked.user(model.settings.get(kind.setting))).collect();
        Selection { asked, jobs, users }
    }

    /// Whether rows of a kind of users count.
    pub fn takes_user(&self, kind: u32) -> bool {
        self.users[kind as usize]
    }

    /// The jobs of some rows, each once, whatever it has loaded.
    pub fn jobs(&self, model: &Model, rows: &[JobRow], sorter: &mut Sorter) -> Jobs {
        let mut jobs = Jobs::default();
        for row in rows {
            let role = self.jobs[row.kind as usize];
            if row.repeated != 0 {
                if role.is_listed || role.is_sample {
                    sorter.gather(model, row);
                }
            } else if role.counts {
                sorter.add(model, row);
                if role.is_listed {
                    let kind = model.job_kinds.get(row.kind);
                    jobs.add_size(model.settings.get(kind.setting), &kind.what, row);
                }
            }
        }
        for Gathered { setting, what, row } in sorter.take_gathered() {
            if !self.asked.job(&setting) {
                continue;
            }
            let what = What { class: class(row.num_nodes), ..what };
            if !setting.rate.is_sample() {
                jobs.add_size(&setting, &what, &row);
            }
            sorter.lots.push(Lot { setting, what, jobs: 1, node_millis: row.node_millis() });
        }
        (jobs.sampled, jobs.listed) = sorter.take_lots().into_iter().partition(|lot| lot.setting.rate.is_sample());
        jobs
    }
}

/// What was selected.
#[derive(Default)]
pub struct Jobs {
    /// By lists that report all.
    pub listed: Vec<Lot>,
    /// By lists that report a sample.
    pub sampled: Vec<Lot>,
    /// The listed ones that have loaded something, by their nodes.
    pub sizes: HashMap<u32, Cell, Quick>,
}

impl Jobs {
    fn add_size(&mut self, setting: &Setting, what: &What, row: &JobRow) {
        if what.packages != 0 {
            self.sizes.entry(row.num_nodes).or_default().add(setting.username, 1, row.node_millis());
        }
    }
}

/// Jobs of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Lot {
    pub setting: Setting,
    pub what: What,
    pub jobs: u64,
    /// Nodes times milliseconds.
    pub node_millis: u128,
}

/// Where jobs are put together. It is empty whenever it is not used.
pub struct Sorter {
    /// Sets of the model, and those that jobs of several rows have and it has not.
    pub sets: Sets,
    pub text_sets: Sets,
    lots: Vec<Lot>,
    /// By the number of a kind: which of the lots is of it, counted from 1.
    lot_of_kind: Vec<u32>,
    of_lots: Vec<u32>,
    gathered: Vec<Gathered>,
    /// By the number of a job that has several rows: which of those gathered it is, counted from 1.
    repeated: Vec<u32>,
}

/// A job with several rows, with all that its processes did.
struct Gathered {
    setting: Setting,
    what: What,
    row: JobRow,
}

impl Sorter {
    /// For rows of that model.
    pub fn new(model: &Model) -> Self {
        Sorter {
            sets: model.sets.clone(),
            text_sets: model.text_sets.clone(),
            lots: Vec::new(),
            lot_of_kind: vec![0; model.job_kinds.all().len()],
            of_lots: Vec::new(),
            gathered: Vec::new(),
            repeated: vec![0; model.repeated + 1],
        }
    }

    /// Adds a job that has one row.
    fn add(&mut self, model: &Model, row: &JobRow) {
        let number = &mut self.lot_of_kind[row.kind as usize];
        if *number == 0 {
            let JobKind { setting, what } = *model.job_kinds.get(row.kind);
            self.lots.push(Lot { setting: *model.settings.get(setting), what, jobs: 0, node_millis: 0 });
            self.of_lots.push(row.kind);
            *number = self.lots.len() as u32;
        }
        let lot = &mut self.lots[*number as usize - 1];
        lot.jobs += 1;
        lot.node_millis += row.node_millis();
    }

    /// Puts a row to others of its job.
    fn gather(&mut self, model: &Model, row: &JobRow) {
        let JobKind { setting, what } = model.job_kinds.get(row.kind);
        let setting = model.settings.get(*setting);
        let number = &mut self.repeated[row.repeated as usize];
        if *number == 0 {
            self.gathered.push(Gathered { setting: *setting, what: *what, row: *row });
            *number = self.gathered.len() as u32;
            return;
        }
        let job = &mut self.gathered[*number as usize - 1];
        job.setting.is_staff |= setting.is_staff;
        job.setting.is_jupyter |= setting.is_jupyter;
        if setting.is_compute && !job.setting.is_compute {
            job.setting.is_compute = true;
            job.setting.subsystem = setting.subsystem;
        }
        job.what.packages = self.sets.union(job.what.packages, what.packages);
        job.what.direct = self.sets.union(job.what.direct, what.direct);
        job.what.environments = self.text_sets.union(job.what.environments, what.environments);
        job.what.exits = self.text_sets.union(job.what.exits, what.exits);
        job.row.num_nodes = job.row.num_nodes.max(row.num_nodes);
        if row.start != 0 {
            job.row.start = if job.row.start == 0 { row.start } else { job.row.start.min(row.start) };
        }
        job.row.end = job.row.end.max(row.end);
    }

    fn take_gathered(&mut self) -> Vec<Gathered> {
        for job in &self.gathered {
            self.repeated[job.row.repeated as usize] = 0;
        }
        mem::take(&mut self.gathered)
    }

    fn take_lots(&mut self) -> Vec<Lot> {
        for kind in self.of_lots.drain(..) {
            self.lot_of_kind[kind as usize] = 0;
        }
        mem::take(&mut self.lots)
    }
}
