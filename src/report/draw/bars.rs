//! Horizontal bars, a label each: rankings and shares.

use super::{Anchor, Canvas, WIDTH, number, room, ticks};

/// A bar.
#[derive(Default)]
pub struct Bar {
    pub label: String,
    pub value: f64,
    /// A part of it, in another colour.
    pub part: Option<f64>,
    /// Where the true value lies, most likely.
    pub interval: Option<(f64, f64)>,
    /// Behind it.
    pub note: String,
    /// The tooltip.
    pub said: String,
}

/// What the bars are.
pub struct Axis<'a> {
    pub title: &'a str,
    /// What the length is, with its unit.
    pub unit: &'a str,
    /// The end of the axis; else what the longest bar needs.
    pub most: Option<f64>,
    /// What the bar's part is, and the rest of it.
    pub parts: Option<(&'a str, &'a str)>,
}

const STEP: f64 = 20.0;
const TOP: f64 = 22.0;

/// Draws them, the first at the top.
pub fn draw(axis: &Axis, bars: &[Bar]) -> String {
    let left = room(bars.iter().map(|bar| bar.label.as_str())).max(40.0);
    let right = WIDTH - room(bars.iter().map(|bar| bar.note.as_str())) - 10.0;
    let greatest =
        bars.iter().map(|bar| bar.interval.map_or(bar.value, |(_, high)| high.max(bar.value))).fold(0.0, f64::max);
    let ticks = ticks(axis.most.unwrap_or(greatest));
    let most = ticks.last().copied().unwrap_or(1.0);
    let x = |value: f64| left + (right - left) * (value / most).clamp(0.0, 1.0);
    let top = if axis.parts.is_some() { TOP + 18.0 } else { TOP };
    let bottom = top + STEP * bars.len() as f64;
    let mut canvas = Canvas::new(bottom + 40.0);
    if let Some((part, rest)) = axis.parts {
        let first = left.min(WIDTH - 50.0 - room([part].into_iter()) - room([rest].into_iter()));
        canvas.rect((first, 4.0), (11.0, 11.0), "one", part);
        canvas.text(first + 16.0, 14.0, Anchor::Start, "", part);
        let next = first + 34.0 + room([part].into_iter());
        canvas.rect((next, 4.0), (11.0, 11.0), "two", rest);
        canvas.text(next + 16.0, 14.0, Anchor::Start, "", rest);
    }
    for tick in &ticks {
        canvas.line((x(*tick), top - 4.0), (x(*tick), bottom), "rule");
        canvas.text(x(*tick), bottom + 16.0, Anchor::Middle, "quiet", &number(*tick));
    }
    canvas.text((left + right) / 2.0, bottom + 34.0, Anchor::Middle, "quiet", axis.unit);
    for (at, bar) in bars.iter().enumerate() {
        let y = top + STEP * at as f64;
        canvas.text(left - 6.0, y + 13.0, Anchor::End, "", &bar.label);
        let whole = (x(bar.value) - left).max(0.5);
        canvas.rect((left, y + 3.0), (whole, 13.0), if bar.part.is_some() { "two" } else { "one" }, &bar.said);
        if let Some(part) = bar.part {
            canvas.rect((left, y + 3.0), (x(part) - left, 13.0), "one", &bar.said);
        }
        if let Some((low, high)) = bar.interval {
            canvas.line((x(low), y + 9.5), (x(high), y + 9.5), "error");
            for end in [low, high] {
                canvas.line((x(end), y + 6.0), (x(end), y + 13.0), "error");
            }
        }
        canvas.text(right + 8.0, y + 13.0, Anchor::Start, "quiet", &bar.note);
    }
    canvas.line((left, top - 4.0), (left, bottom), "axis");
    canvas.finish(axis.title)
}
