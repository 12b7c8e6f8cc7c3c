//! The program runs as if the library were not there: in whatever state it is, and whatever it looks at.

use crate::support::hosts;
use crate::support::trial::{Outcome, PACKAGES, SITE, bare, python, run, under};
use std::process::Command;

/// Runs a command line with and without the library, `{python}` being the interpreter, and expects the same answer.
fn same(line: &str) -> Outcome {
    let line = line.replace("{python}", python());
    let shell = |library: Option<&str>| {
        let mut command = bare("bash");
        command.arg("-c");
        match library {
            // The shell itself runs without it, and is replaced: what is looked at is the interpreter.
            Some(library) => command.arg(line.replace("{preload}", &format!("exec env LD_PRELOAD={library}"))),
            None => command.arg(line.replace("{preload}", "exec env LD_PRELOAD=")),
        };
        command
    };
    let plain = shell(None).output().unwrap();
    let outcome = under(SITE, PACKAGES, |library| shell(Some(library)));
    assert_eq!(outcome.output.status, plain.status, "{line}: {}", String::from_utf8_lossy(&outcome.output.stderr));
    let [with, without] = [&outcome.output, &plain].map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    assert_eq!(with, without, "{line}");
    let [with, without] = [&outcome.output, &plain].map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
    assert_eq!(with, without, "{line}");
    outcome
}

fn quoted(code: &str) -> String {
    format!("'{}'", code.replace('\'', "'\\''"))
}

#[test]
fn exit_statuses_and_output_are_the_programs_own() {
    for code in [
        "print(1)",
        "import sys; sys.exit(3)",
        "import sys; sys.exit('no')",
        "1/0",
        "raise KeyboardInterrupt",
        "import os; os._exit(5)",
        "import os; os.abort()",
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import atexit; atexit.register(lambda: print('mine')); atexit._clear()",
        "import atexit; atexit.register(exec, '1/0')",
        "import os; os.execv('/bin/echo', ['echo', 'on'])",
        "import ctypes; ctypes.CDLL(None).exit(9)",
        "import threading; threading.Thread(target=print, args=(7,)).start()",
    ] {
        let line = format!("{{preload}} {{python}} -c {}", quoted(code));
        same(&format!("ulimit -c 0; {line}"));
    }
}

#[test]
fn what_a_program_can_see_of_itself_is_the_same() {
    // Signals, threads, descriptors, limits, environment, modules, random state, hooks, warnings, errors.
    let code = r#"
import sys
before = sorted(sys.modules)
import os, signal, threading, random, gc, resource, re, builtins
def print(*things): builtins.print(re.sub("0x[0-9a-f]+", "0x", repr(things)))
print([name for name in before if name != 'atexit'])
print([(number, repr(signal.getsignal(number))) for number in range(1, 65) if number not in (32, 33)])
old = signal.signal(signal.SIGTERM, lambda *_: None); print(old, signal.signal(signal.SIGTERM, old))
print(threading.active_count(), os.listdir('/proc/self/task').__len__())
print(sorted(os.listdir('/proc/self/fd')), sorted(k for k in os.environ if k != 'LD_PRELOAD'))
print(sys.flags, sys.warnoptions, sys.excepthook is sys.__excepthook__, sys.exc_info(), sys.meta_path, sys.path_hooks)
print(sys.gettrace(), sys.getprofile(), sys.builtin_module_names, gc.get_count()[2:], gc.isenabled(), sys.path)
print(resource.getrlimit(resource.RLIMIT_NOFILE), os.getpriority(os.PRIO_PROCESS, 0))
print([line.split()[1:] for line in open('/proc/self/status') if line.startswith(('SigP', 'SigB', 'SigI', 'Shd', 'Threads', 'Seccomp', 'NoNewPrivs'))])
caught = [int(line.split()[1], 16) for line in open('/proc/self/status') if line.startswith('SigCgt')]; print([hex(mask & ~(1 << 14 | 1 << 23)) for mask in caught])
random.seed(7); print(random.random())
import atexit; atexit.register(lambda: print(sys.modules is not None, sorted(os.listdir('/proc/self/fd'))))
import ctypes; print(ctypes.get_errno())
"#;
    for options in ["", "-I", "-S", "-X dev", "-W error", "-O"] {
        let outcome = same(&format!("{{preload}} {{python}} {options} -c {}", quoted(code)));
        outcome.record();
    }
}

