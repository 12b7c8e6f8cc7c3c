//! `customs inspect`: the policy a library carries, as a site file.

use crate::cli::Inspect;
use crate::library::Library;
use crate::stdout::answer;
use anyhow::{Context, Result};
use customs_spec::record::Field;
use customs_spec::site;
use std::process::ExitCode;

/// Shows it, or says what is wrong with it.
pub fn run(args: &Inspect) -> Result<ExitCode> {
    let library = Library::read(&args.library)?;
    let policy = library.policy().with_context(|| args.library.display().to_string())?;
    let (text, digest) = (site::write(&policy), library.digest());
    if args.json {
        let mut value: toml::Table = toml::from_str(&text).context("the policy does not read as a site file")?;
        value.insert(Field::Policy.key().to_string(), digest.into());
        answer(&format!("{}\n", serde_json::to_string(&value)?))?;
    } else {
        answer(&format!("# policy {digest}, which is what its records say\n{text}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
