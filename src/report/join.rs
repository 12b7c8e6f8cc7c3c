//! Jobs with several rows: what all of their processes did.

use super::cell::class;
use super::model::{JobRow, Setting, What};
use crate::words::Sets;
use std::mem;

/// Puts rows to others of their jobs. It has none whenever it is not used.
pub struct Joiner {
    /// Sets of the model, and those that jobs of several rows have and it has not.
    pub sets: Sets,
    pub text_sets: Sets,
    jobs: Vec<Joined>,
    /// By [`JobRow::repeated`]: which of the jobs it is, counted from 1.
    places: Vec<u32>,
}

/// A job with several rows.
pub struct Joined {
    pub setting: Setting,
    pub what: What,
    pub row: JobRow,
}

impl Joiner {
    /// For so many jobs that have several rows.
    pub fn new(sets: Sets, text_sets: Sets, repeated: usize) -> Self {
        Joiner { sets, text_sets, jobs: Vec::new(), places: vec![0; repeated + 1] }
    }

    /// Adds a row.
    pub fn add(&mut self, setting: &Setting, what: &What, row: &JobRow) {
        let place = &mut self.places[row.repeated as usize];
        if *place == 0 {
            self.jobs.push(Joined { setting: *setting, what: *what, row: *row });
            *place = self.jobs.len() as u32;
            return;
        }
        let job = &mut self.jobs[*place as usize - 1];
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
        job.what.class = class(job.row.num_nodes);
        if row.start != 0 {
            job.row.start = if job.row.start == 0 { row.start } else { job.row.start.min(row.start) };
        }
        job.row.end = job.row.end.max(row.end);
    }

    /// The jobs, in the order of their first rows.
    pub fn take(&mut self) -> Vec<Joined> {
        for job in &self.jobs {
            self.places[job.row.repeated as usize] = 0;
        }
        mem::take(&mut self.jobs)
    }
}