#[test]
fn only_atexit_and_one_callback_of_it_show() {
    let code = "import sys; here = 'atexit' in sys.modules; import atexit; print(here, atexit._ncallbacks())";
    // Before 3.10 the callbacks are the module's, so it has to be imported.
    for (python, shown) in [(hosts::pyenv("3.12"), "False 1\n"), (hosts::pyenv("3.8"), "True 1\n")] {
        let Some(python) = python else { continue };
        let plain = bare(&python).args(["-S", "-c", code]).output().unwrap();
        assert_eq!(plain.stdout, b"False 0\n");
        let outcome = under(SITE, PACKAGES, |library| {
            let mut command = bare(&python);
            command.args(["-S", "-c", code]).env("LD_PRELOAD", library);
            command
        });
        assert_eq!(String::from_utf8_lossy(&outcome.output.stdout), shown);
        outcome.record();
    }
}

#[test]
fn callbacks_of_the_program_come_first_and_see_everything() {
    let code = "import atexit, sys\natexit.register(lambda: print('second', 'json' in sys.modules))\n\
                def first():\n    import json\n    print('first')\natexit.register(first)";
    let outcome = run(SITE, &[], &["-c", code]);
    assert_eq!(outcome.output.stdout, b"first\nsecond True\n");
    assert_eq!(outcome.record()["packages"], serde_json::json!(["json", "json.decoder"]), "ours is the last");
}

#[test]
fn closed_descriptors_stay_closed_and_nobody_writes_into_ours() {
    for closed in ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"] {
        same(&format!("{{preload}} {{python}} -c 'import json' {closed}")).record();
    }
}

#[test]
fn no_descriptors_no_memory_no_file_size_no_record_and_no_harm() {
    for limit in ["ulimit -n 4", "ulimit -f 0", "ulimit -u 1", "ulimit -s 256", "ulimit -v 200000"] {
        same(&format!("{limit}; {{preload}} {{python}} -S -c 'print(1)'"));
    }
    // Descriptors used up by the program itself.
    let code = "import os, resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))\n\
                try:\n    while True: os.dup(0)\nexcept OSError: print('full')";
    let outcome = same(&format!("{{preload}} {{python}} -c {}", quoted(code)));
    assert_eq!(outcome.records.len(), 0);
}

#[test]
fn without_proc_it_runs_and_reports_what_is_known() {
    if !hosts::is_root("a mount namespace") {
        return;
    }
    let line = "unshare --mount sh -c 'mount -t tmpfs none /proc && {preload} {python} -c \"import json; print(1)\"'";
    let outcome = same(line);
    let record = outcome.record();
    assert_eq!(record["packages"], serde_json::json!(["json", "json.decoder"]));
    assert_eq!(record["id"].as_str().unwrap().len(), 32);
}

/// Installs a seccomp filter that answers socket(2) with `ACTION`.
pub const SECCOMP: &str = r#"
import ctypes, struct
libc = ctypes.CDLL(None)
number = {'x86_64': 41, 'aarch64': 198}[__import__('os').uname().machine]
filters = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, ACTION), (0x06, 0, 0, 0x7fff0000)]
code = b''.join(struct.pack('HBBI', *one) for one in filters)
memory = ctypes.create_string_buffer(code)
class Program(ctypes.Structure): _fields_ = [('length', ctypes.c_ushort), ('code', ctypes.c_void_p)]
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(len(filters), ctypes.addressof(memory)))) == 0
print('locked in')
"#;

#[test]
fn a_filter_that_forbids_sockets_is_respected_even_if_it_kills() {
    for action in ["0x00050001", "0x80000000", "0x00030000"] {
        // EPERM; kill the process; SIGSYS
        let code = SECCOMP.replace("ACTION", action);
        let outcome = same(&format!("{{preload}} {{python}} -c {}", quoted(&code)));
        assert_eq!(outcome.output.stdout, b"locked in\n");
        assert_eq!(outcome.records.len(), 0);
    }
    // One that comes before looks on the way, and kills for what only they ask: ioctl(2) with `PROCMAP_QUERY`.
    let only = "filters = [(0x20, 0, 0, 0), (0x15, 0, 3, {'x86_64': 16, 'aarch64': 29}[__import__('os').uname().machine]), \
                (0x20, 0, 0, 24), (0x15, 0, 1, 0xc0686611), (0x06, 0, 0, 0x80000000), (0x06, 0, 0, 0x7fff0000)]\ncode = ";
    let code = SECCOMP.replacen("code = ", only, 1).replace("ACTION", "0")
        + "import multiprocessing, asyncio, unittest, email.message, http.client, xml.dom, sqlite3, decimal; print('done')";
    let outcome = same(&format!("{{preload}} {{python}} -S -c {}", quoted(&code)));
    assert_eq!(outcome.output.stdout, b"locked in\ndone\n");
    // One that was there before: as in a container, the answer is an error.
    let code = SECCOMP
        .replace("ACTION", "0x00050001")
        .replace("print('locked in')", "import os, sys; os.execv(sys.argv[1], [sys.argv[1], '-c', 'print(2)'])");
    same(&format!("{{preload}} {{python}} -c {} {{python}}", quoted(&code)));
}

