//! Builds libcustoms.so, which the command carries inside itself.
//!
//! The library's contract needs a profile of its own (docs/ARCHITECTURE.md), so a second cargo builds it, into a
//! target directory of its own: this one holds the lock of the other.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What would change the library's code generation or its place. `cargo llvm-cov`, `cargo clippy` and a
/// developer's RUSTFLAGS mean the command, not an object that lands in other people's processes.
const NOT_FOR_THE_LIBRARY: &[&str] = &[
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_INCREMENTAL",
    "RUSTC_WORKSPACE_WRAPPER",
    "CLIPPY_ARGS",
    "LLVM_PROFILE_FILE",
];

fn main() {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    for input in ["build.rs", "Cargo.lock", "preload", "spec/Cargo.toml", "spec/src"] {
        println!("cargo:rerun-if-changed={}", root.join(input).display());
    }
    println!("cargo:rerun-if-env-changed=CUSTOMS_LIBRARY");
    let library = env::var_os("CUSTOMS_LIBRARY").map_or_else(|| build_library(&root), PathBuf::from);
    println!("cargo:rustc-env=CUSTOMS_PRISTINE_LIBRARY={}", library.display());
    println!("cargo:rerun-if-changed={}", library.display());
}

fn build_library(root: &Path) -> PathBuf {
    let target = variable("TARGET");
    let folder = PathBuf::from(variable("OUT_DIR")).join("preload");
    let mut cargo = Command::new(variable("CARGO"));
    cargo
        .args([
            "build",
            "--package",
            "customs-preload",
            "--profile",
            "preload",
            "--features",
            "freestanding",
            "--locked",
            "--target",
            &target,
        ])
        .arg("--manifest-path")
        .arg(root.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&folder);
    for name in NOT_FOR_THE_LIBRARY {
        cargo.env_remove(name);
    }
    let output = cargo.output().unwrap_or_else(|error| panic!("cannot start cargo to build libcustoms.so: {error}"));
    if !output.status.success() {
        eprintln!("libcustoms.so does not build:\n{}", String::from_utf8_lossy(&output.stderr));
        std::process::exit(1);
    }
    folder.join(target).join("preload").join("libcustoms.so")
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name} for build scripts"))
}
