//! Into an index of Elasticsearch or OpenSearch: a document for each process and list, by the bulk interface.
//!
//! A document is named by `id` and list, and its version is made from what decides which record counts (docs/RECORD.md).
//! So a record that is sent twice is there once, and an older one does not take the place of a newer one, whatever the
//! order in which they come and whoever sends them.

use super::Sink;
use crate::collect::journal::Position;
use crate::collect::metrics::Metrics;
use crate::collect::rejects::Turns;
use crate::dataset::Day;
use crate::dataset::json;
use crate::dataset::rows::Arrival;
use crate::elasticsearch::{Answer, Client, Index};
use crate::record::Record;
use anyhow::{Context, Result, bail};
use customs_spec::record::Field;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a request. Elasticsearch's guide advises against more than tens of megabytes, and takes 100 MB.
const LARGEST: usize = 5 << 20;

/// The name of the template.
const TEMPLATE: &str = "customs";
/// The template for each product, as it is shipped.
const ELASTICSEARCH: &str = include_str!("../../../rpm/engines/elasticsearch/index-template.json");
const OPENSEARCH: &str = include_str!("../../../rpm/engines/opensearch/index-template.json");

/// The sink.
pub struct IntoIndex {
    index: Index,
    client: Client,
    /// What the server has not taken yet.
    documents: Vec<Document>,
    kept: u64,
    metrics: Arc<Metrics>,
    refused: Turns,
}

struct Document {
    /// As the bulk interface wants them: what is to be done, and the record, a line each.
    lines: String,
}

impl IntoIndex {
    /// What the server refuses for good is kept in `folder`.
    pub fn new(index: &Index, secret: Option<&Path>, folder: &Path, metrics: Arc<Metrics>) -> Result<Self> {
        let client = Client::new(index, secret, PATIENCE)?;
        let sum = crc32fast::hash(index.to_string().as_bytes());
        let refused = Turns::new(&folder.join(format!("refused-{sum:08x}.jsonl")));
        Ok(IntoIndex { index: index.clone(), client, documents: Vec::new(), kept: 0, metrics, refused })
    }

    /// Tells the server how records are to be indexed.
    pub fn put_template(&self) -> Result<()> {
        let about = self.client.get("")?.good().with_context(|| format!("cannot ask what {} is", self.index))?;
        let is_opensearch = about["version"]["distribution"] == "opensearch";
        let mut template: Value = serde_json::from_str(if is_opensearch { OPENSEARCH } else { ELASTICSEARCH })?;
        template["index_patterns"] = json!([self.index.pattern()]);
        let answer = self.client.put(&format!("_index_template/{TEMPLATE}"), template.to_string().as_bytes())?;
        answer.good().with_context(|| format!("the index template for {}", self.index)).map(drop)
    }

    /// Sends the first `count` documents, and keeps those that have to be sent again.
    fn send(&mut self, count: usize) -> Result<()> {
        let body: String = self.documents.iter().take(count).map(|document| document.lines.as_str()).collect();
        let answer = self.client.post("_bulk", body.as_bytes())?;
        if answer.status == 413 && count > 1 {
            self.send(count / 2)?;
            return self.send(count - count / 2);
        }
        if answer.status == 413 {
            let document = self.documents.remove(0);
            self.refuse(&document, 413, &Value::from(answer.reason()));
            return Ok(());
        }
        let items = items(answer)?;
        if items.len() != count {
            bail!("{} answers to {count} documents", items.len());
        }
        let documents: Vec<Document> = self.documents.drain(..count).collect();
        let mut again = Vec::new();
        let mut why = None;
        for (document, item) in documents.into_iter().zip(&items) {
            let result = &item["index"];
            match result["status"].as_u64().unwrap_or_default() {
                // 409: what is there is newer.
                200..300 | 409 => self.kept += 1,
                // The document's own fault; all else (too many requests, an index that is blocked) can change.
                status @ (400 | 413) => self.refuse(&document, status, &result["error"]),
                status => {
                    why.get_or_insert_with(|| format!("HTTP {status}: {}", result["error"]["reason"]));
                    again.push(document);
                }
            }
        }
        let waiting = again.len();
        self.documents.splice(0..0, again);
        match why {
            Some(why) => bail!("{waiting} of {count} documents have to wait: {why}"),
            None => Ok(()),
        }
    }

