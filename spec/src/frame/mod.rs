//! The RFC 5424 header: `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID SD SP`, written here and taken off in [`read`].

mod read;

use crate::json::Writer;
pub use read::{Malformed, Message};

/// APP-NAME of every frame.
pub const APP_NAME: &[u8] = b"customs";
/// Severity "informational" (RFC 5424 table 2).
pub const SEVERITY: u8 = 6;
/// Longest HOSTNAME; RFC 5424 section 6 would allow 255 bytes, gethostname(2) on Linux has 64.
pub const MAX_HOSTNAME: usize = 64;
/// Longest MSGID (RFC 5424 section 6).
pub const MAX_MSGID: usize = 32;

/// What the header says.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    /// 0 to 23.
    pub facility: u8,
    /// Microseconds since 1970, UTC.
    pub time: u64,
    /// Empty: the NILVALUE.
    pub host: &'a [u8],
    /// 0: the NILVALUE.
    pub pid: u32,
    /// The key by which routing downstream selects.
    pub msgid: &'a [u8],
}

impl Header<'_> {
    /// Writes the header with the space before MSG. No structured data, no byte order mark.
    pub fn write(&self, out: &mut Writer) {
        out.raw(b"<");
        out.number(u64::from(self.facility).wrapping_mul(8).wrapping_add(u64::from(SEVERITY)));
        out.raw(b">1 ");
        timestamp(self.time, out);
        out.raw(b" ");
        token(self.host, MAX_HOSTNAME, of_a_host, out);
        out.raw(b" ");
        out.raw(APP_NAME);
        out.raw(b" ");
        match self.pid {
            0 => out.raw(b"-"),
            pid => out.number(u64::from(pid)),
        }
        out.raw(b" ");
        token(self.msgid, MAX_MSGID, |byte| byte.is_ascii_graphic(), out);
        out.raw(b" - ");
    }
}

/// What a host name is made of. RFC 5424 allows every `%d33-126`, but receivers stumble over the rest.
fn of_a_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-".contains(&byte)
}

/// At most `cap` bytes, `_` for those that are not `allowed`, `-` for nothing at all.
fn token(bytes: &[u8], cap: usize, allowed: fn(u8) -> bool, out: &mut Writer) {
    if bytes.is_empty() {
        return out.raw(b"-");
    }
    for byte in bytes.iter().take(cap) {
        out.raw(&[if allowed(*byte) { *byte } else { b'_' }]);
    }
}

/// RFC 3339 with microseconds and `Z`. Leap seconds are not shown, which RFC 5424 section 6.2.3 asks for.
pub fn timestamp(micros: u64, out: &mut Writer) {
    let seconds = micros / 1_000_000;
    let (year, month, day) = civil(seconds / 86_400);
    let field = |value: u64, width, separator: &[u8], out: &mut Writer| {
        out.padded(value, width);
        out.raw(separator);
    };
    field(year, 4, b"-", out);
    field(month, 2, b"-", out);
    field(day, 2, b"T", out);
    field(seconds / 3600 % 24, 2, b":", out);
    field(seconds / 60 % 60, 2, b":", out);
    field(seconds % 60, 2, b".", out);
    field(micros % 1_000_000, 6, b"Z", out);
}

/// Days since 1970-01-01 as year, month, day: the algorithm `civil_from_days` of Howard Hinnant's
/// "chrono-compatible low-level date algorithms", for days not before the epoch.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days.wrapping_add(719_468); // since 0000-03-01
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era
        .wrapping_sub(day_of_era / 1460)
        .wrapping_add(day_of_era / 36_524)
        .wrapping_sub(day_of_era / 146_096))
        / 365;
    let day_of_year = day_of_era
        .wrapping_sub(year_of_era.wrapping_mul(365).wrapping_add(year_of_era / 4).wrapping_sub(year_of_era / 100));
    let month_from_march = day_of_year.wrapping_mul(5).wrapping_add(2) / 153;
    let day = day_of_year.wrapping_sub(month_from_march.wrapping_mul(153).wrapping_add(2) / 5).wrapping_add(1);
    let month = if month_from_march < 10 { month_from_march.wrapping_add(3) } else { month_from_march.wrapping_sub(9) };
    let year = year_of_era.wrapping_add(era.wrapping_mul(400)).wrapping_add(u64::from(month <= 2));
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn written(header: Header) -> String {
        let mut buffer = [0; 512];
        let mut out = Writer::new(&mut buffer);
        header.write(&mut out);
        String::from_utf8(out.written().to_vec()).unwrap()
    }

    #[test]
    fn the_header_is_rfc_5424() {
        let header =
            Header { facility: 16, time: 1_700_000_000_000_042, host: b"nid00012", pid: 4711, msgid: b"customs" };
        assert_eq!(written(header), "<134>1 2023-11-14T22:13:20.000042Z nid00012 customs 4711 customs - ");
    }

    #[test]
    fn nothing_known_is_nil_and_nothing_hostile_survives() {
        let header = Header { facility: 0, time: 0, host: b"", pid: 0, msgid: "a b\nü".as_bytes() };
        assert_eq!(written(header), "<6>1 1970-01-01T00:00:00.000000Z - customs - a_b___ - ");
    }

    #[test]
    fn days_become_dates() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (789, (1972, 2, 29)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_453, (2025, 12, 31)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(civil(days), date, "{days}");
        }
    }
}
