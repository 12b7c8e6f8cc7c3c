//! The early door: a CPython that is there when the program starts.
//!
//! `PyImport_Inittab` is the public table of built-in modules (Include/import.h, since 1.5). It is pointed at a copy
//! in which a module that every start imports is initialised through us: `posix` (imported by
//! `importlib._bootstrap_external`), and in 2.7, where `-S` does without `posix`, `zipimport` (by
//! `_PyImportHooks_Init`). The wrapper runs in the right thread, with the GIL, in each interpreter once.

use crate::arm;
use crate::endings::posix;
use crate::memory;
use crate::objects;
use crate::python::{Api, Place};
use crate::slots;
use crate::text::is_text;
use core::ffi::{CStr, c_char, c_void};

/// `PyInit_posix` and its like; in 2.7 it returns nothing, and what we pass on is not looked at.
pub type Init = unsafe extern "C" fn() -> *mut c_void;

/// `struct _inittab` (Include/import.h).
#[derive(Clone, Copy)]
#[repr(C)]
struct Entry {
    name: *const c_char,
    init: Option<Init>,
}

/// Room for the copy. CPython has some 70 built-in modules, a static build with all of the library 150.
const ENTRIES: usize = 1024;

/// Our copy of the table.
#[repr(C)]
pub struct Inittab {
    entries: [Entry; ENTRIES],
}

/// Stands at the door if the program, or a library it needs, is a CPython.
pub fn open() -> Option<()> {
    let variable = objects::inittab()?;
    if !arm::is_wanted() {
        return None;
    }
    memory::unlock()?;
    wrap(variable)
}

/// Points `variable` at a copy of its table with our wrapper in it.
pub fn wrap(variable: *mut *mut c_void) -> Option<()> {
    let entries = Table::at(variable)?;
    let named = |name: &CStr| entries.clone().position(|entry| entry.is_named(name));
    if entries.clone().any(|entry| entry.is_ours()) {
        return Some(());
    }
    let wrapped = named(if named(c"__builtin__").is_some() { c"zipimport" } else { c"posix" })?;
    let count = entries.clone().count();
    let mut state = memory::take_soon()?;
    // One table a process: a second Python's would take the copy away from under the first.
    if count >= ENTRIES
        || memory::original().is_some_and(|known| {
            entries
                .clone()
                .nth(wrapped)
                .is_none_or(|entry| entry.init.map(|init| init as usize) != Some(known as usize))
        })
    {
        return None;
    }
    let copy = memory::inittab(&mut state).cast::<Entry>();
    let mut original = None;
    let signal = named(c"_signal");
    for (index, mut entry) in entries.chain([Entry { name: core::ptr::null(), init: None }]).enumerate() {
        if index == wrapped {
            original = entry.init.replace(first_init);
        } else if Some(index) == signal
            && let Some(init) = entry.init.replace(signal_init)
        {
            memory::set_original_signal(init);
        }
        // SAFETY: within the `ENTRIES` of our table; the same entries as before where CPython reads it already.
        unsafe { copy.wrapping_add(index).write(entry) };
    }
    memory::set_original(original?);
    // SAFETY: CPython's own variable, which embedders are invited to change before initialisation; the copy lives
    // as long as the process.
    unsafe { variable.write(copy.cast()) };
    Some(())
}

/// Whether the table at `variable` goes through us.
pub fn is_wrapped(variable: *mut *mut c_void) -> bool {
    Table::at(variable).is_some_and(|mut entries| entries.any(|entry| entry.is_ours()))
}

/// What initialises the built-in module `name`; `None` where it is not built in, so that importing it would search.
pub fn initialiser(api: &Api, name: &CStr) -> Option<Init> {
    let mut entries = api.inittab.and_then(Table::at)?;
    entries.find(|entry| entry.is_named(name))?.init
}

/// The Python whose table we wrapped: the object that holds the original. Some fifty look-ups; asked once.
fn python() -> Option<Api> {
    let original = memory::original()? as usize;
    Api::of(objects::find(|object| object.contains(original).then_some(object))?)
}

impl Entry {
    fn is_ours(&self) -> bool {
        self.init.is_some_and(|init| init as usize == first_init as *const () as usize)
    }

    fn is_named(&self, name: &CStr) -> bool {
        // SAFETY: entries before the last have a name, a text that ends in NUL.
        !self.name.is_null() && unsafe { is_text(self.name, name) }
    }
}

/// The entries of a table, up to its end.
#[derive(Clone)]
struct Table(*const Entry);

impl Table {
    fn at(variable: *mut *mut c_void) -> Option<Self> {
        // SAFETY: `PyImport_Inittab` is a pointer to a table.
        let first = unsafe { variable.read() };
        (!first.is_null()).then_some(Table(first.cast()))
    }
}

impl Iterator for Table {
    type Item = Entry;
    fn next(&mut self) -> Option<Entry> {
        // SAFETY: a table ends with an entry without a name, after which we do not read.
        let entry = unsafe { self.0.read() };
        if entry.name.is_null() {
            return None;
        }
        self.0 = self.0.wrapping_add(1);
        Some(entry)
    }
}

/// What initialises that module now: the original, then us.
unsafe extern "C" fn first_init() -> *mut c_void {
    let Some(original) = memory::original() else { return core::ptr::null_mut() };
    // SAFETY: what the table held, called as the interpreter would have called it.
    let module = unsafe { original() };
    let _ = arrive(module);
    module
}

/// An interpreter is starting, and the GIL is held: it initialises a module.
fn arrive(module: *mut c_void) -> Option<()> {
    let mut state = memory::take_soon()?;
    if state.notes.python.is_none() {
        state.notes.python = python();
    }
    let api = state.notes.python?;
    if api.here() == Place::MainAmongOthers {
        return slots::add_to::<0>(&mut state, &api, module);
    }
    drop(state);
    // SAFETY: the GIL is held.
    unsafe { arm::arm() }?;
    posix::stand_before(&api, module)
}

/// What initialises `_signal` now: the original, then us.
unsafe extern "C" fn signal_init() -> *mut c_void {
    let Some(original) = memory::original_signal() else { return core::ptr::null_mut() };
    // SAFETY: what the table held, called as the interpreter would have called it.
    let module = unsafe { original() };
    let _ = signal_arrives(module);
    module
}

/// Up to 3.9 the module is ready now, and has noted which dispositions are the default; later it notes that in a slot.
fn signal_arrives(module: *mut c_void) -> Option<()> {
    let mut state = memory::take_soon()?;
    let api = state.notes.python?;
    if slots::add_to::<1>(&mut state, &api, module).is_some() || !api.is_module(module) {
        return None;
    }
    drop(state);
    arm::arm_signals(module)
}
