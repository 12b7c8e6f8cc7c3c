//! Datagrams become records again: the frame is taken off, and the parts of a record are joined.

use anyhow::{Context, Result};
use customs_spec::record::Field;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A record: one JSON object.
pub type Record = Map<String, Value>;

/// What the parts of a record share and other records do not.
type Identity = (String, String, u64);

/// Parts that wait for the others.
#[derive(Default)]
pub struct Assembler {
    waiting: BTreeMap<Identity, BTreeMap<u64, Record>>,
}

impl Assembler {
    /// Takes a datagram; gives a record when all of it is there.
    pub fn take(&mut self, datagram: &[u8]) -> Result<Option<Record>> {
        let record = body(datagram)?;
        let parts = number(&record, Field::Parts).max(1);
        if parts == 1 {
            return Ok(Some(record));
        }
        let identity = (text(&record, Field::Id), text(&record, Field::List), number(&record, Field::Seq));
        let have = self.waiting.entry(identity.clone()).or_default();
        have.insert(number(&record, Field::Part), record);
        if (have.len() as u64) < parts {
            return Ok(None);
        }
        Ok(self.waiting.remove(&identity).and_then(joined))
    }

    /// Records of which parts were lost.
    pub fn incomplete(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.waiting).into_values().filter_map(joined).collect()
    }
}

/// The JSON object behind the header, whose seven fields hold no space (RFC 5424, section 6).
fn body(datagram: &[u8]) -> Result<Record> {
    let json = datagram.splitn(8, |byte| *byte == b' ').nth(7).context("there is no RFC 5424 header")?;
    serde_json::from_slice(json).context("the message is not a JSON object")
}

/// One record of all parts, which differ in what was found only.
fn joined(parts: BTreeMap<u64, Record>) -> Option<Record> {
    let mut parts = parts.into_values();
    let mut whole = parts.next()?;
    for part in parts {
        for field in [Field::Packages, Field::Versions, Field::Direct, Field::Libraries] {
            match (whole.get_mut(field.key()), part.get(field.key())) {
                (Some(Value::Array(all)), Some(Value::Array(more))) => all.extend(more.iter().cloned()),
                (Some(Value::Object(all)), Some(Value::Object(more))) => all.extend(more.clone()),
                (None, Some(more)) => drop(whole.insert(field.key().to_string(), more.clone())),
                _ => {}
            }
        }
    }
    whole.insert(Field::Part.key().to_string(), Value::from(1));
    Some(whole)
}

/// A field that holds text; empty when it does not.
pub fn text(record: &Record, field: Field) -> String {
    record.get(field.key()).and_then(Value::as_str).unwrap_or_default().to_string()
}

/// A field that holds a number; 0 when it does not.
pub fn number(record: &Record, field: Field) -> u64 {
    record.get(field.key()).and_then(Value::as_u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn datagram(body: Value) -> Vec<u8> {
        format!("<134>1 2023-11-14T22:13:20.000042Z nid00012 customs 4711 customs - {body}").into_bytes()
    }

    #[test]
    fn parts_are_joined_in_whatever_order_they_arrive() {
        let mut assembler = Assembler::default();
        let second = datagram(json!({ "id": "a", "seq": 0, "list": "l", "part": 2, "parts": 2,
            "packages": ["scipy"], "versions": { "scipy": "1.11" }, "direct": ["scipy"] }));
        let first = datagram(json!({ "id": "a", "seq": 0, "list": "l", "part": 1, "parts": 2,
            "packages": ["numpy"], "versions": { "numpy": "1.26" } }));
        let other = datagram(json!({ "id": "b", "seq": 0, "list": "l", "part": 1, "parts": 1, "packages": [] }));
        assert_eq!(assembler.take(&second).unwrap(), None);
        assert_eq!(assembler.take(&other).unwrap().map(|record| text(&record, Field::Id)), Some("b".to_string()));
        let whole = assembler.take(&first).unwrap().unwrap();
        assert_eq!(whole["packages"], json!(["numpy", "scipy"]));
        assert_eq!(whole["versions"], json!({ "numpy": "1.26", "scipy": "1.11" }));
        assert_eq!(whole["direct"], json!(["scipy"]));
        assert!(assembler.incomplete().is_empty());
    }

    #[test]
    fn a_lost_part_leaves_the_others_to_be_shown() {
        let mut assembler = Assembler::default();
        let body = json!({ "id": "a", "seq": 0, "list": "l", "part": 1, "parts": 3, "packages": ["numpy"] });
        assert_eq!(assembler.take(&datagram(body)).unwrap(), None);
        assert_eq!(assembler.incomplete().len(), 1);
    }

    #[test]
    fn what_is_no_record_is_an_error() {
        for datagram in [b"".as_slice(), b"hello", b"<1>1 - - - - - - [1]"] {
            assert!(Assembler::default().take(datagram).is_err());
        }
    }
}
