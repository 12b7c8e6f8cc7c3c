//! What the environment claims about this process at its start: the batch job, the node, the container. Anyone can
//! set a variable, so these are claims (`docs/TRUST.md`); they are copied at once and cut to size.

use crate::container;
use crate::environment::Environment;
use crate::sys;
use crate::text::Short;
use customs_spec::policy::{Policy, Texts};

/// The claims.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Claims {
    /// The node, also from within a container.
    pub host: Short,
    /// Name of the partition.
    pub subsystem: Short,
    /// Whether a real task of a job.
    pub is_compute: bool,
    /// The container runtime.
    pub container: Option<container::Runtime>,
    /// The batch job.
    pub job_id: Short,
    /// Its nodes.
    pub num_nodes: u32,
    /// Its quality of service or queue.
    pub qos: Short,
    /// Its account.
    pub repo: Short,
    /// The user that Slurm started the job for, and that user's number in decimal.
    pub slurm_user: [Short; 2],
    /// What the process says it is a canary of.
    pub canary: Short,
}

impl Claims {
    /// Reads the variables that the policy names.
    pub fn read(policy: Policy, environment: Environment) -> Self {
        let first = |names: Texts| Short::of(environment.first_of(names.iter()).unwrap_or_default());
        let variable = |name: &[u8]| environment.get(name).unwrap_or_default();
        let container = container::Runtime::from_environment(environment).or_else(container::Runtime::from_root);
        let mut space = [0; 65];
        let own = sys::node_name(&mut space).unwrap_or_default();
        // A container may have a name of its own; the node's is then what Slurm says.
        let host = match (container, variable(b"SLURMD_NODENAME")) {
            (None, _) | (Some(_), b"") => own,
            (Some(_), node) => node,
        };
        let is_compute =
            environment.first_of(policy.compute_env().iter()).is_some() || policy.compute_hosts().any_matches(host);
        let subsystem = policy.subsystems().find(|subsystem| {
            subsystem.hosts.any_matches(host)
                || subsystem.env().any(|(name, glob)| {
                    environment.get(name).is_some_and(|value| customs_spec::glob::matches(glob, value))
                })
        });
        Claims {
            host: Short::of(host),
            subsystem: Short::of(subsystem.map_or(b"", |subsystem| subsystem.name)),
            is_compute,
            container,
            job_id: first(policy.job_id()),
            num_nodes: environment.first_of(policy.num_nodes().iter()).map_or(1, nodes),
            qos: first(policy.qos()),
            repo: first(policy.repo()),
            slurm_user: [b"SLURM_JOB_USER".as_slice(), b"SLURM_JOB_UID"].map(|name| Short::of(variable(name))),
            canary: Short::of(variable(b"CUSTOMS_CANARY")),
        }
    }
}

/// A number of nodes, or the nodes themselves with their numbers of slots (`LSB_MCPU_HOSTS`: `"hostA 8 hostB 8"`;
/// IBM Spectrum LSF Configuration Reference, "Environment variables set for job execution").
fn nodes(value: &[u8]) -> u32 {
    if let Some(number) = decimal(value) {
        return number.max(1);
    }
    let hosts = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty() && decimal(word).is_none());
    u32::try_from(hosts.count()).unwrap_or(1).max(1)
}

/// A decimal number and nothing else.
pub fn decimal(text: &[u8]) -> Option<u32> {
    let digit = |value: u32, byte: &u8| match byte {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u32::from(byte.wrapping_sub(b'0'))),
        _ => None,
    };
    if text.is_empty() { None } else { text.iter().try_fold(0, digit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_a_number_or_are_counted() {
        for (value, count) in
            [("4", 4), ("0", 1), ("", 1), ("hostA 8 hostB 8 hostC 2", 3), ("99999999999", 1), ("-1", 1)]
        {
            assert_eq!(nodes(value.as_bytes()), count, "{value}");
        }
    }
}
