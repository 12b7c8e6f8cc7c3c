//! Containers: a Python in a real one, the library mounted into it and preloaded the way that runtime is told to, is
//! reported once, as what it is. `docs/CONTAINERS.md` says the same to the one who sets it up.

use crate::support::collector::{Collector, Dataset};
use crate::support::hosts;
use crate::support::library::Library;
use crate::support::receiver::Receiver;
use crate::support::trial::{PACKAGES, SITE, bare, python};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Alice, whom the images know, and this machine does not.
const ALICE: u32 = 4242;
const AS_ALICE: [&str; 4] = ["setpriv", "--reuid=4242", "--regid=4242", "--clear-groups"];

/// A root to run, and the Python in it: with the glibc of bullseye and of trixie, and with musl alone, as in Alpine.
struct Image {
    name: &'static str,
    python: &'static str,
    version: &'static str,
}

const IMAGES: [Image; 3] = [
    Image { name: "bullseye", python: "/usr/bin/python3.9", version: "3.9." },
    Image { name: "trixie", python: "/usr/bin/python3.13", version: "3.13." },
    Image { name: "musl-root", python: "/usr/bin/python3.13", version: "3.13." },
];

impl Image {
    fn root(&self) -> PathBuf {
        hosts::cache().join("images").join(self.name)
    }
}

/// What a site prepares on the node: a folder with the library, which everybody can read.
struct Node {
    folder: TempDir,
}

