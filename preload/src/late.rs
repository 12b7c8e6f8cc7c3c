//! The late door: a libpython that is opened with `dlopen` when the program runs (reticulate, plugins, PyInstaller).
//!
//! While a main interpreter or a sub-interpreter starts, CPython asks `confstr` for the name of the thread library
//! (`PyThread_GetInfo` in Python/thread.c, from `_PySys_Create`; since 3.3), and hardly anyone else calls it. Our
//! `confstr` learns from its caller's address which object is a libpython. That is before imports work, so it asks
//! to be called back by `Py_AddPendingCall`, and the callback asks again until `posix` is in `sys.modules`.
//! It also stands at the early door of that libpython, for interpreters to come.

use crate::arm;
use crate::early;
use crate::endings::posix as posix_functions;
use crate::memory;
use crate::objects;
use crate::python::{Api, Place, Python, Raw};
use crate::slots;
use core::ffi::{c_char, c_int, c_void};

/// `_CS_GNU_LIBPTHREAD_VERSION`, the same in glibc and musl (bits/confname.h, unistd.h).
const LIBPTHREAD_VERSION: c_int = 3;

/// confstr(3), with its caller's address passed on as a fourth argument.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn confstr(name: c_int, buffer: *mut c_char, size: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    core::arch::naked_asm!("mov rcx, [rsp]", "jmp {}", sym confstr_from);
    #[cfg(target_arch = "aarch64")]
    core::arch::naked_asm!("mov x3, x30", "b {}", sym confstr_from);
}

unsafe extern "C" fn confstr_from(name: c_int, buffer: *mut c_char, size: usize, caller: usize) -> usize {
    if name == LIBPTHREAD_VERSION {
        let _ = notice(caller);
    }
    // In a process without Python this is all there is: no lock, and nothing to look for.
    if let Some(checked) = objects::checked_confstr() {
        // SAFETY: the caller's own arguments; the size of its buffer is not known, and not checked then.
        return unsafe { checked(name, buffer, size, usize::MAX) };
    }
    let here = confstr_from as *const () as usize;
    let Some(next) = objects::next_symbol(c"confstr", here) else { return 0 };
    // SAFETY: the next definition of confstr(3), which has this type.
    let next = unsafe {
        core::mem::transmute::<*const c_void, unsafe extern "C" fn(c_int, *mut c_char, usize) -> usize>(next)
    };
    // SAFETY: the caller's own arguments.
    unsafe { next(name, buffer, size) }
}

/// An interpreter is being started by the code at `caller`, if that is a CPython.
fn notice(caller: usize) -> Option<()> {
    let object = objects::find(|object| object.contains(caller).then_some(object))?;
    match memory::original() {
        // One CPython a process: state, table and callbacks know one API. A second one is left alone, and the first
        // needs nothing from us as long as its table goes through the early door.
        Some(known) if !object.contains(known as usize) || objects::inittab().is_some_and(early::is_wrapped) => {
            return None;
        }
        // The early door was there and was not taken: what was not wanted then is not wanted now, whatever the
        // program has done to its environment since.
        None if objects::inittab().is_some() => return None,
        _ => {}
    }
    if !arm::is_wanted() {
        return None;
    }
    let api = Api::of(object)?;
    if api.here() != Place::Main || api.inittab.is_some_and(early::is_wrapped) {
        return None;
    }
    memory::unlock()?;
    let mut state = memory::take_soon()?;
    if state.notes.python.is_some_and(|known| known.none != api.none) {
        return None;
    }
    state.notes.python = Some(api);
    state.notes.tries = 0;
    drop(state);
    let _ = api.inittab.and_then(early::wrap);
    ask_again(&api);
    Some(())
}

fn ask_again(api: &Api) {
    // SAFETY: callable from any thread, with the GIL and without (Doc/c-api/init.rst). It fails when the queue is full.
    let _ = unsafe { (api.add_pending_call)(called_back, core::ptr::null_mut()) };
}

/// A start takes some thousand turns of the evaluation loop until imports work; one that fails may never get there.
const TRIES: u32 = 1_000_000;

/// Called by the evaluation loop of the main thread, with the GIL held.
unsafe extern "C" fn called_back(_: *mut c_void) -> c_int {
    let Some(mut state) = memory::take_soon() else { return 0 };
    let Some(api) = state.notes.python else { return 0 };
    if state.notes.armed || state.notes.tries >= TRIES {
        return 0;
    }
    state.notes.tries = state.notes.tries.saturating_add(1);
    drop(state);
    // SAFETY: pending calls run with the GIL held.
    let posix = unsafe { Python::with(&api, posix_definition) };
    if posix.is_none() {
        ask_again(&api);
        return 0;
    }
    // SAFETY: as above.
    let _ = unsafe { arm::arm() };
    let _ = posix.flatten().and_then(|definition| posix_functions::stand_before(&api, definition));
    // From 3.12 on, this Python took its copy of the table before we could stand at its early door.
    if let (Some(_), Some(definition), Some(mut state)) = (api.own_gil, posix.flatten(), memory::take_soon()) {
        let _ = slots::add_to::<0>(&mut state, &api, definition);
    }
    0
}

/// What `posix` was made from, once it is imported.
fn posix_definition(python: Python) -> Option<Option<Raw>> {
    let posix = python.modules()?.get(&python.key(c"posix")?)?;
    Some(posix.module_definition())
}
