//! A file in the hands of the compiler: its tables are read one by one, and what is wrong is collected.

use super::problem::{Fault, File, Kind, Problem};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::ops::Range;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// One file and its problems.
pub struct Source {
    pub file: Arc<File>,
    problems: RefCell<Vec<Problem>>,
}

impl Source {
    pub fn new(name: &str, text: &str) -> Self {
        let file = File { name: name.to_string(), text: text.to_string() };
        Source { file: Arc::new(file), problems: RefCell::default() }
    }

    /// The file's problems, in the order of the file.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.problems.take();
        problems.sort_by_key(|problem| problem.span.start);
        problems
    }

    /// Whether it is not even TOML.
    pub fn is_broken(&self) -> bool {
        self.problems.borrow().iter().any(|problem| problem.kind == Kind::Syntax)
    }

    pub fn report(&self, kind: Kind, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        let (file, message, help) = (self.file.clone(), message.into(), help.into());
        self.problems.borrow_mut().push(Problem { kind, file, span, message, help });
    }

    /// The value, or what is wrong with it.
    pub fn accept<T>(&self, span: Range<usize>, value: Result<T, Fault>) -> Option<T> {
        value.map_err(|Fault { message, help }| self.report(Kind::BadValue, span, message, help)).ok()
    }

    /// The file's outermost table; what is not TOML is reported and the rest of the file is read all the same.
    pub fn tables(&self) -> DeTable<'_> {
        let (table, errors) = DeTable::parse_recoverable(&self.file.text);
        for error in errors {
            let help = "this is TOML, see https://toml.io; check quotes, brackets and commas around here";
            self.report(Kind::Syntax, error.span().unwrap_or(0..0), error.message().trim_end(), help);
        }
        table.into_inner()
    }

    /// `[[name]]`: each table for itself, with what of it could be read.
    pub fn array<'d>(&self, name: &str, value: Spanned<DeValue<'d>>) -> Vec<Spanned<DeValue<'d>>> {
        let span = value.span();
        if let DeValue::Array(items) = value.into_inner() {
            return items.into_iter().collect();
        }
        let help = format!("write `[[{name}]]`, in two pairs of brackets, above each of them");
        self.report(Kind::WrongType, span, format!("`{name}` is not a list of tables"), help);
        Vec::new()
    }

    /// One table. An entry that is wrong is reported, then the rest of the table is read without it.
    pub fn read<'d, T: Deserialize<'d>>(&self, mut table: Spanned<DeValue<'d>>) -> Option<T> {
        let mut dropped: Vec<String> = Vec::new();
        loop {
            let error = match T::deserialize(ValueDeserializer::from(table.clone())) {
                Ok(value) => return Some(value),
                Err(error) => error,
            };
            let message = error.message().lines().next().unwrap_or_default();
            let consequence = missing_key(message).is_some_and(|key| dropped.iter().any(|dropped| dropped == key));
            let span = error.span().unwrap_or_else(|| table.span());
            if !consequence {
                self.explain(message, span.clone());
            }
            dropped.push(remove_entry_at(&mut table, span.start)?);
        }
    }

    /// Says in a site's words what serde says in its own.
    fn explain(&self, message: &str, span: Range<usize>) {
        if let Some((key, known)) = unknown_key(message) {
            return self.unknown_key(key, span, &known);
        }
        if let Some(key) = missing_key(message) {
            let (message, help) = (format!("`{key}` is missing here"), format!("add `{key} = …` to this table"));
            return self.report(Kind::MissingKey, span, message, help);
        }
        let found_expected = message
            .strip_prefix("invalid type: ")
            .or_else(|| message.strip_prefix("invalid value: "))
            .and_then(|rest| rest.split_once(", expected "));
        let Some((found, expected)) = found_expected else {
            return self.report(Kind::WrongType, span, message, "docs/SITE.md says what belongs here");
        };
        let (found, expected) = (plain(found), plain(expected));
        let help = match expected.as_str() {
            "a list" => "write a list: [\"…\", \"…\"]".to_string(),
            "a text" => "write it in quotes".to_string(),
            other => format!("write {other} here"),
        };
        self.report(Kind::WrongType, span, format!("this is {found}, and {expected} is expected"), help);
    }

    /// A key that means nothing where it stands, and the one that was probably meant.
    pub fn unknown_key(&self, key: &str, span: Range<usize>, known: &[&str]) {
        let help = nearest(key, known)
            .map_or_else(|| format!("known here: {}", known.join(", ")), |meant| format!("did you mean `{meant}`?"));
        self.report(Kind::UnknownKey, span, format!("unknown key `{key}`"), help);
    }
}

/// The word of `known` that `word` is a misspelling of.
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let distance = |other: &str| strsim::damerau_levenshtein(&word.to_lowercase(), &other.to_lowercase());
    let near = known.iter().map(|other| (distance(other), *other)).min()?;
    (near.0 <= word.chars().count().div_ceil(3)).then_some(near.1)
}

fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let mut quoted = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    Some((quoted.next()?, quoted.collect()))
}

fn missing_key(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// serde's names for what TOML calls otherwise.
fn plain(words: &str) -> String {
    let words = words.strip_prefix("string ").map_or_else(|| words.to_string(), |text| format!("the text {text}"));
    match words.as_str() {
        "a sequence" | "sequence" => "a list".to_string(),
        "a string" => "a text".to_string(),
        "a boolean" => "true or false".to_string(),
        "map" => "a table".to_string(),
        "i64" | "u32" => "a whole number".to_string(),
        "f64" => "a number".to_string(),
        _ if words.starts_with("struct ") => "a table".to_string(),
        _ => words,
    }
}

/// Takes the entry around `offset` out of the table and returns its key.
fn remove_entry_at(table: &mut Spanned<DeValue<'_>>, offset: usize) -> Option<String> {
    let DeValue::Table(table) = table.get_mut() else { return None };
    let key = table
        .iter()
        .find(|(key, value)| key.span().contains(&offset) || value.span().contains(&offset))
        .map(|(key, _)| key.get_ref().to_string())?;
    table.remove(key.as_str());
    Some(key)
}
