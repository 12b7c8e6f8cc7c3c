//! `customs reap`: what killed processes have left in the black box (`preload/src/recorder.rs`) is checked and sent.
//!
//! The files lie in a folder where everybody may write, and this runs as root: so nothing in them is believed that can
//! be checked, nothing is followed, and nothing is read that is not a small regular file.

use crate::cli::Reap;
use crate::{NO, emit, here, site, stdout};
use anyhow::{Context, Result, bail, ensure};
use customs_spec::frame::Header;
use customs_spec::json::Writer;
use customs_spec::policy::model::{Model, Transport};
use customs_spec::record::{Field, SCHEMA, identity};
use nix::fcntl::OFlag;
use nix::unistd::{Uid, User, geteuid};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the library writes at most, and room for the line feeds.
const LARGEST: u64 = 40_000;
/// How every file's name begins.
const PREFIX: &str = "customs-";

/// And how that of one ends that is not whole yet.
const NEW: &str = ".new";

/// The `id` in the name of a file that the library has written.
fn id_in(name: &str) -> Option<&str> {
    let stem = name.strip_prefix(PREFIX)?;
    let id = stem.strip_suffix(NEW).unwrap_or(stem);
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

/// What became of the files.
#[derive(Default)]
struct Tally {
    sent: usize,
    alive: usize,
    removed: usize,
    failed: usize,
    rejected: Vec<String>,
}

/// Sends and removes, or says what is in the way.
pub fn run(args: &Reap) -> Result<ExitCode> {
    let model =
        site::compile(&args.site).context("the site file says where the black box is; name one with --site")?.model;
    if model.recorder.is_empty() {
        bail!("{} names no recorder; add `recorder = \"/dev/shm\"` to [endings]", args.site.display());
    }
    let tally = reap(args, &model)?;
    if args.json {
        let Tally { sent, alive, removed, failed, rejected } = &tally;
        let answer =
            json!({ "sent": sent, "alive": alive, "removed": removed, "failed": failed, "rejected": rejected });
        stdout::answer(&format!("{answer}\n"))?;
    } else {
        for reason in &tally.rejected {
            eprintln!("customs: {reason}");
        }
        let Tally { sent, alive, removed, failed, rejected } = &tally;
        let rejected = rejected.len();
        stdout::answer(&format!(
            "{sent} sent, {rejected} rejected, {removed} removed unsent, {failed} not sent and kept, {alive} of living processes\n"
        ))?;
    }
    Ok(if tally.failed > 0 { ExitCode::from(NO) } else { ExitCode::SUCCESS })
}

fn reap(args: &Reap, model: &Model) -> Result<Tally> {
    let folder = Path::new(&model.recorder);
    let mut names: Vec<String> = fs::read_dir(folder)
        .with_context(|| format!("cannot read the recorder's folder {}", folder.display()))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| id_in(name).is_some())
        .collect();
    names.sort();
    // After the folder: whoever has written there is found, or has ended since.
    let living = living()?;
    let mut tally = Tally::default();
    let mut of_user: BTreeMap<u32, usize> = BTreeMap::new();
    for name in names {
        let path = folder.join(&name);
        let Some(id) = id_in(&name) else { continue };
        let Ok(metadata) = path.symlink_metadata() else { continue };
        if !geteuid().is_root() && metadata.uid() != geteuid().as_raw() {
            continue;
        }
        if living.contains(id) {
            tally.alive += 1;
            continue;
        }
        let count = of_user.entry(metadata.uid()).or_default();
        *count += 1;
        if *count > args.per_user || name.ends_with(NEW) {
            tally.removed += 1;
            remove(args, &path);
            continue;
        }
        match messages(&path, id, model) {
            Err(problem) => {
                tally.rejected.push(format!("{}: {problem:#}", path.display()));
                remove(args, &path);
            }
            Ok(messages) => {
                let unsent = messages.iter().find_map(|(transport, message)| match args.dry_run {
                    true => None,
                    false => emit::send(transport, message).err(),
                });
                match unsent {
                    // For the next time: a collector keeps what it gets twice once.
                    Some(problem) => {
                        tally.failed += 1;
                        eprintln!("customs: {}: {problem:#}", path.display());
                    }
                    None => {
                        tally.sent += 1;
                        remove(args, &path);
                    }
                }
            }
        }
    }
    Ok(tally)
}

fn remove(args: &Reap, path: &Path) {
    if !args.dry_run
        && let Err(error) = fs::remove_file(path)
    {
        eprintln!("customs: cannot remove {}: {error}", path.display());
    }
}

/// The `id`s of all processes that this one may look at.
fn living() -> Result<HashSet<String>> {
    let boot = fs::read("/proc/sys/kernel/random/boot_id").context("cannot tell who is alive without /proc")?;
    let processes = fs::read_dir("/proc").context("cannot tell who is alive without /proc")?;
    Ok(processes.filter_map(|entry| id_of(&entry.ok()?.path(), &boot)).collect())
}

