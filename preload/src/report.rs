//! The Reporter: at the end of an interpreter, what was found becomes records and leaves.

use crate::container::Runtime;
use crate::errno::Errno;
use crate::job::Claims;
use crate::libraries;
use crate::memory::{self, Notes, State};
use crate::modules;
use crate::python::{Callback, MethodDef, Owned, Python, Raw};
use crate::sys;
use crate::text::{Arena, Text};
use crate::transport::{self, Sender};
use crate::versions;
use customs_spec::frame::Header;
use customs_spec::hash;
use customs_spec::inspect::Inspector;
use customs_spec::policy::{List, Policy};
use customs_spec::record::{Finding, Record};

/// What Python calls us by.
#[repr(C)]
pub struct Methods {
    /// In the main interpreter.
    pub at_exit: MethodDef,
    /// In any other.
    pub at_end_of_subinterpreter: MethodDef,
}

/// `METH_NOARGS` (Include/methodobject.h).
const NO_ARGUMENTS: core::ffi::c_int = 4;

/// The two callbacks, both called `customs` where Python shows them.
pub fn methods() -> Methods {
    let method = |callback: Callback| MethodDef {
        name: c"customs".as_ptr(),
        method: Some(callback),
        flags: NO_ARGUMENTS,
        doc: core::ptr::null(),
    };
    Methods { at_exit: method(at_exit), at_end_of_subinterpreter: method(at_end_of_subinterpreter) }
}

/// The `atexit` callback of the main interpreter.
unsafe extern "C" fn at_exit(_: Raw, _: Raw) -> Raw {
    called(report)
}

/// That of any other interpreter: what it found is kept for the report to come.
unsafe extern "C" fn at_end_of_subinterpreter(_: Raw, _: Raw) -> Raw {
    called(|python, state, policy| {
        let State { notes, found, versions, others, .. } = state;
        let wants_others = samples_others(policy, notes)?;
        let mut inspector = Inspector::new(policy, b"", b"", found)?;
        look(python, policy, &mut inspector, versions, wants_others.then_some(others))
    })
}

/// Runs `work` with the state, and returns `None` to Python whatever comes of it.
fn called(work: impl FnOnce(Python, &mut State, Policy) -> Option<()>) -> Raw {
    let _ = (|| {
        let mut state = memory::take_soon()?;
        let _errno = Errno::keep(state.notes.errno);
        if !is_ours(&state.notes) {
            return None;
        }
        let api = state.notes.python?;
        let policy = memory::verified_policy();
        // SAFETY: an interpreter that calls an `atexit` callback holds its GIL.
        unsafe { Python::with(&api, |python| work(python, &mut state, policy)) }
    })();
    memory::new_none()
}

/// Not a child that was forked from the process that was armed; not one that has locked itself in since: a filter
/// of its own may kill it for a system call that it never makes itself.
fn is_ours(notes: &Notes) -> bool {
    sys::pid() == notes.pid && sys::restrictions() == notes.restrictions
}

/// Whether any list takes the names of all modules in this process.
fn samples_others(policy: Policy, notes: &Notes) -> Option<bool> {
    let (claims, id) = (notes.claims.as_ref()?, notes.process?.id);
    Some(policy.lists().any(|list| list.all && is_sampled(policy, &list, claims, id)))
}

/// Whether this process, or its job, falls into a list's sample. Every node comes to the same answer of a job.
fn is_sampled(policy: Policy, list: &List, claims: &Claims, id: u128) -> bool {
    let id = id.to_le_bytes();
    let job = claims.job_id.get();
    let chosen = if list.per_process || job.is_empty() { &id } else { job };
    let place = hash::of_parts(hash::PUBLIC_KEY, &[list.name, policy.system(), chosen]) as u32;
    list.threshold == u32::MAX || place < list.threshold
}

type Versions = Arena<{ memory::VERSIONS }>;
type Others = Arena<{ memory::OTHERS }>;

/// What the interpreter of this thread has loaded.
fn look(
    python: Python,
    policy: Policy,
    inspector: &mut Inspector,
    versions: &mut Versions,
    others: Option<&mut Others>,
) -> Option<()> {
    modules::look(python, inspector, others)?;
    versions::note(python, inspector, policy.dist_info(), versions)
}

/// Paths of the process, as Python has them.
struct Paths {
    executable: Text<PATH>,
    main: Text<PATH>,
    prefix: Text<PATH>,
}

/// More of a path than any record has room for.
const PATH: usize = 1024;

impl Paths {
    fn of(python: Python) -> Self {
        let mut space = [0; PATH];
        let mut text =
            |object: Option<crate::python::Object>| Text::of(object.map_or(b"", |path| path.path(&mut space)));
        Paths {
            executable: text(python.sys(c"executable")),
            main: text(main_path(python).as_deref().copied()),
            prefix: text(python.sys(c"prefix")),
        }
    }
}

/// The path of `__main__`. CPython takes `__file__` away again when a script has run to its end (`pyrun_simple_file`
/// in Python/pythonrun.c); then its loader still has it, and in 2.7, where there is none, `sys.argv`.
fn main_path(python: Python<'_>) -> Option<Owned<'_>> {
    let main = python.modules()?.get(&python.key(c"__main__")?)?;
    let dict = main.module_dict()?;
    if let Some(file) = dict.get(&python.key(c"__file__")?) {
        return Some(file);
    }
    let loader = dict.get(&python.key(c"__loader__")?).and_then(|loader| loader.instance_dict());
    if let Some(path) = loader.and_then(|loader| loader.get(&python.key(c"path")?)) {
        return Some(path);
    }
    // `-c`, `-` and an empty text are not paths.
    let first = python.sys(c"argv").filter(|_| python.api().string_type.is_some())?.first()?;
    let is_path = first.text().is_some_and(|text| !text.is_empty() && !text.starts_with(b"-"));
    is_path.then_some(first)
}

fn report(python: Python, state: &mut State, policy: Policy) -> Option<()> {
    let State { notes, found, message, versions, others } = state;
    notes.armed = false;
    let wants_others = samples_others(policy, notes)?;

    let mut paths = Paths::of(python);
    if paths.executable.get().is_empty() {
        paths.executable = Text::of(sys::read_link(c"/proc/self/exe", &mut [0; PATH]).unwrap_or_default());
    }
    let mut inspector = Inspector::new(policy, paths.main.get(), paths.executable.get(), found)?;
    look(python, policy, &mut inspector, versions, wants_others.then_some(&mut *others))?;
    python.each_other_interpreter(|python| {
        let _ = look(python, policy, &mut inspector, versions, wants_others.then_some(&mut *others));
    });
    if policy.wants_libraries() {
        let _ = libraries::look(&mut inspector, versions);
    }

    // An interpreter that was finalised and initialised again reports once more only if it has more to say.
    let digest = inspector.digest();
    if notes.reported == Some(digest) {
        return None;
    }
    notes.reported = Some(digest);
    let sequence = notes.sequence;
    notes.sequence = sequence.saturating_add(1);

    let (claims, process, user) = (notes.claims.as_ref()?, notes.process?, notes.user.as_ref()?);
    let id = process.id;
    let times = process.times();
    let record = Record {
        id,
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
        python: python.api().version(),
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
        exit: b"normal",
        canary: claims.canary.get(),
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
    for list in policy.lists().filter(|list| is_sampled(policy, list, claims, id)) {
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
        for transport in transport::of_list(policy, &list, claims.is_compute) {
            let mut sender = Sender::new(transport);
            record.messages(header, findings.clone(), message, transport.max_datagram, |message| sender.send(message));
        }
    }
    Some(())
}
