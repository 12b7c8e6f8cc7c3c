//! The C API found in this process. It is looked up by name: whether a function is there decides, a version number
//! is never compared. Signatures are those of the stable ABI (`Doc/data/stable_abi.dat` of CPython 3.13) unless a
//! line says otherwise.

use crate::objects;
use core::ffi::{CStr, c_char, c_int, c_void};

/// A `PyObject *`, which may be null.
pub type Raw = *mut c_void;

/// `PyMethodDef` (Include/methodobject.h), the same since 2.0.
#[repr(C)]
pub struct MethodDef {
    pub name: *const c_char,
    pub method: Option<Callback>,
    pub flags: c_int,
    pub doc: *const c_char,
}

/// Room for a `PyCriticalSection` (Include/cpython/critical_section.h), which has two words.
pub type Section = [usize; 4];

/// A `PyCFunction` (Include/methodobject.h).
pub type Callback = unsafe extern "C" fn(Raw, Raw) -> Raw;

macro_rules! api {
    (
        required { $($(#[$doc:meta])* $name:ident = $symbol:literal : $type:ty;)* }
        optional { $($(#[$maybe_doc:meta])* $maybe:ident = $maybe_symbol:literal : $maybe_type:ty;)* }
    ) => {
        /// The functions and types of one CPython.
        #[derive(Clone, Copy)]
        pub struct Api {
            /// Offset of `ob_type` in an object: 8; 24 in free-threaded and in `Py_TRACE_REFS` builds.
            pub type_offset: usize,
            /// The type of names: `str`, in 2.7 that of bytes.
            pub text_type: Raw,
            $($(#[$doc])* pub $name: $type,)*
            $($(#[$maybe_doc])* pub $maybe: Option<$maybe_type>,)*
        }

        impl Api {
            /// The API that `object` defines. `None` when it is not a CPython, or one too odd to be touched.
            #[allow(clippy::useless_transmute, reason = "what is only asked after stays a plain address")]
            pub fn of(object: objects::Object) -> Option<Self> {
                // A program that names a variable of libpython's has a copy of it (R_*_COPY), which everybody uses.
                let copies = objects::program()
                    .and_then(|program| program.symbols())
                    .filter(|symbols| symbols.address(c"Py_GetVersion").is_none());
                let symbols = object.symbols()?;
                let symbol = |name| copies.and_then(|copies| copies.address(name)).or_else(|| symbols.address(name));
                let mut api = Api {
                    type_offset: 0,
                    text_type: core::ptr::null_mut(),
                    $($name: {
                        let address = symbol($symbol)?;
                        // SAFETY: CPython defines the symbol with this type in every release that has it.
                        unsafe { core::mem::transmute::<*const c_void, $type>(address) }
                    },)*
                    $($maybe: symbol($maybe_symbol).map(|address| {
                        // SAFETY: CPython defines the symbol with this type in every release that has it.
                        unsafe { core::mem::transmute::<*const c_void, $maybe_type>(address) }
                    }),)*
                };
                api.type_offset = type_offset(api.dict_type, api.type_type)?;
                api.text_type = api.string_type.or(api.unicode_type)?;
                Some(api)
            }
        }
    };
}

api! {
    required {
        get_version = c"Py_GetVersion": unsafe extern "C" fn() -> *const c_char;
        add_pending_call = c"Py_AddPendingCall":
            unsafe extern "C" fn(unsafe extern "C" fn(*mut c_void) -> c_int, *mut c_void) -> c_int;
        is_initialized = c"Py_IsInitialized": unsafe extern "C" fn() -> c_int;
        module_dict = c"PyImport_GetModuleDict": unsafe extern "C" fn() -> Raw;
        import_module = c"PyImport_ImportModule": unsafe extern "C" fn(*const c_char) -> Raw;
        sys_get = c"PySys_GetObject": unsafe extern "C" fn(*const c_char) -> Raw;
        sys_set = c"PySys_SetObject": unsafe extern "C" fn(*const c_char, Raw) -> c_int;
        dict_next = c"PyDict_Next": unsafe extern "C" fn(Raw, *mut isize, *mut Raw, *mut Raw) -> c_int;
        dict_size = c"PyDict_Size": unsafe extern "C" fn(Raw) -> isize;
        dict_get = c"PyDict_GetItem": unsafe extern "C" fn(Raw, Raw) -> Raw;
        dict_copy = c"PyDict_Copy": unsafe extern "C" fn(Raw) -> Raw;
        module_get_dict = c"PyModule_GetDict": unsafe extern "C" fn(Raw) -> Raw;
        function_get_module = c"PyFunction_GetModule": unsafe extern "C" fn(Raw) -> Raw;
        type_is_subtype = c"PyType_IsSubtype": unsafe extern "C" fn(Raw, Raw) -> c_int;
        function_new = c"PyCFunction_NewEx": unsafe extern "C" fn(*mut MethodDef, Raw, Raw) -> Raw;
        call = c"PyObject_CallFunctionObjArgs": unsafe extern "C" fn(Raw, ...) -> Raw;
        increment = c"Py_IncRef": unsafe extern "C" fn(Raw);
        decrement = c"Py_DecRef": unsafe extern "C" fn(Raw);
        error_fetch = c"PyErr_Fetch": unsafe extern "C" fn(*mut Raw, *mut Raw, *mut Raw);
        error_restore = c"PyErr_Restore": unsafe extern "C" fn(Raw, Raw, Raw);
        error_clear = c"PyErr_Clear": unsafe extern "C" fn();
        interpreter_head = c"PyInterpreterState_Head": unsafe extern "C" fn() -> *mut c_void;
        interpreter_next = c"PyInterpreterState_Next": unsafe extern "C" fn(*mut c_void) -> *mut c_void;
        thread_new = c"PyThreadState_New": unsafe extern "C" fn(*mut c_void) -> *mut c_void;
        thread_swap = c"PyThreadState_Swap": unsafe extern "C" fn(*mut c_void) -> *mut c_void;
        thread_clear = c"PyThreadState_Clear": unsafe extern "C" fn(*mut c_void);
        thread_delete = c"PyThreadState_Delete": unsafe extern "C" fn(*mut c_void);
        none = c"_Py_NoneStruct": Raw;
        type_type = c"PyType_Type": Raw;
        dict_type = c"PyDict_Type": Raw;
        module_type = c"PyModule_Type": Raw;
        function_type = c"PyFunction_Type": Raw;
        builtin_function_type = c"PyCFunction_Type": Raw;
    }
    optional {
        /// The variable, as this object sees it.
        inittab = c"PyImport_Inittab": *mut *mut c_void;
        /// Since 3.0.
        unicode_type = c"PyUnicode_Type": Raw;
        /// Since 3.3.
        unicode_utf8 = c"PyUnicode_AsUTF8AndSize": unsafe extern "C" fn(Raw, *mut isize) -> *const c_char;
        /// Since 3.2: the bytes of a path that is not UTF-8.
        unicode_fs = c"PyUnicode_EncodeFSDefault": unsafe extern "C" fn(Raw) -> Raw;
        /// Since 3.0.
        bytes_parts = c"PyBytes_AsStringAndSize":
            unsafe extern "C" fn(Raw, *mut *mut c_char, *mut isize) -> c_int;
        /// 2.2 and later.
        int_type = c"PyLong_Type": Raw;
        /// Since 3.0.
        bytes_type = c"PyBytes_Type": Raw;
        /// Since 3.0.
        unicode_intern = c"PyUnicode_InternFromString": unsafe extern "C" fn(*const c_char) -> Raw;
        /// Until 2.7.
        string_type = c"PyString_Type": Raw;
        /// Until 2.7.
        string_parts = c"PyString_AsStringAndSize":
            unsafe extern "C" fn(Raw, *mut *mut c_char, *mut isize) -> c_int;
        /// Until 2.7.
        string_intern = c"PyString_InternFromString": unsafe extern "C" fn(*const c_char) -> Raw;
        /// Since 3.13: a new reference, which a free-threaded build needs.
        dict_get_ref = c"PyDict_GetItemRef": unsafe extern "C" fn(Raw, Raw, *mut Raw) -> c_int;
        /// Since 3.12 (not in the stable ABI): a new reference.
        type_get_dict = c"PyType_GetDict": unsafe extern "C" fn(Raw) -> Raw;
        /// Since 3.9.
        interpreter_get = c"PyInterpreterState_Get": unsafe extern "C" fn() -> *mut c_void;
        /// Since 3.7.
        interpreter_main = c"PyInterpreterState_Main": unsafe extern "C" fn() -> *mut c_void;
        /// Since 3.0: borrowed, null for what has none.
        module_get_def = c"PyModule_GetDef": unsafe extern "C" fn(Raw) -> Raw;
        /// Since 3.5.
        module_def_type = c"PyModuleDef_Type": Raw;
        /// Since 3.3: an instance's `__dict__`, a new reference.
        instance_dict = c"PyObject_GenericGetDict": unsafe extern "C" fn(Raw, *mut c_void) -> Raw;
        /// 2.5 and later: borrowed, with an error for what is no list.
        list_get = c"PyList_GetItem": unsafe extern "C" fn(Raw, isize) -> Raw;
        /// 2.5 and later; `frozenset` and `set`.
        set_contains = c"PySet_Contains": unsafe extern "C" fn(Raw, Raw) -> c_int;
        /// Since 2.3: what `PyGILState_Ensure` made, or the thread that initialised Python.
        own_thread = c"PyGILState_GetThisThreadState": unsafe extern "C" fn() -> *mut c_void;
        /// Since 3.5.2 (not in the stable ABI): the thread state that holds the GIL, from 3.12 on this thread's.
        current_thread = c"_PyThreadState_UncheckedGet": unsafe extern "C" fn() -> *mut c_void;
        /// The same, under its public name: since 3.13.
        current_thread_unchecked = c"PyThreadState_GetUnchecked": unsafe extern "C" fn() -> *mut c_void;
        /// Since 3.12: from then on interpreters may have a GIL each.
        own_gil = c"Py_NewInterpreterFromConfig": *const c_void;
        /// Since 3.13 (not in the stable ABI): locks an object where there is no GIL. The first is a `PyCriticalSection`.
        section_begin = c"PyCriticalSection_Begin": unsafe extern "C" fn(*mut Section, Raw);
        /// Unlocks it.
        section_end = c"PyCriticalSection_End": unsafe extern "C" fn(*mut Section);
        /// In free-threaded builds only (Objects/object.c).
        free_threaded = c"_Py_MergeZeroLocalRefcount": *const c_void;
    }
}

/// Where an object keeps its type, measured on an object whose type is known: `type(dict) is type`.
fn type_offset(dict_type: Raw, type_type: Raw) -> Option<usize> {
    [8_usize, 24].into_iter().find(|offset| {
        let place = dict_type.wrapping_byte_add(*offset).cast::<Raw>();
        // SAFETY: a type object is some hundred bytes long.
        unsafe { place.read() == type_type }
    })
}

impl Api {
    /// The version, `Py_GetVersion()` up to its first space.
    pub fn version(&self) -> &'static [u8] {
        // SAFETY: callable at any time, also before `Py_Initialize` (Doc/c-api/init.rst).
        let text = unsafe { (self.get_version)() };
        if text.is_null() {
            return b"";
        }
        // SAFETY: a static text of CPython's that ends in NUL.
        let text = unsafe { CStr::from_ptr(text) }.to_bytes();
        text.split(|byte| *byte == b' ').next().unwrap_or_default()
    }

    /// Whether `object` is a module, and not the definition of one.
    pub fn is_module(&self, object: Raw) -> bool {
        let place = object.wrapping_byte_add(self.type_offset).cast::<Raw>();
        // SAFETY: an object, if not null.
        !object.is_null() && unsafe { place.read() } == self.module_type
    }

    /// Whether there is a main interpreter that is not being finalised.
    pub fn is_initialized(&self) -> bool {
        // SAFETY: callable at any time, from any thread (Doc/c-api/init.rst).
        unsafe { (self.is_initialized)() != 0 }
    }

    /// Whether this thread is in the main interpreter, and that is not being finalised: then half of its modules are
    /// gone. The GIL must be held.
    pub fn is_in_living_main(&self) -> bool {
        self.is_initialized() && self.here() != Place::Other
    }

    /// Whether this thread holds the GIL (is attached). `PyGILState_Check` would say so of every thread once there are
    /// sub-interpreters.
    pub fn is_held(&self) -> bool {
        let (Some(own), Some(current)) = (self.own_thread, self.current_thread.or(self.current_thread_unchecked))
        else {
            return false;
        };
        // SAFETY: reads a thread-local value.
        let own = unsafe { own() };
        // SAFETY: reads a word of the runtime's, or of this thread's.
        !own.is_null() && own == unsafe { current() }
    }

    /// Whose interpreter this thread is in. The GIL must be held.
    pub fn here(&self) -> Place {
        // SAFETY: a word of the runtime's. New interpreters come first in the list.
        let head = unsafe { (self.interpreter_head)() };
        let main = match self.interpreter_main {
            // SAFETY: a word of the runtime's, there before the first interpreter is.
            Some(main) => unsafe { main() },
            None => self.last_interpreter(head),
        };
        match self.interpreter_get {
            _ if head == main => Place::Main,
            // SAFETY: the caller holds the GIL, so there is a thread state.
            Some(get) if unsafe { get() } == main => Place::MainAmongOthers,
            _ => Place::Other,
        }
    }

    /// The end of the list, where the main interpreter is. Only before 3.7: later ones come and go in threads with a
    /// GIL of their own, and the list may not be walked.
    fn last_interpreter(&self, mut interpreter: *mut c_void) -> *mut c_void {
        while !interpreter.is_null() {
            // SAFETY: a member of a list that changes only under the GIL, which is held.
            let next = unsafe { (self.interpreter_next)(interpreter) };
            if next.is_null() {
                break;
            }
            interpreter = next;
        }
        interpreter
    }
}

/// Where a thread is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the main interpreter, the only one.
    Main,
    /// In the main interpreter, and there are others.
    MainAmongOthers,
    /// In another.
    Other,
}
