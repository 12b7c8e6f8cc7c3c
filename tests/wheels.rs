//! Scientific packages from their real wheels: names, versions, what the user asked for, native libraries.

use crate::support::hosts::venv;
use crate::support::trial::{Outcome, SITE, bare, under};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// Runs code under the shipped list.
fn run(python: &PathBuf, code: &str) -> Outcome {
    let site = SITE.replace("include = [\"packages.toml\"]\n", "");
    under(&site, "", |library| {
        let mut command = bare(python);
        command.args(["-c", code]).env("LD_PRELOAD", library).env("HOME", std::env::temp_dir());
        command
    })
}

/// Names in a field of a record.
pub fn names<'r>(record: &'r Value, field: &str) -> Vec<&'r str> {
    record[field].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect()
}

/// The version that pip has installed.
pub fn installed(python: &PathBuf, distribution: &str) -> String {
    let code = format!("from importlib.metadata import version; print(version('{distribution}'), end='')");
    String::from_utf8(Command::new(python).args(["-c", &code]).output().unwrap().stdout).unwrap()
}

#[test]
fn scientific_packages_are_reported_with_the_versions_that_pip_installed() {
    let Some(python) = venv("science") else { return };
    let code =
        "import numpy as np, scipy.linalg, pandas, matplotlib.pyplot as plt, astropy.units, dask.array, xarray, h5py";
    let outcome = run(&python, code);
    let mut found = std::collections::BTreeMap::new();
    for part in &outcome.records {
        for name in names(part, "packages") {
            found.insert(name, part["versions"][name].as_str().unwrap_or(""));
        }
    }
    for name in ["numpy", "scipy", "pandas", "matplotlib", "astropy", "dask", "xarray", "h5py"] {
        assert_eq!(found.get(name).copied(), Some(installed(&python, name).as_str()), "{name}: {found:?}");
    }
    for name in ["distributed", "torch", "mkl", "mpi4py"] {
        assert!(!found.contains_key(name), "{name} was not imported");
    }
    assert!(found.contains_key("openblas") && found.contains_key("hdf5"), "native: {found:?}");
}

#[test]
fn direct_marks_what_the_user_asked_for_and_not_what_came_along() {
    let Some(python) = venv("science") else { return };
    let outcome = run(&python, "import pandas as pd\nfrom astropy.table import Table\nfrom scipy.linalg import solve");
    let direct: Vec<&str> = outcome.records.iter().flat_map(|part| names(part, "direct")).collect();
    let found: Vec<&str> = outcome.records.iter().flat_map(|part| names(part, "packages")).collect();
    assert!(found.contains(&"numpy"));
    for (name, expected) in [("pandas", true), ("astropy", true), ("scipy", true), ("numpy", false)] {
        assert_eq!(direct.contains(&name), expected, "{name}: {direct:?}");
    }
}

#[test]
fn mkl_is_seen_when_it_is_mapped_and_not_otherwise() {
    let Some(python) = venv("science") else { return };
    let load = "import ctypes, glob, sys; ctypes.CDLL(glob.glob(sys.prefix + '/lib/libmkl_rt.so*')[0])";
    let outcome = run(&python, load);
    let record = outcome.record();
    assert!(names(record, "packages").contains(&"mkl") && names(record, "libraries").contains(&"mkl"), "{record}");
    let outcome = run(&python, "pass");
    assert!(!names(outcome.record(), "packages").contains(&"mkl"));
}
