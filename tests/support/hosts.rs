//! The programs that the tests run the library in: the rows of `tests/hosts/hosts.toml`, which says what each key
//! means, and where `tests/hosts/install` has put them.

use super::library::{Library, RUN};
use serde::Deserialize;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// What is expected of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An interpreter, which reports.
    Python,
    /// A command that runs Python, and reports.
    Embedder,
    /// A command that does not report.
    Silent,
}

/// A row.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    pub name: String,
    pub kind: Kind,
    recipe: String,
    #[serde(default)]
    pub version: String,
    root: Option<String>,
    argv: Vec<String>,
    #[serde(default)]
    pub forms: Vec<String>,
    #[serde(default)]
    lacks: Vec<String>,
    #[serde(default = "one")]
    processes: usize,
    misses: Option<String>,
    #[serde(default)]
    optional: bool,
    atexit: Option<bool>,
    #[serde(rename = "door")]
    _door: Option<String>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

fn one() -> usize {
    1
}

/// Every row, in the order of the file.
pub fn all() -> Vec<Host> {
    #[derive(Deserialize)]
    struct File {
        host: Vec<Host>,
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/hosts.toml");
    let file: File = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{error}"));
    file.host
}

/// Whether what is missing is a failure: `.ci/run` says so.
pub fn are_required() -> bool {
    variable("CUSTOMS_REQUIRE_HOSTS").is_some_and(|value| value == "1")
}

/// Every row that has an argument that ends in `word`, is on this machine, and reports what it should.
pub fn with_argument(word: &str) -> Vec<Program> {
    let rows = all().into_iter().filter(|host| host.argv.iter().any(|argument| argument.ends_with(word)));
    rows.filter(|host| host.misses.is_none())
        .filter_map(|host| match host.find() {
            Ok(program) => Some(program),
            Err(reason) => {
                println!("{}: {reason}", host.name);
                assert!(!host.is_required(), "{}: {reason}", host.name);
                None
            }
        })
        .collect()
}

impl Host {
    /// How many records one run of it must bring.
    pub fn records(&self) -> usize {
        if self.kind == Kind::Silent { 0 } else { self.processes }
    }

    /// What its records say of its end.
    pub fn exit(&self) -> &str {
        if self.atexit == Some(false) { "exit" } else { "normal" }
    }

    /// Why the right records do not come from it yet.
    pub fn misses(&self) -> Option<&str> {
        self.misses.as_deref()
    }

    /// Whether `module` can be imported in it.
    pub fn has(&self, module: &str) -> bool {
        !self.lacks.iter().any(|lacking| lacking == module)
    }

    /// Whether its absence is a failure.
    pub fn is_required(&self) -> bool {
        !self.optional && are_required()
    }

    /// The program on this machine, or why it is not here.
    pub fn find(&self) -> Result<Program, String> {
        let missing = |path: String| format!("not here: no {path} (tests/hosts/install {})", self.recipe);
        let root = self.root.as_deref().map_or(Ok(String::new()), expand).map_err(missing)?;
        if !root.is_empty() && !nix::unistd::geteuid().is_root() {
            return Err("not here: only root can chroot".to_string());
        }
        let argv: Result<Vec<_>, _> = self.argv.iter().map(|argument| expand(argument)).collect();
        let argv = argv.map_err(missing)?;
        let executable = root.clone() + &argv[0];
        match fs::metadata(&executable) {
            Ok(_) => Ok(Program { host: self.clone(), root: PathBuf::from(root), argv, has_proc: false }),
            Err(_) => Err(missing(executable)),
        }
    }
}

fn home() -> String {
    std::env::var("HOME").unwrap_or_default()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Where `tests/hosts/install` puts what it makes.
pub fn cache() -> PathBuf {
    let own = || variable("XDG_CACHE_HOME").unwrap_or_else(|| home() + "/.cache") + "/customs";
    variable("CUSTOMS_CACHE").unwrap_or_else(own).into()
}

/// pyenv's interpreter of that version, if it is here.
pub fn pyenv(version: &str) -> Option<String> {
    let pattern = format!("{{pyenv}}/versions/{version}.*/bin/python");
    let python = expand(&pattern).unwrap_or_else(|missing| missing);
    is_here(&python, "pyenv").then_some(python)
}

/// The interpreter of a venv that `recipe` makes, if it is here.
pub fn venv(recipe: &str) -> Option<PathBuf> {
    let python = cache().join(recipe).join("bin/python");
    is_here(python.to_str().unwrap(), recipe).then_some(python)
}

/// Whether a file that `recipe` brings is on this machine. Says so where it is not, and fails where it must be.
pub fn is_here(path: &str, recipe: &str) -> bool {
    given(Path::new(path).exists(), &format!("no {path} (tests/hosts/install {recipe})"))
}

/// Whether the test runs as root, which it needs for `what`.
pub fn is_root(what: &str) -> bool {
    given(nix::unistd::geteuid().is_root(), &format!("only root can make {what}"))
}

/// `condition`; where it does not hold, says what is missing, and fails if nothing may be missing (`.ci/run`).
pub fn given(condition: bool, missing: &str) -> bool {
    if !condition {
        println!("not here: {missing}");
        assert!(!are_required(), "{missing}");
    }
    condition
}

/// `text` with `{cache}` and `{pyenv}` filled in and a `*` resolved; the pattern where nothing matches it.
fn expand(text: &str) -> Result<String, String> {
    let pyenv = || variable("PYENV_ROOT").unwrap_or_else(|| home() + "/.pyenv");
    let path = if let Some(rest) = text.strip_prefix("{cache}") {
        cache().display().to_string() + rest
    } else if let Some(rest) = text.strip_prefix("{pyenv}") {
        pyenv() + rest
    } else {
        return Ok(text.to_string());
    };
    let Some((before, after)) = path.split_once('*') else { return Ok(path) };
    let (folder, start) = before.rsplit_once('/').unwrap_or(("", before));
    let (end, rest) = after.split_at(after.find('/').unwrap_or(after.len()));
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(start) && name.ends_with(end))
        .collect();
    names.sort();
    names.into_iter().map(|name| format!("{folder}/{name}{rest}")).find(|path| fs::metadata(path).is_ok()).ok_or(path)
}

/// A host that is on this machine.
pub struct Program {
    /// Its row.
    pub host: Host,
    root: PathBuf,
    argv: Vec<String>,
    has_proc: bool,
}

/// A folder that a program can reach, for as long as the test runs.
pub struct Folder {
    outside: TempDir,
    /// Its path as the program sees it.
    pub inside: String,
}

impl Folder {
    /// Its path as the test sees it.
    pub fn outside(&self) -> &Path {
        self.outside.path()
    }
}

impl Program {
    /// A folder with a copy of `library`.
    pub fn folder(&self, library: &Library) -> Folder {
        let parent = if self.is_at_home() { std::env::temp_dir() } else { self.root.join("tmp") };
        let outside = tempfile::Builder::new().prefix("customs-test-").tempdir_in(parent).unwrap();
        library.copy_to(outside.path());
        let inside = outside.path().strip_prefix(&self.root).unwrap_or(outside.path());
        let inside = Path::new("/").join(inside).to_str().unwrap().to_string();
        Folder { outside, inside }
    }

    fn is_at_home(&self) -> bool {
        self.root.as_os_str().is_empty()
    }

    /// With /proc, which the roots of the tests have not.
    pub fn with_proc(self) -> Self {
        Program { has_proc: true, ..self }
    }

    /// Its own arguments and these.
    pub fn with<S: AsRef<str>>(&self, arguments: &[S]) -> Vec<String> {
        self.argv.iter().cloned().chain(arguments.iter().map(|argument| argument.as_ref().to_string())).collect()
    }

    /// Its arguments with a snippet in each place for one, the last of `codes` in all that are left.
    pub fn with_code(&self, codes: &[&str]) -> Vec<String> {
        let mut codes = codes.iter();
        let mut code = "";
        let mut fill = |argument: &String| match argument.contains("{code}") {
            true => {
                code = codes.next().unwrap_or(&code);
                argument.replace("{code}", code)
            }
            false => argument.clone(),
        };
        self.argv.iter().map(&mut fill).collect()
    }

    /// Runs `argv` in `folder` with `stdin`, under the library that lies there if `run` gives its records a name.
    /// The environment is bare: what is set where the tests run (a rank, a PYTHONPATH) must not decide.
    pub fn run(&self, argv: &[String], stdin: &str, folder: &Folder, run: Option<&str>) -> Output {
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "60"]);
        if !self.is_at_home() {
            if self.has_proc {
                // In a mount namespace of its own, so that nothing stays behind.
                let mount = "mount --bind /proc \"$1/proc\" && exec chroot \"$@\"";
                command.args(["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, "sh"]);
            } else {
                command.arg("chroot");
            }
            command.arg(&self.root);
        }
        command.args(["/usr/bin/env", &format!("--chdir={}", folder.inside)]);
        if let Some(run) = run {
            command.arg(format!("LD_PRELOAD={}/libcustoms.so", folder.inside)).arg(format!("{RUN}={run}"));
        }
        command.args(argv).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        command.env("HOME", &folder.inside).env("LANG", "C.UTF-8").env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that does not read has closed it by now.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        child.wait_with_output().unwrap()
    }
}
