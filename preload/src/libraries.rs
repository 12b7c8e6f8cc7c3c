//! Shared libraries that are mapped, as the kernel knows them: by the files they really are, whatever link they were
//! opened through, and without a lock of the loader's, so that a `dlopen` in another thread cannot make us wait.

use crate::lines::each_line;
use crate::sys::Descriptor;
use crate::text::Arena;
use crate::versions;
use core::ffi::CStr;
use core::mem::size_of;
use core::ops::ControlFlow;
use customs_spec::inspect::Inspector;

/// Shows the inspector the file name of every object that is mapped, and notes the versions in those names.
pub fn look<const SIZE: usize>(inspector: &mut Inspector, versions: &mut Arena<SIZE>) -> Option<()> {
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
