//! `customs report`: figures of tables, as pages that stand alone.
//!
//! ```text
//! tables → model → select (which rows) → counts → figures (numbers and drawings) → page
//! ```

mod counts;
mod draw;
mod figures;
mod model;
mod page;
mod period;
mod select;
mod table;

pub use period::By;
pub use select::Asked;

use crate::cli;
use crate::share::Share;
use crate::tables::Tables;
use crate::{progress, reduce, site, stdout, synth};
use anyhow::{Context, Result, bail, ensure};
use counts::Counts;
use figures::{Figure, Source, Wishes};
use model::Model;
use period::Period;
use select::Selection;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Draws the pages.
pub fn run(args: &cli::Report) -> Result<ExitCode> {
    let temporary;
    let folder = match &args.tables {
        Some(folder) if !args.example => folder.clone(),
        _ => {
            temporary = tempfile::tempdir().context("cannot make a folder for the example")?;
            example(temporary.path())?
        }
    };
    let (low, high) = match args.clip.as_slice() {
        [low, high] if low < high && *low >= -1.0 && *high <= 1.0 => (*low, *high),
        _ => bail!("--clip takes two numbers from -1 to 1, the lower one first, such as --clip 0.6 0.8"),
    };
    let wishes = Wishes {
        top: usize::from(args.top),
        clip: (low, high),
        packages: args.package.clone(),
        total_users: args.total_users,
        canary_loss: args.canaries.as_deref().map(canary_loss).transpose()?,
        listed: site::shipped_packages()?.into_iter().map(|(name, _)| name).collect(),
    };
    let model = Model::read(&Tables::open(&folder)?, args.from, args.to)?;
    let report = Report { args, wishes };
    let pages = report.pages(&model)?;
    if args.json {
        stdout::answer(&format!("{}\n", json!({ "pages": pages })))?;
    } else {
        stdout::answer(&format!("{}\n", args.out.join("index.html").display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Tables of a centre that never was.
fn example(folder: &Path) -> Result<PathBuf> {
    let (dataset, tables) = (folder.join("dataset"), folder.join("tables"));
    synth::make(&cli::Synth::example(dataset.clone()))?;
    reduce::reduce(&cli::Reduce::all(dataset, tables.clone()))?;
    Ok(tables)
}

/// What `customs canary reconcile --json` has found.
fn canary_loss(file: &Path) -> Result<Share> {
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let said: Value = serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", file.display()))?;
    let number = |key: &str| said.get(key).and_then(Value::as_f64);
    let share = || Some(Share { observed: number("loss")?, low: number("loss_low")?, high: number("loss_high")? });
    share().with_context(|| format!("{} has no loss: write it with `customs canary reconcile --json`", file.display()))
}

struct Report<'a> {
    args: &'a cli::Report,
    wishes: Wishes,
}

impl Report<'_> {
    fn pages(&self, model: &Model) -> Result<Vec<String>> {
        let first = self.args.from.or_else(|| model.days.keys().next().copied());
        let last = self.args.to.or_else(|| model.days.keys().next_back().copied());
        let (Some(first), Some(last)) = (first, last) else {
            bail!("the tables have no days: make them with `customs reduce`");
        };
        let whole = Period::whole(first, last)?;
        self.check_names(model)?;
        let Some(by) = self.args.by else {
            self.page(model, &whole, &self.args.out, None)?;
            return Ok(vec![self.args.out.join("index.html").display().to_string()]);
        };
        let periods = whole.cut(by);
        let bar = progress::bar(periods.len() as u64, "{spinner} period {pos} of {len} {wide_bar} {eta}");
        let (mut pages, mut links, mut counted) = (Vec::new(), Vec::new(), Vec::new());
        for period in periods {
            let folder = self.args.out.join(&period.name);
            let counts = self.page(model, &period, &folder, Some("../index.html"))?;
            pages.push(folder.join("index.html").display().to_string());
            let numbers = [counts.users.count() as f64, counts.jobs.jobs as f64, counts.jobs.node_hours.round()];
            let (name, href) = (period.name.clone(), format!("{}/index.html", period.name));
            links.push(page::Link { name, href, numbers: numbers.map(draw::number).to_vec() });
            counted.push((period, counts));
            bar.inc(1);
        }
        bar.finish_and_clear();
        let all = Counts::together(counted.iter().map(|(_, counts)| counts));
        let source = Source { model, counts: &all, months: &counted, wishes: &self.wishes };
        let trends = vec![figures::over_time(&source)];
        self.files(&self.args.out, &trends)?;
        let head = page::Head { title: self.title(&whole), lines: self.about(), up: None };
        let text = page::index(&head, &["users", "jobs", "node-hours (approximate)"], &links, &trends);
        write(&self.args.out.join("index.html"), &text)?;
        pages.insert(0, self.args.out.join("index.html").display().to_string());
        Ok(pages)
    }

    /// The page of a period and all that belongs to it.
    fn page(&self, model: &Model, period: &Period, folder: &Path, up: Option<&'static str>) -> Result<Counts> {
        let selection = Selection::new(&self.args.asked, model);
        let (counts, months) = Counts::of(model, &selection, period);
        let days = model.days.range(period.from..=period.to).map(|(_, day)| day).collect();
        let figures = figures::all(&Source { model, counts: &counts, months: &months, wishes: &self.wishes }, days);
        self.files(folder, &figures)?;
        let head = page::Head { title: self.title(period), lines: self.about(), up };
        write(&folder.join("index.html"), &page::page(&head, &figures))?;
        Ok(counts)
    }

    fn files(&self, folder: &Path, figures: &[Figure]) -> Result<()> {
        let folder = folder.join("figures");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for figure in figures {
            let file = |suffix: &str| folder.join(format!("{}.{suffix}", figure.key));
            write(&file("csv"), &figure.table.csv())?;
            figure.table.parquet(&file("parquet"))?;
            if let Some(drawing) = &figure.drawing {
                write(&file("svg"), &draw::alone(drawing))?;
            }
        }
        Ok(())
    }

    fn title(&self, period: &Period) -> String {
        let name = self.args.title.as_deref().unwrap_or(if self.args.example { "An example" } else { "Python" });
        format!("{name}: {}", period.name)
    }

    /// What was asked for beside the period.
    fn about(&self) -> Vec<String> {
        let asked = &self.args.asked;
        let mut lines = Vec::new();
        for (what, names) in
            [("system", &asked.system), ("subsystem", &asked.subsystem), ("repo", &asked.repo), ("list", &asked.list)]
        {
            if !names.is_empty() {
                lines.push(format!("Only {what} {}.", names.join(", ")));
            }
        }
        for (what, which) in [("staff", asked.staff), ("what ran outside of compute nodes", asked.login)] {
            if let Some(which) = which {
                lines.push(format!("In all figures: {} {what}.", which.word()));
            }
        }
        if self.args.example {
            lines.push("Made up by customs: no such centre is there.".to_string());
        }
        lines
    }

    /// A name that nothing has is a slip of the pen.
    fn check_names(&self, model: &Model) -> Result<()> {
        let asked = &self.args.asked;
        for (option, names) in
            [("system", &asked.system), ("subsystem", &asked.subsystem), ("repo", &asked.repo), ("list", &asked.list)]
        {
            for name in names {
                ensure!(model.texts.has(name), "--{option} {name}: the tables have no such name in this time");
            }
        }
        Ok(())
    }
}

/// A name as part of a file's name.
fn file_name(name: &str) -> String {
    name.chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '_' })
        .collect()
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
