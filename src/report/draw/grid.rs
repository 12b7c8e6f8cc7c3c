//! Coloured cells in rows and columns: two-dimensional distributions and correlations.

use super::{Anchor, Canvas, WIDTH, every, room};

/// A cell.
pub enum Cell {
    /// Nothing is there.
    Empty,
    /// It cannot be said.
    Undefined(String),
    /// A colour, and what it says.
    Filled(String, String),
}

/// A sum, as a share of the longest bar, and what it says.
pub type Margin = (f64, String);

/// The cells and all around them.
pub struct Grid<'a> {
    pub title: &'a str,
    pub across: &'a str,
    pub rows: Vec<String>,
    pub columns: Vec<String>,
    /// Whether the columns' labels are long.
    pub slanted: bool,
    /// By row, then by column.
    pub cells: Vec<Vec<Cell>>,
    /// At the right of each row, and above each column.
    pub margins: Option<(Vec<Margin>, Vec<Margin>)>,
    /// Colours and the values they stand for.
    pub legend: Vec<(String, String)>,
    /// What these values are.
    pub unit: &'a str,
}

const STEP: f64 = 18.0;
const MARGIN: f64 = 70.0;

/// Draws it.
pub fn draw(grid: &Grid) -> String {
    let left = room(grid.rows.iter().map(String::as_str));
    let labels = if grid.slanted { room(grid.columns.iter().map(String::as_str)) * 0.87 } else { 20.0 };
    let (above, beside) = if grid.margins.is_some() { (MARGIN, MARGIN) } else { (0.0, 0.0) };
    let top = 30.0 + above + if grid.slanted { labels } else { 0.0 };
    let step = match grid.slanted {
        true => STEP,
        false => ((WIDTH - left - beside - 12.0) / grid.columns.len().max(1) as f64).clamp(STEP, 56.0),
    };
    let right = left + step * grid.columns.len() as f64;
    let labelled = if grid.slanted { 1 } else { every(grid.columns.iter().map(String::as_str), step) };
    // A slanted label goes on to the right, by half of its length.
    let ends = grid.columns.iter().enumerate().map(|(at, label)| {
        let own = if grid.slanted { room([label.as_str()].into_iter()) / 2.0 } else { 0.0 };
        left + step * (at as f64 + 0.5) + own
    });
    let bottom = top + STEP * grid.rows.len() as f64;
    let between = 18.0 + room(grid.legend.iter().map(|(_, said)| said.as_str()));
    let legend = grid.legend.len() as f64 * between;
    let width = ends.fold(WIDTH.max(right + beside + 12.0), f64::max).ceil();
    let first = left.min(width - legend - room([grid.unit].into_iter()));
    let mut canvas = Canvas::wide(width, bottom + if grid.slanted { 12.0 } else { 44.0 });
    for (at, (colour, said)) in grid.legend.iter().enumerate() {
        let x = first + at as f64 * between;
        canvas.cell((x, 4.0), (14.0, 12.0), colour, said);
        canvas.text(x + 18.0, 14.0, Anchor::Start, "quiet", said);
    }
    canvas.text(first + legend, 14.0, Anchor::Start, "quiet", grid.unit);
    for (at, label) in grid.columns.iter().enumerate() {
        let x = left + step * (at as f64 + 0.5);
        if grid.slanted {
            canvas.text_up(x + 3.0, top - 6.0, label);
        } else if at % labelled == 0 {
            canvas.text(x, bottom + 16.0, Anchor::Middle, "", label);
        }
    }
    for (at, (label, cells)) in grid.rows.iter().zip(&grid.cells).enumerate() {
        let y = top + STEP * at as f64;
        canvas.text(left - 6.0, y + 13.0, Anchor::End, "", label);
        for (column, cell) in cells.iter().enumerate() {
            let at = (left + step * column as f64, y);
            match cell {
                Cell::Empty => {}
                Cell::Undefined(said) => canvas.rect((at.0 + 2.0, y + 2.0), (step - 4.0, STEP - 4.0), "missing", said),
                Cell::Filled(colour, said) => canvas.cell(at, (step - 1.0, STEP - 1.0), colour, said),
            }
        }
    }
    if let Some((rows, columns)) = &grid.margins {
        for (at, (share, said)) in rows.iter().enumerate() {
            canvas.rect((right + 6.0, top + STEP * at as f64 + 2.0), ((MARGIN - 8.0) * share, STEP - 5.0), "one", said);
        }
        for (at, (share, said)) in columns.iter().enumerate() {
            let height = (MARGIN - 8.0) * share;
            canvas.rect((left + step * at as f64 + 2.0, top - 6.0 - height), (step - 4.0, height), "one", said);
        }
    }
    if !grid.across.is_empty() {
        canvas.text((left + right) / 2.0, bottom + 36.0, Anchor::Middle, "quiet", grid.across);
    }
    canvas.finish(grid.title)
}
