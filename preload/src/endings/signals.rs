//! Signals that kill. A handler is put where the default is, after Python has noted that it is the default; so Python
//! goes on seeing `SIG_DFL`, and whoever installs a handler later, Python or C, replaces ours.
//!
//! The handler reports what is known, and the process dies of the same signal: the kernel has put the default back
//! (`SA_RESETHAND`), and the signal is sent once more as it came. It runs no code of Python's. A fault in it
//! makes the process die of that signal at once.

use super::report_what_is_known;
use crate::functions::{self, SIGNAL, call_original};
use crate::memory::{self, Notes};
use crate::python::{Api, Definition, Raw};
use crate::report::Exit;
use crate::sys::{self, Action, Handler};
use core::ffi::{c_int, c_void};

/// Every signal but those by which the kernel tells of a fault.
const ALL_BUT_FAULTS: u64 = !(bit(libc::SIGSEGV)
    | bit(libc::SIGBUS)
    | bit(libc::SIGILL)
    | bit(libc::SIGFPE)
    | bit(libc::SIGTRAP)
    | bit(libc::SIGSYS));

const fn bit(number: c_int) -> u64 {
    1 << (number.wrapping_sub(1) & 63)
}

/// Installs the handlers, once, and puts our function before `signal.signal` of `module`, which is `_signal`.
pub fn arm(api: &Api, notes: &mut Notes, module: Raw) {
    if notes.signals || notes.pid != sys::pid() {
        return;
    }
    notes.signals = true;
    install();
    if let Some(definition) = Definition::at(api, module) {
        functions::stand_before(&definition, [(c"signal", SIGNAL, signal)]);
    }
}

/// Puts the default back where our handler is: an interpreter that starts will ask what the dispositions are.
pub fn disarm() {
    for number in memory::verified_policy().signals() {
        if sys::action(c_int::from(number)).is_some_and(|action| action.calls(on_signal)) {
            sys::default_action(c_int::from(number));
        }
    }
}

/// `signal.signal`: who puts the default back has it reported again.
unsafe extern "C" fn signal(a: Raw, b: Raw, c: *mut c_void, d: *mut c_void) -> Raw {
    let answer = call_original(SIGNAL, a, b, c, d);
    if !answer.is_null() && memory::is_own() {
        install();
    }
    answer
}

/// Installs the handler for those signals that the policy wants and whose disposition is the default. Not as process 1 of
/// a pid namespace: the kernel discards a signal whose disposition is the default there.
fn install() {
    if sys::pid() == 1 {
        return;
    }
    let flags = (libc::SA_SIGINFO | libc::SA_RESETHAND) as u32 as usize;
    for number in memory::verified_policy().signals() {
        let number = c_int::from(number);
        if sys::action(number).is_some_and(|action| action.is_default()) {
            sys::set_action(number, Action::new(on_signal, flags, ALL_BUT_FAULTS));
        }
    }
}

unsafe extern "C" fn on_signal(number: c_int, info: *mut c_void, _: *mut c_void) {
    let faults = [libc::SIGSEGV, libc::SIGBUS];
    let on_fault: Handler = match number {
        libc::SIGHUP => on_fault::<{ libc::SIGHUP }>,
        libc::SIGUSR1 => on_fault::<{ libc::SIGUSR1 }>,
        libc::SIGUSR2 => on_fault::<{ libc::SIGUSR2 }>,
        libc::SIGALRM => on_fault::<{ libc::SIGALRM }>,
        libc::SIGXCPU => on_fault::<{ libc::SIGXCPU }>,
        _ => on_fault::<{ libc::SIGTERM }>,
    };
    let before = faults.map(|fault| {
        let before = sys::action(fault);
        sys::set_action(fault, Action::new(on_fault, libc::SA_SIGINFO as usize, !0));
        before
    });
    report_what_is_known(Exit::Signal(number as u8));
    for (fault, before) in faults.into_iter().zip(before) {
        if let Some(before) = before {
            sys::set_action(fault, before);
        }
    }
    // Delivered when this handler returns: it is blocked until then.
    sys::raise_again(number, info);
}

/// A fault while `NUMBER` was handled: nothing is touched any more.
unsafe extern "C" fn on_fault<const NUMBER: c_int>(_: c_int, _: *mut c_void, _: *mut c_void) {
    sys::default_action(NUMBER);
    sys::raise(NUMBER);
    sys::unblock(NUMBER);
}
