//! Versions of what was found, read from where packages keep them and never asked for: an attribute that is
//! computed on demand would run the package's code.

use crate::python::{Dict, Object, Owned, Python};
use crate::sys;
use crate::text::Arena;
use core::ffi::CStr;
use customs_spec::inspect::Inspector;
use customs_spec::json::overwrite;
use customs_spec::policy::Check;

/// Names by which a module carries its version, the usual one first. One text, because a table of texts is a
/// relocation an entry in every exec.
const ATTRIBUTES: &[u8] = b"__version__ __VERSION__ VERSION version full_version";
/// Submodules in which packages keep it.
const SUBMODULES: &[u8] = b"_version version __version__ __about__ _about about _meta";
/// No version is longer, and no name of a module.
const LONGEST: usize = 64;
const LONGEST_NAME: usize = 256;

/// Where versions are looked for in one interpreter.
struct Places<'a> {
    python: Python<'a>,
    modules: Dict<'a>,
    attributes: [Option<Owned<'a>>; 5],
}

/// Notes the version of every check of which a module is loaded, and which has none in `versions` yet.
pub fn note<const SIZE: usize>(
    python: Python,
    inspector: &Inspector,
    dist_info: bool,
    versions: &mut Arena<SIZE>,
) -> Option<()> {
    let mut names = ATTRIBUTES.split(|byte| *byte == b' ');
    let attributes = core::array::from_fn(|_| key(python, &[names.next()?]));
    let places = Places { python, modules: python.modules()?, attributes };
    for (number, check) in inspector.loaded() {
        if of_check(versions, number).is_some() {
            continue;
        }
        let mut keep = |version: &[u8]| add(versions, number, version);
        let found = places.named(&check, &mut keep).or_else(|| places.usual(&check, &mut keep));
        if found.is_none() && dist_info {
            let _ = places.installed(&check, &mut keep);
        }
    }
    Some(())
}

/// Notes a version.
pub fn add<const SIZE: usize>(versions: &mut Arena<SIZE>, number: u32, version: &[u8]) -> Option<()> {
    let looks_like_one =
        version.len() <= LONGEST && version.iter().any(u8::is_ascii_digit) && version.iter().all(u8::is_ascii_graphic);
    if looks_like_one { versions.push(&[&(number as u16).to_le_bytes(), version]) } else { None }
}

/// The version that was noted for a check.
pub fn of_check<const SIZE: usize>(versions: &Arena<SIZE>, number: u32) -> Option<&[u8]> {
    let wanted = (number as u16).to_le_bytes();
    versions.iter().find_map(|entry| entry.strip_prefix(&wanted))
}

type Keep<'k> = &'k mut dyn FnMut(&[u8]) -> Option<()>;

impl<'a> Places<'a> {
    fn module(&self, parts: &[&[u8]]) -> Option<Owned<'a>> {
        self.modules.get(&key(self.python, parts)?)
    }

    /// Where the list says.
    fn named(&self, check: &Check, keep: Keep) -> Option<()> {
        let module = self.module(&[check.version_module])?;
        let value = module.module_dict()?.get(&key(self.python, &[check.version_attribute])?)?;
        keep(value.text()?)
    }

    /// In the module itself, or in a submodule that is loaded already.
    fn usual(&self, check: &Check, keep: Keep) -> Option<()> {
        check.modules.iter().find_map(|name| {
            let module = self.module(&[name])?;
            self.attribute(*module, keep).or_else(|| {
                SUBMODULES.split(|byte| *byte == b' ').find_map(|submodule| {
                    let module = self.module(&[name, b".", submodule])?;
                    self.attribute(*module, keep)
                })
            })
        })
    }

    fn attribute(&self, module: Object<'a>, keep: Keep) -> Option<()> {
        let dict = module.module_dict()?;
        self.attributes.iter().flatten().find_map(|key| keep(dict.get(key)?.text()?))
    }

    /// In the name of the `dist-info` folder beside the package (PyPA, "Recording installed projects").
    fn installed(&self, check: &Check, keep: Keep) -> Option<()> {
        check.modules.iter().find_map(|name| {
            let top = name.split(|byte| *byte == b'.').next()?;
            let file = self.module(&[top])?.module_dict()?.get(&key(self.python, &[b"__file__"])?)?;
            let mut space = [0; 1024];
            let path = file.text()?;
            let end = path.iter().rposition(|byte| *byte == b'/')?;
            let (folder, file_name) = path.split_at_checked(end)?;
            // A package is a folder with `__init__`, and what we want lies beside it.
            let folder = match file_name.starts_with(b"/__init__.") {
                true => folder.get(..folder.iter().rposition(|byte| *byte == b'/')?)?,
                false => folder,
            };
            overwrite(space.get_mut(..folder.len())?, folder);
            let folder = CStr::from_bytes_until_nul(&space).ok()?;
            let distribution = if check.distribution.is_empty() { top } else { check.distribution };
            in_folder(folder, distribution, keep)
        })
    }
}

/// A key made of `parts`.
fn key<'a>(python: Python<'a>, parts: &[&[u8]]) -> Option<Owned<'a>> {
    let mut space = [0; LONGEST_NAME];
    let mut rest = space.as_mut_slice();
    for part in parts {
        let (place, after) = rest.split_at_mut_checked(part.len())?;
        overwrite(place, part);
        rest = after;
    }
    python.key(CStr::from_bytes_until_nul(&space).ok()?)
}

/// Searches `folder` for `NAME-VERSION.dist-info`.
fn in_folder(folder: &CStr, distribution: &[u8], keep: Keep) -> Option<()> {
    let folder = sys::Descriptor::open(folder, libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    let mut space = [0; 8192];
    // A site-packages folder with more entries than some ten thousand is not read to its end.
    for _ in 0..256 {
        let mut entries = folder.read_directory(&mut space)?;
        if entries.is_empty() {
            return None;
        }
        // `struct linux_dirent64` (getdents64(2)): inode 8, offset 8, length 2, type 1, then the name and its NUL.
        while let Some(length) = entries.get(16..18).and_then(|word| word.first_chunk()) {
            let (entry, rest) = entries.split_at_checked(usize::from(u16::from_le_bytes(*length)).max(19))?;
            entries = rest;
            let name = entry.get(19..)?.split(|byte| *byte == 0).next()?;
            let Some(name) = name.strip_suffix(b".dist-info") else { continue };
            let Some(dash) = name.iter().position(|byte| *byte == b'-') else { continue };
            let (project, version) = name.split_at_checked(dash)?;
            if same_project(project, distribution) {
                return keep(version.get(1..)?);
            }
        }
    }
    None
}

/// Whether two project names are the same when normalised (PEP 503), runs of separators taken as they are.
fn same_project(one: &[u8], other: &[u8]) -> bool {
    let normal = |byte: &u8| match byte {
        b'.' | b'_' => b'-',
        byte => byte.to_ascii_lowercase(),
    };
    one.iter().map(normal).eq(other.iter().map(normal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_names_are_compared_as_installers_do() {
        assert!(same_project(b"scikit_learn", b"scikit-learn"));
        assert!(same_project(b"PyYAML", b"pyyaml"));
        assert!(!same_project(b"numpy", b"numpydoc"));
    }
}
