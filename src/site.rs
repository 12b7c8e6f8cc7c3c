//! Site files on a disk: what the compiler in `spec` asks for and cannot reach itself.

use anyhow::{Context, Result};
use customs_spec::policy::{CAPACITY, digest};
use customs_spec::site::{self, Compiled, File, Surroundings};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Where a site's own file is, unless a flag says otherwise.
pub const DEFAULT: &str = "/etc/customs/site.toml";

/// Reads and compiles a site file.
pub fn compile(path: &Path) -> Result<Compiled> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the site file {}", path.display()))?;
    let here = Here { folder: path.parent().unwrap_or(Path::new("")).to_path_buf() };
    Ok(site::compile(&path.display().to_string(), &text, &here)?)
}

/// What `customs run` uses without a site file: the shipped packages, from every process.
pub fn shipped() -> Result<Compiled> {
    let text = "[site]\nsystem = \"local\"\n[[transport]]\nname = \"loopback\"\nservers = [\"udp://127.0.0.1:514\"]\n\
        [[list]]\nname = \"packages\"\n";
    Ok(site::compile("the built-in site file", text, &Here { folder: PathBuf::new() })?)
}

/// The disk around a site file, and this machine's groups.
struct Here {
    folder: PathBuf,
}

impl Surroundings for Here {
    fn read(&self, path: &str) -> Result<File, String> {
        let path = self.folder.join(path);
        let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        Ok(File { name: path.display().to_string(), text })
    }

    fn group(&self, name: &str) -> Option<u32> {
        let group = nix::unistd::Group::from_name(name).ok().flatten()?;
        Some(group.gid.as_raw())
    }
}

/// A policy in numbers: `250 packages in 2 lists, 31337 bytes of 131072; digest 0123456789abcdef`.
pub fn summary(Compiled { model, bytes, .. }: &Compiled) -> String {
    let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    format!(
        "{} in {}, {} bytes of {CAPACITY}; digest {:016x}",
        plural(model.checks.len(), "package"),
        plural(model.lists.len(), "list"),
        bytes.len(),
        digest(bytes)
    )
}

/// The same for a program.
pub fn summary_json(Compiled { model, bytes, .. }: &Compiled) -> Value {
    json!({
        "ok": true,
        "packages": model.checks.len(),
        "lists": model.lists.len(),
        "bytes": bytes.len(),
        "capacity": CAPACITY,
        "digest": format!("{:016x}", digest(bytes)),
    })
}

/// The packages that customs ships: their names, and whether each is a shared library.
pub fn shipped_packages() -> Result<Vec<(String, bool)>> {
    let checks = shipped()?.model.checks;
    Ok(checks.into_iter().map(|check| (check.name, !check.libraries.is_empty())).collect())
}
