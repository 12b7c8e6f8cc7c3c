//! The library as a file: is it there, may everybody read it, is it whole, and is its policy the site's?

use super::Site;
use super::report::Report;
use crate::cli::Doctor;
use crate::here;
use crate::library::Library;
use crate::preloaded::{self, Entry};
use crate::program::{self, Nature};
use anyhow::Result;
use customs_spec::policy::model::Model;
use customs_spec::site;
use nix::sys::statvfs::{FsFlags, statvfs};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What is examined.
pub struct Subject {
    /// Where it lies; `None` where it is what the site file would make.
    pub path: Option<PathBuf>,
    /// By what it is preloaded.
    pub entry: Option<Entry>,
    /// The library.
    pub library: Library,
    /// Its policy.
    pub model: Model,
}

const ABOUT: &str = "library";

/// The library that is named, the one that is preloaded here, or else the one that the site file would make.
pub fn examine(args: &Doctor, site: Option<&Site>, report: &mut Report) -> Option<Subject> {
    let entry = if args.library.is_some() { None } else { preloaded::library() };
    let path = args.library.clone().or_else(|| entry.as_ref().map(Entry::path));
    let Some(path) = path else {
        let says = format!("none is preloaded here: neither {} nor {} names one", preloaded::VARIABLE, preloaded::FILE);
        let fix = if here::variable("SLURM_JOB_ID").is_some() {
            "the job was perhaps started with --export=NONE: have a TaskProlog export it, or name one by --library"
        } else {
            "log in anew where profile.d sets it, or name one by --library"
        };
        report.problem(ABOUT, says, fix);
        return site.and_then(|site| would_be(site).ok());
    };
    if let Some(entry) = entry.as_ref().filter(|entry| !entry.text.contains('/') || !entry.path().is_absolute()) {
        let says = format!("{} names it as {}, which depends on who looks from where", entry.named_by, entry.text);
        report.problem(ABOUT, says, "name it by its whole path");
    }
    let library = file(&path, entry.as_ref(), report).and_then(|()| whole(&path, report));
    let Some(library) = library else { return site.and_then(|site| would_be(site).ok()) };
    let model = match library.policy() {
        Ok(model) => model,
        Err(damage) => {
            report.problem("policy", format!("{}: {damage}", path.display()), "until then it does nothing");
            return site.and_then(|site| would_be(site).ok());
        }
    };
    policy(&library, &model, site, report);
    Some(Subject { path: Some(path), entry, library, model })
}

/// What `customs compile` would write.
fn would_be(site: &Site) -> Result<Subject> {
    let model = site.compiled.model.clone();
    let pristine = Library::pristine()?;
    let library = Library::of_bytes(pristine.stamp(&site.compiled.bytes)?)?;
    Ok(Subject { path: None, entry: None, library, model })
}

