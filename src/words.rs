//! Texts and sets of them as small numbers.

use ahash::RandomState;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::mem;
use std::sync::Arc;

/// Texts, each with a number.
#[derive(Default)]
pub struct Words {
    known: HashMap<Arc<str>, u32, RandomState>,
    all: Vec<Arc<str>>,
}

impl Words {
    /// The number of a text.
    pub fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.known.get(text) {
            return *number;
        }
        let number = u32::try_from(self.all.len()).expect("fewer texts than memory holds");
        let text: Arc<str> = text.into();
        self.known.insert(text.clone(), number);
        self.all.push(text);
        number
    }

    /// Whether there is such a text.
    pub fn has(&self, text: &str) -> bool {
        self.known.contains_key(text)
    }

    /// The text of a number.
    pub fn text(&self, number: u32) -> &Arc<str> {
        &self.all[number as usize]
    }

    /// All, by their number.
    pub fn all(&self) -> &[Arc<str>] {
        &self.all
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }
}

/// Sets of numbers, each with a number of its own; 0 is the empty set.
#[derive(Clone)]
pub struct Sets {
    known: HashMap<Arc<[u32]>, u32, Quick>,
    all: Vec<Arc<[u32]>>,
    unions: HashMap<(u32, u32), u32, Quick>,
    /// Where unions are made.
    both: Vec<u32>,
}

/// What is in either of two sorted lists, sorted and each once.
fn merge(mut one: &[u32], mut other: &[u32], both: &mut Vec<u32>) {
    both.clear();
    while let ([first, rest @ ..], [second, others @ ..]) = (one, other) {
        both.push(*first.min(second));
        (one, other) = (if first <= second { rest } else { one }, if second <= first { others } else { other });
    }
    both.extend_from_slice(one);
    both.extend_from_slice(other);
}

impl Default for Sets {
    fn default() -> Self {
        let empty: Arc<[u32]> = Arc::new([]);
        Sets {
            known: HashMap::from_iter([(empty.clone(), 0)]),
            all: vec![empty],
            unions: HashMap::default(),
            both: Vec::new(),
        }
    }
}

impl Sets {
    /// The number of a set; what is given becomes sorted, and each member is in it once.
    pub fn number(&mut self, members: &mut Vec<u32>) -> u32 {
        members.sort_unstable();
        members.dedup();
        self.number_of(members)
    }

    /// The same of members that are sorted, each once.
    fn number_of(&mut self, members: &[u32]) -> u32 {
        if let Some(number) = self.known.get(members) {
            return *number;
        }
        let number = u32::try_from(self.all.len()).expect("fewer sets than memory holds");
        let members: Arc<[u32]> = members.into();
        self.known.insert(members.clone(), number);
        self.all.push(members);
        number
    }

    /// The set of what is in either.
    pub fn union(&mut self, one: u32, other: u32) -> u32 {
        if one == other || other == 0 {
            return one;
        }
        if one == 0 {
            return other;
        }
        let pair = (one.min(other), one.max(other));
        if let Some(number) = self.unions.get(&pair) {
            return *number;
        }
        let mut both = mem::take(&mut self.both);
        merge(self.members(one), self.members(other), &mut both);
        let number = match both.len() {
            length if length == self.members(one).len() => one,
            length if length == self.members(other).len() => other,
            _ => self.number_of(&both),
        };
        self.both = both;
        self.unions.insert(pair, number);
        number
    }

    /// The same sets, of which it is not remembered any more which is the union of which.
    pub fn without_unions(self) -> Self {
        Sets { unions: HashMap::default(), both: Vec::new(), ..self }
    }

    /// What is in a set, sorted.
    pub fn members(&self, number: u32) -> &Arc<[u32]> {
        &self.all[number as usize]
    }

    /// All, by their number.
    pub fn all(&self) -> &[Arc<[u32]>] {
        &self.all
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }
}

/// For keys that are numbers of our own making, which nobody from outside can choose so that they collide.
pub type Quick = BuildHasherDefault<Multiply>;

/// See [`Quick`].
#[derive(Clone, Copy, Default)]
pub struct Multiply(u64);

impl Hasher for Multiply {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, tail) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        if !tail.is_empty() {
            self.write_u64(tail.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::Sets;

    #[test]
    fn a_union_is_what_is_in_either_and_no_new_set_where_one_has_all() {
        let mut sets = Sets::default();
        let [odd, small, both] = [vec![1, 3, 5], vec![1, 2, 3], vec![5, 1, 3, 2]].map(|mut set| sets.number(&mut set));
        assert_eq!(sets.union(odd, small), both);
        assert_eq!(sets.union(small, odd), both);
        let one = sets.number(&mut vec![3]);
        assert_eq!([sets.union(one, odd), sets.union(both, small), sets.union(0, one)], [odd, both, one]);
        assert_eq!(sets.len(), 5);
        assert_eq!(**sets.members(both), [1, 2, 3, 5]);
    }
}
