//! From an index of Elasticsearch or OpenSearch, a page after the other in the order in which processes began.
//!
//! A point in time keeps what is read from changing meanwhile; a server that has none is paged without. How far it was
//! read is noted by the last `start`, and documents of that very moment are read again.

use super::{Importer, bar};
use crate::dataset::rows::Arrival;
use crate::place::Note;
use crate::record::read;
use anyhow::{Context, Result, bail};
use customs_spec::record::Field;
use serde_json::{Value, json};
use ureq::Agent;

/// Documents of a page.
const PAGE: usize = 5000;
/// How long the server keeps the point in time after each page.
const KEEP: &str = "5m";

/// Reads what was not read before.
pub fn import(url: &str, note: &Note, into: &mut Importer) -> Result<()> {
    let (server, index) = url
        .trim_end_matches('/')
        .rsplit_once('/')
        .filter(|(server, _)| server.contains("://"))
        .with_context(|| format!("{url} names no index; write http://HOST:9200/INDEX"))?;
    if server.ends_with(':') || server.ends_with('/') {
        bail!("{url} names no index; write http://HOST:9200/INDEX");
    }
    let agent = Agent::new_with_defaults();
    let point = open_point(&agent, server, index);
    let mut since: Option<Value> = note.read().and_then(|text| serde_json::from_str(&text).ok());
    let mut after: Option<Value> = None;
    let progress = bar(0, "{spinner} {pos} documents of {len}, {per_sec}");
    loop {
        let query = match &since {
            Some(since) => json!({ "range": { Field::Start.key(): { "gte": since } } }),
            None => json!({ "match_all": {} }),
        };
        let mut search = json!({
            "size": PAGE,
            "query": query,
            "sort": [{ Field::Start.key(): "asc" }, { Field::Id.key(): "asc" }],
            "track_total_hits": true,
        });
        if let Some(after) = &after {
            search["search_after"] = after.clone();
        }
        let path = match &point {
            Some(point) => {
                search["pit"] = json!({ "id": point, "keep_alive": KEEP });
                format!("{server}/_search")
            }
            None => format!("{server}/{index}/_search"),
        };
        let answer: Value = agent
            .post(&path)
            .send_json(&search)
            .and_then(|mut answer| answer.body_mut().with_config().limit(1 << 30).read_json())
            .with_context(|| format!("cannot search {server}/{index}"))?;
        let hits = answer["hits"]["hits"].as_array().cloned().unwrap_or_default();
        progress.set_length(answer["hits"]["total"]["value"].as_u64().unwrap_or_default());
        let Some(last) = hits.last() else { break };
        for hit in &hits {
            take(hit, into)?;
        }
        progress.inc(hits.len() as u64);
        after = Some(last["sort"].clone()).filter(|sort| !sort.is_null());
        into.flush()?;
        if let Some(start) = last["_source"].get(Field::Start.key()) {
            note.write(&start.to_string())?;
            if after.is_none() {
                // A server that does not say where it was: from the last one on, as after an interruption.
                let stuck = since.as_ref() == Some(start);
                since = Some(start.clone());
                if stuck || hits.len() < PAGE {
                    break;
                }
                continue;
            }
        }
        if hits.len() < PAGE {
            break;
        }
    }
    if let Some(point) = point {
        let close = json!({ "id": point });
        let _ = agent.delete(format!("{server}/_pit")).force_send_body().send_json(&close); // it ends by itself as well
    }
    progress.finish_and_clear();
    Ok(())
}

/// A point in time, by Elasticsearch's call or OpenSearch's.
fn open_point(agent: &Agent, server: &str, index: &str) -> Option<String> {
    let open = |path: &str, name: &str| {
        let url = format!("{server}/{index}/{path}?keep_alive={KEEP}");
        let answer: Value = agent.post(&url).send_empty().ok()?.body_mut().read_json().ok()?;
        answer[name].as_str().map(str::to_string)
    };
    open("_pit", "id").or_else(|| open("_search/point_in_time", "pit_id"))
}

/// A document is a record as it came, or one that holds a message.
fn take(hit: &Value, into: &mut Importer) -> Result<()> {
    let source = &hit["_source"];
    let text = match source.get("message").or_else(|| source.get("msg")).and_then(Value::as_str) {
        Some(message) => message.to_string(),
        None => source.to_string(),
    };
    match read(text.as_bytes()) {
        Ok(record) => {
            let end = record.start.map(|start| start + (record.elapsed * 1e6) as i64);
            let time = end.unwrap_or_else(|| chrono::Utc::now().timestamp_micros());
            let arrival = Arrival { time, source: "elasticsearch".to_string(), ..Arrival::default() };
            into.take(record, arrival).map(drop)
        }
        Err(why) => {
            into.reject(&format!("document {}", hit["_id"]), &why);
            Ok(())
        }
    }
}
