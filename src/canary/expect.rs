//! What the library will report of a canary, worked out from the policy and from what the canary said of itself.

use super::ledger::{Listed, Report};
use customs_spec::frame::Header;
use customs_spec::inspect::Inspector;
use customs_spec::json::Writer;
use customs_spec::policy::{List, Policy};
use customs_spec::record::{Field, Finding, MAX_NAME, MAX_TEXT, Record, identity};
use customs_spec::stdlib;
use std::collections::{BTreeMap, BTreeSet};

/// The first and the last line of what a canary says.
const FRAME: (&str, &str) = ("customs-canary", "customs-canary-end");
/// Longer than this no job's id is kept (`preload/src/text.rs`).
const SHORT: usize = 96;
/// Variables that tell a container (`preload/src/container.rs`).
const CONTAINER: [&str; 7] = [
    "SHIFTER_RUNTIME",
    "APPTAINER_CONTAINER",
    "APPTAINER_NAME",
    "SINGULARITY_CONTAINER",
    "SINGULARITY_NAME",
    "CH_RUNNING",
    "container",
];
/// In a container the node's name is Slurm's.
const NODE: &str = "SLURMD_NODENAME";

/// What a canary said.
#[derive(Clone, Debug, Default)]
pub struct Said {
    texts: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
    modules: Vec<String>,
    others: Vec<String>,
    libraries: Vec<String>,
}

/// Between which ages in seconds the canary was when it reported.
type Ages = (f64, f64);

impl Said {
    /// From its output; `None` if it did not get to its end.
    pub fn read(output: &str) -> Option<Self> {
        let (_, rest) = output.split_once(&format!("{}\n", FRAME.0))?;
        let (lines, _) = rest.split_once(&format!("\n{}\n", FRAME.1))?;
        let mut said = Said::default();
        for (key, value) in lines.lines().filter_map(|line| line.split_once('\t')) {
            match key {
                "module" => said.modules.push(value.to_string()),
                "other" => said.others.push(value.to_string()),
                "library" => said.libraries.push(value.to_string()),
                "variable" => {
                    let (name, value) = value.split_once('=')?;
                    said.variables.insert(name.to_string(), value.to_string());
                }
                _ => drop(said.texts.insert(key.to_string(), value.to_string())),
            }
        }
        Some(said)
    }

    fn text(&self, key: &str) -> &str {
        self.texts.get(key).map_or("", String::as_str)
    }

    /// The first of these variables that was set and not empty, with its value.
    fn variable(&self, mut names: impl Iterator<Item = impl AsRef<str>>) -> Option<(String, &str)> {
        names.find_map(|name| Some((name.as_ref().to_string(), self.variables.get(name.as_ref())?.as_str())))
    }

    /// The record's `id`, as docs/RECORD.md has it.
    pub fn process(&self) -> Option<u128> {
        let boot = Some(self.text("boot")).filter(|boot| !boot.is_empty())?;
        let pid = self.text("pid").parse().ok()?;
        Some(identity(format!("{boot}\n").as_bytes(), self.text("namespace").as_bytes(), pid, self.ticks()?))
    }

    /// When it began: field 22 of /proc/self/stat, here counted from behind the name.
    fn ticks(&self) -> Option<u64> {
        self.text("stat").split_whitespace().nth(19)?.parse().ok()
    }

    /// `until` is the uptime when it was known to have ended. Both clocks go by hundredths.
    fn ages(&self, until: f64) -> Option<Ages> {
        let start = self.ticks()? as f64 / 100.0;
        let said: f64 = self.text("uptime").split_whitespace().next()?.parse().ok()?;
        Some((said - start - 0.01, until - start + 0.02)).filter(|(least, most)| least <= most)
    }

    fn is_in_container(&self) -> bool {
        !self.text("container").is_empty() || self.variable(CONTAINER.iter()).is_some()
    }

