//! `customs sql`: hands over to the program `customs-sql`, which the rest of this folder is: a crate of its own, because
//! it takes as long to build as all else several times over.

mod args;

pub use args::Sql;

use anyhow::{Context, Result, bail};
use std::env;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// What does it.
const PROGRAM: &str = "customs-sql";

/// `customs sql`
pub fn run(_: &Sql) -> Result<ExitCode> {
    let Some(program) = find() else {
        bail!(
            "`customs sql` needs the program {PROGRAM}, and it is neither beside this `customs` nor in PATH: install the \
             package {PROGRAM}, or build it where the sources are, with `cargo build --release --manifest-path \
             src/sql/Cargo.toml --target-dir target`, and put target/release/{PROGRAM} there"
        );
    };
    // What was typed is right, and says the same there.
    let error = Command::new(&program).args(env::args_os().skip(2)).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}

/// Beside this program first: the two are built together. Never where one just happens to be.
fn find() -> Option<PathBuf> {
    let beside = env::current_exe().ok().and_then(|own| Some(own.parent()?.to_path_buf()));
    let path = env::var_os("PATH").unwrap_or_default();
    let places = beside.into_iter().chain(env::split_paths(&path));
    let places = places.filter(|place| place.is_absolute());
    places.map(|place| place.join(PROGRAM)).find(|program| program.is_file())
}
