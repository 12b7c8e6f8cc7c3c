//! The policy in plain words.

use super::Force;
use crate::here;
use customs_spec::policy::model::{List, Model, On, Transport};
use customs_spec::record::Field;
use serde_json::{Value, json};
use std::io::{self, IsTerminal};
use std::path::Path;

/// Where there is no policy.
pub const NOTHING: &str = "no customs library is preloaded here, and there is no site file";

/// What a record's fields are about, in the order in which a person asks.
const ABOUT: [(&str, &[Field]); 8] = [
    ("who you are", &[Field::Username, Field::Uid, Field::IsStaff]),
    (
        "which machine",
        &[Field::Host, Field::System, Field::Subsystem, Field::IsCompute, Field::Container, Field::IsShifter],
    ),
    ("which batch job", &[Field::JobId, Field::NumNodes, Field::Qos, Field::Repo]),
    ("which program, by paths", &[Field::Python, Field::Executable, Field::Main, Field::Prefix]),
    ("which process", &[Field::Id, Field::Pid, Field::Ppid, Field::Parent]),
    ("when, how long, and how it ended", &[Field::Start, Field::Elapsed, Field::Exit]),
    ("what was found", &[Field::Packages, Field::Versions, Field::Direct, Field::Libraries]),
    (
        "about the record",
        &[
            Field::Schema,
            Field::Seq,
            Field::Part,
            Field::Parts,
            Field::List,
            Field::Policy,
            Field::Rate,
            Field::Weight,
            Field::Canary,
        ],
    ),
];

/// What no site can switch on.
const NEVER: [&str; 6] = [
    "the arguments of commands",
    "what is in files",
    "what a program reads, computes or prints",
    "your source code, and the names of functions and variables",
    "the environment, but for the variables that describe the batch job",
    "programs without Python",
];

/// Why it is worth staying.
const WHY: &str = "what is counted here is what your centre can see of its users' needs when it decides which software to \
    install, to speed up, to teach and to buy machines for; whoever opts out is not counted when that is decided";

/// Columns of a line: of the terminal, up to a number that can still be read.
pub fn width() -> usize {
    let stdout = io::stdout();
    let width = terminal_size::terminal_size_of(&stdout).map(|(width, _)| usize::from(width.0));
    width.filter(|_| stdout.is_terminal()).unwrap_or(100).clamp(40, 100)
}

const INDENT: usize = 12;