impl Node {
    fn new(library: &Library) -> Self {
        let node = Node { folder: tempfile::Builder::new().prefix("customs-test-").tempdir().unwrap() };
        for folder in ["customs", "image", "home"] {
            fs::create_dir(node.folder.path().join(folder)).unwrap();
        }
        fs::set_permissions(node.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        chown(node.path("home"), Some(ALICE), Some(ALICE)).unwrap();
        library.copy_to(Path::new(&node.path("customs")));
        let volumes = format!("[containers]\nvolumes = [\"{}:/opt/customs:ro\"]\n", node.path("customs"));
        fs::write(node.path("plain.conf"), &volumes).unwrap();
        fs::write(node.path("preload.conf"), volumes + &format!("env = [\"LD_PRELOAD={INSIDE}\"]\n")).unwrap();
        node
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_string()
    }

    /// Runs what follows where `image` lies at [`Node::path`]`("image")`, which everybody can reach: the cache may be in
    /// a private folder. Its mounts end with it.
    fn with(&self, image: &Image) -> Command {
        let mut command = bare("unshare");
        let script = "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"";
        command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
        command.arg(image.root()).arg(self.path("image"));
        command
    }

    /// The same for a runtime that writes into the image's /run, and leaves processes behind.
    fn with_all_of_it(&self, image: &Image) -> Command {
        let mut command = bare("unshare");
        command.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        let script = "mount --bind \"$1\" \"$2\" && mount -t tmpfs -o mode=777 none \"$2/run\" && shift 2 && \"$@\"";
        command.args(["sh", "-c", script, "sh"]).arg(image.root()).arg(self.path("image"));
        command
    }
}

/// Where the library is mounted, and what `LD_PRELOAD` says.
const INSIDE: &str = "/opt/customs/libcustoms.so";

/// Makes the command that runs what is added to it in a container. The library is mounted in it, and preloaded if the
/// flag is set; the words are options for the runtime.
type Runtime = fn(&Node, &Image, bool, &[&str]) -> Command;

/// As alice. The library comes by `bind path` of the recipe's apptainer.conf, and the variable from the environment.
fn apptainer(node: &Node, image: &Image, preload: bool, options: &[&str]) -> Command {
    let mut command = inside_apptainers_root(node, image);
    if preload {
        command.arg(format!("APPTAINERENV_LD_PRELOAD={INSIDE}"));
    }
    exec_in_apptainer(command, options)
}

/// The root that Apptainer is installed in, with the image and the library. `env` stands last.
fn inside_apptainers_root(node: &Node, image: &Image) -> Command {
    let mut command = node.with(image);
    command.args(["bwrap", "--cap-add", "ALL", "--bind"]).arg(hosts::cache().join("apptainer")).arg("/");
    command.args(["--dev-bind", "/dev", "/dev", "--bind", "/proc", "/proc", "--bind", "/sys", "/sys"]);
    command.args(["--tmpfs", "/tmp", "--bind", &node.path("image"), "/image"]);
    command.args(["--bind", &node.path("customs"), "/opt/customs"]);
    command.args(["chroot", "--userspec=4242:4242", "/", "env"]);
    command
}

fn exec_in_apptainer(mut command: Command, options: &[&str]) -> Command {
    // Nothing of the machine but the `bind path`s, and what shows the kernel.
    command.args(["apptainer", "exec", "--userns", "--no-home", "--no-mount", "hostfs,cwd,tmp"]);
    command.args(options).arg("/image");
    command
}

/// As alice, with the options of the command.
fn charliecloud(node: &Node, image: &Image, preload: bool, options: &[&str]) -> Command {
    let mut command = node.with(image);
    command.args(["env", "USER=alice"]).args(AS_ALICE).arg("ch-run");
    command.arg(format!("--bind={}:/opt/customs", node.path("customs")));
    if preload {
        command.arg(format!("--set-env=LD_PRELOAD={INSIDE}"));
    }
    command.args(options).arg(node.path("image")).arg("--");
    command
}

/// As root, by `volumes` and `env` of containers.conf.
fn podman(node: &Node, image: &Image, preload: bool, options: &[&str]) -> Command {
    podman_of(node, image, preload, options, &[])
}

/// As alice, who has no other numbers than her own (subuid(5)).
fn rootless_podman(node: &Node, image: &Image, preload: bool, options: &[&str]) -> Command {
    podman_of(node, image, preload, options, &AS_ALICE)
}

fn podman_of(node: &Node, image: &Image, preload: bool, options: &[&str], user: &[&str]) -> Command {
    let mut command = node.with_all_of_it(image);
    let configuration = if preload { "preload.conf" } else { "plain.conf" };
    command.arg("env").arg(format!("CONTAINERS_CONF={}", node.path(configuration)));
    command.arg(format!("HOME={}", node.path("home"))).arg(format!("XDG_RUNTIME_DIR={}", node.path("home")));
    command.args(user).args(["podman", "--log-level=fatal", "--cgroup-manager=cgroupfs", "--runtime=runc"]);
    command.args(["--storage-driver=vfs", "--root", &node.path("home/storage"), "--runroot", &node.path("home/run")]);
    command.args(["run", "--rm", "--cgroups=no-conmon"]);
    command.args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000"]);
    if !options.iter().any(|option| option.starts_with("--network")) {
        command.arg("--network=host");
    }
    command.args(options).args(["--rootfs", &node.path("image")]);
    command
}

/// Shifter cannot be had here. Imitated are the bind mount of a folder of `siteFs`, a change of root, alice's numbers,
/// and the variables that a job has in a container (`shifter.c`, and `siteEnv` as in its udiRoot.conf.example).
fn shifter(node: &Node, image: &Image, preload: bool, options: &[&str]) -> Command {
    let mut command = node.with(image);
    let script = "mount --bind \"$1\" \"$2/opt/customs\" && mount --bind /proc \"$2/proc\" && shift 2 && exec \"$@\"";
    command.args(["sh", "-c", script, "sh", &node.path("customs"), &node.path("image")]);
    command.args(["chroot", "--userspec=4242:4242", &node.path("image"), "/usr/bin/env"]);
    let job = ["SLURM_JOB_ID=77", "SLURMD_NODENAME=nid42", "SLURM_SPANK_SHIFTER_IMAGEREQUEST=python:3"];
    command.args(job).args(["SHIFTER_IMAGEREQUEST=docker:python:3", "SHIFTER_IMAGE=6fd9", "SHIFTER_RUNTIME=1"]);
    if preload {
        command.arg(format!("LD_PRELOAD={INSIDE}"));
    }
    command.args(options);
    command
}

/// A run in a container without the library, and one with it.
struct Trial {
    without: Output,
    under: Output,
    /// How long each took.
    times: [Duration; 2],
    records: Vec<Value>,
}

impl Trial {
    fn run(runtime: Runtime, image: &Image, options: &[&str], code: &str) -> Self {
        let receiver = Receiver::open();
        let site = SITE.replace("{receiver}", &receiver.address().to_string());
        let node = Node::new(&Library::compile(&site, PACKAGES));
        let run = |preload| {
            let start = Instant::now();
            let output = runtime(&node, image, preload, options).args([image.python, "-c", code]).output().unwrap();
            (output, start.elapsed())
        };
        let (without, time_without) = run(false);
        let (under, time_under) = run(true);
        Trial { without, under, times: [time_without, time_under], records: receiver.close() }
    }

