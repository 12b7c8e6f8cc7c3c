//! Records as a centre's would be, by a seeded generator: some thousand users, who each have a few environments and
//! scripts, start jobs of very different sizes, and use what others use, too.
//!
//! The shape is assumed and not measured at a centre: users and packages by Zipf's law with exponent 1, a user's
//! environments with two to sixteen packages of the shipped list (7 on average) at fixed versions, jobs of one to some
//! hundred processes that end within minutes of each other.

use serde_json::{Value, json};

/// A generator of records in the order in which their processes end.
pub struct Mix {
    random: Random,
    users: Vec<User>,
    packages: Vec<String>,
    clock: i64,
    job: u64,
    /// Processes of the job at hand that are still to end.
    left: u64,
    user: usize,
    profile: usize,
    nodes: u64,
    /// Microseconds between two records.
    pace: i64,
}

struct User {
    name: String,
    uid: u32,
    account: String,
    staff: bool,
    profiles: Vec<Profile>,
}

struct Profile {
    executable: String,
    prefix: String,
    python: &'static str,
    main: String,
    packages: Vec<(String, String)>,
    compute: bool,
}

impl Mix {
    /// Records that end `pace` microseconds after one another, from `start` (microseconds since 1970) on.
    pub fn new(seed: u64, users: usize, start: i64, pace: i64) -> Self {
        let mut random = Random(seed | 1);
        let list: toml::Table = toml::from_str(customs_spec::PACKAGES).expect("the shipped list");
        let packages: Vec<String> = list["package"]
            .as_array()
            .expect("packages")
            .iter()
            .filter_map(|package| Some(package.get("name")?.as_str()?.to_string()))
            .collect();
        let users = (0..users).map(|number| User::new(number, &packages, &mut random)).collect();
        Mix { random, users, packages, clock: start, job: 40_000_000, left: 0, user: 0, profile: 0, nodes: 1, pace }
    }

    /// How many packages it chooses from.
    pub fn packages(&self) -> usize {
        self.packages.len()
    }

    /// The next record, as the library writes it.
    pub fn next(&mut self) -> Value {
        if self.left == 0 {
            self.user = self.random.zipf(self.users.len());
            self.profile = self.random.below(self.users[self.user].profiles.len() as u64) as usize;
            self.left = self.random.long_tail(400);
            self.nodes = self.random.long_tail(2000);
            self.job += 1 + self.random.below(20);
        }
        self.left -= 1;
        self.clock += self.pace;
        let user = &self.users[self.user];
        let profile = &user.profiles[self.profile];
        let elapsed = (self.random.long_tail(40_000_000) as f64) / 1000.0 + 0.04;
        let start = self.clock - (elapsed * 1e6) as i64;
        let start = chrono::DateTime::from_timestamp_micros(start).expect("a date");
        let node = 1 + (self.job * 7 + self.left) % 9688;
        let job = if profile.compute { self.job.to_string() } else { String::new() };
        let exit = if self.random.below(50) == 0 { "signal:TERM" } else { "normal" };
        let mut record = json!({
            "schema": 1, "id": format!("{:016x}{:016x}", self.random.next(), self.random.next()), "seq": 0, "part": 1,
            "parts": 1, "list": "packages", "policy": "ca83ee35fb17cf5e", "host": format!("nid{node:05}"),
            "system": "cori", "subsystem": if node < 2388 { "haswell" } else { "knl" }, "username": user.name,
            "uid": user.uid, "pid": self.random.below(200_000) + 300, "ppid": self.random.below(200_000) + 299,
            "executable": profile.executable, "main": profile.main, "prefix": profile.prefix, "python": profile.python,
            "is_compute": profile.compute, "is_shifter": false, "container": "", "is_staff": user.staff, "job_id": job,
            "num_nodes": if profile.compute { self.nodes } else { 1 },
            "qos": if !profile.compute { "" } else if self.nodes > 100 { "premium" } else { "regular" },
            "repo": if profile.compute { &user.account } else { "" },
            "start": start.to_rfc3339_opts(chrono::SecondsFormat::Micros, true), "elapsed": elapsed, "exit": exit,
            "packages": profile.packages.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        });
        let versions = profile.packages.iter().filter(|(_, version)| !version.is_empty());
        record["versions"] = versions.map(|(name, version)| (name.clone(), json!(version))).collect();
        record["direct"] = profile.packages.iter().take(2).map(|(name, _)| json!(name)).collect();
        record
    }

    /// The next record in its frame.
    pub fn message(&mut self) -> Vec<u8> {
        let record = self.next();
        let now = chrono::DateTime::from_timestamp_micros(self.clock).expect("a date");
        let stamp = now.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let (host, pid) = (record["host"].as_str().unwrap_or("-"), &record["pid"]);
        format!("<134>1 {stamp} {host} customs {pid} customs - {record}").into_bytes()
    }
}

impl User {
    fn new(number: usize, packages: &[String], random: &mut Random) -> Self {
        let name: String = (0..5 + random.below(4)).map(|_| char::from(b'a' + random.below(26) as u8)).collect();
        let profiles = (0..1 + random.below(5)).map(|_| Profile::new(&name, packages, random)).collect();
        let account = format!("m{}", 1000 + random.below(900));
        User { name, uid: 20_000 + number as u32, account, staff: random.below(30) == 0, profiles }
    }
}

impl Profile {
    fn new(user: &str, packages: &[String], random: &mut Random) -> Self {
        let python = ["3.7.4", "3.8.5", "3.9.7", "3.10.12", "3.11.7", "3.12.1"][random.below(6) as usize];
        let prefix = match random.below(3) {
            0 => format!("/usr/common/software/python/{python}-anaconda-2021.05"),
            _ => format!("/global/homes/{}/{user}/.conda/envs/env{}", &user[..1], random.below(4)),
        };
        let mut chosen: Vec<(String, String)> = Vec::new();
        for _ in 0..2 + random.below(15) {
            let name = &packages[random.zipf(packages.len())];
            if chosen.iter().all(|(known, _)| known != name) {
                let known = random.below(10) < 7;
                let version = format!("{}.{}.{}", random.below(3), random.below(25), random.below(6));
                chosen.push((name.clone(), if known { version } else { String::new() }));
            }
        }
        let main = format!("/global/cscratch1/sd/{user}/project{}/run_{}.py", random.below(3), random.below(12));
        let compute = random.below(5) > 0;
        Profile { executable: format!("{prefix}/bin/python"), prefix, python, main, packages: chosen, compute }
    }
}

/// Xorshift: good enough to be uneven in the right places.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }

    /// 0 to `count` - 1, the number n with a share of about 1 / (n + 1).
    fn zipf(&mut self, count: usize) -> usize {
        self.long_tail(count as u64) as usize - 1
    }

    /// 1 to `most`; each doubling is as likely as the one before.
    fn long_tail(&mut self, most: u64) -> u64 {
        let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((most as f64 + 1.0).powf(share) as u64).clamp(1, most)
    }
}
