//! A Python is run under a copy of the library, whose policy is the site's but for one thing: what it reports comes to a
//! socket of ours. A socket in a folder, so that it needs no network and can be reached from within a container's root.

use super::library::Subject;
use super::report::Report;
use super::text;
use crate::compile;
use crate::preloaded::{self, Entry};
use crate::program::Program;
use crate::run::assemble::{Assembler, Record};
use anyhow::{Context, Result};
use customs_spec::policy::encode;
use customs_spec::policy::model::{List, Model, On, Server, Transport};
use customs_spec::record::Field;
use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A Python that takes longer than this to import nothing hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where a folder can be mounted in a root: the first that is there.
const PLACES: [&str; 5] = ["tmp", "mnt", "run", "var/tmp", "opt"];
/// Where interpreters are looked for in a root.
const FOLDERS: [&str; 4] = ["usr/local/bin", "usr/bin", "bin", "opt/conda/bin"];
const ABOUT: &str = "python";

/// Where Pythons are tried.
pub struct Bench<'s> {
    subject: &'s Subject,
    folder: TempDir,
    socket: UnixDatagram,
    /// The name of a module that only our Python has.
    token: String,
    /// Sets what keeps the real library silent where it comes in by `/etc/ld.so.preload`.
    silencer: Option<String>,
}

/// What came of a run.
struct Outcome {
    /// `None`: it was killed because it hung.
    status: Option<ExitStatus>,
    stdout: String,
    stderr: String,
    record: Option<Record>,
    took: Duration,
}

impl<'s> Bench<'s> {
    /// Everything that a Python needs, in a folder.
    pub fn new(subject: &'s Subject) -> Result<Self> {
        let folder =
            tempfile::Builder::new().prefix("customs-doctor-").tempdir().context("cannot make a temporary folder")?;
        let path = folder.path().join("receiver");
        let socket =
            UnixDatagram::bind(&path).with_context(|| format!("cannot open a socket at {}", path.display()))?;
        socket.set_nonblocking(true)?;
        let token = format!("customs_doctor_{:016x}", RandomState::new().hash_one(std::process::id()));
        let Model { opt_out, ranks, compute, subsystems, .. } = &subject.model;
        let decides = |name: &&String| {
            compute.env.contains(name)
                || subsystems.iter().any(|subsystem| subsystem.env.iter().any(|(known, _)| known == *name))
        };
        let silencer = opt_out.iter().chain(ranks).find(|name| !decides(name)).cloned();
        let bench = Bench { subject, folder, socket, token, silencer };
        bench.write("libcustoms.so", &path)?;
        Ok(bench)
    }

    /// A copy of the library that sends to the socket as it is called there.
    fn write(&self, name: &str, socket: &Path) -> Result<PathBuf> {
        let mut model = self.subject.model.clone();
        let servers = vec![Server::Unix(socket.display().to_string())];
        model.transports = vec![Transport { name: "doctor".to_string(), on: On::Any, max_datagram: u16::MAX, servers }];
        let checks = (0..model.checks.len()).filter_map(|check| u16::try_from(check).ok()).collect();
        model.lists = vec![List {
            name: "doctor".to_string(),
            checks,
            all: true,
            rate: 1.0,
            per_process: true,
            transports: Vec::new(),
            empty: true,
        }];
        for rule in [&mut model.opt_out, &mut model.ranks] {
            rule.clear();
        }
        model.omit.clear();
        model.pseudonymise.clear();
        model.thin.clear();
        model.recorder.clear();
        let path = self.folder.path().join(name);
        compile::write(&path, &self.subject.library.stamp(&encode(&model)?)?)?;
        Ok(path)
    }

    fn code(&self) -> String {
        format!("import sys; sys.modules['{}'] = sys; sys.stdout.write(sys.executable or '')", self.token)
    }

