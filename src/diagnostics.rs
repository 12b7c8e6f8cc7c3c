//! Errors for people and for programs. A problem of a site file is shown in its line, with the fix below it.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use anyhow::Error;
use customs_spec::site::{Problem, Rejected};
use serde_json::{Value, json};
use std::io::Write;

/// Says on standard error what went wrong; in colour only on a terminal.
pub fn explain(error: &Error) {
    let text = match error.downcast_ref::<Rejected>() {
        Some(rejected) => rejected.problems.iter().map(shown).collect(),
        None => format!("customs: {error:#}\n"),
    };
    // A closed stderr leaves the exit status to speak.
    let _ = anstream::stderr().write_all(text.as_bytes());
}

fn shown(problem: &Problem) -> String {
    let snippet = Snippet::source(&problem.file.text)
        .path(&problem.file.name)
        .annotation(AnnotationKind::Primary.span(problem.span.clone()).label(&problem.help));
    let report = [Level::ERROR.primary_title(&problem.message).element(snippet)];
    format!("{}\n\n", Renderer::styled().render(&report))
}

/// The problems of a site file in JSON; `None` if the error is another.
pub fn json(error: &Error) -> Option<Value> {
    let problem = |problem: &Problem| {
        let (line, column) = problem.file.line_column(problem.span.start);
        json!({
            "kind": problem.kind.key(),
            "file": problem.file.name,
            "line": line,
            "column": column,
            "message": problem.message,
            "help": problem.help,
        })
    };
    let rejected = error.downcast_ref::<Rejected>()?;
    Some(json!({ "ok": false, "problems": rejected.problems.iter().map(problem).collect::<Vec<_>>() }))
}
