//! A month in brief, for figures over time: numbers alone, without the users that they come from.

use super::join::Joiner;
use super::model::{Model, UserKind};
use super::period::Period;
use super::select::Selection;
use std::collections::BTreeMap;
use std::mem;

/// What figures over time show of a month.
pub struct Brief {
    pub users: u64,
    pub package_users: BTreeMap<u32, u64>,
    pub version_users: BTreeMap<u32, u64>,
    /// Jobs that have loaded at least one package of the lists.
    pub jobs: u64,
    pub package_jobs: BTreeMap<u32, u64>,
}

impl Brief {
    /// Counts a month.
    pub fn of(model: &Model, selection: &Selection, month: &Period, joiner: &mut Joiner) -> Self {
        let (mut users, mut last) = (0, None);
        let [mut package_users, mut version_users] = [(); 2].map(|()| UsersOfNames::of(model));
        let mut kinds = Vec::new();
        selection.users(model, month, |kind, _, _| kinds.push(kind));
        // Of a whole month they are in order, which this is quick to see.
        kinds.sort_by_key(|kind| model.user_of(*kind));
        for kind in kinds {
            let user = model.user_of(kind);
            users += u64::from(last.replace(user) != Some(user));
            let UserKind { packages, versions, .. } = model.user_kinds.get(kind);
            package_users.add(user, model.sets.members(*packages));
            version_users.add(user, model.sets.members(*versions));
        }
        let mut jobs_of_sets: Vec<u64> = vec![0; model.sets.len()];
        selection.jobs(model, month, joiner, |found| {
            let set = found.what.packages as usize;
            if set != 0 && !found.setting.rate.is_sample() {
                if set >= jobs_of_sets.len() {
                    jobs_of_sets.resize(set + 1, 0);
                }
                jobs_of_sets[set] += found.jobs;
            }
        });
        let mut jobs_of_names = vec![0; model.names.len()];
        for (set, jobs) in (0..).zip(&jobs_of_sets).filter(|(_, jobs)| **jobs > 0) {
            joiner.sets.members(set).iter().for_each(|name| jobs_of_names[*name as usize] += jobs);
        }
        Brief {
            users,
            package_users: package_users.counted(),
            version_users: version_users.counted(),
            jobs: jobs_of_sets.iter().sum(),
            package_jobs: (0..).zip(jobs_of_names).filter(|(_, jobs)| *jobs > 0).collect(),
        }
    }
}

/// How many users each name has, where what a user has comes all at once.
struct UsersOfNames {
    /// By name: who was counted last, and how many were.
    names: Vec<(u32, u64)>,
}

impl UsersOfNames {
    fn of(model: &Model) -> Self {
        UsersOfNames { names: vec![(u32::MAX, 0); model.names.len()] }
    }

    fn add(&mut self, user: u32, names: &[u32]) {
        for name in names {
            let (last, count) = &mut self.names[*name as usize];
            *count += u64::from(mem::replace(last, user) != user);
        }
    }

    fn counted(self) -> BTreeMap<u32, u64> {
        (0..).zip(self.names).map(|(name, (_, count))| (name, count)).filter(|(_, count)| *count > 0).collect()
    }
}
