//! A record as the JSON object that it came as, its parts joined, and with what the collector knows of it.

use super::rows::Arrival;
use super::schema::{ARRIVED, HOST_VERIFIED, MISSING_PARTS, SOURCE, UID_VERIFIED};
use crate::record::{FLAGS, NUMBERS, Record, TEXTS};
use chrono::{DateTime, SecondsFormat};
use customs_spec::record::{Field, MAX_TEXT, SCHEMA};
use serde_json::{Map, Value, json};

fn time(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn hex(id: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*id))
}

/// The object: first the fields of the record, then the collector's own. It is read as a record again: the parts are
/// joined, so it is the only one, and what it lacks of them is said.
pub fn object(record: &Record, arrival: &Arrival) -> Value {
    let fields = Field::ALL.iter().filter_map(|field| Some((field.key().to_string(), value(record, *field)?)));
    let mut object: Map<String, Value> = fields.collect();
    let own = [
        (ARRIVED, json!(time(arrival.time))),
        (SOURCE, json!(arrival.source)),
        (HOST_VERIFIED, json!(arrival.host_verified)),
        (UID_VERIFIED, json!(arrival.uid_verified)),
        (MISSING_PARTS, json!(record.missing)),
    ];
    object.extend(own.map(|(name, value)| (name.to_string(), value)));
    Value::Object(object)
}

/// `None` for what is left out where it does not apply.
fn value(record: &Record, field: Field) -> Option<Value> {
    let some = |names: &[_]| (!names.is_empty()).then(|| json!(names));
    Some(match field {
        Field::Schema => json!(SCHEMA),
        Field::Part | Field::Parts => json!(1),
        Field::Id => json!(hex(&record.id)),
        Field::Seq => json!(record.seq),
        Field::Start => json!(record.start.map(time).unwrap_or_default()),
        Field::Elapsed => json!(record.elapsed),
        Field::Packages => json!(record.packages),
        Field::Versions if record.versions.is_empty() => return None,
        Field::Versions => record.versions.iter().map(|(name, version)| (name.to_string(), json!(version))).collect(),
        Field::Direct => some(&record.direct)?,
        Field::Libraries => some(&record.libraries)?,
        Field::Rate => json!(record.rate?),
        Field::Weight => json!(record.weight?),
        Field::Canary => json!(record.canary.as_ref()?),
        Field::Parent => json!(hex(record.parent.as_ref()?)),
        field if TEXTS.contains(&field) => json!(record.text(field)),
        field if NUMBERS.contains(&field) => json!(record.number(field)),
        field => json!(FLAGS.iter().zip(record.flags).any(|(flag, value)| *flag == field && value)),
    })
}

/// How a record came to the collector that wrote it down, if one did.
pub fn arrival_in(body: &[u8]) -> Option<Arrival> {
    #[derive(serde::Deserialize)]
    struct Kept {
        arrived: String,
        source: String,
        host_verified: Option<bool>,
        uid_verified: Option<bool>,
    }
    let kept: Kept = serde_json::from_slice(body).ok()?;
    let time = DateTime::parse_from_rfc3339(&kept.arrived).ok()?.timestamp_micros();
    let (host_verified, uid_verified) = (kept.host_verified, kept.uid_verified);
    (kept.source.len() <= MAX_TEXT).then_some(Arrival { time, source: kept.source, host_verified, uid_verified })
}
