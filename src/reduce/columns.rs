//! The columns of a batch of rows, as numbers of this program's own: what is in a dictionary is looked at once, however
//! many rows have it.

use crate::words::{Quick, Sets, Words};
use anyhow::{Context, Result, ensure};
use arrow_array::ArrowPrimitiveType;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Int32Array, PrimitiveArray, RecordBatch, StringArray,
};
use arrow_buffer::NullBuffer;
use std::collections::HashMap;
use std::mem;

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
    rows: Option<Int32Array>,
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

    /// The rows that have a text, for each; those that have none are with one of them.
    pub fn rows_by_text(&self) -> Vec<Vec<usize>> {
        let texts = self.dictionary.made.len().max(1);
        let mut rows = vec![Vec::new(); texts];
        for (row, key) in self.rows.iter().flatten().enumerate() {
            rows[key.map_or(0, |key| (key as usize).min(texts - 1))].push(row);
        }
        rows
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

/// Keys are held against their dictionary where they are read, but not against one that has nothing.
fn has_all(texts: &DictionaryArray<Int32Type>, name: &str) -> Result<()> {
    ensure!(texts.is_empty() || !texts.values().is_empty(), "{name} has texts that its dictionary has not");
    Ok(())
}

/// A column of lists of names. The lists of rows after each other become a set.
pub struct Lists {
    name: &'static str,
    dictionary: Dictionary<Member>,
    known: HashMap<Box<[i32]>, u32, Quick>,
    keys: Option<Int32Array>,
    offsets: Vec<i32>,
    /// What was gathered, each key once.
    gathered: Vec<i32>,
    /// By key: in which gathering it was met last.
    met: Vec<u32>,
    gathering: u32,
    members: Vec<u32>,
}

/// A name of a dictionary.
#[derive(Clone, Copy)]
struct Member {
    word: u32,
    is_marked: bool,
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
            gathered: Vec::new(),
            met: Vec::new(),
            gathering: 1,
            members: Vec::new(),
        }
    }

    /// Goes on to the next batch. Some names are marked; nothing is gathered.
    pub fn take(&mut self, rows: &RecordBatch, words: &mut Words, is_marked: impl Fn(&str) -> bool) -> Result<()> {
        let lists =
            column(rows, self.name)?.as_list_opt::<i32>().with_context(|| format!("{} is no list", self.name))?;
        let texts = lists.values();
        let texts =
            texts.as_dictionary_opt::<Int32Type>().with_context(|| format!("{} has no dictionary", self.name))?;
        let member = |name: &str| Member { word: words.number(name), is_marked: is_marked(name) };
        if self.dictionary.take(texts.values(), member)? {
            self.known.clear();
            self.met.clear();
            self.met.resize(self.dictionary.made.len(), 0);
            self.gathering = 1;
        }
        has_all(texts, self.name)?;
        self.keys = Some(texts.keys().clone());
        self.offsets.clear();
        self.offsets.extend_from_slice(lists.value_offsets());
        Ok(())
    }

    fn keys(&self, row: usize) -> &[i32] {
        let range = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        self.keys.as_ref().map_or(&[], |keys| &keys.values()[range])
    }

    /// Whether a row has a name that is marked.
    pub fn has_marked(&self, row: usize) -> bool {
        self.keys(row).iter().any(|key| self.dictionary.made[*key as usize].is_marked)
    }

    /// Adds the names of a row.
    pub fn gather(&mut self, row: usize) {
        let Some(keys) = &self.keys else { return };
        for key in &keys.values()[self.offsets[row] as usize..self.offsets[row + 1] as usize] {
            if mem::replace(&mut self.met[*key as usize], self.gathering) != self.gathering {
                self.gathered.push(*key);
            }
        }
    }

    /// The set of what was gathered, of which nothing is left.
    pub fn set(&mut self, sets: &mut Sets) -> u32 {
        if self.gathered.is_empty() {
            return 0;
        }
        self.gathering += 1;
        self.gathered.sort_unstable();
        let set = self.known.get(self.gathered.as_slice()).copied().unwrap_or_else(|| {
            self.members.clear();
            self.members.extend(self.gathered.iter().map(|key| self.dictionary.made[*key as usize].word));
            let set = sets.number(&mut self.members);
            self.known.insert(self.gathered.as_slice().into(), set);
            set
        });
        self.gathered.clear();
        set
    }
}

