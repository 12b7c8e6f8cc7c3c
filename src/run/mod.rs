//! `customs run`: a command under the library, with a receiver of its own on loopback. What a newcomer tries first.

mod assemble;
mod child;
mod printer;
mod program;
mod receiver;
mod show;
mod silence;

use crate::cli::Run;
use crate::library::Library;
use crate::{compile, site};
use anyhow::{Context, Result, ensure};
use customs_spec::policy::encode;
use customs_spec::policy::model::{Model, On, Server, Transport};
use printer::Printer;
use receiver::Receiver;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Runs it, shows what it reports, and exits as it did.
pub fn run(args: &Run) -> Result<ExitCode> {
    let receiver = Receiver::open().context("cannot open a socket on loopback")?;
    let mut printer = Printer::open(args)?;
    let model = policy(args.site.as_deref(), receiver.address())?;

    let folder = tempfile::Builder::new().prefix("customs-run-").tempdir().context("cannot make a temporary folder")?;
    let library = folder.path().join("libcustoms.so");
    compile::write(&library, &Library::pristine()?.stamp(&encode(&model)?)?)?;

    let [program, arguments @ ..] = args.command.as_slice() else { unreachable!("clap asks for a command") };
    let mut command = Command::new(program);
    command.args(arguments).env("LD_PRELOAD", preload(&library, &std::env::var_os("LD_PRELOAD").unwrap_or_default())?);
    let child = match child::start(command) {
        Ok(child) => child,
        Err(status) => return Ok(status),
    };
    let ended = child::attend(child, &receiver, |datagram| printer.take(datagram))?;
    printer.finish()?;
    if printer.is_silent() {
        silence::explain(program, &model, ended);
    }
    Ok(child::exit_code(ended))
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

/// The library before what is preloaded already: the first one's definition of a symbol is the one that counts.
pub fn preload(library: &Path, others: &OsStr) -> Result<OsString> {
    let path = library.to_str().unwrap_or(" ");
    ensure!(
        !path.contains([' ', ':', '\t', '\n']),
        "LD_PRELOAD cannot carry the path {} (spaces and colons separate, ld.so(8)); set TMPDIR to a plainer folder",
        library.display()
    );
    let mut value = OsString::from(library);
    if !others.is_empty() {
        value.push(":");
        value.push(others);
    }
    Ok(value)
}
