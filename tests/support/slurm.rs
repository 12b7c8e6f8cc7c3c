//! A Slurm of its own for a test.

use super::hosts;
use super::trial::bare;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// A Slurm on this machine, as `tests/hosts/slurm-up` starts it.
pub struct Slurm {
    folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// There is one set of ports, and one munged.
static ALONE: Mutex<()> = Mutex::new(());

impl Slurm {
    /// Started with one node, where it can be had.
    pub fn start() -> Option<Self> {
        Slurm::start_with(&[])
    }

    /// Started with two nodes, which are both this machine.
    pub fn start_two_nodes() -> Option<Self> {
        Slurm::start_with(&["two"])
    }

    fn start_with(more: &[&str]) -> Option<Self> {
        if !hosts::is_here("/usr/sbin/slurmctld", "slurm") || !hosts::is_root("a Slurm of its own") {
            return None;
        }
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let slurm = Slurm { folder: tempfile::tempdir().unwrap(), _alone: alone };
        let output = slurm.script(more).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(slurm)
    }

    /// Where its state lies, and there is room for a job's own files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn script(&self, more: &[&str]) -> Command {
        let mut command = bare(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/slurm-up"));
        command.arg(self.folder.path()).args(more);
        command
    }

    /// One of its commands, such as `srun`.
    pub fn client(&self, name: &str) -> Command {
        let mut command = bare(name);
        command.env("SLURM_CONF", self.folder.path().join("slurm.conf"));
        command
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        let _ = self.script(&["stop"]).output();
    }
}
