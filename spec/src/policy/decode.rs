//! Bytes become a model again: what `customs inspect` shows.

use super::model::{self, Model, On};
use super::*;
use crate::record::{Field, Fields};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The policy that `bytes` begin with.
pub fn decode(bytes: &[u8]) -> Result<Model, Damage> {
    let policy = Policy::read(bytes)?;
    let privacy = policy.privacy();
    Ok(Model {
        system: string(policy.system())?,
        msgid: string(policy.msgid())?,
        facility: policy.facility(),
        opt_out: strings(policy.opt_out())?,
        omit: fields(privacy.omit),
        pseudonymise: fields(privacy.pseudonymise),
        pseudonym_key: string(policy.pseudonym_key())?,
        dist_info: policy.dist_info(),
        signals: policy.signals().collect(),
        recorder: string(policy.recorder())?,
        thin: policy.thin().map(thin).collect::<Result<_, _>>()?,
        transports: policy.transports().map(transport).collect::<Result<_, _>>()?,
        compute: model::Compute { env: strings(policy.compute_env())?, hosts: strings(policy.compute_hosts())? },
        subsystems: policy.subsystems().map(subsystem).collect::<Result<_, _>>()?,
        staff: policy.staff().collect(),
        ranks: strings(policy.ranks())?,
        job: model::Job {
            job_id: strings(policy.job_id())?,
            num_nodes: strings(policy.num_nodes())?,
            qos: strings(policy.qos())?,
            repo: strings(policy.repo())?,
        },
        checks: policy.checks().map(check).collect::<Result<_, _>>()?,
        lists: policy.lists().map(list).collect::<Result<_, _>>()?,
    })
}

fn string(text: &[u8]) -> Result<String, Damage> {
    core::str::from_utf8(text).map(ToString::to_string).map_err(|_| Damage::Content)
}

fn strings(texts: Texts) -> Result<Vec<String>, Damage> {
    texts.iter().map(string).collect()
}

fn fields(set: Fields) -> Vec<Field> {
    Field::ALL.iter().copied().filter(|field| set.has(*field)).collect()
}

fn thin(thin: Thin) -> Result<model::Thin, Damage> {
    Ok(model::Thin {
        shorter_than: thin.shorter_than,
        keep: string(thin.keep)?.parse().map_err(|_| Damage::Content)?,
        per_parent: thin.per_parent,
    })
}

fn transport(transport: Transport) -> Result<model::Transport, Damage> {
    let server = |index| match transport.server(index).ok_or(Damage::Content)? {
        Server::Udp(address) => Ok(model::Server::Udp(address)),
        Server::Unix(path) => Ok(model::Server::Unix(string(path)?)),
        Server::File(path) => Ok(model::Server::File(string(path)?)),
    };
    Ok(model::Transport {
        name: string(transport.name)?,
        on: if transport.any { On::Any } else { On::Compute },
        max_datagram: transport.max_datagram as u16,
        servers: (0..transport.servers()).map(server).collect::<Result<_, _>>()?,
    })
}

fn subsystem(subsystem: Subsystem) -> Result<model::Subsystem, Damage> {
    Ok(model::Subsystem {
        name: string(subsystem.name)?,
        hosts: strings(subsystem.hosts)?,
        env: subsystem
            .env()
            .map(|(variable, glob)| Ok((string(variable)?, string(glob)?)))
            .collect::<Result<_, Damage>>()?,
    })
}

fn check(check: Check) -> Result<model::Check, Damage> {
    let version = match check.version_module {
        b"" => None,
        module => Some((string(module)?, string(check.version_attribute)?)),
    };
    Ok(model::Check {
        name: string(check.name)?,
        modules: strings(check.modules)?,
        libraries: strings(check.libraries)?,
        unless_main: strings(check.unless_main)?,
        unless_executable: strings(check.unless_executable)?,
        version,
        distribution: match check.distribution {
            b"" => None,
            name => Some(string(name)?),
        },
    })
}

fn list(list: List) -> Result<model::List, Damage> {
    let numbers = |values: &mut dyn Iterator<Item = u32>| values.map(|value| value as u16).collect();
    Ok(model::List {
        name: string(list.name)?,
        checks: numbers(&mut list.checks()),
        all: list.all,
        rate: match list.rate {
            b"" => 1.0,
            rate => string(rate)?.parse().map_err(|_| Damage::Content)?,
        },
        per_process: list.per_process,
        transports: numbers(&mut list.transports()),
        empty: list.empty,
    })
}
