//! Records as they come back: the frame is taken off, the JSON object is read into [`Record`] and checked, and parts
//! are joined.
//!
//! Fields of one kind stand together in an array, in the order of [`TEXTS`], [`NUMBERS`] and [`FLAGS`]: whoever writes
//! them into columns does so in a loop, and names none of them a second time.

mod join;
mod json;
mod read;

use customs_spec::record::Field;
pub use join::Joiner;
pub use read::{Rejected, arrival_in, message_in, read, time_of};
use std::borrow::Cow;

/// The fields that hold one text each.
pub const TEXTS: [Field; 15] = [
    Field::List,
    Field::Policy,
    Field::Host,
    Field::System,
    Field::Subsystem,
    Field::Username,
    Field::Executable,
    Field::Main,
    Field::Prefix,
    Field::Python,
    Field::Container,
    Field::JobId,
    Field::Qos,
    Field::Repo,
    Field::Exit,
];
/// The fields that hold a whole number each; -1 where a site omits one of a process or user.
pub const NUMBERS: [Field; 4] = [Field::Uid, Field::Pid, Field::Ppid, Field::NumNodes];
/// The fields that hold yes or no.
pub const FLAGS: [Field; 3] = [Field::IsCompute, Field::IsShifter, Field::IsStaff];

/// What one message says of one process: a record, or a part of one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record<'a> {
    /// 128 bits that name the process.
    pub id: [u8; 16],
    /// Of one `id` and list the highest counts.
    pub seq: u32,
    /// The parts that are not in it, of those that the record was split into.
    pub missing: Vec<u8>,
    /// In the order of [`TEXTS`].
    pub texts: [Cow<'a, str>; TEXTS.len()],
    /// In the order of [`NUMBERS`].
    pub numbers: [i64; NUMBERS.len()],
    /// In the order of [`FLAGS`].
    pub flags: [bool; FLAGS.len()],
    /// Microseconds since 1970; `None` where a site omits it.
    pub start: Option<i64>,
    /// Seconds.
    pub elapsed: f64,
    /// Names of the list that were found.
    pub packages: Vec<Cow<'a, str>>,
    /// Name and version.
    pub versions: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Names that the user's own code binds.
    pub direct: Vec<Cow<'a, str>>,
    /// Names that were found as mapped shared libraries.
    pub libraries: Vec<Cow<'a, str>>,
    /// Sampling rate of the list.
    pub rate: Option<f64>,
    /// 1 over the share of such processes that report.
    pub weight: Option<f64>,
    /// What the process claims to be a canary of.
    pub canary: Option<Cow<'a, str>>,
    /// `id` of the process it came from.
    pub parent: Option<[u8; 16]>,
}

impl<'a> Record<'a> {
    /// One of [`TEXTS`]; empty for every other field.
    pub fn text(&self, field: Field) -> &str {
        TEXTS.iter().zip(&self.texts).find(|(name, _)| **name == field).map_or("", |(_, text)| text)
    }

    /// The same, to be changed.
    pub fn text_mut(&mut self, field: Field) -> Option<&mut Cow<'a, str>> {
        TEXTS.iter().zip(&mut self.texts).find(|(name, _)| **name == field).map(|(_, text)| text)
    }

    /// One of [`NUMBERS`]; 0 for every other field.
    pub fn number(&self, field: Field) -> i64 {
        NUMBERS.iter().zip(self.numbers).find(|(name, _)| **name == field).map_or(0, |(_, number)| number)
    }

    /// The same record, standing on its own.
    pub fn into_owned(self) -> Record<'static> {
        let owned = |text: Cow<str>| Cow::Owned::<'static, str>(text.into_owned());
        let all = |texts: Vec<Cow<str>>| texts.into_iter().map(owned).collect();
        Record {
            texts: self.texts.map(owned),
            packages: all(self.packages),
            versions: self.versions.into_iter().map(|(name, version)| (owned(name), owned(version))).collect(),
            direct: all(self.direct),
            libraries: all(self.libraries),
            canary: self.canary.map(owned),
            ..self
        }
    }
}
