//! The site file: what a centre's administrator writes. Read, checked, compiled; and the way back.
//!
//! TOML text → `format` (tables) → `check` (sense) → [`Model`] → policy bytes. Nothing here touches a disk: files
//! and groups come through [`Surroundings`].

mod check;
mod defaults;
mod format;
mod packages;
mod problem;
mod server;
mod source;
mod value;
mod write;

#[cfg(test)]
mod tests;

pub use problem::{File, Kind, Problem, Rejected};
pub use write::write;

use crate::policy::model::Model;
use crate::policy::{TooLarge, encode};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use format::{Draft, List, Package};
use packages::Shelf;
use source::Source;
use toml::Spanned;
use toml::de::DeValue;

/// In `include`: the list of packages that customs ships.
pub const SHIPPED: &str = "shipped:packages.toml";

/// What a site file refers to outside of itself.
pub trait Surroundings {
    /// The file that `include` names, relative to the site file, under a name by which a person can open it; or why
    /// it cannot be read.
    fn read(&self, path: &str) -> Result<File, String>;
    /// The number of a group.
    fn group(&self, name: &str) -> Option<u32>;
}

/// A site file that makes sense.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// What it says.
    pub model: Model,
    /// The policy, ready to be stamped into the library.
    pub bytes: Vec<u8>,
    /// What the library does not need to know.
    pub environments: Vec<Environment>,
}

/// Pythons that a site tells from others by where they lie.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    /// What they are called.
    pub name: String,
    /// Globs over a record's `prefix`.
    pub prefix: Vec<String>,
}

/// Compiles the site file `name` with this text, or says everything that is wrong with it.
pub fn compile(name: &str, text: &str, around: &dyn Surroundings) -> Result<Compiled, Rejected> {
    let source = Rc::new(Source::new(name, text));
    let mut draft = read_site(&source);
    let environments = check::environments(&source, core::mem::take(&mut draft.environments));
    let lists: Vec<_> = draft.lists.iter().map(|(list, _)| list.name.clone()).collect();
    let mut shelf = Shelf::new(around);
    let model = check::model(&source, draft, around, &mut shelf);
    let encoded = encode(&model).inspect_err(|excess| too_large(&source, &model, &lists, excess));

    let sources = core::iter::once(source).chain(shelf.into_sources());
    let problems: Vec<Problem> = sources.flat_map(|source| source.problems()).collect();
    match encoded {
        Ok(bytes) if problems.is_empty() => Ok(Compiled { model, bytes, environments }),
        _ => Err(Rejected { problems }),
    }
}

/// The MSGID, if it can be one (RFC 5424, section 6.2.7); else what to write instead.
pub fn msgid(text: &str) -> Result<String, String> {
    value::msgid(text).map_err(|fault| fault.help)
}

/// The tables of a site file. What is missing altogether is reported here.
fn read_site(source: &Source) -> Draft {
    let mut draft = Draft::default();
    let (mut site_seen, mut transport_seen, mut list_seen) = (false, false, false);
    for (key, value) in source.tables() {
        match key.get_ref().as_ref() {
            "site" => (draft.site, site_seen) = (source.read(value), true),
            "transport" => {
                transport_seen = true;
                draft.transports = tables(source, "transport", value);
            }
            "endings" => draft.endings = source.read(value).unwrap_or_default(),
            "thin" => draft.thin = tables(source, "thin", value),
            "compute" => draft.compute = source.read(value).unwrap_or_default(),
            "subsystem" => draft.subsystems = tables(source, "subsystem", value),
            "environment" => draft.environments = tables(source, "environment", value),
            "staff" => draft.staff = source.read(value).unwrap_or_default(),
            "ranks" => draft.ranks = source.read(value).unwrap_or_default(),
            "job" => draft.job = source.read(value).unwrap_or_default(),
            "list" => {
                list_seen = true;
                draft.lists = source.array("list", value).into_iter().filter_map(|table| list(source, table)).collect();
            }
            other => source.unknown_key(other, key.span(), TABLES),
        }
    }
    for (seen, missing, help) in [
        (site_seen, "nothing says which machine this is", "add `[site]` with `system = \"NAME\"`"),
        (transport_seen, "nothing says where records go", "add a `[[transport]]` with `name` and `servers`"),
        (
            list_seen,
            "nothing says what is looked for",
            "add a `[[list]]` with a `name`: it then has the shipped packages",
        ),
    ] {
        if !seen && !source.is_broken() {
            source.report(Kind::MissingKey, 0..0, missing, help);
        }
    }
    draft
}

const TABLES: &[&str] =
    &["site", "transport", "endings", "thin", "compute", "subsystem", "environment", "staff", "ranks", "job", "list"];

fn tables<T: for<'d> serde::Deserialize<'d>>(source: &Source, name: &str, value: Spanned<DeValue<'_>>) -> Vec<T> {
    source.array(name, value).into_iter().filter_map(|table| source.read(table)).collect()
}

/// `[[list]]` with its `[[list.package]]`s.
fn list(source: &Source, mut table: Spanned<DeValue<'_>>) -> Option<(List, Vec<Package>)> {
    let packages = match table.get_mut() {
        DeValue::Table(table) => table.remove("package"),
        _ => None,
    };
    let packages = packages.map(|value| tables(source, "list.package", value)).unwrap_or_default();
    Some((source.read(table)?, packages))
}

/// Points at the list with the most packages, which is what there is to shorten.
fn too_large(source: &Source, model: &Model, names: &[format::Text], excess: &TooLarge) {
    let longest = model.lists.iter().zip(names).max_by_key(|(list, _)| list.checks.len());
    let (span, help) = match longest {
        Some((list, name)) => (
            name.span(),
            format!(
                "shorten the longest list, `{}` with {} packages, or let lists include the same file",
                list.name,
                list.checks.len()
            ),
        ),
        None => (0..0, "shorten the lists of hosts and variables".to_string()),
    };
    source.report(Kind::TooLarge, span, excess.to_string(), help);
}
