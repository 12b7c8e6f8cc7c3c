//! The environment as the program was started with it. Read once, when an interpreter starts: later the program
//! may move and change it under our eyes (`putenv` in another thread, `setproctitle`).

use crate::objects;
use core::ffi::{CStr, c_char, c_ulong, c_void};

/// The variables of this process.
#[derive(Clone, Copy)]
pub struct Environment {
    first: *const *const c_char,
}

/// A value longer than this is somebody's joke; it is read no further.
const LONGEST: usize = 4096;
/// More variables than this are not looked through.
const MOST: usize = 10_000;

impl Environment {
    /// The environment, through libc's `environ` (environ(7)).
    pub fn of_process() -> Option<Self> {
        let variable = objects::symbol(c"environ")?.cast::<*const *const c_char>();
        // SAFETY: `environ` is a `char **` in every libc.
        let first = unsafe { variable.read() };
        (!first.is_null()).then_some(Environment { first })
    }

    /// The value of `name`, if it is set and not empty.
    pub fn get(&self, name: &[u8]) -> Option<&'static [u8]> {
        self.variables().find_map(|variable| {
            // SAFETY: each variable is a text that ends in NUL.
            let text = unsafe { Text::new(variable) };
            let value = text.after(name)?.rest();
            (!value.is_empty()).then_some(value)
        })
    }

    /// The first of `names` that is set and not empty.
    pub fn first_of<'n>(&self, mut names: impl Iterator<Item = &'n [u8]>) -> Option<&'static [u8]> {
        names.find_map(|name| self.get(name))
    }

    /// Whether it was set up by somebody with fewer rights than the program has: secure-execution mode (ld.so(8)), as
    /// for a set-user-ID program. The kernel says so beside the environment (`AT_SECURE`); getauxval(3), since glibc 2.16
    /// and in musl, reads it. An older libc does not tell.
    pub fn is_of_a_stranger() -> bool {
        let Some(address) = objects::symbol(c"getauxval") else { return false };
        // SAFETY: of this type in both.
        let value = unsafe { core::mem::transmute::<*const c_void, unsafe extern "C" fn(c_ulong) -> c_ulong>(address) };
        // SAFETY: callable at any time; it only reads.
        unsafe { value(libc::AT_SECURE) != 0 }
    }

    fn variables(&self) -> impl Iterator<Item = *const c_char> {
        let mut place = self.first;
        core::iter::from_fn(move || {
            // SAFETY: the array ends with a null pointer, at which we stop.
            let variable = unsafe { place.read() };
            place = place.wrapping_add(1);
            (!variable.is_null()).then_some(variable)
        })
        .take(MOST)
    }
}

/// A text of unknown length that ends in NUL, read byte by byte and never past its end.
struct Text(*const c_char);

impl Text {
    /// # Safety
    /// `start` must be a text that ends in NUL and stays where it is.
    unsafe fn new(start: *const c_char) -> Self {
        Text(start)
    }

    /// What follows `name=`, if it begins so.
    fn after(self, name: &[u8]) -> Option<Self> {
        let mut place = self.0.cast::<u8>();
        for expected in name.iter().chain(b"=") {
            // SAFETY: every byte before was not NUL, so this one is still inside the text.
            if unsafe { place.read() } != *expected {
                return None;
            }
            place = place.wrapping_add(1);
        }
        Some(Text(place.cast()))
    }

    fn rest(self) -> &'static [u8] {
        // SAFETY: the text ends in NUL; the start-up environment lies on the initial stack for as long as we look.
        let value = unsafe { CStr::from_ptr(self.0) }.to_bytes();
        value.get(..LONGEST).unwrap_or(value)
    }
}
