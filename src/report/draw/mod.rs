//! Figures as SVG, which any browser shows without a script, and which can be saved as they are.
//!
//! Colours are classes, so that the page chooses them for dark and light; a file of its own carries them along
//! ([`alone`]). Every mark has a `<title>`, which browsers show as a tooltip and screen readers read.

pub mod bars;
pub mod columns;
pub mod grid;
pub mod lines;

use std::fmt::Write;

/// The width of figures, in CSS pixels; of those with long names it is the least.
pub const WIDTH: f64 = 760.0;
/// As wide as a letter is on average, at the size of labels.
const LETTER: f64 = 6.9;

/// The style sheet of the marks. The colours are Okabe and Ito's, which eyes that see fewer colours tell apart.
pub const STYLE: &str = "\
.figure text{font:12px system-ui,sans-serif;fill:var(--ink,#222)}\
.figure .quiet{fill:var(--quiet,#555)}\
.figure .axis{stroke:var(--line,#999);stroke-width:1;fill:none}\
.figure .rule{stroke:var(--rule,#ddd);stroke-width:1}\
.figure .one{fill:#0072b2}.figure .two{fill:#e69f00}\
.figure .line{fill:none;stroke-width:2}\
.figure .error{stroke:var(--ink,#222);stroke-width:1.5}\
.figure .missing{fill:none;stroke:var(--line,#999);stroke-dasharray:2 2}";

/// A drawing.
pub struct Canvas {
    width: f64,
    height: f64,
    marks: String,
}

/// Where a text begins, or ends.
#[derive(Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

impl Canvas {
    /// An empty one.
    pub fn new(height: f64) -> Self {
        Canvas::wide(WIDTH, height)
    }

    /// One of another width.
    pub fn wide(width: f64, height: f64) -> Self {
        Canvas { width, height, marks: String::new() }
    }

    /// A text, its baseline at y.
    pub fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        self.put(&format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{class}>{}</text>", escaped(text)));
    }

    /// A text that runs upwards from there.
    pub fn text_up(&mut self, x: f64, y: f64, text: &str) {
        self.put(&format!("<text transform=\"translate({x:.1} {y:.1}) rotate(-60)\">{}</text>", escaped(text)));
    }

    /// A filled rectangle that says something.
    pub fn rect(&mut self, at: (f64, f64), size: (f64, f64), class: &str, said: &str) {
        let ((x, y), (width, height)) = (at, size);
        let said = escaped(said);
        self.put(&format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" class=\"{class}\"><title>{said}</title></rect>"
        ));
    }

    /// The same in a colour of its own.
    pub fn cell(&mut self, at: (f64, f64), size: (f64, f64), colour: &str, said: &str) {
        let ((x, y), (width, height)) = (at, size);
        let said = escaped(said);
        self.put(&format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"><title>{said}</title></rect>"
        ));
    }

    /// A straight line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.put(&format!("<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>"));
    }

    /// Whatever else.
    pub fn put(&mut self, mark: &str) {
        self.marks.push_str(mark);
    }

    /// The element, to stand in a page.
    pub fn finish(self, title: &str) -> String {
        let Canvas { width, height, marks } = self;
        let title = escaped(title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"figure\" role=\"img\" aria-label=\"{title}\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\">{marks}</svg>"
        )
    }
}

/// A drawing as a file of its own.
pub fn alone(svg: &str) -> String {
    let dark =
        "@media(prefers-color-scheme:dark){svg{background:#15181c;--ink:#eee;--quiet:#aaa;--line:#777;--rule:#333}}";
    let style = format!("<style>svg{{background:#fff}}{STYLE}{dark}</style>");
    match svg.split_once('>') {
        Some((head, rest)) => format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{head}>{style}{rest}\n"),
        None => svg.to_string(),
    }
}

/// A text for XML.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            // No character of XML 1.0, section 2.2.
            letter if letter.is_control() => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}

/// The room that labels need.
pub fn room<'a>(labels: impl Iterator<Item = &'a str>) -> f64 {
    labels.map(|label| label.chars().count()).max().unwrap_or_default() as f64 * LETTER + 8.0
}

/// Of labels that stand side by side, a step apart, the first of every so many has room.
pub fn every<'a>(labels: impl Iterator<Item = &'a str>, step: f64) -> usize {
    (room(labels) / step).ceil().max(1.0) as usize
}

/// Round numbers from 0 up to one that is not below `most`.
pub fn ticks(most: f64) -> Vec<f64> {
    if most <= 0.0 {
        return vec![0.0, 1.0];
    }
    let power = 10_f64.powf((most / 5.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|step| step * power).into_iter().find(|step| most / step <= 5.0);
    let step = step.unwrap_or(power);
    let count = (most / step).ceil() as usize;
    (0..=count).map(|tick| tick as f64 * step).collect()
}

/// A number as people write it: 12,345 or 0.25.
pub fn number(value: f64) -> String {
    if value.fract() == 0.0 || value.abs() >= 1000.0 {
        return thousands(value.round() as i64);
    }
    let text = if value.abs() < 0.01 { format!("{value:.4}") } else { format!("{value:.2}") };
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

fn thousands(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut out = if value < 0 { "-".to_string() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A colour from dark blue to yellow by a share, each step as bright as it is far: cividis (Nuñez et al., 2018), at nine
/// points.
pub fn shade(share: f64) -> String {
    const POINTS: [(f64, f64, f64); 9] = [
        (0.0, 34.0, 78.0),
        (26.0, 56.0, 111.0),
        (61.0, 78.0, 108.0),
        (86.0, 100.0, 109.0),
        (112.0, 122.0, 116.0),
        (141.0, 144.0, 113.0),
        (173.0, 168.0, 104.0),
        (208.0, 194.0, 87.0),
        (254.0, 232.0, 56.0),
    ];
    let place = share.clamp(0.0, 1.0) * (POINTS.len() - 1) as f64;
    let at = (place.floor() as usize).min(POINTS.len() - 2);
    mix(POINTS[at], POINTS[at + 1], place - at as f64)
}

/// A colour from orange (-1) over grey (0) to blue (1), both ends to be seen on light and on dark.
pub fn diverging(value: f64) -> String {
    let (grey, end) = ((235.0, 235.0, 235.0), if value < 0.0 { (213.0, 94.0, 0.0) } else { (0.0, 114.0, 178.0) });
    mix(grey, end, value.abs().clamp(0.0, 1.0))
}

fn mix(one: (f64, f64, f64), other: (f64, f64, f64), share: f64) -> String {
    let between = |one: f64, other: f64| (one + (other - one) * share).round() as u8;
    let mut out = String::from("#");
    for part in [between(one.0, other.0), between(one.1, other.1), between(one.2, other.2)] {
        let _ = write!(out, "{part:02x}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{escaped, number, ticks};

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(
            ["0", "7", "1,234", "1,234,568", "-12,000", "0.25", "0.3", "0.0012"],
            [0.0, 7.0, 1234.0, 1_234_567.8, -12000.0, 0.25, 0.3, 0.0012].map(number).each_ref().map(String::as_str)
        );
    }

    #[test]
    fn ticks_are_round_and_reach_the_greatest_value() {
        assert_eq!(ticks(0.0), [0.0, 1.0]);
        assert_eq!(ticks(7.0), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(ticks(1000.0), [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]);
    }

    #[test]
    fn what_a_user_named_something_cannot_leave_its_text() {
        assert_eq!(escaped("<b a=\"1\">&\u{1b}"), "&lt;b a=&quot;1&quot;&gt;&amp;\u{fffd}");
    }
}