/// Of how many pairs it is known that they were met lately.
const MET: usize = 1024;
/// Pairs that are gathered before those that are there twice are looked for.
const GATHERED: usize = 8192;

/// The column of versions: names that are a package, a space and a version. The maps of rows after each other become a set.
pub struct Maps {
    name: &'static str,
    names: Dictionary<u32>,
    values: Dictionary<u32>,
    pairs: HashMap<(u32, u32), u32, Quick>,
    known: HashMap<Box<[u64]>, u32, Quick>,
    keys: Option<(Int32Array, Int32Array)>,
    offsets: Vec<i32>,
    /// What was gathered: the keys of a name and of a value. Some are there twice.
    gathered: Vec<u64>,
    /// As many as may be there before each is to be there once.
    room: usize,
    /// Some that were met, and in which gathering.
    met: Vec<(u64, u32)>,
    gathering: u32,
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
            gathered: Vec::new(),
            room: GATHERED,
            met: vec![(0, 0); MET],
            gathering: 1,
            members: Vec::new(),
        }
    }

    /// Goes on to the next batch. Nothing is gathered.
    pub fn take(&mut self, rows: &RecordBatch, words: &mut Words) -> Result<()> {
        let maps = column(rows, self.name)?.as_map_opt().with_context(|| format!("{} is no map", self.name))?;
        let coded = |texts: &ArrayRef| {
            texts.as_dictionary_opt::<Int32Type>().cloned().with_context(|| format!("{} has no dictionary", self.name))
        };
        let (names, values) = (coded(maps.keys())?, coded(maps.values())?);
        has_all(&names, self.name)?;
        has_all(&values, self.name)?;
        let is_new = self.names.take(names.values(), |text| words.number(text))?;
        if self.values.take(values.values(), |text| words.number(text))? || is_new {
            self.known.clear();
        }
        self.keys = Some((names.keys().clone(), values.keys().clone()));
        self.offsets.clear();
        self.offsets.extend_from_slice(maps.value_offsets());
        Ok(())
    }

    /// Adds the pairs of a row.
    pub fn gather(&mut self, row: usize) {
        let Some((names, values)) = &self.keys else { return };
        let range = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        for (name, value) in names.values()[range.clone()].iter().zip(&values.values()[range]) {
            let pair = (*name as u64) << 32 | *value as u64;
            let place = (*name as usize).wrapping_mul(31).wrapping_add(*value as usize) % MET;
            if mem::replace(&mut self.met[place], (pair, self.gathering)) != (pair, self.gathering) {
                self.gathered.push(pair);
            }
        }
        if self.gathered.len() >= self.room {
            self.gathered.sort_unstable();
            self.gathered.dedup();
            self.room = GATHERED.max(2 * self.gathered.len());
        }
    }

    /// The set of what was gathered, of which nothing is left.
    pub fn set(&mut self, words: &mut Words, sets: &mut Sets) -> u32 {
        if self.gathered.is_empty() {
            return 0;
        }
        self.gathering += 1;
        self.gathered.sort_unstable();
        self.gathered.dedup();
        if let Some(set) = self.known.get(self.gathered.as_slice()) {
            self.gathered.clear();
            return *set;
        }
        self.members.clear();
        for pair in &self.gathered {
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
        self.known.insert(self.gathered.as_slice().into(), set);
        self.gathered.clear();
        self.room = GATHERED;
        set
    }
}
