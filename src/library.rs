//! libcustoms.so as a file: where in it the policy lies, and how one is put there.

use anyhow::{Context, Result, bail};
use customs_spec::policy::model::Model;
use customs_spec::policy::{CAPACITY, Damage, SECTION, decode, digest};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection};
use std::borrow::Cow;
use std::fs;
use std::ops::Range;
use std::path::Path;

/// Built with the command (build.rs), with an empty policy.
static PRISTINE: &[u8] = include_bytes!(env!("CUSTOMS_PRISTINE_LIBRARY"));

/// A library and the place of its policy.
pub struct Library {
    bytes: Cow<'static, [u8]>,
    place: Range<usize>,
}

impl Library {
    /// The one that the command carries.
    pub fn pristine() -> Result<Self> {
        Library::new(Cow::Borrowed(PRISTINE)).context("the library inside this command")
    }

    /// One that was compiled earlier.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Library::new(Cow::Owned(bytes)).with_context(|| path.display().to_string())
    }

    /// One that was read already.
    pub fn of_bytes(bytes: Vec<u8>) -> Result<Self> {
        Library::new(Cow::Owned(bytes))
    }

    fn new(bytes: Cow<'static, [u8]>) -> Result<Self> {
        let place = policy_place(&bytes)?;
        Ok(Library { bytes, place })
    }

    /// A copy that carries this policy.
    pub fn stamp(&self, policy: &[u8]) -> Result<Vec<u8>> {
        let mut bytes = self.bytes.to_vec();
        let place = &mut bytes[self.place.clone()];
        let Some((front, rest)) = place.split_at_mut_checked(policy.len()) else {
            bail!("the policy has {} bytes and the library room for {}", policy.len(), self.place.len());
        };
        front.copy_from_slice(policy);
        rest.fill(0);
        Ok(bytes)
    }

    /// The digest of its policy, as in a record's field `policy`.
    pub fn digest(&self) -> String {
        format!("{:016x}", digest(self.bytes_of_policy()))
    }

    /// The place of its policy, as it is.
    pub fn bytes_of_policy(&self) -> &[u8] {
        &self.bytes[self.place.clone()]
    }

    /// Whether it differs from another one in its policy at most.
    pub fn has_code_of(&self, other: &Library) -> bool {
        let apart = |library: &'_ Library| {
            let (before, after) = (..library.place.start, library.place.end..);
            (library.bytes[before].to_vec(), library.bytes[after].to_vec())
        };
        apart(self) == apart(other)
    }

    /// The policy it carries.
    pub fn policy(&self) -> Result<Model, Damage> {
        decode(self.bytes_of_policy())
    }
}

/// Where in the file the policy lies.
fn policy_place(bytes: &[u8]) -> Result<Range<usize>> {
    let elf = ElfFile64::<object::Endianness>::parse(bytes).context("this is not a shared library")?;
    let section =
        elf.section_by_name(SECTION).context("this is a library, but not libcustoms.so: no place for a policy")?;
    let (offset, size) = section.file_range().context("the place of the policy is not in the file")?;
    let (start, size) = (usize::try_from(offset)?, usize::try_from(size)?);
    if size != CAPACITY || bytes.get(start..start + size).is_none() {
        bail!(
            "this libcustoms.so has {size} bytes for a policy and this command writes {CAPACITY}: they are of two versions"
        );
    }
    Ok(start..start + size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pristine_library_carries_no_policy_and_a_stamped_one_the_one_it_was_given() {
        let pristine = Library::pristine().unwrap();
        assert_eq!(pristine.policy(), Err(Damage::Empty));
        let compiled = crate::site::shipped().unwrap();
        let stamped = Library::new(Cow::Owned(pristine.stamp(&compiled.bytes).unwrap())).unwrap();
        assert_eq!(stamped.policy(), Ok(compiled.model));
        assert_eq!(stamped.bytes.len(), PRISTINE.len());
    }

    #[test]
    fn other_files_are_refused() {
        for bytes in [b"".as_slice(), b"#!/bin/sh\n", &PRISTINE[..100]] {
            assert!(Library::new(Cow::Owned(bytes.to_vec())).is_err());
        }
    }
}
