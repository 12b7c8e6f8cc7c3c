//! The Reporter: what was found becomes records and leaves. Python is not asked any more: this is done at every kind of
//! end, also in a signal handler, from the state alone.

use crate::container::Runtime;
use crate::forks;
use crate::memory::{FOUND, Notes, State};
use crate::recorder;
use crate::sys::{self, Descriptor};
use crate::transport::Sender;
use crate::versions;
use customs_spec::frame::Header;
use customs_spec::inspect::Inspector;
use customs_spec::json::overwrite;
use customs_spec::policy::{List, Policy};
use customs_spec::record::{Finding, Record};
use customs_spec::signal;

/// How a process ended: a record's `exit`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The interpreter was finalised.
    Normal,
    /// `os._exit`, `_exit`, `_Exit`.
    Underscore,
    /// C's `exit` while the interpreter was alive.
    Libc,
    /// Another program takes over the process. It may yet fail to.
    Exec,
    /// `abort`.
    Abort,
    /// A signal that kills.
    Signal(u8),
    /// What can only be said in advance.
    Killed,
}

impl Exit {
    /// The word in the record, made in `space`.
    fn word(self, space: &mut [u8; 16]) -> &[u8] {
        match self {
            Exit::Normal => b"normal",
            Exit::Underscore => b"os_exit",
            Exit::Libc => b"exit",
            Exit::Exec => b"exec",
            Exit::Abort => b"abort",
            Exit::Killed => b"killed",
            Exit::Signal(number) => {
                let (head, name) = (b"signal:", signal::name(number).as_bytes());
                let used = overwrite(space, head);
                let rest = space.get_mut(used..).unwrap_or_default();
                let length = used.saturating_add(overwrite(rest, name));
                space.get(..length).unwrap_or_default()
            }
        }
    }
}

/// Whether this process, or its job, falls into a list's sample. Every node comes to the same answer of a job.
pub fn is_sampled(policy: Policy, list: &List, notes: &Notes) -> Option<bool> {
    let (claims, process) = (notes.claims.as_ref()?, notes.process?);
    Some(list.samples(policy.system(), claims.job_id.get(), process.id))
}

/// Adds one set of findings to another.
fn add(found: &mut [u8; FOUND], more: &[u8; FOUND]) {
    for (found, more) in found.iter_mut().zip(more) {
        *found |= *more;
    }
}

/// Reports what was seen on the way, too.
pub fn send_what_is_known(state: &mut State, policy: Policy, exit: Exit) -> Option<()> {
    // In Python 2 nothing is seen on the way.
    if state.paths.prefix.get().is_empty() && state.notes.python.as_ref()?.string_type.is_some() {
        return None;
    }
    add(&mut state.found, &state.known);
    send(state, policy, exit)
}

/// Reports what was found, unless that was reported already. Every report may be followed by one that knows more, and
/// carries a higher number.
pub fn send(state: &mut State, policy: Policy, exit: Exit) -> Option<()> {
    let sent = send_what_is_new(state, policy, exit);
    // Reported or not, it has ended in its own way.
    recorder::remove(state, policy);
    sent
}

fn send_what_is_new(state: &mut State, policy: Policy, exit: Exit) -> Option<()> {
    if !forks::speaks_for_itself(state) {
        return None;
    }
    let mut found = state.found;
    state.paths.complete();
    let digest = inspector(policy, state.paths.get(), &mut found)?.digest();
    if state.notes.reported == Some(digest) {
        return None;
    }
    compose(state, policy, &mut found, exit, Way::Out)?;
    // A process whose exec fails lives on, and its real end is reported too.
    state.notes.reported = Some(digest).filter(|_| exit != Exit::Exec);
    state.notes.sequence = state.notes.sequence.saturating_add(1);
    Some(())
}

/// Writes into `file` what is to be sent if the process is killed: a message a line, for each list once.
pub fn leave(state: &mut State, policy: Policy, file: &Descriptor) -> Option<()> {
    let mut found = state.found;
    add(&mut found, &state.known);
    state.paths.complete();
    compose(state, policy, &mut found, Exit::Killed, Way::Into(file))
}

