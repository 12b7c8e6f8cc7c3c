//! The columns of a batch of rows, as numbers of this program's own: what is in a dictionary is looked at once, however
//! many rows have it.

use crate::words::{Quick, Sets, Words};
use anyhow::{Context, Result};
use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef, BooleanArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{ArrowPrimitiveType, Int32Type};
use std::collections::HashMap;

/// A column of a batch.
fn column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    rows.column_by_name(name).with_context(|| format!("no column {name}"))
}

/// A column of numbers.
pub fn numbers<'a, T: ArrowPrimitiveType>(rows: &'a RecordBatch, name: &str) -> Result<&'a PrimitiveArray<T>> {
    column(rows, name)?.as_primitive_opt::<T>().with_context(|| format!("{name} is of another type"))
}

/// Marks as unlike the row before it each row that has another value in a column.
pub fn mark_changes<T: PartialEq>(values: &[T], is_like: &mut [bool]) {
    for (like, pair) in is_like.iter_mut().skip(1).zip(values.windows(2)) {
        *like &= pair[0] == pair[1];
    }
}

/// The same for a column in which null is a value.
pub fn mark_changes_or_nulls<T: PartialEq>(nulls: Option<&NullBuffer>, values: &[T], is_like: &mut [bool]) {
    mark_changes(values, is_like);
    if let Some(nulls) = nulls {
        for (row, like) in is_like.iter_mut().enumerate().skip(1) {
            *like &= nulls.is_valid(row) == nulls.is_valid(row - 1);
        }
    }
}

/// The same for a column of lists, of whose parts these are the offsets.
fn mark_changed_lists<T: PartialEq>(values: &[T], offsets: &[i32], is_like: &mut [bool]) {
    for (like, ends) in is_like.iter_mut().skip(1).zip(offsets.windows(3)) {
        let [first, middle, last] = [ends[0] as usize, ends[1] as usize, ends[2] as usize];
        *like = *like && values[first..middle] == values[middle..last];
    }
}

/// A column of yes and no.
pub fn flags<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a BooleanArray> {
    column(rows, name)?.as_boolean_opt().with_context(|| format!("{name} is neither yes nor no"))
}

/// What became of a dictionary: something for each of its texts.
///
/// Batches that follow each other often have the same dictionary. It is known again by the memory that it lies in, and is
/// kept, so that nothing else can come to lie there meanwhile.
struct Dictionary<T> {
    texts: Option<StringArray>,
    made: Vec<T>,
}

impl<T> Default for Dictionary<T> {
    fn default() -> Self {
        Dictionary { texts: None, made: Vec::new() }
    }
}

impl<T> Dictionary<T> {
    /// Whether it is another one than before.
    fn take(&mut self, values: &ArrayRef, make: impl FnMut(&str) -> T) -> Result<bool> {
        let texts = values.as_string_opt::<i32>().context("a dictionary of no texts")?;
        let is_same = self.texts.as_ref().is_some_and(|known| {
            let places = |texts: &StringArray| (texts.values().as_ptr(), texts.offsets().as_ptr(), texts.len());
            places(known) == places(texts)
        });
        if !is_same {
            self.made = texts.iter().map(Option::unwrap_or_default).map(make).collect();
            self.texts = Some(texts.clone());
        }
        Ok(!is_same)
    }
}

/// A column of texts, each made into something.
pub struct Coded<T> {
    name: &'static str,
    dictionary: Dictionary<T>,
    rows: Option<arrow::array::Int32Array>,
}

impl<T: Copy> Coded<T> {
    /// The column of this name.
    pub fn new(name: &'static str) -> Self {
        Coded { name, dictionary: Dictionary::default(), rows: None }
    }

    /// Goes on to the next batch.
    pub fn take(&mut self, rows: &RecordBatch, make: impl FnMut(&str) -> T) -> Result<()> {
        let texts = column(rows, self.name)?;
        let texts =
            texts.as_dictionary_opt::<Int32Type>().with_context(|| format!("{} has no dictionary", self.name))?;
        self.dictionary.take(texts.values(), make)?;
        self.rows = Some(texts.keys().clone());
        Ok(())
    }

    /// See [`mark_changes`].
    pub fn mark_changes(&self, is_like: &mut [bool]) {
        if let Some(keys) = &self.rows {
            mark_changes_or_nulls(keys.nulls(), keys.values(), is_like);
        }
    }

    /// What was made of a row's text; `None` for null.
    pub fn get(&self, row: usize) -> Option<T> {
        let keys = self.rows.as_ref()?;
        keys.is_valid(row).then(|| self.dictionary.made.get(keys.value(row) as usize).copied()).flatten()
    }
}

/// A column of lists of names: each row has a set.
pub struct Lists {
    name: &'static str,
    dictionary: Dictionary<u32>,
    known: HashMap<Box<[i32]>, u32, Quick>,
    keys: Option<arrow::array::Int32Array>,
    offsets: Vec<i32>,
    members: Vec<u32>,
}

