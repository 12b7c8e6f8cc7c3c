//! The packages that `rpm/customs.spec` makes: installed into a root, run there, upgraded and removed under running
//! processes. Nothing of it is compiled here: the spec takes the command that the tests have (`customs_binary`).

use crate::support::collector::{Collector, Row, rows};
use crate::support::hosts;
use crate::support::trial::{PACKAGES, bare};
use crate::support::wait::wait_until;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

const NAMES: [&str; 3] = ["customs", "customs-preload", "customs-collector"];

/// What the packages' library reports to: a socket, whose path holds in every root.
const SITE: &str = "\
[site]
system = \"{system}\"
[[transport]]
name = \"collector\"
servers = [\"unix:///run/customs-collector/records\"]
[[list]]
name = \"packages\"
include = [\"packages.toml\"]
[endings]
recorder = \"/run/customs\"
";

/// What an administrator writes into the collector's file.
const SYSCONFIG: &str = "\
LISTEN=\"unix:///run/customs-collector/records udp://127.0.0.1:0\"
DATASET=/var/lib/customs/dataset
OPTIONS=\"--metrics 127.0.0.1:0 --no-lookup\"
";

/// What LD_PRELOAD is set to.
const PRELOAD: &str = "/opt/customs/$LIB/libcustoms.so";

/// Where packages are built. rpmbuild's own scripts stumble over a path with a space, which the repository's may have.
fn top() -> PathBuf {
    std::env::temp_dir().join("customs-packaging")
}

/// The packages, of two releases with different site files; built once. Says why where that cannot be.
fn packages() -> Option<&'static [Vec<PathBuf>; 2]> {
    static PACKAGES: OnceLock<Option<[Vec<PathBuf>; 2]>> = OnceLock::new();
    let build = || {
        let is_here = hosts::is_root("a root to install into") && hosts::is_here("/usr/bin/rpmbuild", "rpm");
        is_here.then(|| {
            let top = top();
            let _ = fs::remove_dir_all(&top);
            fs::create_dir_all(&top).unwrap();
            std::os::unix::fs::symlink(env!("CARGO_MANIFEST_DIR"), top.join("tree")).unwrap();
            // Without the tests' debug information, which takes longer to pack than all else.
            let command = top.join("customs");
            let strip = Command::new("strip").arg("-o").arg(&command).arg(env!("CARGO_BIN_EXE_customs")).status();
            assert!(strip.unwrap().success());
            [1, 2].map(|release| {
                let top = top.join(release.to_string());
                let site = SITE.replace("{system}", &format!("packaged-{release}"));
                let output = rpmbuild(&top, &command, release, &site, None);
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                NAMES.map(|name| top.join(format!("RPMS/x86_64/{name}-0.1.0-{release}.x86_64.rpm"))).to_vec()
            })
        })
    };
    PACKAGES.get_or_init(build).as_ref()
}

fn rpmbuild(top: &Path, command: &Path, release: u32, site: &str, sql: Option<&Path>) -> Output {
    fs::create_dir_all(top).unwrap();
    fs::write(top.join("site.toml"), site).unwrap();
    fs::write(top.join("packages.toml"), PACKAGES).unwrap();
    let mut rpmbuild = bare("rpmbuild");
    let tree = self::top().join("tree");
    rpmbuild.arg("-bb").arg(tree.join("rpm/customs.spec"));
    let defines = [
        ("_topdir", top.display().to_string()),
        ("_tmppath", top.display().to_string()),
        ("_dbpath", top.join("db").display().to_string()),
        ("_binary_payload", "w1.gzdio".to_string()),
        ("customs_tree", tree.display().to_string()),
        ("customs_binary", command.display().to_string()),
        ("customs_site", top.join("site.toml").display().to_string()),
        ("customs_release", release.to_string()),
    ];
    let sql = sql.map(|program| ("customs_sql_binary", program.display().to_string()));
    for (name, value) in defines.into_iter().chain(sql) {
        rpmbuild.args(["--define", &format!("{name} {value}")]);
    }
    rpmbuild.env("HOME", top).output().unwrap()
}

/// A copy of a root that `tests/hosts/install` has made: its files are linked, what is written is the copy's own.
struct Root {
    folder: TempDir,
}

impl Root {
    fn of(recipe: &str) -> Option<Self> {
        let original = hosts::cache().join(recipe);
        if !hosts::is_root("a root") || !hosts::is_here(original.join("usr/bin/env").to_str().unwrap(), recipe) {
            return None;
        }
        let folder = tempfile::Builder::new().prefix(".packaging-").tempdir_in(hosts::cache()).unwrap();
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let copied = Command::new("cp").arg("-al").arg(original.join(".")).arg(folder.path()).status().unwrap();
        assert!(copied.success());
        Some(Root { folder })
    }

    /// With packages of that release in it.
    fn with(release: usize) -> Option<Self> {
        let packages = packages()?;
        let root = Root::of("rpm")?;
        root.install("-i", &packages[release - 1]);
        Some(root)
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside.trim_start_matches('/'))
    }

    /// `rpm` for this root: its status, what it printed and what it complained of.
    fn rpm(&self, arguments: &[&str]) -> (bool, String, String) {
        let mut rpm = bare("rpm");
        rpm.arg("--root").arg(self.folder.path()).args(["--dbpath", "/var/lib/rpm"]).args(arguments);
        let output = rpm.output().unwrap();
        let [out, error] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        // Debian's rpm says at each change that one should not use it.
        let own = |line: &&str| !line.starts_with("rpm: RPM should not") && !line.starts_with("rpm: However");
        (output.status.success(), out, error.lines().filter(own).map(|line| format!("{line}\n")).collect())
    }

    /// The root was not made by rpm, so that rpm knows of nothing there that a package could need.
    fn install(&self, how: &str, packages: &[PathBuf]) {
        let files: Vec<_> = packages.iter().map(|file| file.to_str().unwrap()).collect();
        let answer = self.rpm(&[&[how, "--nodeps"], &files[..]].concat());
        assert_eq!(answer, (true, String::new(), String::new()));
    }

    /// Erases all packages; gives what rpm said.
    fn erase(&self) -> String {
        let (is_done, out, error) = self.rpm(&[&["-e"], &NAMES[..]].concat());
        assert!(is_done && out.is_empty(), "{out}{error}");
        error
    }

    fn verify(&self) -> String {
        self.rpm(&[&["-V", "--nodeps"], &NAMES[..]].concat()).1
    }

    /// A command in this root, with /proc, in a mount namespace of its own so that nothing stays behind. All exec: the
    /// process that is started becomes the command.
    fn command(&self, user: &str, arguments: &[&str]) -> Command {
        let mut command = bare("unshare");
        command.env("LC_ALL", "C"); // the roots have no other
        let mount = "mount --bind /proc \"$2/proc\" && exec chroot \"$@\"";
        command.args(["--mount", "--propagation", "private", "sh", "-c", mount, "sh"]);
        command.arg(format!("--userspec={user}")).arg(self.folder.path()).arg("/usr/bin/env").args(arguments);
        command
    }

    /// Runs it as root; nothing may come on stderr.
    fn run(&self, arguments: &[&str]) -> String {
        self.run_as("0:0", arguments)
    }

    fn run_as(&self, user: &str, arguments: &[&str]) -> String {
        let output = self.command(user, arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && error.is_empty(), "{arguments:?}: {}: {error}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Makes the user and the folders, as systemd does at each boot and when the packages are installed.
    fn boot(&self) {
        for (tool, create) in [("systemd-sysusers", None), ("systemd-tmpfiles", Some("--create"))] {
            let mut command = bare(tool);
            command.arg(format!("--root={}", self.folder.path().display())).args(create);
            command.args((tool == "systemd-tmpfiles").then_some("customs-preload.conf"));
            let output = command.arg("customs-collector.conf").output().unwrap();
            assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
        }
        // RuntimeDirectory= of the unit.
        let run = self.path("/run/customs-collector");
        fs::create_dir(&run).unwrap();
        chown(run, Some(self.collector_uid()), None).unwrap();
    }

    fn collector_uid(&self) -> u32 {
        let passwd = fs::read_to_string(self.path("/etc/passwd")).unwrap();
        let line = passwd.lines().find_map(|line| line.strip_prefix("customs-collector:x:")).unwrap();
        line.split(':').next().unwrap().parse().unwrap()
    }

    /// The installed collector, as its unit starts it, by its user.
    fn collect(&self) -> Collector {
        fs::write(self.path("/etc/sysconfig/customs-collector"), SYSCONFIG).unwrap();
        let unit = fs::read_to_string(self.path("/usr/lib/systemd/system/customs-collector.service")).unwrap();
        let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        let line = format!(". /etc/sysconfig/customs-collector; exec {start}");
        Collector::from(self.command("customs-collector:customs-collector", &["sh", "-c", &line]))
    }

    /// What has been collected, when that many records have come.
    fn collected(&self, collector: Collector, count: usize) -> Vec<Row> {
        collector.wait_for("customs_received_total", |received| received >= count as f64);
        collector.stop();
        let rows = rows(&self.path("/var/lib/customs/dataset"));
        assert_eq!(rows.len(), count, "{rows:#?}");
        rows
    }

    /// Starts a shell in it that has the default environment.
    fn start(&self, script: &str) -> Child {
        let mut command = self.command("0:0", &["bash", "-c", &format!(". /etc/profile.d/customs.sh\n{script}")]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Every path in it that a package could have put there.
    fn paths(&self) -> BTreeSet<String> {
        let find = "find . -path ./proc -prune -o -path ./tmp -prune -o -path ./var/lib -prune -o -name __pycache__ -prune \
                    -o ! -type d -print -o -path '*customs*' -print";
        let output = bare("sh").args(["-c", find]).current_dir(self.folder.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_string).collect()
    }
}

/// Waits until there are that many files whose name begins so.
fn wait_for(folder: &Path, start: &str, count: usize) {
    let are_there = || {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(start)).count()
    };
    wait_until(|| are_there() >= count, || format!("{} of {count} {start}", are_there()));
}

/// Lets a shell go on that waits for a line, and gives what it printed; nothing may come on stderr.
fn finish(mut shell: Child) -> Vec<String> {
    let _ = shell.stdin.take().unwrap().write_all(b"\n");
    let output = shell.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "{}: {error}", output.status);
    output.stdout.lines().map(Result::unwrap).collect()
}

/// A Python that says in /tmp that it is there, and ends when /tmp/go comes.
const WAITING: &str = "import json, os, sys, time\nopen('/tmp/ready' + sys.argv[1], 'w').close()\n\
                       while not os.path.exists('/tmp/go'): time.sleep(0.02)\nimport sqlite3";

#[test]
fn what_is_installed_is_as_packed_and_needs_nothing_unusual() {
    let Some(root) = Root::with(1) else { return };
    assert_eq!(root.verify(), "");
    for name in NAMES {
        let (_, needs, _) = root.rpm(&["-q", "--requires", name]);
        for need in needs.lines() {
            let usual =
                ["/bin/sh", "coreutils", "rpmlib(", "config(customs", "rtld(", "ld-linux", "libc.so", "libm.so"];
            let is_usual = usual.iter().chain(&["libgcc_s.so", "customs = "]).any(|word| need.starts_with(word));
            assert!(is_usual, "{name} needs {need}");
            assert!(name == "customs" || !need.contains(".so"), "{name} needs {need}");
        }
        let (_, provides, _) = root.rpm(&["-q", "--provides", name]);
        assert!(!provides.contains(".so"), "{name} provides {provides}");
    }
    // The policy that is in force can be read, also by `customs reap`, with nothing beside it.
    let digest = |arguments: &[&str], key: &str| -> String {
        let answer = root.run(&[&["customs"], arguments].concat());
        serde_json::from_str::<serde_json::Value>(&answer).unwrap()[key].as_str().unwrap().to_string()
    };
    let library = digest(&["inspect", "--json", "/opt/customs/lib64/libcustoms.so"], "policy");
    assert_eq!(library, digest(&["check", "--json", "/etc/customs/site.toml"], "digest"));
    root.boot();
    assert_eq!(fs::metadata(root.path("/run/customs")).unwrap().mode() & 0o7777, 0o1777);
    assert_eq!(root.run(&["customs", "reap", "--json"]).matches("\"sent\":0").count(), 1);
    // One definition behind the page, the completions and the help.
    let page = Command::new("gzip").arg("-cd").arg(root.path("/usr/share/man/man1/customs.1.gz")).output().unwrap();
    assert_eq!(String::from_utf8(page.stdout).unwrap(), root.run(&["customs", "man"]));
    root.run(&["bash", "-n", "/usr/share/bash-completion/completions/customs"]);
    for file in ["zsh/site-functions/_customs", "fish/vendor_completions.d/customs.fish"] {
        assert!(fs::read_to_string(root.path("/usr/share").join(file)).unwrap().contains("collect"), "{file}");
    }
}

#[test]
fn from_every_shell_the_installed_library_reports_to_the_installed_collector() {
    let Some(root) = Root::with(1) else { return };
    root.boot();
    let collector = root.collect();
    let job = |arguments: &[&str]| root.run_as("4242:4242", arguments);
    let python = "python3.11 -c 'import json, sqlite3'";
    let lmod = "export MODULEPATH=/usr/share/modulefiles\n\
                ml() { eval \"$(lua5.3 /usr/share/lmod/lmod/libexec/lmod bash \"$@\" 2>/dev/null)\"; }\n";
    fs::write(
        root.path("/tmp/job.csh"),
        format!("source /etc/profile.d/customs.csh\n{python}\necho \"$LD_PRELOAD\"\n"),
    )
    .unwrap();
    let sh = format!(". /etc/profile.d/customs.sh; . /etc/profile.d/customs.sh; {python}; echo \"$LD_PRELOAD\"");
    let module = format!("{lmod}ml load customs; ml purge; {python}; echo \"$LD_PRELOAD\"");
    let shells: [&[&str]; 4] =
        [&["sh", "-c", &sh], &["bash", "-c", &sh], &["tcsh", "-f", "/tmp/job.csh"], &["bash", "-c", &module]];
    for shell in shells {
        assert_eq!(job(shell), format!("{PRELOAD}\n"), "{shell:?}");
    }
    // Behind what is there already.
    let other = "/opt/customs/inert/inert64.so";
    fs::copy(root.path(other), root.path("/tmp/other.so")).unwrap();
    for shell in &shells[1..] {
        let shell = [&["LD_PRELOAD=/tmp/other.so"], *shell].concat();
        assert_eq!(job(&shell), format!("/tmp/other.so:{PRELOAD}\n"), "{shell:?}");
    }
    // Unloaded, opted out, and on a node that is switched off: nothing is set, and nothing reported.
    let unset = |variable: &str| {
        for shell in ["sh", "bash"] {
            let line = format!(". /etc/profile.d/customs.sh; {python}; echo \"${{LD_PRELOAD-none}}\"");
            assert_eq!(job(&[variable, shell, "-c", &line]), "none\n");
        }
        let line = format!("{lmod}ml load customs; {python}; echo \"${{LD_PRELOAD-none}}\"");
        assert_eq!(job(&[variable, "bash", "-c", &line]), "none\n");
        let csh = format!("source /etc/profile.d/customs.csh\n{python}\nif ( ! $?LD_PRELOAD ) echo none\n");
        fs::write(root.path("/tmp/none.csh"), csh).unwrap();
        assert_eq!(job(&[variable, "tcsh", "-f", "/tmp/none.csh"]), "none\n");
    };
    let line = format!("{lmod}ml load customs; ml --force unload customs; {python}; echo \"${{LD_PRELOAD:-none}}\"");
    assert_eq!(job(&["bash", "-c", &line]), "none\n");
    unset("CUSTOMS_OPT_OUT=1");
    fs::write(root.path("/etc/customs/off"), "").unwrap();
    unset("UNUSED=1");
    fs::remove_file(root.path("/etc/customs/off")).unwrap();

    // A library that was compiled on the node goes before the package's, and is none of rpm's business.
    let site = fs::read_to_string(root.path("/etc/customs/site.toml")).unwrap().replace("packaged-1", "compiled here");
    fs::write(root.path("/etc/customs/site.toml"), site).unwrap();
    let local = "/opt/customs/local/lib64/libcustoms.so";
    root.run(&["customs", "compile", "/etc/customs/site.toml", "-o", local]);
    for shell in shells {
        assert_eq!(job(shell), format!("{}\n", PRELOAD.replace("/$LIB", "/local/$LIB")), "{shell:?}");
    }
    let changed: Vec<_> = root.verify().lines().map(|line| line.split_once("  c ").unwrap().1.to_string()).collect();
    assert_eq!(changed, ["/etc/customs/site.toml", "/etc/sysconfig/customs-collector"]);

    let rows = root.collected(collector, 11);
    for row in &rows {
        assert_eq!(row["packages"], "[sqlite3, json, json.decoder]", "{row:?}");
        assert_eq!(
            (row["uid"].as_str(), row["uid_verified"].as_str(), row["exit"].as_str()),
            ("4242", "true", "normal")
        );
        assert_eq!(row["executable"], "/usr/bin/python3.11");
    }
    assert_eq!(rows.iter().filter(|row| row["system"] == "compiled here").count(), 4);
    assert_eq!(rows.iter().filter(|row| row["system"] == "packaged-1").count(), 7);
    let dataset = fs::metadata(root.path("/var/lib/customs/dataset")).unwrap();
    assert_eq!(dataset.uid(), root.collector_uid());
}

#[test]
fn fifty_pythons_live_through_an_upgrade_and_none_goes_unreported() {
    let (Some(root), Some(packages)) = (Root::with(1), packages()) else { return };
    root.boot();
    let collector = root.collect();
    let many = "for number in {1..50}; do python3.11 -c \"$CODE\" $number & children+=($!); done\n\
                for child in \"${children[@]}\"; do wait $child; echo $?; done";
    let many = root.start(&format!("CODE=$(cat <<'E'\n{WAITING}\nE\n)\n{many}"));
    wait_for(&root.path("/tmp"), "ready", 50);
    // One after the other, also in the moment in which one file takes the other's place.
    let endless =
        root.start("while ! read -r -t 0; do python3.11 -c 'import json'; echo $?; : > /tmp/round-$((round++)); done");
    wait_for(&root.path("/tmp"), "round", 2);
    let library = root.path("/opt/customs/lib64/libcustoms.so");
    let before = fs::metadata(&library).unwrap().ino();
    root.install("-U", &packages[1]);
    assert_ne!(fs::metadata(&library).unwrap().ino(), before, "written in place, under those who have it mapped");
    let rounds = fs::read_dir(root.path("/tmp")).unwrap().count();
    wait_for(&root.path("/tmp"), "round", rounds + 2 - 50);
    let rounds = finish(endless);
    assert!(rounds.iter().all(|status| status == "0"), "{rounds:?}");
    fs::write(root.path("/tmp/go"), "").unwrap();
    assert_eq!(finish(many), ["0"; 50]);
    assert_eq!(root.verify(), "S.5....T.  c /etc/sysconfig/customs-collector\n");

    let rows = root.collected(collector, 50 + rounds.len());
    let of = |system: &str, packages: &str| {
        rows.iter().filter(|row| row["system"] == system && row["packages"] == packages).count()
    };
    assert_eq!(of("packaged-1", "[sqlite3, json, json.decoder]"), 50, "{rows:#?}");
    let (old, new) = (of("packaged-1", "[json, json.decoder]"), of("packaged-2", "[json, json.decoder]"));
    assert!(old >= 2 && new >= 2 && old + new == rounds.len(), "{old} + {new} of {}", rounds.len());
}

#[test]
fn removed_under_running_processes_it_stays_silent_and_switched_off_it_leaves_nothing() {
    let (Some(root), Some(packages)) = (Root::of("rpm"), packages()) else { return };
    let before = root.paths();
    root.install("-i", &packages[0]);
    root.boot();
    let collector = root.collect();
    let shell = root.start(&format!(
        "python3.11 -c \"$(cat <<'E'\n{WAITING}\nE\n)\" 1 & child=$!\nread -r line; wait $child; echo $?\n\
         python3.11 -c 'print(\"customs\" in open(\"/proc/self/maps\").read())'; env true; echo $?"
    ));
    wait_for(&root.path("/tmp"), "ready", 1);
    let said = root.erase();
    assert!(said.contains("objects that do nothing stay in /opt/customs"), "{said}");
    fs::write(root.path("/tmp/go"), "").unwrap();
    // What the shell starts now finds an object, which does nothing.
    assert_eq!(finish(shell), ["0", "True", "0"]);
    let rows = root.collected(collector, 1);
    assert_eq!(rows[0]["packages"], "[sqlite3, json, json.decoder]");
    assert!(!root.path("/etc/profile.d/customs.sh").exists() && !root.path("/etc/customs").exists());
    // What an administrator wrote is kept, under another name.
    fs::remove_file(root.path("/etc/sysconfig/customs-collector.rpmsave")).unwrap();
    let objects: Vec<_> = root.paths().difference(&before).filter(|path| path.ends_with(".so")).cloned().collect();
    assert_eq!(
        objects,
        ["lib", "lib64"]
            .map(|folder| format!("./opt/customs/{folder}/libcustoms.so"))
            .iter()
            .chain(&["./opt/customs/libcustoms.so".to_string()])
            .cloned()
            .collect::<Vec<_>>()
    );

    // It comes back, is compiled on the node, is switched off, and goes.
    root.install("-i", &packages[1]);
    assert_eq!(root.verify(), "");
    root.run(&["customs", "compile", "/etc/customs/site.toml", "-o", "/opt/customs/local/lib64/libcustoms.so"]);
    fs::write(root.path("/etc/customs/off"), "").unwrap();
    assert_eq!(root.erase(), "");
    let left: Vec<_> = root.paths().difference(&before).cloned().collect();
    // The user and the folders that systemd made.
    let usual = ["./etc/.pwd.lock", "./etc/group", "./etc/gshadow", "./etc/passwd", "./etc/shadow", "./run/customs"];
    assert!(left.iter().all(|path| usual.iter().any(|usual| path.starts_with(usual))), "{left:?}");
}

#[test]
fn one_path_serves_the_loaders_of_other_distributions_and_of_32_bit_programs() {
    let Some(installed) = Root::with(1) else { return };
    let code = "import sys; print([line.split('/')[-2] for line in open('/proc/self/maps') if 'customs' in line][:1])";
    for (recipe, python, folder) in [
        ("i386", "python3", "['lib']"),
        ("trixie", "python3.13", "['lib64']"),
        ("bullseye", "python3.9", "['lib64']"),
        ("musl-root", "python3.13", "['lib64']"),
    ] {
        let Some(root) = Root::of(recipe) else { continue };
        fs::create_dir_all(root.path("/opt")).unwrap();
        let _ = fs::remove_dir(root.path("/opt/customs"));
        let copied = Command::new("cp").arg("-a").arg(installed.path("/opt/customs")).arg(root.path("/opt")).status();
        assert!(copied.unwrap().success());
        let preload = format!("LD_PRELOAD={PRELOAD}");
        // `run` expects stderr to be empty.
        assert_eq!(root.run(&[&preload, &format!("/usr/bin/{python}"), "-c", code]).trim(), folder, "{recipe}");
        assert_eq!(root.run(&[&preload, "true"]), "", "{recipe}");
        // What some shell on the way makes of it.
        let plain = preload.replace("$LIB", "");
        if recipe != "i386" {
            assert_eq!(root.run(&[&plain, &format!("/usr/bin/{python}"), "-c", code]).trim(), "['lib64']", "{recipe}");
        }
    }
}

#[test]
fn systemd_finds_no_fault_with_the_units() {
    let Some(root) = Root::with(1) else { return };
    let units = "/usr/lib/systemd/system";
    if !hosts::is_here(units, "rpm") {
        return;
    }
    // The targets that they name are the machine's.
    let copied = Command::new("cp").args(["-an", &format!("{units}/.")]).arg(root.path(units)).status().unwrap();
    assert!(copied.success());
    let analyze = |arguments: &[&str]| {
        let mut command = bare("systemd-analyze");
        let output = command.arg(format!("--root={}", root.folder.path().display())).args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text)
    };
    for unit in [
        "customs-collector.service",
        "customs-reap.service",
        "customs-reap.timer",
        "customs-canary.service",
        "customs-canary.timer",
        "customs-canary-reconcile.service",
        "customs-canary-reconcile.timer",
    ] {
        let (is_good, text) = analyze(&["verify", "--man=no", unit]);
        assert!(is_good && !text.contains("customs"), "{text}");
    }
    // Of 0 to 10, in tenths; systemd calls what is below 2 "OK".
    let (is_good, text) = analyze(&["security", "--offline=true", "--threshold=20", "customs-collector.service"]);
    assert!(is_good, "{text}");
}

#[test]
fn with_the_package_of_customs_sql_beside_it_the_command_answers_queries() {
    let sql = hosts::cache().join("sql/bin/customs-sql");
    let (Some(root), true) = (Root::with(1), hosts::is_here(sql.to_str().unwrap(), "sql")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("customs-sql");
    assert!(Command::new("strip").arg("-o").args([&program, &sql]).status().unwrap().success());
    let query =
        ["customs", "sql", "--tables", "/tmp/tables", "--format", "csv", "SELECT count(*) > 0 AS some FROM jobs"];
    root.run(&["customs", "synth", "--out", "/tmp/dataset", "--users", "10", "--jobs", "50", "--days", "3"]);
    root.run(&["customs", "reduce", "/tmp/dataset", "--out", "/tmp/tables"]);
    let without = root.command("0:0", &query).output().unwrap();
    assert_eq!((without.status.code(), without.stdout.len()), (Some(2), 0));

    let site = SITE.replace("{system}", "packaged");
    let output = rpmbuild(folder.path(), &top().join("customs"), 1, &site, Some(&program));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    root.install("-i", &[folder.path().join("RPMS/x86_64/customs-sql-0.1.0-1.x86_64.rpm")]);
    assert_eq!(root.run(&query), "some\ntrue\n");
    let (_, needs, _) = root.rpm(&["-q", "--requires", "customs-sql"]);
    assert!(needs.contains("customs = 0.1.0-1\n") && !needs.contains("libssl"), "{needs}");
}

#[test]
fn a_wrong_site_file_makes_no_package() {
    if packages().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let top = top();
    let output = rpmbuild(folder.path(), &top.join("customs"), 1, "[site]\nsytem = \"cori\"\n", None);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("sytem"), "{error}");
    assert!(!folder.path().join("RPMS/x86_64").exists());
}
