//! `customs emit`

use super::{Answer, Site};
use std::io::Write;
use std::net::UdpSocket;
use std::process::Stdio;
use std::time::Duration;

/// A receiver, and a site that sends there.
fn receiver() -> (UdpSocket, Site) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let address = socket.local_addr().unwrap();
    let site = format!(
        "[site]\nsystem = \"cori\"\nfacility = \"local3\"\n[[transport]]\nname = \"t\"\nservers = [\"udp://{address}\"]\n\
         [[list]]\nname = \"l\"\n"
    );
    (socket, Site::new(&site))
}

fn emit(site: &Site, input: &str) -> Answer {
    let mut command = site.command(["emit", "--msgid", "my-key", "--site", "site.toml"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Answer::of(child.wait_with_output().unwrap())
}

#[test]
fn an_object_arrives_as_an_rfc_5424_message() {
    let (socket, site) = receiver();
    let answer = emit(&site, "{\n  \"b\": 1.50,\n  \"a\": \"ü\"\n}\n");
    assert_eq!((answer.status, answer.stdout.as_str(), answer.stderr.as_str()), (0, "", ""));
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    let message = std::str::from_utf8(&buffer[..length]).unwrap();
    let fields: Vec<&str> = message.splitn(8, ' ').collect();
    assert_eq!(fields[0], "<158>1", "facility 19, severity 6");
    assert_eq!((fields[3], fields[5], fields[6]), ("customs", "my-key", "-"));
    assert_eq!(fields[7], "{   \"b\": 1.50,   \"a\": \"ü\" }");
}

#[test]
fn what_does_not_fit_is_not_cut_but_refused() {
    let (_socket, site) = receiver();
    let answer = emit(&site, &format!("{{\"a\": \"{}\"}}", "x".repeat(2000)));
    assert_eq!(answer.status, 1);
    assert!(answer.stderr.contains(" bytes and the transport `t` takes 1452; nothing was sent"), "{answer:?}");
}

#[test]
fn what_is_no_object_is_bad_input() {
    let (_socket, site) = receiver();
    for input in ["", "[1, 2]", "{\"a\": 1} {\"b\": 2}", "hello"] {
        let answer = emit(&site, input);
        assert_eq!(answer.status, 2, "{input}");
        assert!(answer.stderr.starts_with("customs: standard input is not one JSON object: "), "{answer:?}");
    }
}

#[test]
fn a_msgid_that_would_break_the_frame_is_wrong_usage() {
    let (_socket, site) = receiver();
    for msgid in ["two words", "", "umlaut-ü", "123456789012345678901234567890123"] {
        let answer = site.customs(["emit", "--site", "site.toml", "--msgid", msgid]);
        assert_eq!(answer.status, 2, "{msgid}");
        assert!(answer.stderr.contains("printable ASCII"), "{answer:?}");
    }
}

#[test]
fn without_a_site_file_it_says_where_it_looked() {
    let answer = Site::new("").customs(["emit", "--msgid", "k", "--site", "/nowhere/site.toml"]);
    assert_eq!(answer.status, 2);
    assert!(answer.stderr.contains("/nowhere/site.toml") && answer.stderr.contains("--site SITE.toml"), "{answer:?}");
}

#[test]
fn a_compute_process_takes_the_transport_that_is_meant_for_it() {
    let text = "[site]\nsystem = \"x\"\n[[transport]]\nname = \"c\"\non = \"compute\"\nservers = [\"file://DIR/compute\"]\n\
        [[transport]]\nname = \"a\"\nservers = [\"file://DIR/any\"]\n[compute]\nenv = [\"ON_COMPUTE\"]\n[[list]]\nname = \"l\"\n";
    let site = Site::new("");
    let text = text.replace("DIR", site.path("").to_str().unwrap().trim_end_matches('/'));
    std::fs::write(site.path("site.toml"), text).unwrap();
    std::fs::write(site.path("object.json"), "{\"a\": 1}").unwrap();
    for (value, file) in [("1", "compute"), ("", "any")] {
        let mut command = site.command(["emit", "--msgid", "k", "--site", "site.toml"]);
        let input = std::fs::File::open(site.path("object.json")).unwrap();
        let answer = Answer::of(command.env("ON_COMPUTE", value).stdin(input).output().unwrap());
        assert_eq!(answer.status, 0, "{answer:?}");
        let line = std::fs::read_to_string(site.path(file)).unwrap();
        assert!(line.starts_with("<134>1 ") && line.ends_with(" k - {\"a\": 1}\n"), "{line}");
    }
}

#[test]
fn a_log_socket_that_nobody_opened_is_a_no() {
    let site = Site::new(&super::GOOD.replace("/dev/log", "/nowhere/log"));
    let answer = emit(&site, "{}");
    assert_eq!(answer.status, 1);
    assert!(answer.stderr.contains("cannot send to unix:///nowhere/log: "), "{answer:?}");
}
