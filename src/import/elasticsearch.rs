//! From an index of Elasticsearch or OpenSearch, a page after the other in the order in which documents arrived.
//!
//! A point in time keeps what is read from changing meanwhile; a server that has none is paged without. What is noted
//! for the next import is when the last document had arrived. It begins some hours before that: what comes from several
//! collectors, or was kept back while a server was away, appears later than what arrived later elsewhere. By `start`
//! nothing can be noted, because a process that ran for a week appears a week after its start.

use super::{Importer, lines};
use crate::cli::Import;
use crate::dataset::schema::ARRIVED;
use crate::elasticsearch::{Client, Index};
use crate::place::Note;
use crate::progress::bar;
use crate::record::{message_in, read};
use anyhow::{Context, Result, ensure};
use chrono::{DateTime, SecondsFormat, TimeDelta};
use customs_spec::record::Field;
use serde_json::{Value, json};
use std::time::Duration;

/// Documents of a page.
const PAGE: usize = 5000;
/// How long the server keeps the point in time after each page.
const KEEP: &str = "5m";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// The fields that can say when a document arrived: the collector's, and that of rsyslog's and other shippers' habit.
const TIMES: [&str; 2] = [ARRIVED, "@timestamp"];

/// Reads what was not read before.
pub fn import(index: &Index, args: &Import, note: &Note, into: &mut Importer) -> Result<()> {
    let client = Client::new(index, args.elasticsearch_auth.as_deref(), PATIENCE)?;
    let name = index.pattern();
    let fields = Fields::of(&client, &name).with_context(|| format!("cannot ask what {index} has"))?;
    let point = Point::open(&client, &name);
    let order = fields.order(point.as_ref());
    let query = match (fields.time, note.read().and_then(|last| before(&last, args.overlap))) {
        (Some(time), Some(since)) => json!({ "range": { time: { "gte": since } } }),
        _ => json!({ "match_all": {} }),
    };
    let mut after: Option<Value> = None;
    let progress = bar(0, "{spinner} {pos} documents of {len}, {per_sec}");
    loop {
        let mut search = json!({ "size": PAGE, "query": query, "sort": order, "track_total_hits": true });
        if let Some(after) = &after {
            search["search_after"] = after.clone();
        }
        if let Some(point) = &point {
            search["pit"] = json!({ "id": point.id, "keep_alive": KEEP });
        }
        let path = if point.is_some() { "_search".to_string() } else { format!("{name}/_search") };
        let answer = client.post(&path, search.to_string().as_bytes()).and_then(|answer| answer.good());
        let answer = answer.with_context(|| format!("cannot search {index}"))?;
        // A shard that did not answer would be a hole that nobody sees.
        let failed = answer["_shards"]["failed"].as_u64().unwrap_or_default();
        ensure!(failed == 0 && answer["timed_out"] != true, "{failed} shards of {index} did not answer");
        let hits = answer["hits"]["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
        progress.set_length(answer["hits"]["total"]["value"].as_u64().unwrap_or_default());
        let mut is_due = false;
        for hit in hits {
            is_due |= take(hit, into)?;
        }
        progress.inc(hits.len() as u64);
        let is_last = hits.len() < PAGE;
        let Some(last) = hits.last() else { break };
        if is_due || is_last {
            into.flush()?;
            let times = hits.iter().rev().filter_map(|hit| hit["_source"][fields.time?].as_str());
            if let Some(time) = times.take(1).next() {
                note.write(time)?;
            }
        }
        if is_last {
            break;
        }
        ensure!(last["sort"].is_array(), "{index} does not say where a page ends");
        after = Some(last["sort"].clone());
    }
    into.flush()?;
    if let Some(point) = point {
        point.close(&client);
    }
    progress.finish_and_clear();
    Ok(())
}

/// So many hours before that moment.
fn before(time: &str, hours: u32) -> Option<String> {
    let time = DateTime::parse_from_rfc3339(time.trim()).ok()?.to_utc();
    let since = time.checked_sub_signed(TimeDelta::hours(i64::from(hours)))?;
    Some(since.to_rfc3339_opts(SecondsFormat::Micros, true))
}

/// What the index has that documents can be put in order by.
struct Fields {
    time: Option<&'static str>,
    keys: Vec<String>,
}

impl Fields {
    fn of(client: &Client, index: &str) -> Result<Self> {
        let mappings = client.get(&format!("{index}/_mapping"))?.good()?;
        let mappings: Vec<&Value> = mappings.as_object().into_iter().flat_map(|indices| indices.values()).collect();
        ensure!(!mappings.is_empty(), "there is no such index");
        // Of several indices, what all of them have.
        let kind = |path: &str| {
            let mut kinds = mappings.iter().map(|mapping| mapping["mappings"]["properties"].pointer(path)?.as_str());
            let first = kinds.next().flatten()?;
            kinds.all(|kind| kind == Some(first)).then_some(first)
        };
        let time =
            TIMES.into_iter().find(|time| kind(&format!("/{time}/type")).is_some_and(|is| is.starts_with("date")));
        let mut keys = Vec::new();
        for field in [Field::Id, Field::List, Field::Seq, Field::Part] {
            let key = field.key();
            if kind(&format!("/{key}/type")).is_some_and(|kind| kind != "text") {
                keys.push(key.to_string());
            } else if kind(&format!("/{key}/fields/keyword/type")) == Some("keyword") {
                keys.push(format!("{key}.keyword"));
            }
        }
        Ok(Fields { time, keys })
    }

    /// One in which no two documents are equal, so that none is lost between two pages.
    fn order(&self, point: Option<&Point>) -> Vec<Value> {
        let mut order: Vec<Value> = self.time.iter().map(|time| json!({ *time: "asc" })).collect();
        order.extend(self.keys.iter().map(|key| json!({ key: "asc" })));
        if self.keys.is_empty() {
            // Elasticsearch has the first within a point in time; OpenSearch lets documents be sorted by their names.
            let own = if point.is_some_and(|point| point.is_elasticsearch) { "_shard_doc" } else { "_id" };
            order.push(json!({ own: "asc" }));
        }
        order
    }
}

/// A point in time.
struct Point {
    id: String,
    is_elasticsearch: bool,
}

impl Point {
    /// By Elasticsearch's call or OpenSearch's.
    fn open(client: &Client, index: &str) -> Option<Self> {
        let open = |path: &str, name: &str| {
            let answer = client.post(&format!("{index}/{path}?keep_alive={KEEP}"), b"").ok()?.good().ok()?;
            answer[name].as_str().map(str::to_string)
        };
        let theirs = || open("_search/point_in_time", "pit_id").map(|id| Point { id, is_elasticsearch: false });
        open("_pit", "id").map(|id| Point { id, is_elasticsearch: true }).or_else(theirs)
    }

    /// It ends by itself as well.
    fn close(self, client: &Client) {
        let _ = match self.is_elasticsearch {
            true => client.delete("_pit", json!({ "id": self.id }).to_string().as_bytes()),
            false => client.delete("_search/point_in_time", json!({ "pit_id": [self.id] }).to_string().as_bytes()),
        };
    }
}

/// A document is a record as it came, or one that holds a message. Whether it is time to flush.
fn take(hit: &Value, into: &mut Importer) -> Result<bool> {
    let source = &hit["_source"];
    let kept = source.to_string();
    let text = message_in(kept.as_bytes());
    match read(&text) {
        Ok(record) => {
            let arrival = lines::arrival(kept.as_bytes(), &text, &record, "elasticsearch");
            into.take(record, arrival)
        }
        Err(why) => {
            into.reject(&format!("document {}", hit["_id"]), &why);
            Ok(false)
        }
    }
}
