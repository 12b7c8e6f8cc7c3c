//! The table of sets: what each number stands for.
//!
//! A set's number is made from its names, so the same set has the same number wherever it was met. Should two sets ever
//! have one number, that is said and not guessed at: with a million sets the chance is one in some 40 million.

use super::schema::{ID, NAMES, SETS};
use super::write::create;
use super::{Tables, open};
use crate::dataset::{fresh_name, read};
use anyhow::{Context, Result, ensure};
use arrow_array::builder::{ListBuilder, StringDictionaryBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// Files that are put together.
const ENOUGH: usize = 8;

/// The number of the set of these names, which are sorted: the first 64 bits of SipHash-2-4 of them, each with its
/// length before it.
pub fn id(names: &[Arc<str>]) -> i64 {
    let parts: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
    (customs_spec::hash::of_parts([0, 0], &parts) >> 64) as i64
}

/// Sets by their number.
pub type Sets = HashMap<i64, Vec<Arc<str>>>;

/// All that there are.
pub fn read(tables: &Tables) -> Result<Sets> {
    read::again(|| read_files(&tables.sets()?))
}

fn read_files(files: &[PathBuf]) -> Result<Sets> {
    let mut sets = Sets::new();
    let mut words: HashMap<String, Arc<str>> = HashMap::new();
    for file in files {
        for batch in open(file)?.build()? {
            let batch = batch.with_context(|| format!("cannot read {}", file.display()))?;
            let column =
                |name: &str| batch.column_by_name(name).with_context(|| format!("{} has no {name}", file.display()));
            let ids = column(ID)?.as_primitive_opt::<Int64Type>().context("the numbers of sets are no numbers")?;
            let lists = column(NAMES)?.as_list_opt::<i32>().context("the names of sets are no lists")?;
            let names = lists.values().as_dictionary_opt::<Int32Type>().context("the names of sets are no words")?;
            let texts = names.values().as_string_opt::<i32>().context("the names of sets are no texts")?;
            let shared: Vec<Arc<str>> = texts
                .iter()
                .map(|text| {
                    let text = text.unwrap_or_default();
                    words.entry(text.to_string()).or_insert_with(|| text.into()).clone()
                })
                .collect();
            for row in 0..batch.num_rows() {
                let (from, to) = (lists.value_offsets()[row] as usize, lists.value_offsets()[row + 1] as usize);
                let keys = &names.keys().values()[from..to];
                let set: Vec<Arc<str>> = keys.iter().map(|key| shared[*key as usize].clone()).collect();
                match sets.get(&ids.value(row)) {
                    None => drop(sets.insert(ids.value(row), set)),
                    Some(known) => {
                        ensure!(*known == set, "{}: two sets have the number {}", file.display(), ids.value(row))
                    }
                }
            }
        }
    }
    Ok(sets)
}

/// Adds those to the table that are not in it.
pub fn add(tables: &Tables, sets: &Sets) -> Result<()> {
    let _lock = tables.lock("sets", true)?;
    if !sets.is_empty() {
        write(tables, sets)?;
    }
    Ok(())
}

fn write(tables: &Tables, sets: &Sets) -> Result<()> {
    let mut sorted: Vec<(&i64, &Vec<Arc<str>>)> = sets.iter().collect();
    sorted.sort_by(|one, other| one.1.cmp(other.1));
    let ids = Int64Array::from_iter_values(sorted.iter().map(|(id, _)| **id));
    let mut names = ListBuilder::new(StringDictionaryBuilder::<Int32Type>::new());
    for (_, set) in sorted {
        for name in set {
            names.values().append(name)?;
        }
        names.append(true);
    }
    let columns: Vec<ArrayRef> = vec![Arc::new(ids), Arc::new(names.finish())];
    let mut out = create(&tables.sets_file(&fresh_name("sets")), SETS.clone(), Vec::new())?;
    out.write(&RecordBatch::try_new(SETS.clone(), columns)?)?;
    out.finish()
}

/// Many small files become one, if nobody else is at them.
pub fn compact(tables: &Tables) -> Result<()> {
    let Some(_lock) = tables.lock("sets", false)? else { return Ok(()) };
    let files = tables.sets()?;
    if files.len() < ENOUGH {
        return Ok(());
    }
    write(tables, &read_files(&files)?)?;
    for file in files {
        fs::remove_file(&file).with_context(|| format!("cannot remove {}, which was merged", file.display()))?;
    }
    Ok(())
}
