//! `customs`, the command: compiles a site file into the library and tries it on a program; collects what the library
//! sends into a dataset, and proves with canaries that nothing is lost; condenses the dataset into tables, and draws figures
//! of them. One module a verb; `cli` says what can be typed.

#![forbid(unsafe_code)]

mod canary;
mod check;
mod cli;
mod collect;
mod compile;
mod dataset;
mod diagnostics;
mod doctor;
mod elasticsearch;
mod emit;
mod here;
mod import;
mod inspect;
#[cfg(feature = "kafka")]
mod kafka;
mod library;
mod manual;
mod me;
mod place;
mod preloaded;
mod program;
mod progress;
mod reap;
mod record;
mod reduce;
mod report;
mod run;
mod serve;
mod share;
mod site;
mod sql;
mod stdout;
mod synth;
mod tables;
mod whole;
mod words;

use clap::Parser;
use cli::Verb;
use std::process::ExitCode;

/// Exit status of a verb whose answer is "no".
const NO: u8 = 1;
/// Exit status of wrong usage and bad input.
const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    let outcome = match cli::Customs::parse().verb {
        Verb::Check(args) => check::run(&args),
        Verb::Compile(args) => compile::run(&args),
        Verb::Inspect(args) => inspect::run(&args),
        Verb::Run(args) => run::run(&args),
        Verb::Emit(args) => emit::run(&args),
        Verb::Reap(args) => reap::run(&args),
        Verb::Collect(args) => collect::run(&args),
        Verb::Import(args) => import::run(&args),
        Verb::Canary(args) => canary::run(&args),
        Verb::Doctor(args) => doctor::run(&args),
        Verb::Me(args) => me::run(&args),
        Verb::Reduce(args) => reduce::run(&args),
        Verb::Report(args) => report::run(&args),
        Verb::Serve(args) => serve::run(&args),
        Verb::Synth(args) => synth::run(&args),
        Verb::Sql(args) => sql::run(&args),
        Verb::Completions(args) => manual::completions(&args),
        Verb::Man => manual::page(),
    };
    outcome.unwrap_or_else(|error| {
        if !stdout::was_closed(&error) {
            diagnostics::explain(&error);
        }
        ExitCode::from(BAD_INPUT)
    })
}
