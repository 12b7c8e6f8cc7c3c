//! While the program runs: what is known is kept up to date, for the ends at which Python cannot be asked.
//!
//! `importlib` calls a function of `_imp` once for each module that it has just put into `sys.modules`:
//! `_fix_co_filename` for one that is cached as bytecode (`_compile_bytecode` in Lib/importlib/_bootstrap_external.py),
//! `exec_dynamic` for an extension module; and some five times for any module `release_lock`. Like the functions of
//! `posix` they are called through a static table, in which ours stand. They take a glance at the names that are new in
//! `sys.modules`, a microsecond beside the hundreds that an import takes; and each time that the number of glances has
//! doubled, one look at everything.

use crate::endings::{self, signals};
use crate::errno::Errno;
use crate::forks;
use crate::functions::{self, EXEC_DYNAMIC, FIX_CO_FILENAME, RELEASE_LOCK, call_original};
use crate::look;
use crate::memory;
use crate::python::{Api, Callback4, Definition, Python, Raw};
use crate::recorder;
use core::ffi::{CStr, c_void};

/// Glances until the first look at everything: what `python -c pass` imports stays below.
const FIRST_LOOK: u32 = 64;
/// Glances until it is first asked who had this interpreter started: while it starts, `__main__` cannot tell yet.
const FIRST_QUESTION: u32 = 16;
/// Of the calls of `release_lock`, one in so many comes with a glance.
const SELDOM: u32 = 16;

/// Puts our functions into the table of the built-in module `_imp`, which is imported before anything else.
pub fn stand_before(python: Python) -> Option<()> {
    let imp = python.modules()?.get(&python.key(c"_imp")?)?;
    let definition = Definition::at(python.api(), imp.module_definition()?)?;
    let ours: [(&CStr, usize, Callback4); 3] = [
        (c"release_lock", RELEASE_LOCK, release_lock),
        (c"_fix_co_filename", FIX_CO_FILENAME, module_is_there::<FIX_CO_FILENAME>),
        (c"exec_dynamic", EXEC_DYNAMIC, module_is_there::<EXEC_DYNAMIC>),
    ];
    functions::stand_before(&definition, ours);
    Some(())
}

unsafe extern "C" fn release_lock(a: Raw, b: Raw, c: *mut c_void, d: *mut c_void) -> Raw {
    let answer = call_original(RELEASE_LOCK, a, b, c, d);
    if memory::count_up().is_multiple_of(SELDOM) {
        let _ = glance();
    }
    answer
}

unsafe extern "C" fn module_is_there<const NUMBER: usize>(a: Raw, b: Raw, c: *mut c_void, d: *mut c_void) -> Raw {
    let answer = call_original(NUMBER, a, b, c, d);
    let _ = glance();
    answer
}

fn glance() -> Option<()> {
    if !memory::is_own() {
        forks::adopt()?;
    }
    let mut state = memory::take()?;
    let api: Api = state.notes.python?;
    if !api.is_in_living_main() {
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
            let is_doubled = state.notes.imports.is_power_of_two();
            let is_watched = is_doubled && state.notes.imports >= FIRST_QUESTION || state.notes.watched > 0;
            if is_watched && endings::is_free(&state.notes) {
                forks::learn(python, &mut state.notes);
            }
            // System calls are made only by who has not locked itself in.
            let learnt = match due && endings::is_free(&state.notes) {
                true => look::on_the_way(python, &mut state, policy).is_some(),
                false => {
                    let learnt = look::at_new_modules(python, &mut state, policy)?;
                    if state.notes.imports > FIRST_LOOK {
                        let _ = look::at_new_bindings(python, &mut state, policy);
                    }
                    learnt
                }
            };
            let is_due = !policy.recorder().is_empty() && (learnt || !state.notes.is_recorded);
            if !is_due || !endings::is_free(&state.notes) {
                return None;
            }
            recorder::update(&mut state, policy)
        })
    }
}