/// A paragraph behind a label.
fn paragraph(label: &str, text: &str, width: usize) -> String {
    let mut out = format!("{label:<INDENT$}");
    let mut column = INDENT;
    // What a variable or a path holds must not steer the terminal.
    let text = text.replace(char::is_control, "\u{fffd}");
    for (number, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if number > 0 && column + 1 + length > width {
            out.push_str(&format!("\n{:INDENT$}", ""));
            column = INDENT;
        } else if number > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
    out
}

/// Where there is no policy.
pub fn nothing(width: usize) -> String {
    paragraph("now", &format!("nothing that you start from here is reported: {NOTHING}"), width)
}

/// The policy for a person.
pub fn text(force: &Force, width: usize) -> String {
    let model = &force.model;
    let mut out = String::new();
    let mut say = |label: &str, text: &str| out.push_str(&paragraph(label, text, width));
    let silence = force.silence();
    say("policy", &format!("{} of {}, in {}", force.digest, model.system, force.source));
    say(
        "now",
        &if silence.is_empty() {
            "Python programs that you start from here are reported, when they end".to_string()
        } else {
            format!("nothing that you start from here is reported: {}", silence.join("; "))
        },
    );
    for list in &model.lists {
        say("looks for", &list_text(model, list));
    }
    for thin in &model.thin {
        let seconds = f64::from(thin.shorter_than) / 1000.0;
        say("", &format!("of processes that last less than {seconds} s only a share of {} is reported", thin.keep));
    }
    for (about, fields) in ABOUT {
        let names: Vec<String> = fields
            .iter()
            .filter(|field| !model.omit.contains(field))
            .map(|field| {
                let veil = if model.pseudonymise.contains(field) { " (as a code)" } else { "" };
                format!("{}{veil}", field.key())
            })
            .collect();
        if !names.is_empty() {
            say("sends", &format!("{about}: {}", names.join(", ")));
        }
    }
    if !model.omit.is_empty() {
        say("leaves out", &format!("{}: your centre has chosen not to be told", keys(&model.omit).join(", ")));
    }
    if !model.pseudonymise.is_empty() {
        say(
            "hides",
            &format!(
                "{}: sent as a code, that tells the same from the other and not what it is",
                keys(&model.pseudonymise).join(", ")
            ),
        );
    }
    say("never", &NEVER.join("; "));
    say("job", &format!("of the environment, these variables tell it: {}", job_variables(model).join(", ")));
    for (transport, is_from_here) in transports(force) {
        let servers: Vec<String> = transport.servers.iter().map(|server| server.to_string()).collect();
        let whose = match (is_from_here, transport.on) {
            (true, _) => "records of this place go",
            (false, On::Compute) => "records of batch jobs go",
            (false, On::Any) => "others go",
        };
        say("where to", &format!("{whose} to {} ({})", servers.join(" or "), transport.name));
    }
    if !model.recorder.is_empty() {
        say(
            "meanwhile",
            &format!("a file of your own in {} holds what would be sent if the process were killed", model.recorder),
        );
    }
    say(
        "opt out",
        &match &model.opt_out[..] {
            [] => "your centre has set no variable for it; `unset LD_PRELOAD` keeps the library out".to_string(),
            [first, others @ ..] => {
                let others = if others.is_empty() { String::new() } else { format!(" (or {})", others.join(", ")) };
                format!(
                    "`export {first}=1`{others} before Python starts, in ~/.profile or ~/.bashrc for always; what that starts inherits it. `unset {first}` comes back"
                )
            }
        },
    );
    say("why stay", WHY);
    say("see also", "`customs me -- COMMAND` prints what would be sent of a command, and sends nothing");
    out
}

fn keys(fields: &[Field]) -> Vec<&'static str> {
    fields.iter().map(|field| field.key()).collect()
}

/// How many of a list's names are modules, and how many native libraries.
fn counts(model: &Model, list: &List) -> (usize, usize) {
    let checks = list.checks.iter().filter_map(|number| model.checks.get(usize::from(*number)));
    let native = checks.filter(|check| check.modules.is_empty()).count();
    (list.checks.len() - native, native)
}

fn list_text(model: &Model, list: &List) -> String {
    let (modules, native) = counts(model, list);
    let plural = |count: usize, noun: &str, nouns: &str| format!("{count} {}", if count == 1 { noun } else { nouns });
    let mut what = Vec::new();
    if modules > 0 {
        what.push(plural(modules, "Python package", "Python packages"));
    }
    if native > 0 {
        what.push(plural(native, "native library", "native libraries"));
    }
    if list.all {
        what.push(
            "the name of every other top-level module that is not of the standard library, your own modules too"
                .to_string(),
        );
    }
    let first: Vec<&str> = list
        .checks
        .iter()
        .take(4)
        .filter_map(|number| Some(model.checks.get(usize::from(*number))?.name.as_str()))
        .collect();
    let such_as = if first.is_empty() { String::new() } else { format!(" (such as {})", first.join(", ")) };
    let often = match (list.rate < 1.0, list.per_process) {
        (false, _) => "in every Python process",
        (true, true) => "in a sample of processes",
        (true, false) => "in a sample of jobs",
    };
    let rate = if list.rate < 1.0 { format!(", a share of {}", list.rate) } else { String::new() };
    let empty = if list.empty { "" } else { "; nothing is sent where none is found" };
    format!("list {}: {}{such_as}, {often}{rate}{empty}", list.name, what.join(", and "))
}

/// The variables whose values are sent.
fn job_variables(model: &Model) -> Vec<&str> {
    let job = &model.job;
    let sent = [
        (Field::JobId, &job.job_id),
        (Field::NumNodes, &job.num_nodes),
        (Field::Qos, &job.qos),
        (Field::Repo, &job.repo),
    ];
    let sent = sent.into_iter().filter(|(field, _)| !model.omit.contains(field));
    let mut names: Vec<&str> = sent.flat_map(|(_, names)| names.iter().map(String::as_str)).collect();
    for (field, name) in
        [(Field::Host, "SLURMD_NODENAME"), (Field::Username, "SLURM_JOB_USER"), (Field::Canary, "CUSTOMS_CANARY")]
    {
        if !model.omit.contains(&field) {
            names.push(name);
        }
    }
    names
}

