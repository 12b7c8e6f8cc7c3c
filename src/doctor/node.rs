//! What of this node stands in the way: limits, filters, networks, other loaders, and what sets the variable.

use super::library::Subject;
use super::report::Report;
use crate::preloaded;
use customs_spec::policy::model::Server;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The loader needs a descriptor for each object, and so does a report.
const FEW_DESCRIPTORS: u64 = 32;
/// Less address space than Python itself takes with a few packages.
const LITTLE_MEMORY: u64 = 256 << 20;
/// 32-bit programs' loaders.
const NARROW_LOADERS: [&str; 2] = ["/lib/ld-linux.so.2", "/lib/ld-linux-armhf.so.3"];
/// What sets the variable at login.
const SNIPPETS: [(&str, &str); 2] = [
    ("/etc/profile.d/customs.sh", ". \"$0\"; printf %s \"$LD_PRELOAD\""),
    ("/etc/profile.d/customs.csh", "source /etc/profile.d/customs.csh; if ($?LD_PRELOAD) echo $LD_PRELOAD"),
];
/// What switches a node off, for the snippets.
const SWITCH: &str = "/etc/customs/off";

/// Looks at all of it.
pub fn look(subject: Option<&Subject>, report: &mut Report) {
    limits(report);
    seccomp(report);
    if let Some(subject) = subject {
        network(subject, report);
        loaders(subject, report);
    }
    profile(subject, report);
}

/// A soft limit of this process in its own unit; `None` where there is none (proc_pid_limits(5)).
pub fn limit(name: &str) -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn limits(report: &mut Report) {
    const ABOUT: &str = "limits";
    let descriptors = limit("Max open files").unwrap_or(u64::MAX);
    let memory = limit("Max address space").unwrap_or(u64::MAX);
    if descriptors < FEW_DESCRIPTORS {
        let says = format!(
            "a process may open {descriptors} files: the loader may find no descriptor for the library, nor the library for a report"
        );
        report.problem(ABOUT, says, "ulimit -n 1024");
    }
    if memory < LITTLE_MEMORY {
        let says =
            format!("a process may take {} MiB of address space, of which the library takes half a MiB", memory >> 20);
        report.note(ABOUT, says, "ulimit -v unlimited");
    }
    if descriptors >= FEW_DESCRIPTORS && memory >= LITTLE_MEMORY {
        report.ok(ABOUT, format!("a process may open {descriptors} files"));
    }
}

fn seccomp(report: &mut Report) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse::<u32>().ok()).unwrap_or(0)
    };
    match number("Seccomp:") {
        0 => report.ok("seccomp", "no filter of system calls"),
        _ => {
            let count = number("Seccomp_filters:").max(1);
            let says = format!("{count} filter(s) of system calls are in force here; what they forbid cannot be read");
            report.note(
                "seccomp",
                says,
                "if the Pythons above reported, they let a report through (docs/TRUST.md, Seccomp)",
            );
        }
    }
}

/// The network namespace, where records go over a network.
fn network(subject: &Subject, report: &mut Report) {
    let servers = subject.model.transports.iter().flat_map(|transport| &transport.servers);
    let is_needed =
        servers.into_iter().any(|server| matches!(server, Server::Udp(address) if !address.ip().is_loopback()));
    let devices = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let names = devices.lines().filter_map(|line| line.split_once(':').map(|(name, _)| name.trim()));
    let others: Vec<&str> = names.filter(|name| *name != "lo").collect();
    if !others.is_empty() {
        report.ok("network", others.join(", "));
    } else if is_needed {
        let says = "this network namespace has no interface but lo: records by UDP cannot leave it";
        report.problem("network", says, "share the node's network, or send by unix:// to a relay and mount its socket");
    } else {
        report.note("network", "no interface but lo", "");
    }
}

