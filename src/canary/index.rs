//! The documents of an index of Elasticsearch or OpenSearch that claim to be of a canary.

use super::micros_of;
use super::rows::Row;
use super::text_of;
use crate::dataset::schema::ARRIVED;
use crate::elasticsearch::{Client, Index};
use crate::record::read;
use anyhow::{Context, Result, anyhow};
use customs_spec::record::Field;
use serde_json::{Value, json};
use std::time::Duration;

/// Documents of a page.
const PAGE: usize = 5000;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// All of processes that began from `first` to `last`, in microseconds since 1970.
pub fn of_index(url: &str, first: i64, last: i64) -> Result<Vec<Row>> {
    let index: Index = url.parse().map_err(|wrong: String| anyhow!("--dataset: {wrong}"))?;
    let client = Client::new(&index, None, PATIENCE)?;
    let start = Field::Start.key();
    let mut rows = Vec::new();
    let mut after: Option<Value> = None;
    loop {
        let mut search = json!({
            "size": PAGE,
            "query": { "bool": { "filter": [
                { "exists": { "field": Field::Canary.key() } },
                { "range": { start: { "gte": text_of(first), "lte": text_of(last) } } },
            ] } },
            "sort": [{ start: "asc" }, { Field::Id.key(): "asc" }],
        });
        if let Some(after) = &after {
            search["search_after"] = after.clone();
        }
        let path = format!("{}/_search", index.pattern());
        let answer = client.post(&path, search.to_string().as_bytes()).and_then(|answer| answer.good());
        let answer = answer.with_context(|| format!("cannot search {index}"))?;
        let hits = answer["hits"]["hits"].as_array().cloned().unwrap_or_default();
        rows.extend(hits.iter().filter_map(|hit| row(&hit["_source"])));
        match hits.last().map(|last| last["sort"].clone()) {
            // An id is of one process, and its reports are few: no page is full of one.
            Some(sort @ Value::Array(_)) if hits.len() == PAGE && Some(&sort) != after.as_ref() => after = Some(sort),
            _ => return Ok(rows),
        }
    }
}

/// A document that is a record as it was sent, or one that the collector has joined, which is no part any more.
fn row(source: &Value) -> Option<Row> {
    let text = source.to_string();
    let record = read(text.as_bytes()).ok()?;
    Some(Row {
        canary: record.canary.as_deref()?.to_string(),
        list: record.text(Field::List).to_string(),
        process: u128::from_be_bytes(record.id),
        seq: record.seq,
        elapsed: record.elapsed,
        start: record.start,
        host: record.text(Field::Host).to_string(),
        python: record.text(Field::Python).to_string(),
        packages: record.packages.iter().map(|name| name.to_string()).collect(),
        missing: record.missing.iter().copied().collect(),
        arrived: source[ARRIVED].as_str().and_then(micros_of),
    })
}
