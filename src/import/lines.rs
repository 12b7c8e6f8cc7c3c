//! From a file: a message or a record a line.

use super::Importer;
use crate::dataset::json::arrival_in;
use crate::dataset::rows::Arrival;
use crate::place::Note;
use crate::progress::bar;
use crate::record::{Record, message_in, read, time_of};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// A longer line is no record.
const LONGEST: u64 = 256 << 10;

/// Reads what was not read before.
pub fn import(path: &Path, note: &Note, into: &mut Importer) -> Result<()> {
    let name = path.display().to_string();
    if name == "-" {
        return lines(&name, &mut BufReader::new(io::stdin()), 0, |_| Ok(()), into);
    }
    let mut file = File::open(path).with_context(|| format!("cannot read {name}"))?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        bail!("{name} is a folder; name its files, as in --from {name}/*.json");
    }
    let mut place = note.place_in(&file)?;
    file.seek(SeekFrom::Start(place.offset))?;
    let progress = bar(metadata.len(), "{spinner} {bar:40} {bytes} of {total_bytes}, {eta} left");
    progress.set_position(place.offset);
    let from = file.try_clone()?;
    let offset = place.offset;
    let done = |offset: u64| {
        progress.set_position(offset);
        place.offset = offset;
        note.note(&file, &mut place)
    };
    lines(&name, &mut BufReader::with_capacity(1 << 20, from), offset, done, into)?;
    progress.finish_and_clear();
    Ok(())
}

fn lines(
    name: &str,
    from: &mut impl BufRead,
    mut offset: u64,
    mut done: impl FnMut(u64) -> Result<()>,
    into: &mut Importer,
) -> Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = from.take(LONGEST).read_until(b'\n', &mut line).with_context(|| format!("cannot read {name}"))?;
        if length == 0 {
            into.flush()?;
            return done(offset);
        }
        let place = offset;
        offset += length as u64;
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let message = message_in(text);
        let is_due = match read(&message) {
            Ok(record) => {
                let arrival = arrival(text, &message, &record, "file");
                into.take(record, arrival)?
            }
            Err(why) => {
                into.reject(&format!("{name}, byte {place}"), &why);
                false
            }
        };
        if is_due {
            into.flush()?;
            done(offset)?;
        }
    }
}

/// What the collector or the rsyslogd that wrote it says in `kept`; else, when the record was sent is the nearest to when it arrived.
pub fn arrival(kept: &[u8], message: &[u8], record: &Record, source: &str) -> Arrival {
    if let Some(arrival) = arrival_in(kept) {
        return arrival;
    }
    let end = record.start.map(|start| start + (record.elapsed * 1e6) as i64);
    let time = time_of(message).or(end).unwrap_or_else(|| chrono::Utc::now().timestamp_micros());
    Arrival { time, source: source.to_string(), ..Arrival::default() }
}