/// Loaders that would not take the library, or take it in another way.
fn loaders(subject: &Subject, report: &mut Report) {
    const ABOUT: &str = "loaders";
    let Some(entry) = &subject.entry else { return };
    let mut well = true;
    if let Some(loader) = NARROW_LOADERS.iter().find(|loader| Path::new(loader).exists()) {
        let complaint = format!("{loader} is here: 32-bit programs complain at each start");
        let narrow = entry.narrow_path();
        match &narrow {
            Some(path) if path.exists() => report.ok(ABOUT, format!("32-bit programs find {}", path.display())),
            Some(path) => {
                well = false;
                report.note(ABOUT, complaint, format!("put an empty 32-bit object at {} (README)", path.display()));
            }
            None => {
                well = false;
                report.note(
                    ABOUT,
                    complaint,
                    "preload /…/$LIB/libcustoms.so, with an empty 32-bit object beside it (README)",
                );
            }
        }
    }
    let musl = fs::read_dir("/lib").into_iter().flatten().flatten();
    let musl =
        musl.map(|entry| entry.file_name().to_string_lossy().into_owned()).find(|name| name.starts_with("ld-musl-"));
    if let Some(loader) = musl {
        let tells = if entry.named_by == preloaded::FILE {
            well = false;
            format!("/lib/{loader} is here, which does not read {}: programs on musl are not reported", preloaded::FILE)
        } else if entry.narrow_path().is_some() {
            well = false;
            format!("/lib/{loader} is here, which does not know $LIB: programs on musl are not reported")
        } else {
            String::new()
        };
        if !tells.is_empty() {
            report.note(ABOUT, tells, "preload by LD_PRELOAD and a path without $LIB where that matters");
        }
    }
    if well {
        report.ok(ABOUT, "no loader here but what takes the library");
    }
}

/// Whether what sets the variable at login names this library: the snippets are asked, in a shell of theirs.
fn profile(subject: Option<&Subject>, report: &mut Report) {
    const ABOUT: &str = "profile.d";
    let path = subject.and_then(|subject| subject.path.as_ref());
    let is_by_file =
        subject.and_then(|subject| subject.entry.as_ref()).is_some_and(|entry| entry.named_by == preloaded::FILE);
    for (snippet, question) in SNIPPETS {
        if !Path::new(snippet).exists() {
            if !is_by_file {
                report.note(
                    ABOUT,
                    format!("{snippet} is not there"),
                    "fine, if LD_PRELOAD is set in another way (a module, a job prolog)",
                );
            }
            continue;
        }
        let Some(value) = set_by(snippet, question) else {
            report.note(
                ABOUT,
                format!("{snippet} was not read: its shell is not here"),
                "fine, if nobody logs in with it",
            );
            continue;
        };
        let entry = preloaded::of_variable(&value).into_iter().find(preloaded::Entry::is_ours);
        match (entry, path) {
            (None, _) if Path::new(SWITCH).exists() => report.note(
                ABOUT,
                format!("{snippet} sets nothing, because of {SWITCH}"),
                "remove that file to switch the node on",
            ),
            (None, None) => report.problem(
                ABOUT,
                format!("{snippet} sets nothing, because no library is where it looks: nothing is preloaded at login"),
                "install the library there",
            ),
            (None, Some(path)) => report.note(
                ABOUT,
                format!("{snippet} sets nothing, and what is looked at here is {}", path.display()),
                "install the library where it looks, or correct it",
            ),
            (Some(entry), Some(path)) if !is_same(&entry.path(), path) => report.note(
                ABOUT,
                format!("{snippet} names {}, and what is looked at here is {}", entry.text, path.display()),
                "log in anew, or correct it",
            ),
            (Some(entry), _) => report.ok(ABOUT, format!("{snippet} names {}", entry.text)),
        }
    }
}

/// What the variable is after a login with it.
fn set_by(snippet: &str, question: &str) -> Option<String> {
    let shell = if snippet.ends_with(".csh") { "csh" } else { "sh" };
    let mut command = Command::new(shell);
    command
        .args(["-c", question, snippet])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/")
        .stdin(Stdio::null());
    let output = command.stderr(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_string())
}

fn is_same(one: &Path, other: &Path) -> bool {
    one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_this_process() {
        assert!(limit("Max open files").is_none_or(|files| files > 3));
        assert_eq!(limit("Max nonsense"), None);
    }
}
