//! `os._exit`, `os.abort`, `os.exec*` and `os.fork`: functions of the built-in module `posix`. Python keeps a module's
//! functions in a static table (`PyMethodDef`) and looks there whenever one is called; ours are put into that table, and
//! call the ones that were there. So Python code finds the same objects as ever, the GIL is held, and no other program's
//! calls come this way, as they would if libc's `execve` were interposed.

use super::with_state_in_python;
use crate::forks;
use crate::functions::{self, ABORT, EXECV, EXECVE, EXIT, FORK, FORKPTY, call_original};
use crate::look;
use crate::python::{Api, Arguments, Callback4, Definition, Python, Raw};
use crate::report::{self, Exit};
use crate::sys;
use core::ffi::{CStr, c_void};

/// Puts ours before the functions of `definition`, which is that of `posix`.
pub fn stand_before(api: &Api, definition: Raw) -> Option<()> {
    let ours: [(&CStr, usize, Callback4); 6] = [
        (c"_exit", EXIT, exit),
        (c"abort", ABORT, abort),
        (c"execv", EXECV, exec::<EXECV>),
        (c"execve", EXECVE, exec::<EXECVE>),
        (c"fork", FORK, fork::<FORK>),
        (c"forkpty", FORKPTY, fork::<FORKPTY>),
    ];
    functions::stand_before(&Definition::at(api, definition)?, ours);
    Some(())
}

/// Looks at everything once more, and reports.
fn leave(exit: Exit) {
    with_state_in_python(|state, policy| {
        let api = state.notes.python?;
        if !api.is_in_living_main() {
            return report::send_what_is_known(state, policy, exit);
        }
        // SAFETY: called by Python code, so the GIL is held.
        unsafe { Python::with(&api, |python| look::at_the_end(python, state, policy)) }?;
        report::send(state, policy, exit)
    });
}

unsafe extern "C" fn exit(a: Raw, b: Raw, c: *mut c_void, d: *mut c_void) -> Raw {
    // With anything else it does not end; by a keyword, it ends as C code's `_exit`.
    if with_arguments(EXIT, b, c, |arguments| arguments.first_is_int()) {
        leave(Exit::Underscore);
    }
    call_original(EXIT, a, b, c, d)
}

unsafe extern "C" fn abort(a: Raw, b: Raw, c: *mut c_void, d: *mut c_void) -> Raw {
    leave(Exit::Abort);
    call_original(ABORT, a, b, c, d)
}

unsafe extern "C" fn exec<const NUMBER: usize>(a: Raw, b: Raw, c: *mut c_void, d: *mut c_void) -> Raw {
    before_exec(NUMBER, b, c);
    call_original(NUMBER, a, b, c, d)
}

unsafe extern "C" fn fork<const NUMBER: usize>(a: Raw, b: Raw, c: *mut c_void, d: *mut c_void) -> Raw {
    before_fork();
    let answer = call_original(NUMBER, a, b, c, d);
    let _ = forks::adopt();
    answer
}

fn before_fork() {
    with_state_in_python(|state, policy| {
        let api = state.notes.python?;
        if !api.is_in_living_main() {
            return None;
        }
        // SAFETY: called by Python code, so the GIL is held.
        unsafe { Python::with(&api, |python| look::before_a_fork(python, state, policy)) }
    });
}

/// Reports if the program can be executed: `os.execvp` tries it in every folder of `PATH`.
fn before_exec(number: usize, arguments: Raw, count: *mut c_void) {
    let can = with_arguments(number, arguments, count, |arguments| {
        match arguments.first_path(&mut [0; 4096]) {
            // A descriptor, or an object that would have to be asked for its path.
            None => true,
            Some(path) => CStr::from_bytes_until_nul(path).is_ok_and(sys::can_execute),
        }
    });
    if can {
        leave(Exit::Exec);
    }
}

/// What `look` says of the arguments that function `number` was called with; `false` where nothing is to be reported.
fn with_arguments(number: usize, arguments: Raw, count: *mut c_void, look: impl FnOnce(&Arguments) -> bool) -> bool {
    let mut answer = false;
    with_state_in_python(|state, _| {
        let api = state.notes.python?;
        let flags = functions::flags(number);
        // SAFETY: called by Python code, so the GIL is held.
        answer =
            unsafe { Python::with(&api, |python| look(&Arguments::new(python, flags, arguments, count as usize))) };
        Some(())
    });
    answer
}
