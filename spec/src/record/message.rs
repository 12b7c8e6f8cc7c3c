//! A record becomes messages: as few as it takes, each whole in itself.

use super::write::{Caps, MAX_VERSION};
use super::{Field, Finding, MAX_NAME, MAX_PATH, MAX_TEXT, Record};
use crate::frame::Header;
use crate::json::Writer;

/// From what nearly every record is written with, to what fits into the smallest datagram whatever was put into it.
/// Paths are what is long; they give way first.
const CAPS: [Caps; 7] = [
    Caps { path: MAX_PATH, short: MAX_TEXT },
    Caps { path: 512, short: 64 },
    Caps { path: 256, short: 64 },
    Caps { path: 128, short: 64 },
    Caps { path: 64, short: 64 },
    Caps { path: 32, short: 32 },
    Caps { path: 16, short: 16 },
];
/// What the fixed fields leave for findings, if any caps can bring it about.
const ROOM_FOR_FINDINGS: usize = 600;
/// And never less than the longest finding: named as package, direct, library and with its version.
const ROOM_FOR_ONE: usize = PER_MESSAGE + 4 * (MAX_NAME + 3) + MAX_VERSION + 3;

/// A message is never made longer than this many parts: beyond it the rest is dropped.
pub const MAX_PARTS: u32 = 255;

impl Record<'_> {
    /// Writes the record into as few messages of at most `limit` bytes as it takes, each whole in itself, and
    /// hands each to `send`. `buffer` holds one message at a time; a message longer than it is not sent.
    ///
    /// A record without a finding is one message. Texts are cut so that this works for every `limit` that a site
    /// may choose ([`crate::policy::MIN_DATAGRAM`] and more).
    pub fn messages<'f>(
        &self,
        header: Header,
        findings: impl Iterator<Item = Finding<'f>> + Clone,
        buffer: &mut [u8],
        limit: usize,
        mut send: impl FnMut(&[u8]),
    ) {
        let limit = limit.min(buffer.len());
        let mut out = Writer::new(buffer);
        // The header's host is the record's, under the same privacy.
        let mut pseudonym = [0; 32];
        let header = Header {
            host: self.veiled(Field::Host, self.host, &mut pseudonym),
            pid: if self.privacy.omit.has(Field::Pid) { 0 } else { header.pid },
            ..header
        };
        header.write(&mut out);
        let body = out.len();

        // Nearly every record fits as it is.
        self.object(&mut out, (1, 1), CAPS[0], findings.clone().take(usize::MAX));
        if !out.is_full() && out.len() <= limit {
            return send(out.written());
        }
        out.truncate(body);
        let mut frame = 0;
        let mut caps = CAPS[0];
        for tried in CAPS {
            caps = tried;
            self.object(&mut out, (MAX_PARTS, MAX_PARTS), caps, findings.clone().take(0));
            frame = out.len();
            let full = out.is_full();
            out.truncate(body);
            let wanted = if caps.path > 64 { ROOM_FOR_FINDINGS } else { ROOM_FOR_ONE };
            if !full && frame.saturating_add(wanted) <= limit {
                break;
            }
        }
        let room = limit.saturating_sub(frame);

        let mut parts = 0_u32;
        let mut rest = findings.clone();
        while let (Some(_), after) = portion(rest, room) {
            parts = parts.saturating_add(1).min(MAX_PARTS);
            rest = after;
        }
        let parts = parts.max(1);
        let mut rest = findings;
        for part in 1..=parts {
            let (count, after) = portion(rest.clone(), room);
            self.object(&mut out, (part, parts), caps, rest.take(count.unwrap_or(0)));
            if !out.is_full() {
                send(out.written());
            }
            out.truncate(body);
            rest = after;
        }
    }
}

/// How many of `findings` fit into `room` bytes (`None`: there are none left; else at least one), and what is left.
fn portion<'f, I: Iterator<Item = Finding<'f>> + Clone>(mut findings: I, room: usize) -> (Option<usize>, I) {
    let mut used = PER_MESSAGE;
    let mut count: usize = 0;
    loop {
        let before = findings.clone();
        let Some(finding) = findings.next() else {
            return ((count > 0).then_some(count), findings);
        };
        used = used.saturating_add(cost(&finding));
        if used > room && count > 0 {
            return (Some(count), before);
        }
        count = count.saturating_add(1);
    }
}

/// `,"versions":{},"direct":[],"libraries":[]`, which a message without findings lacks.
const PER_MESSAGE: usize = 42;

/// Upper bound of the bytes a finding adds to a message: escaping makes six of one at the most.
fn cost(finding: &Finding) -> usize {
    let quoted = |text: &[u8], cap: usize| {
        let escaped = if text.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
            text.len()
        } else {
            text.len().saturating_mul(6)
        };
        escaped.min(cap).saturating_add(3)
    };
    let name = quoted(finding.name, MAX_NAME);
    let version =
        if finding.version.is_empty() { 0 } else { name.saturating_add(quoted(finding.version, MAX_VERSION)) };
    let times = 1_usize.saturating_add(usize::from(finding.direct)).saturating_add(usize::from(finding.library));
    name.saturating_mul(times).saturating_add(version)
}
