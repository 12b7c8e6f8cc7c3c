//! The numbers of a figure: for the page, as CSV (RFC 4180) and as Parquet.

use anyhow::Result;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::sync::Arc;

/// Rows under named columns.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub columns: Vec<(&'static str, Kind)>,
    pub rows: Vec<Vec<Value>>,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Text,
    Count,
    Real,
}

/// A field of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Count(u64),
    Real(f64),
    /// It cannot be said, or is not to be told.
    Missing,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_string())
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Value::Count(count)
    }
}

impl From<f64> for Value {
    fn from(real: f64) -> Self {
        if real.is_finite() { Value::Real(real) } else { Value::Missing }
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Missing, Into::into)
    }
}

impl Table {
    /// One without rows.
    pub fn new(columns: &[(&'static str, Kind)]) -> Self {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn push(&mut self, row: impl IntoIterator<Item = Value>) {
        self.rows.push(row.into_iter().collect());
    }

    /// With a header, lines ended as RFC 4180 has it.
    pub fn csv(&self) -> String {
        let names = self.columns.iter().map(|(name, _)| name.to_string());
        let mut out = line(names);
        for row in &self.rows {
            out.push_str(&line(row.iter().map(|value| match value {
                Value::Text(text) => text.clone(),
                Value::Count(count) => count.to_string(),
                Value::Real(real) => real.to_string(),
                Value::Missing => String::new(),
            })));
        }
        out
    }

    /// As a Parquet file.
    pub fn parquet(&self) -> Result<Vec<u8>> {
        let mut fields = Vec::new();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (at, (name, kind)) in self.columns.iter().enumerate() {
            let values = || self.rows.iter().map(|row| row.get(at).unwrap_or(&Value::Missing));
            let (kind, column): (DataType, ArrayRef) = match kind {
                Kind::Text => {
                    let texts = values().map(|value| if let Value::Text(text) = value { Some(text) } else { None });
                    (DataType::Utf8, Arc::new(texts.collect::<StringArray>()))
                }
                Kind::Count => {
                    let counts =
                        values().map(|value| if let Value::Count(count) = value { Some(*count as i64) } else { None });
                    (DataType::Int64, Arc::new(counts.collect::<Int64Array>()))
                }
                Kind::Real => {
                    let reals = values().map(|value| match value {
                        Value::Real(real) => Some(*real),
                        Value::Count(count) => Some(*count as f64),
                        _ => None,
                    });
                    (DataType::Float64, Arc::new(reals.collect::<Float64Array>()))
                }
            };
            fields.push(Field::new(*name, kind, true));
            columns.push(column);
        }
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(Default::default())).build();
        let mut out = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))?;
        out.write(&RecordBatch::try_new(schema, columns)?)?;
        Ok(out.into_inner()?)
    }
}

fn line(fields: impl Iterator<Item = String>) -> String {
    let quoted = |field: String| {
        if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
    };
    let mut line = fields.map(quoted).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

#[cfg(test)]
mod tests {
    use super::{Kind, Table, Value};

    #[test]
    fn csv_is_quoted_where_it_has_to_be() {
        let mut table = Table::new(&[("name", Kind::Text), ("jobs", Kind::Count)]);
        table.push(["a,\"b\"".into(), Value::Missing]);
        assert_eq!(table.csv(), "name,jobs\r\n\"a,\"\"b\"\"\",\r\n");
    }
}