    /// The record, where exactly one must have come. A user must have seen no difference.
    fn record(&self, what: &str) -> &Value {
        self.assert_same(what);
        let [record] = &self.records[..] else { panic!("{what}: {:?}; {:?}", self.records, self.under) };
        record
    }

    fn assert_same(&self, what: &str) {
        let seen = |output: &Output| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (output.status, text(&output.stdout), text(&output.stderr))
        };
        assert_eq!(seen(&self.under), seen(&self.without), "{what}");
    }
}

/// Whether `runtime` runs a program here, without the library: it may be missing, or lack a privilege where all this
/// runs in a container itself.
fn works(runtime: Runtime, recipe: &str, program: &str) -> bool {
    let image = &IMAGES[0];
    let is_installed = hosts::is_root("the mounts of a container")
        && hosts::is_here(image.root().join("usr/bin/env").to_str().unwrap(), "images")
        && hosts::is_here(program, recipe);
    if !is_installed {
        return false;
    }
    let node = Node::new(&Library::compile(&SITE.replace("{receiver}", "127.0.0.1:9"), PACKAGES));
    let output = runtime(&node, image, false, &[]).args([image.python, "-c", "print('it works')"]).output().unwrap();
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_string();
    hosts::given(output.stdout == b"it works\n", &format!("{recipe} runs nothing on this machine: {reason}"))
}

fn apptainer_works() -> bool {
    let program = hosts::cache().join("apptainer/usr/bin/apptainer");
    works(apptainer, "apptainer", program.to_str().unwrap())
}

fn charliecloud_works() -> bool {
    works(charliecloud, "charliecloud", "/usr/bin/ch-run")
}

fn podman_works() -> bool {
    works(podman, "podman", "/usr/bin/podman")
}

fn shifter_works() -> bool {
    works(shifter, "images", "/usr/bin/unshare")
}

