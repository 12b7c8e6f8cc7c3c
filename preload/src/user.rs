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
    /// Outside of user namespaces, as far as the kernel tells.
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
        let mut space = [0; MAP];
        let map = uid_map(&mut space);
        let tells = leads_to_node(map);
        let uid = if tells { translated(sys::uid(), map) } else { claimed(claims).unwrap_or_else(sys::uid) };
        User { uid, name: name(uid, claims), is_staff: is_staff(policy, tells) }
    }
}

/// The map of a user namespace, in which everybody may be 0; nothing in the first one.
fn uid_map(space: &mut [u8]) -> &[u8] {
    let mut link = [0; 32];
    // The name of the first user namespace is a constant (`PROC_USER_INIT_INO` in linux/proc_ns.h), and a link is
    // read in a third of the time of a map.
    if sys::read_link(c"/proc/self/ns/user", &mut link) == Some(b"user:[4026531837]") {
        return b"";
    }
    sys::read_file(c"/proc/self/uid_map", space).unwrap_or_default()
}

/// Whether the numbers outside are the node's. They are the parent namespace's, and that can be a namespace itself, in
/// which the user is 0: Charliecloud's `ch-run` makes two, and so does `podman --userns=keep-id` without root. Where a
/// map names the parent's 0, it tells: that is who /proc/version belongs to, unless it is not the node's root.
fn leads_to_node(map: &[u8]) -> bool {
    let root = ranges(map).find_map(|[inside, outside, _]| (outside == 0).then_some(inside));
    root.is_none_or(|root| sys::owner(c"/proc/version").is_none_or(|owner| owner == root))
}

/// The ranges of a map, each inside, outside, count: user_namespaces(7), "uid_map".
fn ranges(map: &[u8]) -> impl Iterator<Item = [u32; 3]> {
    map.split(|byte| *byte == b'\n').filter_map(numbers)
}

/// `id` through a map.
fn translated(id: u32, map: &[u8]) -> u32 {
    let outside = ranges(map).find_map(|[inside, outside, count]| {
        let distance = id.checked_sub(inside)?;
        if distance < count { outside.checked_add(distance) } else { None }
    });
    outside.unwrap_or(id)
}

fn numbers(line: &[u8]) -> Option<[u32; 3]> {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    Some([decimal(words.next()?)?, decimal(words.next()?)?, decimal(words.next()?)?])
}

/// The number that Slurm gives the job's user.
fn claimed(claims: &Claims) -> Option<u32> {
    let [_, number] = &claims.slurm_user;
    decimal(number.get())
}

/// Whether the user is in one of the staff's groups. Groups that a user namespace does not map count as nobody's; where
/// the map does not tell the node's numbers, those inside count.
fn is_staff(policy: Policy, map_tells: bool) -> bool {
    if policy.staff().next().is_none() {
        return false;
    }
    let (mut groups, mut space) = ([0; 2048], [0; MAP]);
    let map = if map_tells { sys::read_file(c"/proc/self/gid_map", &mut space) } else { None }.unwrap_or_default();
    let own = sys::groups(&mut groups).iter().copied().chain([sys::gid()]);
    own.map(|group| translated(group, map)).any(|group| policy.staff().any(|staff| staff == group))
}

/// The login name of `uid`: from /etc/passwd, else from Slurm if that speaks of the same number; else empty, for
/// the collector to look up.
fn name(uid: u32, claims: &Claims) -> Short {
    let [slurm_name, _] = &claims.slurm_user;
    in_passwd(uid, &mut [0; LINE])
        .unwrap_or_else(|| if claimed(claims) == Some(uid) { *slurm_name } else { Short::of(b"") })
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
