//! Every way out: where records go, and what happens when nobody is there.

use crate::support::hosts;
use crate::support::trial::{PACKAGES, SITE, bare, python, run, under};
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

/// A site with these servers.
fn to(servers: &str) -> String {
    SITE.replace("\"udp://{receiver}\"", servers)
}

fn received(socket: &UnixDatagram) -> usize {
    socket.set_nonblocking(true).unwrap();
    let mut buffer = [0; 65_536];
    std::iter::from_fn(|| socket.recv(&mut buffer).ok()).count()
}

#[test]
fn ipv6_reaches_its_server() {
    let socket = UdpSocket::bind("[::1]:0").unwrap();
    let site = to(&format!("\"udp://{}\"", socket.local_addr().unwrap()));
    assert!(run(&site, &[], &["-c", "pass"]).output.status.success());
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut buffer = [0; 2048];
    let length = socket.recv(&mut buffer).unwrap();
    assert!(buffer[..length].starts_with(b"<134>1 "));
}

#[test]
fn a_unix_socket_gets_a_datagram_and_a_file_gets_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let socket = UnixDatagram::bind(&path).unwrap();
    let file = folder.path().join("records");
    for server in [format!("\"unix://{}\"", path.display()), format!("\"file://{}\"", file.display())] {
        for _ in 0..3 {
            assert!(run(&to(&server), &[], &["-c", "pass"]).output.status.success());
        }
    }
    assert_eq!(received(&socket), 3);
    let lines = std::fs::read_to_string(&file).unwrap();
    assert_eq!(lines.lines().filter(|line| line.starts_with("<134>1 ") && line.ends_with('}')).count(), 3);
}

#[test]
fn a_socket_that_nobody_reads_does_not_hold_anybody_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let socket = UnixDatagram::bind(&path).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    while sender.send_to(b"x", &path).is_ok() {}
    let start = Instant::now();
    let outcome = run(&to(&format!("\"unix://{}\"", path.display())), &[], &["-c", "print(1)"]);
    assert!(outcome.output.status.success());
    assert_eq!(outcome.output.stdout, b"1\n");
    assert!(start.elapsed() < Duration::from_secs(20), "it waited");
    drop(socket);
}

#[test]
fn a_fifo_without_a_reader_and_a_symbolic_link_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let victim = folder.path().join("victim");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&victim, &link).unwrap();
    for path in [&fifo, &link] {
        let outcome = run(&to(&format!("\"file://{}\"", path.display())), &[], &["-c", "print(1)"]);
        assert!(outcome.output.status.success());
        assert_eq!(outcome.output.stdout, b"1\n");
    }
    assert!(!victim.exists());
}

#[test]
fn reports_spread_over_the_servers_and_leave_the_random_state_alone() {
    let sockets: Vec<UdpSocket> = (0..3).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let servers: Vec<String> =
        sockets.iter().map(|socket| format!("\"udp://{}\"", socket.local_addr().unwrap())).collect();
    let site = to(&servers.join(", "));
    let code = "import random, atexit\nrandom.seed(1)\natexit.register(lambda: print(random.random()))";
    let mut printed = Vec::new();
    let outcome = under(&site, PACKAGES, |library| {
        let mut command = bare("sh");
        command
            .arg("-c")
            .arg(format!("for i in $(seq 45); do {} -S -c '{code}'; done", python()))
            .env("LD_PRELOAD", library);
        command
    });
    printed.extend(String::from_utf8(outcome.output.stdout).unwrap().lines().map(str::to_owned));
    assert_eq!(printed.len(), 45);
    assert!(printed.iter().all(|line| line == "0.13436424411240122"), "{printed:?}");
    let mut total = 0;
    for socket in sockets {
        socket.set_nonblocking(true).unwrap();
        let mut buffer = [0; 2048];
        let count = std::iter::from_fn(|| socket.recv(&mut buffer).ok()).count();
        assert!(count > 0, "a server that never was picked in 45 reports");
        total += count;
    }
    assert_eq!(total, 45);
}

#[test]
fn a_server_without_a_route_is_made_good_by_another() {
    if !hosts::is_root("a network namespace") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let socket = UnixDatagram::bind(&path).unwrap();
    let site = to(&format!("\"udp://192.0.2.1:9\", \"unix://{}\"", path.display()));
    for _ in 0..8 {
        // In an empty network namespace every address is ENETUNREACH.
        let outcome = under(&site, PACKAGES, |library| {
            let mut command = bare("unshare");
            command.args(["--net", "env", &format!("LD_PRELOAD={library}"), python(), "-c", "pass"]);
            command
        });
        assert!(outcome.output.status.success(), "{}", String::from_utf8_lossy(&outcome.output.stderr));
    }
    assert_eq!(received(&socket), 8);
}

#[test]
fn a_list_goes_where_it_says_and_else_where_the_process_belongs() {
    let folder = tempfile::tempdir().unwrap();
    let sockets: Vec<UnixDatagram> =
        ["compute", "any", "named"].iter().map(|name| UnixDatagram::bind(folder.path().join(name)).unwrap()).collect();
    let transport = |name: &str, on: &str| {
        let path = folder.path().join(name);
        format!("[[transport]]\nname = \"{name}\"\non = \"{on}\"\nservers = [\"unix://{}\"]\n", path.display())
    };
    let site = format!(
        "[site]\nsystem = \"test\"\n{}{}{}[compute]\nenv = [\"TASK\"]\n\
         [[list]]\nname = \"a\"\ninclude = [\"packages.toml\"]\n\
         [[list]]\nname = \"b\"\ninclude = [\"packages.toml\"]\ntransport = [\"named\", \"any\"]\n",
        transport("compute", "compute"),
        transport("any", "any"),
        transport("named", "any"),
    );
    run(&site, &[("TASK", "1")], &["-c", "pass"]);
    assert_eq!(sockets.iter().map(received).collect::<Vec<_>>(), [1, 1, 1]);
    run(&site, &[], &["-c", "pass"]);
    assert_eq!(sockets.iter().map(received).collect::<Vec<_>>(), [0, 2, 1]);
}
