//! While the program runs: what is known is kept up to date, for the ends at which Python cannot be asked.
//!
//! `importlib` calls `_imp.release_lock` when it begins an import and when it is done with it (`_get_module_lock` in
//! Lib/importlib/_bootstrap.py, since 3.3), and a few times between (`_ImportLockContext`). Like the functions of `posix`
//! it is called through a static table, in which ours stands. It takes a glance at the names that are new in
//! `sys.modules`, less than a microsecond beside the hundreds that an import takes; and each time that the number of
//! calls has doubled, one look at everything.

use crate::endings;
use crate::endings::signals;
use crate::errno::Errno;
use crate::forks;
use crate::look;
use crate::memory;
use crate::python::{Api, Definition, Place, Python, Raw};
use crate::recorder;
use core::ffi::c_void;

/// Which of the replaced functions is ours here, in [`memory::call_original`].
pub const RELEASE_LOCK: usize = signals::SIGNAL + 1;
/// Calls until the first look at everything: what `python -c pass` imports stays below.
const FIRST_LOOK: u32 = 128;

/// Puts our function into the table of the built-in module `_imp`, which is imported before anything else.
pub fn stand_before(python: Python) -> Option<()> {
    let imp = python.modules()?.get(&python.key(c"_imp")?)?;
    let definition = Definition::at(python.api(), imp.module_definition()?)?;
    memory::replace(RELEASE_LOCK, definition.method(c"release_lock")?, release_lock);
    Some(())
}

unsafe extern "C" fn release_lock(a: Raw, b: Raw, c: *mut c_void, d: *mut c_void) -> Raw {
    let answer = memory::call_original(RELEASE_LOCK, a, b, c, d);
    let _ = glance();
    answer
}

fn glance() -> Option<()> {
    if !memory::is_own() {
        forks::adopt()?;
    }
    let mut state = memory::take()?;
    let api: Api = state.notes.python?;
    if !api.is_initialized() || api.here() == Place::Other {
        return None;
    }
    let _errno = Errno::keep(state.notes.errno);
    let policy = memory::verified_policy();
    state.notes.imports = state.notes.imports.saturating_add(1);
    let due = state.notes.imports >= FIRST_LOOK && state.notes.imports.is_power_of_two();
    // SAFETY: called by Python code, so the GIL is held.
    unsafe {
        Python::with(&api, |python| {
            // Where the late door came too late for the module's start.
            if !state.notes.signals
                && let Some(module) = python.modules()?.get(&python.key(c"_signal")?)
            {
                signals::arm(&api, &mut state.notes, module.raw());
            }
            if state.notes.imports.is_power_of_two() || state.notes.watched > 0 {
                forks::learn(python, &mut state.notes);
            }
            // System calls are made only by who has not locked itself in.
            let learnt = match due && endings::is_free(&state.notes) {
                true => look::on_the_way(python, &mut state, policy).is_some(),
                // Without a GIL a look is a copy of the whole dict.
                false if api.free_threaded.is_some() => false,
                false => look::at_new_modules(python, &mut state, policy)?,
            };
            let is_due = !policy.recorder().is_empty() && (learnt || !state.notes.is_recorded);
            if !is_due || !endings::is_free(&state.notes) {
                return None;
            }
            recorder::update(&mut state, policy)
        })
    }
}
