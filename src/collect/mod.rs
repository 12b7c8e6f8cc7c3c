//! `customs collect`: messages are received, journalled, and made into a dataset.
//!
//! ```text
//! listen, stream, follow ──► journal ──► feed ──► sinks: dataset, JSON lines, a program, …
//!   a thread each            on disk     a thread each        │
//!                                                             ▼  merge: in the background
//! ```
//!
//! What receives does nothing but append to the [`journal`], so that a burst waits on the disk and not in a socket's
//! buffer, and a crash loses nothing that was appended.

mod feed;
mod follow;
mod journal;
mod listen;
mod metrics;
mod rejects;
mod serve;
mod sinks;
mod stream;
mod verify;

use crate::cli::Collect;
use crate::dataset::{Dataset, merge, salt};
use anyhow::{Context, Result, ensure};
use feed::{Bookmark, Feed};
use journal::Journal;
pub use listen::Listen;
pub use metrics::Metrics;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rejects::Rejects;
use sinks::Sink;

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::Scope;
use std::time::{Duration, Instant, SystemTime};

/// How often the journal is made to last.
const SYNC: Duration = Duration::from_millis(500);
/// Between two looks for files to be merged.
const MERGE: Duration = Duration::from_secs(5);

/// What the threads share.
pub struct Shared {
    journal: Journal,
    metrics: Arc<Metrics>,
    /// MiB.
    keep_free: u64,
    /// Whether a name service may be asked.
    looks_up: bool,
    /// Nothing more is to be received.
    stopping: AtomicBool,
    /// Nothing more comes into the journal.
    closed: AtomicBool,
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stopping.load(SeqCst)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    /// Notes whether the disk has room, and says when that changes.
    fn disk(&self, is_full: bool) {
        let now = u64::from(is_full);
        if self.metrics.disk_is_full.set(now) == now {
            return;
        }
        let (room, dropped) = (self.keep_free, self.metrics.dropped_disk_full.get());
        self.say(&match is_full {
            true => format!("the disk has less than {room} MiB free: nothing is written until it has more"),
            false => format!("the disk has room again; {dropped} messages were dropped since the start"),
        });
    }

    /// For whoever looks after the collector.
    fn say(&self, what: &str) {
        let clear = if std::io::stderr().is_terminal() { "\r\x1b[K" } else { "" };
        eprintln!("{clear}customs: {what}");
    }
}

