//! The process as the kernel knows it: its name for other records, and its times.

use crate::sys;
use core::time::Duration;
use customs_spec::hash;

/// `USER_HZ`, the unit of times in /proc (proc_pid_stat(5)): 100 on every architecture we run on.
const TICKS: u64 = 100;

/// When the process began and for how long it has run, in microseconds.
pub struct Times {
    /// Since 1970.
    pub start: u64,
    /// Until now.
    pub elapsed: u64,
    /// Now, since 1970.
    pub now: u64,
}

/// Time from boot to the start of this process, in ticks: field 22 of /proc/self/stat. The name in field 2 may
/// hold anything, so fields are counted from its last `)`.
fn start_ticks(space: &mut [u8]) -> Option<u64> {
    let stat = sys::read_file(c"/proc/self/stat", space)?;
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let after = stat.get(name_end.checked_add(2)?..)?;
    let ticks = after.split(|byte| *byte == b' ').nth(19)?;
    core::str::from_utf8(ticks).ok()?.parse().ok()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The times. Without /proc, start is taken as now.
pub fn times(space: &mut [u8]) -> Times {
    let now = micros(sys::clock(libc::CLOCK_REALTIME));
    let since_boot = micros(sys::clock(libc::CLOCK_BOOTTIME));
    let started = start_ticks(space).map_or(since_boot, |ticks| ticks.saturating_mul(1_000_000 / TICKS));
    let elapsed = since_boot.saturating_sub(started);
    Times { start: now.saturating_sub(elapsed), elapsed, now }
}

/// The record's `id`: a hash of boot id, pid namespace, pid and start time, which any process on the node can
/// compute of any other. Without /proc, a random number.
pub fn id(space: &mut [u8]) -> Option<u128> {
    let mut known = || {
        let ticks = start_ticks(space)?;
        let mut boot = [0; 64];
        let boot = sys::read_file(c"/proc/sys/kernel/random/boot_id", &mut boot)?;
        let mut namespace = [0; 64];
        let namespace = sys::read_link(c"/proc/self/ns/pid", &mut namespace)?;
        let (pid, ticks) = (sys::pid().to_le_bytes(), ticks.to_le_bytes());
        Some(hash::of_parts(hash::PUBLIC_KEY, &[boot, namespace, &pid, &ticks]))
    };
    known().or_else(sys::random)
}