    /// What the record may say for `host`, before the site's privacy.
    fn nodes(&self) -> Vec<String> {
        let own = self.text("node").to_string();
        match self.variables.get(NODE) {
            Some(node) if *node != own && self.is_in_container() => vec![node.clone()],
            // Not every container can be told from the inside.
            Some(node) if *node != own => vec![own, node.clone()],
            _ => vec![own],
        }
    }

    /// What the record may say for `host`.
    pub fn hosts(&self, policy: Policy) -> Vec<String> {
        let veiled = |host: String| as_sent(policy, Field::Host, host.as_bytes());
        self.nodes().into_iter().map(veiled).collect()
    }

    /// What it will say for `python`.
    pub fn python(&self, policy: Policy) -> String {
        as_sent(policy, Field::Python, self.text("python").as_bytes())
    }
}

/// The variables that a canary is asked for.
pub fn variables(policy: Policy) -> BTreeSet<String> {
    let of_policy = [policy.opt_out(), policy.ranks(), policy.compute_env(), policy.job_id()];
    let names = of_policy.into_iter().flat_map(|names| names.iter()).map(text);
    names.chain(CONTAINER.iter().chain([&NODE]).map(|name| name.to_string())).collect()
}

/// A field as the record has it.
fn as_sent(policy: Policy, field: Field, value: &[u8]) -> String {
    let record = Record { privacy: policy.privacy(), ..Record::default() };
    capped(record.veiled(field, value, &mut [0; 32]), MAX_TEXT)
}