/// Whether everybody can load the file, and nobody else can write it.
fn file(path: &Path, entry: Option<&Entry>, report: &mut Report) -> Option<()> {
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            let fix = match entry {
                Some(entry) => {
                    format!("install it there, or take it out of {}: programs complain at each start", entry.named_by)
                }
                None => "write it with `customs compile`".to_string(),
            };
            report.problem(ABOUT, format!("{shown}: {error}"), fix);
            return None;
        }
    };
    if !metadata.is_file() {
        report.problem(ABOUT, format!("{shown} is no file"), "write it with `customs compile`");
        return None;
    }
    // As the loader sees it: links are followed.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let closed = real.ancestors().skip(1).find(|folder| mode(folder).is_some_and(|mode| mode & 0o001 == 0));
    if metadata.permissions().mode() & 0o004 == 0 {
        report.problem(ABOUT, format!("{shown} cannot be read by everybody"), format!("chmod a+r {shown}"));
    } else if let Some(folder) = closed {
        let folder = folder.display();
        report.problem(
            ABOUT,
            format!("{shown} cannot be reached by everybody: {folder} is closed"),
            format!("chmod a+x {folder}"),
        );
    }
    if metadata.permissions().mode() & 0o002 != 0 {
        let says = format!("{shown} can be written by everybody, and so what runs in everybody's programs");
        report.problem(ABOUT, says, format!("chmod o-w {shown}"));
    }
    let open = real.ancestors().skip(1).find(|folder| mode(folder).is_some_and(|mode| mode & 0o1002 == 0o002));
    if let Some(folder) = open {
        let folder = folder.display();
        report.problem(
            ABOUT,
            format!("everybody can replace {shown}: {folder} is open"),
            format!("chmod o-w {folder}"),
        );
    }
    if metadata.permissions().mode() & 0o6000 != 0 {
        let says = format!("{shown} has the setuid or setgid bit, which lets it into setuid programs");
        report.problem(ABOUT, says, format!("chmod ug-s {shown}"));
    }
    if metadata.uid() != 0 {
        let says =
            format!("{shown} belongs to uid {}, who can change what runs in everybody's programs", metadata.uid());
        report.note(ABOUT, says, format!("chown root {shown}, unless it is only yours"));
    }
    if statvfs(path).is_ok_and(|system| system.flags().contains(FsFlags::ST_NOEXEC)) {
        let says = format!("{shown} lies on a file system that is mounted noexec, from which nothing is loaded");
        report.problem(ABOUT, says, "install it on another one");
    }
    Some(())
}

fn mode(path: &Path) -> Option<u32> {
    Some(fs::metadata(path).ok()?.permissions().mode())
}

/// Whether it is a libcustoms.so of this machine's kind.
fn whole(path: &Path, report: &mut Report) -> Option<Library> {
    let shown = path.display();
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            report.problem(ABOUT, format!("{shown} cannot be read: {error}"), format!("chmod a+r {shown}"));
            return None;
        }
    };
    if program::nature(&bytes) == Nature::Foreign {
        let says = format!("{shown} is built for another machine than this one ({})", std::env::consts::ARCH);
        report.problem(ABOUT, says, "compile one here, or with `--library` of this machine's kind");
        return None;
    }
    let library = match Library::of_bytes(bytes) {
        Ok(library) => library,
        Err(error) => {
            report.problem(ABOUT, format!("{shown}: {error:#}"), "write it anew with `customs compile`");
            return None;
        }
    };
    match Library::pristine() {
        Ok(pristine) if library.has_code_of(&pristine) => {
            report.ok(ABOUT, format!("{shown}: {}, as this command writes it", std::env::consts::ARCH));
        }
        _ => report.note(
            ABOUT,
            format!("{shown}: its code is not that of this command: an older or newer one, or changed"),
            "write it anew with `customs compile`, unless you know why",
        ),
    }
    Some(library)
}

/// Whether it is the site's.
fn policy(library: &Library, model: &Model, site: Option<&Site>, report: &mut Report) {
    let digest = library.digest();
    let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let summary = format!(
        "whole; {} in {}, system {}, digest {digest}",
        plural(model.checks.len(), "package"),
        plural(model.lists.len(), "list"),
        model.system
    );
    report.ok("policy", summary);
    let Some(site) = site else {
        report.note("site", "no site file to compare the policy with", "name one by --site");
        return;
    };
    let path = site.path.display();
    if site.digest() == digest {
        report.ok("site", format!("the policy is that of {path}"));
        return;
    }
    let parts = differences(model, &site.compiled.model);
    let says = format!("the policy is not that of {path} (digest {}): {} differ", site.digest(), parts.join(", "));
    report.problem("site", says, "compile the library anew, or use the site file that it was made from");
}

/// The tables of a site file in which two policies differ.
fn differences(one: &Model, other: &Model) -> Vec<String> {
    let tables = |model: &Model| toml::from_str::<toml::Table>(&site::write(model)).unwrap_or_default();
    let (one, other) = (tables(one), tables(other));
    let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
    names.sort();
    names.dedup();
    names.into_iter().filter(|name| one.get(*name) != other.get(*name)).map(|name| format!("[{name}]")).collect()
}
