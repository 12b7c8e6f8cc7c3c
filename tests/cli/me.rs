//! `customs me`

use super::{Answer, Site};
use crate::support::collector::{Collector, Dataset, id, message};
use crate::support::hosts;
use crate::support::trial::python;
use serde_json::{Value, json};
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;

const SITE: &str = "\
[site]
system = \"cori\"
omit = [\"main\", \"uid\"]
pseudonymise = [\"username\", \"host\"]
pseudonym_key = \"a key\"
[[transport]]
name = \"service-nodes\"
on = \"compute\"
servers = [\"udp://192.0.2.7:514\"]
[[transport]]
name = \"local\"
servers = [\"udp://RECEIVER\"]
[[list]]
name = \"packages\"
include = [\"packages.toml\"]
[[list]]
name = \"everything\"
all = true
rate = 0.01
transport = [\"local\"]
";

/// A site and its receiver, to which nothing may be sent.
struct Place {
    site: Site,
    receiver: UdpSocket,
}

impl Place {
    fn new(text: &str) -> Self {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let text = text.replace("RECEIVER", &receiver.local_addr().unwrap().to_string());
        let place = Place { site: Site::new(&text), receiver };
        assert_eq!(place.site.customs(["compile", "site.toml"]).status, 0);
        place
    }

    fn library(&self) -> String {
        self.site.path("libcustoms.so").to_str().unwrap().to_string()
    }

    /// In the environment of a user to whom the library is given by default.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.site.command([&["me"], arguments].concat());
        for name in ["SLURMD_NODENAME", "PBS_NODENUM", "LSB_MCPU_HOSTS", "FLUX_TASK_RANK", "PALS_RANKID"] {
            command.env_remove(name);
        }
        command.env("LD_PRELOAD", self.library());
        command
    }

    fn me(&self, arguments: &[&str]) -> Answer {
        Answer::of(self.command(arguments).output().unwrap())
    }

    /// Nothing came to the site's own receiver.
    fn sent_nothing(&self) {
        self.receiver.set_nonblocking(true).unwrap();
        let mut buffer = [0; 4096];
        assert!(self.receiver.recv(&mut buffer).is_err(), "{}", String::from_utf8_lossy(&buffer));
    }
}

/// What is wrapped for a reader.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_user_reads_in_plain_words_what_is_sent_and_what_is_not() {
    let place = Place::new(SITE);
    let answer = place.me(&[]);
    assert_eq!((answer.status, answer.stderr.as_str()), (0, ""), "{answer:?}");
    let text = in_one_line(&answer.stdout);
    for part in [
        "of cori, in /",
        "Python programs that you start from here are reported, when they end",
        "list packages: 3 Python packages, and 1 native library (such as ",
        "list everything: the name of every other top-level module",
        "your own modules too, in a sample of jobs, a share of 0.01",
        "who you are: username (as a code), is_staff",
        "leaves out uid, main: your centre has chosen",
        "never the arguments of commands; what is in files;",
        "records of this place go to udp://127.0.0.1:",
        "records of batch jobs go to udp://192.0.2.7:514 (service-nodes)",
        "`export CUSTOMS_OPT_OUT=1`",
        "whoever opts out is not counted",
    ] {
        assert!(text.contains(part), "{part}: {}", answer.stdout);
    }
    assert!(answer.stdout.lines().all(|line| line.chars().count() <= 100), "{}", answer.stdout);
    assert!(!answer.stdout.contains('\u{1b}'));
    place.sent_nothing();
}

#[test]
fn a_program_gets_the_same_as_json() {
    let place = Place::new(SITE);
    let digest = &place.site.customs(["check", "--json", "site.toml"]).json()["digest"];
    let answer = place.me(&["--json"]).json();
    let keys: Vec<&String> = answer.as_object().unwrap().keys().collect();
    let expected = [
        "in_force",
        "lists",
        "omitted",
        "opt_out",
        "policy",
        "pseudonymised",
        "recorder",
        "reported",
        "sent",
        "source",
        "system",
        "transports",
        "variables",
        "why_not",
    ];
    assert_eq!(keys, expected);
    assert_eq!((&answer["policy"], &answer["reported"], &answer["why_not"]), (digest, &json!(true), &json!([])));
    assert_eq!(answer["omitted"], json!(["uid", "main"]));
    assert_eq!(answer["pseudonymised"], json!(["host", "username"]));
    assert!(answer["sent"].as_array().unwrap().contains(&json!("packages")));
    assert!(!answer["sent"].as_array().unwrap().contains(&json!("main")));
    assert_eq!(answer["opt_out"], json!({ "variables": ["CUSTOMS_OPT_OUT"], "set": [] }));
    assert_eq!(
        answer["lists"][1],
        json!({ "name": "everything", "packages": 0, "libraries": 0, "all": true, "rate": 0.01, "per": "job", "empty": true })
    );
    assert_eq!(
        (&answer["transports"][0]["name"], &answer["transports"][0]["from_here"]),
        (&json!("local"), &json!(true))
    );
}

#[test]
fn who_opted_out_is_told_so() {
    let place = Place::new(SITE);
    let answer = Answer::of(place.command(&["--json"]).env("CUSTOMS_OPT_OUT", "1").output().unwrap()).json();
    assert_eq!(answer["reported"], false);
    assert_eq!(answer["why_not"], json!(["you have opted out: CUSTOMS_OPT_OUT is set"]));
    let answer = Answer::of(place.command(&[]).env("CUSTOMS_OPT_OUT", "1").output().unwrap());
    assert!(answer.stdout.contains("nothing that you start from here is reported: you have"), "{answer:?}");
    let command = ["--", python(), "-c", "pass"];
    let answer = Answer::of(place.command(&command).env("CUSTOMS_OPT_OUT", "1").output().unwrap());
    assert_eq!((answer.status, answer.stdout.as_str()), (0, ""), "{answer:?}");
    assert!(answer.stderr.contains("CUSTOMS_OPT_OUT is set: the user opted out"), "{answer:?}");
}

#[test]
fn without_a_library_the_site_file_is_read_and_without_both_nothing_is_in_force() {
    let place = Place::new(SITE);
    let answer =
        Answer::of(place.command(&["--site", "site.toml", "--json"]).env_remove("LD_PRELOAD").output().unwrap());
    let answer = answer.json();
    assert_eq!((&answer["in_force"], &answer["reported"]), (&json!(true), &json!(false)));
    assert_eq!(answer["why_not"], json!(["no customs library is preloaded in this environment"]));
    let answer = Answer::of(place.command(&["--site", "nowhere.toml"]).env_remove("LD_PRELOAD").output().unwrap());
    assert_eq!((answer.status, answer.stdout.as_str()), (2, ""));
    if !Path::new("/etc/customs/site.toml").exists() {
        let answer = Answer::of(place.command(&[]).env_remove("LD_PRELOAD").output().unwrap());
        assert_eq!(answer.status, 0);
        assert!(answer.stdout.contains("nothing that you start from here is reported"), "{answer:?}");
        let answer = Answer::of(place.command(&["--", "true"]).env_remove("LD_PRELOAD").output().unwrap());
        assert_eq!((answer.status, answer.stdout.as_str()), (1, ""), "{answer:?}");
    }
}

/// What a library sends of a command, by the site's own way.
fn really_sent(site: &str, command: &[&str]) -> Vec<String> {
    let place = Place::new(site);
    let output = Command::new(command[0]).args(&command[1..]).env("LD_PRELOAD", place.library()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    place.receiver.set_nonblocking(true).unwrap();
    let mut buffer = vec![0; 65_536];
    let mut bodies = Vec::new();
    while let Ok(length) = place.receiver.recv(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        bodies.push(text.splitn(8, ' ').nth(7).unwrap().to_string());
    }
    bodies
}

#[test]
fn the_json_that_a_command_would_send_is_the_json_that_it_sends() {
    // All that is drawn by lot comes: of processes under an hour all but one in a million, of jobs nearly all.
    let site = SITE.replace("rate = 0.01", "rate = 0.999999") + "[[thin]]\nshorter_than = \"1h\"\nkeep = 0.999999\n";
    let code = "import multiprocessing, sys; sys.modules['a_module_of_mine'] = sys";
    let command = [python(), "-c", code, "secret argument"];
    let place = Place::new(&site);
    let arguments = [&["--"], &command[..]].concat();
    let shown = Answer::of(place.command(&arguments).env("CUSTOMS_CANARY", "c").output().unwrap());
    assert_eq!(shown.status, 0, "{shown:?}");
    place.sent_nothing();
    let sent = really_sent(&site, &[&["env", "CUSTOMS_CANARY=c"], &command[..]].concat());
    let shown: Vec<&str> = shown.stdout.lines().collect();
    assert_eq!((shown.len(), sent.len()), (2, 2), "{shown:?} {sent:?}");
    for (shown, sent) in shown.iter().zip(&sent) {
        // Byte for byte, but for what another process has of its own. The policies differ in the receiver's port.
        let own = ["id", "pid", "ppid", "start", "elapsed", "policy"];
        let mut same = [shown.to_string(), sent.clone()];
        for text in &mut same {
            let record: Value = serde_json::from_str(text).unwrap();
            for key in own {
                // As written: numbers keep their zeros.
                let from = text.find(&format!("\"{key}\":")).unwrap() + key.len() + 3;
                let length = text[from..].find([',', '}']).unwrap();
                text.replace_range(from..from + length, "X");
            }
            assert!(record["rate"].is_null() || record["rate"] == 0.999_999);
        }
        assert_eq!(same[0], same[1]);
        assert!(!shown.contains("secret argument"), "{shown}");
    }
    let policy = &place.me(&["--json"]).json()["policy"];
    let record: Value = serde_json::from_str(shown[1]).unwrap();
    assert_eq!((&record["policy"], &record["rate"], &record["canary"]), (policy, &json!(0.999_999), &json!("c")));
    assert!(record["weight"].is_number() && record["main"] == "" && record["uid"] == -1, "{record}");
    assert!(record["packages"].as_array().unwrap().contains(&json!("a_module_of_mine")), "{record}");
}

#[test]
fn a_sampled_list_is_shown_with_its_rate_and_the_output_of_the_command_does_not_mix_with_it() {
    let place = Place::new(SITE);
    let answer = place.me(&["--", python(), "-c", "print('mine'); import sys; sys.exit(3)"]);
    assert_eq!(answer.status, 3, "{answer:?}");
    let records: Vec<Value> = answer.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((records.len(), &records[1]["rate"]), (2, &json!(0.01)), "{answer:?}");
    assert!(
        answer.stderr.contains("mine\n")
            && answer.stderr.contains("everything is sent of a share of 0.01 of jobs only"),
        "{answer:?}"
    );
    place.sent_nothing();
}

#[test]
fn what_all_programs_get_sends_nothing_while_a_command_is_tried() {
    if !hosts::is_root("a mount namespace") {
        return;
    }
    let place = Place::new(SITE);
    let inner = place.command(&["--", python(), "-c", "pass"]);
    let script = "mkdir etc && mount -t tmpfs none etc && cp -a /etc/. etc 2>/dev/null; mount --bind etc /etc && echo \"$0\" > /etc/ld.so.preload; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script, &place.library()]);
    command
        .arg(inner.get_program())
        .args(inner.get_args())
        .current_dir(place.site.path(""))
        .env_remove("CUSTOMS_OPT_OUT");
    let answer = Answer::of(command.output().unwrap());
    assert_eq!((answer.status, answer.stdout.lines().count()), (0, 2), "{answer:?}");
    place.sent_nothing();
}

/// When the process of that number began: each on a day of its own.
fn start(number: u64) -> String {
    let day = chrono::Utc::now() - chrono::Duration::days(20 - number as i64);
    format!("{}T10:00:00.000000Z", day.format("%Y-%m-%d"))
}

/// A dataset with records of root, of alice (1000) and of nobody's number.
fn dataset() -> Dataset {
    let dataset = Dataset::new();
    let collector = Collector::on_loopback(&dataset.path(), &["--every", "1"]);
    let send = |number: u64, edit: &dyn Fn(&mut Value)| {
        collector.send(&message(|record| {
            record["id"] = json!(id(number));
            edit(record);
        }));
    };
    let own = nix::unistd::getuid().as_raw();
    for number in 0..5 {
        send(number, &|record| {
            record["uid"] = json!(own);
            record["username"] = json!("me");
            record["host"] = json!("nid7");
            record["start"] = json!(start(number));
            record["packages"] = json!(["numpy", "scipy"][..1 + (number % 2) as usize]);
        });
    }
    // The same process once more, with more found: the other one does not count. In a file of its own.
    collector.wait_for("customs_written_total{sink=\"dataset\"}", |written| written >= 5.0);
    send(1, &|record| {
        record["uid"] = json!(own);
        record["seq"] = json!(1);
        record["start"] = json!(start(1));
        record["packages"] = json!(["numpy", "scipy", "pandas"]);
    });
    send(9, &|record| record["uid"] = json!(4242));
    send(10, &|record| {
        record["uid"] = json!(-1);
        record["username"] = json!("somebody");
    });
    collector.wait_for("customs_written_total{sink=\"dataset\"}", |written| written >= 8.0);
    collector.stop();
    dataset
}

#[test]
fn what_is_stored_of_oneself_is_counted_and_printed_and_of_nobody_else() {
    let (place, dataset) = (Place::new(SITE), dataset());
    let path = dataset.path();
    let path = path.to_str().unwrap();
    let answer = place.me(&["--dataset", path, "--json"]).json();
    let stored = &answer["stored"];
    assert_eq!(stored["packages"], json!({ "numpy": 5, "pandas": 1, "scipy": 2 }), "{answer}");
    assert_eq!((&stored["records"], &stored["processes"]), (&json!(5), &json!(5)));
    assert_eq!((&stored["first"], &stored["last"]), (&json!(start(0)), &json!(start(4))));
    let answer = place.me(&["--dataset", path]);
    let text = in_one_line(&answer.stdout);
    assert!(text.contains("5 records of 5 processes of uid "), "{answer:?}");
    assert!(text.contains(&format!("from {} to {}", &start(0)[..10], &start(4)[..10])), "{answer:?}");
    assert!(text.ends_with("numpy 5, scipy 2, pandas 1 hosts nid7 4, nid1 1"), "{answer:?}");
    let answer = place.me(&["--dataset", path, "--records"]);
    let records: Vec<Value> = answer.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 5, "{answer:?}");
    let own = json!(nix::unistd::getuid().as_raw());
    assert!(records.iter().all(|record| record["uid"] == own && record["schema"] == 1), "{answer:?}");
    assert_eq!((&records[1]["seq"], &records[1]["packages"]), (&json!(1), &json!(["numpy", "scipy", "pandas"])));
}

#[test]
fn only_root_may_ask_for_another_user() {
    if !hosts::is_root("another user") {
        return;
    }
    let (place, dataset) = (Place::new(SITE), dataset());
    let path = dataset.path();
    let path = path.to_str().unwrap();
    let answer = place.me(&["--dataset", path, "--uid", "4242", "--json"]).json();
    assert_eq!((&answer["stored"]["uid"], &answer["stored"]["records"]), (&json!(4242), &json!(1)));
    let answer = place.me(&["--dataset", path, "--uid", "4243"]);
    assert!(answer.stdout.contains("nothing of uid 4243"), "{answer:?}");
    // The command where everybody can run it.
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let customs = folder.path().join("customs");
    std::fs::copy(env!("CARGO_BIN_EXE_customs"), &customs).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=4242", "--regid=4242", "--clear-groups"]).arg(&customs);
    command.args(["me", "--dataset", "/tmp", "--uid", "0"]).current_dir("/");
    let answer = Answer::of(command.output().unwrap());
    assert_eq!((answer.status, answer.stdout.as_str()), (2, ""), "{answer:?}");
    assert!(answer.stderr.contains("only root may ask for another user"), "{answer:?}");
}

#[test]
fn what_makes_no_sense_is_wrong_usage() {
    let place = Place::new(SITE);
    for arguments in [&["--records"][..], &["--uid", "0"], &["--dataset", "/nowhere"], &["--nonsense"]] {
        let answer = place.me(arguments);
        assert_eq!((answer.status, answer.stdout.as_str()), (2, ""), "{arguments:?} {answer:?}");
    }
}
