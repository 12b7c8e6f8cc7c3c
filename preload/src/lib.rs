//! libcustoms.so. Code here runs inside other people's processes. House rules:
//!  1. never allocate, lock, spawn, log or touch stdio;   2. no CPython, no work;
//!  3. never exit, abort or panic;                        4. every `unsafe` carries its SAFETY;
//!  5. errno and Python's error indicator are left as found.
//!
//! The story, a file a chapter:
//!  - two doors lead in: [`early`], for a libpython that is there when the program starts, and [`late`], for one
//!    that is opened later;
//!  - at both, [`arm`] asks the policy whether this process is to be reported at all, before anything is touched;
//!    behind them it has the interpreter call us at its end (in newer sub-interpreters through [`slots`]), and takes
//!    its place at the other [`endings`];
//!  - [`imports`] keeps up to date what is known while the program runs, [`recorder`] leaves it where a killed process's
//!    record is found, and at an end at which the interpreter may be
//!    asked, [`look`] looks at everything ([`modules`], [`own`], [`versions`], [`libraries`]);
//!  - then [`report`] adds what was learnt of the process at its start ([`process`], [`user`], [`job`], [`container`])
//!    and sends what the policy wants sent ([`transport`]).
//!
//! Beneath it lie [`python`], all we know of CPython; [`objects`], of the loader; [`sys`], of the kernel; and
//! [`memory`], the only bytes we ever write to.

#![cfg_attr(feature = "freestanding", no_std)]

mod arm;
mod container;
mod early;
mod endings;
mod environment;
mod errno;
mod forks;
#[cfg(feature = "freestanding")]
mod freestanding;
mod functions;
mod imports;
mod job;
mod late;
mod libraries;
mod lines;
mod look;
mod memory;
mod modules;
mod objects;
mod own;
mod process;
mod python;
mod recorder;
mod report;
mod slots;
mod sys;
mod text;
mod transport;
mod turn;
mod user;
mod versions;

// Before `main`: if the program carries a Python, stand at its early door. A failed start is a silent start.
#[ctor::ctor(unsafe)]
fn on_load() {
    let _ = early::open();
}

/// No panic survives optimisation: one that did would call a symbol that nobody defines, and the link would fail.
#[cfg(feature = "freestanding")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    unsafe extern "C" {
        fn customs_must_not_be_able_to_panic() -> !;
    }
    // SAFETY: never reached; see above.
    unsafe { customs_must_not_be_able_to_panic() }
}
