//! What can be wrong with a site file, and where.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

/// A file that was read: the site file or a package list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, as a person can open it.
    pub name: String,
    /// What it says.
    pub text: String,
}

impl File {
    /// Line and column of a byte offset, both from 1; the column counts characters.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// The sort of a problem, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not TOML.
    Syntax,
    /// A key that means nothing here.
    UnknownKey,
    /// A key that has to be there.
    MissingKey,
    /// A number where a text belongs, a text where a list belongs, …
    WrongType,
    /// A name that stands twice.
    Duplicate,
    /// A value that cannot be meant.
    BadValue,
    /// A name of something that does not exist: a transport, a field, a group, a file.
    NotFound,
    /// More than the library has room for.
    TooLarge,
}

impl Kind {
    /// The word for it in `--json`.
    pub fn key(self) -> &'static str {
        match self {
            Kind::Syntax => "syntax",
            Kind::UnknownKey => "unknown-key",
            Kind::MissingKey => "missing-key",
            Kind::WrongType => "wrong-type",
            Kind::Duplicate => "duplicate",
            Kind::BadValue => "bad-value",
            Kind::NotFound => "not-found",
            Kind::TooLarge => "too-large",
        }
    }
}

/// One thing that is wrong, the place, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The sort of it.
    pub kind: Kind,
    /// The file it is in.
    pub file: Arc<File>,
    /// Bytes of the file it is about.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.file.line_column(self.span.start);
        write!(f, "{}:{line}:{column}: {}; {}", self.file.name, self.message, self.help)
    }
}

/// Everything that is wrong with a site file and the lists it includes, in the order of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            let separator = if number == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl core::error::Error for Rejected {}

/// What is wrong with a single value, before anyone knows where it stands.
pub(super) struct Fault {
    pub message: String,
    pub help: String,
}

impl Fault {
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Fault { message: message.into(), help: help.into() }
    }
}
