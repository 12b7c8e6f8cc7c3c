//! The command as a person meets it: what is typed, what is printed where, which status it exits with.

mod check;
mod compile;
mod doctor;
mod emit;
mod manual;
mod me;
mod run;

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A good site file.
const GOOD: &str = "\
[site]
system = \"cori\"
[[transport]]
name = \"local\"
servers = [\"unix:///dev/log\"]
[[list]]
name = \"packages\"
include = [\"packages.toml\"]
[[list]]
name = \"everything\"
all = true
rate = 0.5
";

/// The list it includes.
const PACKAGES: &str = "\
[[package]]
name = \"numpy\"
[[package]]
name = \"root\"
module = [\"ROOT.std\"]
[[package]]
name = \"multiprocessing\"
unless = { main = [\"*/bin/conda\"] }
[[package]]
name = \"mkl\"
library = [\"libmkl_rt.so*\"]
";

/// A folder with a site file, and the command in it.
struct Site {
    folder: TempDir,
}

impl Site {
    /// With this site file and [`PACKAGES`] beside it.
    fn new(site: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("site.toml"), site).unwrap();
        fs::write(folder.path().join("packages.toml"), PACKAGES).unwrap();
        Site { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `customs` with these arguments, in the folder, away from the variables of whatever job the tests run in.
    fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_customs"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        for name in ["CUSTOMS_OPT_OUT", "SLURM_PROCID", "PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "LD_PRELOAD"] {
            command.env_remove(name);
        }
        command
    }

    fn customs<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Answer {
        Answer::of(self.command(arguments).output().unwrap())
    }
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Answer {
    fn of(output: Output) -> Self {
        Answer {
            status: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Standard output as JSON.
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
