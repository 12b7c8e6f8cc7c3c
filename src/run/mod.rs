//! `customs run`: a command under the library, with a receiver of its own on loopback. What a newcomer tries first.

pub mod assemble;
pub mod child;
pub mod printer;
pub mod receiver;
mod show;
pub mod silence;

use crate::cli::Run;
use crate::library::Library;
use crate::{compile, preloaded, site};
use anyhow::{Context, Result};
use customs_spec::policy::encode;
use customs_spec::policy::model::{Model, On, Server, Transport};
use printer::Printer;
use receiver::Receiver;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};

/// Runs it, shows what it reports, and exits as it did.
pub fn run(args: &Run) -> Result<ExitCode> {
    let receiver = Receiver::open().context("cannot open a socket on loopback")?;
    let mut printer = Printer::open(args)?;
    let model = policy(args.site.as_deref(), receiver.address())?;
    let ended =
        attend(&Library::pristine()?, &model, &receiver, &args.command, |_| {}, |datagram| printer.take(datagram));
    let ended = match ended? {
        Ok(ended) => ended,
        Err(status) => return Ok(status),
    };
    printer.finish()?;
    if printer.is_silent() {
        silence::explain(&args.command, &model, ended);
    }
    Ok(child::exit_code(ended))
}

/// Runs a command under `library` with the policy `model`, and hands on what comes to `receiver` meanwhile. `prepare` has
/// the last word on how the command is started; the inner error is the exit status if it could not be.
pub fn attend(
    library: &Library,
    model: &Model,
    receiver: &Receiver,
    command: &[OsString],
    prepare: impl FnOnce(&mut Command),
    take: impl FnMut(&[u8]) + Send,
) -> Result<Result<ExitStatus, ExitCode>> {
    let folder = tempfile::Builder::new().prefix("customs-run-").tempdir().context("cannot make a temporary folder")?;
    let path = folder.path().join("libcustoms.so");
    compile::write(&path, &library.stamp(&encode(model)?)?)?;
    let [program, arguments @ ..] = command else { unreachable!("clap asks for a command") };
    let mut command = Command::new(program);
    command.args(arguments).env(preloaded::VARIABLE, preloaded::instead_of_ours(&path)?);
    prepare(&mut command);
    match child::start(command) {
        Ok(child) => child::attend(child, receiver, take).map(Ok),
        Err(status) => Ok(Err(status)),
    }
}

/// What the site file says, but sent to us.
fn policy(site: Option<&Path>, receiver: SocketAddr) -> Result<Model> {
    let mut model = match site {
        Some(path) => site::compile(path)?.model,
        None => {
            let mut model = site::shipped()?.model;
            if let Ok(cluster) = std::env::var("SLURM_CLUSTER_NAME") {
                model.system = cluster;
            }
            model
        }
    };
    let max_datagram = model.transports.iter().map(|transport| transport.max_datagram).min().unwrap_or(u16::MAX);
    let servers = vec![Server::Udp(receiver)];
    model.transports = vec![Transport { name: "customs run".to_string(), on: On::Any, max_datagram, servers }];
    model.lists.iter_mut().for_each(|list| list.transports.clear());
    // Every process is shown, and nothing stays on the node.
    model.thin.clear();
    model.recorder.clear();
    Ok(model)
}
