//! The record of one process: what it says ([`field`]), and how it becomes messages ([`message`], [`write`]).

mod field;
mod message;
mod write;

use crate::hash;
pub use field::{Field, Fields, Privacy};
pub use message::MAX_PARTS;
pub use write::MAX_VERSION;

/// Version of the record's shape, its field `schema`.
pub const SCHEMA: u64 = 1;

/// The `id` of a process: what any other on the node can compute of it. `boot` is the content of
/// `/proc/sys/kernel/random/boot_id`, `namespace` the target of `/proc/PID/ns/pid`, `pid` the number in that namespace,
/// and `ticks` field 22 of `/proc/PID/stat`.
pub fn identity(boot: &[u8], namespace: &[u8], pid: u32, ticks: u64) -> u128 {
    hash::of_parts(hash::PUBLIC_KEY, &[boot, namespace, &pid.to_le_bytes(), &ticks.to_le_bytes()])
}

/// One process. Text is bytes as found: the writer makes valid UTF-8 of it.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the fields are documented at `Field`")]
pub struct Record<'a> {
    pub id: u128,
    pub seq: u32,
    pub list: &'a [u8],
    pub policy: u64,
    pub host: &'a [u8],
    pub system: &'a [u8],
    pub subsystem: &'a [u8],
    pub username: &'a [u8],
    pub uid: u32,
    pub pid: u32,
    pub ppid: u32,
    pub executable: &'a [u8],
    pub main: &'a [u8],
    pub prefix: &'a [u8],
    pub python: &'a [u8],
    pub is_compute: bool,
    pub is_shifter: bool,
    pub container: &'a [u8],
    pub is_staff: bool,
    pub job_id: &'a [u8],
    pub num_nodes: u32,
    pub qos: &'a [u8],
    pub repo: &'a [u8],
    /// Microseconds since 1970.
    pub start: u64,
    /// Microseconds.
    pub elapsed: u64,
    pub exit: &'a [u8],
    /// The rate as a JSON number; empty when the list is no sample.
    pub rate: &'a [u8],
    /// 1 over the share of such processes that report, as a JSON number; empty when all do.
    pub weight: &'a [u8],
    pub canary: &'a [u8],
    pub parent: Option<u128>,
    /// What of it stays here.
    pub privacy: Privacy,
}

/// One name that was found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Finding<'a> {
    /// Reported name.
    pub name: &'a [u8],
    /// Empty: not known.
    pub version: &'a [u8],
    /// Bound by the user's own code.
    pub direct: bool,
    /// Found as a mapped shared library.
    pub library: bool,
}

/// Longest name of a package, in bytes after escaping.
pub const MAX_NAME: usize = 64;
/// Longest text of a field that is no path, in bytes after escaping.
pub const MAX_TEXT: usize = 64;
/// Longest path, in bytes after escaping.
pub const MAX_PATH: usize = 1024;
