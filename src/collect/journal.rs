//! The journal: every message is appended to a file before anything is made of it, and the file is removed when all
//! sinks have what is in it.
//!
//! It is write-ahead log and queue in one. What was written survives a killed collector at once, and a power failure
//! from a second later on, because [`Journal::sync`] is called twice a second. There is no replay of its own: whoever
//! was stopped goes on reading where the sink had got to. However far the sinks are behind, memory holds nothing of it.
//!
//! ```text
//! segment   _customs/journal/000000000017, entries one after the other
//! entry     length u32, CRC-32 u32 of what follows; arrival i64 (µs since 1970), via u8, uid u32, address 16 bytes;
//!           the message. Numbers are little-endian; the length counts what follows the CRC
//! ```
//!
//! An entry that is torn, or whose sum is wrong, ends its segment: nothing after it was ever acknowledged.

use crate::dataset::sync_folder;
use anyhow::{Context, Result, ensure};
use nix::sys::statvfs::statvfs;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A segment is closed when it is that long, and another begun.
const SEGMENT: u64 = 32 << 20;
/// How often it is asked how much room the disk has.
const ASK: Duration = Duration::from_millis(100);
/// Bytes of an entry before the message.
const HEADER: usize = 8 + FIXED;
/// Those of them that the sum covers.
const FIXED: usize = 8 + 1 + 4 + 16;
/// The longest message; the longest datagram has less.
pub const LONGEST: usize = 64 << 10;
/// Read at a time.
const CHUNK: usize = 1 << 20;

/// By which way a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A datagram from an address.
    Udp = 0,
    /// A datagram on a socket of this machine.
    Unix = 1,
    /// A stream from an address.
    Tcp = 2,
    /// A line of a file.
    File = 3,
}

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// By which way.
    pub via: Via,
    /// From which address.
    pub address: Option<IpAddr>,
    /// As which user, if the kernel says so.
    pub uid: Option<u32>,
}

/// A message as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Microseconds since 1970.
    pub arrived: i64,
    /// Who sent it.
    pub sender: Sender,
    /// What.
    pub message: &'a [u8],
}

impl Entry<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let length = (FIXED + self.message.len()) as u32;
        out.extend(length.to_le_bytes());
        out.extend([0; 4]);
        out.extend(self.arrived.to_le_bytes());
        out.push(self.sender.via as u8);
        out.extend(self.sender.uid.unwrap_or(u32::MAX).to_le_bytes());
        let address = match self.sender.address {
            Some(IpAddr::V4(address)) => address.to_ipv6_mapped(),
            Some(IpAddr::V6(address)) => address,
            None => Ipv6Addr::UNSPECIFIED,
        };
        out.extend(address.octets());
        out.extend(self.message);
        let sum = crc32fast::hash(&out[start + 8..]);
        out[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
    }
}

impl<'a> Entry<'a> {
    /// The entry at the beginning of `bytes`, and how long it is; `None` if there is no whole and sound one.
    fn read(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let (length, rest) = bytes.split_first_chunk()?;
        let (sum, rest) = rest.split_first_chunk()?;
        let length = u32::from_le_bytes(*length) as usize;
        let content = rest.get(..length)?;
        if crc32fast::hash(content) != u32::from_le_bytes(*sum) {
            return None;
        }
        let (arrived, content) = content.split_first_chunk()?;
        let (via, content) = content.split_first()?;
        let (uid, content) = content.split_first_chunk()?;
        let (address, message) = content.split_first_chunk::<16>()?;
        let via = match via {
            0 => Via::Udp,
            1 => Via::Unix,
            2 => Via::Tcp,
            _ => Via::File,
        };
        let address = Ipv6Addr::from(*address);
        let sender = Sender {
            via,
            address: (!address.is_unspecified()).then(|| IpAddr::V6(address).to_canonical()),
            uid: Some(u32::from_le_bytes(*uid)).filter(|uid| *uid != u32::MAX),
        };
        Some((Entry { arrived: i64::from_le_bytes(*arrived), sender, message }, 8 + length))
    }
}

/// A place in the journal: everything before it is done with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Number of the segment.
    pub segment: u64,
    /// Bytes into it.
    pub offset: u64,
}

/// The journal, as those who write see it.
pub struct Journal {
    folder: PathBuf,
    keep_free: u64,
    active: Mutex<Active>,
    /// Where each sink is.
    needed: Mutex<Vec<Position>>,
}

/// The segment that is being written.
struct Active {
    number: u64,
    file: Arc<File>,
    length: u64,
    begun: Instant,
    /// Room on the disk as of then.
    asked: Option<(Instant, bool)>,
    buffer: Vec<u8>,
    /// Segments that were closed since the last [`Journal::sync`].
    closed: Vec<Arc<File>>,
}

/// The disk has no room: nothing was written.
#[derive(Debug)]
pub struct Full;

