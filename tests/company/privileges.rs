//! Secure execution, sandboxes, and programs of the other word size.

use super::{Company, DEBIAN, IMPORTS, preload, seen, snippet};
use crate::harm::SECCOMP;
use crate::support::hosts;
use crate::support::trial::{bare, python};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

/// Makes `copy` of a program, which runs as a user who owns nothing else. So it is not root's, and yet privileged.
fn copy_setuid(program: &str, copy: &Path) {
    fs::copy(program, copy).unwrap();
    chown(copy, Some(4242), None).unwrap();
    fs::set_permissions(copy, fs::Permissions::from_mode(0o4755)).unwrap();
}

#[test]
fn a_setuid_program_is_not_entered() {
    if !hosts::is_root("a setuid program") || !hosts::is_here(DEBIAN, "debian") {
        return;
    }
    let mut company = Company::new();
    copy_setuid("/usr/bin/grep", &company.folder.path().join("grep"));
    copy_setuid(DEBIAN, &company.folder.path().join("python"));
    let [grep, python] = ["grep", "python"].map(|name| company.path(name));
    let code = "print(os.geteuid(), 'libcustoms' in open('/proc/self/maps').read())";
    let user = |program: &str, arguments: &[&str], library: &str| {
        let mut command = bare("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", program]).args(arguments);
        preload(command, &[library])
    };
    let output = company.compare("grep", &[], |library| user(&grep, &["-c", "libcustoms", "/proc/self/maps"], library));
    assert_eq!(output.stdout, b"0\n");
    let code = format!("{IMPORTS}{code}");
    let output = company.compare("setuid", &[], |library| user(&python, &["-c", &code], library));
    assert_eq!(output.stdout, b"4242 False\n", "{output:?}");
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let output = company.expect("not setuid", &["normal"], user(&python, &["-c", &code], &company.library));
    assert_eq!(output.stdout, b"65534 True\n", "{output:?}");
    company.close();
}

#[test]
fn a_setuid_program_that_is_entered_by_ld_so_preload_is_not_touched() {
    let root = hosts::cache().join("trixie");
    if !hosts::is_root("a mount namespace")
        || !hosts::is_here(&format!("{}/usr/bin/python3.13", root.display()), "trixie")
    {
        return;
    }
    let mut company = Company::new();
    // In a root of its own, with an /etc of its own, in a mount namespace of its own: nothing else may see that file.
    let folder = tempfile::tempdir_in(root.join("tmp")).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let inside = Path::new("/").join(folder.path().strip_prefix(&root).unwrap()).to_str().unwrap().to_string();
    fs::copy(&company.library, folder.path().join("libcustoms.so")).unwrap();
    copy_setuid(root.join("usr/bin/python3.13").to_str().unwrap(), &folder.path().join("python"));
    let line = "mount -t tmpfs none \"$0/etc\" && mount --bind /proc \"$0/proc\" && echo \"$1\" > \"$0/etc/ld.so.preload\" &&\n\
                shift && exec chroot --userspec=65534:65534 \"$0\" \"$@\"";
    let code = "print(os.geteuid(), 'libcustoms' in open('/proc/self/maps').read(), end=' ')\n\
                import atexit; print(atexit._ncallbacks())";
    let in_root = |library: &str, python: &str, end: &str| {
        let mut command = bare("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", line]).arg(&root).arg(library);
        command.args([python, "-c", &format!("{IMPORTS}{code}\nsys.stdout.flush(); {end}")]);
        command
    };
    let preloaded = format!("{inside}/libcustoms.so");
    let setuid = format!("{inside}/python");
    for (end, exits, status) in [
        ("pass", &["normal"][..], (Some(0), None)),
        ("os._exit(5)", &["os_exit"], (Some(5), None)),
        ("os.abort()", &["abort"], (None, Some(6))),
        ("os.kill(os.getpid(), 15)", &["signal:TERM"], (None, Some(15))),
    ] {
        let output = company.expect(end, &[], in_root(&preloaded, &setuid, end));
        let expected = (status.0, status.1, "4242 True 0\n".to_string(), String::new());
        assert_eq!(seen(&output), expected, "{end}");
        let output = company.expect(end, exits, in_root(&preloaded, "/usr/bin/python3.13", end));
        assert_eq!(output.stdout, b"65534 True 1\n", "{end}: {output:?}");
    }
    company.close();
}

