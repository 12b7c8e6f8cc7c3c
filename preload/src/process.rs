//! The process as the kernel knows it: its name for other records, and its times.

use crate::sys;
use core::ffi::CStr;
use core::time::Duration;
use customs_spec::json::Writer;
use customs_spec::record;

/// `USER_HZ`, the unit of times in /proc (proc_pid_stat(5)): 100 on every architecture we run on.
const TICKS: u64 = 100;

/// What is asked of the kernel once.
#[derive(Clone, Copy)]
pub struct Process {
    /// The record's `id`: a hash of boot id, pid namespace, pid and start time, which any process on the node can
    /// compute of any other. Without /proc, a random number.
    pub id: u128,
    /// Time from boot to the start of the process, in ticks, if /proc tells.
    pub ticks: Option<u64>,
}

/// What /proc says of a process (proc_pid_stat(5)).
#[derive(Clone, Copy)]
pub struct Stat {
    /// Whether it has ended, and nobody has waited for it yet.
    pub is_dead: bool,
    /// Its parent.
    pub parent: u32,
    /// Time from boot to its start, in ticks.
    pub ticks: u64,
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
        let ticks = Stat::of_this_process().map(|stat| stat.ticks);
        let known = ticks.and_then(|ticks| identity(sys::pid(), ticks));
        Some(Process { id: known.or_else(sys::random)?, ticks })
    }

    /// Its times until now. Without /proc, its start is taken as now.
    pub fn times(&self) -> Times {
        let now = micros(sys::clock(libc::CLOCK_REALTIME));
        let since_boot = micros(sys::clock(libc::CLOCK_BOOTTIME));
        let started = self.ticks.map(|ticks| ticks.saturating_mul(1_000_000 / TICKS));
        let elapsed = since_boot.saturating_sub(started.unwrap_or(since_boot));
        Times { start: now.saturating_sub(elapsed), elapsed, now }
    }
}

/// The `id` of the process with this number and start.
fn identity(pid: u32, ticks: u64) -> Option<u128> {
    let mut boot = [0; 64];
    let boot = sys::read_file(c"/proc/sys/kernel/random/boot_id", &mut boot)?;
    let mut namespace = [0; 64];
    let namespace = sys::read_link(c"/proc/self/ns/pid", &mut namespace)?;
    Some(record::identity(boot, namespace, pid, ticks))
}

/// The `id` of another process of this pid namespace, if it is there.
pub fn id_of(pid: u32) -> Option<u128> {
    identity(pid, Stat::of(pid)?.ticks)
}

impl Stat {
    /// Of this process.
    fn of_this_process() -> Option<Self> {
        Stat::read(c"/proc/self/stat")
    }

    /// Of the process with this number.
    pub fn of(pid: u32) -> Option<Self> {
        let mut space = [0; 32];
        let mut writer = Writer::new(&mut space);
        writer.raw(b"/proc/");
        writer.number(u64::from(pid));
        writer.raw(b"/stat\0");
        Stat::read(CStr::from_bytes_until_nul(&space).ok()?)
    }

    /// The name in field 2 may hold anything, so fields are counted from its last `)`: state, parent, …, and the start
    /// as field 22.
    fn read(path: &CStr) -> Option<Self> {
        let mut space = [0; 1024];
        let stat = sys::read_file(path, &mut space)?;
        let name_end = stat.iter().rposition(|byte| *byte == b')')?;
        let mut fields = stat.get(name_end.checked_add(2)?..)?.split(|byte| *byte == b' ');
        let is_dead = matches!(fields.next()?, b"Z" | b"X" | b"x");
        let parent = core::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
        let ticks = core::str::from_utf8(fields.nth(17)?).ok()?.parse().ok()?;
        Some(Stat { is_dead, parent, ticks })
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_the_same_id_to_others() {
        assert_eq!(id_of(std::process::id()), Some(Process::identify().unwrap().id));
        let mut child = std::process::Command::new("sleep").arg("0").spawn().unwrap();
        std::thread::sleep(Duration::from_millis(200));
        let stat = Stat::of(child.id()).unwrap();
        assert!(stat.is_dead && stat.parent == std::process::id(), "nobody has waited for it");
        child.wait().unwrap();
        assert!(Stat::of(child.id()).is_none());
    }
}
