//! Lines over time.

use super::{Anchor, Canvas, WIDTH, escaped, number, room, ticks};
use std::fmt::Write;

/// A line: its name, and a value at each moment where there is one.
pub struct Line {
    pub name: String,
    pub values: Vec<Option<f64>>,
}

/// Colours of Okabe and Ito's that are told apart on light and dark, and the dashes that help.
const KINDS: [(&str, &str); 8] = [
    ("#0072b2", ""),
    ("#e69f00", ""),
    ("#009e73", ""),
    ("#cc79a7", ""),
    ("#56b4e9", "6 3"),
    ("#d55e00", "6 3"),
    ("#009e73", "2 3"),
    ("#0072b2", "2 3"),
];
const TOP: f64 = 26.0;
const HEIGHT: f64 = 260.0;
/// From one name to the next.
const NAME: f64 = 15.0;

/// Draws up to eight of them, with their names at the right.
pub fn draw(title: &str, upwards: &str, moments: &[String], lines: &[Line]) -> String {
    let lines = &lines[..lines.len().min(KINDS.len())];
    let greatest = lines.iter().flat_map(|line| &line.values).flatten().copied().fold(0.0, f64::max);
    let ticks = ticks(greatest);
    let most = ticks.last().copied().unwrap_or(1.0);
    let left = room(ticks.iter().map(|tick| number(*tick)).collect::<Vec<_>>().iter().map(String::as_str)) + 4.0;
    // Half of the first moment's label is to the left of it.
    let left = left.max(room(moments.first().map(String::as_str).into_iter()) / 2.0);
    let right = WIDTH - room(lines.iter().map(|line| line.name.as_str())) - 16.0;
    let bottom = TOP + HEIGHT;
    let x = |at: usize| left + (right - left) * at as f64 / (moments.len().max(2) - 1) as f64;
    let y = |value: f64| bottom - HEIGHT * value / most;
    let mut canvas = Canvas::new(bottom + 30.0);
    canvas.text(4.0, 12.0, Anchor::Start, "quiet", upwards);
    for tick in &ticks {
        canvas.line((left, y(*tick)), (right, y(*tick)), "rule");
        canvas.text(left - 6.0, y(*tick) + 4.0, Anchor::End, "quiet", &number(*tick));
    }
    // As many labels as have room.
    let every = (moments.len() as f64 * 64.0 / (right - left)).ceil().max(1.0) as usize;
    for (at, moment) in moments.iter().enumerate().step_by(every) {
        canvas.text(x(at), bottom + 18.0, Anchor::Middle, "quiet", moment);
    }
    let mut names: Vec<(f64, usize)> = Vec::new();
    for (number_of_line, (line, (colour, dashes))) in lines.iter().zip(KINDS).enumerate() {
        let mut path = String::new();
        let mut is_drawing = false;
        for (at, value) in line.values.iter().enumerate() {
            match value {
                Some(value) => {
                    let _ = write!(path, "{}{:.1} {:.1}", if is_drawing { "L" } else { "M" }, x(at), y(*value));
                    is_drawing = true;
                }
                None => is_drawing = false,
            }
        }
        canvas.put(&format!(
            "<path d=\"{path}\" class=\"line\" stroke=\"{colour}\" stroke-dasharray=\"{dashes}\"><title>{}</title></path>",
            escaped(&line.name)
        ));
        for (at, value) in line.values.iter().enumerate() {
            let Some(value) = value else { continue };
            let said = format!("{}, {}: {}", line.name, moments[at], number(*value));
            canvas.put(&format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"><title>{}</title></circle>",
                x(at),
                y(*value),
                escaped(&said)
            ));
        }
        if let Some(last) = line.values.iter().rev().flatten().next() {
            names.push((y(*last), number_of_line));
        }
    }
    // Names stand where their lines end, and not on each other.
    names.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut free = TOP;
    for (y, _) in &mut names {
        *y = y.max(free);
        free = *y + NAME;
    }
    // Nor below the last of them the axis's own.
    let mut free = bottom;
    for (y, _) in names.iter_mut().rev() {
        *y = y.min(free);
        free = *y - NAME;
    }
    for (place, line) in names {
        let (colour, dashes) = KINDS[line];
        canvas.put(&format!(
            "<path d=\"M{:.1} {place:.1}h10\" class=\"line\" stroke=\"{colour}\" stroke-dasharray=\"{dashes}\"/>",
            right + 4.0
        ));
        canvas.text(right + 17.0, place + 4.0, Anchor::Start, "", &lines[line].name);
    }
    canvas.line((left, bottom), (right, bottom), "axis");
    canvas.finish(title)
}
