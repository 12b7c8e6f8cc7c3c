//! Parts of a record become one. Joining is a union, so a part that comes twice does no harm, and parts that come far
//! apart can be joined later.

use super::Record;
use super::read::MOST_NAMES;
use customs_spec::record::Field;
use std::collections::{HashMap, HashSet};

/// What the parts of a record share, and other records do not.
pub type Identity = ([u8; 16], u32, String);

impl Record<'_> {
    /// Whether every part is in it.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty()
    }

    /// What its parts share.
    pub fn identity(&self) -> Identity {
        (self.id, self.seq, self.text(Field::List).to_string())
    }
}

impl<'a> Record<'a> {
    /// Takes in another part of the same record.
    pub fn join(&mut self, other: Record<'a>) {
        self.missing.retain(|part| other.missing.contains(part));
        for (mine, others) in [
            (&mut self.packages, other.packages),
            (&mut self.direct, other.direct),
            (&mut self.libraries, other.libraries),
        ] {
            unite(mine, others, |name| name);
        }
        unite(&mut self.versions, other.versions, |(name, _)| name);
    }

    /// How many names are in it: what it takes of memory goes by that.
    fn names(&self) -> usize {
        self.packages.len() + self.direct.len() + self.libraries.len() + self.versions.len()
    }
}

/// Adds to `mine` what it has not, up to as much as one message may have: nobody who makes up parts gets further.
fn unite<T>(mine: &mut Vec<T>, others: Vec<T>, name: impl Fn(&T) -> &str) {
    let mut known: HashSet<&str> = mine.iter().map(&name).collect();
    let is_new: Vec<bool> = others.iter().map(|other| known.insert(name(other))).collect();
    mine.extend(others.into_iter().zip(is_new).filter_map(|(other, is_new)| is_new.then_some(other)));
    mine.truncate(MOST_NAMES);
}

/// Records of which parts are awaited, with what else is to be kept of them.
pub struct Joiner<T> {
    waiting: HashMap<Identity, (Record<'static>, T)>,
    names: usize,
}

impl<T> Default for Joiner<T> {
    fn default() -> Self {
        Joiner { waiting: HashMap::new(), names: 0 }
    }
}

impl<T> Joiner<T> {
    /// Takes what is a part; gives the record once all of it is there. `also` is kept of the part that came first.
    pub fn take(&mut self, record: Record<'_>, also: T) -> Option<(Record<'static>, T)> {
        let identity = record.identity();
        let record = record.into_owned();
        let (mut whole, also) = match self.waiting.remove(&identity) {
            Some((mut known, first)) => {
                self.names -= known.names();
                known.join(record);
                (known, first)
            }
            None => (record, also),
        };
        if whole.is_whole() {
            whole.missing = Vec::new();
            return Some((whole, also));
        }
        self.names += whole.names();
        self.waiting.insert(identity, (whole, also));
        None
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many names they have, all together.
    pub fn names(&self) -> usize {
        self.names
    }

    /// Those that wait, as far as they came.
    pub fn incomplete(&mut self) -> Vec<(Record<'static>, T)> {
        self.names = 0;
        std::mem::take(&mut self.waiting).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn part(number: u8, name: &'static str) -> Record<'static> {
        let packages = vec![Cow::Borrowed(name)];
        let versions = vec![(Cow::Borrowed(name), Cow::Borrowed("1"))];
        Record { missing: (1..=3).filter(|part| *part != number).collect(), packages, versions, ..Record::default() }
    }

    #[test]
    fn parts_are_joined_in_whatever_order_and_however_often_they_come() {
        let mut joiner = Joiner::default();
        assert!(joiner.take(part(3, "c"), 1).is_none());
        assert!(joiner.take(part(1, "a"), 2).is_none());
        assert!(joiner.take(part(1, "a"), 3).is_none());
        assert!(joiner.take(Record { seq: 1, ..part(1, "a") }, 4).is_none());
        let (whole, first) = joiner.take(part(2, "b"), 5).unwrap();
        assert_eq!((whole.packages.join(""), whole.versions.len(), first), ("cab".to_string(), 3, 1));
        assert!(whole.is_whole());
        let rest = joiner.incomplete();
        assert_eq!((rest.len(), rest[0].0.missing.as_slice()), (1, [2, 3].as_slice()));
        assert_eq!((joiner.len(), joiner.names()), (0, 0));
    }

    #[test]
    fn parts_that_somebody_makes_up_end_at_as_many_names_as_a_message_may_have() {
        let mut joiner = Joiner::default();
        for part in 1..=200_u8 {
            let packages = (0..MOST_NAMES).map(|name| format!("{part}-{name}").into()).collect();
            let missing = (1..=255).filter(|other| *other != part).collect();
            joiner.take(Record { missing, packages, ..Record::default() }, ());
        }
        assert_eq!((joiner.len(), joiner.names()), (1, MOST_NAMES));
    }
}
