//! Shared libraries that are mapped, as the kernel knows them: by the files they really are, whatever link they were
//! opened through, and without a lock of the loader's, so that a `dlopen` in another thread cannot make us wait.
//!
//! To ask the kernel takes it longer than all the rest of a look at a small Python. So where there is no other thread, the
//! loader is asked first, and if all that it has loaded is what every program is linked with, that was it.

use crate::lines::each_line;
use crate::memory::Notes;
use crate::objects::{self, Symbols};
use crate::sys::Descriptor;
use crate::text::Arena;
use crate::versions;
use core::ffi::CStr;
use core::mem::size_of;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU8, Ordering};
use customs_spec::inspect::Inspector;
use customs_spec::policy::Policy;

/// Shows the inspector the file name of every object that is mapped, and notes the versions in those names.
pub fn look<const SIZE: usize>(
    policy: Policy,
    notes: &Notes,
    inspector: &mut Inspector,
    versions: &mut Arena<SIZE>,
) -> Option<()> {
    if is_alone(notes) && all_are_plain(policy) {
        return Some(());
    }
    let mut space = [0; LINE];
    let space = &mut space;
    let mut see = |path: &[u8]| {
        let Some(name) = file_name(path) else { return };
        inspector.see_library(name, |number| {
            if let Some(version) = version(name)
                && versions::of_check(versions, number).is_none()
            {
                let _ = versions::add(versions, number, version);
            }
        });
    };
    let maps = Descriptor::open(MAPS, libc::O_RDONLY, 0)?;
    if each_executable(&maps, space, &mut see).is_some() {
        return Some(());
    }
    // A kernel before 6.11. Writing all of it out takes it some 150 µs for a small Python.
    each_line(MAPS, space, |line| {
        // Permissions are the second field (proc_pid_maps(5)).
        if !line.split(|byte| *byte == b' ').nth(1).is_some_and(|permissions| permissions.contains(&b'x')) {
            return ControlFlow::Continue(());
        }
        let path = line.iter().position(|byte| *byte == b'/').and_then(|slash| line.get(slash..)).unwrap_or_default();
        see(path);
        ControlFlow::Continue(())
    })
}

/// `char __libc_single_threaded` (sys/single_threaded.h, glibc 2.32 and later).
pub type SingleThreaded = *const AtomicU8;

/// Finds it; done when an interpreter starts.
pub fn single_threaded(libc: &Symbols) -> Option<SingleThreaded> {
    libc.address(c"__libc_single_threaded").map(|address| address.cast())
}

/// Whether this is the only thread, so that no other one can hold the loader's lock. Not in a child that was forked: a
/// thread that is not here may have held it then.
fn is_alone(notes: &Notes) -> bool {
    // SAFETY: a byte of libc's, which stays loaded.
    notes.descent.is_none()
        && notes.single_threaded.is_some_and(|place| unsafe { &*place }.load(Ordering::Relaxed) != 0)
}

/// What programs are linked with anyway: the parts of the C library, zlib and expat; and `libpython`. None of these is a
/// link to a file of another name.
const PLAIN: &[u8] = b"libc libm libpthread libdl librt libutil libcrypt ld-linux-x86-64 ld-linux-aarch64 linux-vdso \
    libz libexpat";

/// Whether all that is loaded is of that kind, and the policy asks for none of it.
fn all_are_plain(policy: Policy) -> bool {
    let here = all_are_plain as *const () as usize;
    let (mut listed, mut total) = (0_u64, 0);
    let other = objects::find(|object| {
        listed = listed.saturating_add(1);
        total = object.total();
        let is_plain = object.name().is_empty()
            || object.contains(here)
            || plain_stem(object.name()).is_some_and(|stem| !policy.may_ask_for_library(stem));
        (!is_plain).then_some(())
    });
    // There may be more in namespaces of their own (dlmopen(3)).
    other.is_none() && listed == total
}

/// Its name up to `.so`, if it is of that kind.
fn plain_stem(path: &[u8]) -> Option<&[u8]> {
    let name = path
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(path, |slash| path.get(slash.saturating_add(1)..).unwrap_or_default());
    let end = name.windows(3).position(|part| part == b".so")?;
    let stem = name.get(..end)?;
    let is_plain = stem.starts_with(b"libpython") || PLAIN.split(|byte| *byte == b' ').any(|plain| plain == stem);
    is_plain.then_some(stem)
}

/// A path (`PATH_MAX`), and what stands before it in a line of /proc/self/maps.
const LINE: usize = 4096 + 256;
const MAPS: &CStr = c"/proc/self/maps";

