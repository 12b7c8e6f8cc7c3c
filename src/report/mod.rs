//! `customs report`: figures of tables, as pages that stand alone.
//!
//! ```text
//! tables → model (rows, and what months come to) → select (which of them) → counts → figures (numbers and drawings) → page
//! ```

mod accounting;
mod answer;
mod brief;
mod cell;
mod counts;
mod digest;
pub mod draw;
mod figures;
mod join;
mod model;
pub mod page;
mod parallel;
mod period;
mod protect;
mod read;
mod select;
mod table;

pub use answer::{Answer, Question};
pub use figures::{Figure, Wishes};
pub use model::Model;
pub use period::By;
pub use read::read;
pub use select::{Asked, Which};

use crate::cli;
use crate::tables::Tables;
use crate::{progress, reduce, stdout, synth};
use anyhow::{Context, Result};
use brief::Brief;
use counts::Counts;
use figures::Source;
use parallel::side_by_side;
use period::Period;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Said where a page is empty because nothing was reduced.
const NOTHING: &str = "the tables have no days in this time";

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
    let wishes = Wishes::of(&args.wishes)?;
    let question = &args.question;
    let model = read(&Tables::open(&folder)?, question.from, question.to)?;
    let report = Report { args, wishes };
    let pages = report.pages(&model)?;
    if model.days.is_empty() {
        eprintln!("customs: {NOTHING}");
    }
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

struct Report<'a> {
    args: &'a cli::Report,
    wishes: Wishes,
}

impl Report<'_> {
    fn pages(&self, model: &Model) -> Result<Vec<String>> {
        let whole = self.args.question.period(model)?;
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
            let numbers = [counts.users.count() as f64, counts.jobs.jobs as f64, counts.jobs.node_hours().round()];
            let (name, href) = (period.name.clone(), format!("{}/index.html", period.name));
            links.push(page::Link { name, href, numbers: numbers.map(draw::number).to_vec() });
            counted.push((period, counts));
            bar.inc(1);
        }
        bar.finish_and_clear();
        let all = Counts::together(counted.iter().map(|(_, counts)| counts));
        let counted: Vec<(Period, Brief)> =
            counted.into_iter().map(|(period, counts)| (period, counts.brief())).collect();
        let source = Source { model, period: &whole, counts: &all, months: &counted, wishes: &self.wishes };
        let trends = vec![figures::over_time(&source)];
        self.files(&self.args.out, &trends)?;
        let head = page::Head::new(self.title(&whole), self.about(model, &whole));
        let text = page::index(&head, &["users", "jobs", "node-hours (approximate)"], &links, &trends);
        write(&self.args.out.join("index.html"), text)?;
        pages.insert(0, self.args.out.join("index.html").display().to_string());
        Ok(pages)
    }

    /// The page of a period and all that belongs to it.
    fn page(&self, model: &Model, period: &Period, folder: &Path, up: Option<&'static str>) -> Result<Counts> {
        let Answer { figures, counts } = self.args.question.answer(model, period, &self.wishes);
        self.files(folder, &figures)?;
        let head = page::Head { up, ..page::Head::new(self.title(period), self.about(model, period)) };
        write(&folder.join("index.html"), page::page(&head, &figures))?;
        Ok(counts)
    }

    fn files(&self, folder: &Path, figures: &[Figure]) -> Result<()> {
        let folder = folder.join("figures");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let made = side_by_side(
            figures,
            || (),
            |figure, ()| -> Result<_> {
                let drawing = figure.drawing.as_ref().map(|drawing| draw::alone(drawing));
                Ok((figure.table.csv(), figure.table.parquet()?, drawing))
            },
        );
        for (figure, made) in figures.iter().zip(made) {
            let file = |suffix: &str| folder.join(format!("{}.{suffix}", figure.key));
            let (csv, parquet, drawing) = made?;
            write(&file("csv"), csv)?;
            write(&file("parquet"), parquet)?;
            if let Some(drawing) = drawing {
                write(&file("svg"), drawing)?;
            }
        }
        Ok(())
    }

    fn title(&self, period: &Period) -> String {
        let name = self.args.title.as_deref().unwrap_or(if self.args.example { "An example" } else { "Python" });
        format!("{name}: {}", period.name)
    }

    fn about(&self, model: &Model, period: &Period) -> Vec<String> {
        let mut lines = self.args.question.about();
        if model.days.range(period.from..=period.to).next().is_none() {
            lines.push(format!("Empty: {NOTHING}."));
        }
        if self.args.example {
            lines.push("Made up by customs: no such centre is there.".to_string());
        }
        lines
    }
}

/// A name as part of a file's name.
fn file_name(name: &str) -> String {
    name.chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '_' })
        .collect()
}

fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}
