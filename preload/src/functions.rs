//! Functions of CPython's built-in modules that ours stand before: of `posix` ([`crate::endings::posix`]), `_signal`
//! ([`crate::endings::signals`]) and `_imp` ([`crate::imports`]). Each has a number, by which ours finds the original.

use crate::memory;
use crate::python::{Callback, Callback4, Definition, Raw};
use core::ffi::{CStr, c_int, c_void};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

pub const EXIT: usize = 0;
pub const ABORT: usize = 1;
pub const EXECV: usize = 2;
pub const EXECVE: usize = 3;
pub const FORK: usize = 4;
pub const FORKPTY: usize = 5;
pub const SIGNAL: usize = 6;
pub const RELEASE_LOCK: usize = 7;
pub const FIX_CO_FILENAME: usize = 8;
pub const EXEC_DYNAMIC: usize = 9;
/// How many there are.
pub const COUNT: usize = 10;

/// What was there before.
pub struct Function {
    original: AtomicUsize,
    flags: AtomicU32,
}

/// Puts ours before those of `definition`'s functions that it has. Only when the process is armed, with the GIL held.
pub fn stand_before<const N: usize>(definition: &Definition, ours: [(&CStr, usize, Callback4); N]) {
    for (name, number, ours) in ours {
        let (Some(method), Some(function)) = (definition.method(name), memory::functions().get(number)) else {
            continue;
        };
        // SAFETY: a method of a module's static table; the GIL is held.
        let method = unsafe { &mut *method };
        let Some(original) = method.method.filter(|original| *original as usize != ours as usize) else { continue };
        // What calls it must find it, so it is stored first.
        function.flags.store(method.flags as u32, Ordering::Release);
        function.original.store(original as usize, Ordering::Release);
        // SAFETY: called as the original is: `METH_*` says how, and ours passes on as many words as any of them takes.
        method.method = Some(unsafe { core::mem::transmute::<Callback4, Callback>(ours) });
    }
}

/// How function `number` is called: `METH_*`.
pub fn flags(number: usize) -> c_int {
    memory::functions().get(number).map_or(0, |function| function.flags.load(Ordering::Acquire) as c_int)
}

/// Calls function `number` as ours was called.
pub fn call_original(number: usize, a: Raw, b: Raw, c: *mut c_void, d: *mut c_void) -> Raw {
    let address = memory::functions().get(number).map_or(0, |function| function.original.load(Ordering::Acquire));
    // SAFETY: zero, which is `None`, or what `stand_before` stored.
    match unsafe { core::mem::transmute::<usize, Option<Callback4>>(address) } {
        // SAFETY: called by CPython with these words.
        Some(original) => unsafe { original(a, b, c, d) },
        None => core::ptr::null_mut(),
    }
}
