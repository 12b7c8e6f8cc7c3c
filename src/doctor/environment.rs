//! What the environment makes of the library: what else is preloaded, whether anything would be reported, and where it
//! would go.

use super::library::Subject;
use super::report::Report;
use super::text;
use crate::here::{self, Compute};
use crate::preloaded::{self, Entry};
use customs_spec::policy::model::{Model, On, Transport};
use customs_spec::record::Field;
use serde_json::{Map, Value, json};

/// The library's place among what is preloaded.
pub fn preloaded(subject: Option<&Subject>, is_of_here: bool, report: &mut Report) {
    const ABOUT: &str = "preload";
    let entries = preloaded::entries();
    let ours: Vec<&Entry> = entries.iter().filter(|entry| entry.is_ours()).collect();
    let path = subject.and_then(|subject| subject.path.as_ref()).filter(|_| !is_of_here);
    if let Some(path) = path.filter(|path| ours.iter().all(|entry| entry.path() != **path)) {
        report.note(ABOUT, format!("{} is not preloaded in this environment", path.display()), "");
    }
    if let [first, _, ..] = ours[..] {
        let all: Vec<&str> = ours.iter().map(|entry| entry.text.as_str()).collect();
        report.problem(
            ABOUT,
            format!("it is preloaded more than once: {}", all.join(", ")),
            format!("keep {}", first.text),
        );
    }
    if let Some(entry) = ours.first().filter(|entry| entry.named_by == preloaded::FILE) {
        let says = format!("{} names {}: it reaches every program, daemons too", preloaded::FILE, entry.text);
        report.note(ABOUT, says, "prefer LD_PRELOAD in the default environment");
    }
    let place = entries.iter().position(Entry::is_ours);
    for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| !entry.is_ours()) {
        let (name, by) = (&entry.text, entry.named_by);
        let is_sanitizer = entry.path().file_name().is_some_and(|name| name.to_string_lossy().starts_with("libasan"));
        match place.map(|place| index < place) {
            _ if name.contains('/') && !entry.path().exists() => {
                let says = format!("{by} names {name} as well, which is not there: programs complain at each start");
                report.note(ABOUT, says, format!("take it out of {by}"));
            }
            Some(false) if is_sanitizer => {
                let says = format!("{name} comes after the library, and refuses to start there");
                report.problem(ABOUT, says, "preload it before the library");
            }
            Some(false) => {
                let says = format!("{name} is preloaded behind the library, whose _exit and abort come before its own");
                report.note(ABOUT, says, "put the library last");
            }
            Some(true) | None => report.ok(ABOUT, format!("{by} also names {name}, before the library")),
        }
    }
    if let (Some(entry), [_]) = (ours.first(), &entries[..]) {
        report.ok(ABOUT, format!("{} names {} and nothing else", entry.named_by, entry.text));
    }
}

/// Whether programs that are started from here would be reported.
pub fn variables(model: &Model, report: &mut Report) {
    let opted_out = here::opted_out(model, &here::variable);
    for name in &opted_out {
        let says = format!("{name} is set: nothing that is started from here is reported");
        report.problem("opt-out", says, format!("unset {name}, if that was not meant"));
    }
    if opted_out.is_empty() {
        let says = match model.opt_out.join(", ") {
            names if names.is_empty() => "the site lets nobody opt out by a variable".to_string(),
            names => format!("not set: {names}"),
        };
        report.ok("opt-out", says);
    }
    for (name, value) in here::other_ranks(model, &here::variable) {
        let says = format!("{name} is {value}: of a parallel program, rank 0 alone reports, and this is not it");
        report.note("rank", says, "");
    }
}

/// What a record says of where it comes from.
pub struct Standing {
    /// Whether a process here is a compute process.
    pub is_compute: bool,
    /// The same and more for a program.
    pub json: Value,
}

