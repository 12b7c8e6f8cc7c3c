//! A file that grows, as rsyslog writes it: a message a line.
//!
//! The place is noted after the journal has what came before it. Whoever is stopped between the two reads some lines
//! twice; the dataset keeps them once.

use super::Shared;
use super::journal::{Entry, LONGEST, Sender, Via};
use super::listen::{PATIENCE, now};
use crate::place::{Note, Place};
use crate::record::message_in;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const SENDER: Sender = Sender { via: Via::File, address: None, uid: None };
/// Read at a time.
const CHUNK: usize = 1 << 20;

/// Follows it until it is time to stop. A file that is not there yet is waited for; one that was moved away is read to
/// its end, and then the one that has taken its name.
pub fn run(path: &Path, folder: &Path, shared: &Shared) -> Result<()> {
    let note = Note::of(folder, path.as_os_str().as_encoded_bytes())?;
    while !shared.is_stopping() {
        let Ok(mut file) = File::open(path) else {
            std::thread::sleep(PATIENCE);
            continue;
        };
        let mut place = note.place_in(&file)?;
        file.seek(SeekFrom::Start(place.offset))?;
        follow(path, &mut file, &mut place, &note, shared)?;
    }
    Ok(())
}

/// Until the file is another, is shorter than it was, or it is time to stop.
fn follow(path: &Path, file: &mut File, place: &mut Place, note: &Note, shared: &Shared) -> Result<()> {
    let mut pending: Vec<u8> = Vec::new();
    let mut space = vec![0; CHUNK];
    let own = file.metadata()?;
    loop {
        let length = file.read(&mut space).with_context(|| format!("cannot read {}", path.display()))?;
        pending.extend(space.get(..length).unwrap_or_default());
        let whole = pending.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole > 0 {
            let lines = pending.get(..whole).unwrap_or_default();
            if !append(lines, shared) {
                return Ok(());
            }
            pending.drain(..whole);
            place.offset += whole as u64;
            note.note(file, place)?;
        }
        if length > 0 {
            if pending.len() > LONGEST {
                shared.metrics.rejected.add("truncated", 1);
                place.offset += pending.len() as u64;
                pending.clear();
            }
            continue;
        }
        if shared.is_stopping() {
            return Ok(());
        }
        match fs::metadata(path) {
            Ok(now) if (now.dev(), now.ino()) != (own.dev(), own.ino()) => return Ok(()),
            Ok(now) if now.len() < place.offset => return Ok(()),
            _ => std::thread::sleep(PATIENCE),
        }
    }
}

/// `false` if it was told to stop while the disk was full.
fn append(lines: &[u8], shared: &Shared) -> bool {
    let arrived = now();
    let messages: Vec<_> = lines
        .split(|byte| *byte == b'\n')
        .map(|line| line.trim_ascii())
        .filter(|line| !line.is_empty())
        .map(message_in)
        .collect();
    for batch in messages.chunks(512) {
        let entries = || batch.iter().map(|message| Entry { arrived, sender: SENDER, message });
        while shared.journal.append(entries()).is_err() {
            shared.disk(true);
            if shared.is_stopping() {
                return false;
            }
            std::thread::sleep(PATIENCE);
        }
        shared.disk(false);
        shared.metrics.received.add(batch.len() as u64);
        shared.metrics.received_bytes.add(batch.iter().map(|message| message.len() as u64).sum());
    }
    true
}
