//! `errno`, kept as it was found: rule 5.

use crate::objects::Symbols;
use core::ffi::{CStr, c_int, c_void};

/// How a libc reaches `errno` of the calling thread: `int *__errno_location(void)` in glibc and musl.
pub type Location = unsafe extern "C" fn() -> *mut c_int;

/// Its name, by which a libc is known, too.
pub const NAME: &CStr = c"__errno_location";

/// Finds it; done when an interpreter starts, because looking symbols up takes the loader's lock.
pub fn location(libc: &Symbols) -> Option<Location> {
    let address = libc.address(NAME)?;
    // SAFETY: of this type in both.
    Some(unsafe { core::mem::transmute::<*const c_void, Location>(address) })
}

/// Puts `errno` back when dropped.
pub struct Errno {
    place: Option<*mut c_int>,
    value: c_int,
}

impl Errno {
    /// Remembers `errno` of this thread.
    pub fn keep(location: Option<Location>) -> Self {
        // SAFETY: callable in any thread at any time.
        let place = location.map(|location| unsafe { location() });
        // SAFETY: this thread's own `errno`.
        let value = place.map_or(0, |place| unsafe { place.read() });
        Errno { place, value }
    }
}

impl Drop for Errno {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            // SAFETY: this thread's own `errno`.
            unsafe { place.write(self.value) };
        }
    }
}
