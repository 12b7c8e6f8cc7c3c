//! From the journal into a sink: messages are read, checked, joined and handed on, and the place is noted up to which
//! the sink has kept them.

use super::Shared;
use super::journal::{Entry, Follower, Position, Sender, Step, Via};
use super::listen::now;
use super::rejects::Rejects;
use super::sinks::Sink;
use super::verify::Verifier;
use crate::dataset::rows::Arrival;
use crate::dataset::sync_folder;
use crate::record::{Joiner, Record, read};
use anyhow::{Context, Result};
use std::collections::HashSet;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a sink that keeps records as they come lets them wait.
const SOON: Duration = Duration::from_millis(500);
/// Between two looks at a journal in which nothing was new.
const IDLE: Duration = Duration::from_millis(50);
/// How long parts of a record are waited for.
const PARTS: Duration = Duration::from_secs(5);
/// And how many records may be waiting for some, with how many names.
const MOST_WAITING: usize = 10_000;
const MOST_NAMES: usize = 500_000;
/// Bytes of messages after which a sink that keeps records as they come is to keep them, however few they are.
const MOST_BYTES: usize = 8 << 20;
/// Between two tries of a sink that failed: this, and twice as long each time, up to a minute.
const AGAIN: Duration = Duration::from_secs(1);
/// Messages that are remembered, to know them when they come again.
const REMEMBERED: usize = 500_000;

/// The position of a sink, in a file.
pub struct Bookmark {
    path: PathBuf,
}

impl Bookmark {
    /// For the sink of that name.
    pub fn of(folder: &Path, sink: &str) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let plain: String = sink.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let sum = crc32fast::hash(sink.as_bytes());
        let name = if plain == sink { plain } else { format!("{plain:.40}-{sum:08x}") };
        Ok(Bookmark { path: folder.join(name) })
    }

    /// The beginning, if nothing was noted.
    pub fn read(&self) -> Result<Position> {
        let text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Position::default()),
            text => text.with_context(|| format!("cannot read {}", self.path.display()))?,
        };
        let position = text.trim().split_once(' ').and_then(|(segment, offset)| {
            Some(Position { segment: segment.parse().ok()?, offset: offset.parse().ok()? })
        });
        position.with_context(|| format!("{} is damaged; remove it to begin with what is left", self.path.display()))
    }

    fn write(&self, position: Position) -> Result<()> {
        let new = self.path.with_extension("new");
        let write = || {
            let mut file = File::create(&new)?;
            writeln!(file, "{} {}", position.segment, position.offset)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)
        };
        write().with_context(|| format!("cannot write {}", self.path.display()))?;
        // Before files of the dataset are merged that a segment before it would bring again.
        self.path.parent().map_or(Ok(()), sync_folder)
    }
}

/// One sink and what stands before it.
pub struct Feed<'s> {
    shared: &'s Shared,
    number: usize,
    sink: Box<dyn Sink>,
    bookmark: Bookmark,
    verifier: Verifier,
    /// The first feed counts messages, and keeps the rejected ones; the others see the same.
    rejects: Option<Rejects>,
    joiner: Joiner<Arrival>,
    joining: Option<Instant>,
    recent: Recent,
    taken: usize,
    /// The messages that these were.
    bytes: usize,
}

impl<'s> Feed<'s> {
    /// The sink of that number.
    pub fn new(
        shared: &'s Shared,
        number: usize,
        sink: Box<dyn Sink>,
        bookmark: Bookmark,
        rejects: Option<Rejects>,
    ) -> Self {
        let verifier = Verifier::new(shared.looks_up);
        let (joiner, recent) = (Joiner::default(), Recent::default());
        Feed { shared, number, sink, bookmark, verifier, rejects, joiner, joining: None, recent, taken: 0, bytes: 0 }
    }

    /// Feeds until the journal is closed and read to its end.
    pub fn run(mut self) -> Result<()> {
        let shared = self.shared;
        let mut follower = Follower::new(&shared.journal, self.bookmark.read()?);
        let mut since = Instant::now();
        loop {
            let is_last = shared.is_closed(); // asked before the look that may find nothing
            let step = follower.step(|entry| self.take(&entry))?;
            let position = follower.position();
            if step == Step::UpToDate && self.rejects.is_some() {
                shared.metrics.lag_milliseconds.set(0);
            }
            let is_over = step == Step::EndOfSegment || (is_last && step == Step::UpToDate);
            if is_over || self.has_waited_enough() {
                self.give_up_on_parts()?;
            }
            let is_due = match step {
                Step::EndOfSegment => true,
                _ if self.sink.keeps_whole_segments() || self.joiner.len() > 0 => false,
                Step::UpToDate if is_last => self.taken > 0,
                _ => {
                    self.taken >= self.sink.most()
                        || self.bytes >= MOST_BYTES
                        || (self.taken > 0 && since.elapsed() > SOON)
                }
            };
            if is_due && !self.commit(position)? {
                return Ok(()); // there was no end to its failing
            }
            if is_due || self.taken == 0 {
                since = Instant::now();
            }
            if step == Step::UpToDate {
                if is_last {
                    return Ok(());
                }
                std::thread::sleep(IDLE);
            }
        }
    }

