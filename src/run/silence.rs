//! Nothing was reported: why it may be so.

use crate::here::{self, Variables};
use crate::program::Program;
use customs_spec::policy::model::Model;
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Says on standard error that nothing was reported, and every reason that can be seen from here.
pub fn explain(command: &[OsString], model: &Model, ended: ExitStatus) {
    eprintln!("customs  nothing was reported");
    let program = Program::find(command.first().map(OsString::as_os_str).unwrap_or_default());
    for reason in reasons(&program, model, ended, &here::variable) {
        eprintln!("  why    {reason}");
    }
}

fn reasons(program: &Program, model: &Model, ended: ExitStatus, variables: Variables) -> Vec<String> {
    let mut reasons = Vec::new();
    for name in here::opted_out(model, variables) {
        reasons.push(format!("{name} is set: the user opted out"));
    }
    for (name, value) in here::other_ranks(model, variables) {
        reasons.push(format!("{name} is {value}: of a parallel program, rank 0 alone reports"));
    }
    reasons.extend(program.refusal());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Nature;
    use std::path::PathBuf;

    fn reasons_of(nature: Nature, variables: &[(&str, &str)], status: i32) -> String {
        let model = crate::site::shipped().unwrap().model;
        let program =
            Program { path: PathBuf::from("/bin/x"), nature, privileged: false, sanitized: false, musl: false };
        let variable = |name: &str| {
            let set = variables.iter().find(|(key, value)| *key == name && !value.is_empty());
            set.map(|(_, value)| value.to_string())
        };
        reasons(&program, &model, ExitStatus::from_raw(status), &variable).join("\n")
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
