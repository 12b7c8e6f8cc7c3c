//! An answer, written.

use crate::args::Format;
use crate::stdout;
use anyhow::Result;
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::csv;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::json::{LineDelimitedWriter, WriterBuilder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow::util::pretty::pretty_format_batches_with_options;
use std::sync::Arc;

/// Writes batches as they come, in one format.
pub struct Printer {
    format: Format,
    schema: SchemaRef,
    /// For a table, whose columns are as wide as their longest cell.
    kept: Vec<RecordBatch>,
    /// Whether the names of the columns are written, where the format has them first.
    has_begun: bool,
}

impl Printer {
    /// For batches of this schema.
    pub fn new(format: Format, schema: SchemaRef) -> Self {
        Printer { format, schema, kept: Vec::new(), has_begun: false }
    }

    /// Some of the rows.
    pub fn rows(&mut self, batch: RecordBatch) -> Result<()> {
        match self.format {
            Format::Table => {
                self.kept.push(batch);
                Ok(())
            }
            Format::Csv => self.csv(&batch),
            Format::Json => {
                let mut lines: LineDelimitedWriter<_> =
                    WriterBuilder::new().with_explicit_nulls(true).build(Vec::new());
                lines.write(&batch)?;
                lines.finish()?;
                stdout::answer(str::from_utf8(&lines.into_inner())?)
            }
        }
    }

    /// All rows have come.
    pub fn end(mut self) -> Result<()> {
        let nothing = RecordBatch::new_empty(self.schema.clone());
        match self.format {
            Format::Table if self.kept.is_empty() => self.table(&[nothing]),
            Format::Table => self.table(&self.kept),
            Format::Csv if !self.has_begun => self.csv(&nothing),
            _ => Ok(()),
        }
    }

    fn table(&self, batches: &[RecordBatch]) -> Result<()> {
        let cells: Vec<_> = batches.iter().map(|batch| texts(batch, |_| true, plain)).collect::<Result<_>>()?;
        let table = pretty_format_batches_with_options(&cells, &FormatOptions::default().with_null("NULL"))?;
        stdout::answer(&format!("{table}\n"))
    }

    fn csv(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut text = Vec::new();
        let batch = texts(batch, |kind| kind.is_nested(), str::to_string)?;
        csv::WriterBuilder::new().with_header(!self.has_begun).build(&mut text).write(&batch)?;
        self.has_begun = true;
        stdout::answer(str::from_utf8(&text)?)
    }
}

/// Text that leaves a terminal alone: what is in a record was put there by whoever ran the process.
pub fn plain(text: &str) -> String {
    text.replace(|letter: char| letter.is_control() && letter != '\n', "\u{fffd}")
}

/// With the columns that are meant as texts: CSV has no lists.
fn texts(
    batch: &RecordBatch,
    is_meant: impl Fn(&DataType) -> bool,
    edit: impl Fn(&str) -> String,
) -> Result<RecordBatch> {
    let options = FormatOptions::default();
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| -> Result<(Field, ArrayRef)> {
        if !is_meant(field.data_type()) {
            return Ok((field.as_ref().clone(), column.clone()));
        }
        let cells = ArrayFormatter::try_new(column.as_ref(), &options)?;
        let nulls = column.logical_nulls();
        let cell = |row: usize| {
            let is_there = nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
            is_there.then(|| Ok(edit(&cells.value(row).try_to_string()?))).transpose()
        };
        let cells = (0..column.len()).map(cell).collect::<Result<StringArray>>()?;
        Ok((Field::new(edit(field.name()), DataType::Utf8, true), Arc::new(cells)))
    });
    let (fields, columns): (Vec<_>, Vec<_>) = columns.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