/// Each transport, and whether records leave by it from here.
fn transports(force: &Force) -> Vec<(&Transport, bool)> {
    let model = &force.model;
    let is_compute = force.is_compute();
    let used = |transport: &Transport| {
        model.lists.iter().any(|list| here::transports(model, list, is_compute).contains(&transport))
    };
    let mut all: Vec<(&Transport, bool)> =
        model.transports.iter().map(|transport| (transport, used(transport))).collect();
    all.sort_by_key(|(_, used)| !used);
    all
}

/// The policy for a program.
pub fn json(force: &Force) -> Value {
    let model = &force.model;
    let silence = force.silence();
    let list = |list: &List| {
        let (packages, libraries) = counts(model, list);
        json!({
            "name": list.name, "packages": packages, "libraries": libraries, "all": list.all, "rate": list.rate,
            "per": if list.per_process { "process" } else { "job" }, "empty": list.empty,
        })
    };
    let transport = |(transport, used): &(&Transport, bool)| {
        let servers: Vec<String> = transport.servers.iter().map(|server| server.to_string()).collect();
        json!({
            "name": transport.name, "on": if transport.on == On::Any { "any" } else { "compute" },
            "servers": servers, "from_here": used,
        })
    };
    let is_sent = |field: &&Field| !model.omit.contains(field);
    json!({
        "in_force": true,
        "policy": force.digest,
        "source": force.source,
        "system": model.system,
        "reported": silence.is_empty(),
        "why_not": silence,
        "opt_out": { "variables": model.opt_out, "set": here::opted_out(model, &here::variable) },
        "lists": model.lists.iter().map(list).collect::<Vec<_>>(),
        "sent": Field::ALL.iter().filter(is_sent).map(|field| field.key()).collect::<Vec<_>>(),
        "omitted": keys(&model.omit),
        "pseudonymised": keys(&model.pseudonymise),
        "variables": job_variables(model),
        "transports": transports(force).iter().map(transport).collect::<Vec<_>>(),
        "recorder": model.recorder,
    })
}

/// What is stored, for a person.
pub fn stored(stored: &Value, dataset: &Path, width: usize) -> String {
    const MOST: usize = 12;
    let number = |key: &str| stored[key].as_u64().unwrap_or_default();
    let mut out = String::new();
    let (uid, folder) = (number("uid"), dataset.display());
    if number("records") == 0 {
        return paragraph("stored", &format!("nothing of uid {uid} in {folder}"), width);
    }
    let day = |key: &str| stored[key].as_str().and_then(|time| time.get(..10)).unwrap_or("?").to_string();
    let text = format!(
        "{} records of {} processes of uid {uid} in {folder}, from {} to {}",
        number("records"),
        number("processes"),
        day("first"),
        day("last")
    );
    out.push_str(&paragraph("stored", &text, width));
    for (label, key) in [("packages", "packages"), ("hosts", "hosts")] {
        let object = stored[key].as_object();
        let mut counts: Vec<(&String, u64)> =
            object.into_iter().flatten().map(|(name, count)| (name, count.as_u64().unwrap_or_default())).collect();
        counts.sort_by(|(name, count), (other, others)| others.cmp(count).then(name.cmp(other)));
        let more = counts.len().saturating_sub(MOST);
        let mut shown: Vec<String> = counts.iter().take(MOST).map(|(name, count)| format!("{name} {count}")).collect();
        if more > 0 {
            shown.push(format!("and {more} more"));
        }
        out.push_str(&paragraph(label, &if shown.is_empty() { "none".to_string() } else { shown.join(", ") }, width));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_spoken_of_once() {
        for field in Field::ALL {
            let times = ABOUT.iter().flat_map(|(_, fields)| fields.iter()).filter(|known| *known == field).count();
            assert_eq!(times, 1, "{field:?}");
        }
    }

    #[test]
    fn paragraphs_stay_within_their_width() {
        let text = paragraph("never", &NEVER.join("; "), 60);
        assert!(text.lines().count() > 3 && text.lines().all(|line| line.chars().count() <= 60), "{text}");
        assert!(text.starts_with("never       the arguments"), "{text}");
    }
}