/// Collects until SIGTERM or SIGINT, and then drains.
pub fn run(args: &Collect) -> Result<ExitCode> {
    ensure!(
        !args.listen.is_empty() || !args.follow.is_empty(),
        "nothing to collect from; name a socket, as in --listen udp://0.0.0.0:514, or a file with --follow"
    );
    // Before the first thread, which inherits it: these signals are read and not delivered.
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]);
    signals.thread_block()?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;

    let dataset = Dataset::create(&args.out)?;
    let own = dataset.own()?;
    let _lock = dataset.lock()?;
    merge::heal(&dataset)?;

    let metrics = Arc::new(Metrics::default());
    let instance = instance(&own)?;
    let sinks = sinks(args, &dataset, &instance, &metrics)?;
    let mut bookmarks = Vec::new();
    for sink in &sinks {
        bookmarks.push(Bookmark::of(&own.join("sinks"), &sink.name())?);
    }
    let positions: Vec<_> = bookmarks.iter().map(Bookmark::read).collect::<Result<_>>()?;
    let journal = Journal::open(&own.join("journal"), args.keep_free << 20, &positions)?;
    let shared = Shared {
        journal,
        metrics,
        keep_free: args.keep_free,
        looks_up: !args.no_lookup,
        stopping: AtomicBool::new(false),
        closed: AtomicBool::new(false),
    };

    let mut sockets = Vec::new();
    let mut servers = Vec::new();
    for listen in &args.listen {
        match listen {
            Listen::Udp(address) => sockets.push(listen::Socket::udp(*address, args.receive_buffer)?),
            Listen::Unix(path) => sockets.push(listen::Socket::unix(path.clone(), args.receive_buffer)?),
            Listen::Tcp(address) => servers.push(stream::Server::open(*address)?),
        }
    }
    let page = args.metrics.map(serve::Page::open).transpose()?;
    let mut names: Vec<String> = sockets.iter().map(|socket| socket.name().to_string()).collect();
    names.extend(servers.iter().map(|server| server.name().to_string()));
    names.extend(args.follow.iter().map(|file| file.display().to_string()));
    let at = page.as_ref().map_or(String::new(), |page| format!("; metrics at http://{}/metrics", page.address()));
    eprintln!("customs: collecting from {} into {}{at}", names.join(", "), args.out.display());

    let failure = std::thread::scope(|scope| {
        let mut receivers = Vec::new();
        let shared = &shared;
        for socket in &sockets {
            receivers.push(spawn(scope, shared, "receive", move || socket.run(shared)));
        }
        for server in &servers {
            receivers.push(spawn(scope, shared, "accept", move || server.run(shared, scope)));
        }
        for file in &args.follow {
            let bookmark = own.join("follow");
            receivers.push(spawn(scope, shared, "follow", move || follow::run(file, &bookmark, shared)));
        }
        let mut feeds = Vec::new();
        for (number, (sink, bookmark)) in sinks.into_iter().zip(bookmarks).enumerate() {
            let rejects = (number == 0).then(|| Rejects::new(&own));
            let feed = Feed::new(shared, number, sink, bookmark, rejects);
            let name = if number == 0 { "dataset" } else { "sink" };
            feeds.push(spawn(scope, shared, name, move || {
                come_second();
                feed.run()
            }));
        }
        let bookmark = Bookmark::of(&own.join("sinks"), "dataset");
        let merging = spawn(scope, shared, "merge", || {
            come_second();
            merge_files(&dataset, &instance, &bookmark?, shared)
        });
        if let Some(page) = page {
            let metrics = shared.metrics.clone();
            // Ends with the process: nothing depends on it.
            std::thread::spawn(move || page.run(&metrics));
        }
        watch(args, shared, &signals);
        let results = receivers.into_iter().map(|thread| joined(thread));
        let mut failures: Vec<_> = results.filter_map(Result::err).collect();
        let _ = shared.journal.roll(Duration::ZERO);
        shared.closed.store(true, SeqCst);
        let results = feeds.into_iter().chain([merging]).map(|thread| joined(thread));
        failures.extend(results.filter_map(Result::err));
        failures.into_iter().next()
    });
    clear_line();
    let metrics = &shared.metrics;
    eprintln!(
        "customs: stopped; {} received, {} parsed, {} rejected, {} lost",
        metrics.received.get(),
        metrics.parsed.get(),
        metrics.rejected.sum(),
        lost(metrics)
    );
    failure.map_or(Ok(ExitCode::SUCCESS), Err)
}

type Thread<'s> = std::thread::ScopedJoinHandle<'s, Result<()>>;

/// A thread whose failure ends the collector: whoever watches over it starts it again. `top -H` shows its name.
fn spawn<'s>(
    scope: &'s Scope<'s, '_>,
    shared: &'s Shared,
    name: &str,
    work: impl FnOnce() -> Result<()> + Send + 's,
) -> Thread<'s> {
    let thread = std::thread::Builder::new().name(name.to_string());
    let thread = thread.spawn_scoped(scope, move || {
        let result = work();
        if let Err(error) = &result {
            shared.say(&format!("{error:#}"));
            shared.stopping.store(true, SeqCst);
        }
        result
    });
    thread.expect("a thread, as `Scope::spawn` has it")
}

/// The thread leaves the processors to what receives: a datagram that is not read in time is lost, and the journal waits.
fn come_second() {
    // Of the calling thread alone, on Linux (setpriority(2)). Where that is not allowed, nothing is lost but speed.
    let _ = rustix::process::setpriority_process(None, 19);
}

fn joined(thread: Thread) -> Result<()> {
    thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a thread of the collector panicked")))
}

