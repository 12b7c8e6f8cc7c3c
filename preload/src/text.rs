//! Texts in places of a fixed size: what is remembered from the start of an interpreter to its end.

use core::ffi::{CStr, c_char};
use customs_spec::json::overwrite;

/// A short text of its own.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Text<const SIZE: usize> {
    length: usize,
    bytes: [u8; SIZE],
}

impl<const SIZE: usize> Text<SIZE> {
    /// Nothing.
    pub const EMPTY: Self = Text { length: 0, bytes: [0; SIZE] };

    /// The beginning of `bytes`, as much as there is room for.
    pub fn of(bytes: &[u8]) -> Self {
        let mut text = Text { length: 0, bytes: [0; SIZE] };
        text.length = overwrite(&mut text.bytes, bytes);
        text
    }

    /// The text.
    pub fn get(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Whether the text at `start` is `name`. It is read no further than they are the same: most of a table's names are told
/// apart by their first letter.
///
/// # Safety
/// `start` must be a text that ends in NUL.
pub unsafe fn is_text(start: *const c_char, name: &CStr) -> bool {
    name.to_bytes_with_nul().iter().enumerate().all(|(at, byte)| {
        // SAFETY: none of the bytes before this one was the NUL at the end.
        unsafe { start.cast::<u8>().wrapping_add(at).read() == *byte }
    })
}

/// Longer than anything a batch system says; the record cuts further.
pub type Short = Text<96>;

/// Short texts one after the other: a length byte, then the text.
#[repr(C)]
pub struct Arena<const SIZE: usize> {
    used: usize,
    bytes: [u8; SIZE],
}

impl<const SIZE: usize> Arena<SIZE> {
    /// Adds the text made of `parts`; one that is too long or does not fit any more is dropped.
    pub fn push(&mut self, parts: &[&[u8]]) -> Option<()> {
        let length = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        let start = self.used;
        let end = start.checked_add(length)?.checked_add(1)?;
        let (header, mut rest) = self.bytes.get_mut(start..end)?.split_first_mut()?;
        *header = u8::try_from(length).ok()?;
        for part in parts {
            let (place, after) = rest.split_at_mut_checked(part.len())?;
            overwrite(place, part);
            rest = after;
        }
        self.used = end;
        Some(())
    }

    /// Forgets them. What is empty already is not written to: its pages may never have been touched.
    pub fn clear(&mut self) {
        if self.used != 0 {
            self.used = 0;
        }
    }

    /// The texts in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let mut rest = self.bytes.get(..self.used).unwrap_or_default();
        core::iter::from_fn(move || {
            let (length, after) = rest.split_first()?;
            let (text, after) = after.split_at_checked(usize::from(*length))?;
            rest = after;
            Some(text)
        })
    }
}