#[test]
fn no_server_there_is_nobodys_business() {
    for server in [
        "udp://127.0.0.1:9",
        "udp://[::1]:9",
        "udp://192.0.2.1:9",
        "unix:///no/such/socket",
        "file:///no/such/folder/x",
        "file:///proc/x",
    ] {
        let site = SITE.replace("udp://{receiver}", server);
        let outcome = run(&site, &[], &["-c", "print(1)"]);
        assert!(outcome.output.status.success());
        assert_eq!((&outcome.output.stdout[..], &outcome.output.stderr[..]), (&b"1\n"[..], &b""[..]), "{server}");
    }
}

#[test]
fn a_damaged_or_foreign_policy_makes_an_inert_library() {
    let line = "import sys; print('atexit' in sys.modules)";
    for (what, damage) in [("damaged", 3000_usize), ("of another version", 8), ("not one at all", 0)] {
        let outcome = under(SITE, PACKAGES, |library| {
            let mut bytes = std::fs::read(library).unwrap();
            let policy = bytes.windows(8).position(|window| window == b"customs\0").unwrap();
            bytes[policy + damage.min(400)] ^= 0x55;
            let bad = format!("{library}.bad");
            std::fs::write(&bad, bytes).unwrap();
            let inspected = Command::new(env!("CARGO_BIN_EXE_customs")).args(["inspect", &bad]).output().unwrap();
            assert_eq!(inspected.status.code(), Some(2), "{what}");
            let error = String::from_utf8_lossy(&inspected.stderr).into_owned();
            assert!(error.contains("compile the site file again"), "{what}: {error}");
            let mut command = bare(python());
            command.args(["-S", "-c", line]).env("LD_PRELOAD", bad);
            command
        });
        assert_eq!(outcome.output.stdout, b"False\n", "{what}: nothing was touched");
        assert_eq!(outcome.records.len(), 0, "{what}");
    }
}

#[test]
fn processes_the_policy_says_nothing_about_make_no_system_call_for_it() {
    if !hosts::is_here("/usr/bin/strace", "tools") {
        return;
    }
    let trace = |library: Option<&str>, variables: &[(&str, &str)]| {
        let mut command = bare("strace");
        command.args(["-f", "-qq", "-o", "/dev/stderr"]);
        if let Some(library) = library {
            command.arg("-E").arg(format!("LD_PRELOAD={library}"));
        }
        for (name, value) in variables {
            command.arg("-E").arg(format!("{name}={value}"));
        }
        let output = command.args([python(), "-S", "-c", "pass"]).env("PYTHONHASHSEED", "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let name = |line: &str| {
            line.split(['(', ' ']).find(|word| !word.is_empty() && word.parse::<u32>().is_err()).map(str::to_owned)
        };
        let calls: Vec<String> = text.lines().filter_map(name).collect();
        // The loader ends by unmapping its cache of libraries.
        let start = calls.iter().position(|call| call == "munmap").expect("a loader's last call");
        calls[start..].to_vec()
    };
    for variables in [[("CUSTOMS_OPT_OUT", "1")], [("SLURM_PROCID", "1")]] {
        let plain = trace(None, &variables);
        let outcome = under(SITE, PACKAGES, |library| {
            assert_eq!(trace(Some(library), &variables), plain, "{variables:?}");
            bare("true")
        });
        assert!(outcome.output.status.success());
    }
}

#[test]
fn atexit_can_be_run_and_cleared_and_children_forked() {
    // `atexit` run in the middle, cleared, and run again: the report is provisional and nothing breaks.
    for (code, packages) in [
        (
            "import atexit; atexit._run_exitfuncs(); import json; print(1)",
            [&[] as &[&str], &["json", "json.decoder"]].as_slice(),
        ),
        ("import atexit; atexit._run_exitfuncs(); atexit._run_exitfuncs(); print(1)", &[&[]]),
        ("import atexit, sqlite3; atexit._clear(); print(1)", &[&["sqlite3"]]),
        (
            "import os\nfor _ in range(3):\n    if os.fork() == 0:\n        raise SystemExit(0)\n    os.wait()\nprint(1)",
            &[&[]],
        ),
        (
            "import multiprocessing as m\nif __name__ == '__main__':\n    p = m.get_context('fork').Process(target=print, args=(5,)); p.start(); p.join()",
            &[&["multiprocessing"]],
        ),
    ] {
        let outcome = same(&format!("{{preload}} {{python}} -c {}", quoted(code)));
        let reported: Vec<_> =
            outcome.records.iter().map(|record| (&record["seq"], &record["packages"], &record["exit"])).collect();
        assert_eq!(
            serde_json::json!(reported),
            serde_json::json!(
                packages.iter().enumerate().map(|(seq, packages)| (seq, packages, "normal")).collect::<Vec<_>>()
            ),
            "{code}"
        );
    }
}
