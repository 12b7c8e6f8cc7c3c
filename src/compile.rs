//! `customs compile`: a site file becomes a library.

use crate::cli::Compile;
use crate::library::Library;
use crate::stdout::answer;
use crate::{check, site};
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

/// Compiles, and says what was written.
pub fn run(args: &Compile) -> Result<ExitCode> {
    let compiled = match site::compile(&args.site) {
        Ok(compiled) => compiled,
        Err(error) => return check::refuse(args.json, error),
    };
    let output = args.output.display();
    let library = args.library.as_ref().map_or_else(Library::pristine, |path| Library::read(path))?;
    let library = library.stamp(&compiled.bytes)?;
    write(&args.output, &library).with_context(|| format!("cannot write {output}; what was there is untouched"))?;
    if args.json {
        let mut summary = site::summary_json(&compiled);
        summary["output"] = Value::from(output.to_string());
        answer(&format!("{summary}\n"))?;
    } else {
        answer(&format!("{output}: written, {}\n", site::summary(&compiled)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Beside its place, to the disk, then renamed: running programs keep the file they have mapped, and whoever starts
/// meanwhile sees one library or the other.
pub fn write(path: &Path, library: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".libcustoms.").tempfile_in(folder)?;
    file.write_all(library)?;
    file.as_file().set_permissions(Permissions::from_mode(0o755))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