/// A text as it stands in a record, taken out of its JSON again.
fn capped(value: &[u8], cap: usize) -> String {
    let mut space = [0; 1024];
    let mut out = Writer::new(&mut space);
    out.string(value, cap);
    serde_json::from_slice(out.written()).unwrap_or_default()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What will be reported to each list; `until` is the uptime when the canary was known to have ended.
pub fn expect(policy: Policy, said: &Said, until: f64) -> Option<Vec<Listed>> {
    let mut space = vec![0; Inspector::SPACE];
    let mut inspector = Inspector::new(policy, b"", said.text("executable").as_bytes(), &mut space)?;
    for module in said.modules.iter().chain(&said.others) {
        inspector.see_module(module.as_bytes());
    }
    for library in &said.libraries {
        inspector.see_library(library.as_bytes(), |_| {});
    }
    let of_process = of_process(policy, said, until);
    let listed = policy.lists().map(|list| {
        let packages = packages(&inspector, list, said);
        let (report, why) = match &of_process {
            (Report::No, why) => (Report::No, why.clone()),
            of_process => match of_list(policy, &list, said, &packages) {
                (Report::Yes, _) => of_process.clone(),
                of_list => of_list,
            },
        };
        let parts = parts(policy, &list, said, &packages);
        Listed { list: text(list.name), report, why, packages: packages.into_iter().collect(), parts }
    });
    Some(listed.collect())
}

/// Whether the process is reported at all: `is_wanted` in `preload/src/arm.rs`, and whether it is thinned out.
fn of_process(policy: Policy, said: &Said, until: f64) -> (Report, String) {
    if let Some((name, _)) = said.variable(policy.opt_out().iter().map(text)) {
        return (Report::No, format!("{name} is set"));
    }
    let nonzero =
        |value: &str| value.bytes().all(|digit| digit.is_ascii_digit()) && value.bytes().any(|digit| digit != b'0');
    let ranks = policy.ranks().iter().map(text).filter_map(|name| Some((said.variables.get(&name)?, name)));
    if let Some((rank, name)) = ranks.into_iter().find(|(rank, _)| nonzero(rank)) {
        return (Report::No, format!("{name} is {rank}"));
    }
    if policy.thin().next().is_none() {
        return (Report::Yes, String::new());
    }
    let (Some(id), Some((least, most))) = (said.process(), said.ages(until)) else {
        return (Report::Unsure, "it cannot tell its id or its age, by which it may be thinned out".to_string());
    };
    let is_kept = |age: f64| {
        let thin = policy.thin().find(|thin| age.max(0.0) * 1000.0 < f64::from(thin.shorter_than));
        thin.is_none_or(|thin| thin.keeps(id, None))
    };
    let limits =
        policy.thin().map(|thin| f64::from(thin.shorter_than) / 1000.0).filter(|limit| (least..=most).contains(limit));
    let kept: BTreeSet<bool> = [least, most].into_iter().chain(limits).map(is_kept).collect();
    match (kept.contains(&true), kept.contains(&false)) {
        (true, false) => (Report::Yes, String::new()),
        (false, _) => (Report::No, "thinned out".to_string()),
        (true, true) => (Report::Unsure, "its age is at the limit of a [[thin]] rule".to_string()),
    }
}

/// Whether it is reported to a list, if it is reported.
fn of_list(policy: Policy, list: &List, said: &Said, packages: &BTreeSet<String>) -> (Report, String) {
    let job = said.variable(policy.job_id().iter().map(text)).map_or("", |(_, job)| job);
    let job = job.as_bytes().get(..SHORT).unwrap_or(job.as_bytes());
    let is_all = list.threshold == u32::MAX;
    match said.process() {
        None if !is_all && (list.per_process || job.is_empty()) => {
            return (Report::Unsure, "it cannot tell its id, by which the list is sampled".to_string());
        }
        id if !list.samples(policy.system(), job, id.unwrap_or_default()) => {
            return (Report::No, "not in the list's sample".to_string());
        }
        _ => {}
    }
    if packages.is_empty() && !list.empty {
        return (Report::No, "nothing of the list was found".to_string());
    }
    if policy.transports_of(list, is_compute(policy, said)).next().is_none() {
        return (Report::No, "no transport is meant for such a process".to_string());
    }
    (Report::Yes, String::new())
}

fn is_compute(policy: Policy, said: &Said) -> bool {
    said.variable(policy.compute_env().iter().map(text)).is_some()
        || said.nodes().iter().any(|node| policy.compute_hosts().any_matches(node.as_bytes()))
}

/// What the record names.
fn packages(inspector: &Inspector, list: List, said: &Said) -> BTreeSet<String> {
    let found = inspector.found(list);
    let mut packages: BTreeSet<String> = found.iter().map(|found| capped(found.check.name, MAX_NAME)).collect();
    if list.all {
        let knows = !said.text("knows").is_empty();
        let top = |name: &&String| !knows && !name.contains('.') && !stdlib::contains(name.as_bytes());
        // Another name for `__main__`, which `multiprocessing` gives it.
        let others = said.modules.iter().filter(top).chain(&said.others).filter(|name| *name != "__mp_main__");
        packages.extend(others.map(|name| capped(name.as_bytes(), MAX_NAME)));
    }
    packages
}

/// How many datagrams the record takes at least. Versions make it longer, and only the library sees them.
fn parts(policy: Policy, list: &List, said: &Said, packages: &BTreeSet<String>) -> u32 {
    let Some(transport) = policy.transports_of(list, is_compute(policy, said)).next() else { return 0 };
    let hosts = said.nodes();
    let host = hosts.first().map_or("", String::as_str).as_bytes();
    let record = Record {
        list: list.name,
        host,
        system: policy.system(),
        executable: said.text("executable").as_bytes(),
        python: said.text("python").as_bytes(),
        canary: &[b'0'; 32],
        exit: b"normal",
        privacy: policy.privacy(),
        ..Record::default()
    };
    let header = Header { facility: policy.facility(), time: 0, host, pid: 1, msgid: policy.msgid() };
    let findings = packages.iter().map(|name| Finding { name: name.as_bytes(), ..Finding::default() });
    let mut parts = 0;
    let mut space = vec![0; 1 << 16];
    record.messages(header, findings, &mut space, transport.max_datagram, |_| parts += 1);
    parts
}
