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

/// What a job, or what ran outside of one, did within a period.
#[derive(Default)]
struct Part {
    processes: u64,
    /// How many packages of the profile the process has that loads the most.
    loaded: usize,
    /// Milliseconds since 1970.
    start: i64,
    end: i64,
}

#[derive(Default)]
struct Cell {
    jobs: u64,
    users: Users,
}

impl Cell {
    fn add(&mut self, user: usize) {
        self.jobs += 1;
        self.users.insert(user);
    }

    fn finish(&self) -> Value {
        json!({ "jobs": self.jobs, "users": self.users.len() })
    }
}

#[derive(Default)]
struct Period {
    records: u64,
    canaries: u64,
    processes: u64,
    weight: f64,
    users: Users,
    jupyter: Users,
    login: Users,
    compute: Users,
    subsystems: BTreeMap<&'static str, Users>,
    environment_users: BTreeMap<&'static str, Users>,
    environment_jobs: BTreeMap<&'static str, u64>,
    package_users: BTreeMap<usize, Users>,
    direct_users: BTreeMap<usize, Users>,
    versions: BTreeMap<(usize, &'static str), Users>,
    jobs: u64,
    empty_jobs: u64,
    node_hours: f64,
    package_jobs: BTreeMap<usize, Cell>,
    package_node_hours: BTreeMap<usize, f64>,
    sizes: BTreeMap<i64, Cell>,
    package_sizes: BTreeMap<(usize, i64), u64>,
    /// By the power of two that begins a class of sizes.
    package_classes: BTreeMap<(usize, i64), Cell>,
    pairs: BTreeMap<(usize, usize), u64>,
    exits: BTreeMap<&'static str, Cell>,
    package_exits: BTreeMap<(usize, &'static str), Cell>,
    direct_jobs: BTreeMap<usize, u64>,
    sampled_jobs: u64,
    sampled_names: BTreeMap<String, Cell>,
    unlisted_jobs: BTreeMap<usize, u64>,
}

impl Truth {
    /// Of nothing so far.
    pub fn new(knows_canaries: bool) -> Self {
        Truth { periods: BTreeMap::new(), knows_canaries }
    }

    /// A job, or what ran outside of one, that began on that day of the period.
    pub fn add(&mut self, centre: &Centre, job: &Job, day: i64) {
        let user = &centre.users[job.user];
        let profile = &user.profiles[job.profile];
        let mut parts: BTreeMap<String, Part> = BTreeMap::new();
        for process in &job.processes {
            let month = DateTime::from_timestamp_micros(process.start).unwrap_or_default().format("%Y-%m").to_string();
            let (start, end) = (process.start / 1000, process.start / 1000 + (process.elapsed * 1e3).round() as i64);
            for period in ["all".to_string(), month] {
                let part = parts.entry(period).or_insert(Part { start, ..Part::default() });
                part.processes += 1;
                part.loaded = process.packages.max(part.loaded);
                part.start = start.min(part.start);
                part.end = end.max(part.end);
            }
        }
        for (name, Part { processes, loaded, start, end }) in parts {
            let period = self.periods.entry(name).or_default();
            let records = processes * (1 + u64::from(job.is_sampled));
            if job.is_canary && self.knows_canaries {
                period.canaries += records;
                continue;
            }
            period.records += records;
            period.processes += processes;
            period.weight += job.weight.unwrap_or(1.0) * processes as f64;
            let mut packages = profile.packages[..loaded].to_vec();
            if job.is_jupyter {
                period.jupyter.insert(job.user);
                packages.extend(centre.packages.iter().position(|name| name == "ipykernel"));
            }
            period.users.insert(job.user);
            if job.is_compute { &mut period.compute } else { &mut period.login }.insert(job.user);
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
                if profile.direct.contains(package) {
                    period.direct_users.entry(*package).or_default().insert(job.user);
                }
                if let Some(version) = user.version(*package, day) {
                    period.versions.entry((*package, version)).or_default().insert(job.user);
                }
            }
            if job.id.is_empty() || user.is_staff {
                continue;
            }
            if job.is_sampled {
                period.sampled_jobs += 1;
                for package in &packages {
                    period.sampled_names.entry(centre.packages[*package].clone()).or_default().add(job.user);
                }
                for name in &profile.unlisted {
                    period.sampled_names.entry(UNLISTED[*name].to_string()).or_default().add(job.user);
                    *period.unlisted_jobs.entry(*name).or_default() += 1;
                }
            }
            if packages.is_empty() {
                period.empty_jobs += 1;
                continue;
            }
            let node_hours = (end - start) as f64 / 3_600_000.0 * job.nodes as f64;
            period.jobs += 1;
            period.node_hours += node_hours;
            period.sizes.entry(job.nodes).or_default().add(job.user);
            *period.environment_jobs.entry(profile.environment).or_default() += 1;
            period.exits.entry(job.exit).or_default().add(job.user);
            for (at, one) in packages.iter().enumerate() {
                period.package_jobs.entry(*one).or_default().add(job.user);
                *period.package_node_hours.entry(*one).or_default() += node_hours;
                *period.package_sizes.entry((*one, job.nodes)).or_default() += 1;
                period.package_classes.entry((*one, 1 << job.nodes.ilog2())).or_default().add(job.user);
                period.package_exits.entry((*one, job.exit)).or_default().add(job.user);
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
            let classes = self.package_classes.iter().filter(|((package, _), _)| package == at);
            let nothing = Cell::default();
            let jobs = self.package_jobs.get(at).unwrap_or(&nothing);
            let facts = json!({
                "is_library": centre.libraries.contains(at),
                "users": users.len(),
                "direct_users": self.direct_users.get(at).map_or(0, Users::len),
                "jobs": jobs.jobs,
                "job_users": jobs.users.len(),
                "direct_jobs": self.direct_jobs.get(at).unwrap_or(&0),
                "node_hours": self.package_node_hours.get(at).unwrap_or(&0.0),
                "sizes": sizes.map(|((_, nodes), jobs)| (nodes.to_string(), json!(jobs))).collect::<Map<_, _>>(),
                "classes": classes.map(|((_, from), cell)| (from.to_string(), cell.finish())).collect::<Map<_, _>>(),
                "exits": exits.map(|((_, exit), cell)| (exit.to_string(), cell.finish())).collect::<Map<_, _>>(),
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
            "processes": self.processes,
            "weight": self.weight,
            "users": self.users.len(),
            "jupyter_users": self.jupyter.len(),
            "login_users": self.login.len(),
            "compute_users": self.compute.len(),
            "subsystem_users": counts(self.subsystems),
            "environment_users": counts(self.environment_users),
            "environment_jobs": self.environment_jobs.iter().map(|(name, jobs)| (name.to_string(), json!(jobs))).collect::<Map<_, _>>(),
            "jobs": self.jobs,
            "empty_jobs": self.empty_jobs,
            "node_hours": self.node_hours,
            "sizes": self.sizes.iter().map(|(nodes, cell)| (nodes.to_string(), cell.finish())).collect::<Map<_, _>>(),
            "exits": self.exits.iter().map(|(exit, cell)| (exit.to_string(), cell.finish())).collect::<Map<_, _>>(),
            "packages": packages,
            "pairs": pairs.collect::<Vec<_>>(),
            "sampled_jobs": self.sampled_jobs,
            "sampled_names": self.sampled_names.iter().map(|(name, cell)| (name.clone(), cell.finish())).collect::<Map<_, _>>(),
            "unlisted_jobs": self.unlisted_jobs.iter().map(|(at, jobs)| (UNLISTED[*at].to_string(), json!(jobs))).collect::<Map<_, _>>(),
        })
    }
}