/// The `id` of the process in this folder of /proc, in which it is numbered as in its own pid namespace: the last
/// number of `NSpid` (proc_pid_status(5)).
fn id_of(process: &Path, boot: &[u8]) -> Option<String> {
    process.file_name()?.to_str()?.parse::<u32>().ok()?;
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let ticks = fields.nth(19)?.parse().ok()?;
    let status = fs::read_to_string(process.join("status")).ok()?;
    let pid = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_whitespace().last()?.parse().ok()?;
    let namespace = fs::read_link(process.join("ns/pid")).ok()?;
    // Also of one that has ended and that nobody has waited for: so looks one whose first thread alone has ended.
    Some(format!("{:032x}", identity(boot, namespace.as_os_str().as_encoded_bytes(), pid, ticks)))
}

/// What a file holds, checked, as messages and where they go.
fn messages<'m>(path: &Path, id: &str, model: &'m Model) -> Result<Vec<(&'m Transport, Vec<u8>)>> {
    let careful = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file: File = OpenOptions::new().read(true).custom_flags(careful).open(path).context("cannot open it")?;
    let metadata = file.metadata()?;
    ensure!(metadata.is_file(), "not a regular file");
    ensure!(metadata.len() <= LARGEST, "{} bytes, and the library writes {LARGEST} at most", metadata.len());
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).context("not text")?;
    let mut messages = Vec::new();
    for line in text.lines() {
        let (_, body) = line.split_once(" - {").context("not a message")?;
        let body = format!("{{{body}");
        let mut record: Map<String, Value> = serde_json::from_str(&body).context("not a record")?;
        check(&record, id, metadata.uid(), model)?;
        doubt_username(&mut record, metadata.uid(), model);
        for transport in transports(&record, model)? {
            let message = message(&record, model)?;
            let (length, most) = (message.len(), usize::from(transport.max_datagram));
            ensure!(length <= most, "a message of {length} bytes, and the transport `{}` takes {most}", transport.name);
            messages.push((transport, message));
        }
    }
    ensure!(!messages.is_empty(), "nothing in it");
    Ok(messages)
}

/// Whether a record can be what the library has left for the process `id` of the file's owner.
fn check(record: &Map<String, Value>, id: &str, owner: u32, model: &Model) -> Result<()> {
    let text = |field: Field| record.get(field.key()).and_then(Value::as_str).unwrap_or_default();
    let hidden = |field: Field| model.omit.contains(&field) || model.pseudonymise.contains(&field);
    for key in record.keys() {
        ensure!(Field::ALL.iter().any(|field| field.key() == key), "`{key}` is no field of a record");
    }
    ensure!(record.get(Field::Schema.key()) == Some(&json!(SCHEMA)), "not of schema {SCHEMA}");
    ensure!(text(Field::Id) == id, "the id is not that of the file's name");
    ensure!(text(Field::Exit) == "killed" || hidden(Field::Exit), "it does not speak of a killed process");
    ensure!(text(Field::System) == model.system || hidden(Field::System), "of another system");
    let uid = record.get(Field::Uid.key()).and_then(Value::as_i64).context("no uid")?;
    ensure!(hidden(Field::Uid) || uid == i64::from(owner), "it speaks of uid {uid} and belongs to {owner}");
    Ok(())
}

/// A name that is not the owner's here is another's, or the container's: it is left out, for the collector to look up.
fn doubt_username(record: &mut Map<String, Value>, owner: u32, model: &Model) {
    let field = Field::Username;
    let known = User::from_uid(Uid::from_raw(owner)).ok().flatten().map(|user| user.name);
    let claimed = record.get(field.key()).and_then(Value::as_str).map(str::to_owned);
    if claimed != known && !model.omit.contains(&field) && !model.pseudonymise.contains(&field) {
        record.insert(field.key().to_string(), Value::from(""));
    }
}

/// Where a record goes: to the transports of its list, as from the library.
fn transports<'m>(record: &Map<String, Value>, model: &'m Model) -> Result<Vec<&'m Transport>> {
    let name = record.get(Field::List.key()).and_then(Value::as_str).unwrap_or_default();
    let list =
        model.lists.iter().find(|list| list.name == name).with_context(|| format!("there is no list `{name}`"))?;
    let is_compute = record.get(Field::IsCompute.key()) == Some(&Value::Bool(true));
    Ok(here::transports(model, list, is_compute))
}

/// What was checked of the record, under a header of now.
fn message(record: &Map<String, Value>, model: &Model) -> Result<Vec<u8>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let host = record.get(Field::Host.key()).and_then(Value::as_str).unwrap_or_default();
    let pid = record.get(Field::Pid.key()).and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok());
    let mut space = [0; emit::HEADER];
    let mut out = Writer::new(&mut space);
    let header = Header {
        facility: model.facility,
        time: u64::try_from(now.as_micros())?,
        host: host.as_bytes(),
        pid: pid.unwrap_or(0),
        msgid: model.msgid.as_bytes(),
    };
    header.write(&mut out);
    Ok([out.written(), serde_json::to_string(record)?.as_bytes()].concat())
}