/// Until a signal: the journal is made to last, segments are closed in time, and a line on the terminal says how it goes.
fn watch(args: &Collect, shared: &Shared, signals: &SignalFd) {
    let every = Duration::from_secs(args.every);
    let is_terminal = std::io::stderr().is_terminal();
    let (mut before, mut when) = (0, Instant::now());
    while !shared.is_stopping() {
        std::thread::sleep(SYNC);
        if let Ok(Some(signal)) = signals.read_signal() {
            if signal.ssi_signo == Signal::SIGHUP as u32 {
                let _ = shared.journal.roll(Duration::ZERO);
            } else {
                shared.stopping.store(true, SeqCst);
            }
        }
        if let Err(error) = shared.journal.sync().and_then(|()| shared.journal.roll(every)) {
            shared.say(&format!("the journal: {error}"));
        }
        shared.metrics.backlog_bytes.set(shared.journal.backlog());
        if is_terminal {
            let now = shared.metrics.received.get();
            let rate = (now - before) as f64 / when.elapsed().as_secs_f64();
            (before, when) = (now, Instant::now());
            let backlog = shared.metrics.backlog_bytes.get() / 1_000_000;
            let (rejected, lost) = (shared.metrics.rejected.sum(), lost(&shared.metrics));
            eprint!("\r\x1b[K{rate:.0}/s · {now} received · {rejected} rejected · {lost} lost · {backlog} MB to go");
            let _ = std::io::stderr().flush();
        }
    }
}

fn clear_line() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}

fn lost(metrics: &Metrics) -> u64 {
    metrics.dropped_by_kernel.sum() + metrics.dropped_disk_full.get()
}

/// Every so often, until nothing more is written.
fn merge_files(dataset: &Dataset, instance: &str, bookmark: &Bookmark, shared: &Shared) -> Result<()> {
    let (mut last, mut is_first) = (Instant::now(), true);
    while !shared.is_closed() {
        std::thread::sleep(SYNC);
        if last.elapsed() < MERGE {
            continue;
        }
        // A file of a segment that might be read again must keep its name.
        let done = bookmark.read()?.segment;
        let is_safe = |file: &Path| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            !name.starts_with(instance) || *name < *sinks::dataset::file_name(instance, done)
        };
        for day in dataset.days()? {
            if !is_first && !dataset.was_touched(&day, merge::QUIET * 2) {
                continue;
            }
            while !shared.is_closed()
                && let Some(files) = merge::candidates(dataset, &day, SystemTime::now(), is_safe)?
            {
                match merge::merge(dataset, &day, &files) {
                    Ok(superseded) => {
                        shared.metrics.superseded.add(superseded);
                        shared.metrics.merged_files.add(files.len() as u64);
                    }
                    Err(error) => {
                        shared.say(&format!("{}: {error:#}", day.folder()));
                        break; // a full disk, perhaps
                    }
                }
            }
        }
        (last, is_first) = (Instant::now(), false);
    }
    Ok(())
}

/// The dataset first: its feed counts.
fn sinks(args: &Collect, dataset: &Dataset, instance: &str, metrics: &Arc<Metrics>) -> Result<Vec<Box<dyn Sink>>> {
    let mut sinks: Vec<Box<dyn Sink>> =
        vec![Box::new(sinks::dataset::IntoDataset::new(dataset.clone(), instance.to_string(), metrics.clone()))];
    for path in &args.json_lines {
        sinks.push(Box::new(sinks::jsonlines::IntoFile::new(path)));
    }
    for command in &args.program {
        sinks.push(Box::new(sinks::jsonlines::IntoProgram::new(command)));
    }
    for index in &args.elasticsearch {
        let own = dataset.own()?;
        let secret = args.elasticsearch_auth.as_deref();
        let sink = sinks::elasticsearch::IntoIndex::new(index, secret, &own, metrics.clone())?;
        if args.put_template {
            sink.put_template()?;
        }
        sinks.push(Box::new(sink));
    }
    #[cfg(feature = "kafka")]
    for topic in &args.kafka {
        sinks.push(Box::new(sinks::kafka::IntoTopic::new(topic, args.kafka_properties.as_deref())?));
    }
    Ok(sinks)
}

/// Eight digits that tell this collector's files from another's, also from those of one whose own folder was removed.
fn instance(own: &Path) -> Result<String> {
    let path: PathBuf = own.join("instance");
    let known = fs::read_to_string(&path).unwrap_or_default();
    if known.len() == 8 && known.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(known);
    }
    let new = salt();
    fs::write(&path, &new).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(new)
}
