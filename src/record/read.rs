//! From the JSON object to [`Record`]: every field is there once, is of its type, and within its bounds.
//!
//! A record is a claim, and anyone can send one: what passes here can be stored, and says nothing of whether it is true.
//! Keys that are not known are passed over, so that a library that says more than this program knows is still heard.

use super::{FLAGS, MISSING_PARTS, NUMBERS, Record, TEXTS};
use chrono::DateTime;
use customs_spec::frame::{APP_NAME, Message};
use customs_spec::record::{Field, MAX_NAME, MAX_PATH, MAX_TEXT, MAX_VERSION, SCHEMA};
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Deserializer as Json;
use std::borrow::Cow;
use std::fmt;

/// Why bytes are no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// One of few words, to count by.
    pub reason: &'static str,
    /// The same for a person.
    pub detail: String,
}

impl fmt::Display for Rejected {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{}: {}", self.reason, self.detail)
    }
}

impl Rejected {
    fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Rejected { reason, detail: detail.into() }
    }
}

/// More names than the library can send of one process: 255 parts of the longest datagram.
pub const MOST_NAMES: usize = 8192;

/// The record in a message: framed as RFC 5424 has it, or the JSON object alone, as rsyslog's files have it.
pub fn read(message: &[u8]) -> Result<Record<'_>, Rejected> {
    let body = match message {
        [b'{', ..] => message,
        [] => return Err(Rejected::new("empty", "nothing in it")),
        _ => {
            let message = Message::read(message)
                .map_err(|malformed| Rejected::new("frame", format!("{} is not as in RFC 5424", malformed.part())))?;
            if message.app_name != APP_NAME {
                let name = message.app_name.escape_ascii();
                return Err(Rejected::new("foreign", format!("a message of `{name}` and not of `customs`")));
            }
            message.body
        }
    };
    let mut json = Json::from_slice(body);
    let record = json.deserialize_map(Reader).and_then(|record| json.end().map(|()| record));
    record.map_err(|error| {
        let reason = if error.is_data() { "record" } else { "json" };
        Rejected::new(reason, error.to_string())
    })
}

/// The message in a line of a file: the line itself, or what stands in `msg` or `message` of a JSON object, as in
/// templates of rsyslog and documents of Elasticsearch.
pub fn message_in(line: &[u8]) -> Cow<'_, [u8]> {
    #[derive(serde::Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow, alias = "message")]
        msg: Cow<'a, str>,
    }
    match serde_json::from_slice::<Wrapped>(line) {
        Ok(Wrapped { msg: Cow::Borrowed(text) }) => Cow::Borrowed(text.trim_ascii().as_bytes()),
        Ok(Wrapped { msg: Cow::Owned(text) }) => Cow::Owned(text.trim_ascii().as_bytes().to_vec()),
        Err(_) => Cow::Borrowed(line),
    }
}

/// When a framed message was sent, by its header.
pub fn time_of(message: &[u8]) -> Option<i64> {
    let header = Message::read(message).ok()?;
    let text = std::str::from_utf8(header.timestamp).ok()?;
    Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros())
}

/// Reads an object.
struct Reader;