impl Lists {
    /// The column of this name.
    pub fn new(name: &'static str) -> Self {
        Lists {
            name,
            dictionary: Dictionary::default(),
            known: HashMap::default(),
            keys: None,
            offsets: Vec::new(),
            members: Vec::new(),
        }
    }

    /// Goes on to the next batch.
    pub fn take(&mut self, rows: &RecordBatch, words: &mut Words) -> Result<()> {
        let lists =
            column(rows, self.name)?.as_list_opt::<i32>().with_context(|| format!("{} is no list", self.name))?;
        let texts = lists.values();
        let texts =
            texts.as_dictionary_opt::<Int32Type>().with_context(|| format!("{} has no dictionary", self.name))?;
        if self.dictionary.take(texts.values(), |text| words.number(text))? {
            self.known.clear();
        }
        self.keys = Some(texts.keys().clone());
        self.offsets.clear();
        self.offsets.extend_from_slice(lists.value_offsets());
        Ok(())
    }

    /// See [`mark_changes`].
    pub fn mark_changes(&self, is_like: &mut [bool]) {
        if let Some(keys) = &self.keys {
            mark_changed_lists(keys.values(), &self.offsets, is_like);
        }
    }

    /// The set of a row.
    pub fn get(&mut self, row: usize, sets: &mut Sets) -> u32 {
        let Some(keys) = &self.keys else { return 0 };
        let keys = &keys.values()[self.offsets[row] as usize..self.offsets[row + 1] as usize];
        if let Some(set) = self.known.get(keys) {
            return *set;
        }
        self.members.clear();
        self.members.extend(keys.iter().map(|key| self.dictionary.made[*key as usize]));
        let set = sets.number(&mut self.members);
        self.known.insert(keys.into(), set);
        set
    }
}

/// The column of versions: each row has a set of names that are a package, a space and a version.
pub struct Maps {
    name: &'static str,
    names: Dictionary<u32>,
    values: Dictionary<u32>,
    pairs: HashMap<(u32, u32), u32, Quick>,
    known: HashMap<Box<[u64]>, u32, Quick>,
    keys: Option<(arrow::array::Int32Array, arrow::array::Int32Array)>,
    offsets: Vec<i32>,
    row: Vec<u64>,
    members: Vec<u32>,
}

impl Maps {
    /// The column of this name.
    pub fn new(name: &'static str) -> Self {
        Maps {
            name,
            names: Dictionary::default(),
            values: Dictionary::default(),
            pairs: HashMap::default(),
            known: HashMap::default(),
            keys: None,
            offsets: Vec::new(),
            row: Vec::new(),
            members: Vec::new(),
        }
    }

    /// Goes on to the next batch.
    pub fn take(&mut self, rows: &RecordBatch, words: &mut Words) -> Result<()> {
        let maps = column(rows, self.name)?.as_map_opt().with_context(|| format!("{} is no map", self.name))?;
        let coded = |texts: &ArrayRef| {
            texts.as_dictionary_opt::<Int32Type>().cloned().with_context(|| format!("{} has no dictionary", self.name))
        };
        let (names, values) = (coded(maps.keys())?, coded(maps.values())?);
        let is_new = self.names.take(names.values(), |text| words.number(text))?;
        if self.values.take(values.values(), |text| words.number(text))? || is_new {
            self.known.clear();
        }
        self.keys = Some((names.keys().clone(), values.keys().clone()));
        self.offsets.clear();
        self.offsets.extend_from_slice(maps.value_offsets());
        Ok(())
    }

    /// See [`mark_changes`].
    pub fn mark_changes(&self, is_like: &mut [bool]) {
        if let Some((names, values)) = &self.keys {
            mark_changed_lists(names.values(), &self.offsets, is_like);
            mark_changed_lists(values.values(), &self.offsets, is_like);
        }
    }

    /// The set of a row.
    pub fn get(&mut self, row: usize, words: &mut Words, sets: &mut Sets) -> u32 {
        let Some((names, values)) = &self.keys else { return 0 };
        let range = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        let pair = |(name, value): (&i32, &i32)| (*name as u64) << 32 | *value as u64;
        self.row.clear();
        self.row.extend(names.values()[range.clone()].iter().zip(&values.values()[range]).map(pair));
        if let Some(set) = self.known.get(self.row.as_slice()) {
            return *set;
        }
        self.members.clear();
        for pair in &self.row {
            let (name, value) =
                (self.names.made[(pair >> 32) as usize], self.values.made[(pair & 0xffff_ffff) as usize]);
            let word = match self.pairs.get(&(name, value)) {
                Some(word) => *word,
                None => {
                    let text = format!("{} {}", words.text(name), words.text(value));
                    let word = words.number(&text);
                    self.pairs.insert((name, value), word);
                    word
                }
            };
            self.members.push(word);
        }
        let set = sets.number(&mut self.members);
        self.known.insert(self.row.as_slice().into(), set);
        set
    }
}
