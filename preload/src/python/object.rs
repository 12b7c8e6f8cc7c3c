//! Objects of a running interpreter, looked at without running a line of Python.

use super::api::{Api, Raw};
use core::ffi::{CStr, c_char};
use core::ops::{ControlFlow, Deref};
use core::ptr;
use customs_spec::json::overwrite;

/// An interpreter that this thread may touch: it holds the GIL, or on a free-threaded build an attached thread state.
#[derive(Clone, Copy)]
pub struct Python<'a> {
    api: &'a Api,
}

/// A borrowed object: alive as long as what it was taken from keeps it.
#[derive(Clone, Copy)]
pub struct Object<'a> {
    raw: Raw,
    api: &'a Api,
}

/// An object that we hold a reference to.
pub struct Owned<'a>(Object<'a>);

/// A `dict`. Keys that are not exactly `str` are passed over.
#[derive(Clone, Copy)]
pub struct Dict<'a>(Object<'a>);

/// The caller's error indicator, put aside and put back: rule 5.
struct Indicator<'a> {
    api: &'a Api,
    parts: [Raw; 3],
}

impl<'a> Indicator<'a> {
    fn set_aside(api: &'a Api) -> Self {
        let mut parts = [ptr::null_mut(); 3];
        let [kind, value, traceback] = &mut parts;
        // SAFETY: fetching writes three references, or nulls, that are ours until restored.
        unsafe { (api.error_fetch)(kind, value, traceback) };
        Indicator { api, parts }
    }
}

impl Drop for Indicator<'_> {
    fn drop(&mut self) {
        let [kind, value, traceback] = self.parts;
        // SAFETY: gives back the references that were fetched; whatever we caused meanwhile is dropped.
        unsafe { (self.api.error_restore)(kind, value, traceback) };
    }
}

