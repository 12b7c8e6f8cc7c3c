//! Scientific packages from their real wheels: names, versions, what the user asked for, native libraries, MPI ranks.

use crate::support::hosts;
use crate::support::trial::{Outcome, SITE, bare, under};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// The interpreter of a venv that `tests/hosts/install` made.
fn venv(recipe: &str) -> Option<PathBuf> {
    let python = hosts::cache().join(recipe).join("bin/python");
    hosts::is_here(python.to_str().unwrap(), recipe).then_some(python)
}

/// Runs code under the shipped list.
fn run(python: &PathBuf, code: &str) -> Outcome {
    let site = SITE.replace("include = [\"packages.toml\"]\n", "");
    under(&site, "", |library| {
        let mut command = bare(python);
        command.args(["-c", code]).env("LD_PRELOAD", library).env("HOME", std::env::temp_dir());
        command
    })
}

fn names<'r>(record: &'r Value, field: &str) -> Vec<&'r str> {
    record[field].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect()
}

/// The version that pip has installed.
fn installed(python: &PathBuf, distribution: &str) -> String {
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

#[test]
fn of_four_mpi_ranks_one_reports() {
    for (recipe, launcher, more) in [("mpich", "mpiexec", &[][..]), ("openmpi", "mpirun", &["--oversubscribe"])] {
        let Some(python) = venv(recipe) else { return };
        let site = SITE.replace("include = [\"packages.toml\"]\n", "");
        let outcome = under(&site, "", |library| {
            let mut command = bare(python.with_file_name(launcher));
            command.args(more).args(["-n", "4", "env", &format!("LD_PRELOAD={library}")]).arg(&python);
            command.args(["-c", "from mpi4py import MPI; print(MPI.COMM_WORLD.Get_size())"]);
            command.env("HOME", std::env::temp_dir());
            for name in ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] {
                command.env(name, "1");
            }
            command
        });
        let printed = String::from_utf8_lossy(&outcome.output.stdout).into_owned();
        let error = String::from_utf8_lossy(&outcome.output.stderr);
        assert_eq!(printed.lines().filter(|line| *line == "4").count(), 4, "{printed} {error}");
        let record = outcome.record();
        assert!(names(record, "packages").contains(&"mpi4py"), "{record}");
        assert!(names(record, "direct").contains(&"mpi4py"), "{record}");
        assert_eq!(record["versions"]["mpi4py"], installed(&python, "mpi4py"));
        assert!(names(record, "libraries").iter().any(|name| name.contains("mpi")), "{record}");
    }
}
