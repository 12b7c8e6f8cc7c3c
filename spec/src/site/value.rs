//! Single values: names, texts, words with a meaning.

use super::format::{Text, Texts};
use super::problem::{Fault, Kind};
use super::source::{Source, nearest};
use crate::frame::MAX_MSGID;
use crate::record::Field;
use crate::signal;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Longest single text that the policy stores.
const MAX_TEXT: usize = 4096;

/// RFC 5424 table 1, by code; the names are those of syslog.conf(5) and, for 12 to 15, of rsyslog.
pub const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

/// A name that is reported or referred to, no longer than the record shows it.
pub fn name(source: &Source, of: &str, text: &Text) -> Option<String> {
    let room = crate::record::MAX_NAME;
    let fault = match text.get_ref().as_str() {
        "" => Fault::new(format!("the {of} has no name"), "write a name of at least one character"),
        name if name.len() > room => Fault::new(
            format!("the name of the {of} has {} bytes", name.len()),
            format!("a record has room for {room}"),
        ),
        _ => return self::text(source, text),
    };
    source.accept(text.span(), Err(fault))
}

/// A text that the library will compare: not empty, no control characters.
pub fn text(source: &Source, text: &Text) -> Option<String> {
    let fault = match text.get_ref() {
        empty if empty.is_empty() => Fault::new("this is empty", "write something between the quotes, or remove it"),
        odd if odd.contains(char::is_control) => Fault::new("there is a control character in this", "remove it"),
        long if long.len() > MAX_TEXT => {
            Fault::new(format!("this has {} bytes", long.len()), format!("use at most {MAX_TEXT}"))
        }
        fine => return Some(fine.clone()),
    };
    source.accept(text.span(), Err(fault))
}

/// All of them, without those that were refused.
pub fn texts(source: &Source, texts: Texts) -> Vec<String> {
    texts.iter().filter_map(|text| self::text(source, text)).collect()
}

/// Numbers of signals, or of the usual ones; each once, in order.
pub fn signals(source: &Source, names: Option<Texts>) -> Vec<u8> {
    let Some(names) = names else { return super::defaults::SIGNALS.to_vec() };
    let number = |text: &Text| {
        let known: Vec<_> = signal::ALL.iter().map(|number| signal::name(*number)).collect();
        let fault = || {
            Fault::new(
                format!("a process cannot report at `{}`", text.get_ref()),
                format!("choose from {}", known.join(", ")),
            )
        };
        source.accept(text.span(), signal::number(text.get_ref()).ok_or_else(fault))
    };
    let mut numbers: Vec<u8> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// The absolute path of a folder, no longer than leaves room for a file's name in it.
pub fn folder(source: &Source, text: &Text) -> Option<String> {
    const LONGEST: usize = 200;
    let path = self::text(source, text)?;
    let fault = match path.as_str() {
        path if !path.starts_with('/') => {
            Fault::new("this is no absolute path", "write the folder from the root on, e.g. \"/dev/shm\"")
        }
        path if path.trim_end_matches('/').is_empty() => {
            Fault::new("this is the root of all files", "name a folder for it, e.g. \"/dev/shm\"")
        }
        path if path.len() > LONGEST => {
            Fault::new(format!("this has {} bytes", path.len()), format!("use a folder of at most {LONGEST}"))
        }
        _ => return Some(path.trim_end_matches('/').to_string()),
    };
    source.accept(text.span(), Err(fault))
}

/// A time such as `500ms`, `10s`, `5m` or `1h`, in milliseconds.
pub fn milliseconds(text: &str) -> Result<u32, Fault> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let time = number.parse().ok().zip(factor).and_then(|(number, factor): (u32, u32)| number.checked_mul(factor));
    time.filter(|time| *time > 0).ok_or_else(|| {
        Fault::new(format!("`{text}` is no time"), "write a number and its unit: \"500ms\", \"10s\", \"5m\", \"1h\"")
    })
}

/// Names of environment variables, or the built-in ones.
pub fn variables(source: &Source, names: Option<Texts>, default: &[&str]) -> Vec<String> {
    let Some(names) = names else { return super::defaults::owned(default) };
    names.iter().filter_map(|name| variable(source, name)).collect()
}

/// The name of an environment variable.
pub fn variable(source: &Source, name: &Text) -> Option<String> {
    let found = text(source, name)?;
    let fault = || Fault::new(format!("`{found}` cannot name a variable"), "write the name alone, without `=` and `$`");
    let sound = !found.contains(['=', '$', ' ']);
    source.accept(name.span(), sound.then(|| found.clone()).ok_or_else(fault))
}

/// RFC 5424 MSGID.
pub fn msgid(text: &str) -> Result<String, Fault> {
    if (1..=MAX_MSGID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.to_string());
    }
    Err(Fault::new(
        format!("`{}` cannot be a MSGID", text.escape_debug()),
        format!("write 1 to {MAX_MSGID} printable ASCII characters without a space (RFC 5424, section 6.2.7)"),
    ))
}

/// The code of a facility.
pub fn facility(text: &str) -> Result<u8, Fault> {
    let code = FACILITIES.iter().position(|name| *name == text);
    code.map(|code| code as u8).ok_or_else(|| {
        let help = match nearest(text, &FACILITIES) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("write one of {}", FACILITIES.join(", ")),
        };
        Fault::new(format!("unknown facility `{text}`"), help)
    })
}

/// Fields of the record by name, in the record's order.
pub fn fields(source: &Source, names: &Texts) -> Vec<(Field, Text)> {
    let keys: Vec<&str> = Field::ALL.iter().map(|field| field.key()).collect();
    let mut found = BTreeMap::new();
    for name in names {
        match Field::ALL.iter().find(|field| field.key() == name.get_ref()) {
            Some(field) => drop(found.insert(*field, name.clone())),
            None => {
                let help = nearest(name.get_ref(), &keys).map_or_else(
                    || format!("the fields are {}", keys.join(", ")),
                    |meant| format!("did you mean `{meant}`?"),
                );
                source.report(
                    Kind::NotFound,
                    name.span(),
                    format!("the record has no field `{}`", name.get_ref()),
                    help,
                );
            }
        }
    }
    found.into_iter().collect()
}

/// Reports the second of two equal names.
pub struct Unique<'s> {
    source: &'s Source,
    of: &'static str,
    seen: BTreeMap<String, usize>,
}

impl<'s> Unique<'s> {
    pub fn new(source: &'s Source, of: &'static str) -> Self {
        Unique { source, of, seen: BTreeMap::new() }
    }

    pub fn name(&mut self, text: &Text) -> Option<String> {
        let name = name(self.source, self.of, text)?;
        if let Some(first) = self.seen.get(&name) {
            let line = self.source.file.line_column(*first).0;
            let message = format!("there are two {}s of the name `{name}`", self.of);
            self.source.report(
                Kind::Duplicate,
                text.span(),
                message,
                format!("the first is in line {line}; rename one of them"),
            );
        } else {
            self.seen.insert(name.clone(), text.span().start);
        }
        Some(name)
    }
}
