//! A JSON writer into a buffer that somebody else owns. It never writes past the end and never panics:
//! once something did not fit, [`Writer::is_full`] says so and what was written is not to be used.

/// Copies as much of `bytes` as `place` has room for: `copy_from_slice` without its panic.
pub fn overwrite(place: &mut [u8], bytes: &[u8]) -> usize {
    let count = place.len().min(bytes.len());
    for (place, byte) in place.iter_mut().zip(bytes) {
        *place = *byte;
    }
    count
}

/// Appends bytes to a fixed buffer.
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    length: usize,
    full: bool,
}

impl<'b> Writer<'b> {
    /// An empty writer over `buffer`.
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Writer { buffer, length: 0, full: false }
    }

    /// What has been written.
    pub fn written(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether something did not fit.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Forgets all but the first `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
        self.full = false;
    }

    /// Bytes as they are.
    #[inline(never)]
    pub fn raw(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        match self.buffer.get_mut(self.length..end) {
            Some(place) if !self.full => {
                overwrite(place, bytes);
                self.length = end;
            }
            _ => self.full = true,
        }
    }

    /// A decimal number.
    pub fn number(&mut self, value: u64) {
        self.padded(value, 1);
    }

    /// A decimal number with leading zeros up to `width` (at most 20) digits.
    #[inline(never)]
    pub fn padded(&mut self, value: u64, width: usize) {
        let mut digits = [b'0'; 20];
        let mut rest = value;
        let mut used: usize = 0;
        for place in digits.iter_mut().rev() {
            *place = b'0'.wrapping_add((rest % 10) as u8);
            rest /= 10;
            used = used.saturating_add(1);
            if rest == 0 && used >= width {
                break;
            }
        }
        self.raw(digits.get(20_usize.saturating_sub(used)..).unwrap_or_default());
    }

    /// A string: quoted, escaped (RFC 8259 section 7), valid UTF-8, its escaped form cut to `cap` bytes
    /// at a whole character. Bytes that are not UTF-8 become U+FFFD.
    #[inline(never)]
    pub fn string(&mut self, bytes: &[u8], cap: usize) {
        self.raw(b"\"");
        let limit = self.length.saturating_add(cap);
        for chunk in bytes.utf8_chunks() {
            // Runs without anything to escape are copied whole; they are nearly all there is.
            let mut rest = chunk.valid();
            while !rest.is_empty() {
                let plain = rest.bytes().position(must_escape).unwrap_or(rest.len());
                let room = limit.saturating_sub(self.length);
                if plain > room {
                    let end = (0..=room).rev().find(|end| rest.is_char_boundary(*end)).unwrap_or(0);
                    self.raw(rest.as_bytes().get(..end).unwrap_or_default());
                    return self.raw(b"\"");
                }
                self.raw(rest.as_bytes().get(..plain).unwrap_or_default());
                let Some(special) = rest.as_bytes().get(plain) else { break };
                if !self.escape(*special, limit) {
                    return self.raw(b"\"");
                }
                rest = rest.get(plain.saturating_add(1)..).unwrap_or_default();
            }
            if !chunk.invalid().is_empty() {
                if self.length.saturating_add(3) > limit {
                    break;
                }
                self.raw("\u{fffd}".as_bytes());
            }
        }
        self.raw(b"\"");
    }

    /// Writes the escape of `byte` if it ends before `limit`.
    fn escape(&mut self, byte: u8, limit: usize) -> bool {
        let hex = |nibble: u8| {
            if nibble < 10 { b'0'.wrapping_add(nibble) } else { b'a'.wrapping_add(nibble.wrapping_sub(10)) }
        };
        let long = [b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)];
        let short = [b'\\', byte];
        let escaped: &[u8] = if matches!(byte, b'"' | b'\\') { &short } else { &long };
        let fits = self.length.saturating_add(escaped.len()) <= limit;
        if fits {
            self.raw(escaped);
        }
        fits
    }
}

/// Control characters, DEL too: a syslog relay may rewrite it (rsyslog's `$EscapeControlCharactersOnReceive`).
fn must_escape(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f || byte == b'"' || byte == b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    fn string(bytes: &[u8], cap: usize) -> String {
        let mut buffer = [0; 256];
        let mut writer = Writer::new(&mut buffer);
        writer.string(bytes, cap);
        assert!(!writer.is_full());
        String::from_utf8(writer.written().to_vec()).unwrap()
    }

    #[test]
    fn hostile_strings_stay_json() {
        assert_eq!(string(b"plain", 99), r#""plain""#);
        assert_eq!(string(b"a\"b\\c\nd\x00e\x7f", 99), r#""a\"b\\c\u000ad\u0000e\u007f""#);
        assert_eq!(string(b"\xff\xfeok\xc3", 99), "\"\u{fffd}\u{fffd}ok\u{fffd}\"");
        assert_eq!(string("größe".as_bytes(), 99), "\"größe\"");
    }

    #[test]
    fn a_cap_cuts_between_characters_and_escapes() {
        assert_eq!(string("größe".as_bytes(), 3), "\"gr\"");
        assert_eq!(string("größe".as_bytes(), 4), "\"grö\"");
        assert_eq!(string(b"ab\n", 7), r#""ab""#);
        assert_eq!(string(b"ab\n", 8), r#""ab\u000a""#);
        assert_eq!(string(b"a\xff", 3), r#""a""#);
    }

    #[test]
    fn numbers_are_decimal() {
        let mut buffer = [0; 64];
        let mut writer = Writer::new(&mut buffer);
        for (value, width) in [(0, 1), (7, 3), (u64::MAX, 1)] {
            writer.padded(value, width);
            writer.raw(b" ");
        }
        assert_eq!(writer.written(), b"0 007 18446744073709551615 ");
    }

    #[test]
    fn a_full_buffer_says_so_and_is_never_overrun() {
        let mut buffer = [b'.'; 8];
        let mut writer = Writer::new(buffer.get_mut(..4).unwrap());
        writer.string(b"abcdef", 99);
        assert!(writer.is_full());
        assert_eq!(buffer.get(4..).unwrap(), b"....");
    }

    #[test]
    fn every_byte_string_comes_back_from_an_independent_parser() {
        for first in 0..=255_u8 {
            let bytes: Vec<u8> = [first, b'x', 255_u8.wrapping_sub(first), first].to_vec();
            let parsed: String = serde_json::from_str(&string(&bytes, 200)).unwrap();
            assert_eq!(parsed, String::from_utf8_lossy(&bytes), "{bytes:?}");
        }
    }
}
