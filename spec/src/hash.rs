//! The hashes of the project: a quick digest for policies and look-up tables, SipHash-2-4 with 128 bits for identities.
//!
//! SipHash: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), and the 128-bit variant of the
//! authors' reference code. It is keyed, small and needs no table, which is all that a preloaded library can carry.

/// A digest that is quick, because every Python start and every loaded module pays for it: it tells damaged and
/// different policies apart and places names in look-up tables. Each step is a bijection of the state, so no single
/// changed word goes unnoticed. Of a policy's length it takes four words at a time, which do not wait for each other.
#[inline]
pub fn digest(bytes: &[u8]) -> u64 {
    let start = bytes.len() as u64;
    match bytes.len() {
        0..LONG => digest_from(start, bytes),
        _ => {
            let (blocks, rest) = bytes.as_chunks::<32>();
            let lanes = blocks.iter().fold([start, !start, start << 32, !start << 32], |lanes, block| {
                let (words, _) = block.as_chunks::<8>();
                let mut lanes = lanes;
                for (lane, word) in lanes.iter_mut().zip(words) {
                    *lane = step(*lane, u64::from_le_bytes(*word));
                }
                lanes
            });
            digest_from(lanes.into_iter().fold(start, step), rest)
        }
    }
}

/// From here on four words at a time.
const LONG: usize = 256;

#[inline]
fn step(state: u64, word: u64) -> u64 {
    (state.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95)
}

#[inline]
fn digest_from(state: u64, bytes: &[u8]) -> u64 {
    let (words, tail) = bytes.as_chunks::<8>();
    let state = words.iter().fold(state, |state, word| step(state, u64::from_le_bytes(*word)));
    // The rest as a whole word: the last eight bytes once more, or the few there are.
    match bytes.last_chunk::<8>() {
        Some(last) => step(state, u64::from_le_bytes(*last)),
        None => step(state, tail.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))),
    }
}

/// Whether a byte is among others, eight at a time: module names are asked this by the thousand.
#[inline]
pub fn has_byte(bytes: &[u8], wanted: u8) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (words, tail) = bytes.as_chunks::<8>();
    let pattern = ONES.wrapping_mul(u64::from(wanted));
    words.iter().any(|word| {
        let zero_where_equal = u64::from_le_bytes(*word) ^ pattern;
        zero_where_equal.wrapping_sub(ONES) & !zero_where_equal & (ONES << 7) != 0
    }) || tail.contains(&wanted)
}

/// Where `name` begins its search in a look-up table, and a tag by which nearly all other names that lie there are
/// told from it: two halves of the digest's upper half, which every byte reaches.
#[inline]
pub fn place(name: &[u8]) -> (usize, u16) {
    let digest = digest(name);
    ((digest >> 32) as usize & 0xffff, (digest >> 48) as u16)
}

/// SipHash-2-4-128 of `parts`, each preceded by its length, so that ("ab", "c") and ("a", "bc") differ.
pub fn of_parts(key: [u64; 2], parts: &[&[u8]]) -> u128 {
    let mut hasher = Sip::new(key);
    for part in parts {
        hasher.write(&(part.len() as u64).to_le_bytes());
        hasher.write(part);
    }
    hasher.finish()
}

/// The key of everything that has to come out the same on every node: identities and samples.
pub const PUBLIC_KEY: [u64; 2] = [0, 0];

/// Two halves of a key from a secret of any length.
pub fn key_from(secret: &[u8]) -> [u64; 2] {
    let wide = of_parts(PUBLIC_KEY, &[secret]);
    [wide as u64, (wide >> 64) as u64]
}

/// 32 lower-case hexadecimal digits, most significant first.
pub fn hex(value: u128) -> [u8; 32] {
    let mut digits = [0; 32];
    for (position, digit) in digits.iter_mut().rev().enumerate() {
        let nibble = (value >> (position.wrapping_mul(4) & 127)) as u8 & 15;
        *digit = if nibble < 10 { b'0'.wrapping_add(nibble) } else { b'a'.wrapping_add(nibble.wrapping_sub(10)) };
    }
    digits
}