/// `struct procmap_query` (linux/fs.h, since 6.11).
#[derive(Default)]
#[repr(C)]
struct Query {
    size: u64,
    flags: u64,
    address: u64,
    start: u64,
    end: u64,
    vma_flags: u64,
    page_size: u64,
    offset: u64,
    inode: u64,
    device: [u32; 2],
    name_size: u32,
    build_id_size: u32,
    name: u64,
    build_id: u64,
}

/// `PROCMAP_QUERY`: `_IOWR('f', 17, struct procmap_query)`.
const PROCMAP_QUERY: usize = 3 << 30 | size_of::<Query>() << 16 | (b'f' as usize) << 8 | 17;
/// The mapping at this address or the next one, if executable and of a file.
const NEXT_EXECUTABLE_FILE: u64 = 0x10 | 0x04 | 0x20;
/// No process has more objects than this.
const MOST: u32 = 10_000;

/// Asks the kernel for one executable mapping of a file after the other. `None` where it does not know the question.
fn each_executable(maps: &Descriptor, space: &mut [u8], see: &mut impl FnMut(&[u8])) -> Option<()> {
    let mut address = 0;
    for turn in 0..MOST {
        let mut query = Query {
            size: size_of::<Query>() as u64,
            flags: NEXT_EXECUTABLE_FILE,
            address,
            name_size: u32::try_from(space.len()).ok()?,
            name: space.as_mut_ptr() as u64,
            ..Query::default()
        };
        // SAFETY: the kernel writes a `struct procmap_query`, and at most `name_size` bytes to `name`.
        match unsafe { maps.control(PROCMAP_QUERY, (&raw mut query).cast()) } {
            Ok(()) => {}
            Err(libc::ENOENT) => return Some(()),
            Err(_) if turn == 0 => return None,
            Err(_) => return Some(()),
        }
        address = query.end;
        see(space.get(..(query.name_size as usize).saturating_sub(1)).unwrap_or_default());
    }
    Some(())
}

/// What follows the last slash, if it is the name of a shared library.
fn file_name(path: &[u8]) -> Option<&[u8]> {
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    let name = path.get(slash.saturating_add(1)..)?;
    let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
    name.windows(3).any(|part| part == b".so").then_some(name)
}

/// `12.4.127` of `libcudart.so.12.4.127`.
fn version(name: &[u8]) -> Option<&[u8]> {
    let dot = name.windows(4).rposition(|part| part == b".so.")?;
    let version = name.get(dot.saturating_add(4)..)?;
    version.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.').then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_named_by_their_files() {
        let line = b"7f00-7f01 r-xp 00000000 08:01 42                         /opt/a b/libcudart.so.12.4.127";
        assert_eq!(file_name(line), Some(b"libcudart.so.12.4.127".as_slice()));
        assert_eq!(version(b"libcudart.so.12.4.127"), Some(b"12.4.127".as_slice()));
        assert_eq!(version(b"libmkl_rt.so"), None);
        assert_eq!(version(b"_core.cpython-311-x86_64-linux-gnu.so"), None);
        assert_eq!(file_name(b"7f00-7f01 rw-p 00000000 00:00 0 [heap]"), None);
        assert_eq!(file_name(b"7f00-7f01 r--p 0 08:01 4 /usr/lib/locale/C.utf8/LC_CTYPE"), None);
    }

    #[test]
    fn what_every_program_is_linked_with_is_told_from_the_rest() {
        for (path, stem) in [
            (b"/lib/x86_64-linux-gnu/libm.so.6".as_slice(), Some(b"libm".as_slice())),
            (b"linux-vdso.so.1", Some(b"linux-vdso")),
            (b"/opt/lib/libpython3.12.so.1.0", Some(b"libpython3.12")),
            (b"/opt/lib/libmkl_rt.so.2", None),
            (b"/opt/lib/libcudart.so", None),
            (b"/opt/libc.so/libblas.so.3", None),
            (b"/opt/lib/_core.cpython-312-x86_64-linux-gnu.so", None),
            (b"", None),
        ] {
            assert_eq!(plain_stem(path), stem);
        }
    }

    #[test]
    fn both_ways_see_the_same_objects() {
        let mut space = vec![0; 65_536];
        let maps = Descriptor::open(MAPS, libc::O_RDONLY, 0).unwrap();
        let mut asked = std::collections::BTreeSet::new();
        let known = each_executable(&maps, &mut space, &mut |path| {
            asked.insert(path.to_vec());
        });
        if known.is_none() {
            return println!("this kernel has no PROCMAP_QUERY: /proc/self/maps is read");
        }
        let mut read = std::collections::BTreeSet::new();
        for line in std::fs::read_to_string("/proc/self/maps").unwrap().lines() {
            let Some((_, path)) = line.split_once('/') else { continue };
            if line.split(' ').nth(1).unwrap().contains('x') {
                read.insert(format!("/{path}").into_bytes());
            }
        }
        assert_eq!(asked, read);
    }
}