/// What a record of this place would say: as the one that came said it, and why.
pub fn standing(model: &Model, record: Option<&Map<String, Value>>, report: &mut Report) -> Standing {
    let own = here::host();
    let host = record.map_or(own.as_str(), |record| text(record, Field::Host));
    let reason = here::compute(model, host, &here::variable);
    let flag = |field: Field| record.and_then(|record| record.get(field.key())?.as_bool());
    let is_compute = flag(Field::IsCompute).unwrap_or(reason.is_some());
    report.ok(
        "compute",
        match (is_compute, reason) {
            (true, Some(Compute::Variable(name))) => format!("a compute process: {name} is set"),
            (true, Some(Compute::Host(pattern))) => format!("a compute process: {host} matches {pattern}"),
            (true, None) => "a compute process".to_string(),
            (false, _) => {
                let names = model.compute.env.join(", ");
                let hosts = model.compute.hosts.join(", ");
                let by_host =
                    if hosts.is_empty() { String::new() } else { format!(", and {host} matches none of {hosts}") };
                format!("not a compute process: none of {names} is set{by_host}")
            }
        },
    );
    let subsystem = here::subsystem(model, host, &here::variable).map_or("", |subsystem| subsystem.name.as_str());
    let subsystem = record.map_or(subsystem, |record| text(record, Field::Subsystem));
    let mut says = vec![format!("host {host}, system {}", model.system)];
    if !model.subsystems.is_empty() {
        says.push(if subsystem.is_empty() { "no subsystem".to_string() } else { format!("subsystem {subsystem}") });
    }
    let mut found = Map::new();
    if let Some(record) = record {
        let (username, uid) = (text(record, Field::Username), &record[Field::Uid.key()]);
        says.push(if username.is_empty() { format!("uid {uid}") } else { format!("user {username} ({uid})") });
        if !model.staff.is_empty() {
            says.push(if flag(Field::IsStaff) == Some(true) { "staff" } else { "not staff" }.to_string());
        }
        for (field, name) in
            [(Field::Container, "container"), (Field::JobId, "job"), (Field::Qos, "qos"), (Field::Repo, "repo")]
        {
            if !text(record, field).is_empty() {
                says.push(format!("{name} {}", text(record, field)));
            }
        }
        let fields = [
            Field::Host,
            Field::System,
            Field::Subsystem,
            Field::Username,
            Field::Uid,
            Field::IsCompute,
            Field::IsStaff,
            Field::Container,
            Field::JobId,
            Field::NumNodes,
            Field::Qos,
            Field::Repo,
        ];
        found.extend(
            fields.iter().filter_map(|field| Some((field.key().to_string(), record.get(field.key())?.clone()))),
        );
    } else {
        found.insert(Field::IsCompute.key().to_string(), json!(is_compute));
    }
    report.ok("here", says.join(", "));
    Standing { is_compute, json: Value::Object(found) }
}

/// Where each list's records go from here.
pub fn ways(model: &Model, is_compute: bool, report: &mut Report) -> Value {
    let mut ways = Map::new();
    for list in &model.lists {
        let transports = here::transports(model, list, is_compute);
        let servers = |transport: &&Transport| -> Vec<String> {
            transport.servers.iter().map(|server| server.to_string()).collect()
        };
        ways.insert(
            list.name.clone(),
            transports
                .iter()
                .map(|transport| json!({ "transport": transport.name, "servers": servers(transport) }))
                .collect(),
        );
        let mut rules = Vec::new();
        if list.rate < 1.0 {
            rules.push(format!("{} of {}", list.rate, if list.per_process { "processes" } else { "jobs" }));
        }
        if !list.empty {
            rules.push("only where something was found".to_string());
        }
        let rules = if rules.is_empty() { String::new() } else { format!(" ({})", rules.join(", ")) };
        if transports.is_empty() {
            let says = format!(
                "records of the list {} go nowhere from here: no transport is meant for {}",
                list.name,
                if is_compute { "compute processes" } else { "what is not a compute process" }
            );
            report.note("route", says, "add a [[transport]] with `on = \"any\"`, if they should");
        }
        for transport in transports {
            let why = match (list.transports.is_empty(), transport.on) {
                (false, _) => "which it names",
                (true, On::Any) => "the first that is for any process",
                (true, On::Compute) => "the first that is for compute processes",
            };
            let one_of = if transport.servers.len() > 1 { "one of " } else { "" };
            let servers = servers(&transport).join(", ");
            report.ok(
                "route",
                format!("list {}{rules}: transport {}, {why}: {one_of}{servers}", list.name, transport.name),
            );
        }
    }
    for thin in &model.thin {
        let says = format!("of processes shorter than {} ms, {} are reported", thin.shorter_than, thin.keep);
        report.note("thin", says, "");
    }
    Value::Object(ways)
}

/// The transports by which records leave from here, each once.
pub fn servers(model: &Model, is_compute: bool) -> Vec<&Transport> {
    let mut all: Vec<&Transport> = Vec::new();
    for transport in model.lists.iter().flat_map(|list| here::transports(model, list, is_compute)) {
        if all.iter().all(|known| known.name != transport.name) {
            all.push(transport);
        }
    }
    all
}
