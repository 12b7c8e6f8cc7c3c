//! What stands beside the collector: daemons with the configurations that are shipped, an imitation of OpenSearch, and
//! a gate that can be shut in front of a server.

use super::hosts;
use super::trial::bare;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// A process that ends with the test.
pub struct Daemon {
    child: Child,
}

impl Daemon {
    pub fn start(command: &mut Command) -> Self {
        Daemon { child: command.spawn().unwrap() }
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// As an administrator does.
    pub fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free for UDP and for TCP.
pub fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address.port();
        }
    }
}

/// A file under rpm/engines with the site's words replaced, each of which must be in it.
pub fn shipped(name: &str, words: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("rpm/engines").join(name);
    let mut text = fs::read_to_string(&path).unwrap();
    for (theirs, ours) in words {
        assert!(text.contains(theirs), "{name} has no {theirs}");
        text = text.replace(theirs, ours);
    }
    text
}

/// An rsyslogd with a shipped configuration. It keeps its files in a folder of the test.
pub struct Rsyslogd {
    pub folder: TempDir,
    daemon: Option<Daemon>,
}

impl Rsyslogd {
    /// `/run`, `/var/spool` and `/var/log/customs` are in its folder.
    pub fn start(name: &str, words: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_str().unwrap();
        let mut text = shipped(name, words);
        for theirs in ["/run/customs", "/var/spool/customs", "/var/log/customs"] {
            text = text.replace(theirs, place);
        }
        fs::write(folder.path().join("rsyslog.conf"), text).unwrap();
        let mut rsyslogd = Rsyslogd { folder, daemon: None };
        rsyslogd.begin();
        rsyslogd
    }

    /// After [`Rsyslogd::stop`].
    pub fn begin(&mut self) {
        let place = self.folder.path();
        let mut command = bare("/usr/sbin/rsyslogd");
        command.arg("-n").arg("-f").arg(place.join("rsyslog.conf")).arg("-i").arg(place.join("pid"));
        let log = fs::File::create(place.join("rsyslogd.log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.daemon = Some(Daemon::start(&mut command));
    }

    pub fn stop(&mut self) {
        self.daemon.take().unwrap().stop();
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A syslog-ng with a shipped configuration, in its root: its package and rsyslog's exclude each other.
pub struct SyslogNg {
    pub folder: TempDir,
    _daemon: Daemon,
}

impl SyslogNg {
    pub fn is_here() -> bool {
        let program = hosts::cache().join("syslog-ng/usr/sbin/syslog-ng");
        hosts::is_root("a chroot") && hosts::is_here(program.to_str().unwrap(), "syslog-ng")
    }

    pub fn start(name: &str, words: &[(&str, &str)]) -> Self {
        let root = hosts::cache().join("syslog-ng");
        let folder = tempfile::Builder::new().prefix("customs-test-").tempdir_in(root.join("tmp")).unwrap();
        let inside = Path::new("/").join(folder.path().strip_prefix(&root).unwrap());
        let inside = inside.to_str().unwrap();
        let mut text = shipped(name, words);
        for theirs in ["/run/customs", "/var/spool/customs", "/var/log/customs"] {
            text = text.replace(theirs, inside);
        }
        fs::write(folder.path().join("syslog-ng.conf"), text).unwrap();
        let mut command = bare("chroot");
        command.arg(&root).args(["/usr/sbin/syslog-ng", "--foreground", "--no-caps"]);
        for (option, file) in [("-f", "syslog-ng.conf"), ("-p", "pid"), ("-R", "persist"), ("-c", "control")] {
            command.arg(option).arg(format!("{inside}/{file}"));
        }
        let log = fs::File::create(folder.path().join("syslog-ng.log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        SyslogNg { _daemon: Daemon::start(&mut command), folder }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// PyPI's osmem-server: an imitation of OpenSearch that keeps everything in memory.
pub struct OpenSearch {
    pub address: SocketAddr,
    _daemon: Daemon,
}

impl OpenSearch {
    pub fn start() -> Option<Self> {
        let program = hosts::cache().join("opensearch/bin/osmem-server");
        if !hosts::is_here(program.to_str().unwrap(), "opensearch") {
            return None;
        }
        let mut command = bare(program);
        command.args(["-addr", "127.0.0.1:0", "-no-stdin-watch"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut daemon = Daemon::start(&mut command);
        let mut greeting = String::new();
        BufReader::new(daemon.child.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
        let greeting: Value = serde_json::from_str(&greeting).unwrap();
        let address = greeting["url"].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
        Some(OpenSearch { address, _daemon: daemon })
    }

    /// What it answers to `METHOD /PATH`.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let kind = if body.ends_with('\n') { "application/x-ndjson" } else { "application/json" };
        let length = body.len();
        let head = format!("{method} /{path} HTTP/1.0\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// How many documents of the index can be found.
    pub fn count(&self, index: &str) -> u64 {
        self.ask("POST", &format!("{index}/_refresh"), "{}");
        self.ask("GET", &format!("{index}/_count"), "")["count"].as_u64().unwrap_or_default()
    }
}

/// Connections go through it to a server while it is open.
pub struct Gate {
    pub address: SocketAddr,
    is_open: Arc<AtomicBool>,
    through: Arc<Mutex<Vec<TcpStream>>>,
}

impl Gate {
    pub fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (is_open, through) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(Vec::new())));
        let gate = Gate { address, is_open: is_open.clone(), through: through.clone() };
        // Ends with the process of the tests.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(server) else { continue };
                let mut through = through.lock().unwrap();
                if !is_open.load(Ordering::SeqCst) {
                    continue;
                }
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    through.push(from.try_clone().unwrap());
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        gate
    }

    /// Whoever is connected is cut off, and nobody else comes in.
    pub fn shut(&self) {
        let mut through = self.through.lock().unwrap();
        self.is_open.store(false, Ordering::SeqCst);
        for stream in through.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn open(&self) {
        self.is_open.store(true, Ordering::SeqCst);
    }
}

/// librdkafka's own imitation of a cluster, in this process, with a topic `customs` of three partitions.
#[cfg(feature = "kafka")]
pub struct Kafka {
    cluster: rdkafka::mocking::MockCluster<'static, rdkafka::producer::DefaultProducerContext>,
    pub brokers: String,
}

#[cfg(feature = "kafka")]
impl Kafka {
    const BROKER: i32 = 1;

    pub fn start() -> Self {
        let cluster = rdkafka::mocking::MockCluster::new(Self::BROKER).unwrap();
        cluster.create_topic("customs", 3, 1).unwrap();
        Kafka { brokers: cluster.bootstrap_servers(), cluster }
    }

    /// Whoever is connected is cut off, and nobody else comes in.
    pub fn go_down(&self) {
        self.cluster.broker_down(Self::BROKER).unwrap();
    }

    pub fn come_up(&self) {
        self.cluster.broker_up(Self::BROKER).unwrap();
    }
}
