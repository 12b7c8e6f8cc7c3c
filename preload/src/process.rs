//! The process as the kernel knows it: its name for other records, and its times.

use crate::sys;
use core::time::Duration;
use customs_spec::hash;

/// `USER_HZ`, the unit of times in /proc (proc_pid_stat(5)): 100 on every architecture we run on.
const TICKS: u64 = 100;

/// What is asked of the kernel once.
#[derive(Clone, Copy)]
pub struct Process {
    /// The record's `id`: a hash of boot id, pid namespace, pid and start time, which any process on the node can
    /// compute of any other. Without /proc, a random number.
    pub id: u128,
    /// Time from boot to the start of the process, in microseconds, if /proc tells.
    started: Option<u64>,
}

/// When the process began and for how long it has run, in microseconds.
pub struct Times {
    /// Since 1970.
    pub start: u64,
    /// Until now.
    pub elapsed: u64,
    /// Now, since 1970.
    pub now: u64,
}

impl Process {
    /// This process. `None` where there is neither /proc nor a random number.
    pub fn identify() -> Option<Self> {
        let ticks = start_ticks();
        let known = ticks.and_then(|ticks| {
            let mut boot = [0; 64];
            let boot = sys::read_file(c"/proc/sys/kernel/random/boot_id", &mut boot)?;
            let mut namespace = [0; 64];
            let namespace = sys::read_link(c"/proc/self/ns/pid", &mut namespace)?;
            Some(hash::of_parts(hash::PUBLIC_KEY, &[boot, namespace, &sys::pid().to_le_bytes(), &ticks.to_le_bytes()]))
        });
        let started = ticks.map(|ticks| ticks.saturating_mul(1_000_000 / TICKS));
        Some(Process { id: known.or_else(sys::random)?, started })
    }

    /// Its times until now. Without /proc, its start is taken as now.
    pub fn times(&self) -> Times {
        let now = micros(sys::clock(libc::CLOCK_REALTIME));
        let since_boot = micros(sys::clock(libc::CLOCK_BOOTTIME));
        let elapsed = since_boot.saturating_sub(self.started.unwrap_or(since_boot));
        Times { start: now.saturating_sub(elapsed), elapsed, now }
    }
}

/// Time from boot to the start of this process, in ticks: field 22 of /proc/self/stat (proc_pid_stat(5)). The name
/// in field 2 may hold anything, so fields are counted from its last `)`.
fn start_ticks() -> Option<u64> {
    let mut space = [0; 1024];
    let stat = sys::read_file(c"/proc/self/stat", &mut space)?;
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let after = stat.get(name_end.checked_add(2)?..)?;
    let ticks = after.split(|byte| *byte == b' ').nth(19)?;
    core::str::from_utf8(ticks).ok()?.parse().ok()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
