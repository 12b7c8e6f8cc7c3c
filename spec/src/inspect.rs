//! `Check`, `Inspector`, and what it found. The inspector does not know where names come from: the library shows
//! it a live interpreter, `customs check --modules` a list of words.

use crate::policy::{Check, List, MAX_CHECKS, Modules, Policy};

/// Bytes of one set of checks.
const SET: usize = MAX_CHECKS / 8;

/// Applies every check of a policy to what it is shown.
pub struct Inspector<'p, 's> {
    policy: Policy<'p>,
    modules: Modules<'p>,
    main: &'s [u8],
    executable: &'s [u8],
    loaded: &'s mut [u8],
    mapped: &'s mut [u8],
    direct: &'s mut [u8],
    learnt: bool,
}

/// A check that held.
#[derive(Clone, Copy)]
pub struct Found<'p> {
    /// Its number in the policy.
    pub number: u32,
    /// The check.
    pub check: Check<'p>,
    /// It held by a mapped shared library.
    pub mapped: bool,
    /// The user's own code binds it.
    pub direct: bool,
}

impl<'p, 's> Inspector<'p, 's> {
    /// Bytes of memory an inspector works in.
    pub const SPACE: usize = 3 * SET;
    /// The first of them: a bit for each check of which a module is loaded.
    pub const LOADED: usize = SET;

    /// And the last of them: a bit for each check of which the user's own code binds something.
    pub const DIRECT: core::ops::RangeFrom<usize> = 2 * SET..;

    /// An inspector for a process with this `__main__` and this interpreter. `space` (at least
    /// [`Inspector::SPACE`] bytes, zero at first) keeps what was found: an inspector made later over the same
    /// space goes on where the first one ended.
    pub fn new(policy: Policy<'p>, main: &'s [u8], executable: &'s [u8], space: &'s mut [u8]) -> Option<Self> {
        let (loaded, rest) = space.split_at_mut_checked(SET)?;
        let (mapped, rest) = rest.split_at_mut_checked(SET)?;
        let direct = rest.get_mut(..SET)?;
        Some(Inspector { policy, modules: policy.modules(), main, executable, loaded, mapped, direct, learnt: false })
    }

    /// A module is in `sys.modules`, and not as `None`. Says whether a check asked for it.
    #[inline]
    pub fn see_module(&mut self, name: &[u8]) -> bool {
        let Some(checks) = self.modules.checks_for(name) else { return false };
        checks.for_each(|number| self.learnt |= insert(self.loaded, number));
        true
    }

    /// Whether it was shown a module that a check asks for and that was not there before.
    pub fn has_learnt(&self) -> bool {
        self.learnt
    }

    /// A shared library of this file name is mapped. Tells `each` the numbers of the checks that asked for it.
    pub fn see_library(&mut self, file_name: &[u8], mut each: impl FnMut(u32)) {
        for number in self.policy.checks_for_library(file_name) {
            insert(self.mapped, number);
            each(number);
        }
    }

    /// The user's own code binds this module, or something that says it comes from it:
    /// `a.b.c` counts for `a`, `a.b` and `a.b.c`.
    pub fn see_direct(&mut self, module: &[u8]) {
        let dots = module.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(end, _)| end);
        for end in dots.chain([module.len()]) {
            for number in self.modules.checks_for(module.get(..end).unwrap_or_default()).into_iter().flatten() {
                insert(self.direct, number);
            }
        }
    }

    /// Every check whose module was seen, whatever list it is of, with its number.
    pub fn loaded(&self) -> impl Iterator<Item = (u32, Check<'p>)> + use<'_, 'p, 's> {
        members(self.loaded).filter_map(|number| Some((number, self.policy.check(number)?)))
    }

    /// A digest of all that was found.
    pub fn digest(&self) -> u64 {
        crate::hash::digest(self.loaded) ^ crate::hash::digest(self.mapped).rotate_left(1)
    }

    /// What of `list` was found and is not excused by its `unless`.
    pub fn found(&self, list: List<'p>) -> Findings<'p, '_> {
        let mut set = [0; SET];
        for number in list.checks() {
            if (contains(self.loaded, number) || contains(self.mapped, number))
                && let Some(check) = self.policy.check(number)
                && !check.unless_main.any_matches(self.main)
                && !check.unless_executable.any_matches(self.executable)
            {
                insert(&mut set, number);
            }
        }
        Findings { policy: self.policy, set, loaded: self.loaded, mapped: self.mapped, direct: self.direct }
    }
}

/// What of one list was found.
pub struct Findings<'p, 's> {
    policy: Policy<'p>,
    set: [u8; SET],
    loaded: &'s [u8],
    mapped: &'s [u8],
    direct: &'s [u8],
}

impl<'p> Findings<'p, '_> {
    /// The checks that held, in the order of the policy.
    pub fn iter(&self) -> impl Iterator<Item = Found<'p>> + Clone + use<'_, 'p> {
        members(&self.set).filter_map(|number| {
            Some(Found {
                number,
                check: self.policy.check(number)?,
                mapped: contains(self.mapped, number),
                direct: contains(self.loaded, number) && contains(self.direct, number),
            })
        })
    }
}

/// The numbers in a set, lowest first.
fn members(set: &[u8]) -> impl Iterator<Item = u32> + Clone + use<'_> {
    (0_u32..)
        .zip(set.iter())
        .filter(|(_, byte)| **byte != 0)
        .flat_map(|(index, byte)| (0..8).filter(move |bit| byte >> bit & 1 == 1).map(move |bit| index << 3 | bit))
}

/// Whether it was not in it.
fn insert(set: &mut [u8], number: u32) -> bool {
    let Some(byte) = set.get_mut(number as usize / 8) else { return false };
    let before = *byte;
    *byte |= 1 << (number & 7);
    *byte != before
}

fn contains(set: &[u8], number: u32) -> bool {
    set.get(number as usize / 8).is_some_and(|byte| byte >> (number & 7) & 1 == 1)
}