    fn take(&mut self, entry: &Entry) -> Result<()> {
        let shared = self.shared;
        let counts = self.rejects.is_some();
        self.bytes += entry.message.len();
        let mut record = match read(entry.message) {
            Ok(record) => record,
            Err(why) => {
                if let Some(rejects) = &mut self.rejects {
                    shared.metrics.rejected.add(why.reason, 1);
                    rejects.add(entry, &source(&entry.sender), &why);
                }
                return Ok(());
            }
        };
        if counts {
            shared.metrics.parsed.add(1);
            shared.metrics.lag_milliseconds.set(u64::try_from((now() - entry.arrived) / 1000).unwrap_or_default());
        }
        if self.recent.knows(&record) {
            if counts {
                shared.metrics.duplicate.add(1);
            }
            return Ok(());
        }
        let verdict = self.verifier.look_at(&mut record, &entry.sender);
        if counts {
            shared.metrics.mismatched_host.add(u64::from(verdict.host == Some(false)));
            shared.metrics.mismatched_uid.add(u64::from(verdict.uid == Some(false)));
        }
        let arrival = Arrival {
            time: entry.arrived,
            source: source(&entry.sender),
            host_verified: verdict.host,
            uid_verified: verdict.uid,
        };
        if record.is_whole() {
            self.taken += 1;
            return self.sink.take(&record, &arrival);
        }
        let Some((record, arrival)) = self.joiner.take(record, arrival) else {
            self.joining.get_or_insert_with(Instant::now);
            return Ok(());
        };
        if self.joiner.len() == 0 {
            self.joining = None; // or the parts that come next would be late at once
        }
        if counts {
            shared.metrics.joined.add(1);
        }
        self.taken += 1;
        self.sink.take(&record, &arrival)
    }

    /// Whether parts that are waited for stand in the way.
    fn has_waited_enough(&self) -> bool {
        if self.joiner.len() > MOST_WAITING || self.joiner.names() > MOST_NAMES {
            return true;
        }
        let is_late = self.joining.is_some_and(|since| since.elapsed() > PARTS);
        let is_much = self.taken / 16 > self.sink.most() || self.bytes > 4 * MOST_BYTES;
        !self.sink.keeps_whole_segments() && self.joiner.len() > 0 && (is_late || is_much)
    }

    /// Hands on what waits for its parts. Those that come later are joined when files of the dataset are merged.
    fn give_up_on_parts(&mut self) -> Result<()> {
        self.joining = None;
        for (record, arrival) in self.joiner.incomplete() {
            if self.rejects.is_some() {
                self.shared.metrics.incomplete.add(1);
            }
            self.taken += 1;
            self.sink.take(&record, &arrival)?;
        }
        Ok(())
    }

    /// Until it works; `false` if it was told to stop and it does not.
    fn commit(&mut self, position: Position) -> Result<bool> {
        let mut wait = AGAIN;
        loop {
            let kept = self.sink.commit(position).and_then(|count| self.bookmark.write(position).map(|()| count));
            let problem = match kept {
                Ok(count) => {
                    self.shared.metrics.written.add(&self.sink.name(), count);
                    (self.taken, self.bytes) = (0, 0);
                    self.shared.journal.release(self.number, position)?;
                    return Ok(true);
                }
                Err(problem) => problem,
            };
            self.shared.metrics.failures.add(&self.sink.name(), 1);
            self.shared.say(&format!("{}: {problem:#}; trying again in {} s", self.sink.name(), wait.as_secs()));
            let until = Instant::now() + wait;
            while Instant::now() < until {
                if self.shared.is_closed() {
                    // What it has not kept stays in the journal.
                    return Ok(false);
                }
                std::thread::sleep(IDLE);
            }
            wait = (wait * 2).min(Duration::from_secs(60));
        }
    }
}

/// Who sent it, as the dataset has it.
fn source(sender: &Sender) -> String {
    match (sender.via, sender.address) {
        (_, Some(address)) => address.to_string(),
        (Via::File, None) => "file".to_string(),
        _ => "unix".to_string(),
    }
}

/// What came lately. What comes again later is found when files of the dataset are merged.
struct Recent {
    hash: RandomState,
    young: HashSet<u64>,
    old: HashSet<u64>,
}

impl Default for Recent {
    fn default() -> Self {
        Recent { hash: RandomState::new(), young: HashSet::new(), old: HashSet::new() }
    }
}

impl Recent {
    fn knows(&mut self, record: &Record) -> bool {
        let list = record.text(customs_spec::record::Field::List);
        let key = (record.id, record.seq, list, record.elapsed.to_bits(), &record.missing);
        let key = self.hash.hash_one(key);
        if self.young.len() >= REMEMBERED / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.contains(&key) || !self.young.insert(key)
    }
}