impl<'a> Python<'a> {
    /// Works on the interpreter of this thread, with the error indicator put aside.
    ///
    /// # Safety
    /// This thread must hold the GIL (be attached) from before until after the call.
    pub unsafe fn with<T>(api: &'a Api, work: impl FnOnce(Python<'a>) -> T) -> T {
        let indicator = Indicator::set_aside(api);
        let answer = work(Python { api });
        drop(indicator);
        answer
    }

    /// The functions, for what has no wrapper here.
    pub fn api(self) -> &'a Api {
        self.api
    }

    fn borrowed(self, raw: Raw) -> Option<Object<'a>> {
        (!raw.is_null()).then_some(Object { raw, api: self.api })
    }

    /// An object that a function was called with.
    pub fn argument(self, raw: Raw) -> Option<Object<'a>> {
        self.borrowed(raw)
    }

    fn owned(self, raw: Raw) -> Option<Owned<'a>> {
        if raw.is_null() {
            // SAFETY: the GIL is held; the failed call left an error, which is not the program's.
            unsafe { (self.api.error_clear)() };
        }
        self.borrowed(raw).map(Owned)
    }

    /// `sys.modules` of this interpreter.
    pub fn modules(self) -> Option<Dict<'a>> {
        // SAFETY: the GIL is held; a borrowed reference that the interpreter keeps.
        let raw = unsafe { (self.api.module_dict)() };
        self.borrowed(raw).and_then(Object::as_dict)
    }

    /// An attribute of `sys`, straight from its dict.
    pub fn sys(self, name: &CStr) -> Option<Object<'a>> {
        // SAFETY: the GIL is held; a borrowed reference that `sys` keeps.
        self.borrowed(unsafe { (self.api.sys_get)(name.as_ptr()) })
    }

    /// Sets an attribute of `sys`.
    pub fn set_sys(self, name: &CStr, value: &Owned<'a>) -> Option<()> {
        // SAFETY: the GIL is held; the dict takes a reference of its own.
        let answer = unsafe { (self.api.sys_set)(name.as_ptr(), value.raw) };
        (answer == 0).then_some(())
    }

    /// Visits every interpreter but the main one, which must be this thread's: interpreters that are alive when
    /// the main one ends, and so never call us at an end of their own.
    ///
    /// Only where one GIL serves all. From 3.12 on, swapping thread states gives the GIL away and takes the other
    /// interpreter's, which may mean to wait.
    pub fn each_other_interpreter(self, mut visit: impl FnMut(Python<'a>)) {
        let api = self.api;
        if api.own_gil.is_some() {
            return;
        }
        // SAFETY: the GIL is held, so no interpreter comes or goes.
        let mut interpreter = unsafe { (api.interpreter_head)() };
        while !interpreter.is_null() {
            // SAFETY: as above, with a member of the list.
            let next = unsafe { (api.interpreter_next)(interpreter) };
            // The list begins with the youngest; the main interpreter is its end.
            if !next.is_null() {
                self.inside(interpreter, &mut visit);
            }
            interpreter = next;
        }
    }

    /// Visits `interpreter` with a thread state made for it, as CPython's own `_xxsubinterpreters` does.
    fn inside(self, interpreter: *mut core::ffi::c_void, visit: &mut impl FnMut(Python<'a>)) {
        let api = self.api;
        // SAFETY: a live interpreter; the GIL is held.
        let visitor = unsafe { (api.thread_new)(interpreter) };
        if visitor.is_null() {
            return;
        }
        // SAFETY: a fresh thread state of an interpreter under the GIL that this thread holds.
        let own = unsafe { (api.thread_swap)(visitor) };
        // SAFETY: this thread is in that interpreter now, with the GIL.
        unsafe { Python::with(api, visit) };
        // SAFETY: the current thread state, ours.
        unsafe { (api.thread_clear)(visitor) };
        // SAFETY: back to where we came from.
        unsafe { (api.thread_swap)(own) };
        // SAFETY: ours, cleared, and not current any more.
        unsafe { (api.thread_delete)(visitor) };
    }

    /// An interned `str`, to look things up by.
    pub fn key(self, text: &CStr) -> Option<Owned<'a>> {
        let intern = self.api.unicode_intern.or(self.api.string_intern)?;
        // SAFETY: the GIL is held; a new reference.
        self.owned(unsafe { intern(text.as_ptr()) })
    }

    /// Imports a module. Only for modules that are built in: nothing is searched for.
    pub fn import_builtin(self, name: &CStr) -> Option<Owned<'a>> {
        // SAFETY: the GIL is held; a new reference.
        self.owned(unsafe { (self.api.import_module)(name.as_ptr()) })
    }

    /// A callable that calls `method`.
    ///
    /// # Safety
    /// `method` must stay where it is until the interpreter is gone.
    pub unsafe fn function(self, method: *mut super::MethodDef) -> Option<Owned<'a>> {
        // SAFETY: the GIL is held; a new reference; the caller keeps `method` alive.
        self.owned(unsafe { (self.api.function_new)(method, ptr::null_mut(), ptr::null_mut()) })
    }

    /// Calls `callable(argument)`.
    pub fn call(self, callable: Object<'a>, argument: &Owned<'a>) -> Option<Owned<'a>> {
        let end: Raw = ptr::null_mut();
        // SAFETY: the GIL is held; the variadic arguments are objects and end with a null pointer.
        self.owned(unsafe { (self.api.call)(callable.raw, argument.raw, end) })
    }
}

impl<'a> Object<'a> {
    fn type_of(self) -> Raw {
        let place = self.raw.wrapping_byte_add(self.api.type_offset).cast::<Raw>();
        // SAFETY: the object is alive, and `type_offset` was measured.
        unsafe { place.read() }
    }

    fn is_a(self, kind: Raw) -> bool {
        let own = self.type_of();
        // SAFETY: both are types. `PyType_IsSubtype` walks the MRO and calls nothing (Objects/typeobject.c).
        own == kind || unsafe { (self.api.type_is_subtype)(own, kind) != 0 }
    }

    /// Its address.
    pub fn raw(self) -> Raw {
        self.raw
    }

