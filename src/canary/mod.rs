//! `customs canary`: processes whose records must arrive. `run` starts them and notes in a ledger what is to be reported
//! of each; `reconcile` says how much of that is in a dataset.
//!
//! A canary carries an id that nobody can guess, and that only its ledger knows: a record that claims to be of a canary
//! is believed where the ledger has its id. What a canary reports is worked out from the policy and from what it says of
//! itself at its end (`program.py`), with the very functions that the library uses: which lists are sampled, whether it
//! is thinned out, where it goes.

mod expect;
mod index;
pub mod ledger;
mod reconcile;
mod rows;
mod run;

use crate::cli::Canary;
use anyhow::{Context, Result, bail};
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use std::process::ExitCode;

/// One of the two.
pub fn run(args: &Canary) -> Result<ExitCode> {
    match args {
        Canary::Run(args) => run::run(args),
        Canary::Reconcile(args) => reconcile::run(args),
    }
}

/// A moment in microseconds since 1970, as a ledger has it.
fn text_of(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// The same from a text.
fn micros_of(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros())
}

/// A moment as a person types it: `2026-11-22`, `2026-11-22T14:00:00Z`, or `24h` for so long ago.
pub fn moment(text: &str) -> Result<i64, String> {
    if let Some(micros) = micros_of(text) {
        return Ok(micros);
    }
    if let Some(start) = text.parse::<NaiveDate>().ok().and_then(|day| day.and_hms_opt(0, 0, 0)) {
        return Ok(start.and_utc().timestamp_micros());
    }
    let ago =
        duration(text).map_err(|_| "write 2026-11-22, 2026-11-22T14:00:00Z, or 24h for so long ago".to_string())?;
    Ok(Utc::now().timestamp_micros() - ago)
}

/// A duration in microseconds: `90`, `90s`, `15m`, `24h`, `7d`.
pub fn duration(text: &str) -> Result<i64, String> {
    let read = || {
        let (number, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()));
        let seconds = match unit {
            "" | "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => bail!("no such unit"),
        };
        let number: i64 = number.parse()?;
        number.checked_mul(seconds * 1_000_000).context("too long")
    };
    read().map_err(|_| "write a number of seconds, or one with s, m, h or d".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_durations_are_read_as_people_write_them() {
        assert_eq!(duration("90"), Ok(90_000_000));
        assert_eq!(duration("15m"), Ok(900_000_000));
        assert_eq!(moment("1970-01-02"), Ok(86_400_000_000));
        assert_eq!(moment("1970-01-01T00:00:01Z"), Ok(1_000_000));
        assert!((Utc::now().timestamp_micros() - moment("1h").unwrap() - 3_600_000_000).abs() < 60_000_000);
        for wrong in ["", "h", "1w", "-1", "tomorrow"] {
            assert!(duration(wrong).is_err() && moment(wrong).is_err(), "{wrong}");
        }
    }
}
