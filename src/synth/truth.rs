//! What is true of a made-up centre: counted from its plan, by means as plain as possible, and not from its records.

use super::centre::{Centre, Job, UNLISTED};
use chrono::DateTime;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What was counted, for the whole and for each month in which processes began (UTC).
pub struct Truth {
    periods: BTreeMap<String, Period>,
    /// Canaries can be told from others, and count for nothing.
    knows_canaries: bool,
}

type Users = BTreeSet<usize>;

#[derive(Default)]
struct Period {
    records: u64,
    canaries: u64,
    users: Users,
    jupyter: Users,
    subsystems: BTreeMap<&'static str, Users>,
    environment_users: BTreeMap<&'static str, Users>,
    environment_jobs: BTreeMap<&'static str, u64>,
    package_users: BTreeMap<usize, Users>,
    versions: BTreeMap<(usize, &'static str), Users>,
    jobs: u64,
    package_jobs: BTreeMap<usize, u64>,
    sizes: BTreeMap<i64, u64>,
    package_sizes: BTreeMap<(usize, i64), u64>,
    pairs: BTreeMap<(usize, usize), u64>,
    exits: BTreeMap<&'static str, u64>,
    package_exits: BTreeMap<(usize, &'static str), u64>,
    direct_jobs: BTreeMap<usize, u64>,
    sampled_jobs: u64,
    unlisted_jobs: BTreeMap<usize, u64>,
}

impl Truth {
    /// Of nothing so far.
    pub fn new(_: &Centre, knows_canaries: bool) -> Self {
        Truth { periods: BTreeMap::new(), knows_canaries }
    }

    /// A job, or what ran outside of one, that began on that day of the period.
    pub fn add(&mut self, centre: &Centre, job: &Job, day: i64) {
        let user = &centre.users[job.user];
        let profile = &user.profiles[job.profile];
        // In each period, as many packages as the process has that loads the most.
        let mut parts: BTreeMap<String, (u64, usize)> = BTreeMap::new();
        for process in &job.processes {
            let month = DateTime::from_timestamp_micros(process.start).unwrap_or_default().format("%Y-%m").to_string();
            for period in ["all".to_string(), month] {
                let (count, most) = parts.entry(period).or_default();
                *count += 1;
                *most = process.packages.max(*most);
            }
        }
        for (name, (records, loaded)) in parts {
            let period = self.periods.entry(name).or_default();
            if job.is_canary && self.knows_canaries {
                period.canaries += records * (1 + u64::from(job.is_sampled));
                continue;
            }
            period.records += records * (1 + u64::from(job.is_sampled));
            let mut packages = profile.packages[..loaded].to_vec();
            if job.is_jupyter {
                period.jupyter.insert(job.user);
                packages.extend(centre.packages.iter().position(|name| name == "ipykernel"));
            }
            period.users.insert(job.user);
            period
                .subsystems
                .entry(if job.is_compute { user.subsystem } else { "login" })
                .or_default()
                .insert(job.user);
            period.environment_users.entry(profile.environment).or_default().insert(job.user);
            for package in &packages {
                period.package_users.entry(*package).or_default().insert(job.user);
            }
            for package in &profile.packages[..loaded] {
                if let Some(version) = user.version(*package, day) {
                    period.versions.entry((*package, version)).or_default().insert(job.user);
                }
            }
            if job.id.is_empty() || user.is_staff {
                continue;
            }
            if job.is_sampled {
                period.sampled_jobs += 1;
                for name in &profile.unlisted {
                    *period.unlisted_jobs.entry(*name).or_default() += 1;
                }
            }
            if packages.is_empty() {
                continue;
            }
            period.jobs += 1;
            *period.sizes.entry(job.nodes).or_default() += 1;
            *period.environment_jobs.entry(profile.environment).or_default() += 1;
            *period.exits.entry(job.exit).or_default() += 1;
            for (at, one) in packages.iter().enumerate() {
                *period.package_jobs.entry(*one).or_default() += 1;
                *period.package_sizes.entry((*one, job.nodes)).or_default() += 1;
                *period.package_exits.entry((*one, job.exit)).or_default() += 1;
                *period.direct_jobs.entry(*one).or_default() += u64::from(profile.direct.contains(one));
                for other in &packages[at + 1..] {
                    *period.pairs.entry((*one, *other)).or_default() += 1;
                }
            }
        }
    }

    /// All of it, as JSON.
    pub fn finish(self, centre: &Centre) -> Value {
        self.periods.into_iter().map(|(name, period)| (name, period.finish(centre))).collect()
    }
}

impl Period {
    fn finish(self, centre: &Centre) -> Value {
        let name = |at: &usize| centre.packages[*at].clone();
        let mut packages = Map::new();
        for (at, users) in &self.package_users {
            let sizes = self.package_sizes.iter().filter(|((package, _), _)| package == at);
            let exits = self.package_exits.iter().filter(|((package, _), _)| package == at);
            let versions = self.versions.iter().filter(|((package, _), _)| package == at);
            let facts = json!({
                "users": users.len(),
                "jobs": self.package_jobs.get(at).unwrap_or(&0),
                "direct_jobs": self.direct_jobs.get(at).unwrap_or(&0),
                "sizes": sizes.map(|((_, nodes), jobs)| (nodes.to_string(), json!(jobs))).collect::<Map<_, _>>(),
                "exits": exits.map(|((_, exit), jobs)| (exit.to_string(), json!(jobs))).collect::<Map<_, _>>(),
                "versions": versions.map(|((_, version), users)| (version.to_string(), json!(users.len()))).collect::<Map<_, _>>(),
            });
            packages.insert(name(at), facts);
        }
        let counts = |of: BTreeMap<&str, Users>| -> Value {
            of.iter().map(|(name, users)| (name.to_string(), json!(users.len()))).collect()
        };
        let pairs = self.pairs.iter().map(|((one, other), jobs)| json!([name(one), name(other), jobs]));
        json!({
            "records": self.records,
            "canaries": self.canaries,
            "users": self.users.len(),
            "jupyter_users": self.jupyter.len(),
            "subsystem_users": counts(self.subsystems),
            "environment_users": counts(self.environment_users),
            "environment_jobs": self.environment_jobs.iter().map(|(name, jobs)| (name.to_string(), json!(jobs))).collect::<Map<_, _>>(),
            "jobs": self.jobs,
            "sizes": self.sizes.iter().map(|(nodes, jobs)| (nodes.to_string(), json!(jobs))).collect::<Map<_, _>>(),
            "exits": self.exits.iter().map(|(exit, jobs)| (exit.to_string(), json!(jobs))).collect::<Map<_, _>>(),
            "packages": packages,
            "pairs": pairs.collect::<Vec<_>>(),
            "sampled_jobs": self.sampled_jobs,
            "unlisted_jobs": self.unlisted_jobs.iter().map(|(at, jobs)| (UNLISTED[*at].to_string(), json!(jobs))).collect::<Map<_, _>>(),
        })
    }
}