struct Sip {
    v: (u64, u64, u64, u64),
    /// Up to seven bytes that wait for an eighth, the first in the lowest place.
    tail: u64,
    waiting: u32,
    length: u64,
}

impl Sip {
    fn new(key: [u64; 2]) -> Self {
        let [k0, k1] = key;
        let v = (
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee, // 0xee: the 128-bit variant
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        );
        Sip { v, tail: 0, waiting: 0, length: 0 }
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.tail |= u64::from(*byte).wrapping_shl(self.waiting.wrapping_mul(8));
            self.waiting = self.waiting.wrapping_add(1);
            if self.waiting == 8 {
                self.absorb(self.tail);
                (self.tail, self.waiting) = (0, 0);
            }
        }
        self.length = self.length.wrapping_add(bytes.len() as u64);
    }

    fn absorb(&mut self, word: u64) {
        self.v.3 ^= word;
        self.rounds(2);
        self.v.0 ^= word;
    }

    fn rounds(&mut self, count: usize) {
        let (mut a, mut b, mut c, mut d) = self.v;
        for _ in 0..count {
            a = a.wrapping_add(b);
            b = b.rotate_left(13) ^ a;
            a = a.rotate_left(32);
            c = c.wrapping_add(d);
            d = d.rotate_left(16) ^ c;
            a = a.wrapping_add(d);
            d = d.rotate_left(21) ^ a;
            c = c.wrapping_add(b);
            b = b.rotate_left(17) ^ c;
            c = c.rotate_left(32);
        }
        self.v = (a, b, c, d);
    }

    fn finish(mut self) -> u128 {
        self.absorb(self.tail | (self.length << 56));
        self.v.2 ^= 0xee;
        self.rounds(4);
        let low = self.v.0 ^ self.v.1 ^ self.v.2 ^ self.v.3;
        self.v.1 ^= 0xdd;
        self.rounds(4);
        let high = self.v.0 ^ self.v.1 ^ self.v.2 ^ self.v.3;
        u128::from(low) | (u128::from(high) << 64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use siphasher::sip128::{Hasher128, SipHasher24};
    use std::{format, vec::Vec};

    #[test]
    fn siphash_agrees_with_an_independent_implementation() {
        for length in 0..70_u8 {
            let text: Vec<u8> = (0..length).collect();
            let mut oracle = SipHasher24::new_with_keys(7, 9);
            core::hash::Hasher::write(&mut oracle, &u64::from(length).to_le_bytes());
            core::hash::Hasher::write(&mut oracle, &text);
            assert_eq!(of_parts([7, 9], &[&text]), oracle.finish128().as_u128(), "{length} bytes");
        }
    }

    #[test]
    fn bytes_are_found_wherever_they_are() {
        for length in 0..40 {
            let mut text = std::vec![b'x'; length];
            assert!(!has_byte(&text, b'.'));
            for at in 0..length {
                text[at] = b'.';
                assert!(has_byte(&text, b'.'), "{at} of {length}");
                text[at] = b'/';
                assert!(!has_byte(&text, b'.'));
            }
        }
    }

    #[test]
    fn a_digest_changes_with_every_byte() {
        for length in (1..40).chain(LONG - 3..LONG + 40) {
            let text = std::vec![7; length];
            for at in 0..length {
                let mut other = text.clone();
                other[at] ^= 0x80;
                assert_ne!(digest(&text), digest(&other), "{at} of {length}");
            }
            assert_ne!(digest(&text), digest(&text[1..]));
        }
    }

    #[test]
    fn hex_is_what_rust_prints() {
        let value = 0x0123_4567_89ab_cdef_0fed_cba9_8765_4321_u128;
        assert_eq!(core::str::from_utf8(&hex(value)).unwrap(), format!("{value:032x}"));
    }
}
