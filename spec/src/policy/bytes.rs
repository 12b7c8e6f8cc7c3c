//! Numbers, texts and sequences in the bytes of a policy: what [`super`] draws. An offset that leads nowhere reads as
//! "none", so nothing here can panic whatever the bytes are.

use super::HEADER;

/// A sequence of items of `width` words each.
#[derive(Clone, Copy)]
pub(super) struct Sequence<'p> {
    pub bytes: &'p [u8],
    pub at: usize,
    pub width: usize,
    pub count: usize,
}

pub(super) fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word))
}

pub(super) fn number64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word))
}

pub(super) fn short(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| usize::from(u16::from_le_bytes(*word)))
}

pub(super) fn text(bytes: &[u8], at: u32) -> &[u8] {
    let at = at as usize;
    if at < HEADER {
        return b"";
    }
    let start = at.saturating_add(2);
    bytes.get(start..start.saturating_add(short(bytes, at))).unwrap_or_default()
}

pub(super) fn sequence(bytes: &[u8], at: u32, width: usize) -> Sequence<'_> {
    let at = at as usize;
    let count = if at < HEADER { 0 } else { short(bytes, at) };
    Sequence { bytes, at: at.saturating_add(2), width, count }
}

impl<'p> Sequence<'p> {
    pub fn word(self, item: usize, word: usize) -> u32 {
        let index = item.saturating_mul(self.width).saturating_add(word);
        number(self.bytes, self.at.saturating_add(index.saturating_mul(4)))
    }

    pub fn text(self, item: usize, word: usize) -> &'p [u8] {
        text(self.bytes, self.word(item, word))
    }

    pub fn sequence(self, item: usize, word: usize, width: usize) -> Sequence<'p> {
        sequence(self.bytes, self.word(item, word), width)
    }

    pub fn numbers(self) -> impl Iterator<Item = u32> + Clone + use<'p> {
        (0..self.count).map(move |item| self.word(item, 0))
    }
}
