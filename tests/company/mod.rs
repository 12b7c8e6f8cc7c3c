//! What else is in the process, and what is around it: other preloaded tools, limits, tracers, checkers, sandboxes,
//! secure execution, 32-bit programs. Each run is compared with the same one without the library, and exactly the
//! records that are due must come.

mod limits;
mod preloaded;
mod privileges;
mod tracers;

use crate::support::hosts;
use crate::support::library::{Library, RUN, site};
use crate::support::receiver::Receiver;
use crate::support::trial::{PACKAGES, bare};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Debian's, which everybody may execute.
const DEBIAN: &str = "/usr/bin/python3.11";
/// Runs before each ending.
const IMPORTS: &str = "import os, sys, signal, json\n";

/// How Python code ends, and `exit` of each record that is expected, in order.
type Ending = (&'static str, &'static [&'static str]);

const ENDINGS: [Ending; 9] = [
    ("print('last line')", &["normal"]),
    ("raise ValueError", &["normal"]),
    ("os._exit(5)", &["os_exit"]),
    ("os.abort()", &["abort"]),
    ("os.kill(os.getpid(), signal.SIGTERM); signal.pause()", &["signal:TERM"]),
    ("os.execv('/bin/echo', ['echo', 'on'])", &["exec"]),
    ("pid = os.fork()\nif pid == 0: os._exit(7)\nprint(os.waitpid(pid, 0)[1])", &["normal"]),
    ("pid = os.fork()\nif pid == 0: import sqlite3; sys.exit(7)\nprint(os.waitpid(pid, 0)[1])", &["normal", "normal"]),
    (
        "import threading; threads = [threading.Thread(target=json.dumps, args=([0] * 9999,)) for _ in range(8)]\n\
         for thread in threads: thread.start()\n\
         os._exit(3)",
        &["os_exit"],
    ),
];

/// A library, a receiver, and what it is to receive.
struct Company {
    /// Everybody may look into it.
    folder: TempDir,
    library: String,
    receiver: Receiver,
    expected: Vec<(String, Vec<String>)>,
}

impl Company {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let receiver = Receiver::open();
        Library::compile(&site(receiver.address()), PACKAGES).copy_to(folder.path());
        let library = folder.path().join("libcustoms.so").to_str().unwrap().to_string();
        Company { folder, library, receiver, expected: Vec::new() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_string()
    }

    /// Makes `name` of C code.
    fn compile(&self, compiler: &str, name: &str, options: &[&str], code: &str) -> String {
        let path = self.path(name);
        let mut command = Command::new(compiler);
        command.args(options).args(["-o", &path, "-x", "c", "-"]).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(code.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{command:?}");
        path
    }

    /// Runs what `prepare` makes of the library's path, or of "" for the run without it. Both must end and say the same.
    fn compare(&mut self, name: &str, exits: &[&str], prepare: impl Fn(&str) -> Command) -> Output {
        let plain = self.output(prepare(""));
        let under = self.expect(name, exits, prepare(&self.library));
        assert_eq!(seen(&plain), seen(&under), "{name}: without the library, and under it");
        under
    }

    /// Runs a command whose records' `exit` must be these.
    fn expect(&mut self, name: &str, exits: &[&str], mut command: Command) -> Output {
        command.env(RUN, self.expected.len().to_string());
        self.expected.push((name.to_string(), exits.iter().map(|exit| exit.to_string()).collect()));
        self.output(command)
    }

    /// Runs it; what hangs is killed, and is then seen to end in another way.
    fn output(&self, mut command: Command) -> Output {
        command.current_dir(self.folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let (pid, (ended, is_running)) = (child.id().to_string(), mpsc::channel::<()>());
        thread::spawn(move || {
            if is_running.recv_timeout(Duration::from_secs(90)) == Err(RecvTimeoutError::Timeout) {
                let _ = Command::new("kill").args(["-s", "KILL", &pid]).status();
            }
        });
        let output = child.wait_with_output().unwrap();
        drop(ended);
        output
    }

    /// Compares what came with what was expected, and returns it.
    fn close(self) -> Vec<Value> {
        let records = self.receiver.close();
        for (number, (name, exits)) in self.expected.iter().enumerate() {
            let number = number.to_string();
            let own: Vec<_> = records.iter().filter(|record| record["job_id"] == *number).collect();
            let came: Vec<_> = own.iter().map(|record| record["exit"].as_str().unwrap()).collect();
            assert_eq!(&came, exits, "{name}: {own:?}");
            let has_json = |record: &&Value| record["packages"].as_array().unwrap().contains(&Value::from("json"));
            assert!(own.iter().all(has_json), "{name}: {own:?}");
        }
        assert_eq!(records.len(), self.expected.iter().map(|(_, exits)| exits.len()).sum::<usize>(), "{records:?}");
        records
    }
}

/// What must be the same.
fn seen(output: &Output) -> (Option<i32>, Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), output.status.signal(), text(&output.stdout), text(&output.stderr))
}

/// `python -B -c CODE` with `preloaded`, of which those that are empty are left out.
fn snippet(python: &str, code: &str, preloaded: &[&str]) -> Command {
    let mut command = bare(python);
    command.args(["-B", "-c", &format!("{IMPORTS}{code}")]).env("PYTHONHASHSEED", "0");
    preload(command, preloaded)
}

fn preload(mut command: Command, objects: &[&str]) -> Command {
    let objects: Vec<_> = objects.iter().copied().filter(|object| !object.is_empty()).collect();
    if !objects.is_empty() {
        command.env("LD_PRELOAD", objects.join(":"));
    }
    command
}

/// Interpreters that differ: libpython is shared or static, `_signal` is initialised in one step or in two.
fn pythons() -> Vec<String> {
    hosts::pyenv("3.8").into_iter().chain(hosts::is_here(DEBIAN, "debian").then(|| DEBIAN.to_string())).collect()
}
