//! `PyModuleDef` (Include/moduleobject.h): what a module written in C is made from, since 3.5 (PEP 489).

use super::api::{Api, MethodDef, Raw};
use core::ffi::CStr;

/// Words from `ob_type` on, measured on 3.6 to 3.13 and 3.13t: `m_init`, `m_index` and `m_copy` come first.
const M_SIZE: usize = 6;
const M_METHODS: usize = 7;
const M_SLOTS: usize = 8;

/// The static definition of a module.
pub struct Definition {
    words: *mut Raw,
}

impl Definition {
    /// The definition at `raw`, if that is one: what an initialiser has returned, or what a module says it was made
    /// from.
    pub fn at(api: &Api, raw: Raw) -> Option<Self> {
        let words = raw.wrapping_byte_add(api.type_offset).cast::<Raw>();
        // SAFETY: an object, if not null.
        let is_one = !raw.is_null() && unsafe { words.read() } == api.module_def_type?;
        is_one.then_some(Definition { words })
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
            (unsafe { CStr::from_ptr(known) } == name).then_some(Some(method))
        })?
    }

    /// Where it says what slots it has.
    pub fn slots(&self) -> *mut Raw {
        self.words.wrapping_add(M_SLOTS)
    }
}
