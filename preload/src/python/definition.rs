//! `PyModuleDef` (Include/moduleobject.h): what a module written in C is made from, since 3.5 (PEP 489).

use super::api::{Api, MethodDef, Raw};
use super::object::Python;
use crate::text::is_text;
use core::ffi::{CStr, c_int, c_void};

/// Words from `ob_type` on, measured on 3.6 to 3.13 and 3.13t: `m_init`, `m_index` and `m_copy` come first.
const M_SIZE: usize = 6;
const M_METHODS: usize = 7;
const M_SLOTS: usize = 8;

/// The static definition of a module.
pub struct Definition {
    words: *mut Raw,
}

impl Definition {
    /// What an initialiser has returned, if it is a definition, or that of a module.
    pub fn at(api: &Api, raw: Raw) -> Option<Self> {
        // Before there was such a thing an initialiser returned nothing, and `raw` is no address.
        let definitions = api.module_def_type?;
        if raw.is_null() {
            return None;
        }
        let words = raw.wrapping_byte_add(api.type_offset).cast::<Raw>();
        // SAFETY: an object.
        let kind = unsafe { words.read() };
        if kind == api.module_type {
            // SAFETY: a module; borrowed, null for what was not written in C.
            return Definition::at(api, unsafe { api.module_get_def?(raw) });
        }
        (kind == definitions).then_some(Definition { words })
    }

    /// Whether a module made from it has memory of its own. Where it has none, its functions cannot look into it.
    pub fn has_state(&self) -> bool {
        // SAFETY: a word of the definition.
        !unsafe { self.words.wrapping_add(M_SIZE).read() }.is_null()
    }

    /// One of its functions.
    pub fn method(&self, name: &CStr) -> Option<*mut MethodDef> {
        /// No module has more.
        const MOST: usize = 1000;
        // SAFETY: a word of the definition.
        let methods = unsafe { self.words.wrapping_add(M_METHODS).read() }.cast::<MethodDef>();
        (0..MOST).map(|index| methods.wrapping_add(index)).find_map(|method| {
            // SAFETY: null, or the methods of a module, which end with one without a name: see below.
            let known = if methods.is_null() { core::ptr::null() } else { unsafe { (*method).name } };
            if known.is_null() {
                return Some(None);
            }
            // SAFETY: the name of a method is a text that ends in NUL.
            unsafe { is_text(known, name) }.then_some(Some(method))
        })?
    }

    /// Where it says what slots it has.
    pub fn slots(&self) -> *mut Raw {
        self.words.wrapping_add(M_SLOTS)
    }
}

/// A function of a module's, whatever its calling convention: two to four words that it passes on.
pub type Callback4 = unsafe extern "C" fn(Raw, Raw, *mut c_void, *mut c_void) -> Raw;

/// What such a function was called with.
pub struct Arguments<'a> {
    python: Python<'a>,
    first: Raw,
}

/// `METH_FASTCALL` (Include/methodobject.h, since 3.6): the arguments are an array, and the next word is their number.
/// Without it they are a tuple.
const FASTCALL: c_int = 0x80;

impl<'a> Arguments<'a> {
    /// The second and third word that a function with these flags was called with.
    pub fn new(python: Python<'a>, flags: c_int, arguments: Raw, count: usize) -> Self {
        let first = match flags & FASTCALL {
            0 => {
                // `ob_type`, `ob_size`, the items (Include/cpython/tupleobject.h of 3.6).
                let words = arguments.wrapping_byte_add(python.api().type_offset).cast::<Raw>();
                // SAFETY: a tuple: its size.
                let empty = arguments.is_null() || unsafe { words.wrapping_add(1).read() }.is_null();
                // SAFETY: a tuple with an item.
                if empty { core::ptr::null_mut() } else { unsafe { words.wrapping_add(2).read() } }
            }
            _ if count == 0 => core::ptr::null_mut(),
            // SAFETY: an array of at least one object.
            _ => unsafe { arguments.cast::<Raw>().read() },
        };
        Arguments { python, first }
    }

    /// Whether the first one is a whole number.
    pub fn first_is_int(&self) -> bool {
        self.python.argument(self.first).is_some_and(|first| first.is_int())
    }

    /// The first one, if it is the text or bytes of a path, with a NUL behind it; `None` if it is not.
    pub fn first_path<'s>(&self, space: &'s mut [u8]) -> Option<&'s [u8]> {
        let path = self.python.argument(self.first)?.path_or_bytes(space.split_last_mut()?.1);
        let length = path.len();
        if length == 0 {
            return None;
        }
        *space.get_mut(length)? = 0;
        space.get(..=length)
    }
}
