//! A real rsyslogd parses every field of a record to the value that was sent, over UDP and over a socket like
//! /dev/log.

use crate::support::hosts;
use crate::support::library::Library;
use crate::support::trial::{SITE, bare, python, run};
use crate::support::wait::wait_for;
use serde_json::Value;
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use tempfile::TempDir;

/// An rsyslogd of our own, which writes what it parsed as JSON lines.
struct Rsyslogd {
    folder: TempDir,
    port: u16,
    daemon: Child,
}

impl Rsyslogd {
    /// `None` where it is not installed, and that is no failure.
    fn start() -> Option<Self> {
        if !hosts::is_here("/usr/sbin/rsyslogd", "rsyslog") {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let template =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/rsyslog.conf")).unwrap();
        let text = template.replace("@DIR@", folder.path().to_str().unwrap()).replace("5514", &port.to_string());
        let configuration = folder.path().join("rsyslog.conf");
        fs::write(&configuration, text).unwrap();
        let mut command = bare("/usr/sbin/rsyslogd");
        command.arg("-n").arg("-f").arg(&configuration).arg("-i").arg(folder.path().join("pid"));
        let daemon = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let rsyslogd = Rsyslogd { folder, port, daemon };
        // Its socket appears when its inputs run.
        wait_for("its socket", || rsyslogd.socket().exists().then_some(()));
        Some(rsyslogd)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("log.sock")
    }

    /// What it has parsed, once there are `count` messages.
    fn messages(&self, count: usize) -> Vec<Value> {
        wait_for("all messages", || {
            let text = fs::read_to_string(self.folder.path().join("out.json")).unwrap_or_default();
            let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
            (lines.len() >= count).then_some(lines)
        })
    }
}

impl Drop for Rsyslogd {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[test]
fn rsyslogd_parses_every_field_over_udp_and_over_a_log_socket() {
    let Some(rsyslogd) = Rsyslogd::start() else { return };
    let file = rsyslogd.folder.path().join("sent");
    let servers = [format!("udp://127.0.0.1:{}", rsyslogd.port), format!("unix://{}", rsyslogd.socket().display())];
    let nasty = "quote\" back\\slash\nline\ttab \u{1} größe <13>1";
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("naïve \"script\".py");
    fs::write(&script, "import sqlite3, json").unwrap();
    let variables = [
        ("SLURM_JOB_ID", nasty),
        ("SLURM_JOB_NUM_NODES", "12"),
        ("SLURM_JOB_QOS", "regular"),
        ("SLURM_JOB_ACCOUNT", "m1234"),
        ("SLURMD_NODENAME", "nid00012"),
        ("CH_RUNNING", "yes"),
    ];
    for (count, server) in servers.iter().enumerate() {
        // The same record goes into a file as well, which is what was sent.
        let site = SITE.replace(
            "[[list]]\n",
            &format!(
                "[[transport]]\nname = \"sent\"\non = \"any\"\nservers = [\"file://{}\"]\n[[list]]\n\
             transport = [\"receiver\", \"sent\"]\n",
                file.display()
            ),
        );
        let site = site.replace("udp://{receiver}", server);
        let outcome = run(&site, &variables, &[script.to_str().unwrap()]);
        assert!(outcome.output.status.success());
        let parsed = rsyslogd.messages(count + 1).pop().unwrap();
        let sent = fs::read_to_string(&file).unwrap().lines().last().unwrap().to_owned();
        let body = &sent[sent.find('{').unwrap()..];
        assert_eq!(parsed["msg"].as_str().unwrap().trim_start(), body, "{server}");
        let (parsed_record, record): (Value, Value) =
            (serde_json::from_str(parsed["msg"].as_str().unwrap()).unwrap(), serde_json::from_str(body).unwrap());
        assert_eq!(parsed_record, record);
        assert_eq!(record["job_id"], nasty);
        assert_eq!(record["main"], script.to_str().unwrap());
        let time = sent.split(' ').nth(1).unwrap();
        for (field, expected) in [
            ("pri", "134"),
            ("facility", "local0"),
            ("severity", "info"),
            ("version", "1"),
            ("timestamp", time),
            ("host", "nid00012"),
            ("app", "customs"),
            ("procid", &record["pid"].to_string()),
            ("msgid", "customs"),
            ("sd", "-"),
        ] {
            assert_eq!(parsed[field], expected, "{field} over {server}: {parsed}");
        }
    }
}

#[test]
fn rsyslogd_takes_the_parts_of_a_long_record_and_hostile_bytes() {
    let Some(rsyslogd) = Rsyslogd::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut packages = String::new();
    let mut code = String::from("pass\n");
    for number in 0..120 {
        let name = format!("a_package_with_a_long_name_{number}");
        packages += &format!("[[package]]\nname = \"{name}\"\n");
        fs::write(folder.path().join(format!("{name}.py")), "__version__ = '1'").unwrap();
        code += &format!("import {name}\n");
    }
    let site = SITE.replace("udp://{receiver}", &format!("udp://127.0.0.1:{}", rsyslogd.port));
    let library = Library::compile(&site, &packages);
    let mut command = bare(python());
    command.args(["-c", &code]).env("LD_PRELOAD", library.path()).env("PYTHONPATH", folder.path());
    assert!(command.status().unwrap().success());
    let first = rsyslogd.messages(1);
    let record = |message: &Value| serde_json::from_str::<Value>(message["msg"].as_str().unwrap()).unwrap();
    let parts = record(&first[0])["parts"].as_u64().unwrap() as usize;
    assert!(parts > 3);
    let mut names: Vec<String> = Vec::new();
    for message in rsyslogd.messages(parts) {
        names.extend(
            record(&message)["packages"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(names.len(), 120);
}
