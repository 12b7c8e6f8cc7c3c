//! `customs serve`: what a browser gets.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server, stopped when it is dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(tables: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_customs"));
        command.arg("serve").arg(tables).args(["--listen", "127.0.0.1:0"]).args(arguments).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().trim_start_matches("customs: http://").trim_end_matches('/').to_string();
        Server { child, address }
    }

    /// Status, head and body of an answer.
    fn ask(&self, method: &str, path: &str) -> (u16, String, String) {
        self.ask_as(&self.address, method, path)
    }

    /// The same under a name of the server's.
    fn ask_as(&self, host: &str, method: &str, path: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), body.to_string())
    }

    fn get(&self, path: &str) -> String {
        let (status, head, body) = self.ask("GET", path);
        assert_eq!(status, 200, "{path}: {head}\n{body}");
        body
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn customs(arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_customs")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Tables of a made-up centre, and the folder that they are in.
fn tables(days: &str) -> (tempfile::TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let (dataset, tables) = (place("dataset"), place("tables"));
    customs(&["synth", "--out", &dataset, "--users=60", "--jobs=1500", "--from=2026-01-01", "--days", days]);
    customs(&["reduce", &dataset, "--out", &tables, "--to=2026-02-28"]);
    (folder, dataset, tables)
}

#[test]
fn a_served_figure_has_the_numbers_of_the_report() {
    let (folder, _, tables) = tables("59");
    let server = Server::start(Path::new(&tables), &[]);
    let out = folder.path().join("report");
    let question = ["--from=2026-02-01", "--to=2026-02-28", "--staff=include", "--subsystem=gpu"];
    customs(&[&["report", &tables, "--out", out.to_str().unwrap()], &question[..]].concat());
    let query = "?from=2026-02-01&to=2026-02-28&staff=include&subsystem=gpu";
    let mut compared = 0;
    for entry in fs::read_dir(out.join("figures")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with(".parquet") {
            assert_eq!(server.get(&format!("/figures/{name}{query}")), fs::read_to_string(&path).unwrap(), "{name}");
            compared += 1;
        }
    }
    assert!(compared > 30, "{compared} files");
    // The page that belongs to it has the question in its form and in its links, and is the same again.
    let page = server.get(&format!("/{query}"));
    let link = "figures/top-users.csv?from=2026-02-01&amp;staff=include&amp;subsystem=gpu&amp;to=2026-02-28";
    assert!(page.contains(link) && page.contains("value=\"include\" selected") && page.contains("value=\"gpu\""));
    assert_eq!(server.get(&format!("/{query}")), page);
    assert_ne!(server.get("/"), page);
}

#[test]
fn only_questions_are_answered_and_wrong_ones_with_what_is_wrong() {
    let (folder, _, tables) = tables("59");
    let server = Server::start(Path::new(&tables), &["--min-users=5"]);
    let (_, head, page) = server.ask("GET", "/");
    assert!(head.contains("nosniff") && head.contains("frame-ancestors 'none'") && page.contains("default-src 'none'"));
    assert!(page.contains("Fit to be published"), "--min-users holds whatever is asked");
    for (path, status, said) in [
        ("/?from=yesterday", 400, "yesterday is no day"),
        ("/?staff=some", 400, "include, exclude or only"),
        (
            "/?repo=%3Cscript%3Ealert(1)%3C/script%3E",
            400,
            "--repo &lt;script&gt;alert(1)&lt;/script&gt;: the tables have no such name",
        ),
        ("/?from=2026-01-05", 400, "counted by whole months"),
        ("/figures/nothing.csv", 404, "no such figure"),
        ("/figures/..%2f..%2fetc%2fpasswd", 404, "no such figure"),
        ("/jobs/2026-01.parquet", 404, ""),
    ] {
        let (got, _, body) = server.ask("GET", path);
        assert!(got == status && body.contains(said), "{path}: {got} {body}");
        assert!(!body.contains("<script>alert"), "{path}");
    }
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(server.ask(method, "/").0, 405, "{method}");
    }
    // A page from elsewhere, whose name was made to lead here, is not answered.
    for (host, status) in
        [("localhost:8417", 200), ("[::1]:1", 200), ("evil.example.org", 421), ("10.0.0.1", 421), ("", 421)]
    {
        let (got, _, body) = server.ask_as(host, "GET", "/figures/top-users.csv");
        assert!(got == status && body.contains("numpy") == (status == 200), "{host}: {got} {body}");
    }
    drop(folder);
}

#[test]
fn what_is_reduced_meanwhile_is_seen() {
    let (_folder, dataset, tables) = tables("80");
    let server = Server::start(Path::new(&tables), &[]);
    assert!(!server.get("/figures/trends.csv").contains("2026-03"));
    customs(&["reduce", &dataset, "--out", &tables]);
    assert!(server.get("/figures/trends.csv").contains("2026-03"));
}