    fn python(self) -> Python<'a> {
        Python { api: self.api }
    }

    /// Whether it is `None`.
    pub fn is_none(self) -> bool {
        self.raw == self.api.none
    }

    /// Whether it is exactly a `str` (in 2.7, the bytes that names are).
    fn is_text(self) -> bool {
        self.type_of() == self.api.text_type
    }

    /// Its bytes as UTF-8, if it is exactly a `str`. A text that is not ASCII gets its UTF-8 form cached by CPython.
    pub fn text(self) -> Option<&'a [u8]> {
        if !self.is_text() {
            return None;
        }
        let mut start: *mut c_char = ptr::null_mut();
        let mut length = 0;
        if let Some(parts) = self.api.string_parts {
            // SAFETY: an exact `str` of Python 2; the bytes live as long as it does.
            if unsafe { parts(self.raw, &raw mut start, &raw mut length) } != 0 {
                start = ptr::null_mut();
            }
        } else if let Some(utf8) = self.api.unicode_utf8 {
            // SAFETY: an exact `str`; the bytes live as long as it does.
            start = unsafe { utf8(self.raw, &raw mut length) }.cast_mut();
        }
        if start.is_null() {
            // SAFETY: the GIL is held. A lone surrogate is no UTF-8, and the attempt set an error.
            unsafe { (self.api.error_clear)() };
            return None;
        }
        // SAFETY: CPython says that `length` bytes lie there.
        Some(unsafe { core::slice::from_raw_parts(start.cast(), length.max(0) as usize) })
    }

    /// Copies a path into `space`, also one that is not UTF-8 (PEP 383); what fits of it.
    pub fn path(self, space: &mut [u8]) -> &[u8] {
        if let Some(text) = self.text() {
            return copy(text, space);
        }
        let (Some(encode), true) = (self.api.unicode_fs, self.is_text()) else { return b"" };
        // SAFETY: the GIL is held, the object is a `str`; a new reference to a `bytes`.
        let Some(bytes) = self.python().owned(unsafe { encode(self.raw) }) else { return b"" };
        copy(bytes.bytes().unwrap_or_default(), space)
    }

    /// Whether it is an `int`.
    pub fn is_int(self) -> bool {
        self.api.int_type.is_some_and(|int| self.is_a(int))
    }

    /// Copies it into `space`, if it is a path: a `str` or `bytes`.
    pub fn path_or_bytes(self, space: &mut [u8]) -> &[u8] {
        match self.api.bytes_type {
            Some(bytes) if self.is_a(bytes) => copy(self.bytes().unwrap_or_default(), space),
            _ => self.path(space),
        }
    }

    /// What a `bytes` object holds.
    fn bytes(self) -> Option<&'a [u8]> {
        let (mut start, mut length) = (ptr::null_mut(), 0);
        // SAFETY: a `bytes` object; its content lives as long as it does.
        if unsafe { self.api.bytes_parts?(self.raw, &raw mut start, &raw mut length) } != 0 || start.is_null() {
            return None;
        }
        // SAFETY: CPython says that `length` bytes lie there.
        Some(unsafe { core::slice::from_raw_parts(start.cast(), length.max(0) as usize) })
    }

    fn as_dict(self) -> Option<Dict<'a>> {
        self.is_a(self.api.dict_type).then_some(Dict(self))
    }

    /// Its `__dict__`, if it is a module or of a class derived from module: read from the object, so that no
    /// `__getattribute__` of a lazy module is called.
    pub fn module_dict(self) -> Option<Dict<'a>> {
        if !self.is_a(self.api.module_type) {
            return None;
        }
        // SAFETY: a module; a borrowed reference that it keeps.
        self.python().borrowed(unsafe { (self.api.module_get_dict)(self.raw) }).and_then(Object::as_dict)
    }

    /// The definition it was made from, if it is a module of C's.
    pub fn module_definition(self) -> Option<Raw> {
        let get = self.api.module_get_def.filter(|_| self.is_a(self.api.module_type))?;
        // SAFETY: a module; the definition is borrowed, and static in CPython's own modules.
        let definition = unsafe { get(self.raw) };
        (!definition.is_null()).then_some(definition)
    }

    /// Calls `see` with the name of the module that it is or says it comes from, if it is a module, a function, a
    /// built-in function or a class. `keys` are `__name__` and `__module__`.
    pub fn origin(self, keys: (&Owned<'a>, &Owned<'a>), mut see: impl FnMut(&[u8])) {
        let (name, module) = keys;
        let mut see_text = |object: Option<Object<'a>>| {
            if let Some(text) = object.and_then(Object::text) {
                see(text);
            }
        };
        let kind = self.type_of();
        if self.is_text() || self.is_none() {
            // Most of what modules bind that is none of the four.
            return;
        }
        // A look-up calls the `__eq__` of a key that hashes alike, and that may drop what is looked at.
        let _kept = self.keep();
        if kind == self.api.function_type {
            // SAFETY: a function; a borrowed reference or null.
            see_text(self.python().borrowed(unsafe { (self.api.function_get_module)(self.raw) }));
        } else if kind == self.api.builtin_function_type {
            see_text(self.builtin_module());
        } else if let Some(dict) = self.module_dict() {
            see_text(dict.get(name).as_deref().copied());
        } else if self.is_a(self.api.type_type) {
            see_text(self.class_dict().and_then(|dict| dict.get(module)).as_deref().copied());
        }
    }

    /// `m_module` of a built-in function: `ob_base`, `m_ml`, `m_self`, `m_module` (Include/cpython/methodobject.h,
    /// the same order since 2.3).
    fn builtin_module(self) -> Option<Object<'a>> {
        let place = self.raw.wrapping_byte_add(self.api.type_offset).cast::<Raw>().wrapping_add(3);
        // SAFETY: the object is exactly a `PyCFunction`, whose fourth word from `ob_type` on this is.
        self.python().borrowed(unsafe { place.read() })
    }

    /// The `__dict__` of a class.
    fn class_dict(self) -> Option<Owned<'a>> {
        /// Words from `ob_type` to `tp_dict` (Include/cpython/object.h); measured on 2.7 and 3.6 to 3.12.
        const TP_DICT: usize = 32;
        if let Some(get) = self.api.type_get_dict {
            // SAFETY: a class; a new reference.
            return self.python().owned(unsafe { get(self.raw) });
        }
        let place = self.raw.wrapping_byte_add(self.api.type_offset).cast::<Raw>().wrapping_add(TP_DICT);
        // SAFETY: a type object of a release before 3.12, in which `tp_dict` lies there.
        let dict = self.python().borrowed(unsafe { place.read() })?;
        Some(dict.keep())
    }

    /// An instance's `__dict__`, without asking its class.
    pub fn instance_dict(self) -> Option<Owned<'a>> {
        // SAFETY: the GIL is held; a new reference, or an error where instances have none.
        self.python().owned(unsafe { self.api.instance_dict?(self.raw, ptr::null_mut()) })
    }

    /// Its first item, if it is a list.
    pub fn first(self) -> Option<Owned<'a>> {
        self.item(0)
    }

    /// One of its items, if it is a list.
    pub fn item(self, index: isize) -> Option<Owned<'a>> {
        // SAFETY: the GIL is held; borrowed, or an error for what is no list or shorter.
        let item = unsafe { self.api.list_get?(self.raw, index) };
        match self.python().borrowed(item) {
            Some(item) => Some(item.keep()),
            None => self.python().owned(item),
        }
    }

    /// A reference of our own, so that it stays.
    pub fn keep(self) -> Owned<'a> {
        // SAFETY: the GIL is held and the object alive.
        unsafe { (self.api.increment)(self.raw) };
        Owned(self)
    }

    /// Whether the set `self` holds `member`, if it is a set.
    pub fn set_has(self, member: Object<'a>) -> Option<bool> {
        // SAFETY: the GIL is held. `PySet_Contains` hashes a `str` and compares with `str`s.
        let answer = unsafe { self.api.set_contains?(self.raw, member.raw) };
        if answer < 0 {
            // SAFETY: the GIL is held; the failed call left an error.
            unsafe { (self.api.error_clear)() };
        }
        (answer >= 0).then_some(answer > 0)
    }
}

