//! How far a file of lines was read, noted in another file, so that whoever reads on later does not begin anew.
//!
//! A file is known again by its inode and by how it begins: after logrotate's `copytruncate` the same inode holds
//! something else.

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Bytes of the beginning that are compared.
const HEAD: u64 = 4096;

/// The note.
pub struct Note(PathBuf);

/// A place in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    device: u64,
    inode: u64,
    /// Length and CRC-32 of the beginning.
    head: (u64, u32),
    /// Everything before it was read.
    pub offset: u64,
}

impl Note {
    /// In this folder, which is made, for what is called `source`.
    pub fn of(folder: &Path, source: &[u8]) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Note(folder.join(format!("{:08x}", crc32fast::hash(source)))))
    }

    /// What was noted.
    pub fn read(&self) -> Option<String> {
        fs::read_to_string(&self.0).ok()
    }

    /// Notes, in the place of what was noted before.
    pub fn write(&self, text: &str) -> Result<()> {
        let new = self.0.with_extension("new");
        let write = || fs::write(&new, text).and_then(|()| fs::rename(&new, &self.0));
        write().with_context(|| format!("cannot write {}", self.0.display()))
    }

    /// Forgets.
    pub fn remove(&self) -> Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.0.display()))
            }
            _ => Ok(()),
        }
    }

    /// Where `file` was read to; its beginning, if it is not the one that was noted.
    pub fn place_in(&self, file: &File) -> Result<Place> {
        let metadata = file.metadata()?;
        let new = Place { device: metadata.dev(), inode: metadata.ino(), ..Place::default() };
        let Some(known) = self.read().and_then(|text| Place::parse(&text)) else { return Ok(new) };
        let is_same = (known.device, known.inode) == (new.device, new.inode)
            && known.offset <= metadata.len()
            && head(file, known.head.0)? == known.head;
        Ok(if is_same { known } else { new })
    }

    /// Everything before `place.offset` is done with.
    pub fn note(&self, file: &File, place: &mut Place) -> Result<()> {
        if place.head.0 < HEAD {
            place.head = head(file, place.offset.min(HEAD))?;
        }
        let Place { device, inode, head, offset } = place;
        self.write(&format!("{device} {inode} {} {} {offset}\n", head.0, head.1))
    }
}

impl Place {
    fn parse(text: &str) -> Option<Place> {
        let numbers: Vec<u64> = text.split_whitespace().map(|word| word.parse().ok()).collect::<Option<_>>()?;
        let [device, inode, length, sum, offset] = numbers.try_into().ok()?;
        Some(Place { device, inode, head: (length, u32::try_from(sum).ok()?), offset })
    }
}

fn head(file: &File, length: u64) -> Result<(u64, u32)> {
    let mut bytes = vec![0; usize::try_from(length.min(HEAD))?];
    let mut got = 0;
    while let Some(rest) = bytes.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, got as u64)? {
            0 => break,
            more => got += more,
        }
    }
    Ok((got as u64, crc32fast::hash(bytes.get(..got).unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_again_unless_it_is_another_or_begins_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let note = Note::of(&folder.path().join("notes"), b"lines").unwrap();
        fs::write(&path, "one\ntwo\n").unwrap();
        let file = File::open(&path).unwrap();
        let mut place = note.place_in(&file).unwrap();
        assert_eq!(place.offset, 0);
        place.offset = 4;
        note.note(&file, &mut place).unwrap();
        fs::write(&path, "one\ntwo\nthree\n").unwrap(); // the same inode
        assert_eq!(note.place_in(&file).unwrap().offset, 4);
        fs::write(&path, "six\ntwo\nthree\n").unwrap();
        assert_eq!(note.place_in(&file).unwrap().offset, 0);
        fs::write(&path, "on").unwrap();
        assert_eq!(note.place_in(&file).unwrap().offset, 0);
        note.remove().unwrap();
        note.remove().unwrap();
        assert_eq!(note.read(), None);
    }
}
