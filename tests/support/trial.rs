//! One Python under one site file: what it printed and what was received.

use super::library::Library;
use super::receiver::Receiver;
use serde_json::Value;
use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// A site as most tests want it; what they add comes after.
pub const SITE: &str = "\
[site]
system = \"test\"
[[transport]]
name = \"receiver\"
on = \"any\"
servers = [\"udp://{receiver}\"]
[[list]]
name = \"packages\"
include = [\"packages.toml\"]
";

/// The packages that most tests look for.
pub const PACKAGES: &str = "\
[[package]]
name = \"sqlite3\"
version = \"sqlite3:sqlite_version\"
[[package]]
name = \"json\"
[[package]]
name = \"json.decoder\"
[[package]]
name = \"multiprocessing\"
unless = { main = [\"*/conda\"] }
";

/// The interpreter that `python3` means here, not a shim in front of it.
pub fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}

/// What came of a run.
pub struct Outcome {
    pub output: Output,
    pub records: Vec<Value>,
}

impl Outcome {
    /// The record, where exactly one must have come and the program have ended well.
    pub fn record(&self) -> &Value {
        let error = String::from_utf8_lossy(&self.output.stderr);
        assert!(self.output.status.success(), "{}: {error}", self.output.status);
        let [record] = &self.records[..] else { panic!("{} records: {:?}; {error}", self.records.len(), self.records) };
        record
    }
}

/// `command`, with nothing of the environment in which the tests run.
pub fn bare(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin").env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::null());
    command
}

/// Runs a command under a library of `site`, in which `{receiver}` is the address of a receiver.
/// `prepare` makes the command; it gets the library's path.
pub fn under(site: &str, packages: &str, prepare: impl FnOnce(&str) -> Command) -> Outcome {
    let receiver = Receiver::open();
    let library = Library::compile(&site.replace("{receiver}", &receiver.address().to_string()), packages);
    let output = prepare(library.path().to_str().unwrap()).output().unwrap();
    Outcome { output, records: receiver.close() }
}

/// Runs `python3 ARGUMENTS` with these variables under a library of `site`.
pub fn run(site: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Outcome {
    under(site, PACKAGES, |library| {
        let mut command = bare(python());
        command.args(arguments).env("LD_PRELOAD", library).envs(variables.iter().copied());
        command
    })
}
