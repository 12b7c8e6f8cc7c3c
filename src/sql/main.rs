//! `customs-sql`: what `customs sql` starts. It reads the files of a dataset and of its tables as they lie, and DataFusion
//! answers.

#![forbid(unsafe_code)]

mod args;
mod ask;
mod damage;
mod print;
#[path = "../stdout.rs"]
mod stdout;
mod tables;

use anyhow::{Context, Result, bail};
use args::Sql;
use clap::Parser;
use std::io::{Read, Write};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::{fs, io};

/// Exit status of wrong usage and bad input, as of `customs`.
const BAD_INPUT: u8 = 2;

#[derive(Parser)]
#[command(name = "customs-sql", version, max_term_width = 100)]
struct Program {
    #[command(flatten)]
    sql: Sql,
}

fn main() -> ExitCode {
    let args = Program::parse().sql;
    match without_panic(|| ask::run(&args, query(&args)?.as_deref())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !stdout::was_closed(&error) {
                // A closed stderr leaves the exit status to speak.
                let _ = writeln!(io::stderr(), "customs: {}", print::plain(&format!("{error:#}")));
            }
            ExitCode::from(BAD_INPUT)
        }
    }
}

/// DataFusion is large. Where it panics, it is the query that has no answer, and what is left of it is cleared away.
fn without_panic(answer: impl FnOnce() -> Result<()>) -> Result<()> {
    static PANIC: OnceLock<String> = OnceLock::new();
    panic::set_hook(Box::new(|panic| {
        let _ = PANIC.set(panic.to_string());
    }));
    panic::catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|_| {
        let what = PANIC.get().map_or("", String::as_str);
        bail!("the query: it brings out a defect of customs-sql or of DataFusion, please report it: {what}")
    })
}

/// The text of the query, wherever it is; `None` if there is none.
fn query(args: &Sql) -> Result<Option<String>> {
    match (&args.query, &args.file) {
        (Some(query), _) if query == "-" => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).context("cannot read the query from standard input")?;
            Ok(Some(text))
        }
        (_, Some(file)) => {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            Ok(Some(text))
        }
        (query, None) => Ok(query.clone()),
    }
}
