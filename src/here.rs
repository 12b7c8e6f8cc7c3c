//! What a policy makes of a process that starts here, decided as the library decides it: is it reported at all, is it a
//! compute process, and where do its records go.

use customs_spec::glob;
use customs_spec::policy::model::{List, Model, On, Subsystem, Transport};
use std::env;

/// The value of a variable that is set and not empty: others do not count.
pub type Variables<'v> = &'v dyn Fn(&str) -> Option<String>;

/// Those of this process.
pub fn variable(name: &str) -> Option<String> {
    let value = env::var_os(name).filter(|value| !value.is_empty())?;
    Some(value.to_string_lossy().into_owned())
}

/// The name of this node, as uname(2) has it.
pub fn host() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Variables by which somebody has opted out.
pub fn opted_out<'m>(model: &'m Model, variables: Variables) -> Vec<&'m str> {
    model.opt_out.iter().filter(|name| variables(name).is_some()).map(String::as_str).collect()
}

/// Variables that say that this is another rank than 0 of a parallel program, and their values.
pub fn other_ranks<'m>(model: &'m Model, variables: Variables) -> Vec<(&'m str, String)> {
    let ranks = model.ranks.iter().filter_map(|name| Some((name.as_str(), variables(name)?)));
    ranks.filter(|(_, value)| is_nonzero(value)).collect()
}

/// As the library decides it: what is no number is no rank.
fn is_nonzero(rank: &str) -> bool {
    rank.bytes().all(|byte| byte.is_ascii_digit()) && rank.bytes().any(|byte| byte != b'0')
}

/// By what a process is a compute process: a variable, or a pattern that the host's name matches.
#[derive(Debug, PartialEq, Eq)]
pub enum Compute<'m> {
    /// This variable is set.
    Variable(&'m str),
    /// This pattern matches.
    Host(&'m str),
}

/// Whether a process here is a compute process, and by what.
pub fn compute<'m>(model: &'m Model, host: &str, variables: Variables) -> Option<Compute<'m>> {
    let set = model.compute.env.iter().find(|name| variables(name).is_some());
    let matching = || model.compute.hosts.iter().find(|pattern| matches(pattern, host));
    set.map(|name| Compute::Variable(name)).or_else(|| matching().map(|pattern| Compute::Host(pattern)))
}

/// The partition of the machine that a process here is in.
pub fn subsystem<'m>(model: &'m Model, host: &str, variables: Variables) -> Option<&'m Subsystem> {
    model.subsystems.iter().find(|subsystem| {
        let by_env = |(name, pattern): &(String, String)| variables(name).is_some_and(|value| matches(pattern, &value));
        subsystem.hosts.iter().any(|pattern| matches(pattern, host)) || subsystem.env.iter().any(by_env)
    })
}

fn matches(pattern: &str, text: &str) -> bool {
    glob::matches(pattern.as_bytes(), text.as_bytes())
}

/// The transport of lists that name none: the first that is meant for such a process.
pub fn usual_transport(model: &Model, is_compute: bool) -> Option<&Transport> {
    model.transports.iter().find(|transport| transport.on == On::Any || is_compute)
}

/// Where the records of a list go: to the transports that it names, or to the usual one.
pub fn transports<'m>(model: &'m Model, list: &List, is_compute: bool) -> Vec<&'m Transport> {
    let named = list.transports.iter().filter_map(|number| model.transports.get(usize::from(*number)));
    if list.transports.is_empty() { usual_transport(model, is_compute).into_iter().collect() } else { named.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_environment_decides_is_decided_as_in_the_library() {
        let model = crate::site::shipped().unwrap().model;
        let variables = |name: &str| match name {
            "CUSTOMS_OPT_OUT" => Some("0".to_string()),
            "PMI_RANK" => Some("007".to_string()),
            "SLURM_PROCID" => Some("00".to_string()),
            "PMIX_RANK" => Some("-1".to_string()),
            "SLURMD_NODENAME" => Some("nid1".to_string()),
            _ => None,
        };
        assert_eq!(opted_out(&model, &variables), ["CUSTOMS_OPT_OUT"]);
        assert_eq!(other_ranks(&model, &variables), [("PMI_RANK", "007".to_string())]);
        assert_eq!(compute(&model, "nid1", &variables), Some(Compute::Variable("SLURMD_NODENAME")));
        assert_eq!(compute(&model, "nid1", &|_| None), None);
    }
}
