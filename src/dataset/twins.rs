//! Rows of one process: which of them counts, which go, and which are parts of one another.
//!
//! Of one `id` and `list` the row with the highest `seq` counts, and of those the one with the greatest `elapsed`
//! (docs/RECORD.md). What is left after that is the same report, come twice or in parts.

use super::read::open;
use super::schema::MISSING_PARTS;
use anyhow::{Context, Result};
use arrow_array::BooleanArray;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type};
use customs_spec::record::Field;
use parquet::arrow::ProjectionMask;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

/// Rows that are compared at a time: some 24 MB of them.
const AT_A_TIME: u64 = 1 << 19;

/// Where a row is: the number of its file and its own in it.
pub type Place = (usize, u32);

/// What is to be done about rows that are not alone.
#[derive(Debug, Default)]
pub struct Twins {
    /// For each file, whether a row stays; `None` where all do.
    pub stays: Vec<Option<BooleanArray>>,
    /// Parts of a record, to be joined; none of them stays.
    pub parts: Vec<Vec<Place>>,
}

struct Row {
    id: u128,
    list: u32,
    seq: u32,
    elapsed: f64,
    is_whole: bool,
    place: Place,
}

/// Looks through the files.
pub fn find(files: &[PathBuf]) -> Result<Twins> {
    let mut lengths = Vec::new();
    for file in files {
        lengths.push(usize::try_from(open(file)?.metadata().file_metadata().num_rows())?);
    }
    let total: u64 = lengths.iter().map(|length| *length as u64).sum();
    let passes = total.div_ceil(AT_A_TIME).max(1);
    // Keyed at random: whoever forges ids cannot have them all in one pass.
    let hash = RandomState::new();
    let mut twins = Twins::default();
    let mut dropped: Vec<Vec<u32>> = vec![Vec::new(); files.len()];
    for pass in 0..passes {
        // Room for all at once: to grow takes twice as much for a moment.
        let mut rows = Vec::with_capacity((total / passes + total / passes / 16) as usize);
        let mut lists = HashMap::new();
        for (number, file) in files.iter().enumerate() {
            let is_meant = |id: u128| passes == 1 || hash.hash_one(id) % passes == pass;
            read(file, number, &mut lists, is_meant, &mut rows)
                .with_context(|| format!("cannot read {}", file.display()))?;
        }
        rows.sort_unstable_by(|one: &Row, other| {
            let process = (one.id, one.list).cmp(&(other.id, other.list));
            // What counts comes first; of the same report, what is whole, and then what came first.
            let counts = || other.seq.cmp(&one.seq).then(other.elapsed.total_cmp(&one.elapsed));
            process.then_with(counts).then(other.is_whole.cmp(&one.is_whole)).then(one.place.cmp(&other.place))
        });
        for group in rows.chunk_by(|one, other| (one.id, one.list) == (other.id, other.list)) {
            judge(group, &mut dropped, &mut twins.parts);
        }
    }
    twins.stays = dropped.into_iter().zip(lengths).map(|(dropped, length)| stays(&dropped, length)).collect();
    Ok(twins)
}

/// The first row counts. If it is not whole, neither are the others of the same report, and they are joined.
fn judge(group: &[Row], dropped: &mut [Vec<u32>], parts: &mut Vec<Vec<Place>>) {
    let [first, others @ ..] = group else { return };
    let same = others.iter().take_while(|other| other.seq == first.seq && other.elapsed == first.elapsed).count();
    let mut gone = others;
    if !first.is_whole && same > 0 {
        parts.push(group.iter().take(1 + same).map(|row| row.place).collect());
        gone = group;
    }
    for (file, row) in gone.iter().map(|row| row.place) {
        if let Some(rows) = dropped.get_mut(file) {
            rows.push(row);
        }
    }
}

fn stays(dropped: &[u32], length: usize) -> Option<BooleanArray> {
    if dropped.is_empty() {
        return None;
    }
    let mut stays = vec![true; length];
    for row in dropped {
        if let Some(stays) = stays.get_mut(*row as usize) {
            *stays = false;
        }
    }
    Some(BooleanArray::from(stays))
}

fn read(
    file: &Path,
    number: usize,
    lists: &mut HashMap<String, u32>,
    is_meant: impl Fn(u128) -> bool,
    rows: &mut Vec<Row>,
) -> Result<()> {
    let reader = open(file)?;
    let names = [Field::Id.key(), Field::List.key(), Field::Seq.key(), Field::Elapsed.key(), MISSING_PARTS];
    let mask = ProjectionMask::columns(reader.parquet_schema(), names);
    let mut row = 0_u32;
    for batch in reader.with_projection(mask).build()? {
        let batch = batch?;
        let column = |name: &str| batch.column_by_name(name).with_context(|| format!("no column {name}"));
        let ids = column(names[0])?.as_fixed_size_binary_opt().context("id")?;
        let words = column(names[1])?.as_string_opt::<i32>().context("list")?;
        let seqs = column(names[2])?.as_primitive_opt::<UInt32Type>().context("seq")?;
        let ages = column(names[3])?.as_primitive_opt::<Float64Type>().context("elapsed")?;
        let missing = column(names[4])?.as_list_opt::<i32>().context("missing parts")?;
        for at in 0..batch.num_rows() {
            let id = u128::from_be_bytes(ids.value(at).try_into()?);
            if is_meant(id) {
                let word = words.value(at);
                let list = match lists.get(word) {
                    Some(list) => *list,
                    None => {
                        let next = u32::try_from(lists.len())?;
                        *lists.entry(word.to_string()).or_insert(next)
                    }
                };
                let is_whole = missing.value_length(at) == 0;
                rows.push(Row {
                    id,
                    list,
                    seq: seqs.value(at),
                    elapsed: ages.value(at),
                    is_whole,
                    place: (number, row),
                });
            }
            row = row.checked_add(1).context("more rows than a file of the dataset can have")?;
        }
    }
    Ok(())
}
