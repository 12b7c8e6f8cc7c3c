//! The policy: what a site file says, compiled to bytes that lie inside the library and are read in place.
//!
//! The bytes hold offsets and no pointers, so the loader has nothing to relocate and nothing is built at start.
//!
//! ```text
//! 0   magic "customs\0"        24  slots: one u32 for each part of the policy, see `Slot`
//! 8   layout version, u32      …   texts (u16 length, bytes), sequences (u16 count, items of u32 words)
//! 12  length in bytes, u32
//! 16  digest of what follows, u64
//! ```
//! All numbers are little-endian; an offset of 0 is "none".

mod bytes;
#[cfg(feature = "site")]
mod decode;
#[cfg(feature = "site")]
mod encode;
#[cfg(feature = "site")]
pub mod model;
mod read;

#[cfg(feature = "site")]
pub use decode::decode;
#[cfg(feature = "site")]
pub use encode::{TooLarge, encode};
pub use read::{Check, List, Modules, Policy, Server, Subsystem, Texts, Thin, Transport};

/// Bytes that the library reserves for a policy.
pub const CAPACITY: usize = 131_072;
/// The ELF section of the library that holds it.
pub const SECTION: &str = ".customs.policy";
/// A policy may hold this many checks: what the library keeps a bit for.
pub const MAX_CHECKS: usize = 4096;
/// And this many module names: what its look-up table can place.
const MAX_NAMES: usize = 16_384;
/// A transport's `max_datagram` is at least what IPv6 guarantees (1280) less its and UDP's headers (48),
/// and the fixed fields of a record with their paths cut short still leave room for names in it.
pub const MIN_DATAGRAM: u16 = 1232;

const MAGIC: &[u8; 8] = b"customs\0";
const VERSION: u32 = 3;
const HEADER: usize = 24;

/// The parts of a policy, each a number or the offset of a text or a sequence.
#[derive(Clone, Copy)]
#[repr(usize)]
enum Slot {
    System,
    Msgid,
    Facility,
    OptOut,
    OmitLow,
    OmitHigh,
    PseudonymiseLow,
    PseudonymiseHigh,
    PseudonymKey,
    DistInfo,
    /// A set of signals, see `crate::signal`.
    Signals,
    Recorder,
    Thin,
    Transports,
    ComputeEnv,
    ComputeHosts,
    Subsystems,
    Staff,
    Ranks,
    JobId,
    NumNodes,
    Qos,
    Repo,
    Checks,
    Lists,
    /// Hash table over module names, a power of two of words: 0 when free, else the name's tag and, in the lower
    /// half, its place in `Entries` plus one.
    Table,
    /// (text, checks)
    Entries,
    /// (pattern, check, hint)
    Libraries,
    Count,
}

/// Words of each kind of item in a sequence.
mod words {
    pub const TRANSPORT: usize = 4;
    pub const SERVER: usize = 7;
    pub const THIN: usize = 5;
    pub const SUBSYSTEM: usize = 3;
    pub const CHECK: usize = 8;
    pub const LIST: usize = 6;
    pub const ENTRY: usize = 2;
    pub const LIBRARY: usize = 3;
}

/// First word of a server.
mod kind {
    pub const UDP4: u32 = 4;
    pub const UDP6: u32 = 6;
    pub const UNIX: u32 = 1;
    pub const FILE: u32 = 2;
}

/// Four letters of a library's name behind `lib`, by which nearly every pattern is ruled out without being tried:
/// as a word, or 0 where they are fewer or hold a wildcard.
fn hint(name: &[u8]) -> u32 {
    match name.get(3..7) {
        Some(&[a, b, c, d]) if !name.iter().take(7).any(|byte| b"*?[".contains(byte)) => {
            u32::from_le_bytes([a, b, c, d])
        }
        _ => 0,
    }
}

/// Bits of a list.
mod flag {
    pub const ALL: u32 = 1;
    pub const PER_PROCESS: u32 = 2;
    pub const EMPTY: u32 = 4;
}

/// Why bytes are not a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Nothing was stamped into the library yet.
    Empty,
    /// They do not begin as a policy does.
    Magic,
    /// Written for another version of the library.
    Version(u32),
    /// Cut short.
    Length,
    /// Changed since they were written.
    Digest,
    /// Well-formed as a whole, but a part makes no sense.
    Content,
}

impl core::fmt::Display for Damage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Damage::Empty => f.write_str("the library carries no policy yet; write one into it with `customs compile`"),
            Damage::Magic => {
                f.write_str("what lies in the place of the policy is not one; compile the site file again")
            }
            Damage::Version(found) => {
                write!(
                    f,
                    "the policy has layout {found} and this version reads layout {VERSION}; compile the site file again"
                )
            }
            Damage::Length => f.write_str("the policy is cut short; compile the site file again"),
            Damage::Digest => {
                f.write_str("the policy does not match its digest: it was damaged; compile the site file again")
            }
            Damage::Content => f.write_str("a part of the policy makes no sense; compile the site file again"),
        }
    }
}

impl core::error::Error for Damage {}

/// The digest that a record's field `policy` carries: that of a whole policy's bytes, as its header has it.
pub fn digest(bytes: &[u8]) -> u64 {
    bytes::number64(bytes, 16)
}