impl Journal {
    /// The one in `folder`, of which `sinks` are known to have read so far.
    pub fn open(folder: &Path, keep_free: u64, sinks: &[Position]) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let last = segments(folder)?.last().copied().unwrap_or_default();
        let read = sinks.iter().map(|position| position.segment).max().unwrap_or_default();
        let active = Active::begin(folder, last.max(read) + 1)?;
        let active = Mutex::new(active);
        Ok(Journal { folder: folder.to_path_buf(), keep_free, active, needed: Mutex::new(sinks.to_vec()) })
    }

    fn active(&self) -> MutexGuard<'_, Active> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends all, or nothing.
    pub fn append<'e>(&self, entries: impl IntoIterator<Item = Entry<'e>>) -> Result<(), Full> {
        let active = &mut *self.active();
        active.buffer.clear();
        for entry in entries {
            entry.write(&mut active.buffer);
        }
        if !active.has_room(&self.folder, self.keep_free) {
            return Err(Full);
        }
        if active.length + active.buffer.len() as u64 > SEGMENT && active.length > 0 {
            active.roll(&self.folder).map_err(|_| Full)?;
        }
        match (&*active.file).write_all(&active.buffer) {
            Ok(()) => {
                active.length += active.buffer.len() as u64;
                Ok(())
            }
            Err(_) => {
                // What came before stays readable. If not even that works, the torn entry ends the segment.
                let _ = active.file.set_len(active.length);
                active.asked = Some((Instant::now(), false));
                Err(Full)
            }
        }
    }

    /// Makes everything that was appended last.
    pub fn sync(&self) -> io::Result<()> {
        let files = {
            let active = &mut *self.active();
            let mut files = std::mem::take(&mut active.closed);
            files.push(active.file.clone());
            files
        };
        // Not while those who receive wait for the lock.
        files.iter().try_for_each(|file| file.sync_data())
    }

    /// Closes the segment if it is older than `age` and has anything in it.
    pub fn roll(&self, age: Duration) -> io::Result<()> {
        let active = &mut *self.active();
        if active.length > 0 && active.begun.elapsed() >= age { active.roll(&self.folder) } else { Ok(()) }
    }

    /// A sink has everything before `position`; what no sink needs is removed.
    pub fn release(&self, sink: usize, position: Position) -> Result<()> {
        let mut needed = self.needed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = needed.get_mut(sink) {
            *place = position;
        }
        let least = needed.iter().map(|position| position.segment).min().unwrap_or_default();
        let active = self.active().number;
        let mut removed = false;
        for number in segments(&self.folder)?.into_iter().filter(|number| *number < least.min(active)) {
            let path = path(&self.folder, number);
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            removed = true;
        }
        if removed { sync_folder(&self.folder) } else { Ok(()) }
    }

    /// Bytes that some sink has yet to read.
    pub fn backlog(&self) -> u64 {
        let needed =
            self.needed.lock().unwrap_or_else(PoisonError::into_inner).iter().min().copied().unwrap_or_default();
        let (number, length) = {
            let active = self.active();
            (active.number, active.length)
        };
        let sealed = segments(&self.folder).unwrap_or_default();
        let sealed = sealed.into_iter().filter(|segment| (needed.segment..number).contains(segment));
        let before: u64 =
            sealed.map(|segment| path(&self.folder, segment).metadata().map_or(0, |file| file.len())).sum();
        (before + length).saturating_sub(needed.offset)
    }

    /// How far a segment may be read, and whether it ends there.
    fn end(&self, segment: u64, file: &File) -> io::Result<(u64, bool)> {
        let active = self.active();
        if segment == active.number { Ok((active.length, false)) } else { Ok((file.metadata()?.len(), true)) }
    }
}

impl Active {
    fn begin(folder: &Path, number: u64) -> Result<Self> {
        let path = path(folder, number);
        let file = OpenOptions::new().append(true).create_new(true).read(true).open(&path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Active {
            number,
            file: Arc::new(file),
            length: 0,
            begun: Instant::now(),
            asked: None,
            buffer: Vec::new(),
            closed: Vec::new(),
        })
    }

    fn roll(&mut self, folder: &Path) -> io::Result<()> {
        let next = Active::begin(folder, self.number + 1).map_err(|error| io::Error::other(format!("{error:#}")))?;
        self.closed.push(self.file.clone());
        let Active { number, file, length, begun, .. } = next;
        (self.number, self.file, self.length, self.begun) = (number, file, length, begun);
        Ok(())
    }

    /// Whether the disk has `keep_free` bytes: without them, the sinks could not make room either.
    fn has_room(&mut self, folder: &Path, keep_free: u64) -> bool {
        if let Some((asked, answer)) = self.asked
            && asked.elapsed() < ASK
        {
            return answer;
        }
        let answer = statvfs(folder).is_ok_and(|disk| disk.blocks_available() * disk.fragment_size() > keep_free);
        self.asked = Some((Instant::now(), answer));
        answer
    }
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:012}"))
}

/// The numbers of the segments that there are, in order.
fn segments(folder: &Path) -> Result<Vec<u64>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut numbers: Vec<u64> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The journal, as a sink reads it.
pub struct Follower<'j> {
    journal: &'j Journal,
    position: Position,
    file: Option<File>,
    buffer: Vec<u8>,
}