    /// Tries a Python of this machine: with the copy for whether it reports, and with the real one for whether it loads.
    pub fn try_here(&self, python: &Path, report: &mut Report) -> Option<Record> {
        let copy = self.folder.path().join("libcustoms.so");
        let entries = preloaded::entries();
        let others = entries.iter().filter(|entry| entry.named_by == preloaded::VARIABLE && !entry.is_ours());
        let value = match preloaded::value(&copy, others) {
            Ok(value) => value,
            Err(error) => {
                report.problem(ABOUT, format!("{error:#}"), "");
                return None;
            }
        };
        let mut command = Command::new(python);
        command.arg("-c").arg(self.code()).env(preloaded::VARIABLE, value);
        self.silence(&mut command);
        let outcome = match self.run(command) {
            Ok(outcome) => outcome,
            Err(error) => {
                report.problem(
                    ABOUT,
                    format!("{} cannot be run: {error:#}", python.display()),
                    "name another by --python",
                );
                return None;
            }
        };
        let program = Program::find(python.as_os_str());
        // Behind a script, such as a shim, it says itself what it is.
        let told = Path::new(outcome.stdout.trim());
        let program = if told.is_file() { Program::behind(told.to_path_buf()) } else { program };
        let Some(record) = &outcome.record else {
            let (says, fix) = self.why(python, &program, &outcome);
            report.problem(ABOUT, says, fix);
            return None;
        };
        let libc = if program.musl { ", on musl," } else { "" };
        let says = format!(
            "{}: Python {}{libc} loads it and reports, in {} ms",
            program.path.display(),
            text(record, Field::Python),
            outcome.took.as_millis()
        );
        match self.real(python) {
            None | Some(Ok(true)) => report.ok(ABOUT, says),
            Some(Ok(false)) => {
                let says = format!("{says}; but what is installed is not loaded");
                report.problem(ABOUT, says, "programs with file capabilities or a filter of their own leave it out");
            }
            Some(Err(complaint)) => {
                let says = format!("{} loads a copy, but not what is installed: {complaint}", program.path.display());
                report.problem(ABOUT, says, "see what is said of the library above");
            }
        }
        outcome.record
    }

    /// Whether the library itself is loaded, which stays silent by an opt-out; an error is what the loader says.
    /// `None` where that cannot be asked without a record being sent.
    fn real(&self, python: &Path) -> Option<Result<bool, String>> {
        let path = self.subject.path.as_ref()?;
        self.silencer.as_ref()?;
        let mut command = Command::new(python);
        command.args(["-c", "import sys; sys.stdout.write(open('/proc/self/maps').read())"]);
        if self.subject.entry.is_none() {
            let alone: [Entry; 0] = [];
            match preloaded::value(path, &alone) {
                Ok(value) => command.env(preloaded::VARIABLE, value),
                Err(error) => return Some(Err(error.to_string())),
            };
        }
        self.silence(&mut command);
        let outcome = self.run(command).ok()?;
        if let Some(complaint) = complaint(&outcome.stderr) {
            return Some(Err(complaint));
        }
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        Some(Ok(outcome.stdout.contains(&*real.to_string_lossy())))
    }

    fn silence(&self, command: &mut Command) {
        if let Some(name) = &self.silencer {
            command.env(name, "1");
        }
    }

    /// Why nothing came, and what to do.
    fn why(&self, python: &Path, program: &Program, outcome: &Outcome) -> (String, String) {
        let name = python.display();
        let last = outcome.stderr.trim().lines().last().unwrap_or_default().to_string();
        if program.sanitized || outcome.stderr.contains("ASan runtime does not come first") {
            let says = format!("{name} is built with AddressSanitizer, and does not start under a preloaded object");
            return (says, "unset LD_PRELOAD for it, or set ASAN_OPTIONS=verify_asan_link_order=0".to_string());
        }
        if let Some(complaint) = complaint(&outcome.stderr) {
            let fix = if complaint.contains("wrong ELF class") {
                "preload /…/$LIB/libcustoms.so with an empty 32-bit object beside it (README, 32-bit programs)"
            } else if complaint.contains("failed to map") {
                "set TMPDIR to a folder from which programs may be run"
            } else {
                "the library does not load here"
            };
            return (format!("{name}: the loader says: {complaint}"), fix.to_string());
        }
        let Some(status) = outcome.status else {
            return (format!("{name} was still running after {} s", PATIENCE.as_secs()), "try it by hand".to_string());
        };
        if !status.success() {
            let mut command = Command::new(python);
            command.args(["-c", "pass"]).env_remove(preloaded::VARIABLE);
            let is_well = self.run(command).is_ok_and(|plain| plain.status.is_some_and(|status| status.success()));
            return if is_well {
                (
                    format!("{name} ends with {status} under the library, and well without: {last}"),
                    "tell the makers of customs".to_string(),
                )
            } else {
                (
                    format!("{name} ends with {status}, with the library or without: {last}"),
                    "name another by --python".to_string(),
                )
            };
        }
        if let Some(refusal) = program.refusal() {
            return (refusal, "nothing that it runs itself is reported".to_string());
        }
        if program.path.to_string_lossy().contains("pypy") {
            return (format!("{name} is PyPy, which is not reported"), "docs/DOORS.md has what is".to_string());
        }
        (format!("{name} ran, and nothing was reported"), "docs/DOORS.md has the gaps that are known".to_string())
    }