/// A text that borrows where JSON has no escape in it.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for Reader {
    type Value = Record<'de>;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("a record")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Record<'de>, M::Error> {
        let mut record = Record::default();
        let mut seen = 0_u64;
        let (mut part, mut parts) = (0_u8, 0_u8);
        let mut kept: Option<Vec<u8>> = None;
        while let Some(Text(key)) = map.next_key()? {
            let Some(field) = Field::of(&key) else {
                if key == MISSING_PARTS {
                    kept = Some(map.next_value()?);
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
                continue;
            };
            let bit = 1 << field as u8;
            if seen & bit != 0 {
                return Err(Error::custom(format_args!("`{key}` is there twice")));
            }
            seen |= bit;
            let wrong = |what: &str| M::Error::custom(format_args!("`{key}` {what}"));
            match field {
                Field::Schema => {
                    if map.next_value::<u64>()? != SCHEMA {
                        return Err(wrong("is not one that this program knows"));
                    }
                }
                Field::Id => record.id = id(&map.next_value::<Text>()?.0).ok_or_else(|| wrong("is no id"))?,
                Field::Parent => {
                    record.parent = Some(id(&map.next_value::<Text>()?.0).ok_or_else(|| wrong("is no id"))?);
                }
                Field::Seq => record.seq = map.next_value()?,
                Field::Part => part = map.next_value()?,
                Field::Parts => parts = map.next_value()?,
                Field::Start => {
                    let text: Option<Text> = map.next_value()?;
                    let text = text.map(|Text(text)| text).unwrap_or_default();
                    record.start = start(&text).ok_or_else(|| wrong("is no time"))?;
                }
                Field::Elapsed => {
                    let elapsed: f64 = map.next_value()?;
                    // Longer than Linux exists, and no NaN.
                    record.elapsed = Some(elapsed)
                        .filter(|elapsed| (0.0..=3e9).contains(elapsed))
                        .ok_or_else(|| wrong("is no age"))?;
                }
                Field::Packages => record.packages = names(&mut map, &wrong)?,
                Field::Direct => record.direct = names(&mut map, &wrong)?,
                Field::Libraries => record.libraries = names(&mut map, &wrong)?,
                Field::Versions => record.versions = map.next_value_seed(Versions)?,
                Field::Rate => {
                    let rate: f64 = map.next_value()?;
                    record.rate = Some(rate);
                    if !(rate > 0.0 && rate <= 1.0) {
                        return Err(wrong("is no share"));
                    }
                }
                Field::Weight => {
                    let weight: f64 = map.next_value()?;
                    record.weight = Some(weight);
                    if !(1.0..=1e9).contains(&weight) {
                        return Err(wrong("is no weight"));
                    }
                }
                Field::Canary => {
                    let Text(canary) = map.next_value()?;
                    if canary.len() > MAX_TEXT {
                        return Err(wrong("is too long"));
                    }
                    record.canary = Some(canary);
                }
                _ => {
                    if let Some((name, text)) = place(&TEXTS, field, &mut record.texts) {
                        Text(*text) = map.next_value()?;
                        if text.len() > most(name) {
                            return Err(wrong("is too long"));
                        }
                    } else if let Some((name, number)) = place(&NUMBERS, field, &mut record.numbers) {
                        *number = map.next_value()?;
                        let least = i64::from(name == Field::NumNodes);
                        let least = if least == 1 { 0 } else { -1 };
                        if !(least..=i64::from(u32::MAX)).contains(number) {
                            return Err(wrong("is out of bounds"));
                        }
                    } else if let Some((_, flag)) = place(&FLAGS, field, &mut record.flags) {
                        *flag = map.next_value()?;
                    }
                }
            }
        }
        let is_there = |field: Field| {
            seen >> field as u8 & 1 == 1 || (kept.is_some() && matches!(field, Field::Part | Field::Parts))
        };
        if let Some(field) = Field::ALL.iter().find(|field| is_always_there(**field) && !is_there(**field)) {
            return Err(Error::custom(format_args!("`{}` is not there", field.key())));
        }
        // What a collector wrote is no part, and says what it lacks.
        if let Some(missing) = kept.filter(|_| parts <= 1) {
            record.missing = missing;
            return Ok(record);
        }
        if !(1..=parts).contains(&part) {
            return Err(Error::custom(format_args!("part {part} of {parts}")));
        }
        record.missing = (1..=parts).filter(|other| *other != part).collect();
        Ok(record)
    }
}

/// Where `field` is kept, if it is one of `fields`.
fn place<'r, T>(fields: &[Field], field: Field, places: &'r mut [T]) -> Option<(Field, &'r mut T)> {
    let number = fields.iter().position(|one| *one == field)?;
    Some((field, places.get_mut(number)?))
}

/// All but those that are left out where they do not apply (docs/RECORD.md).
fn is_always_there(field: Field) -> bool {
    !matches!(
        field,
        Field::Versions
            | Field::Direct
            | Field::Libraries
            | Field::Rate
            | Field::Weight
            | Field::Canary
            | Field::Parent
    )
}

