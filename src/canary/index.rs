//! The documents of an index of Elasticsearch or OpenSearch that claim to be of a canary.

use super::micros_of;
use super::rows::Row;
use super::text_of;
use crate::dataset::schema::{ARRIVED, MISSING_PARTS};
use crate::record::read;
use anyhow::{Context, Result, bail};
use customs_spec::record::Field;
use serde_json::{Value, json};
use ureq::Agent;

/// Documents of a page.
const PAGE: usize = 5000;

/// All of processes that began from `first` to `last`, in microseconds since 1970.
pub fn of_index(url: &str, first: i64, last: i64) -> Result<Vec<Row>> {
    let url = url.trim_end_matches('/');
    if url.matches('/').count() < 3 {
        bail!("{url} names no index; write http://HOST:9200/INDEX");
    }
    let agent = Agent::new_with_defaults();
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
        let answer: Value = agent
            .post(format!("{url}/_search"))
            .send_json(&search)
            .and_then(|mut answer| answer.body_mut().with_config().limit(1 << 30).read_json())
            .with_context(|| format!("cannot search {url}"))?;
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
    let mut whole = source.clone();
    for key in [Field::Part.key(), Field::Parts.key()] {
        whole.as_object_mut()?.entry(key).or_insert(json!(1));
    }
    let text = whole.to_string();
    let record = read(text.as_bytes()).ok()?;
    let missing = match source[MISSING_PARTS].as_array() {
        Some(missing) => missing.iter().filter_map(|part| part.as_u64()?.try_into().ok()).collect(),
        None => record.missing.iter().copied().collect(),
    };
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
        missing,
        arrived: source[ARRIVED].as_str().and_then(micros_of),
    })
}
