//! Behind both doors: is this process to be reported, and if so, by what does the interpreter call us at its end?

use crate::early;
use crate::endings::signals;
use crate::environment::Environment;
use crate::errno;
use crate::imports;
use crate::job::Claims;
use crate::libraries;
use crate::memory::{self, Notes, State};
use crate::objects;
use crate::process::Process;
use crate::python::{Definition, MethodDef, Owned, Place, Python, Raw};
use crate::sys;
use crate::text::Text;
use crate::user::User;

/// Has the current interpreter call us at its end. Its API was noted by the door it came through.
///
/// # Safety
/// This thread must hold the GIL.
pub unsafe fn arm() -> Option<()> {
    let mut state = memory::take_soon()?;
    let api = state.notes.python?;
    let main = api.here() != Place::Other;
    if main && state.notes.armed {
        return None;
    }
    // A new life of the interpreter will ask what the dispositions are.
    if main && state.notes.signals {
        signals::disarm();
        state.notes.signals = false;
    }
    if state.notes.claims.is_none() || main && state.notes.pid != sys::pid() {
        prepare(&mut state)?;
    }
    if main {
        state.notes.position = 0;
    }
    let methods = memory::methods();
    let method = match main {
        // SAFETY: a place inside of what `methods` points at.
        true => unsafe { &raw mut (*methods).at_exit },
        // SAFETY: as above.
        false => unsafe { &raw mut (*methods).at_end_of_subinterpreter },
    };
    memory::set_none(&api);
    state.notes.armed |= main;
    // Not held while Python works: another interpreter's start may come this way.
    drop(state);
    // SAFETY: the caller holds the GIL.
    let hooked = unsafe {
        Python::with(&api, |python| {
            if main {
                let _ = imports::stand_before(python);
            }
            hook(python, method)
        })
    };
    if hooked.is_none() && main {
        memory::take_soon()?.notes.armed = false;
    }
    hooked
}

/// Has the process report at signals that kill it: `module` is `_signal`, and Python has noted by now which dispositions
/// are the default.
pub fn arm_signals(module: Raw) -> Option<()> {
    let mut state = memory::take_soon()?;
    let api = state.notes.python?;
    if state.notes.armed && api.here() != Place::Other {
        signals::arm(&api, &mut state.notes, module);
    }
    Some(())
}

/// Whether the policy speaks of this process: there is a whole one, nobody opted out, of a parallel program it is
/// rank 0, and it has no rights that its user has not. Asked at both doors before anything is touched.
pub fn is_wanted() -> bool {
    let (Some(policy), Some(environment)) = (memory::policy(), Environment::of_process()) else { return false };
    let opted_out = environment.first_of(policy.opt_out().iter()).is_some();
    let nonzero = |value: &[u8]| value.iter().any(|digit| *digit != b'0') && value.iter().all(u8::is_ascii_digit);
    let other_rank = policy.ranks().iter().filter_map(|name| environment.get(name)).any(nonzero);
    !opted_out && !other_rank && !Environment::is_of_a_stranger()
}

/// Everything that can be known when the first interpreter starts is learnt then. At the end a program may have
/// no descriptor left, no /proc and no right to ask; and the less there is to do, the better.
fn prepare(State { notes, found, known, versions, others, .. }: &mut State) -> Option<()> {
    let policy = memory::verified_policy();
    let claims = Claims::read(policy, Environment::of_process()?);
    // A child that was forked and starts an interpreter of its own has found nothing yet.
    let libc = objects::find(|object| object.symbols().filter(|symbols| symbols.address(errno::NAME).is_some()));
    found.fill(0);
    known.fill(0);
    versions.clear();
    others.clear();
    *notes = Notes {
        python: notes.python,
        version: Text::of(notes.python.as_ref()?.version()),
        armed: notes.armed,
        process: Process::identify(),
        user: Some(User::of_process(policy, &claims)),
        claims: Some(claims),
        errno: libc.as_ref().and_then(errno::location),
        single_threaded: libc.as_ref().and_then(libraries::single_threaded),
        pid: sys::pid(),
        restrictions: sys::restrictions(),
        ..Notes::NOTHING
    };
    memory::set_owner(notes.pid, objects::next_symbol(c"_exit", prepare as *const () as usize));
    Some(())
}

/// Registers `method` with `atexit`, before anyone else: callbacks run last in, first out, so it will be the last.
fn hook(python: Python, method: *mut MethodDef) -> Option<()> {
    // SAFETY: the method lies in the state, which is there for ever.
    let function = unsafe { python.function(method) }?;
    if python.api().string_type.is_some() {
        // In 2.7 `atexit` is a Python file found on the path, which may be anybody's. It takes over `sys.exitfunc`
        // if it finds one, and calls it last (Lib/atexit.py).
        return match python.sys(c"exitfunc") {
            Some(_) => None,
            None => python.set_sys(c"exitfunc", &function),
        };
    }
    python.call(*register(python)?, &function).map(drop)
}

/// `atexit.register`. From 3.10 on the callbacks are the interpreter's and no longer the module's, so the function does
/// without the module: then nothing is imported, which takes Python some 50 µs and shows.
fn register(python: Python<'_>) -> Option<Owned<'_>> {
    let (atexit, register) = (c"atexit", c"register");
    let init = early::initialiser(python.api(), atexit)?;
    if let Some(definition) = python.api().module_def_type.and_then(|_| {
        // SAFETY: since 3.5 this only makes the definition ready (PEP 489), as often as it is called; the GIL is held.
        Definition::at(python.api(), unsafe { init() })
    }) && !definition.has_state()
    {
        // SAFETY: a static method of CPython's own.
        return unsafe { python.function(definition.method(register)?) };
    }
    python.import_builtin(atexit)?.module_dict()?.get(&python.key(register)?)
}