    fn refuse(&mut self, document: &Document, status: u64, why: &Value) {
        self.metrics.refused.add(&self.name(), 1);
        let (action, record) = document.lines.split_once('\n').unwrap_or_default();
        let plain = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_default();
        self.refused.add(&json!({ "status": status, "error": why, "action": plain(action), "record": plain(record) }));
    }
}

fn items(answer: Answer) -> Result<Vec<Value>> {
    match answer.good()?["items"].take() {
        Value::Array(items) => Ok(items),
        _ => bail!("that is no answer of a bulk interface"),
    }
}

impl Sink for IntoIndex {
    fn name(&self) -> String {
        format!("elasticsearch:{}", self.index)
    }

    fn take(&mut self, record: &Record, arrival: &Arrival) -> Result<()> {
        let mut object = json::object(record, arrival);
        if record.start.is_none() {
            object[Field::Start.key()] = Value::Null; // an empty text is no date, and the document would be refused
        }
        let action = json!({ "index": {
            "_index": self.index.on(Day::of_record(record, arrival).begin()),
            "_id": name(record),
            "version": version(record),
            "version_type": "external_gte",
        } });
        self.documents.push(Document { lines: format!("{action}\n{object}\n") });
        Ok(())
    }

    fn commit(&mut self, _: Position) -> Result<u64> {
        while !self.documents.is_empty() {
            let mut bytes = 0;
            let fit = self.documents.iter().take_while(|document| {
                bytes += document.lines.len();
                bytes <= LARGEST
            });
            let count = fit.count().max(1);
            self.send(count)?;
        }
        Ok(std::mem::take(&mut self.kept))
    }

    fn most(&self) -> usize {
        2000
    }
}

/// What a process and a list share with no other.
fn name(record: &Record) -> String {
    format!("{:032x}-{}", u128::from_be_bytes(record.id), record.text(Field::List))
}

/// Greater for what counts: the higher `seq`, then the greater `elapsed`, then the one with more of its parts.
/// 17 bits, 37 bits of milliseconds (4 years) and 8 bits; what is greater counts as the greatest. A version is less than 2^63.
fn version(record: &Record) -> u64 {
    let seq = u64::from(record.seq).min((1 << 17) - 1);
    let elapsed = ((record.elapsed * 1000.0) as u64).min((1 << 37) - 1);
    let parts = 255 - record.missing.len().min(255) as u64;
    seq << 45 | elapsed << 8 | parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::schema::SCHEMA;

    #[test]
    fn versions_are_in_the_order_in_which_records_count() {
        let of = |seq, elapsed, missing: &[u8]| {
            version(&Record { seq, elapsed, missing: missing.to_vec(), ..Record::default() })
        };
        let all = [of(0, 0.0, &[2, 3]), of(0, 0.0, &[]), of(0, 1.5, &[2]), of(0, 3e9, &[]), of(1, 0.0, &[])];
        assert!(all.is_sorted() && of(u32::MAX, 3e9, &[]) < i64::MAX as u64, "{all:?}");
    }

    #[test]
    fn the_templates_name_every_column_and_differ_in_versions_alone() {
        let [mut one, mut other] = [ELASTICSEARCH, OPENSEARCH].map(|text| serde_json::from_str::<Value>(text).unwrap());
        let versions = |template: &mut Value| template["template"]["mappings"]["properties"]["versions"]["type"].take();
        assert_eq!((versions(&mut one), versions(&mut other)), (json!("flattened"), json!("flat_object")));
        let named = |template: &Value| template["template"]["mappings"]["properties"].as_object().unwrap().clone();
        assert_eq!(named(&one), named(&other));
        let names: std::collections::BTreeSet<_> = named(&one).keys().cloned().collect();
        let own = ["schema", "part", "parts"];
        let columns = SCHEMA.fields().iter().map(|column| column.name().as_str()).chain(own);
        assert_eq!(names, columns.map(str::to_string).collect());
    }
}
