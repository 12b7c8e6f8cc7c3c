//! `customs doctor`: every kind of trouble is made for real, and is found.

use super::{Answer, Site};
use crate::support::collector::{Collector, Dataset};
use crate::support::hosts;
use crate::support::trial::python;
use serde_json::Value;
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

/// A node: a site file, the library that was compiled from it, and a receiver.
struct Node {
    site: Site,
    receiver: UdpSocket,
}

const SITE: &str = "\
[site]
system = \"cori\"
[[transport]]
name = \"service-nodes\"
on = \"compute\"
servers = [\"udp://RECEIVER\"]
[[transport]]
name = \"local\"
servers = [\"file://DIR/records\"]
[compute]
env = [\"ON_COMPUTE\"]
[[subsystem]]
name = \"knl\"
env = { PARTITION = \"knl*\" }
[[list]]
name = \"packages\"
include = [\"packages.toml\"]
";

impl Node {
    /// With this added to the site file.
    fn new(more: &str) -> Self {
        let site = Site::new("");
        // As a node's folders: everybody may look into it.
        fs::set_permissions(site.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let node = Node { site, receiver };
        node.write(&(SITE.to_string() + more));
        node.compile();
        node
    }

    fn path(&self, name: &str) -> String {
        self.site.path(name).to_str().unwrap().to_string()
    }

    fn write(&self, text: &str) {
        let folder = self.path("");
        let text = text.replace("RECEIVER", &self.receiver.local_addr().unwrap().to_string());
        fs::write(self.site.path("site.toml"), text.replace("DIR", folder.trim_end_matches('/'))).unwrap();
    }

    fn compile(&self) {
        let answer = self.site.customs(["compile", "site.toml"]);
        assert_eq!(answer.status, 0, "{answer:?}");
    }

    /// The doctor, in the environment of a user to whom the library is given by default.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.site.command(["doctor", "--json"]);
        if !arguments.contains(&"--python") {
            command.args(["--python", python()]);
        }
        command.args(arguments).env("LD_PRELOAD", self.path("libcustoms.so"));
        command
    }

    fn asks(&self, arguments: &[&str]) -> Answered {
        Answered::of(&mut self.command(arguments))
    }
}

/// What the doctor said.
struct Answered(Answer, Value);

impl Answered {
    fn of(command: &mut Command) -> Self {
        let answer = Answer::of(command.output().unwrap());
        let json = answer.json();
        let is_well = json["ok"].as_bool().unwrap();
        assert_eq!(answer.status, i32::from(!is_well), "the status says whether there is a problem: {answer:?}");
        Answered(answer, json)
    }

    /// Whether there is such a line, by its result, its check and a part of its text.
    fn says(&self, result: &str, check: &str, part: &str) -> bool {
        let mut checks = self.1["checks"].as_array().unwrap().iter();
        checks.any(|line| {
            let text = format!("{}; {}", line["says"].as_str().unwrap(), line["fix"].as_str().unwrap());
            line["check"] == check && line["result"] == result && text.contains(part)
        })
    }

    #[track_caller]
    fn finds(&self, result: &str, check: &str, part: &str) {
        assert!(self.says(result, check, part), "no {result} of {check} with {part:?}: {}", self.shown());
    }

    /// The problems, for a test in which there must be none, or only these.
    #[track_caller]
    fn has_problems(&self, expected: &[&str]) {
        let checks = self.1["checks"].as_array().unwrap().iter();
        let found: Vec<&str> =
            checks.filter(|line| line["result"] == "problem").map(|line| line["check"].as_str().unwrap()).collect();
        assert_eq!(found, expected, "{}", self.shown());
    }

    fn shown(&self) -> String {
        serde_json::to_string_pretty(&self.1).unwrap() + &self.0.stderr
    }
}

#[test]
fn a_node_in_good_order_has_no_problem() {
    let node = Node::new("");
    let answer = node.asks(&["--site", "site.toml"]);
    answer.has_problems(&[]);
    for (check, part) in [
        ("library", "as this command writes it"),
        ("policy", "4 packages in 1 list, system cori, digest "),
        ("site", "the policy is that of site.toml"),
        ("preload", "and nothing else"),
        ("opt-out", "not set: CUSTOMS_OPT_OUT"),
        ("python", "loads it and reports"),
        ("compute", "not a compute process: none of ON_COMPUTE is set"),
        ("here", "system cori, no subsystem"),
        ("route", "list packages: transport local, the first that is for any process: file://"),
        ("server", "it can be written"),
    ] {
        answer.finds("ok", check, part);
    }
    assert_eq!(answer.1["goes_to"]["packages"][0]["transport"], "local");
    assert_eq!(answer.1["here"]["is_compute"], false);
    assert!(!node.site.path("records").exists(), "nothing of it was sent where records go");
}

#[test]
fn a_person_gets_a_line_a_check_and_no_colour_in_a_file() {
    let node = Node::new("");
    let mut command = node.site.command(["doctor", "--site", "site.toml", "--python", python()]);
    let answer = Answer::of(command.env("LD_PRELOAD", node.path("libcustoms.so")).output().unwrap());
    assert_eq!((answer.status, answer.stderr.as_str()), (0, ""), "{answer:?}");
    assert!(answer.stdout.starts_with("ok       library    /"), "{answer:?}");
    assert!(!answer.stdout.contains('\u{1b}'), "{answer:?}");
    let (last, lines) =
        answer.stdout.trim_end().split('\n').collect::<Vec<_>>().split_last().map(|(a, b)| (*a, b.to_vec())).unwrap();
    assert!(lines.iter().all(|line| ["ok  ", "note", "prob"].contains(&&line[..4])), "{answer:?}");
    assert!(last.starts_with("no problem, ") || last == "all is well", "{last}");
}

#[test]
fn a_program_finds_the_same_keys_in_every_answer() {
    let answer = Node::new("").asks(&["--site", "site.toml"]);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&answer.1), ["checks", "goes_to", "here", "host", "library", "notes", "ok", "policy", "problems"]);
    for line in answer.1["checks"].as_array().unwrap() {
        assert_eq!(keys(line), ["check", "fix", "result", "says"]);
    }
    let place = Site::new("");
    let mut command = place.command(["doctor", "--json"]);
    assert_eq!(keys(&Answered::of(&mut command).1), keys(&answer.1));
}

#[test]
fn where_a_record_goes_is_told_with_the_reason_and_as_it_came() {
    let node = Node::new("");
    let answer = Answered::of(node.command(&["--site", "site.toml"]).env("ON_COMPUTE", "1").env("PARTITION", "knl-2"));
    answer.has_problems(&[]);
    answer.finds("ok", "compute", "a compute process: ON_COMPUTE is set");
    answer.finds("ok", "here", "subsystem knl");
    answer.finds("ok", "route", "transport service-nodes, the first that is for compute processes: udp://127.0.0.1:");
    assert_eq!((&answer.1["here"]["is_compute"], &answer.1["here"]["subsystem"]), (&true.into(), &"knl".into()));
    node.receiver.set_nonblocking(true).unwrap();
    let mut buffer = [0; 64];
    assert_eq!(node.receiver.recv(&mut buffer).unwrap(), 0, "what it sends there is an empty datagram");
    assert!(node.receiver.recv(&mut buffer).is_err(), "and nothing else");
}

#[test]
fn a_job_is_seen_as_its_records_would_say_it() {
    let node = Node::new("[job]\nqos = [\"MY_QOS\"]\n");
    let mut command = node.command(&["--site", "site.toml"]);
    let answer = Answered::of(command.env("SLURM_JOB_ID", "4711").env("MY_QOS", "debug"));
    answer.finds("ok", "here", "job 4711, qos debug");
    assert_eq!(answer.1["here"]["job_id"], "4711");
    let mut command = node.command(&["--site", "site.toml"]);
    let answer = Answered::of(command.env("SLURM_JOB_ID", "4711").env_remove("LD_PRELOAD"));
    answer.finds("problem", "library", "--export=NONE");
}

#[test]
fn a_library_that_is_not_there_or_not_whole_is_named() {
    let node = Node::new("");
    let library = node.path("libcustoms.so");
    let good = fs::read(&library).unwrap();
    let find = |part: &str, check: &str| {
        let answer = node.asks(&["--site", "site.toml"]);
        answer.finds("problem", check, part);
        assert_eq!(answer.0.status, 1);
    };

    let policy = good.windows(8).position(|bytes| bytes == b"customs\0").unwrap();
    let damaged = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    for (bytes, check, part) in [
        (damaged(policy + 100, good[policy + 100] ^ 1), "policy", "it was damaged"),
        (damaged(policy + 8, 99), "policy", "layout 99"),
        // e_machine: aarch64, or x86-64 where that is ours (elf(5)).
        (damaged(18, if cfg!(target_arch = "aarch64") { 62 } else { 183 }), "library", "another machine"),
        (b"hello".to_vec(), "library", "not a shared library"),
    ] {
        fs::write(&library, bytes).unwrap();
        find(part, check);
    }
    fs::remove_file(&library).unwrap();
    find("No such file or directory", "library");
    fs::create_dir(&library).unwrap();
    find("is no file", "library");
    fs::remove_dir(&library).unwrap();

    // The loader dies of SIGBUS over half a file, in every program: so not preloaded here.
    fs::write(&library, &good[..good.len() / 2]).unwrap();
    let mut command = node.command(&["--site", "site.toml", "--library", &library]);
    Answered::of(command.env_remove("LD_PRELOAD")).finds("problem", "library", "write it anew");

    // Another build, as its note says.
    let build_id = good.windows(4).position(|bytes| bytes == b"GNU\0").unwrap() + 4;
    fs::write(&library, damaged(build_id, good[build_id] ^ 1)).unwrap();
    let answer = node.asks(&["--site", "site.toml"]);
    answer.has_problems(&[]);
    answer.finds("note", "library", "not that of this command");
}

#[test]
fn a_library_that_not_everybody_can_read_or_anybody_can_write_is_a_problem() {
    let node = Node::new("");
    let (library, folder) = (node.path("libcustoms.so"), node.path(""));
    let set = |path: &str, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for (path, mode, part, usual) in [
        (&library, 0o700, "cannot be read by everybody", 0o755),
        (&library, 0o757, "can be written by everybody", 0o755),
        (&library, 0o4755, "setuid", 0o755),
        (&folder, 0o700, "cannot be reached by everybody", 0o755),
        (&folder, 0o777, "everybody can replace", 0o755),
    ] {
        set(path, mode);
        node.asks(&["--site", "site.toml"]).finds("problem", "library", part);
        set(path, usual);
    }
    if hosts::is_root("another's file") {
        chown(&library, Some(4242), None).unwrap();
        node.asks(&["--site", "site.toml"]).finds("note", "library", "belongs to uid 4242");
    }
}

#[test]
fn a_library_that_is_not_the_sites_is_told_by_the_tables_that_differ() {
    let node = Node::new("");
    node.write(&SITE.replace("cori", "perlmutter").replace("ON_COMPUTE", "OTHER"));
    let answer = node.asks(&["--site", "site.toml"]);
    answer.finds("problem", "site", "[compute], [site] differ");
    answer.finds("ok", "policy", "system cori");
    // Without a library it is said where records would go.
    let mut command = node.command(&["--site", "site.toml"]);
    let answer = Answered::of(command.env_remove("LD_PRELOAD"));
    answer.has_problems(&["library"]);
    answer.finds("problem", "library", "none is preloaded here");
    answer.finds("ok", "here", "system perlmutter");
    answer.finds("ok", "python", "loads it and reports");
}

#[test]
fn who_opted_out_and_another_rank_are_told_and_the_rest_is_checked_all_the_same() {
    let node = Node::new("");
    let mut command = node.command(&["--site", "site.toml"]);
    let answer = Answered::of(command.env("CUSTOMS_OPT_OUT", "1").env("PMI_RANK", "3"));
    answer.has_problems(&["opt-out"]);
    answer.finds("problem", "opt-out", "unset CUSTOMS_OPT_OUT");
    answer.finds("note", "rank", "PMI_RANK is 3");
    answer.finds("ok", "python", "loads it and reports");
}

#[test]
fn what_else_is_preloaded_is_told_with_its_place() {
    let node = Node::new("");
    let library = node.path("libcustoms.so");
    let libm = "/usr/lib/x86_64-linux-gnu/libm.so.6";
    let preload = |value: String| Answered::of(node.command(&["--site", "site.toml"]).env("LD_PRELOAD", value));
    if hosts::given(Path::new(libm).exists(), &format!("no {libm}")) {
        preload(format!("{libm}:{library}")).finds("ok", "preload", "before the library");
        preload(format!("{library} {libm}")).finds("note", "preload", "put the library last");
    }
    preload(format!("{library}:/nowhere/other.so")).finds(
        "note",
        "preload",
        "/nowhere/other.so as well, which is not there",
    );
    preload(format!("{library}:{library}")).finds("problem", "preload", "more than once");
    preload(format!("/nowhere/libasan.so.8:{library}")).finds("note", "preload", "libasan.so.8");
    let folder = node.path("");
    fs::write(node.site.path("libasan.so.8"), "").unwrap();
    preload(format!("{library}:{folder}libasan.so.8")).finds("problem", "preload", "before the library");
    preload("libcustoms.so".to_string()).finds("problem", "library", "name it by its whole path");
}

#[test]
fn programs_that_cannot_report_are_told_apart() {
    let node = Node::new("");
    let program = |name: &str| node.path(name);
    let compile = |name: &str, options: &[&str]| {
        let path = program(name);
        let source = program("main.c");
        fs::write(&source, "int main(void) { return 0; }\n").unwrap();
        let status = Command::new("gcc").args(options).args(["-o", &path, &source]).stderr(Stdio::null()).status();
        hosts::given(
            status.is_ok_and(|status| status.success()),
            &format!("gcc cannot make a program with {options:?}"),
        );
        path
    };
    fs::write(program("script"), "#!/bin/sh\nexit 3\n").unwrap();
    fs::set_permissions(program("script"), fs::Permissions::from_mode(0o755)).unwrap();
    let (plain, fixed, sane) =
        (compile("plain", &[]), compile("static", &["-static"]), compile("sane", &["-fsanitize=address"]));
    let script = program("script");
    for (python, part) in [
        (&plain, "is not Python"),
        (&fixed, "is a static program"),
        (&sane, "AddressSanitizer"),
        (&script, "with the library or without"),
        (&program("site.toml"), "cannot be run"),
    ] {
        let answer = node.asks(&["--site", "site.toml", "--python", python]);
        answer.has_problems(&["python"]);
        answer.finds("problem", "python", part);
    }
    if hosts::is_root("a setuid program") && hosts::is_here("/usr/bin/python3.11", "debian") {
        let copy = program("python");
        fs::copy("/usr/bin/python3.11", &copy).unwrap();
        chown(&copy, Some(4242), None).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755)).unwrap();
        node.asks(&["--site", "site.toml", "--python", &copy]).finds("problem", "python", "other rights than yours");
    }
}

#[test]
fn servers_are_asked_and_what_cannot_be_known_is_said() {
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let node = Node::new("");
    let site = |servers: &str| {
        node.write(&SITE.replace("file://DIR/records", "WHERE").replace("\"WHERE\"", servers));
        node.compile();
        node.asks(&["--site", "site.toml"])
    };
    let answer = site("\"udp://RECEIVER\"");
    answer.has_problems(&[]);
    answer.finds("ok", "server", "whether a datagram arrives cannot be known from here");
    site(&format!("\"udp://{closed}\"")).finds("problem", "server", "refused: nobody listens on that port");

    let socket = node.path("socket");
    site("\"unix://DIR/socket\"").finds("problem", "server", "start the receiver; in a container, mount the socket");
    let listening = UnixDatagram::bind(&socket).unwrap();
    site("\"unix://DIR/socket\"").finds("ok", "server", "somebody listens");
    let sender = UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    while sender.send_to(b"x", &socket).is_ok() {}
    site("\"unix://DIR/socket\"").finds("problem", "server", "its queue is full");
    drop(listening);
    site("\"unix://DIR/socket\"").finds("problem", "server", "nobody listens any more");
    fs::remove_file(&socket).unwrap();
    let stream = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    site("\"unix://DIR/socket\"").finds("problem", "server", "a datagram socket is needed");
    drop(stream);

    site("\"file://DIR/no/such/folder/records\"").finds("problem", "server", "you cannot make it");
    symlink("/dev/null", node.path("link")).unwrap();
    site("\"file://DIR/link\"").finds("problem", "server", "symbolic link");
    site("\"file:///dev/null\"").finds("problem", "server", "no regular file");
}

#[test]
fn a_list_that_goes_nowhere_from_here_is_a_note() {
    let node = Node::new("");
    node.write(&SITE.replace("name = \"local\"", "name = \"local\"\non = \"compute\""));
    node.compile();
    let answer = node.asks(&["--site", "site.toml"]);
    answer.has_problems(&[]);
    answer.finds("note", "route", "no transport is meant for what is not a compute process");
}

#[test]
fn a_node_without_a_network_is_told_and_a_python_reports_all_the_same() {
    if !hosts::is_root("a network namespace") {
        return;
    }
    let node = Node::new("");
    node.write(&SITE.replace("file://DIR/records", "udp://192.0.2.7:514"));
    node.compile();
    let inner = node.command(&["--site", "site.toml"]);
    let mut command = Command::new("unshare");
    command.arg("--net").arg(inner.get_program()).args(inner.get_args()).current_dir(node.path(""));
    let answer = Answered::of(command.env("LD_PRELOAD", node.path("libcustoms.so")));
    answer.finds("problem", "network", "no interface but lo");
    answer.finds("problem", "server", "give this node a route");
    answer.finds("ok", "python", "loads it and reports");
}

#[test]
fn a_black_box_is_looked_at() {
    let node = Node::new("[endings]\nrecorder = \"DIR/box\"\n");
    let folder = node.path("box");
    let ask = || node.asks(&["--site", "site.toml"]);
    ask().finds("problem", "recorder", "mkdir -m 1777");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    ask().finds("problem", "recorder", "has mode 755");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777)).unwrap();
    let answer = ask();
    answer.has_problems(&[]);
    answer.finds("ok", "recorder", "mode 1777");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "the trial left nothing there");
    fs::write(Path::new(&folder).join("customs-old"), "").unwrap();
    assert!(
        Command::new("touch").args(["-d", "3 days ago", &format!("{folder}/customs-old")]).status().unwrap().success()
    );
    ask().finds("note", "recorder", "1 files");
    if hosts::is_root("a file system") {
        let inner = node.command(&["--site", "site.toml"]);
        let script = "mount -t tmpfs -o mode=1777,size=64k none \"$0/box\" && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", script, &node.path("")]);
        command.arg(inner.get_program()).args(inner.get_args()).current_dir(node.path(""));
        let answer = Answered::of(command.env("LD_PRELOAD", node.path("libcustoms.so")));
        answer.finds("problem", "recorder", "64 KiB of room");
    }
}

