//! C code that ends a process: `_exit` and `_Exit`, `abort`, and `exit` while an interpreter lives, which ends with the
//! destructors of all loaded objects. All of them may be called in a signal handler, so the interpreter is asked at
//! `exit` only, and there only when this thread holds the GIL and is in no handler.

use super::{report_what_is_known, with_state};
use crate::look;
use crate::memory;
use crate::objects;
use crate::python::{Place, Python};
use crate::report::{self, Exit};
use crate::sys;
use core::ffi::c_int;

/// `_exit(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn _exit(status: c_int) -> ! {
    leave(status)
}

/// The same in C99 (7.22.4.5).
#[unsafe(no_mangle)]
unsafe extern "C" fn _Exit(status: c_int) -> ! {
    leave(status)
}

fn leave(status: c_int) -> ! {
    report_what_is_known(Exit::Underscore);
    if let Some(next) = memory::next_exit() {
        // SAFETY: the next definition of `_exit`, found when the process was armed.
        unsafe { next(status) }
    }
    sys::exit_group(status)
}

/// `abort(3)`, as POSIX wants it: the signal is unblocked and raised, and if a handler returns, the default kills.
#[unsafe(no_mangle)]
unsafe extern "C" fn abort() -> ! {
    report_what_is_known(Exit::Abort);
    sys::unblock(libc::SIGABRT);
    sys::raise(libc::SIGABRT);
    sys::default_action(libc::SIGABRT);
    sys::unblock(libc::SIGABRT);
    sys::raise(libc::SIGABRT);
    sys::exit_group(127)
}

/// `DT_FINI_ARRAY`: what the loader calls when `exit(3)` has run the program's own handlers.
#[used]
#[unsafe(link_section = ".fini_array")]
static AT_PROCESS_END: extern "C" fn() = at_process_end;

extern "C" fn at_process_end() {
    with_state(|state, policy| {
        let api = state.notes.python?;
        // An interpreter that was finalised has reported, unless its callback was taken away. Its code may be gone.
        if !objects::is_loaded(api.get_version as usize) || !api.is_initialized() {
            return report::send_what_is_known(state, policy, Exit::Normal);
        }
        if !api.is_held() || api.here() == Place::Other || sys::is_any_signal_blocked() {
            return report::send_what_is_known(state, policy, Exit::Libc);
        }
        // SAFETY: this thread holds the GIL.
        unsafe { Python::with(&api, |python| look::at_the_end(python, state, policy)) }?;
        report::send(state, policy, Exit::Libc)
    });
}
