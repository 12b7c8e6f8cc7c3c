//! The order of the rows of a file.

use anyhow::{Context, Result};
use arrow_array::{RecordBatch, UInt32Array};
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::Schema;
use arrow_select::take::take_record_batch;
use customs_spec::record::Field;

/// By which rows are sorted in a file: a user's jobs lie together, and so do the processes of a job.
const ORDER: [Field; 4] = [Field::Username, Field::System, Field::JobId, Field::Start];

/// Makes keys of rows: bytes that are in the order of the rows.
pub struct Keys(RowConverter);

impl Keys {
    /// For rows of that schema.
    pub fn new(schema: &Schema) -> Result<Self> {
        let by = |field: &Field| Ok(SortField::new(schema.field_with_name(field.key())?.data_type().clone()));
        Ok(Keys(RowConverter::new(ORDER.iter().map(by).collect::<Result<_>>()?)?))
    }

    /// A key for each row.
    pub fn of(&self, rows: &RecordBatch) -> Result<Rows> {
        let column = |field: &Field| rows.column_by_name(field.key()).cloned().context("a column of the order");
        Ok(self.0.convert_columns(&ORDER.iter().map(column).collect::<Result<Vec<_>>>()?)?)
    }
}

/// The rows in the order of a file.
pub fn sorted(rows: &RecordBatch) -> Result<RecordBatch> {
    let keys = Keys::new(rows.schema_ref())?.of(rows)?;
    let mut order: Vec<u32> = (0..).take(rows.num_rows()).collect();
    order.sort_by(|one, other| keys.row(*one as usize).cmp(&keys.row(*other as usize)));
    Ok(take_record_batch(rows, &UInt32Array::from(order))?)
}