/// The longest text of a field. What is capped after escaping is no longer before it.
fn most(field: Field) -> usize {
    if matches!(field, Field::Executable | Field::Main | Field::Prefix) { MAX_PATH } else { MAX_TEXT }
}

/// 128 bits in 32 hexadecimal digits, lower case.
fn id(text: &str) -> Option<[u8; 16]> {
    let lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let value = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32 && lower)?;
    Some(value.to_be_bytes())
}

/// RFC 3339; the outer `None` is what is no time, the inner one what a site omits.
fn start(text: &str) -> Option<Option<i64>> {
    if text.is_empty() {
        return Some(None);
    }
    Some(Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros()))
}

fn names<'de, M: MapAccess<'de>>(
    map: &mut M,
    wrong: &impl Fn(&str) -> M::Error,
) -> Result<Vec<Cow<'de, str>>, M::Error> {
    let names: Vec<Text<'de>> = map.next_value()?;
    if names.len() > MOST_NAMES {
        return Err(wrong("has too many names"));
    }
    if names.iter().any(|Text(name)| name.is_empty() || name.len() > MAX_NAME) {
        return Err(wrong("has a name that is too long, or none"));
    }
    Ok(names.into_iter().map(|Text(name)| name).collect())
}

/// Reads the object of versions.
struct Versions;

