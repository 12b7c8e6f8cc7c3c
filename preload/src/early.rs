//! The early door: a CPython that is there when the program starts.
//!
//! `PyImport_Inittab` is the public table of built-in modules (Include/import.h, since 1.5). It is pointed at a copy
//! in which a module that every start imports is initialised through us: `posix` (imported by
//! `importlib._bootstrap_external`), and in 2.7, where `-S` does without `posix`, `zipimport` (by
//! `_PyImportHooks_Init`). The wrapper runs in the right thread, with the GIL, in each interpreter once.

use crate::arm;
use crate::memory;
use crate::objects;
use crate::python::{Api, Place};
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
const ENTRIES: usize = 512;

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
    let mut entries = Table::at(variable)?;
    let mut state = memory::take()?;
    let copy = &mut state.inittab.entries;
    let (mut posix, mut zipimport, mut is_2) = (None, None, false);
    let mut end: usize = 0;
    for (index, place) in copy.iter_mut().enumerate() {
        let Some(entry) = entries.next() else { break };
        if entry.is_ours() {
            return Some(());
        }
        *place = entry;
        match entry.name() {
            b"posix" => posix = posix.or(Some(index)),
            b"zipimport" => zipimport = zipimport.or(Some(index)),
            b"__builtin__" => is_2 = true,
            _ => {}
        }
        end = index.saturating_add(1);
    }
    // The copy needs its end, too; a table that does not fit is left alone.
    *copy.get_mut(end)? = Entry { name: core::ptr::null(), init: None };
    if entries.next().is_some() {
        return None;
    }
    let wrapped = copy.get_mut(if is_2 { zipimport } else { posix }?)?;
    let original = wrapped.init.replace(first_init);
    memory::set_original(original?);
    let copy = copy.as_mut_ptr().cast();
    // SAFETY: CPython's own variable, which embedders are invited to change before initialisation; the copy lives
    // as long as the process, and at this time no other thread imports.
    unsafe { variable.write(copy) };
    Some(())
}

/// Whether the table at `variable` goes through us.
pub fn is_wrapped(variable: *mut *mut c_void) -> bool {
    Table::at(variable).is_some_and(|mut entries| entries.any(|entry| entry.is_ours()))
}

/// Whether `name` is a built-in module, so that importing it searches for nothing.
pub fn is_builtin(api: &Api, name: &CStr) -> bool {
    api.inittab.and_then(Table::at).is_some_and(|mut entries| entries.any(|entry| entry.name() == name.to_bytes()))
}

/// The Python whose table we wrapped: the object that holds the original.
pub fn python() -> Option<Api> {
    let original = memory::original()? as *const () as usize;
    objects::find(|object| if object.contains(original) { Api::of(object) } else { None })
}

impl Entry {
    fn is_ours(&self) -> bool {
        self.init.is_some_and(|init| init as usize == first_init as *const () as usize)
    }

    fn name(&self) -> &[u8] {
        if self.name.is_null() {
            return b"";
        }
        // SAFETY: entries before the last have a name, a text that ends in NUL.
        unsafe { CStr::from_ptr(self.name) }.to_bytes()
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
    let api = memory::take()?.notes.python.or_else(python)?;
    if api.here() == Place::MainAmongOthers {
        return memory::take()?.slots.add_to(&api, module);
    }
    // SAFETY: the GIL is held.
    unsafe { arm::arm() }
}
