//! The black box: what a killed process leaves behind is sent by `customs reap`, once, and nothing else is.

use crate::support::hosts;
use crate::support::library::Library;
use crate::support::receiver::Receiver;
use crate::support::trial::{PACKAGES, SITE, bare, python};
use crate::support::wait::{wait_for, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A site with a black box in a folder of its own.
pub struct Site {
    folder: TempDir,
    receiver: Option<Receiver>,
    library: Library,
}

impl Site {
    fn new() -> Self {
        Site::with("", PACKAGES)
    }

    /// With `more` in its file, which finds `packages` as `packages.toml`; if there are none, the shipped list.
    pub fn with(more: &str, packages: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let receiver = Receiver::open();
        let boxes = folder.path().join("box");
        fs::create_dir(&boxes).unwrap();
        fs::set_permissions(&boxes, fs::Permissions::from_mode(0o1777)).unwrap();
        let text = SITE.replace("{receiver}", &receiver.address().to_string())
            + &format!("[endings]\nrecorder = \"{}\"\n{more}", boxes.display());
        let shipped = || text.replace("include = [\"packages.toml\"]\n", "");
        let text = if packages.is_empty() { shipped() } else { text };
        fs::write(folder.path().join("site.toml"), &text).unwrap();
        fs::write(folder.path().join("packages.toml"), packages).unwrap();
        let library = Library::compile(&text, packages);
        Site { folder, receiver: Some(receiver), library }
    }

    /// What is put into `LD_PRELOAD`.
    pub fn library(&self) -> PathBuf {
        self.library.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("box").join(name)
    }

    /// Names of the files in the box.
    fn files(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.folder.path().join("box"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn command(&self, python: &str, code: &str) -> Command {
        let mut command = bare(python);
        command.args(["-c", code]).env("LD_PRELOAD", self.library.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn start(&self, python: &str, code: &str) -> Child {
        self.command(python, code).spawn().unwrap()
    }

    /// Runs `code` until it has said in a file that it is ready, and kills it.
    fn kill(&self, python: &str, code: &str) {
        let ready = self.folder.path().join("ready");
        let mut child = self.start(python, &code.replace("{ready}", ready.to_str().unwrap()));
        wait_for("its file", || ready.exists().then_some(()));
        std::thread::sleep(Duration::from_millis(100));
        child.kill().unwrap();
        child.wait().unwrap();
        fs::remove_file(ready).unwrap();
    }

    /// What `customs reap` answers.
    pub fn reap(&self, arguments: &[&str]) -> Value {
        let site = self.folder.path().join("site.toml");
        let output = Command::new(env!("CARGO_BIN_EXE_customs"))
            .args(["reap", "--json", "--site"])
            .arg(site)
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The records that have come.
    pub fn records(mut self) -> Vec<Value> {
        self.receiver.take().unwrap().close()
    }
}

/// Sends what is left of killed processes until nothing is: a killed one may take a while to be gone.
pub fn reap_all(site: &Site) {
    let is_empty = || {
        site.reap(&[]);
        site.files().is_empty()
    };
    wait_until(is_empty, || format!("left in the box: {:?}", site.files()));
}

/// Says that it is ready, and then calls into C for 90 seconds with the GIL held.
const LONG_CALL: &str = "import sqlite3, json, ctypes\nopen('{ready}', 'w').close()\nctypes.PyDLL(None).sleep(90)";

#[test]
fn a_process_that_is_killed_in_a_long_call_is_reported() {
    let pythons = ["3.8", "3.12", "3.13"].into_iter().filter_map(hosts::pyenv);
    for python in pythons.chain([python().to_string()]) {
        let site = Site::new();
        site.kill(&python, LONG_CALL);
        assert_eq!(site.files().len(), 1, "{python}");
        assert_eq!(site.reap(&["--dry-run"])["sent"], 1);
        assert_eq!(site.reap(&[])["sent"], 1);
        assert_eq!(site.files(), [""; 0]);
        assert_eq!(site.reap(&[])["sent"], 0);
        let records = site.records();
        let [record] = &records[..] else { panic!("{python}: {records:?}") };
        assert_eq!(record["exit"], "killed");
        assert_eq!(record["packages"], json!(["sqlite3", "json", "json.decoder"]), "{python}");
    }
}

#[test]
fn a_process_that_reports_itself_leaves_nothing_behind() {
    for end in [
        "pass",
        "import os; os._exit(1)",
        "import os; os.abort()",
        "import os; os.kill(os.getpid(), 15)",
        "import os; os.execv('/bin/true', ['true'])",
        "import ctypes; ctypes.CDLL(None).exit(2)",
        "import atexit; atexit._run_exitfuncs(); import multiprocessing",
        "import os\nif os.fork() == 0: import multiprocessing",
        "import atexit; atexit._run_exitfuncs(); import colorsys, wave, calendar",
        "import multiprocessing; p = multiprocessing.get_context('spawn').Process(target=print); p.start(); p.join()",
        "import multiprocessing; p = multiprocessing.get_context('forkserver').Process(target=print); p.start(); p.join()",
        "import multiprocessing; p = multiprocessing.get_context('fork').Process(target=print); p.start(); p.join()",
    ] {
        let site = Site::new();
        let mut command = site.command(python(), &format!("import sqlite3\n{end}"));
        // Until the last of them has closed it.
        command.stdout(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(site.files(), [""; 0], "{end}");
    }
}

#[test]
fn the_living_are_left_alone() {
    let site = Site::new();
    let ready = site.folder.path().join("ready");
    let mut child = site.start(python(), &LONG_CALL.replace("{ready}", ready.to_str().unwrap()));
    wait_for("its file", || ready.exists().then_some(()));
    assert_eq!(site.reap(&[]), json!({ "sent": 0, "alive": 1, "removed": 0, "failed": 0, "rejected": [] }));
    assert_eq!(site.files().len(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(site.reap(&[])["sent"], 1);
}

#[test]
fn a_box_that_cannot_be_written_to_is_no_harm() {
    let site = Site::new();
    fs::remove_dir(site.folder.path().join("box")).unwrap();
    assert!(site.start(python(), "import sqlite3").wait().unwrap().success());
    let records = site.records();
    assert_eq!(records.len(), 1);
}

#[test]
fn nothing_in_the_box_is_believed() {
    let site = Site::new();
    site.kill(python(), LONG_CALL);
    let name = site.files().remove(0);
    let text = fs::read_to_string(site.path(&name)).unwrap();
    let id = name.strip_prefix("customs-").unwrap().to_string();
    let other = |digit: char| format!("{}{digit}", "0".repeat(31));
    let forged = |digit: char, text: &str| fs::write(site.path(&format!("customs-{}", other(digit))), text).unwrap();
    let own = |digit: char| text.replace(&id, &other(digit));
    forged('1', "");
    forged('2', "no message at all\n");
    forged('3', &text);
    forged('4', &own('4').replace("\"uid\":0", "\"uid\":4242").replace("\"uid\":1", "\"uid\":4242"));
    forged('5', &own('5').replace("\"exit\":\"killed\"", "\"exit\":\"normal\""));
    forged('6', &own('6').replace("\"schema\":1", "\"schema\":2"));
    forged('7', &own('7').replace("\"qos\":", "\"secret\":"));
    forged('8', &own('8').replace("\"list\":\"packages\"", "\"list\":\"others\""));
    forged('9', &own('9').repeat(200));
    forged('a', &own('a').replace("\"username\":\"", "\"username\":\"not-"));
    forged('b', &own('b').replace("\"system\":\"test\"", "\"system\":\"other\""));
    fs::write(site.path(&format!("customs-{}.new", other('c'))), "half").unwrap();
    symlink("/etc/passwd", site.path(&format!("customs-{}", other('d')))).unwrap();
    assert!(Command::new("mkfifo").arg(site.path(&format!("customs-{}", other('e')))).status().unwrap().success());
    fs::write(site.path("of somebody else"), "").unwrap();
    fs::write(site.path("customs-of-somebody-else"), "").unwrap();
    let answer = site.reap(&[]);
    assert_eq!(answer["rejected"].as_array().unwrap().len(), 12, "{answer:#}");
    assert_eq!((&answer["sent"], &answer["removed"]), (&json!(2), &json!(1)), "{answer:#}");
    assert_eq!(site.files(), ["customs-of-somebody-else", "of somebody else"]);
    let records = site.records();
    assert_eq!(records.len(), 2);
    // A name that is not the owner's is left out, and of a key that stands twice one is sent.
    assert!(records.iter().any(|record| record["username"] == ""), "{records:?}");
}

#[test]
fn no_user_gets_more_than_a_share() {
    let site = Site::new();
    site.kill(python(), LONG_CALL);
    let name = site.files().remove(0);
    let text = fs::read_to_string(site.path(&name)).unwrap();
    let id = name.strip_prefix("customs-").unwrap();
    for number in 0..50 {
        let other = format!("{number:032x}");
        fs::write(site.path(&format!("customs-{other}")), text.replace(id, &other)).unwrap();
    }
    let answer = site.reap(&["--per-user", "20"]);
    assert_eq!((&answer["sent"], &answer["removed"]), (&json!(20), &json!(31)));
    assert_eq!(site.files(), [""; 0]);
}
