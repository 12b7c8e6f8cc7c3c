//! A record as a person reads it.
//!
//! ```text
//! customs  python 3.12.1 · pid 4711 · ended normally after 0.31 s · list packages
//!   who    alice (1000) on nid00012 · cori · compute · staff
//!   job    123456 · 4 nodes · qos regular · repo m1234
//!   what   /home/alice/run.py
//!   python /usr/bin/python3.12 · prefix /usr
//!   found  numpy 1.26.4 (direct) · scipy 1.11.4 · matplotlib 3.8.2
//!   native mkl · openblas
//! ```

use super::assemble::{Record, number, text};
use anstyle::{AnsiColor, Style};
use customs_spec::record::Field;
use serde_json::Value;
use std::fmt::Write;

const TITLE: Style = AnsiColor::Cyan.on_default().bold();
const LABEL: Style = Style::new().dimmed();
const DIRECT: Style = AnsiColor::Green.on_default().bold();

/// Columns that the label takes.
const INDENT: usize = 9;
const SEPARATOR: &str = " · ";

/// A piece of text and how it looks.
struct Piece {
    text: String,
    style: Style,
}

fn plain(text: impl Into<String>) -> Piece {
    Piece { text: text.into(), style: Style::new() }
}

/// The record in lines of at most `width` columns; `before` is the `seq` of an earlier record of the same process.
pub fn record(record: &Record, before: Option<u64>, width: usize) -> String {
    let mut out = String::new();
    line(&mut out, TITLE, "customs", headline(record, before), width);
    for (label, pieces) in [
        ("  who", who(record)),
        ("  job", job(record)),
        ("  what", what(record)),
        ("  python", python(record)),
        ("  found", found(record)),
        ("  native", native(record)),
    ] {
        if !pieces.is_empty() {
            line(&mut out, LABEL, label, pieces, width);
        }
    }
    out
}

fn line(out: &mut String, style: Style, label: &str, pieces: Vec<Piece>, width: usize) {
    // Writing into a String cannot fail.
    let _ = write!(out, "{style}{label:INDENT$}{style:#}");
    let mut column = INDENT;
    for (number, Piece { text, style }) in pieces.into_iter().enumerate() {
        // What a user put into a path must not steer the terminal of whoever looks.
        let text = text.replace(char::is_control, "\u{fffd}");
        let length = text.chars().count();
        if number > 0 && column + SEPARATOR.chars().count() + length > width {
            let _ = write!(out, "\n{:INDENT$}", "");
            column = INDENT;
        } else if number > 0 {
            let _ = write!(out, "{LABEL}{SEPARATOR}{LABEL:#}");
            column += SEPARATOR.chars().count();
        }
        let _ = write!(out, "{style}{text}{style:#}");
        column += length;
    }
    out.push('\n');
}

fn headline(record: &Record, before: Option<u64>) -> Vec<Piece> {
    let of = |field| text(record, field);
    let elapsed = record.get(Field::Elapsed.key()).and_then(Value::as_f64).unwrap_or_default();
    let exit = match of(Field::Exit).as_str() {
        "" => format!("after {elapsed:.2} s"),
        "normal" => format!("ended normally after {elapsed:.2} s"),
        how => format!("ended by {how} after {elapsed:.2} s"),
    };
    let mut pieces = vec![
        Piece { text: format!("python {}", of(Field::Python)), style: Style::new().bold() },
        plain(format!("pid {}", number(record, Field::Pid))),
        plain(exit),
        plain(format!("list {}", of(Field::List))),
    ];
    if let Some(before) = before {
        pieces.push(plain(format!("seq {}, replaces seq {before} of this process", number(record, Field::Seq))));
    }
    pieces
}

fn who(record: &Record) -> Vec<Piece> {
    let of = |field| text(record, field);
    let flag = |field: Field| record.get(field.key()).and_then(Value::as_bool).unwrap_or_default();
    let user = match (of(Field::Username), record.get(Field::Uid.key()).and_then(Value::as_i64)) {
        (name, Some(uid)) if name.is_empty() && uid >= 0 => format!("uid {uid}"),
        (name, Some(uid)) if uid >= 0 => format!("{name} ({uid})"),
        (name, _) => name,
    };
    let host = of(Field::Host);
    let mut pieces = vec![plain(if host.is_empty() { user } else { format!("{user} on {host}") })];
    pieces.extend(named("", of(Field::System)));
    pieces.extend(named("", of(Field::Subsystem)));
    pieces.extend(flag(Field::IsCompute).then(|| plain("compute")));
    pieces.extend(flag(Field::IsStaff).then(|| plain("staff")));
    pieces.extend(named("in ", of(Field::Container)));
    pieces
}