    /// Tries a Python in a container's root, in a mount namespace of its own, so that nothing stays behind.
    pub fn try_in_root(&self, root: &Path, pythons: &[PathBuf], report: &mut Report) {
        const ABOUT: &str = "root";
        let shown = root.display();
        if let Some(path) = self.subject.path.as_ref().filter(|path| path.is_absolute()) {
            if within(root, path).exists() {
                report.ok(ABOUT, format!("{shown}: {} is there", path.display()));
            } else {
                let says = format!("{shown}: {} is not in it", path.display());
                report.note(ABOUT, says, "mount it where the root is run, as docs/CONTAINERS.md says");
            }
        }
        if !nix::unistd::geteuid().is_root() {
            report.note(
                ABOUT,
                format!("{shown}: only root can try a Python in it"),
                "run `customs doctor` in the container",
            );
            return;
        }
        let named: Vec<PathBuf> = pythons.iter().filter(|python| within(root, python).exists()).cloned().collect();
        let found = if named.is_empty() { python_in(root).into_iter().collect() } else { named };
        if found.is_empty() {
            report.note(ABOUT, format!("{shown}: no Python in {}", FOLDERS.join(", ")), "name one by --python");
        }
        for python in found {
            self.try_one_in_root(root, &python, report);
        }
    }

    fn try_one_in_root(&self, root: &Path, python: &Path, report: &mut Report) {
        const ABOUT: &str = "root";
        let name = format!("{}: {}", root.display(), python.display());
        let env = ["/usr/bin/env", "/bin/env"].into_iter().find(|env| within(root, Path::new(env)).exists());
        let place = PLACES.into_iter().find(|place| root.join(place).is_dir());
        let (Some(env), Some(place)) = (env, place) else {
            report.note(
                ABOUT,
                format!("{name} cannot be tried: the root has no env, or no folder to mount on"),
                "run `customs doctor` in the container",
            );
            return;
        };
        let inside = Path::new("/").join(place);
        let library = match self.write("libcustoms-root.so", &inside.join("receiver")) {
            Ok(library) => library,
            Err(error) => {
                report.problem(ABOUT, format!("{name} cannot be tried: {error:#}"), "");
                return;
            }
        };
        let library = inside.join(library.file_name().unwrap_or_default());
        let mut variable = OsString::from("LD_PRELOAD=");
        variable.push(&library);
        // /proc where it can be had: without it a record is poorer, and comes all the same.
        let script = "mount --bind \"$2\" \"$1/$3\" || exit 99\n\
                      { [ -d \"$1/proc\" ] && mount --rbind /proc \"$1/proc\"; } 2>/dev/null\n\
                      root=$1; shift 3; exec chroot \"$root\" \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
        command
            .arg(root)
            .arg(self.folder.path())
            .arg(place)
            .arg(env)
            .arg(variable)
            .arg(python)
            .arg("-c")
            .arg(self.code());
        command.env_remove(preloaded::VARIABLE);
        let outcome = match self.run(command) {
            Ok(outcome) => outcome,
            Err(error) => {
                report.note(ABOUT, format!("{name} cannot be tried: {error:#}"), "unshare(1) is of util-linux");
                return;
            }
        };
        if let Some(record) = &outcome.record {
            let version = text(record, Field::Python);
            report.ok(
                ABOUT,
                format!("{name}: Python {version} loads it and reports, in {} ms", outcome.took.as_millis()),
            );
            return;
        }
        let last = outcome.stderr.trim().lines().last().unwrap_or_default();
        if outcome.status.and_then(|status| status.code()) == Some(99) || last.starts_with("unshare:") {
            report.note(
                ABOUT,
                format!("{name} cannot be tried from here: {last}"),
                "run `customs doctor` in the container",
            );
            return;
        }
        let program = Program::behind(within(root, python));
        let (says, fix) = match (complaint(&outcome.stderr), program.refusal()) {
            (Some(complaint), _) => (
                format!("{name}: the loader says: {complaint}"),
                "a 32-bit root needs an empty object of its own kind (README)",
            ),
            (None, Some(refusal)) => (format!("{name}: {refusal}"), "nothing that it runs itself is reported"),
            (None, None) => (format!("{name} reported nothing; its last words: {last}"), "try it by hand"),
        };
        report.problem(ABOUT, says, fix);
    }

    /// Runs it to its end, and takes what was reported meanwhile.
    fn run(&self, mut command: Command) -> Result<Outcome> {
        let [out, err] = ["stdout", "stderr"].map(|name| self.folder.path().join(name));
        command.stdin(Stdio::null()).stdout(File::create(&out)?).stderr(File::create(&err)?);
        let start = Instant::now();
        let mut child = command.spawn()?;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if start.elapsed() > PATIENCE {
                let _ = child.kill(); // it may have ended by now
                child.wait()?;
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let took = start.elapsed();
        let read = |path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Outcome { status, stdout: read(&out)?, stderr: read(&err)?, record: self.received()?, took })
    }