impl<'de> serde::de::DeserializeSeed<'de> for Versions {
    type Value = Vec<(Cow<'de, str>, Cow<'de, str>)>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Versions {
    type Value = Vec<(Cow<'de, str>, Cow<'de, str>)>;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("names and versions")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut versions = Vec::new();
        while let Some((Text(name), Text(version))) = map.next_entry()? {
            let fits = !name.is_empty() && name.len() <= MAX_NAME && version.len() <= MAX_VERSION;
            if !fits || versions.len() == MOST_NAMES {
                return Err(Error::custom("`versions` has one that is too long, or too many"));
            }
            versions.push((name, version));
        }
        Ok(versions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Joiner;
    use customs_spec::frame::Header;
    use customs_spec::record::Finding;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    fn object() -> Value {
        json!({
            "schema": 1, "id": "ce60133fd4778b7ba5bbe12faa706405", "seq": 2, "part": 1, "parts": 1, "list": "packages",
            "policy": "ca83ee35fb17cf5e", "host": "nid1", "system": "cori", "subsystem": "", "username": "alice",
            "uid": 1000, "pid": 7, "ppid": 1, "executable": "/usr/bin/python3", "main": "/a\"b.py", "prefix": "/usr",
            "python": "3.12.1", "is_compute": true, "is_shifter": false, "container": "", "is_staff": false,
            "job_id": "12", "num_nodes": 4, "qos": "regular", "repo": "m1", "start": "2026-11-22T14:43:11.586584Z",
            "elapsed": 1.817, "exit": "normal", "packages": ["numpy"], "versions": { "numpy": "2.1.0" },
            "canary": "c", "weight": 10, "parent": "0000000000000000000000000000000a"
        })
    }

    #[test]
    fn every_field_arrives() {
        let text = object().to_string();
        let record = read(text.as_bytes()).unwrap();
        assert_eq!(record.id[..2], [0xce, 0x60]);
        assert_eq!((record.seq, record.missing.len(), record.text(Field::Main)), (2, 0, "/a\"b.py"));
        assert_eq!((record.number(Field::NumNodes), record.flags), (4, [true, false, false]));
        assert_eq!((record.start, record.elapsed), (Some(1_795_358_591_586_584), 1.817));
        assert_eq!((&record.packages[0][..], &record.versions[0].1[..]), ("numpy", "2.1.0"));
        assert_eq!((record.weight, record.rate, record.canary.as_deref()), (Some(10.0), None, Some("c")));
        assert_eq!(record.parent.map(|parent| parent[15]), Some(10));
        let framed = format!("<134>1 2026-11-22T14:43:11.586584Z nid1 customs 7 customs - {text}");
        assert_eq!(read(framed.as_bytes()).unwrap(), record);
    }

    proptest! {
        /// Whatever a user put into a process, what the library makes of it is taken, and joins to what was found.
        #[test]
        fn what_the_library_writes_is_read(
            text in proptest::collection::vec(any::<u8>(), 0..2000),
            names in proptest::collection::vec("[a-z]{1,60}", 0..200),
            numbers in any::<[u32; 4]>(),
            limit in customs_spec::policy::MIN_DATAGRAM..4096,
        ) {
            let written = customs_spec::record::Record {
                id: 7, seq: numbers[0], list: b"l", host: &text, username: &text, main: &text, executable: &text,
                job_id: &text, exit: b"normal", canary: &text, uid: numbers[1], pid: numbers[2], num_nodes: numbers[3],
                start: 1_790_000_000_000_000, elapsed: 1_234_000, parent: Some(8), rate: b"0.01", weight: b"3.3333",
                ..Default::default()
            };
            let names: BTreeSet<String> = names.into_iter().collect();
            let findings = names.iter().map(|name| Finding { name: name.as_bytes(), version: b"1.0", ..Finding::default() });
            let header = Header { facility: 16, time: 1_790_000_000_000_000, host: &text, pid: 1, msgid: b"customs" };
            let (mut buffer, mut whole) = (vec![0; 65_536], None);
            let mut joiner = Joiner::default();
            written.messages(header, findings, &mut buffer, limit.into(), |message| {
                let record = read(message).unwrap_or_else(|why| panic!("{why}: {}", message.escape_ascii()));
                whole = if record.is_whole() { Some(record.into_owned()) } else { joiner.take(record, ()).map(|(record, ())| record) };
            });
            let record = whole.expect("all parts");
            let found: BTreeSet<String> = record.packages.iter().map(|name| name.to_string()).collect();
            prop_assert_eq!(record.versions.len(), names.len());
            prop_assert_eq!(found, names);
            prop_assert_eq!((record.seq, record.number(Field::Uid)), (numbers[0], i64::from(numbers[1])));
            prop_assert_eq!((record.start, record.elapsed), (Some(1_790_000_000_000_000), 1.234));
            prop_assert_eq!((record.rate, record.weight), (Some(0.01), Some(3.3333)));
        }
    }

    #[test]
    fn every_field_has_one_place() {
        let places = TEXTS.len() + NUMBERS.len() + FLAGS.len();
        // Those that `visit_map` names.
        assert_eq!(places + 15, Field::ALL.len());
    }

    #[test]
    fn what_does_not_hold_is_rejected_and_named() {
        let with = |key: &str, value: Value| {
            let mut object = object();
            object[key] = value;
            object.to_string()
        };
        for (text, reason, detail) in [
            (String::new(), "empty", "nothing"),
            ("hello".to_string(), "frame", "PRI"),
            ("<6>1 - - sshd - - - {}".to_string(), "foreign", "sshd"),
            ("<6>1 - - customs - - - {".to_string(), "json", "EOF"),
            (object().to_string() + "x", "json", "trailing"),
            ("{}".to_string(), "record", "`schema` is not there"),
            (with("schema", json!(2)), "record", "schema"),
            (with("id", json!("CE60133FD4778B7BA5BBE12FAA706405")), "record", "no id"),
            (with("seq", json!(-1)), "record", "invalid value"),
            (with("part", json!(2)), "record", "part 2 of 1"),
            (with("parts", json!(0)), "record", "part 1 of 0"),
            (with("uid", json!(-2)), "record", "out of bounds"),
            (with("elapsed", json!(-0.5)), "record", "no age"),
            (with("start", json!("yesterday")), "record", "no time"),
            (with("weight", json!(0)), "record", "no weight"),
            (with("main", json!("x".repeat(1025))), "record", "`main` is too long"),
            (with("packages", json!([""])), "record", "too long, or none"),
            (with("versions", json!({ "a": "v".repeat(41) })), "record", "versions"),
            (object().to_string().replacen('{', "{\"seq\":1,", 1), "record", "twice"),
        ] {
            let rejected = read(text.as_bytes()).unwrap_err();
            assert_eq!(rejected.reason, reason, "{text}: {rejected}");
            assert!(rejected.detail.contains(detail), "{text}: {rejected}");
        }
        assert!(read(with("unheard_of", json!([1])).as_bytes()).is_ok());
    }
}
