//! How a process ends, a file for each way to hear of it:
//!  - [`atexit`]: the interpreter is finalised;
//!  - [`posix`]: Python code leaves it behind, `os._exit`, `os.abort` and `os.exec*` (and forks);
//!  - [`libc`]: C code does, `_exit`, `_Exit`, `abort`, and `exit` under a living interpreter;
//!  - [`signals`]: somebody else ends it.
//!
//! Only where Python called us is the interpreter asked: `atexit` and `posix`, and at `exit` where this thread can be
//! shown to hold the GIL. Elsewhere a report is made from what is known.

pub mod atexit;
pub mod libc;
pub mod posix;
pub mod signals;

use crate::errno::Errno;
use crate::forks;
use crate::memory::{self, Notes, State};
use crate::report::{self, Exit};
use crate::sys;
use customs_spec::policy::Policy;

/// Runs `work` with the state, if this is the process that was armed. Nobody learns what came of it.
fn with_state(work: impl FnOnce(&mut State, Policy) -> Option<()>) {
    let _ = (|| {
        // Looked at first, because the child of a vfork(2) may not write: the memory is its parent's.
        if !memory::is_own() {
            return None;
        }
        let mut state = memory::take_soon()?;
        let _errno = Errno::keep(state.notes.errno);
        if !is_free(&state.notes) {
            return None;
        }
        work(&mut state, memory::verified_policy())
    })();
}

/// The same for who was called by Python, also in a child that was forked from the process that was armed.
fn with_state_in_python(work: impl FnOnce(&mut State, Policy) -> Option<()>) {
    let _ = forks::adopt();
    with_state(work);
}

/// Reports what is known already, without a look at the interpreter: at any time, in any thread, also in a signal
/// handler.
fn report_what_is_known(exit: Exit) {
    // Looked at first: the child of a vfork(2) has no stack of its own here either.
    if memory::is_own() {
        memory::on_own_stack(|| with_state(|state, policy| report::send_what_is_known(state, policy, exit)));
    }
}

/// Not one that has locked itself in since it was armed: a filter of its own may kill it for a system call that it
/// never makes itself.
pub fn is_free(notes: &Notes) -> bool {
    sys::restrictions() == notes.restrictions
}