#[test]
fn limits_that_stand_in_the_way_are_told() {
    let node = Node::new("");
    let limited = |limit: &str| {
        let inner = node.command(&["--site", "site.toml"]);
        let mut command = Command::new("prlimit");
        command.arg(limit).arg("--").arg(inner.get_program()).args(inner.get_args()).current_dir(node.path(""));
        Answered::of(command.env("LD_PRELOAD", node.path("libcustoms.so")))
    };
    limited("--nofile=20").finds("problem", "limits", "may open 20 files");
    limited("--fsize=100000000").finds("problem", "server", "file sizes are limited");
}

#[test]
fn a_filter_of_system_calls_is_noted() {
    let node = Node::new("");
    let inner = node.command(&["--site", "site.toml"]);
    // An empty filter, which allows everything, as a container's runtime sets a longer one.
    let code = "import ctypes, os, sys, struct\n\
        libc = ctypes.CDLL(None)\n\
        code = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0x7fff0000))\n\
        program = ctypes.create_string_buffer(struct.pack('HP', 1, ctypes.addressof(code)))\n\
        assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0\n\
        os.environ['LD_PRELOAD'] = sys.argv[1]\n\
        os.execv(sys.argv[2], sys.argv[2:])";
    let mut command = Command::new(python());
    command.args(["-c", code, &node.path("libcustoms.so")]).arg(inner.get_program()).args(inner.get_args());
    command.current_dir(node.path("")).env_remove("CUSTOMS_OPT_OUT");
    let answer = Answered::of(&mut command);
    answer.has_problems(&[]);
    answer.finds("note", "seccomp", "what they forbid cannot be read");
}

