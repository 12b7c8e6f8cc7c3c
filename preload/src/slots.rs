//! Sub-interpreters of newer CPythons. From 3.13 on CPython runs a built-in module's initialiser in the main
//! interpreter, also when a sub-interpreter imports it (`import_run_extension` in Python/import.c,
//! `switch_to_main_interpreter`); only the module's exec slots (PEP 489) run where the import was. And from 3.12 on it
//! copies the table of built-in modules before the late door knows of it. So `posix` gets one slot more, ours.

use crate::arm;
use crate::memory::{self, Guard};
use crate::python::{Api, Definition, Raw};
use core::ffi::{c_int, c_void};

/// `PyModuleDef_Slot` (Include/moduleobject.h).
#[derive(Clone, Copy)]
#[repr(C)]
struct Slot {
    kind: c_int,
    value: *const c_void,
}

/// `Py_mod_exec`.
const EXEC: c_int = 2;
/// `posix` has three.
const ROOM: usize = 16;

/// Our copy of a definition's slots.
#[repr(C)]
pub struct Slots([Slot; ROOM]);

/// Adds our slot to `definition`, which an initialiser has returned.
///
/// `MODULE` is the place of its copy: 0 for `posix`, 1 for `_signal`.
pub fn add_to<const MODULE: usize>(state: &mut Guard, api: &Api, definition: Raw) -> Option<()> {
    let place = Definition::at(api, definition)?.slots();
    // SAFETY: a word of the definition.
    let slots = unsafe { place.read() }.cast::<Slot>();
    let ours = memory::slots::<MODULE>(state).cast::<Slot>();
    // SAFETY: the first of our slots; of kind 0 until they were used.
    if slots.is_null() || unsafe { ours.read() }.kind != 0 {
        return None;
    }
    let mut end = 0;
    // SAFETY: the slots end with one of kind 0, after which we do not read.
    while unsafe { slots.wrapping_add(end).read() }.kind != 0 {
        end = usize::saturating_add(end, 1);
    }
    if end >= ROOM.saturating_sub(1) {
        return None;
    }
    for index in 0..end {
        // SAFETY: one of those before the end.
        let slot = unsafe { slots.wrapping_add(index).read() };
        // SAFETY: within our slots, which nobody else knows of yet.
        unsafe { ours.wrapping_add(index).write(slot) };
    }
    // SAFETY: as above; the one after it is zero, the end.
    unsafe { ours.wrapping_add(end).write(Slot { kind: EXEC, value: ours_for::<MODULE>() }) };
    // SAFETY: a static, writable definition of CPython's own; a word, which other interpreters read whole, as it was or
    // as it is now; the copy, which begins with the same slots, lives as long as the process.
    unsafe { place.write(ours.cast()) };
    Some(())
}

fn ours_for<const MODULE: usize>() -> *const c_void {
    if MODULE == 0 { posix_is_there as *const c_void } else { signal_is_there as *const c_void }
}

/// Runs last of the module's slots, in the interpreter that imports it.
unsafe extern "C" fn posix_is_there(_: Raw) -> c_int {
    // SAFETY: an interpreter that executes a module holds its GIL.
    let _ = unsafe { arm::arm() };
    0
}

/// The same of `_signal`, which has noted by now which dispositions are the default.
unsafe extern "C" fn signal_is_there(module: Raw) -> c_int {
    let _ = arm::arm_signals(module);
    0
}
