//! Which rows a figure is about.

use super::model::{About, JobRow, Model};
use crate::words::{Quick, Sets};
use clap::{Args, ValueEnum};
use std::collections::HashMap;

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

/// The same in numbers of the model.
pub struct Selection {
    staff: Option<Which>,
    login: Option<Which>,
    system: Vec<bool>,
    subsystem: Vec<bool>,
    repo: Vec<bool>,
    list: Vec<bool>,
}

impl Selection {
    /// What is asked of these tables.
    pub fn new(asked: &Asked, model: &Model) -> Self {
        let among = |names: &[String]| -> Vec<bool> {
            let is_one = |number| names.is_empty() || names.iter().any(|name| **name == **model.texts.text(number));
            (0..model.texts.len() as u32).map(is_one).collect()
        };
        Selection {
            staff: asked.staff,
            login: asked.login,
            system: among(&asked.system),
            subsystem: among(&asked.subsystem),
            repo: among(&asked.repo),
            list: among(&asked.list),
        }
    }

    fn takes(&self, about: &About) -> bool {
        let is_in = |among: &[bool], number: u32| among.get(number as usize).copied().unwrap_or_default();
        is_in(&self.system, about.system) && is_in(&self.subsystem, about.subsystem) && is_in(&self.repo, about.repo)
    }

    /// Whether a row counts where all of the system does: jobs, login sessions and Jupyter, staff too.
    pub fn takes_user(&self, about: &About) -> bool {
        self.is_listed(about)
            && self.takes(about)
            && self.staff.unwrap_or(Which::Include).takes(about.is_staff)
            && self.login.unwrap_or(Which::Include).takes(!about.is_compute)
    }

    /// Whether a job counts where compute jobs of those who are not staff do.
    fn takes_job(&self, job: &Job) -> bool {
        self.takes(&job.about)
            && self.staff.unwrap_or(Which::Exclude).takes(job.about.is_staff)
            && self.login.unwrap_or(Which::Exclude).takes(!job.about.is_compute)
    }

    /// Whether a row is of a list that reports all processes, and that was asked for.
    fn is_listed(&self, about: &About) -> bool {
        about.rate >= 1.0 && self.list.get(about.list as usize).copied().unwrap_or_default()
    }

    /// The jobs of some rows, each once, whatever it has loaded: those of the lists, and those of the sample.
    pub fn jobs(&self, rows: &[JobRow], sets: &mut Sets, text_sets: &mut Sets) -> (Vec<Job>, Vec<Job>) {
        let of = |is_sample: bool, sets: &mut Sets, text_sets: &mut Sets| {
            let mut known: HashMap<u64, usize, Quick> = HashMap::default();
            let mut jobs: Vec<Job> = Vec::new();
            if !is_sample {
                known.reserve(rows.len());
                jobs.reserve(rows.len());
            }
            for row in rows {
                if !(if is_sample { row.about.rate < 1.0 } else { self.is_listed(&row.about) }) {
                    continue;
                }
                match known.get(&row.key) {
                    Some(at) => jobs[*at].also(row, sets, text_sets),
                    None => {
                        known.insert(row.key, jobs.len());
                        jobs.push(Job {
                            about: row.about,
                            num_nodes: row.num_nodes,
                            start: row.start,
                            end: row.end,
                            exits: row.exits,
                        });
                    }
                }
            }
            jobs.retain(|job| self.takes_job(job));
            jobs
        };
        (of(false, sets, text_sets), of(true, sets, text_sets))
    }
}

/// A job, with all that its processes did.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    pub about: About,
    pub num_nodes: u32,
    pub start: i64,
    pub end: i64,
    pub exits: u32,
}

impl Job {
    fn also(&mut self, row: &JobRow, sets: &mut Sets, text_sets: &mut Sets) {
        self.num_nodes = self.num_nodes.max(row.num_nodes);
        self.about.is_staff |= row.about.is_staff;
        self.about.is_jupyter |= row.about.is_jupyter;
        if row.about.is_compute && !self.about.is_compute {
            self.about.is_compute = true;
            self.about.subsystem = row.about.subsystem;
        }
        self.about.packages = sets.union(self.about.packages, row.about.packages);
        self.about.direct = sets.union(self.about.direct, row.about.direct);
        self.about.environments = text_sets.union(self.about.environments, row.about.environments);
        self.exits = text_sets.union(self.exits, row.exits);
        if row.start != 0 {
            self.start = if self.start == 0 { row.start } else { self.start.min(row.start) };
        }
        self.end = self.end.max(row.end);
    }

    /// Nodes times milliseconds.
    pub fn node_millis(&self) -> u128 {
        let millis = if self.start == 0 { 0 } else { (self.end - self.start).max(0) };
        u128::from(millis.unsigned_abs()) * u128::from(self.num_nodes)
    }
}