#[test]
fn a_32_bit_program_is_as_ever_but_for_one_line_and_without_it_beside_a_32_bit_object() {
    let root = hosts::cache().join("i386");
    if !hosts::is_root("a root") || !hosts::is_here(&format!("{}/usr/bin/python3", root.display()), "i386") {
        return;
    }
    let mut company = Company::new();
    let folder = tempfile::tempdir_in(root.join("tmp")).unwrap();
    let inside = Path::new("/").join(folder.path().strip_prefix(&root).unwrap()).to_str().unwrap().to_string();
    fs::copy(&company.library, folder.path().join("libcustoms.so")).unwrap();
    // $LIB in both: what Debian's loaders make of it (ld.so(8)).
    let [narrow, wide] = [folder.path().join("lib/i386-linux-gnu"), company.folder.path().join("lib/x86_64-linux-gnu")];
    for folder in [&narrow, &wide] {
        fs::create_dir_all(folder).unwrap();
    }
    let empty = company.compile("gcc", "empty.so", &["-m32", "-shared", "-fPIC", "-nostdlib"], "");
    fs::copy(empty, narrow.join("libcustoms.so")).unwrap();
    fs::copy(&company.library, wide.join("libcustoms.so")).unwrap();

    let complaint = format!(
        "ERROR: ld.so: object '{inside}/libcustoms.so' from LD_PRELOAD cannot be preloaded (wrong ELF class: \
         ELFCLASS64): ignored.\n"
    );
    for arguments in
        [&["echo", "on"][..], &["false"], &["python3", "-c", "import os; print(1, flush=True); os._exit(4)"]]
    {
        let [plain, under, beside] = ["", "libcustoms.so", "$LIB/libcustoms.so"].map(|object| {
            let mut command = bare("chroot");
            command.arg(&root).arg("/usr/bin/env");
            if !object.is_empty() {
                command.arg(format!("LD_PRELOAD={inside}/{object}"));
            }
            command.args(arguments);
            seen(&company.expect(arguments[0], &[], command))
        });
        assert_eq!((plain.0, plain.1, plain.2.clone(), plain.3.clone() + &complaint), under, "{arguments:?}");
        assert_eq!(plain, beside, "{arguments:?}");
    }
    let [pattern, code] = [company.path("$LIB/libcustoms.so"), "print(1)".to_string()];
    let output = company.expect("64 bits", &["normal"], snippet(python(), &code, &[&pattern]));
    assert_eq!(output.stderr, b"");
    // No loader, no line.
    let code = "void _start(void) { __asm__ volatile(\"int $0x80\" :: \"a\"(1), \"b\"(7)); }";
    let program = company.compile("gcc", "static", &["-m32", "-static", "-nostdlib", "-fno-pie", "-no-pie"], code);
    let output = company.compare("static", &[], |library| preload(bare(&program), &[library]));
    assert_eq!(output.status.code(), Some(7));
    company.close();
}

#[test]
fn a_sandbox_that_kills_for_a_socket_needs_the_opt_out() {
    // docs/TRUST.md, "Seccomp": nothing tells what a filter that was there before Python does.
    let company = Company::new();
    let start = "import os, sys; os.execve(sys.argv[1], sys.argv[1:], dict(os.environ, LD_PRELOAD=sys.argv[-1]))";
    let launcher = SECCOMP.replace("ACTION", "0x80000000").replace("print('locked in')", start);
    let answer = |library: &str, opted_out: &str| {
        let mut command = bare("prlimit");
        command.args(["--core=0", python(), "-c", &launcher, python(), "-c", "print(1, flush=True)", library]);
        command.env("HOME", "/"); // or Python asks libc for it, which asks a daemon by a socket
        command.env("CUSTOMS_OPT_OUT", opted_out);
        seen(&company.output(command))
    };
    let plain = answer("", "");
    assert_eq!(plain, (Some(0), None, "1\n".to_string(), String::new()));
    assert_eq!(answer(&company.library, ""), (None, Some(31), "1\n".to_string(), String::new()));
    assert_eq!(answer(&company.library, "1"), plain);
    company.close();
}