/// What a step of reading came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// There were entries, and they were handed on.
    Entries,
    /// The segment is over; the position is at the beginning of the next.
    EndOfSegment,
    /// Everything that was written has been read.
    UpToDate,
}

impl<'j> Follower<'j> {
    /// From `position` on.
    pub fn new(journal: &'j Journal, position: Position) -> Self {
        Follower { journal, position, file: None, buffer: vec![0; CHUNK] }
    }

    /// Where it is.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Hands on the next entries.
    pub fn step(&mut self, mut take: impl FnMut(Entry) -> Result<()>) -> Result<Step> {
        let folder = &self.journal.folder;
        let file = match &self.file {
            Some(file) => file,
            None => {
                // The first that is there: those before it were removed.
                let Some(next) = segments(folder)?.into_iter().find(|number| *number >= self.position.segment) else {
                    return Ok(Step::UpToDate);
                };
                if next > self.position.segment {
                    self.position = Position { segment: next, offset: 0 };
                }
                let path = path(folder, next);
                self.file.insert(File::open(&path).with_context(|| format!("cannot read {}", path.display()))?)
            }
        };
        let (end, is_closed) = self.journal.end(self.position.segment, file)?;
        let wanted = usize::try_from(end.saturating_sub(self.position.offset))?.min(CHUNK);
        let Some(space) = self.buffer.get_mut(..wanted) else { return Ok(Step::UpToDate) };
        let got = file.read_at(space, self.position.offset).context("cannot read the journal")?;
        let mut bytes = self.buffer.get(..got).unwrap_or_default();
        let mut count = 0;
        while let Some((entry, length)) = Entry::read(bytes) {
            self.position.offset += length as u64;
            bytes = bytes.get(length..).unwrap_or_default();
            count += 1;
            take(entry)?;
        }
        if count > 0 {
            return Ok(Step::Entries);
        }
        if is_closed {
            self.file = None;
            self.position = Position { segment: self.position.segment + 1, offset: 0 };
            return Ok(Step::EndOfSegment);
        }
        ensure!(wanted < LONGEST + HEADER, "the journal cannot be read at {:?}", self.position);
        Ok(Step::UpToDate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const SENDER: Sender =
        Sender { via: Via::Udp, address: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))), uid: Some(7) };

    fn entry(number: i64) -> Entry<'static> {
        Entry { arrived: number, sender: SENDER, message: b"<6>1 - - customs - - - {}" }
    }

    fn read(follower: &mut Follower) -> (Vec<i64>, Step) {
        let mut found = Vec::new();
        loop {
            let step = follower.step(|entry| {
                assert_eq!(entry.sender, SENDER);
                found.push(entry.arrived);
                Ok(())
            });
            match step.unwrap() {
                Step::Entries => {}
                step => return (found, step),
            }
        }
    }

    #[test]
    fn what_was_written_is_read_in_order_and_removed_when_nobody_needs_it() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path(), 0, &[Position::default()]).unwrap();
        let mut follower = Follower::new(&journal, Position::default());
        assert_eq!(read(&mut follower), (vec![], Step::UpToDate));
        journal.append([entry(1), entry(2)]).unwrap();
        assert_eq!(read(&mut follower), (vec![1, 2], Step::UpToDate));
        journal.append([entry(3)]).unwrap();
        journal.roll(Duration::ZERO).unwrap();
        journal.append([entry(4)]).unwrap();
        assert_eq!(read(&mut follower), (vec![3], Step::EndOfSegment));
        let position = follower.position();
        assert_eq!(read(&mut follower), (vec![4], Step::UpToDate));
        assert!(journal.backlog() > 0);
        journal.release(0, position).unwrap();
        assert_eq!(segments(folder.path()).unwrap(), [2]);
        journal.release(0, follower.position()).unwrap();
        assert_eq!(journal.backlog(), 0);
    }

    #[test]
    fn a_torn_or_damaged_end_is_passed_over_and_what_came_before_it_is_not() {
        for damage in [1, 9, 40] {
            let folder = tempfile::tempdir().unwrap();
            Journal::open(folder.path(), 0, &[]).unwrap().append([entry(1), entry(2)]).unwrap();
            let file = OpenOptions::new().write(true).open(path(folder.path(), 1)).unwrap();
            let length = file.metadata().unwrap().len();
            match damage {
                40 => file.write_at(b"X", length - 3).map(drop).unwrap(),
                cut => file.set_len(length - cut).unwrap(),
            }
            let journal = Journal::open(folder.path(), 0, &[Position::default()]).unwrap();
            journal.append([entry(3)]).unwrap();
            let mut follower = Follower::new(&journal, Position::default());
            assert_eq!(read(&mut follower), (vec![1], Step::EndOfSegment));
            assert_eq!(read(&mut follower), (vec![3], Step::UpToDate));
        }
    }

    #[test]
    fn a_disk_without_room_takes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path(), u64::MAX, &[]).unwrap();
        assert!(journal.append([entry(1)]).is_err());
    }
}