/// Where messages go.
#[derive(Clone, Copy)]
enum Way<'f> {
    Out,
    Into(&'f Descriptor),
}

/// How much a black box may hold.
const RECORDER: usize = 32_768;

/// Makes the messages of every list.
fn compose(state: &mut State, policy: Policy, found: &mut [u8], exit: Exit, way: Way) -> Option<()> {
    let State { notes, paths, message, versions, others, .. } = state;
    let sequence = notes.sequence;
    let mut room = RECORDER;
    let mut is_whole = true;
    let inspector = inspector(policy, paths.get(), found)?;
    let notes = &*notes;
    let (claims, process, user) = (notes.claims.as_ref()?, notes.process?, notes.user.as_ref()?);
    let times = process.times();
    let parent = notes.descent.map_or(notes.spawned_by, |descent| descent.parent());
    // Who is killed cannot tell in advance how old it will be.
    let thin = policy.thin().find(|thin| exit != Exit::Killed && times.elapsed / 1000 < u64::from(thin.shorter_than));
    let weight = match thin {
        None => b"".as_slice(),
        Some(thin) => thin.keeps(process.id, parent).then_some(thin.weight)?,
    };
    let mut space = [0; 16];
    let exit = exit.word(&mut space);
    let record = Record {
        id: process.id,
        seq: sequence,
        policy: policy.digest(),
        host: claims.host.get(),
        system: policy.system(),
        subsystem: claims.subsystem.get(),
        username: user.name.get(),
        uid: user.uid,
        pid: notes.pid,
        ppid: sys::parent_pid(),
        executable: paths.executable.get(),
        main: paths.main.get(),
        prefix: paths.prefix.get(),
        python: notes.version.get(),
        is_compute: claims.is_compute,
        is_shifter: claims.container == Some(Runtime::Shifter),
        container: claims.container.map_or(b"", Runtime::name),
        is_staff: user.is_staff,
        job_id: claims.job_id.get(),
        num_nodes: claims.num_nodes,
        qos: claims.qos.get(),
        repo: claims.repo.get(),
        start: times.start,
        elapsed: times.elapsed,
        exit,
        canary: claims.canary.get(),
        parent,
        weight,
        privacy: policy.privacy(),
        ..Record::default()
    };
    let header = Header {
        facility: policy.facility(),
        time: times.now,
        host: claims.host.get(),
        pid: notes.pid,
        msgid: policy.msgid(),
    };
    for list in policy.lists().filter(|list| is_sampled(policy, list, notes) == Some(true)) {
        let found = inspector.found(list);
        let listed = found.iter().map(|found| Finding {
            name: found.check.name,
            version: versions::of_check(versions, found.number).unwrap_or_default(),
            direct: found.direct,
            library: found.mapped,
        });
        let unlisted = |name: &&[u8]| list.all && !found.iter().any(|found| found.check.name == *name);
        let all = others.iter().filter(unlisted).map(|name| Finding { name, ..Finding::default() });
        let findings = listed.chain(all);
        if !list.empty && findings.clone().next().is_none() {
            continue;
        }
        let record = Record { list: list.name, rate: list.rate, ..record };
        let mut transports = policy.transports_of(&list, claims.is_compute);
        match way {
            Way::Out => transports.for_each(|transport| {
                let mut sender = Sender::new(transport);
                let limit = transport.max_datagram;
                record.messages(header, findings.clone(), message, limit, |message| sender.send(message));
            }),
            Way::Into(file) => {
                // Short enough for each of its transports.
                let Some(first) = transports.next() else { continue };
                let limit = transports.fold(first.max_datagram, |limit, next| limit.min(next.max_datagram));
                record.messages(header, findings.clone(), message, limit, |message| {
                    room = room.saturating_sub(message.len());
                    let written = if room > 0 { file.write_line(message) } else { Some(0) };
                    is_whole &= room == 0 || written == Some(message.len().saturating_add(1));
                });
            }
        }
    }
    is_whole.then_some(())
}

fn inspector<'p, 's>(policy: Policy<'p>, paths: [&'s [u8]; 3], found: &'s mut [u8]) -> Option<Inspector<'p, 's>> {
    let [executable, main, _] = paths;
    Inspector::new(policy, main, executable, found)
}
