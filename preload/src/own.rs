//! The user's own code: `__main__` and modules outside of the standard library and site-packages. What it binds by
//! name, the user asked for; the rest came along.

use crate::python::{Dict, Object, Owned, Python};
use crate::text::Text;
use core::ops::ControlFlow;
use customs_spec::hash;
use customs_spec::inspect::Inspector;

/// What tells the user's own modules from others.
pub struct Own<'a> {
    file: Owned<'a>,
    name: Owned<'a>,
    module: Owned<'a>,
    /// Folder of the standard library, and of a frozen application's modules (PyInstaller's `sys._MEIPASS`).
    foreign: [Text<512>; 2],
    /// Hashes of the names of the user's own top-level modules, whose submodules are the user's, too.
    packages: [u64; PACKAGES],
    count: usize,
    /// Bindings that may still be looked at.
    patience: u32,
}

/// Own top-level modules that are remembered.
const PACKAGES: usize = 64;
/// Bindings that are looked at in one interpreter; user code with more is rare, and generated.
const BINDINGS: u32 = 20_000;

impl<'a> Own<'a> {
    /// Learns where this interpreter keeps what is not the user's.
    pub fn new(python: Python<'a>, modules: Dict<'a>) -> Option<Self> {
        let file = python.key(c"__file__")?;
        let os = modules.get(&python.key(c"os")?).and_then(|os| os.module_dict()?.get(&file));
        let mut space = [0; 512];
        let standard = os.map_or(b"".as_slice(), |path| folder(path.path(&mut space)));
        let standard = Text::of(standard);
        let frozen = Text::of(python.sys(c"_MEIPASS").map_or(b"", |path| path.path(&mut space)));
        Some(Own {
            file,
            name: python.key(c"__name__")?,
            module: python.key(c"__module__")?,
            foreign: [standard, frozen],
            packages: [0; PACKAGES],
            count: 0,
            patience: BINDINGS,
        })
    }

    /// Whether `module` was loaded from a file of the user's own: not from where installers write to
    /// (`site-packages`, Debian's `dist-packages`), nor from the standard library.
    pub fn is_own(&self, module: Object<'a>) -> bool {
        let Some(file) = module.module_dict().and_then(|dict| dict.get(&self.file)) else { return false };
        let Some(path) = file.text() else { return false };
        let dashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'-').map(|(at, _)| at);
        let mut halves = dashes.filter_map(|at| path.split_at_checked(at));
        let installed = halves.any(|(before, after)| {
            after.starts_with(b"-packages/") && (before.ends_with(b"/site") || before.ends_with(b"/dist"))
        });
        let foreign = self.foreign.iter().any(|folder| {
            let folder = folder.get();
            folder.len() > 1 && path.strip_prefix(folder).is_some_and(|rest| rest.starts_with(b"/"))
        });
        !installed && !foreign
    }

    /// Remembers a top-level module as the user's own.
    pub fn add_package(&mut self, name: &[u8]) {
        if let Some(place) = self.packages.get_mut(self.count) {
            *place = hash::digest(name);
            self.count = self.count.saturating_add(1);
        }
    }

    /// Whether the dotted `name` lies within one of those.
    pub fn is_within_package(&self, name: &[u8]) -> bool {
        let known = self.packages.get(..self.count).unwrap_or_default();
        !known.is_empty()
            && name.split(|byte| *byte == b'.').next().is_some_and(|top| known.contains(&hash::digest(top)))
    }

    /// Tells `inspector` where everything that `module` binds comes from.
    pub fn look_into(&mut self, module: Object<'a>, inspector: &mut Inspector) {
        let Some(dict) = module.module_dict() else { return };
        let keys = (&self.name, &self.module);
        let patience = &mut self.patience;
        dict.each(|_, value| {
            value.origin(keys, |origin| inspector.see_direct(origin));
            *patience = patience.saturating_sub(1);
            if *patience == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }
}

fn folder(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    path.get(..end).unwrap_or_default()
}