fn job(record: &Record) -> Vec<Piece> {
    let id = text(record, Field::JobId);
    if id.is_empty() {
        return Vec::new();
    }
    let nodes = number(record, Field::NumNodes);
    let mut pieces = vec![plain(id), plain(format!("{nodes} node{}", if nodes == 1 { "" } else { "s" }))];
    pieces.extend(named("qos ", text(record, Field::Qos)));
    pieces.extend(named("repo ", text(record, Field::Repo)));
    pieces
}

fn what(record: &Record) -> Vec<Piece> {
    let main = text(record, Field::Main);
    vec![plain(if main.is_empty() { "no script (-c, -m or interactive)".to_string() } else { main })]
}

fn python(record: &Record) -> Vec<Piece> {
    let mut pieces = Vec::from_iter(named("", text(record, Field::Executable)));
    pieces.extend(named("prefix ", text(record, Field::Prefix)));
    pieces
}

/// Modules with their versions, those of the user's own choice first.
fn found(record: &Record) -> Vec<Piece> {
    let (direct, native) = (names(record, Field::Direct), names(record, Field::Libraries));
    let versions = record.get(Field::Versions.key()).and_then(Value::as_object);
    let mut found: Vec<&str> = names(record, Field::Packages);
    found.retain(|name| !native.contains(name));
    if found.is_empty() {
        return if native.is_empty() { vec![plain("nothing that is on the list")] } else { Vec::new() };
    }
    found.sort_by_key(|name| !direct.contains(name));
    let piece = |name: &str| {
        let version = versions.and_then(|versions| versions.get(name)).and_then(Value::as_str).unwrap_or_default();
        let text = if version.is_empty() { name.to_string() } else { format!("{name} {version}") };
        if direct.contains(&name) { Piece { text: text + " (direct)", style: DIRECT } } else { plain(text) }
    };
    found.into_iter().map(piece).collect()
}

fn native(record: &Record) -> Vec<Piece> {
    names(record, Field::Libraries).into_iter().map(plain).collect()
}

fn names(record: &Record, field: Field) -> Vec<&str> {
    let names = record.get(field.key()).and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn named(label: &str, value: String) -> Option<Piece> {
    (!value.is_empty()).then(|| plain(format!("{label}{value}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(value: Value, before: Option<u64>, width: usize) -> String {
        let Value::Object(object) = value else { panic!("an object") };
        anstream::adapter::strip_str(&record(&object, before, width)).to_string()
    }

    #[test]
    fn a_record_reads_like_a_sentence_a_line() {
        let value = json!({
            "python": "3.12.1", "pid": 4711, "exit": "normal", "elapsed": 0.31, "list": "packages", "username": "alice", "uid": 1000,
            "host": "nid00012", "system": "cori", "subsystem": "", "is_compute": true, "is_staff": true, "container": "",
            "job_id": "123456", "num_nodes": 4, "qos": "regular", "repo": "m1234", "main": "/home/alice/run.py",
            "executable": "/usr/bin/python3.12", "prefix": "/usr", "packages": ["scipy", "numpy", "mkl"],
            "versions": { "numpy": "1.26.4" }, "direct": ["numpy"], "libraries": ["mkl"],
        });
        let expected = "\
customs  python 3.12.1 · pid 4711 · ended normally after 0.31 s · list packages
  who    alice (1000) on nid00012 · cori · compute · staff
  job    123456 · 4 nodes · qos regular · repo m1234
  what   /home/alice/run.py
  python /usr/bin/python3.12 · prefix /usr
  found  numpy 1.26.4 (direct) · scipy
  native mkl
";
        assert_eq!(shown(value, None, usize::MAX), expected);
    }

    #[test]
    fn what_a_site_omits_leaves_no_hole() {
        let value = json!({ "python": "", "uid": -1, "username": "", "packages": [], "exit": "SIGTERM", "elapsed": 1.0, "seq": 1 });
        let text = shown(value, Some(0), usize::MAX);
        assert!(text.contains("ended by SIGTERM after 1.00 s"), "{text}");
        assert!(text.contains("seq 1, replaces seq 0"), "{text}");
        assert!(text.contains("nothing that is on the list"), "{text}");
        assert!(!text.contains("job") && !text.contains("uid"), "{text}");
    }

    #[test]
    fn a_path_cannot_steer_the_terminal() {
        let Value::Object(object) = json!({ "main": "/tmp/\u{1b}[2J\n.py" }) else { panic!("an object") };
        assert!(record(&object, None, usize::MAX).contains("/tmp/\u{fffd}[2J\u{fffd}.py"));
    }

    #[test]
    fn long_lists_are_wrapped_at_the_terminals_width() {
        let names: Vec<String> = (0..20).map(|number| format!("package{number}")).collect();
        let text = shown(json!({ "packages": names, "main": "x" }), None, 60);
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
        assert!(text.contains("\n         package"), "{text}");
    }
}
