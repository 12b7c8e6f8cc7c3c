//! libcustoms.so as `customs compile` writes it.

use super::trial::SITE;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A library, in a folder of its own.
pub struct Library {
    folder: TempDir,
}

impl Library {
    /// The one that `customs compile` makes of this site file, which finds `packages` as `packages.toml`.
    pub fn compile(site: &str, packages: &str) -> Self {
        let library = Library { folder: tempfile::tempdir().unwrap() };
        let [site_file, packages_file] = ["site.toml", "packages.toml"].map(|name| library.folder.path().join(name));
        fs::write(&site_file, site).unwrap();
        fs::write(&packages_file, packages).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_customs"))
            .arg("compile")
            .arg(&site_file)
            .arg("--output")
            .arg(library.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "customs compile: {}", String::from_utf8_lossy(&output.stderr));
        library
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("libcustoms.so")
    }

    /// What is in it.
    pub fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    /// Puts a copy into `folder`.
    pub fn copy_to(&self, folder: &Path) {
        fs::copy(self.path(), folder.join("libcustoms.so")).unwrap();
    }
}

/// The variable whose value a process under a library of [`site`] reports as its `job_id`, so that a test can tell
/// whose records are whose.
pub const RUN: &str = "CUSTOMS_TEST_RUN";

/// A site that sends what it finds of `packages.toml` to `receiver`.
pub fn site(receiver: SocketAddr) -> String {
    SITE.replace("{receiver}", &receiver.to_string()) + &format!("[job]\njob_id = [\"{RUN}\"]\n")
}
