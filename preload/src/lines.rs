//! Files of the kernel's and of /etc, read line by line through a buffer that somebody else owns.

use crate::sys::Descriptor;
use core::ffi::CStr;
use core::ops::ControlFlow;

/// A file of more reads than this is not read to its end.
const READS: u32 = 1024;

/// Calls `visit` with each line of the file until it breaks or there are no more. A line longer than `space` ends it.
pub fn each_line(path: &CStr, space: &mut [u8], mut visit: impl FnMut(&[u8]) -> ControlFlow<()>) -> Option<()> {
    let file = Descriptor::open(path, libc::O_RDONLY, 0)?;
    // The beginning of a line whose end the last read did not bring.
    let mut kept: usize = 0;
    for _ in 0..READS {
        let read = file.read(space.get_mut(kept..)?)?.len();
        let filled = space.get(..kept.saturating_add(read))?;
        let whole = match filled.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => end.saturating_add(1),
            None if read == 0 => filled.len(),
            None if filled.len() == space.len() => return None,
            None => 0,
        };
        for line in filled.get(..whole)?.split(|byte| *byte == b'\n') {
            if visit(line).is_break() {
                return Some(());
            }
        }
        if read == 0 {
            return Some(());
        }
        kept = move_to_front(space, whole, filled.len());
    }
    None
}

/// Moves the bytes from `start` to `end` to the front; how many they are.
fn move_to_front(space: &mut [u8], start: usize, end: usize) -> usize {
    for (to, from) in (start..end).enumerate() {
        if let Some(byte) = space.get(from).copied()
            && let Some(place) = space.get_mut(to)
        {
            *place = byte;
        }
    }
    end.saturating_sub(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_whatever_the_buffer() {
        let expected = std::fs::read_to_string("/etc/passwd").unwrap();
        for size in [256, 300, 4096, 1 << 20] {
            let mut space = vec![0; size];
            let mut lines = Vec::new();
            each_line(c"/etc/passwd", &mut space, |line| {
                lines.push(String::from_utf8(line.to_vec()).unwrap());
                ControlFlow::Continue(())
            })
            .unwrap();
            lines.retain(|line| !line.is_empty());
            assert_eq!(lines, expected.lines().collect::<Vec<_>>(), "{size}");
        }
    }

    #[test]
    fn a_line_longer_than_the_buffer_ends_it() {
        assert_eq!(each_line(c"/etc/passwd", &mut [0; 8], |_| ControlFlow::Continue(())), None);
    }
}
