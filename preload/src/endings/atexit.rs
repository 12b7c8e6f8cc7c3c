//! The end of an interpreter, by Python's `atexit`.

use super::with_state_in_python;
use crate::look;
use crate::memory::{self, State};
use crate::python::{Callback, MethodDef, Python, Raw};
use crate::report::{self, Exit};
use customs_spec::policy::Policy;

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

/// The `atexit` callback of the main interpreter. Python code can call it early, too (`atexit._run_exitfuncs`), and
/// the interpreter can be initialised again; so this report may not be the last.
unsafe extern "C" fn at_exit(_: Raw, _: Raw) -> Raw {
    called(|python, state, policy| {
        state.notes.armed = false;
        look::at_the_end(python, state, policy)?;
        report::send(state, policy, Exit::Normal)
    })
}

/// That of any other interpreter: what it found is kept for the report to come. From 3.13 on `Py_FinalizeEx` ends those
/// that are left when the main one has reported (`finalize_subinterpreters` in Python/pylifecycle.c).
unsafe extern "C" fn at_end_of_subinterpreter(_: Raw, _: Raw) -> Raw {
    called(|python, state, policy| {
        look::at_subinterpreter(python, state, policy)?;
        match state.notes.reported {
            Some(_) => report::send(state, policy, Exit::Normal),
            None => None,
        }
    })
}

/// Runs `work` with the state, and returns `None` to Python whatever comes of it.
fn called(work: impl FnOnce(Python, &mut State, Policy) -> Option<()>) -> Raw {
    with_state_in_python(|state, policy| {
        let api = state.notes.python?;
        // SAFETY: an interpreter that calls an `atexit` callback holds its GIL.
        unsafe { Python::with(&api, |python| work(python, state, policy)) }
    });
    memory::new_none()
}
