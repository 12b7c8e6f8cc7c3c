//! Shared libraries that are mapped, from /proc/self/maps: no lock of the loader's is taken, so that a `dlopen` in
//! another thread cannot make us wait.

use crate::lines::each_line;
use crate::memory::Arena;
use crate::versions;
use core::ops::ControlFlow;
use customs_spec::inspect::Inspector;

/// Shows the inspector the file name of everything that is mapped, and notes the versions in those names.
pub fn look<const SIZE: usize>(inspector: &mut Inspector, versions: &mut Arena<SIZE>, space: &mut [u8]) -> Option<()> {
    let mut last = 0;
    each_line(c"/proc/self/maps", space, |line| {
        let Some(name) = file_name(line) else { return ControlFlow::Continue(()) };
        // An object is some five lines in a row.
        let hash = customs_spec::hash::place(name);
        if hash != last {
            last = hash;
            inspector.see_library(name, |number| {
                if let Some(version) = version(name)
                    && versions::of_check(versions, number).is_none()
                {
                    let _ = versions::add(versions, number, version);
                }
            });
        }
        ControlFlow::Continue(())
    })
}

/// What follows the last slash of a line's path (proc_pid_maps(5)), if it is the name of a shared library.
fn file_name(line: &[u8]) -> Option<&[u8]> {
    let slash = line.iter().rposition(|byte| *byte == b'/')?;
    let name = line.get(slash.saturating_add(1)..)?;
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
}
