//! What the doctor says: a line a check.

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// To be known; whether it is right is the site's to say.
    Note,
    /// Records are lost by it, or somebody is troubled.
    Problem,
}

impl Verdict {
    /// The word in the answer.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Note => "note",
            Verdict::Problem => "problem",
        }
    }

    fn style(self) -> Style {
        match self {
            Verdict::Ok => AnsiColor::Green.on_default(),
            Verdict::Note => AnsiColor::Yellow.on_default(),
            Verdict::Problem => AnsiColor::Red.on_default().bold(),
        }
    }
}

/// A check and how it came out.
#[derive(Debug)]
pub struct Check {
    /// What was checked: a word of docs/DOCTOR.md.
    pub about: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// What was found.
    pub says: String,
    /// What to do about it; empty: nothing.
    pub fix: String,
}

/// All checks, in the order in which they were made.
#[derive(Debug, Default)]
pub struct Report {
    checks: Vec<Check>,
}

impl Report {
    /// All is well with it.
    pub fn ok(&mut self, about: &'static str, says: impl Into<String>) {
        self.add(about, Verdict::Ok, says, "");
    }

    /// Something to be known.
    pub fn note(&mut self, about: &'static str, says: impl Into<String>, fix: impl Into<String>) {
        self.add(about, Verdict::Note, says, fix);
    }

    /// Something to be mended.
    pub fn problem(&mut self, about: &'static str, says: impl Into<String>, fix: impl Into<String>) {
        self.add(about, Verdict::Problem, says, fix);
    }

    fn add(&mut self, about: &'static str, verdict: Verdict, says: impl Into<String>, fix: impl Into<String>) {
        // A check is a line, whatever a path or another program's message holds.
        let line = |text: String| text.trim().replace(char::is_control, " ");
        self.checks.push(Check { about, verdict, says: line(says.into()), fix: line(fix.into()) });
    }

    /// Whether a check came out so.
    pub fn has(&self, verdict: Verdict) -> bool {
        self.count(verdict) > 0
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|check| check.verdict == verdict).count()
    }

    /// For a person.
    pub fn text(&self) -> String {
        let line = |check: &Check| {
            let Check { about, verdict, says, fix } = check;
            let (style, word) = (verdict.style(), verdict.word());
            let fix = if fix.is_empty() { String::new() } else { format!("; {fix}") };
            format!("{style}{word:<8}{style:#} {about:<10} {says}{fix}\n")
        };
        let mut text: String = self.checks.iter().map(line).collect();
        let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
        text.push_str(&match (self.count(Verdict::Problem), self.count(Verdict::Note)) {
            (0, 0) => "all is well\n".to_string(),
            (0, notes) => format!("no problem, {}\n", plural(notes, "note")),
            (problems, notes) => format!("{}, {}\n", plural(problems, "problem"), plural(notes, "note")),
        });
        text
    }

    /// For a program.
    pub fn json(&self) -> Value {
        let check = |check: &Check| json!({ "check": check.about, "result": check.verdict.word(), "says": check.says, "fix": check.fix });
        json!({
            "ok": !self.has(Verdict::Problem),
            "problems": self.count(Verdict::Problem),
            "notes": self.count(Verdict::Note),
            "checks": self.checks.iter().map(check).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_a_line_and_what_to_do_stands_in_it() {
        let mut report = Report::default();
        report.ok("library", "/a: whole");
        report.problem("python", "a\nb\u{1b}[2J", "install it");
        let text = anstream::adapter::strip_str(&report.text()).to_string();
        assert_eq!(
            text,
            "ok       library    /a: whole\nproblem  python     a b [2J; install it\n1 problem, 0 notes\n"
        );
        assert_eq!(report.json()["checks"][1]["result"], "problem");
        assert_eq!(report.json()["ok"], false);
    }
}