/// Runs in each image with these options and looks at what was reported. The user's number and name are those outside.
fn reports(runtime: Runtime, options: &[&str], container: &str, (uid, username): (u32, &str)) -> Vec<Value> {
    let code = "import json, os, sys; print(os.getuid(), os.listdir('/opt/customs')); sys.exit(3)";
    let mut records = Vec::new();
    for image in &IMAGES {
        let what = format!("{container} {options:?} of {}", image.name);
        let trial = Trial::run(runtime, image, options, code);
        let record = trial.record(&what);
        assert_eq!(trial.under.status.code(), Some(3), "{what}: {:?}", trial.under);
        assert!(trial.under.stdout.ends_with(b" ['libcustoms.so']\n"), "{what}: {:?}", trial.under);
        for (field, expected) in [
            ("container", json!(container)),
            ("is_shifter", json!(container == "shifter")),
            ("uid", json!(uid)),
            ("username", json!(username)),
            ("executable", json!(image.python)),
            ("packages", json!(["json", "json.decoder"])),
            ("exit", json!("normal")),
            ("seq", json!(0)),
        ] {
            assert_eq!(record[field], expected, "{what}: {field}");
        }
        assert!(record["python"].as_str().unwrap().starts_with(image.version), "{what}: {record}");
        records.push(record.clone());
    }
    let mut ids: Vec<_> = records.iter().map(|record| record["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), IMAGES.len(), "each process has an id of its own: {ids:?}");
    records
}

/// The node's name, where nothing says another one.
fn node_name() -> Value {
    json!(nix::unistd::gethostname().unwrap().to_str().unwrap())
}

#[test]
fn python_in_apptainer_is_reported_once_and_as_its_user() {
    if !apptainer_works() {
        return;
    }
    let records = reports(apptainer, &[], "apptainer", (ALICE, "alice"));
    assert!(records.iter().all(|record| record["host"] == node_name()), "{records:?}");
    // Root inside of its own user namespace, and alice still.
    reports(apptainer, &["--fakeroot"], "apptainer", (ALICE, "alice"));
}

#[test]
fn python_in_charliecloud_is_reported_once_and_as_its_user() {
    if !charliecloud_works() {
        return;
    }
    // `charlie` is what ch-run calls a user whom the node does not know.
    let records = reports(charliecloud, &[], "charliecloud", (ALICE, "charlie"));
    assert!(records.iter().all(|record| record["host"] == node_name()), "{records:?}");
}

#[test]
fn python_in_podman_is_reported_once_and_as_its_user() {
    if !podman_works() {
        return;
    }
    reports(podman, &[], "podman", (0, "root"));
    if works(rootless_podman, "podman", "/usr/bin/podman") {
        reports(rootless_podman, &[], "podman", (ALICE, "alice"));
    }
}

#[test]
fn a_shifter_job_is_reported_once_and_as_its_user() {
    if !shifter_works() {
        return;
    }
    for record in reports(shifter, &[], "shifter", (ALICE, "alice")) {
        assert_eq!((&record["host"], &record["job_id"]), (&json!("nid42"), &json!("77")));
    }
}

#[test]
fn a_user_behind_two_namespaces_is_not_taken_for_root() {
    if !hosts::is_root("a process of somebody else's") || !hosts::is_here("/usr/bin/python3", "debian") {
        return;
    }
    // In the outer one alice is 0, and that is what the inner one's map says of her.
    let outer = [&AS_ALICE[..], &["unshare", "--user", "--map-root-user"]].concat();
    let slurm = ["SLURM_JOB_UID=4242", "SLURM_JOB_USER=alice"];
    for (inner, variables, expected) in [
        (ALICE, &[][..], (ALICE, "")),
        (ALICE, &slurm[..], (ALICE, "alice")),
        // Root in both: only Slurm can tell who that is.
        (0, &slurm[..], (ALICE, "alice")),
    ] {
        let receiver = Receiver::open();
        let node = Node::new(&Library::compile(&SITE.replace("{receiver}", &receiver.address().to_string()), PACKAGES));
        let mut command = bare(outer[0]);
        command.args(&outer[1..]).args(["unshare", "--user", &format!("--map-user={inner}"), "env"]).args(variables);
        command.arg(format!("LD_PRELOAD={}/libcustoms.so", node.path("customs")));
        let output = command.args(["/usr/bin/python3", "-c", "import os; print(os.getuid())"]).output().unwrap();
        assert_eq!(output.stdout, format!("{inner}\n").into_bytes(), "{output:?}");
        let records = receiver.close();
        assert_eq!(records.len(), 1, "{records:?}");
        assert_eq!((&records[0]["uid"], &records[0]["username"]), (&json!(expected.0), &json!(expected.1)));
    }
    // And the node's own root stays root under another number.
    let receiver = Receiver::open();
    let node = Node::new(&Library::compile(&SITE.replace("{receiver}", &receiver.address().to_string()), PACKAGES));
    let mut command = bare("unshare");
    command.args(["--user", "--map-user=4242", python(), "-c", "pass"]);
    command.env("LD_PRELOAD", node.path("customs/libcustoms.so"));
    assert!(command.status().unwrap().success());
    assert_eq!(receiver.close()[0]["uid"], 0);
}

/// Prints which signals have a handler (proc_pid_status(5)), and sends itself SIGTERM.
const TERM: &str = "\
import json, os, signal, time
print([line for line in open('/proc/self/status') if line.startswith('SigCgt')])
import sys; sys.stdout.flush()
os.kill(os.getpid(), signal.SIGTERM)
";

#[test]
fn process_1_of_a_container_ends_normally_and_has_no_handler_of_ours() {
    let mut trials = Vec::new();
    if podman_works() {
        trials.push(("podman", podman as Runtime, &[][..]));
    }
    if apptainer_works() {
        trials.push(("apptainer", apptainer, &["--pid", "--no-init"]));
    }
    for (name, runtime, options) in trials {
        // The kernel keeps a SIGTERM without a handler from it (pid_namespaces(7)): it lives on.
        let code = format!("{TERM}print('alive', os.getpid())");
        let trial = Trial::run(runtime, &IMAGES[0], options, &code);
        let record = trial.record(name);
        assert!(trial.under.stdout.ends_with(b"alive 1\n"), "{name}: {:?}", trial.under);
        assert_eq!((&record["exit"], &record["pid"]), (&json!("normal"), &json!(1)), "{name}");
    }
}

#[test]
fn a_container_that_is_terminated_is_reported_where_python_is_not_process_1() {
    let mut trials = Vec::new();
    if podman_works() {
        trials.push(("podman", podman as Runtime, &["--pid=host"][..]));
    }
    if apptainer_works() {
        trials.push(("apptainer", apptainer, &[]));
        trials.push(("apptainer", apptainer, &["--pid"]));
    }
    if charliecloud_works() {
        trials.push(("charliecloud", charliecloud, &[]));
    }
    if shifter_works() {
        trials.push(("shifter", shifter, &[]));
    }
    for (name, runtime, options) in trials {
        // One line less: the handler shows in SigCgt.
        let code = TERM.lines().filter(|line| !line.contains("SigCgt")).collect::<Vec<_>>().join("\n");
        let trial = Trial::run(runtime, &IMAGES[0], options, &format!("{code}\ntime.sleep(60)"));
        let record = trial.record(name);
        assert!(!trial.under.status.success(), "{name}: {:?}", trial.under);
        assert_eq!((&record["exit"], &record["container"]), (&json!("signal:TERM"), &json!(name)));
    }
}

#[test]
fn a_container_without_a_network_is_silent_and_does_not_wait() {
    let mut trials = Vec::new();
    if podman_works() {
        trials.push(("podman", podman as Runtime, &["--network=none"][..]));
    }
    if apptainer_works() {
        trials.push(("apptainer", apptainer, &["--net", "--network=none"]));
    }
    for (name, runtime, options) in trials {
        let trial = Trial::run(runtime, &IMAGES[0], options, "import json; print('done')");
        trial.assert_same(name);
        assert_eq!(trial.under.stdout, b"done\n", "{name}: {:?}", trial.under);
        assert_eq!(trial.records.len(), 0, "{name}");
        let [without, under] = trial.times;
        // What waits for a network waits for seconds; the rest is what else this machine does.
        assert!(under < without + Duration::from_secs(4), "{name}: {under:?} instead of {without:?}");
    }
}

/// Runs two canaries through a Python that is shipped as `rpm/canary/SCRIPT`, and counts them in a dataset. Where that
/// calls `runtime`, which it finds in PATH, it gets `words` and what follows the first of its own.
fn canaries_arrive(
    script: &str,
    runtime: &str,
    words: impl Fn(&Node, &Image) -> Vec<String>,
    variables: &[(&str, &str)],
) {
    for image in &IMAGES {
        let dataset = Dataset::new();
        let collector = Collector::on_loopback(&dataset.path(), &[]);
        let site = SITE.replace("{receiver}", &collector.address("udp").to_string());
        let node = Node::new(&Library::compile(&site, PACKAGES));
        let quoted = |word: String| format!("'{}'", word.replace('\'', "'\\''"));
        let words: Vec<String> = words(&node, image).into_iter().map(quoted).collect();
        fs::create_dir(node.path("bin")).unwrap();
        let program = node.path(&format!("bin/{runtime}"));
        fs::write(&program, format!("#!/bin/sh\nshift\nexec {} \"$@\"\n", words.join(" "))).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let customs = |arguments: &[&str]| {
            let mut command = bare(env!("CARGO_BIN_EXE_customs"));
            command.arg("canary").args(arguments).args(["--json", "--ledger", &node.path("ledger")]);
            command.env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", node.path("bin")));
            command.env("CUSTOMS_CANARY_PYTHON", image.python).envs(variables.iter().copied());
            if runtime == "podman" {
                command.env("CUSTOMS_CANARY_IMAGE", node.path("image"));
            }
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}: {output:?}", image.name);
            serde_json::from_slice::<Value>(&output.stdout).unwrap()
        };
        let python = format!("{}/rpm/canary/{script}", env!("CARGO_MANIFEST_DIR"));
        customs(&["run", "--library", &node.path("customs/libcustoms.so"), "--count=2", "--python", &python]);
        collector.wait_for("customs_parsed_total", |parsed| parsed >= 2.0);
        collector.stop();
        let answer = customs(&["reconcile", "--dataset", dataset.path().to_str().unwrap()]);
        for (key, count) in [("sent", 2), ("arrived", 2), ("wrong", 0), ("lost", 0)] {
            assert_eq!(answer[key], count, "{}: {answer:#}", image.name);
        }
        let rows = dataset.rows();
        assert!(rows.iter().all(|row| row["python"].starts_with(image.version)), "{}: {rows:?}", image.name);
    }
}

/// The words of a command.
fn words(command: &Command) -> Vec<String> {
    let all = [command.get_program()].into_iter().chain(command.get_args());
    all.map(|word| word.to_str().unwrap().to_string()).collect()
}

#[test]
fn canaries_of_the_shipped_python_in_podman_all_arrive() {
    if !podman_works() {
        return;
    }
    let runtime = |node: &Node, image: &Image| {
        let mut words = words(&podman(node, image, false, &[]));
        let own = words.iter().position(|word| word == "--network=host").unwrap();
        words.truncate(own);
        // Not what stands in for it.
        words.iter_mut().filter(|word| *word == "podman").for_each(|word| *word = "/usr/bin/podman".to_string());
        words
    };
    canaries_arrive("python-in-podman", "podman", runtime, &[("CUSTOMS_CANARY_OPTIONS", "--rootfs")]);
}

#[test]
fn canaries_of_the_shipped_python_in_apptainer_all_arrive() {
    if !apptainer_works() {
        return;
    }
    let runtime = |node: &Node, image: &Image| {
        let mut words = words(&exec_in_apptainer(inside_apptainers_root(node, image), &[]));
        assert_eq!(words.pop().as_deref(), Some("/image"));
        // The library lies in the root of Apptainer where it lies on the node.
        let at = words.iter().position(|word| word == "chroot").unwrap();
        let (folder, library) = (node.path(""), node.path("customs"));
        let mount = ["--perms", "0755", "--dir", &folder, "--bind", &library, &library].map(str::to_string);
        words.splice(at..at, mount);
        words
    };
    canaries_arrive("python-in-apptainer", "apptainer", runtime, &[("CUSTOMS_CANARY_IMAGE", "/image")]);
}

/// `LD_PRELOAD` from the environment in which apptainer is called, where the file is at the same place.
fn inherited_by_apptainer(node: &Node, image: &Image, preload: bool, options: &[&str]) -> Command {
    let mut command = inside_apptainers_root(node, image);
    if preload {
        command.arg(format!("LD_PRELOAD={INSIDE}"));
    }
    exec_in_apptainer(command, options)
}

/// By variables alone. A user who wants a container to have nothing of the machine leaves out the `bind path`s, and
/// these stay.
fn bound_by_apptainer(node: &Node, image: &Image, preload: bool, options: &[&str]) -> Command {
    let mut command = inside_apptainers_root(node, image);
    command.arg("APPTAINER_BIND=/opt/customs");
    if preload {
        command.arg(format!("APPTAINERENV_LD_PRELOAD={INSIDE}"));
    }
    exec_in_apptainer(command, options)
}

/// `LD_PRELOAD` from the environment in which ch-run is called. It shows its container the machine's /tmp.
fn inherited_by_charliecloud(node: &Node, image: &Image, preload: bool, options: &[&str]) -> Command {
    let mut command = node.with(image);
    command.args(["env", "USER=alice"]);
    let shared = format!("LD_PRELOAD={}/libcustoms.so", node.path("customs"));
    command.args(AS_ALICE);
    command.arg("env").args(preload.then_some(shared)).arg("ch-run").args(options).arg(node.path("image")).arg("--");
    command
}

#[test]
fn a_preload_of_the_node_comes_in_where_a_runtime_hands_the_environment_on() {
    let code = "import json";
    if apptainer_works() {
        Trial::run(inherited_by_apptainer, &IMAGES[0], &[], code).record("apptainer, inherited");
        // A clean environment has what was meant for the container alone.
        let clean = Trial::run(inherited_by_apptainer, &IMAGES[0], &["--cleanenv"], code);
        clean.assert_same("apptainer, inherited, --cleanenv");
        assert_eq!(clean.records.len(), 0);
        Trial::run(apptainer, &IMAGES[0], &["--cleanenv"], code).record("APPTAINERENV_, --cleanenv");
        Trial::run(bound_by_apptainer, &IMAGES[0], &["--containall"], code).record("APPTAINER_BIND, --containall");
    }
    if charliecloud_works() && std::env::temp_dir() == Path::new("/tmp") {
        Trial::run(inherited_by_charliecloud, &IMAGES[0], &[], code).record("charliecloud, inherited");
    }
}

#[test]
fn where_the_file_is_not_in_the_container_glibc_says_so_and_musl_does_not() {
    if !shifter_works() {
        return;
    }
    let complaint = "ERROR: ld.so: object '/no/such/libcustoms.so' from LD_PRELOAD cannot be preloaded \
                     (cannot open shared object file): ignored.\n";
    for image in &IMAGES {
        let mut command = bare("chroot");
        command.arg(image.root()).args(["/usr/bin/env", "LD_PRELOAD=/no/such/libcustoms.so"]);
        let output = command.args([image.python, "-c", "print('ran')"]).output().unwrap();
        assert!(output.status.success(), "{}: {output:?}", image.name);
        assert_eq!(output.stdout, b"ran\n", "{}", image.name);
        let expected = if image.name.contains("musl") { "" } else { complaint };
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected, "{}", image.name);
    }
}
