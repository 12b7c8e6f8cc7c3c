//! A record as the JSON object that it came as, its parts joined, and with what the collector knows of it.

use super::{FLAGS, NUMBERS, Record, TEXTS};
use crate::dataset::rows::Arrival;
use crate::dataset::schema::{ARRIVED, HOST_VERIFIED, MISSING_PARTS, SOURCE, UID_VERIFIED};
use chrono::{DateTime, SecondsFormat};
use customs_spec::record::{Field, SCHEMA};
use serde_json::{Map, Value, json};

fn time(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn hex(id: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*id))
}

impl Record<'_> {
    /// The object: first the fields in the order of the wire, then the collector's own.
    pub fn to_json(&self, arrival: &Arrival) -> Value {
        let mut object = Map::new();
        for field in Field::ALL {
            if let Some(value) = self.value(*field) {
                object.insert(field.key().to_string(), value);
            }
        }
        let own = [
            (ARRIVED, json!(time(arrival.time))),
            (SOURCE, json!(arrival.source)),
            (HOST_VERIFIED, json!(arrival.host_verified)),
            (UID_VERIFIED, json!(arrival.uid_verified)),
            (MISSING_PARTS, json!(self.missing)),
        ];
        object.extend(own.map(|(name, value)| (name.to_string(), value)));
        Value::Object(object)
    }

    /// `None` for what is left out where it does not apply.
    fn value(&self, field: Field) -> Option<Value> {
        let some = |names: &[_]| (!names.is_empty()).then(|| json!(names));
        Some(match field {
            Field::Schema => json!(SCHEMA),
            Field::Part | Field::Parts => return None,
            Field::Id => json!(hex(&self.id)),
            Field::Seq => json!(self.seq),
            Field::Start => json!(self.start.map(time).unwrap_or_default()),
            Field::Elapsed => json!(self.elapsed),
            Field::Packages => json!(self.packages),
            Field::Versions if self.versions.is_empty() => return None,
            Field::Versions => self.versions.iter().map(|(name, version)| (name.to_string(), json!(version))).collect(),
            Field::Direct => some(&self.direct)?,
            Field::Libraries => some(&self.libraries)?,
            Field::Rate => json!(self.rate?),
            Field::Weight => json!(self.weight?),
            Field::Canary => json!(self.canary.as_ref()?),
            Field::Parent => json!(hex(self.parent.as_ref()?)),
            field if TEXTS.contains(&field) => json!(self.text(field)),
            field if NUMBERS.contains(&field) => json!(self.number(field)),
            field => json!(FLAGS.iter().zip(self.flags).any(|(flag, value)| *flag == field && value)),
        })
    }
}
