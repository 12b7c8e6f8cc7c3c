//! A centre that never was: its users, their environments, and the jobs of a day.
//!
//! The shapes are assumed and not measured anywhere: users and packages by Zipf's law, sizes and durations so that each
//! doubling is as likely as the one before. What is *planted* is exact, and [`super::truth`] counts it as it is made.

use crate::site;
use anyhow::Result;
use chrono::NaiveDate;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The one system.
pub const SYSTEM: &str = "synth";
/// The list that looks for packages, and the one that samples everything.
pub const LIST: &str = "packages";
/// See [`LIST`].
pub const SAMPLE: &str = "everything";
/// Of the jobs, the share that is sampled.
pub const RATE: f64 = 0.1;
/// In the sample, and on no list.
pub const UNLISTED: [&str; 4] = ["newsolver", "labtools", "shinyml", "oldutils"];
/// Where a user's Python comes from: a class of docs/TABLES.md, and the prefix that shows it.
const ENVIRONMENTS: [(&str, &str); 5] = [
    ("module", "/opt/python/3.11"),
    ("conda", "/home/{user}/miniconda3/envs/work"),
    ("venv", "/home/{user}/project/.venv"),
    ("spack", "/opt/spack/opt/linux-x86_64/python-3.11.7-abcdefg"),
    ("system", "/usr"),
];
/// Loaded by kernels and servers of Jupyter, by which they are known, and by nothing else here.
const JUPYTER: [&str; 5] = ["ipykernel", "jupyterlab", "notebook", "jupyter_server", "jupyterhub"];
/// Of a day, in microseconds.
const DAY: i64 = 86_400_000_000;

/// Somebody who runs Python.
pub struct User {
    pub name: String,
    pub uid: i64,
    pub repo: String,
    pub is_staff: bool,
    pub subsystem: &'static str,
    pub profiles: Vec<Profile>,
    /// Begins to use a newer version on this day of the period.
    adopts: i64,
    /// Uses Jupyter as well.
    pub jupyter: bool,
}

/// What one of their programs is and loads.
pub struct Profile {
    pub environment: &'static str,
    pub container: &'static str,
    pub prefix: String,
    pub executable: String,
    pub main: String,
    /// In the order of the list.
    pub packages: Vec<usize>,
    pub direct: Vec<usize>,
    pub unlisted: Vec<usize>,
}

/// A centre.
pub struct Centre {
    pub users: Vec<User>,
    /// The names that can be reported, by popularity.
    pub packages: Vec<String>,
    /// Of the packages, those that are shared libraries.
    pub libraries: Vec<usize>,
    seed: u64,
    from: NaiveDate,
    jobs_a_day: f64,
}

/// Processes that belong together: a job, or one login session's.
pub struct Job {
    /// Nothing for what runs outside of jobs.
    pub id: String,
    pub user: usize,
    pub profile: usize,
    pub nodes: i64,
    pub is_compute: bool,
    pub is_jupyter: bool,
    pub is_canary: bool,
    /// Of the thinning rule that held, which then stands for so many.
    pub weight: Option<f64>,
    pub is_sampled: bool,
    pub exit: &'static str,
    /// Of each process: its start, and how many packages of the profile it loads.
    pub processes: Vec<Process>,
}

/// One of them.
pub struct Process {
    pub id: [u8; 16],
    /// Microseconds since 1970.
    pub start: i64,
    pub elapsed: f64,
    pub packages: usize,
}

impl Centre {
    /// As many users, and jobs on a day on average, from that day on.
    pub fn new(seed: u64, users: usize, jobs_a_day: f64, from: NaiveDate) -> Result<Self> {
        let known = site::shipped_packages()?;
        // The most popular ones are those that everybody expects there, so that figures look like a centre's.
        let first = [
            "numpy",
            "multiprocessing",
            "scipy",
            "matplotlib",
            "mpi4py",
            "pandas",
            "h5py",
            "mkl",
            "netCDF4",
            "xarray",
            "dask",
            "astropy",
            "ipykernel",
            "sklearn",
            "torch",
            "joblib",
        ];
        let mut packages: Vec<String> = first.iter().map(ToString::to_string).collect();
        let rest = known.iter().map(|(name, _)| name).filter(|name| !first.contains(&name.as_str()));
        packages.extend(rest.cloned());
        let is_library = |name: &String| known.iter().any(|(other, library)| *library && other == name);
        let libraries = (0..packages.len()).filter(|at| packages.get(*at).is_some_and(is_library)).collect();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let users = (0..users).map(|number| User::new(number, &packages, &mut random)).collect();
        Ok(Centre { users, packages, libraries, seed, from, jobs_a_day })
    }

