//! Upright columns over classes that have an order: distributions.

use super::{Anchor, Canvas, WIDTH, every, number, room};

/// A column.
pub struct Column {
    pub label: String,
    pub value: f64,
    pub said: String,
}

const TOP: f64 = 26.0;
const HEIGHT: f64 = 240.0;

/// Draws them on a logarithmic scale. What is 0 has no column.
pub fn draw(title: &str, across: &str, upwards: &str, columns: &[Column]) -> String {
    let greatest = columns.iter().map(|column| column.value).fold(1.0, f64::max);
    let decades = greatest.log10().ceil().max(1.0);
    let left = room([number(10_f64.powf(decades)).as_str()].into_iter()) + 10.0;
    let bottom = TOP + HEIGHT;
    // A column of height 1 is to be seen: the scale begins at a half.
    let floor = 0.5_f64.log10();
    let y = |value: f64| bottom - HEIGHT * ((value.log10() - floor) / (decades - floor)).clamp(0.0, 1.0);
    let step = ((WIDTH - left - 10.0) / columns.len().max(1) as f64).min(70.0);
    let labelled = every(columns.iter().map(|column| column.label.as_str()), step);
    let mut canvas = Canvas::new(bottom + 44.0);
    canvas.text(4.0, 12.0, Anchor::Start, "quiet", upwards);
    for decade in 0..=decades as i32 {
        let value = 10_f64.powi(decade);
        canvas.line((left, y(value)), (left + step * columns.len() as f64, y(value)), "rule");
        canvas.text(left - 6.0, y(value) + 4.0, Anchor::End, "quiet", &number(value));
    }
    for (at, column) in columns.iter().enumerate() {
        let x = left + step * at as f64;
        if column.value > 0.0 {
            canvas.rect((x + 2.0, y(column.value)), (step - 4.0, bottom - y(column.value)), "one", &column.said);
        }
        if at % labelled == 0 {
            canvas.text(x + step / 2.0, bottom + 16.0, Anchor::Middle, "", &column.label);
        }
    }
    canvas.line((left, bottom), (left + step * columns.len() as f64, bottom), "axis");
    canvas.text(left + step * columns.len() as f64 / 2.0, bottom + 36.0, Anchor::Middle, "quiet", across);
    canvas.finish(title)
}
