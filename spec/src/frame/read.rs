//! A message is taken apart as RFC 5424, section 6, has it: strictly, because what is let through is kept for years.

/// A message, in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Facility × 8 + severity, 0 to 191.
    pub pri: u8,
    /// RFC 3339; empty for the NILVALUE, as the other fields of the header are.
    pub timestamp: &'a [u8],
    /// HOSTNAME.
    pub host: &'a [u8],
    /// APP-NAME.
    pub app_name: &'a [u8],
    /// PROCID.
    pub procid: &'a [u8],
    /// MSGID.
    pub msgid: &'a [u8],
    /// MSG, without a byte order mark.
    pub body: &'a [u8],
}

/// The part of a message that is not as RFC 5424 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(&'static str);

impl Malformed {
    /// Its name in the RFC.
    pub fn part(self) -> &'static str {
        self.0
    }
}

/// PRIVAL at most: facility 23, severity 7.
const MAX_PRI: u8 = 191;
/// U+FEFF in UTF-8, which may stand before MSG (section 6.4).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl<'a> Message<'a> {
    /// The message that these bytes are.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let rest = bytes.strip_prefix(b"<").ok_or(Malformed("PRI"))?;
        let (pri, rest) =
            until(rest, b'>', 3).and_then(|(digits, rest)| Some((pri(digits)?, rest))).ok_or(Malformed("PRI"))?;
        let rest = rest.strip_prefix(b"1 ").ok_or(Malformed("VERSION"))?;
        let (timestamp, rest) = word(rest, 32).filter(|(text, _)| is_time(text)).ok_or(Malformed("TIMESTAMP"))?;
        let (host, rest) = word(rest, 255).ok_or(Malformed("HOSTNAME"))?;
        let (app_name, rest) = word(rest, 48).ok_or(Malformed("APP-NAME"))?;
        let (procid, rest) = word(rest, 128).ok_or(Malformed("PROCID"))?;
        let (msgid, rest) = word(rest, 32).ok_or(Malformed("MSGID"))?;
        let rest = structured_data(rest).ok_or(Malformed("STRUCTURED-DATA"))?;
        let body = if rest.is_empty() { rest } else { rest.strip_prefix(b" ").ok_or(Malformed("STRUCTURED-DATA"))? };
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        Ok(Message { pri, timestamp, host, app_name, procid, msgid, body })
    }
}

/// What stands before the first `end` among the first bytes, at most `most` of them, and what stands after it.
fn until(bytes: &[u8], end: u8, most: usize) -> Option<(&[u8], &[u8])> {
    let length = bytes.iter().take(most.saturating_add(1)).position(|byte| *byte == end)?;
    let (before, after) = bytes.split_at_checked(length)?;
    Some((before, after.get(1..)?))
}

/// PRIVAL: one to three digits, none of them a zero that could be left out.
fn pri(digits: &[u8]) -> Option<u8> {
    let plain = match digits {
        [b'0'] => true,
        [first, ..] => *first != b'0',
        [] => false,
    };
    let value = core::str::from_utf8(digits).ok().filter(|_| plain && digits.iter().all(u8::is_ascii_digit))?;
    value.parse().ok().filter(|value| *value <= MAX_PRI)
}

/// A field of PRINTUSASCII, one to `most` of them, and what follows its space. `-` is the NILVALUE.
fn word(bytes: &[u8], most: usize) -> Option<(&[u8], &[u8])> {
    let (word, rest) = until(bytes, b' ', most)?;
    let printable = !word.is_empty() && word.iter().all(u8::is_ascii_graphic);
    printable.then_some((if word == b"-" { b"" } else { word }, rest))
}

/// Whether this has the shape of a TIMESTAMP (section 6.2.3); whether there is such a day is for others to say.
fn is_time(text: &[u8]) -> bool {
    let shaped = |text: &[u8], shape: &[u8]| {
        text.len() == shape.len()
            && text
                .iter()
                .zip(shape)
                .all(|(byte, shape)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape })
    };
    let Some((seconds, rest)) = text.split_at_checked(b"0000-00-00T00:00:00".len()) else { return text.is_empty() };
    let zone = match rest.strip_prefix(b".") {
        Some(fraction) => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            fraction.get(digits..).filter(|_| (1..=6).contains(&digits)).unwrap_or_default()
        }
        None => rest,
    };
    shaped(seconds, b"0000-00-00T00:00:00") && (zone == b"Z" || shaped(zone, b"+00:00") || shaped(zone, b"-00:00"))
}

/// What follows STRUCTURED-DATA: `-`, or elements in brackets whose quoted values may escape `"`, `\` and `]`.
fn structured_data(bytes: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = bytes.strip_prefix(b"-") {
        return Some(rest);
    }
    let mut rest = bytes.strip_prefix(b"[")?;
    loop {
        let (mut quoted, mut escaped) = (false, false);
        let end = rest.iter().position(|byte| {
            let ends = *byte == b']' && !quoted;
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ => {}
            }
            ends
        })?;
        rest = rest.get(end.saturating_add(1)..)?;
        match rest.strip_prefix(b"[") {
            Some(next) => rest = next,
            None => return Some(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn what_relays_send_is_taken_apart() {
        let message = Message::read(b"<134>1 2026-11-22T14:43:11.586584Z nid1 customs 7 customs - {}").unwrap();
        assert_eq!((message.pri, message.host, message.body), (134, b"nid1".as_slice(), b"{}".as_slice()));
        let message =
            Message::read(b"<0>1 2026-11-22T14:43:11+01:00 - - - - [a@1 b=\"]\\\"]\"][c] \xef\xbb\xbf{}").unwrap();
        assert_eq!((message.host, message.msgid, message.body), (b"".as_slice(), b"".as_slice(), b"{}".as_slice()));
        assert_eq!(Message::read(b"<6>1 - - - - - -").unwrap().body, b"");
    }

    #[test]
    fn what_is_not_rfc_5424_is_named() {
        let long = format!("<6>1 - - - - {} - x", "m".repeat(33));
        for (bytes, part) in [
            (b"".as_slice(), "PRI"),
            (b"<192>1 - - - - - -", "PRI"),
            (b"<06>1 - - - - - -", "PRI"),
            (b"<+6>1 - - - - - -", "PRI"),
            (b"<6>Nov 22 14:43:11 nid1 customs: {}", "VERSION"),
            (b"<6>1 2026-11-22 - - - - -", "TIMESTAMP"),
            (b"<6>1 2026-11-22T14:43:11.1234567Z - - - - -", "TIMESTAMP"),
            (b"<6>1 2026-11-22T14:43:11. - - - - -", "TIMESTAMP"),
            (b"<6>1 - \xff - - - -", "HOSTNAME"),
            (b"<6>1 - -  - - -", "APP-NAME"),
            (b"<6>1 - - -", "APP-NAME"),
            (long.as_bytes(), "MSGID"),
            (b"<6>1 - - - - - {}", "STRUCTURED-DATA"),
            (b"<6>1 - - - - - [a b=\"]", "STRUCTURED-DATA"),
            (b"<6>1 - - - - - -{}", "STRUCTURED-DATA"),
        ] {
            assert_eq!(Message::read(bytes).map_err(Malformed::part), Err(part), "{}", bytes.escape_ascii());
        }
    }
}
