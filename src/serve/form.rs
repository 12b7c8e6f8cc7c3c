//! The question as a form, and as the query of an address (application/x-www-form-urlencoded, WHATWG URL, section 5).

use crate::report::{Asked, Model, Question, Which};
use anyhow::{Result, anyhow, bail};
use chrono::NaiveDate;
use clap::ValueEnum;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// The fields that were filled in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Form {
    fields: BTreeMap<&'static str, String>,
}

/// All that can be asked, and what it is called in the page.
const FIELDS: [(&str, &str); 8] = [
    ("from", "From"),
    ("to", "To"),
    ("staff", "Staff"),
    ("login", "Login nodes"),
    ("system", "System"),
    ("subsystem", "Subsystem"),
    ("repo", "Account"),
    ("list", "List"),
];

impl Form {
    /// What an address asks. What is not known is passed over.
    pub fn of_query(query: &str) -> Self {
        let mut fields = BTreeMap::new();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value);
            if let Some((name, _)) = FIELDS.iter().find(|(known, _)| *known == name)
                && !value.is_empty()
            {
                fields.insert(*name, value);
            }
        }
        Form { fields }
    }

    /// The address of the same question: `?from=2026-01-01`, or nothing.
    pub fn query(&self) -> String {
        let pairs: Vec<String> = self.fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }

    fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// What it asks.
    pub fn question(&self) -> Result<Question> {
        let day = |name: &str| -> Result<Option<NaiveDate>> {
            let text = self.get(name);
            let day = || text.parse().map_err(|_| anyhow!("{text} is no day: write one such as 2026-01-31"));
            (!text.is_empty()).then(day).transpose()
        };
        let which = |name: &str| -> Result<Option<Which>> {
            let text = self.get(name);
            match Which::from_str(text, false) {
                Ok(which) => Ok(Some(which)),
                Err(_) if text.is_empty() => Ok(None),
                Err(_) => bail!("{name} is include, exclude or only, and not {text}"),
            }
        };
        let names = |name: &str| -> Vec<String> {
            self.get(name).split(',').map(str::trim).filter(|name| !name.is_empty()).map(ToString::to_string).collect()
        };
        let asked = Asked {
            staff: which("staff")?,
            login: which("login")?,
            system: names("system"),
            subsystem: names("subsystem"),
            repo: names("repo"),
            list: names("list"),
        };
        Ok(Question { from: day("from")?, to: day("to")?, asked, min_users: None })
    }

    /// As it stands in the page, with the names that the tables have.
    pub fn markup(&self, model: &Model) -> Markup {
        let (first, last) = (model.days.keys().next(), model.days.keys().next_back());
        let default = |name: &str| match name {
            "from" => first.map(ToString::to_string),
            "to" => last.map(ToString::to_string),
            _ => None,
        };
        html! {
            form method="get" action="/" aria-label="Period and filters" {
                @for (name, label) in FIELDS {
                    label { (label)
                        @match name {
                            "from" | "to" => input type="date" name=(name) value=(self.get(name)) min=[default("from")] max=[default("to")];,
                            "staff" | "login" => select name=(name) {
                                option value="" { "as each figure has it" }
                                @for which in ["include", "exclude", "only"] { option value=(which) selected[self.get(name) == which] { (which) } }
                            },
                            _ => input type="text" name=(name) value=(self.get(name)) placeholder="all" size="12";,
                        }
                    }
                }
                button type="submit" { "Show" }
                a href="/" { "All" }
            }
        }
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.,".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn a_question_goes_into_an_address_and_comes_back() {
        let form = Form::of_query("to=2026-02-01&from=&repo=m1%2C+m%262&unknown=1&staff=only");
        assert_eq!(form.query(), "?repo=m1,%20m%262&staff=only&to=2026-02-01");
        assert_eq!(Form::of_query(&form.query()[1..]), form);
        let question = form.question().unwrap();
        assert_eq!(question.asked.repo, ["m1", "m&2"]);
        assert_eq!((question.from, question.to.map(|day| day.to_string())), (None, Some("2026-02-01".to_string())));
        assert!(
            Form::of_query("staff=some").question().is_err() && Form::of_query("from=yesterday").question().is_err()
        );
    }
}