/// The doctor where /etc is a copy of this machine's, changed by `script`, in which `$1` is the library.
fn with_etc(node: &Node, script: &str, preload: bool) -> Answered {
    let inner = node.command(&["--site", "site.toml"]);
    let copy = "mkdir \"$0/etc\" && mount -t tmpfs none \"$0/etc\" && cp -a /etc/. \"$0/etc\" 2>/dev/null; mount --bind \"$0/etc\" /etc &&";
    let script = format!("{copy}\n{script}\nshift; exec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script, node.path("").trim_end_matches('/')]);
    command.arg(node.path("libcustoms.so")).arg("env");
    command.arg(if preload { format!("LD_PRELOAD={}", node.path("libcustoms.so")) } else { "DUMMY=1".to_string() });
    command.arg(inner.get_program()).args(inner.get_args()).current_dir(node.path("")).env_remove("CUSTOMS_OPT_OUT");
    let answer = Answered::of(&mut command);
    fs::remove_dir(node.path("etc")).unwrap();
    answer
}

#[test]
fn what_is_preloaded_for_all_programs_is_found_and_sends_nothing_while_it_is_tried() {
    if !hosts::is_root("a mount namespace") {
        return;
    }
    let node = Node::new("");
    let answer = with_etc(&node, "echo \"$1 # for all\" > /etc/ld.so.preload", false);
    answer.has_problems(&[]);
    answer.finds("note", "preload", "it reaches every program");
    answer.finds("ok", "python", "loads it and reports");
    assert!(!node.site.path("records").exists(), "the library itself was silent");
}

#[test]
fn profile_d_is_compared_with_what_is_preloaded() {
    if !hosts::is_root("a mount namespace") {
        return;
    }
    let node = Node::new("");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/rpm/customs.sh");
    let installed = format!(
        "mkdir -p \"$0/home/lib64\" && ln -sf \"$1\" \"$0/home/lib64/libcustoms.so\" && \
         sed \"s#/opt/customs/local /opt/customs;#$0/home;#\" '{source}' > /etc/profile.d/customs.sh"
    );
    let answer = with_etc(&node, &installed, true);
    answer.finds("ok", "profile.d", "customs.sh names /");
    answer.finds("note", "profile.d", "customs.csh is not there");
    let answer = with_etc(&node, &format!("{installed}; mkdir -p /etc/customs && touch /etc/customs/off"), true);
    answer.finds("note", "profile.d", "sets nothing, because of /etc/customs/off");
    let copied = format!("cp '{source}' /etc/profile.d/customs.sh");
    with_etc(&node, &copied, true).finds("note", "profile.d", "sets nothing, and what is looked at here is /");
    with_etc(&node, &copied, false).finds("problem", "profile.d", "nothing is preloaded at login");
}

#[test]
fn a_noexec_file_system_is_told() {
    if !hosts::is_root("a file system") {
        return;
    }
    let node = Node::new("");
    fs::create_dir(node.path("noexec")).unwrap();
    let inner = node.command(&["--site", "site.toml"]);
    let script = "mount -t tmpfs -o noexec none \"$0/noexec\" && cp \"$0/libcustoms.so\" \"$0/noexec\" && \
                  exec env LD_PRELOAD=\"$0/noexec/libcustoms.so\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script, node.path("").trim_end_matches('/')]);
    command.arg(inner.get_program()).args(inner.get_args()).current_dir(node.path(""));
    let answer = Answered::of(&mut command);
    answer.finds("problem", "library", "mounted noexec");
    answer.finds("problem", "python", "loads a copy, but not what is installed");
}

#[test]
fn a_python_in_each_kind_of_root_is_tried_without_a_trace() {
    if !hosts::is_root("a root") {
        return;
    }
    let node = Node::new("");
    for (name, python) in [("bullseye", "3.9."), ("trixie", "3.13."), ("musl-root", "3.13.")] {
        let root = hosts::cache().join(name);
        if !hosts::is_here(root.to_str().unwrap(), name) {
            continue;
        }
        let before = fs::read_dir(root.join("tmp")).unwrap().count();
        let answer = node.asks(&["--site", "site.toml", "--root", root.to_str().unwrap()]);
        answer.has_problems(&[]);
        answer.finds("ok", "root", &format!("Python {python}"));
        answer.finds("note", "root", "docs/CONTAINERS.md");
        assert_eq!(fs::read_dir(root.join("tmp")).unwrap().count(), before, "{name}");
    }
    let root = hosts::cache().join("i386");
    if hosts::is_here(root.to_str().unwrap(), "i386") {
        let answer = node.asks(&["--site", "site.toml", "--root", root.to_str().unwrap()]);
        answer.finds("problem", "root", "wrong ELF class");
    }
    let empty = node.path("empty");
    fs::create_dir(&empty).unwrap();
    node.asks(&["--site", "site.toml", "--root", &empty]).finds("note", "root", "no Python in usr/local/bin");
}

#[test]
fn a_python_on_musl_is_tried_as_any_other() {
    let musl = hosts::cache().join("musl/bin/python3.13");
    if hosts::is_here(musl.to_str().unwrap(), "musl") {
        let answer = Node::new("").asks(&["--site", "site.toml", "--python", musl.to_str().unwrap()]);
        answer.has_problems(&[]);
        answer.finds("ok", "python", "on musl, loads it and reports");
    }
}

#[test]
fn a_collector_is_asked_how_it_is() {
    let node = Node::new("");
    let dataset = Dataset::new();
    let collector = Collector::on_loopback(&dataset.path(), &[]);
    let address = collector.address("http").to_string();
    node.asks(&["--site", "site.toml", "--collector", &address]).finds("ok", "collector", "it is well");
    collector.stop();
    node.asks(&["--site", "site.toml", "--collector", &address]).finds("problem", "collector", "does not answer");
}

#[test]
fn what_is_named_and_is_not_there_is_wrong_usage() {
    let node = Node::new("");
    for arguments in [
        &["--site", "nowhere.toml"][..],
        &["--root", "/nowhere"],
        &["--python", "/nowhere/python"],
        &["--collector", "loghost"],
        &["--nonsense"],
    ] {
        let answer = Answer::of(node.command(arguments).output().unwrap());
        assert_eq!((answer.status, answer.stdout.as_str()), (2, ""), "{arguments:?} {answer:?}");
    }
    fs::write(node.site.path("bad.toml"), "[site]\n").unwrap();
    let answer = Answer::of(node.command(&["--site", "bad.toml"]).output().unwrap());
    assert_eq!((answer.status, &answer.json()["ok"]), (2, &false.into()), "{answer:?}");
    // A library that was named and is not there is what a doctor finds.
    node.asks(&["--library", "/nowhere/libcustoms.so"]).finds("problem", "library", "write it with `customs compile`");
}