    /// What begins on a day of the period, by its number. Each day is made from its number alone.
    pub fn day(&self, number: i64, days: i64) -> Vec<Job> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let midnight = (self.from + chrono::Days::new(number as u64)).and_time(chrono::NaiveTime::MIN).and_utc();
        let midnight = midnight.timestamp_micros();
        // Half as many at first as at the end; fewer at the weekend.
        let growth = 0.67 + 0.66 * number as f64 / days.max(2) as f64;
        let weekday = if (midnight / DAY + 4) % 7 >= 5 { 0.7 } else { 1.12 };
        let count = (self.jobs_a_day * growth * weekday).round().max(1.0) as u64;
        (0..count).map(|at| self.job(number, at, midnight, &mut random)).collect()
    }

    fn job(&self, day: i64, at: u64, midnight: i64, random: &mut ChaCha8Rng) -> Job {
        let number = zipf(random, self.users.len());
        let user = &self.users[number];
        let profile = random.random_range(0..user.profiles.len());
        let kind = random.random_range(0..100);
        let is_jupyter = user.jupyter && kind < 20;
        let is_login = !is_jupyter && kind < 25;
        let is_canary = !is_login && !is_jupyter && kind == 99;
        let is_job = !is_login && !is_jupyter;
        // Twice, so that each size is rarer than half of it.
        let most = long_tail(random, 2048);
        let nodes = if is_job { long_tail(random, most) } else { 1 };
        let start = midnight + random.random_range(0..DAY);
        // A tenth of all runs long; so some go on past midnight.
        let seconds = if random.random_range(0..10) == 0 { 40_000 } else { long_tail(random, 20_000) };
        let processes = if is_job { long_tail(random, 40) } else { long_tail(random, 4) };
        let all = user.profiles[profile].packages.len();
        let processes = (0..processes).map(|process| {
            let offset = if process == 0 { 0 } else { random.random_range(0..seconds * 1_000_000) };
            let elapsed = ((seconds * 1_000_000 - offset) / 1000).max(40) as f64 / 1000.0;
            let mut id = [0; 16];
            random.fill_bytes(&mut id);
            // The first loads all of it, others a part.
            let packages = if process == 0 { all } else { random.random_range(0..=all) };
            Process { id, start: start + offset, elapsed, packages }
        });
        let processes = processes.collect();
        let exit =
            ["normal", "normal", "normal", "normal", "normal", "normal", "os_exit", "signal:TERM", "killed", "normal"];
        Job {
            id: if is_job { format!("{}", 1_000_000 + day * 100_000 + at as i64) } else { String::new() },
            user: number,
            profile,
            nodes,
            is_compute: is_job,
            is_jupyter,
            is_canary,
            weight: (is_job && random.random_range(0..20) == 0).then_some(10.0),
            is_sampled: is_job && random.random_bool(RATE),
            exit: exit[random.random_range(0..exit.len())],
            processes,
        }
    }
}

impl User {
    fn new(number: usize, packages: &[String], random: &mut ChaCha8Rng) -> Self {
        let syllables = ["ba", "de", "fi", "go", "ka", "le", "mi", "no", "pa", "ri", "su", "ta", "vo", "ze"];
        let mut name: String = (0..3).map(|_| syllables[random.random_range(0..syllables.len())]).collect();
        name.push_str(&number.to_string());
        let profiles = (0..random.random_range(1..4)).map(|_| Profile::new(&name, packages, random)).collect();
        User {
            uid: 20_000 + number as i64,
            repo: format!("m{}", 1000 + random.random_range(0..60)),
            is_staff: random.random_range(0..25) == 0,
            subsystem: if random.random_range(0..3) == 0 { "gpu" } else { "cpu" },
            profiles,
            adopts: random.random_range(0..1000),
            jupyter: random.random_range(0..4) == 0,
            name,
        }
    }

    /// The version of a package that this user has on a day of the period; some packages do not say theirs.
    pub fn version(&self, package: usize, day: i64) -> Option<&'static str> {
        match package {
            0 if day < self.adopts => Some("1.26.4"),
            0 => Some("2.1.0"),
            package if package.is_multiple_of(3) => Some("0.9.1"),
            package if package % 3 == 1 => Some("3.2.0"),
            _ => None,
        }
    }
}

impl Profile {
    fn new(user: &str, packages: &[String], random: &mut ChaCha8Rng) -> Self {
        let of = |name: &str| packages.iter().position(|other| other == name);
        let mut chosen: Vec<usize> = Vec::new();
        for _ in 0..random.random_range(1..13) {
            chosen.push(zipf(random, packages.len()));
        }
        // Planted: who loads astropy mostly runs under mpi4py, who loads xarray always dask, and half of all that load
        // numpy have MKL.
        let has = |chosen: &[usize], name: &str| of(name).is_some_and(|at| chosen.contains(&at));
        if has(&chosen, "astropy") && random.random_range(0..4) > 0 {
            chosen.extend(of("mpi4py"));
        }
        if has(&chosen, "xarray") {
            chosen.extend(of("dask"));
        }
        chosen.retain(|at| Some(*at) != of("mkl") && JUPYTER.iter().all(|name| Some(*at) != of(name)));
        if has(&chosen, "numpy") && random.random_bool(0.5) {
            chosen.extend(of("mkl"));
        }
        chosen.sort_unstable();
        chosen.dedup();
        let direct = chosen.iter().copied().filter(|_| random.random_range(0..3) == 0).collect();
        let (environment, prefix) = ENVIRONMENTS[zipf(random, ENVIRONMENTS.len())];
        let is_container = random.random_range(0..10) == 0;
        let prefix = prefix.replace("{user}", user);
        let unlisted = (0..UNLISTED.len()).filter(|at| random.random_range(0..3 + 3 * at) == 0).collect();
        Profile {
            environment: if is_container { "container" } else { environment },
            container: if is_container { "shifter" } else { "" },
            executable: format!("{prefix}/bin/python3"),
            main: format!("/home/{user}/run_{}.py", random.random_range(0..9)),
            prefix,
            packages: chosen,
            direct,
            unlisted,
        }
    }
}

/// 0 to `count` - 1; each doubling is as likely as the one before.
fn zipf(random: &mut impl Rng, count: usize) -> usize {
    long_tail(random, count as i64) as usize - 1
}

/// 1 to `most`; each doubling is as likely as the one before.
fn long_tail(random: &mut impl Rng, most: i64) -> i64 {
    let share: f64 = random.random();
    ((most as f64 + 1.0).powf(share) as i64).clamp(1, most)
}
