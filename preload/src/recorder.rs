//! The black box: what is to be reported of a process that is killed lies in a file on the node, where the policy names a
//! folder for that (`recorder`), until the process ends in a way that it can report itself. `customs reap` sends what is
//! left behind.
//!
//! The file is replaced as a whole and by a rename, so whatever moment the process is killed at, one is there and
//! whole. It is written, not mapped: who runs out of memory in a mapped tmpfs file gets SIGBUS.

use crate::forks;
use crate::memory::State;
use crate::report;
use crate::sys::{self, Descriptor};
use core::ffi::CStr;
use customs_spec::hash;
use customs_spec::json::Writer;
use customs_spec::policy::Policy;

/// The longest path: a folder's (`spec::site::value::folder`), and a name's.
const PATH: usize = 256;

/// Leaves what is known now.
pub fn update(state: &mut State, policy: Policy) -> Option<()> {
    if policy.recorder().is_empty() || !forks::has_something_to_add(state) || !sys::file_size_is_unlimited() {
        return None;
    }
    let (mut place, mut beside) = ([0; PATH], [0; PATH]);
    let place = path(&mut place, state, policy, b"")?;
    let beside = path(&mut beside, state, policy, b".new")?;
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
    let open = || Descriptor::open(beside, flags, 0o600);
    // One that is there already is what another's end has left of the same number and start: an exec.
    let file = open().or_else(|| {
        sys::unlink(beside);
        open()
    })?;
    let written = report::leave(state, policy, &file);
    drop(file);
    if written.is_some() && sys::rename(beside, place) {
        state.notes.is_recorded = true;
        return Some(());
    }
    sys::unlink(beside);
    None
}

/// Takes it away: the process has reported itself.
pub fn remove(state: &mut State, policy: Policy) {
    if state.notes.is_recorded
        && let Some(place) = path(&mut [0; PATH], state, policy, b"")
    {
        sys::unlink(place);
        state.notes.is_recorded = false;
    }
}

/// `FOLDER/customs-ID` and `suffix`.
fn path<'s>(space: &'s mut [u8], state: &State, policy: Policy, suffix: &[u8]) -> Option<&'s CStr> {
    let mut writer = Writer::new(space);
    for part in [policy.recorder(), b"/customs-", &hash::hex(state.notes.process?.id), suffix, b"\0"] {
        writer.raw(part);
    }
    CStr::from_bytes_until_nul(space).ok()
}