fn copy<'s>(bytes: &[u8], space: &'s mut [u8]) -> &'s [u8] {
    let length = overwrite(space, bytes);
    space.get(..length).unwrap_or_default()
}

impl<'a> Deref for Owned<'a> {
    type Target = Object<'a>;
    fn deref(&self) -> &Object<'a> {
        &self.0
    }
}

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and a `Python` lives at least as long.
        unsafe { (self.0.api.decrement)(self.0.raw) };
    }
}

impl<'a> Owned<'a> {
    /// The value of `key`, if this is a dict.
    pub fn get(&self, key: &Owned<'a>) -> Option<Owned<'a>> {
        self.as_dict()?.get(key)
    }
}

impl<'a> Dict<'a> {
    /// The value of `key`.
    pub fn get(self, key: &Owned<'a>) -> Option<Owned<'a>> {
        let python = self.0.python();
        if let Some(get) = self.0.api.dict_get_ref {
            let mut value = ptr::null_mut();
            // SAFETY: a dict and a `str`; writes a new reference or null. Locks the dict where there is no GIL.
            unsafe { get(self.0.raw, key.raw, &raw mut value) };
            return python.owned(value);
        }
        // SAFETY: a dict and a `str`; a borrowed reference, taken hold of before anything else runs.
        let value = unsafe { (self.0.api.dict_get)(self.0.raw, key.raw) };
        python.borrowed(value).map(Object::keep)
    }

    /// Its address.
    pub fn raw(self) -> Raw {
        self.0.raw
    }

    /// How many entries it has.
    pub fn size(self) -> isize {
        // SAFETY: a dict.
        unsafe { (self.0.api.dict_size)(self.0.raw) }
    }

    /// Calls `visit` with every entry that came since `position` was set, and with a few older ones. Entries keep the
    /// order they came in (3.6 and later), and move forward when others are removed: at most to where they would be if
    /// there had been no others. Where there is no GIL this is done inside a critical section, and `visit` may not do
    /// anything that gives that up.
    pub fn each_since(self, position: &mut isize, mut visit: impl FnMut(Object<'a>, Object<'a>)) {
        /// Entries that may be removed between two calls.
        const MARGIN: isize = 4;
        let (python, api) = (self.0.python(), self.0.api);
        let mut section = [0; 4];
        let lock = api.section_begin.zip(api.section_end).filter(|_| api.free_threaded.is_some());
        match lock {
            // SAFETY: a dict, and room for the section until it ends.
            Some((begin, _)) => unsafe { begin(&raw mut section, self.0.raw) },
            None if api.free_threaded.is_some() => return,
            None => {}
        }
        let (mut key, mut value) = (ptr::null_mut(), ptr::null_mut());
        let mut place = position.saturating_sub(MARGIN).max(0);
        // SAFETY: a dict, which nobody changes meanwhile: the GIL or the dict's lock is held, and nothing is called that
        // gives it away.
        while unsafe { (api.dict_next)(self.0.raw, &raw mut place, &raw mut key, &raw mut value) } != 0 {
            if let (Some(key), Some(value)) = (python.borrowed(key), python.borrowed(value)) {
                visit(key, value);
            }
        }
        *position = self.size();
        if let Some((_, end)) = lock {
            // SAFETY: the section that was begun.
            unsafe { end(&raw mut section) };
        }
    }

    /// Calls `visit` with every entry, which is borrowed: who looks things up meanwhile keeps it first, because a
    /// look-up can call the `__eq__` of a key that hashes alike. Where there is no GIL a copy is walked, which CPython
    /// makes inside a critical section (`PyDict_Copy`).
    pub fn each(self, mut visit: impl FnMut(Object<'a>, Object<'a>) -> ControlFlow<()>) {
        let python = self.0.python();
        let copy = match self.0.api.free_threaded {
            // SAFETY: a dict; a new reference.
            Some(_) => match python.owned(unsafe { (self.0.api.dict_copy)(self.0.raw) }) {
                None => return,
                copy => copy,
            },
            None => None,
        };
        let dict = copy.as_deref().unwrap_or(&self.0).raw;
        let (mut position, mut key, mut value) = (0, ptr::null_mut(), ptr::null_mut());
        // SAFETY: a dict that does not change while it is walked: see above.
        while unsafe { (self.0.api.dict_next)(dict, &raw mut position, &raw mut key, &raw mut value) } != 0 {
            let (Some(key), Some(value)) = (python.borrowed(key), python.borrowed(value)) else { continue };
            if visit(key, value).is_break() {
                break;
            }
        }
    }
}