    /// The record with our module in it, if it came; others are of programs that this one started.
    fn received(&self) -> Result<Option<Record>> {
        let mut assembler = Assembler::default();
        let mut buffer = vec![0; 1 << 16];
        let mut found = None;
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(length) => {
                    let record = assembler.take(&buffer[..length]).ok().flatten();
                    found = found.or(record.filter(|record| self.is_of_ours(record)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(found),
                Err(error) => return Err(error).context("cannot receive"),
            }
        }
    }

    fn is_of_ours(&self, record: &Record) -> bool {
        let packages = record.get(Field::Packages.key()).and_then(|names| names.as_array());
        packages.is_some_and(|names| names.iter().any(|name| name.as_str() == Some(&self.token)))
    }
}

/// What the loader says of an object that it could not preload.
fn complaint(stderr: &str) -> Option<String> {
    let line = stderr.lines().find(|line| line.contains("ld.so: object") && line.contains("libcustoms"))?;
    Some(line.trim_start_matches("ERROR: ld.so: ").to_string())
}

/// The interpreters to try: those that were named, or the usual ones.
pub fn pythons(named: &[PathBuf]) -> Vec<PathBuf> {
    if !named.is_empty() {
        return named.iter().filter(|python| python.exists()).cloned().collect();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let first = std::env::split_paths(&path).map(|folder| folder.join("python3")).find(|python| python.is_file());
    let usual = Some(PathBuf::from("/usr/bin/python3")).filter(|python| python.is_file());
    let mut all: Vec<PathBuf> = Vec::new();
    for python in first.into_iter().chain(usual) {
        let is_same = |known: &PathBuf| known.canonicalize().ok() == python.canonicalize().ok();
        if !all.iter().any(is_same) {
            all.push(python);
        }
    }
    all
}

/// A Python in a root, the plainest name first.
fn python_in(root: &Path) -> Option<PathBuf> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        let names = fs::read_dir(root.join(folder)).into_iter().flatten();
        for name in names.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
            let rest = name.strip_prefix("python").unwrap_or("-");
            if rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
                let rank = if rest == "3" {
                    0
                } else if rest.starts_with('3') {
                    1
                } else {
                    2
                };
                let version: u32 = rest.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0);
                found.push((rank, std::cmp::Reverse(version), Path::new("/").join(folder).join(name)));
            }
        }
    }
    found.sort_by_key(|(rank, version, _)| (*rank, *version));
    found.into_iter().map(|(_, _, path)| path).next()
}

/// Where a path of a root leads to from outside: its links are followed within it.
pub fn within(root: &Path, path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    let mut waiting: Vec<OsString> = parts(path);
    for _ in 0..256 {
        let Some(part) = waiting.pop() else { break };
        if part == ".." {
            resolved.pop();
            continue;
        }
        match fs::read_link(root.join(&resolved).join(&part)) {
            Ok(target) => {
                if target.is_absolute() {
                    resolved = PathBuf::new();
                }
                waiting.extend(parts(&target));
            }
            Err(_) => resolved.push(part),
        }
    }
    root.join(resolved)
}

/// The parts of a path, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let names = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    let mut names: Vec<OsString> = names.map(|part| part.as_os_str().to_os_string()).collect();
    names.reverse();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::Library;

    #[test]
    fn links_of_a_root_are_followed_within_it() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("usr/bin")).unwrap();
        fs::write(root.path().join("usr/bin/python3.11"), "").unwrap();
        for (link, target) in
            [("bin", "usr/bin"), ("usr/bin/python3", "/bin/python"), ("usr/bin/python", "../bin/python3.11")]
        {
            std::os::unix::fs::symlink(target, root.path().join(link)).unwrap();
        }
        assert_eq!(within(root.path(), Path::new("/bin/python3")), root.path().join("usr/bin/python3.11"));
        assert_eq!(within(root.path(), Path::new("/../../etc/x")), root.path().join("etc/x"));
        assert_eq!(python_in(root.path()), Some(PathBuf::from("/usr/bin/python3")));
    }

    #[test]
    fn a_python_reports_to_the_bench() {
        let policy = crate::site::shipped().unwrap().bytes;
        let library = Library::of_bytes(Library::pristine().unwrap().stamp(&policy).unwrap()).unwrap();
        let model = library.policy().unwrap();
        let subject = Subject { path: None, entry: None, library, model };
        let mut report = Report::default();
        let python = pythons(&[]).remove(0);
        let record = Bench::new(&subject).unwrap().try_here(&python, &mut report);
        assert!(record.is_some(), "{report:?}");
    }
}
