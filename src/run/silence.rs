//! Nothing was reported: why it may be so.

use super::program::{Nature, Program};
use customs_spec::policy::model::Model;
use nix::sys::signal::Signal;
use std::env;
use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Says on standard error that nothing was reported, and every reason that can be seen from here.
pub fn explain(command: &OsStr, model: &Model, ended: ExitStatus) {
    eprintln!("customs  nothing was reported");
    for reason in reasons(&Program::find(command), model, ended, |name| env::var(name).ok()) {
        eprintln!("  why    {reason}");
    }
}

fn reasons(
    program: &Program,
    model: &Model,
    ended: ExitStatus,
    variable: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut reasons = Vec::new();
    let set = |name: &String| variable(name).filter(|value| !value.is_empty()).map(|value| (name.clone(), value));
    for (name, _) in model.opt_out.iter().filter_map(set) {
        reasons.push(format!("{name} is set: the user opted out"));
    }
    for (name, value) in model.ranks.iter().filter_map(set).filter(|(_, value)| is_nonzero(value)) {
        reasons.push(format!("{name} is {value}: of a parallel program, rank 0 alone reports"));
    }
    reasons.extend(of_the_program(program));
    if let Some(signal) = ended.signal().and_then(|number| Signal::try_from(number).ok()) {
        reasons.push(format!("{signal} ended it, and such an end may leave no moment to report"));
    }
    let sampled = |share: f64| share < 1.0;
    for list in model.lists.iter().filter(|list| sampled(list.rate) || !list.empty) {
        let rule = if list.empty {
            format!("{} of jobs", list.rate)
        } else {
            "processes in which something was found".to_string()
        };
        reasons.push(format!("the list `{}` reports {rule} only", list.name));
    }
    if reasons.is_empty() {
        let path = program.path.display();
        reasons.push(format!(
            "{path} is Python, so this should not be: it may have been killed by a signal that nobody can see (SIGKILL), or by a fault"
        ));
    }
    reasons
}

fn of_the_program(program: &Program) -> Option<String> {
    let path = program.path.display();
    if program.privileged {
        return Some(format!("{path} runs with other rights than yours, and the loader then ignores LD_PRELOAD"));
    }
    match program.nature {
        Nature::Static => {
            Some(format!("{path} is a static program: no loader runs, and nothing can be loaded into it"))
        }
        Nature::Foreign => Some(format!("{path} is built for another word size or machine than libcustoms.so")),
        Nature::NotElf | Nature::Unknown => Some(format!("{path} cannot be read as a program")),
        Nature::Dynamic { python: false } => {
            Some(format!("{path} is not Python, and it started no Python that reported"))
        }
        Nature::Dynamic { python: true } => None,
    }
}

/// As the library decides it: what is no number is no rank.
fn is_nonzero(rank: &str) -> bool {
    rank.bytes().all(|byte| byte.is_ascii_digit()) && rank.bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn reasons_of(nature: Nature, variables: &[(&str, &str)], status: i32) -> String {
        let model = crate::site::shipped().unwrap().model;
        let program = Program { path: PathBuf::from("/bin/x"), nature, privileged: false };
        let variable = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string());
        reasons(&program, &model, ExitStatus::from_raw(status), variable).join("\n")
    }

    #[test]
    fn each_reason_that_can_be_seen_is_named() {
        let python = || Nature::Dynamic { python: true };
        for (nature, variables, status, expected) in [
            (Nature::Static, vec![], 0, "static program"),
            (Nature::Foreign, vec![], 0, "word size"),
            (Nature::NotElf, vec![], 0, "cannot be read"),
            (Nature::Dynamic { python: false }, vec![], 0, "/bin/x is not Python"),
            (python(), vec![("CUSTOMS_OPT_OUT", "1")], 0, "CUSTOMS_OPT_OUT is set"),
            (python(), vec![("PMI_RANK", "3")], 0, "PMI_RANK is 3"),
            (python(), vec![], 9, "SIGKILL"),
            (python(), vec![("PMI_RANK", "0"), ("CUSTOMS_OPT_OUT", "")], 0, "SIGKILL"),
        ] {
            let found = reasons_of(nature, &variables, status);
            assert!(found.contains(expected) && found.lines().count() == 1, "{found}");
        }
    }
}
