//! What the end-to-end tests stand on: a library that the real command compiled, a receiver, and the programs that
//! `tests/hosts/install` puts on a machine.

pub mod collector;
pub mod engines;
pub mod hosts;
pub mod library;
pub mod receiver;
pub mod slurm;
pub mod trial;
pub mod wait;
