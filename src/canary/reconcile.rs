//! `customs canary reconcile`: a ledger beside a dataset.

use super::ledger::{self, Entry, Listed, Report};
use super::rows::{self, Row};
use super::{index, text_of};
use crate::cli::CanaryReconcile;
use crate::dataset::{Dataset, Day};
use crate::share::{Share, wilson};
use crate::{NO, stdout};
use anyhow::{Context, Result};
use chrono::Utc;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

const DAY: i64 = 86_400_000_000;
/// While the dataset is being written, or where that cannot be told.
const GRACE: i64 = 120_000_000;
/// How many problems are named.
const SHOWN: usize = 20;

/// Answers, and says by its exit status whether all is well.
pub fn run(args: &CanaryReconcile) -> Result<ExitCode> {
    let mut entries = BTreeMap::new();
    let mut unreadable = 0;
    for path in &args.ledger {
        let (more, torn) = ledger::read(path)?;
        entries.extend(more);
        unreadable += torn;
    }
    let is_meant = |entry: &Entry| {
        args.since.is_none_or(|since| entry.time >= since) && args.until.is_none_or(|until| entry.time < until)
    };
    let now = Utc::now().timestamp_micros();
    let times = || entries.values().filter(|entry| is_meant(entry));
    // What of a canary arrives is of the day on which it began, by the clock of its node.
    let first = times().map(|entry| entry.time).min().unwrap_or(now) - DAY;
    let last = times().map(|entry| entry.end.unwrap_or(entry.time)).max().unwrap_or(now) + DAY;
    let is_index = args.dataset.starts_with("http://") || args.dataset.starts_with("https://");
    // Asked first: what a collector writes until then is seen.
    let is_being_written = is_index || Dataset::open(Path::new(&args.dataset))?.is_being_written();
    let rows = match is_index {
        true => index::of_index(&args.dataset, first, last)?,
        false => rows::of_dataset(Path::new(&args.dataset), &Day::of(first), &Day::of(last))?,
    };
    let terms = Terms {
        grace: args.grace.unwrap_or(if is_being_written { GRACE } else { 0 }),
        within: args.within,
        now,
        lists: args.list.iter().cloned().collect(),
    };
    let mut tally = settle(&entries, is_meant, rows, &terms);
    tally.unreadable = unreadable;

    if let Some(path) = &args.textfile {
        write_textfile(path, &tally.metrics(now)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    match args.json {
        true => stdout::answer(&format!("{}\n", tally.json()))?,
        false => stdout::answer(&tally.text())?,
    }
    let is_well = tally.loss().is_none_or(|loss| loss.observed <= args.max_loss)
        && tally.wrong == 0
        && tally.sent >= args.min_sent;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

/// By which it is judged; times in microseconds.
struct Terms {
    grace: i64,
    within: i64,
    now: i64,
    /// The lists that count; all if there are none.
    lists: BTreeSet<String>,
}

/// How it stands. A record is what one canary reports to one list.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    canaries: u64,
    sent: u64,
    arrived: u64,
    lost: u64,
    late: u64,
    wrong: u64,
    pending: u64,
    not_sent: u64,
    unsure: u64,
    failed: u64,
    unfinished: u64,
    unexpected: u64,
    unknown: u64,
    duplicates: u64,
    unreadable: u64,
    wrong_by: BTreeMap<&'static str, u64>,
    /// In seconds, in order.
    delays: Vec<f64>,
    problems: Vec<String>,
}

/// The rows of one process and list, as one record.
#[derive(Debug)]
struct Arrived {
    row: Row,
    duplicates: u64,
}

/// Counts.
fn settle(
    entries: &BTreeMap<String, Entry>,
    is_meant: impl Fn(&Entry) -> bool,
    rows: Vec<Row>,
    terms: &Terms,
) -> Tally {
    let mut tally = Tally::default();
    let mut records: BTreeMap<(String, String), BTreeMap<u128, Vec<Row>>> = BTreeMap::new();
    let mut unknown = BTreeSet::new();
    for row in rows.into_iter().filter(|row| terms.lists.is_empty() || terms.lists.contains(&row.list)) {
        match entries.get(&row.canary) {
            None => drop(unknown.insert(row.canary)),
            Some(entry) if !is_meant(entry) || entry.end.is_none() || !entry.is_well => {}
            Some(_) => {
                let record = records.entry((row.canary.clone(), row.list.clone())).or_default();
                record.entry(row.process).or_default().push(row);
            }
        }
    }
    tally.unknown = unknown.len() as u64;
    for (canary, entry) in entries.iter().filter(|(_, entry)| is_meant(entry)) {
        tally.canaries += 1;
        let Some(end) = entry.end else {
            tally.unfinished += 1;
            continue;
        };
        tally.failed += u64::from(!entry.is_well);
        let is_meant = |listed: &&Listed| terms.lists.is_empty() || terms.lists.contains(&listed.list);
        for listed in entry.lists.iter().filter(is_meant) {
            let mut arrived = records.remove(&(canary.clone(), listed.list.clone())).unwrap_or_default();
            let own = match entry.process {
                Some(process) => arrived.remove(&process),
                None => arrived.pop_first().map(|(_, rows)| rows),
            };
            // Of others that inherited the variable, or that have learnt it.
            tally.unexpected += arrived.len() as u64;
            let own = own.and_then(joined);
            match (listed.report, own) {
                (Report::No, own) => {
                    tally.not_sent += 1;
                    tally.unexpected += u64::from(own.is_some());
                }
                (Report::Unsure, own) => {
                    tally.unsure += 1;
                    if let Some(own) = own {
                        tally.check(canary, entry, listed, &own.row);
                    }
                }
                (Report::Yes, Some(own)) => {
                    tally.sent += 1;
                    tally.arrived += 1;
                    tally.duplicates += own.duplicates;
                    tally.check(canary, entry, listed, &own.row);
                    let ended = own.row.start.map_or(end, |start| start + (own.row.elapsed * 1e6) as i64);
                    if let Some(delay) = own.row.arrived.map(|arrived| arrived - ended) {
                        tally.late += u64::from(delay > terms.within);
                        tally.delays.push((delay as f64 / 1e3).round() / 1e3);
                    }
                }
                (Report::Yes, None) if terms.now - end < terms.grace => tally.pending += 1,
                (Report::Yes, None) => {
                    tally.sent += 1;
                    tally.lost += 1;
                    let ended = text_of(end);
                    tally.problem(format!("{canary} · {} · lost; it ended at {ended}", listed.list));
                }
            }
        }
    }
    // To lists that the policy did not have.
    tally.unexpected += records.values().map(|processes| processes.len() as u64).sum::<u64>();
    tally.delays.sort_by(f64::total_cmp);
    tally
}

/// The rows with the highest `seq`, of those the oldest, and its parts put together (docs/RECORD.md).
fn joined(mut rows: Vec<Row>) -> Option<Arrived> {
    rows.sort_by(|one, other| other.seq.cmp(&one.seq).then(other.elapsed.total_cmp(&one.elapsed)));
    let mut rows = rows.into_iter();
    let mut arrived = Arrived { row: rows.next()?, duplicates: 0 };
    let mut seen = BTreeSet::from([arrived.row.missing.clone()]);
    for row in
        rows.take_while(|row| (row.seq, row.elapsed) == (arrived.row.seq, arrived.row.elapsed)).collect::<Vec<_>>()
    {
        arrived.duplicates += u64::from(!seen.insert(row.missing.clone()));
        let whole = &mut arrived.row;
        whole.missing = whole.missing.intersection(&row.missing).copied().collect();
        whole.packages.extend(row.packages);
        whole.arrived = whole.arrived.max(row.arrived);
    }
    Some(arrived)
}

impl Tally {
    /// Whether what arrived is what was expected.
    fn check(&mut self, canary: &str, entry: &Entry, listed: &Listed, row: &Row) {
        let mut wrong = Vec::new();
        let expected: BTreeSet<String> = listed.packages.iter().cloned().collect();
        if !row.missing.is_empty() {
            let parts: Vec<String> = row.missing.iter().map(u8::to_string).collect();
            wrong.push(("parts", format!("without part {}", parts.join(", "))));
        } else if row.packages != expected {
            let without: Vec<&str> = expected.difference(&row.packages).map(String::as_str).collect();
            let beside: Vec<&str> = row.packages.difference(&expected).map(String::as_str).collect();
            let named = |word: &str, names: &[&str]| match names {
                [] => String::new(),
                names => format!(" {word} {}", names.join(", ")),
            };
            let text = format!("packages{}{}", named("without", &without), named("and also", &beside));
            wrong.push(("packages", text));
        }
        if !entry.hosts.contains(&row.host) {
            wrong.push(("host", format!("host `{}` and not `{}`", row.host, entry.hosts.join("` or `"))));
        }
        if entry.python != row.python {
            wrong.push(("python", format!("python `{}` and not `{}`", row.python, entry.python)));
        }
        if wrong.is_empty() {
            return;
        }
        self.wrong += 1;
        let texts: Vec<String> = wrong.iter().map(|(_, text)| text.clone()).collect();
        self.problem(format!("{canary} · {} · wrong: {}", listed.list, texts.join("; ")));
        for (kind, _) in wrong {
            *self.wrong_by.entry(kind).or_default() += 1;
        }
    }

    fn problem(&mut self, text: String) {
        match self.problems.len() {
            shown if shown < SHOWN => self.problems.push(text),
            SHOWN => self.problems.push("… and more".to_string()),
            _ => {}
        }
    }

    /// `None` where nothing was sent.
    fn loss(&self) -> Option<Share> {
        (self.sent > 0).then(|| wilson(self.lost, self.sent))
    }

    /// The delay that `share` of the records did not exceed: the nearest rank.
    fn delay(&self, share: f64) -> Option<f64> {
        let rank = (share * self.delays.len() as f64).ceil().max(1.0) as usize;
        self.delays.get(rank - 1).copied()
    }

    fn counts(&self) -> [(&'static str, u64, &'static str); 14] {
        [
            ("canaries", self.canaries, "canaries of the ledger"),
            ("sent", self.sent, "records that must have arrived"),
            ("arrived", self.arrived, "of those, in the dataset"),
            ("lost", self.lost, "of those, not in the dataset"),
            ("late", self.late, "arrived, and later than --within"),
            ("wrong", self.wrong, "arrived, and do not say what they must"),
            ("pending", self.pending, "not in the dataset, and too young to be called lost"),
            ("not_sent", self.not_sent, "that the policy does not send: thinned out, not in the sample, opted out"),
            ("unsure", self.unsure, "of which it cannot be told whether they are sent"),
            ("failed", self.failed, "canaries that did not do what they were told"),
            ("unfinished", self.unfinished, "canaries whose end nobody noted"),
            ("unexpected", self.unexpected, "of canaries of the ledger, that were not to be sent"),
            ("unknown", self.unknown, "ids in the dataset that no ledger has: forged, or of another ledger"),
            ("duplicates", self.duplicates, "rows that are there more than once"),
        ]
    }

    fn json(&self) -> Value {
        let mut answer: serde_json::Map<String, Value> =
            self.counts().into_iter().map(|(key, count, _)| (key.to_string(), json!(count))).collect();
        let loss = self.loss();
        let more = [
            ("unreadable", json!(self.unreadable)),
            ("loss", json!(loss.as_ref().map(|loss| loss.observed))),
            ("loss_low", json!(loss.as_ref().map_or(0.0, |loss| loss.low))),
            ("loss_high", json!(loss.as_ref().map_or(1.0, |loss| loss.high))),
            ("delay_p50", json!(self.delay(0.5))),
            ("delay_p90", json!(self.delay(0.9))),
            ("delay_p99", json!(self.delay(0.99))),
            ("delay_max", json!(self.delay(1.0))),
            ("wrong_by", json!(self.wrong_by)),
            ("problems", json!(self.problems)),
        ];
        answer.extend(more.map(|(key, value)| (key.to_string(), value)));
        Value::Object(answer)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (key, count, meaning) in self.counts() {
            let is_always_shown = matches!(key, "sent" | "arrived" | "lost" | "late" | "wrong");
            if is_always_shown || count > 0 {
                let _ = writeln!(text, "{:<11}{count:>8}  {meaning}", key.replace('_', " "));
            }
        }
        if self.unreadable > 0 {
            let _ = writeln!(text, "{:<11}{:>8}  lines of the ledger that are torn", "unreadable", self.unreadable);
        }
        let _ = match self.loss() {
            Some(Share { observed, low, high }) => writeln!(
                text,
                "loss       {:>7.2}%  and with 95 % confidence between {:.2} % and {:.2} %",
                observed * 100.0,
                low * 100.0,
                high * 100.0
            ),
            None => writeln!(text, "loss              -  nothing was sent, so nothing is known"),
        };
        if let [Some(half), Some(most), Some(max)] = [0.5, 0.99, 1.0].map(|share| self.delay(share)) {
            let _ = writeln!(text, "delay      {half:>7.3}s  in the middle; {most:.3} s for 99 %, {max:.3} s at most");
        }
        for problem in &self.problems {
            let _ = writeln!(text, "  {problem}");
        }
        text
    }

    /// In Prometheus' text format.
    fn metrics(&self, now: i64) -> String {
        let mut text = String::new();
        let mut add = |name: &str, meaning: &str, value: f64| {
            let _ = writeln!(text, "# HELP customs_canary_{name} {meaning}\n# TYPE customs_canary_{name} gauge");
            let _ = writeln!(text, "customs_canary_{name} {value}");
        };
        for (key, count, meaning) in self.counts() {
            add(key, meaning, count as f64);
        }
        let loss = self.loss().unwrap_or(Share { observed: f64::NAN, low: 0.0, high: 1.0 });
        add("loss_ratio", "the share of what was sent that is lost; NaN where nothing was sent", loss.observed);
        add("loss_ratio_low", "lower end of its 95 % interval", loss.low);
        add("loss_ratio_high", "upper end of its 95 % interval", loss.high);
        add("reconciled_timestamp_seconds", "when this was counted", now as f64 / 1e6);
        text.push_str("# HELP customs_canary_delay_seconds from the end of a canary to the arrival of its record\n");
        text.push_str("# TYPE customs_canary_delay_seconds gauge\n");
        for share in [0.5, 0.9, 0.99, 1.0] {
            if let Some(delay) = self.delay(share) {
                let _ = writeln!(text, "customs_canary_delay_seconds{{quantile=\"{share}\"}} {delay}");
            }
        }
        text
    }
}

/// Beside its place and renamed: whoever reads it sees the old one or the new one.
fn write_textfile(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".customs-canary.").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(Permissions::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_repeats_counted_and_older_reports_passed_over() {
        let row = |seq: u32, names: &[&str], missing: &[u8]| Row {
            seq,
            packages: names.iter().map(|name| name.to_string()).collect(),
            missing: missing.iter().copied().collect(),
            ..Row::default()
        };
        let rows =
            vec![row(0, &["old"], &[]), row(1, &["b"], &[1, 3]), row(1, &["a"], &[2, 3]), row(1, &["a"], &[2, 3])];
        let arrived = joined(rows).unwrap();
        assert_eq!(arrived.duplicates, 1);
        assert_eq!((arrived.row.seq, arrived.row.missing), (1, BTreeSet::from([3])));
        assert_eq!(Vec::from_iter(arrived.row.packages), ["a", "b"]);
    }

    #[test]
    fn nothing_of_nothing_is_no_loss_and_no_proof() {
        let tally = Tally::default();
        let answer = tally.json();
        assert_eq!(
            [&answer["loss"], &answer["loss_low"], &answer["loss_high"]],
            [&json!(null), &json!(0.0), &json!(1.0)]
        );
        assert!(tally.text().contains("nothing is known") && tally.metrics(0).contains("loss_ratio NaN"));
    }
}
