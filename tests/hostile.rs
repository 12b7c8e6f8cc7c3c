//! What a user can put into an environment, a path or a module cannot break the frame, the process or the collector.

use crate::support::trial::{PACKAGES, SITE, bare, python, run, under};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

#[test]
fn hostile_variables_arrive_escaped_or_cut() {
    let long = "x".repeat(100_000);
    let nasty = "a\"b\\c\n<1>1 - - evil - - - {}\t\u{1b}[31m";
    let variables = [
        ("SLURM_JOB_ID", nasty),
        ("SLURM_JOB_QOS", &long),
        ("SLURM_JOB_ACCOUNT", "größe"),
        ("SLURM_JOB_NUM_NODES", "-5"),
        ("SLURMD_NODENAME", nasty),
        ("SHIFTER_RUNTIME", "1"),
        ("CUSTOMS_CANARY", nasty),
    ];
    let outcome = run(SITE, &variables, &["-c", "pass"]);
    // `Receiver` has checked the frame and the header against the record, but for the host, whose header is cleaned.
    let record = outcome.record();
    assert_eq!(record["job_id"], nasty);
    assert_eq!(record["canary"], nasty);
    assert_eq!(record["repo"], "größe");
    assert_eq!(record["num_nodes"], 1);
    assert_eq!(record["qos"].as_str().unwrap(), "x".repeat(64));
}

#[test]
fn bytes_that_are_not_utf_8_arrive_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join(OsStr::from_bytes(b"caf\xe9 \"\n.py"));
    fs::write(&script, "import json").unwrap();
    let outcome = under(SITE, PACKAGES, |library| {
        let mut command = bare(python());
        command.arg(&script).env("LD_PRELOAD", library).env("SLURM_JOB_ID", OsStr::from_bytes(b"\xff\xfe7"));
        command
    });
    let record = outcome.record();
    assert_eq!(record["job_id"], "\u{fffd}\u{fffd}7");
    assert_eq!(record["main"], format!("{}/caf\u{fffd} \"\n.py", folder.path().display()));
}

#[test]
fn a_hundred_kilobyte_variable_at_every_turn_is_survived() {
    let long = "y".repeat(100_000);
    let names = [
        "SLURM_JOB_ID",
        "SLURMD_NODENAME",
        "SLURM_JOB_USER",
        "SLURM_JOB_UID",
        "PBS_JOBID",
        "LSB_MCPU_HOSTS",
        "container",
    ];
    let variables: Vec<(&str, &str)> = names.iter().map(|name| (*name, long.as_str())).collect();
    run(SITE, &variables, &["-c", "pass"]).record();
}

#[test]
fn modules_that_are_no_modules_run_no_code_of_theirs() {
    let code = "
import sys, types, json
class Trap:
    def __getattribute__(self, name): print('trap', name); raise RuntimeError(name)
    def __eq__(self, other): print('eq'); raise RuntimeError
    def __hash__(self): return hash('json')
class Lazy(types.ModuleType):
    def __getattribute__(self, name): print('lazy', name); raise RuntimeError(name)
class Text(str):
    def __eq__(self, other): print('text'); return True
    __hash__ = str.__hash__
class Meta(type):
    def __getattribute__(cls, name): print('meta', name); raise RuntimeError(name)
sys.modules['sqlite3'] = Lazy('sqlite3')
sys.modules['multiprocessing'] = Trap()
sys.modules['json.decoder'] = None
sys.modules[Text('customs_text')] = json
sys.modules[1] = json
sys.modules['\\udcff'] = json
sys.modules['x' * 100000] = json
json.__version__ = Text('9')
K = Meta('K', (), {})
t = Trap()
def __getattr__(name): print('module', name); raise RuntimeError(name)
del __file__, Meta
"
    .replace("del __file__, Meta\n", "del Meta\n");
    let outcome = run(SITE, &[], &["-c", &code]);
    let record = outcome.record();
    assert_eq!(String::from_utf8_lossy(&outcome.output.stdout), "");
    assert_eq!(String::from_utf8_lossy(&outcome.output.stderr), "");
    // Whatever is there and not `None` counts as there.
    assert_eq!(record["packages"], serde_json::json!(["sqlite3", "json", "multiprocessing"]));
    assert!(record.get("versions").is_none(), "a str of somebody's own making is no version: {record}");
}

#[test]
fn sys_can_be_bent_without_a_sound() {
    for code in [
        "import sys; sys.modules = None",
        "import sys; sys.modules.clear()",
        "import sys; del sys.modules['__main__']",
        "import sys; sys.modules['os'] = sys.modules['__main__'] = 7",
        "import sys; sys.prefix = sys.executable = sys.argv = 7",
        "import sys; del sys.prefix, sys.executable, sys.argv",
        "import sys; sys.stdlib_module_names = 7; sys._MEIPASS = 8",
        "import builtins, sys; builtins.__import__ = None; sys.meta_path.clear(); sys.path.clear()",
        "import atexit; atexit.register = 7",
        "import sys; sys.setrecursionlimit(50)",
    ] {
        let plain = bare(python()).args(["-c", code]).output().unwrap();
        let outcome = run(SITE, &[], &["-c", code]);
        assert_eq!(outcome.output.status, plain.status, "{code}");
        assert_eq!(outcome.output.stderr, plain.stderr, "{code}");
        assert_eq!(outcome.output.stdout, plain.stdout, "{code}");
        assert!(outcome.records.len() <= 1, "{code}");
    }
}
