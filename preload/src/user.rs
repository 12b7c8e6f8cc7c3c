//! Who runs this process: from numbers that the kernel vouches for, never from `USER`, and without a name service.

use crate::job::{Claims, decimal};
use crate::lines::each_line;
use crate::sys;
use crate::text::Short;
use core::ops::ControlFlow;
use customs_spec::policy::Policy;

/// The user of a process.
#[derive(Clone, Copy)]
pub struct User {
    /// Outside of user namespaces.
    pub uid: u32,
    /// Login name; empty where only a name service knows it.
    pub name: Short,
    /// In one of the staff's groups.
    pub is_staff: bool,
}

/// The longest map that is read, and the longest line of /etc/passwd. Places on the stack: a page of the library's own
/// would be copied first.
const MAP: usize = 1024;
/// See [`MAP`].
const LINE: usize = 4096;

impl User {
    /// This process's.
    pub fn of_process(policy: Policy, claims: &Claims) -> Self {
        let uid = uid();
        User { uid, name: name(uid, claims), is_staff: is_staff(policy) }
    }
}

/// The user id outside of a user namespace, in which everybody may be 0.
fn uid() -> u32 {
    let uid = sys::uid();
    let (mut link, mut space) = ([0; 32], [0; MAP]);
    // The name of the first user namespace is a constant (`PROC_USER_INIT_INO` in linux/proc_ns.h), and a link is
    // read in a third of the time of a map.
    if sys::read_link(c"/proc/self/ns/user", &mut link) == Some(b"user:[4026531837]") {
        return uid;
    }
    sys::read_file(c"/proc/self/uid_map", &mut space).map_or(uid, |map| translated(uid, map))
}

/// `id` through the lines of a map, each inside, outside, count: user_namespaces(7), "uid_map".
fn translated(id: u32, map: &[u8]) -> u32 {
    let lines = map.split(|byte| *byte == b'\n');
    let mut ranges = lines.filter_map(numbers);
    let outside = ranges.find_map(|[inside, outside, count]| {
        let distance = id.checked_sub(inside)?;
        if distance < count { outside.checked_add(distance) } else { None }
    });
    outside.unwrap_or(id)
}

fn numbers(line: &[u8]) -> Option<[u32; 3]> {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    Some([decimal(words.next()?)?, decimal(words.next()?)?, decimal(words.next()?)?])
}

/// Whether the user is in one of the staff's groups. Groups that a user namespace does not map count as nobody's.
fn is_staff(policy: Policy) -> bool {
    if policy.staff().next().is_none() {
        return false;
    }
    let (mut groups, mut space) = ([0; 2048], [0; MAP]);
    let map = sys::read_file(c"/proc/self/gid_map", &mut space).unwrap_or_default();
    let own = sys::groups(&mut groups).iter().copied().chain([sys::gid()]);
    own.map(|group| translated(group, map)).any(|group| policy.staff().any(|staff| staff == group))
}

/// The login name of `uid`: from /etc/passwd, else from Slurm if that speaks of the same number; else empty, for
/// the collector to look up.
fn name(uid: u32, claims: &Claims) -> Short {
    let [slurm_name, slurm_uid] = &claims.slurm_user;
    in_passwd(uid, &mut [0; LINE]).unwrap_or_else(|| match decimal(slurm_uid.get()) {
        Some(number) if number == uid => *slurm_name,
        _ => Short::of(b""),
    })
}

/// The name in the first line of /etc/passwd (passwd(5)) that has this number.
fn in_passwd(uid: u32, space: &mut [u8]) -> Option<Short> {
    let mut found = None;
    each_line(c"/etc/passwd", space, |line| {
        let mut fields = line.split(|byte| *byte == b':');
        let name = fields.next().unwrap_or_default();
        if fields.nth(1).and_then(decimal) == Some(uid) {
            found = Some(Short::of(name));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_in_passwd_and_nobody_else_has_its_number() {
        for size in [256, 4096, 65536] {
            let mut space = vec![0; size];
            assert_eq!(in_passwd(0, &mut space).unwrap().get(), b"root");
            assert!(in_passwd(4_000_000_000, &mut space).is_none());
        }
    }

    #[test]
    fn maps_of_user_namespaces_translate() {
        assert_eq!(numbers(b"         0       1000          1"), Some([0, 1000, 1]));
        assert_eq!(numbers(b"         0          0 4294967295"), Some([0, 0, u32::MAX]));
        assert_eq!(numbers(b"garbage"), None);
        let map = b"         0       1000          1\n         1     100000      65536\n";
        assert_eq!([0, 1, 7, 70_000].map(|id| translated(id, map)), [1000, 100_000, 100_006, 70_000]);
    }
}
