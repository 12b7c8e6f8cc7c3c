//! What would be sent of a command: it runs under the policy in force, but every server is a socket of ours.
//!
//! Three things have to differ for that, and are put back into what is shown: the policy's digest, the rate of a list
//! that is sampled and the weight of a short process, which are not drawn here.

use super::Force;
use crate::library::Library;
use crate::preloaded;
use crate::run::receiver::Receiver;
use crate::run::{self, child, silence};
use anyhow::{Context, Result};
use customs_spec::policy::model::{Model, Server};
use customs_spec::policy::{digest, encode};
use customs_spec::record::Field;
use serde_json::Value;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::{ExitCode, Stdio};

/// The longest datagram that UDP over IPv4 carries.
const LONGEST: u16 = 65_507;

/// Runs it, prints a line a message, and exits as it did.
pub fn run(force: &Force, command: &[OsString]) -> Result<ExitCode> {
    let receiver = Receiver::open().context("cannot open a socket on loopback")?;
    let mut model = redirected(&force.model, receiver.address());
    // The library that /etc/ld.so.preload brings in cannot be kept out; it stays silent where somebody has opted out.
    let silencer = match &force.entry {
        Some(entry) if entry.named_by == preloaded::FILE && force.silence().is_empty() => {
            std::mem::take(&mut model.opt_out).into_iter().next()
        }
        _ => None,
    };
    let trial = format!("{:016x}", digest(&encode(&model)?));
    let pristine = Library::pristine()?;
    let library = force.library.as_ref().unwrap_or(&pristine);
    let mut messages = Vec::new();
    let stderr = std::io::stderr().as_fd().try_clone_to_owned().context("cannot write to standard error")?;
    let ended = run::attend(
        library,
        &model,
        &receiver,
        command,
        |command| {
            command.stdout(Stdio::from(stderr));
            if let Some(name) = &silencer {
                command.env(name, "1");
            }
        },
        |datagram| messages.push(datagram.to_vec()),
    )?;
    let ended = match ended {
        Ok(ended) => ended,
        Err(status) => return Ok(status),
    };
    let shown: String = messages.iter().filter_map(|message| as_sent(message, force, &trial)).collect();
    crate::stdout::answer(&shown)?;
    if messages.is_empty() {
        silence::explain(command, &model, ended);
    }
    remarks(force);
    Ok(child::exit_code(ended))
}

/// The same policy, but sent to us, without chance and without a trace on the node.
fn redirected(model: &Model, receiver: SocketAddr) -> Model {
    let mut model = model.clone();
    for transport in &mut model.transports {
        transport.servers = vec![Server::Udp(receiver)];
        transport.max_datagram = transport.max_datagram.min(LONGEST);
    }
    model.lists.iter_mut().for_each(|list| list.rate = 1.0);
    model.thin.clear();
    model.recorder.clear();
    model
}

/// The JSON of a message, as the policy in force would have it.
fn as_sent(message: &[u8], force: &Force, trial: &str) -> Option<String> {
    let text = String::from_utf8_lossy(message);
    // Behind the header's seven fields (RFC 5424, section 6).
    let body = text.splitn(8, ' ').nth(7)?;
    let record: Value = serde_json::from_str(body).ok()?;
    // Strings escape their quotes, so these words stand nowhere but where they are meant.
    let key = |field: Field| format!("\"{}\":", field.key());
    let policy = key(Field::Policy);
    let mut body = body.replacen(&format!("{policy}\"{trial}\""), &format!("{policy}\"{}\"", force.digest), 1);
    let list = force.model.lists.iter().find(|list| record[Field::List.key()] == *list.name);
    let rate = list.map(|list| list.rate).filter(|rate| *rate < 1.0);
    let elapsed = record[Field::Elapsed.key()].as_f64().unwrap_or_default() * 1000.0;
    let thin = force.model.thin.iter().find(|thin| elapsed < f64::from(thin.shorter_than));
    let mut drawn = String::new();
    if let Some(rate) = rate {
        drawn.push_str(&format!(",{}{rate}", key(Field::Rate)));
    }
    if let Some(thin) = thin {
        let weight = format!("{:.4}", 1.0 / thin.keep);
        drawn.push_str(&format!(",{}{}", key(Field::Weight), weight.trim_end_matches('0').trim_end_matches('.')));
    }
    // They stand before these two, if those are there.
    let behind = [Field::Canary, Field::Parent].into_iter().find(|field| record.get(field.key()).is_some());
    let place = behind.and_then(|field| body.rfind(&format!(",{}", key(field)))).unwrap_or(body.len().checked_sub(1)?);
    body.insert_str(place, &drawn);
    Some(format!("{body}\n"))
}

/// What the answer does not show.
fn remarks(force: &Force) {
    for list in force.model.lists.iter().filter(|list| list.rate < 1.0) {
        let of = if list.per_process { "processes" } else { "jobs" };
        eprintln!("customs: the list {} is sent of a share of {} of {of} only", list.name, list.rate);
    }
    for thin in &force.model.thin {
        eprintln!("customs: of processes shorter than {} ms, a share of {} is sent only", thin.shorter_than, thin.keep);
    }
    if force.entry.is_none() {
        eprintln!("customs: no library is preloaded here: this is what {} would have sent", force.source);
    }
}
