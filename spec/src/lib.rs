//! What customs looks for and what it says.
//!
//! A site writes a [`site`] file; it is checked and compiled into a [`policy`]; an [`inspect`]or applies the
//! policy's checks to what a process has loaded; the findings become a [`record`], a JSON object, which
//! travels in an RFC 5424 [`frame`]. The library and the command share these definitions and nothing else.
//!
//! House rules: no `std`, no `unsafe`, no floating point formatting, and without the feature `site` no
//! allocation and no way to panic, because this code runs at exit inside other people's processes.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "site")]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod frame;
pub mod glob;
pub mod hash;
pub mod inspect;
pub mod json;
pub mod policy;
pub mod record;
pub mod signal;
#[cfg(feature = "site")]
pub mod site;
pub mod stdlib;

/// The list of packages that the command ships, as TOML.
pub const PACKAGES: &str = include_str!("../packages.toml");
