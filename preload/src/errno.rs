//! `errno`, kept as it was found: rule 5.

use crate::objects;
use core::ffi::c_int;

/// Puts `errno` back when dropped.
pub struct Errno {
    place: Option<*mut c_int>,
    value: c_int,
}

impl Errno {
    /// Remembers `errno` of this thread. `__errno_location` is how glibc and musl reach it (errno.h).
    pub fn keep() -> Self {
        let place = objects::symbol(c"__errno_location").map(|address| {
            // SAFETY: `int *__errno_location(void)` in both.
            let location = unsafe {
                core::mem::transmute::<*const core::ffi::c_void, unsafe extern "C" fn() -> *mut c_int>(address)
            };
            // SAFETY: callable in any thread at any time.
            unsafe { location() }
        });
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
