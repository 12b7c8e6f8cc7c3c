//! Package lists: files of `[[package]]` tables become checks.

use super::format::{Package, Text};
use super::problem::{Fault, File, Kind};
use super::source::Source;
use super::value::{name, texts};
use super::{SHIPPED, Surroundings};
use crate::policy::model::Check;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;
use toml::Spanned;

/// A check and where it stands.
pub struct Placed {
    pub check: Check,
    pub source: Rc<Source>,
    pub span: Range<usize>,
}

impl Placed {
    /// `site-packages.toml:12`
    pub fn place(&self) -> String {
        format!("{}:{}", self.source.file.name, self.source.file.line_column(self.span.start).0)
    }
}

/// The package lists that were read; each file once, however many lists include it.
pub struct Shelf<'a> {
    around: &'a dyn Surroundings,
    files: BTreeMap<String, Rc<Vec<Rc<Placed>>>>,
    sources: Vec<Rc<Source>>,
}

impl<'a> Shelf<'a> {
    pub fn new(around: &'a dyn Surroundings) -> Self {
        Shelf { around, files: BTreeMap::new(), sources: Vec::new() }
    }

    /// The checks of the file that `path` names in `site`.
    pub fn include(&mut self, site: &Source, path: &Text) -> Rc<Vec<Rc<Placed>>> {
        if path.get_ref() == SHIPPED {
            return self.shipped();
        }
        match self.around.read(path.get_ref()) {
            Ok(File { name, text }) => self.read(&name, &text),
            Err(reason) => {
                let help = format!("paths are relative to the site file; the list customs ships is \"{SHIPPED}\"");
                site.report(Kind::NotFound, path.span(), format!("cannot read {}: {reason}", path.get_ref()), help);
                Rc::default()
            }
        }
    }

    /// The shipped list.
    pub fn shipped(&mut self) -> Rc<Vec<Rc<Placed>>> {
        self.read(SHIPPED, crate::PACKAGES)
    }

    fn read(&mut self, file: &str, text: &str) -> Rc<Vec<Rc<Placed>>> {
        if let Some(checks) = self.files.get(file) {
            return checks.clone();
        }
        let source = Rc::new(Source::new(file, text));
        let mut packages = Vec::new();
        for (key, value) in source.tables() {
            match key.get_ref().as_ref() {
                "package" => {
                    packages =
                        source.array("package", value).into_iter().filter_map(|table| source.read(table)).collect()
                }
                other => source.unknown_key(other, key.span(), &["package"]),
            }
        }
        let checks = Rc::new(checks(&source, packages));
        self.files.insert(file.to_string(), checks.clone());
        self.sources.push(source);
        checks
    }

    /// What was read, for the problems in it.
    pub fn into_sources(self) -> Vec<Rc<Source>> {
        self.sources
    }
}

/// The checks of one file, or of one list of the site file itself.
pub fn checks(source: &Rc<Source>, packages: Vec<Package>) -> Vec<Rc<Placed>> {
    let placed = |package: Package| {
        let span = package.name.span();
        Some(Rc::new(Placed { check: check(source, package)?, source: source.clone(), span }))
    };
    let mut first: BTreeMap<String, Rc<Placed>> = BTreeMap::new();
    packages
        .into_iter()
        .filter_map(placed)
        .filter(|this| {
            let other = first.entry(this.check.name.clone()).or_insert_with(|| this.clone());
            let new = Rc::ptr_eq(other, this);
            if !new {
                let message = format!("the package `{}` stands twice", this.check.name);
                let help =
                    format!("{} has it too; remove one, or put all modules into one `module` list", other.place());
                source.report(Kind::Duplicate, this.span.clone(), message, help);
            }
            new
        })
        .collect()
}

/// What one `[[package]]` says.
fn check(source: &Source, package: Package) -> Option<Check> {
    let Package { name: reported, module, library, unless, version, distribution } = package;
    let reported = name(source, "package", &reported)?;
    let modules = match (module.is_empty(), library.is_empty()) {
        (true, true) => Vec::from([reported.clone()]),
        _ => texts(source, module),
    };
    Some(Check {
        modules,
        name: reported,
        libraries: texts(source, library),
        unless_main: texts(source, unless.main),
        unless_executable: texts(source, unless.executable),
        version: version.and_then(|place| source.accept(place.span(), version_place(&place))),
        distribution: distribution.and_then(|text| name(source, "distribution", &text)),
    })
}

/// `module:attribute`
fn version_place(place: &Spanned<String>) -> Result<(String, String), Fault> {
    match place.get_ref().split_once(':') {
        Some((module, attribute))
            if !module.is_empty()
                && !attribute.is_empty()
                && !place.get_ref().contains(char::is_whitespace)
                && !attribute.contains(':') =>
        {
            Ok((module.to_string(), attribute.to_string()))
        }
        _ => Err(Fault::new(
            "this is not the place of a version",
            "write \"module:attribute\", e.g. \"matplotlib._version:version\"",
        )),
    }
}
