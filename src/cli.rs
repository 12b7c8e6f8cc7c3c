//! What can be typed: the one definition behind `--help`, `customs man` and `customs completions`.

use crate::canary::{duration, moment};
use crate::collect::Listen;
use crate::elasticsearch::Index;
use crate::report::{By, Question};
use crate::site;
use crate::sql::Sql;
use chrono::NaiveDate;
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Know which Python packages a supercomputing centre's users run, without asking them.
///
/// A site file says what to look for and where to report it. `customs compile` puts it into libcustoms.so, which in a
/// Python process sends one datagram at exit and in any other does nothing.
///
/// Exit status: 0 done, 1 the answer is no, 2 wrong usage or bad input; `run` exits as its command does.
#[derive(Parser)]
#[command(name = "customs", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Customs {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Subcommand)]
pub enum Verb {
    /// Say whether a site file makes sense
    ///
    /// Every problem is shown with its line and what to write instead. With `--modules`, say what a process with
    /// these modules would report.
    Check(Check),
    /// Write a library that carries a site's policy
    ///
    /// The output is written beside its final place and renamed: a process that starts meanwhile sees the old library
    /// or the new one, never a part, and after an error the old one is untouched.
    Compile(Compile),
    /// Show the policy that a library carries
    ///
    /// As a site file that compiles to the same bytes, `pseudonym_key` included: keep the output as secret as that.
    Inspect(Inspect),
    /// Run a command under the library and show what it reports
    ///
    /// The site's rules hold, but records go to a receiver inside this process. They are shown on standard error, so
    /// that they do not mix with what COMMAND prints; `--json` and `--raw` write one line each to standard output,
    /// or to a file with `--output`. Exits with COMMAND's status (128 + N when signal N ended it), 127 when COMMAND was
    /// not found, 126 when it cannot be executed.
    Run(Run),
    /// Send a JSON object from standard input as the library would send a record
    ///
    /// To the first transport of the site file that is meant for this node, under a MSGID of its own.
    Emit(Emit),
    /// Send what killed processes have left in the black box
    ///
    /// Where a site file names a `recorder`, a process leaves there what is to be reported of it if it cannot do so
    /// itself: SIGKILL, the out-of-memory killer. Run this as root in Slurm's Epilog or from a timer. Every file is
    /// checked, because users can write there; what does not hold is removed and not sent. Files of living processes
    /// stay.
    Reap(Reap),
    /// Receive records and keep them as a dataset
    ///
    /// Listens until SIGTERM or SIGINT, and then keeps what has come. The dataset is a folder of Parquet files, one folder
    /// a day; `_customs` in it is the collector's own. Messages are journalled before anything else is done with them:
    /// after a crash the collector goes on where it was.
    Collect(Collect),
    /// Build or extend a dataset from what another receiver has kept
    ///
    /// From a file with a message or a record a line, as rsyslog writes them (`-` for standard input), from an index of
    /// Elasticsearch or OpenSearch, or from a topic of Kafka. A record that is there already is kept once, so an import may be done again, and one
    /// that was interrupted goes on where it was.
    Import(Import),
    /// Check that records arrive, with processes whose records must
    ///
    /// `run` starts canaries and notes in a ledger what is to be reported of each; `reconcile` says how much of that is in
    /// a dataset. docs/CANARY.md has the formats of both.
    #[command(subcommand)]
    Canary(Canary),
    /// Say whether records of this node would come through, and what is in the way
    ///
    /// Looks at the library that LD_PRELOAD or /etc/ld.so.preload names here, runs a Python under its policy with a
    /// receiver of its own, and asks after each server that a record of this node, now, would go to. A line a check: ok, a
    /// note, or a problem with what to do about it. Run it where the question is: on the node, in the job, in the
    /// container. Exits with 1 if there is a problem.
    Doctor(Doctor),
    /// Say what is reported of you here, and how to opt out
    ///
    /// For the people whose programs are watched. With COMMAND, run it and print the JSON that would be sent of it, which
    /// is then sent nowhere; what COMMAND itself writes to standard output goes to standard error.
    Me(Me),
    /// Condense a dataset into tables from which figures are drawn
    ///
    /// A row a day and job, and a row a day and user, with the packages of all its processes: some bytes a job, which
    /// anything that reads Parquet can read. Days that have not changed since are left as they are. docs/TABLES.md has the
    /// columns.
    Reduce(Reduce),
    /// Draw figures from tables, as a page that stands alone
    ///
    /// Which packages are used, by how many, at what size, together with what. The page needs no script and no network;
    /// beside it lie the figures as SVG, and their numbers as CSV and Parquet. docs/REPORT.md says what each figure counts.
    Report(Report),
    /// Serve the report's figures live, with the period and the filters in the page
    ///
    /// An address with a question in it shows the same view to whoever opens it. Reads the tables, and again when they have
    /// changed; writes nothing. Listens on this machine alone unless told otherwise, and asks nobody who they are: put a
    /// server in front of it that does.
    Serve(Serve),
    /// Make up a dataset of which everything is known
    ///
    /// To try `customs reduce` and `customs report` without a cluster. The same options make the same rows.
    Synth(Synth),
    // Its words are in src/sql/args.rs, for the program that does it as well.
    Sql(Sql),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the manual page, in roff
    Man,
}

/// `customs check`
#[derive(Args)]
pub struct Check {
    /// The site file
    #[arg(value_name = "SITE.toml")]
    pub site: PathBuf,
    /// Say what would be reported if these were in sys.modules
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub modules: Option<Vec<String>>,
    /// … and these shared libraries were mapped (file names)
    #[arg(long, value_name = "FILE,…", value_delimiter = ',', requires = "modules")]
    pub libraries: Vec<String>,
    /// … and this were the path of `__main__`
    #[arg(long, value_name = "PATH", requires = "modules", default_value = "")]
    pub main: String,
    /// … and this the path of the interpreter
    #[arg(long, value_name = "PATH", requires = "modules", default_value = "")]
    pub executable: String,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `customs compile`
#[derive(Args)]
pub struct Compile {
    /// The site file
    #[arg(value_name = "SITE.toml")]
    pub site: PathBuf,
    /// Where to write the library
    #[arg(short, long, value_name = "FILE", default_value = "libcustoms.so")]
    pub output: PathBuf,
    /// Put the policy into this library and not into the one inside this command: for nodes of another architecture
    #[arg(long, value_name = "FILE")]
    pub library: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `customs inspect`
#[derive(Args)]
pub struct Inspect {
    /// A library that `customs compile` wrote
    #[arg(value_name = "libcustoms.so")]
    pub library: PathBuf,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `customs run`
#[derive(Args)]
pub struct Run {
    /// Look for what this site file says [default: the packages that customs ships]
    #[arg(long, value_name = "SITE.toml")]
    pub site: Option<PathBuf>,
    /// Write each record as a line of JSON, its parts joined
    #[arg(long)]
    pub json: bool,
    /// Write each datagram as it came, a line each
    #[arg(long, conflicts_with = "json")]
    pub raw: bool,
    /// Write the records to this file
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What to run
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

/// `customs emit`
#[derive(Args)]
pub struct Emit {
    /// The MSGID by which routing downstream selects
    #[arg(long, value_name = "KEY", value_parser = customs_spec::site::msgid)]
    pub msgid: String,
    /// The site file whose transports are used
    #[arg(long, value_name = "SITE.toml", default_value = "/etc/customs/site.toml")]
    pub site: PathBuf,
}

/// `customs reap`
#[derive(Args)]
pub struct Reap {
    /// The site file that names the recorder and the transports
    #[arg(long, value_name = "SITE.toml", default_value = "/etc/customs/site.toml")]
    pub site: PathBuf,
    /// Send no more than this of one user, and remove the rest
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub per_user: usize,
    /// Say what would be done, and leave everything as it is
    #[arg(long)]
    pub dry_run: bool,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `customs collect`
#[derive(Args)]
pub struct Collect {
    /// Where to listen: udp://ADDRESS:PORT, tcp://ADDRESS:PORT (what relays forward) or unix:///PATH (datagrams)
    #[arg(long, value_name = "URL", num_args = 1..)]
    pub listen: Vec<Listen>,
    /// Read this file as it grows: a message or a record a line, as rsyslog writes them
    #[arg(long, value_name = "FILE")]
    pub follow: Vec<PathBuf>,
    /// The dataset; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Serve /metrics for Prometheus, and /healthz
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub metrics: Option<SocketAddr>,
    /// Write a file into the dataset at least that often
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub every: u64,
    /// Stop writing while the disk has less room than this
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    pub keep_free: u64,
    /// Ask the kernel for that much room for datagrams in each socket; without root it gives net.core.rmem_max at the most
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub receive_buffer: u16,
    /// Ask no name service: neither for the addresses of hosts nor for the names of users
    #[arg(long)]
    pub no_lookup: bool,
    /// Append every record to this file as well, a line of JSON each
    #[arg(long, value_name = "FILE")]
    pub json_lines: Vec<PathBuf>,
    /// Write every record to the standard input of this command as well, a line of JSON each
    #[arg(long, value_name = "COMMAND")]
    pub program: Vec<String>,
    /// Index every record there as well; %Y, %m and %d stand for the record's day
    #[arg(long, value_name = "URL/INDEX")]
    pub elasticsearch: Vec<Index>,
    /// A file with USER:PASSWORD or `ApiKey …` [default: the URL, or CUSTOMS_ELASTICSEARCH_AUTH]
    #[arg(long, value_name = "FILE", requires = "elasticsearch")]
    pub elasticsearch_auth: Option<PathBuf>,
    /// Tell the server first how records are to be indexed
    #[arg(long, requires = "elasticsearch")]
    pub put_template: bool,
    /// Send every record to this topic of Kafka as well
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "BROKERS/TOPIC")]
    pub kafka: Vec<crate::kafka::Topic>,
    /// A file with settings of librdkafka, KEY=VALUE a line
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "FILE", requires = "kafka")]
    pub kafka_properties: Option<PathBuf>,
}

/// `customs import`
#[derive(Args)]
pub struct Import {
    /// What to import: a file, - for standard input, http(s)://[USER:PASSWORD@]HOST:PORT/INDEX or kafka://BROKERS/TOPIC
    #[arg(long, value_name = "URL-or-FILE", required = true)]
    pub from: Vec<String>,
    /// The dataset; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Begin anew where an earlier import of the same file or index got to
    #[arg(long)]
    pub again: bool,
    /// A file with USER:PASSWORD or `ApiKey …` [default: the URL, or CUSTOMS_ELASTICSEARCH_AUTH]
    #[arg(long, value_name = "FILE")]
    pub elasticsearch_auth: Option<PathBuf>,
    /// A file with settings of librdkafka, KEY=VALUE a line
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "FILE")]
    pub kafka_properties: Option<PathBuf>,
    /// Read again what arrived in the index so long before the last document of the import before
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(0..=876_000))]
    pub overlap: u32,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `customs canary`
#[derive(Subcommand)]
pub enum Canary {
    /// Start canaries, and note in a ledger what is to be reported of them
    ///
    /// Each is a Python that imports some packages, under the library, with an id that nobody can guess. They run one
    /// after the other. Exit status 1 if one failed.
    Run(CanaryRun),
    /// Say how many of the canaries of a ledger are in a dataset
    ///
    /// Exit status 1 if more were lost than --max-loss allows, if what arrived says something else than it must, or if
    /// fewer were sent than --min-sent asks for.
    Reconcile(CanaryReconcile),
}

/// `customs canary run`
#[derive(Args)]
pub struct CanaryRun {
    /// Report as this site file says; a library is compiled from it for the time of the run
    #[arg(long, value_name = "SITE.toml", required_unless_present = "library")]
    pub site: Option<PathBuf>,
    /// Run under this library, the one that the node has installed
    #[arg(long, value_name = "FILE")]
    pub library: Option<PathBuf>,
    /// Where to note what is expected: added to, and made if it is not there
    #[arg(long, value_name = "FILE")]
    pub ledger: PathBuf,
    /// The interpreters, or programs that start one with the arguments they are given; canaries take turns
    #[arg(long, value_name = "PATH", num_args = 1.., default_value = "python3")]
    pub python: Vec<PathBuf>,
    /// How many canaries [default: one of each interpreter]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// What each imports, and must be able to [default: what the interpreter has of the listed packages: those of the
    /// standard library, and two others]
    #[arg(long, value_name = "MODULE,…", value_delimiter = ',')]
    pub import: Vec<String>,
    /// Kill a canary that runs for longer than this
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `customs canary reconcile`
#[derive(Args)]
pub struct CanaryReconcile {
    /// The ledger; several are taken together
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub ledger: Vec<PathBuf>,
    /// Where records must have arrived: a dataset, or http(s)://[USER:PASSWORD@]HOST:PORT/INDEX
    #[arg(long, value_name = "DIR-or-URL")]
    pub dataset: String,
    /// The share that may be lost: exit status 1 when the observed loss is above it
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub max_loss: f64,
    /// Exit status 1 when fewer records were sent
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub min_sent: u64,
    /// What is not there of a canary that ended less than this ago is pending, and not lost [default: 2m while the dataset
    /// is being written, else 0]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub grace: Option<i64>,
    /// What arrived later than this after the end of its canary is late
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "15m")]
    pub within: i64,
    /// Canaries that began then or later: 2026-11-22, 2026-11-22T14:00:00Z, or 24h for so long ago
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<i64>,
    /// Canaries that began before then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<i64>,
    /// Only what was sent to these lists of the site file
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub list: Vec<String>,
    /// Write the figures to this file as well, for the textfile collector of Prometheus' node_exporter
    #[arg(long, value_name = "FILE")]
    pub textfile: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "write a share from 0 to 1, such as 0.01".to_string())
}

/// `customs doctor`
#[derive(Args)]
pub struct Doctor {
    /// The site file that the library should have been compiled from [default: /etc/customs/site.toml, if it is there]
    #[arg(long, value_name = "SITE.toml")]
    pub site: Option<PathBuf>,
    /// Look at this library and not at the one that is preloaded here
    #[arg(long, value_name = "FILE")]
    pub library: Option<PathBuf>,
    /// Try this interpreter [default: python3 of PATH and /usr/bin/python3]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub python: Vec<PathBuf>,
    /// Try a Python in this container root as well
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub root: Vec<PathBuf>,
    /// Ask the collector that serves its metrics there
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub collector: Option<SocketAddr>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `customs me`
#[derive(Args)]
pub struct Me {
    /// The site file, where no library is preloaded
    #[arg(long, value_name = "SITE.toml", default_value = site::DEFAULT)]
    pub site: PathBuf,
    /// Say what is stored of you in this dataset
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub dataset: Option<PathBuf>,
    /// Print those records, a line of JSON each
    #[arg(long, requires = "dataset")]
    pub records: bool,
    /// Say it of this user; for root
    #[arg(long, value_name = "UID", requires = "dataset")]
    pub uid: Option<u32>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
    /// What to run
    #[arg(value_name = "COMMAND", last = true)]
    pub command: Vec<OsString>,
}

/// `customs reduce`
#[derive(Args)]
pub struct Reduce {
    /// The dataset
    #[arg(value_name = "DATASET")]
    pub dataset: PathBuf,
    /// Where the tables are, or will be
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    /// Days from this one on
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub from: Option<NaiveDate>,
    /// Days up to this one
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub to: Option<NaiveDate>,
    /// The site file whose `[[environment]]` say where a Python comes from [default: what customs knows]
    #[arg(long, value_name = "SITE.toml")]
    pub site: Option<PathBuf>,
    /// Leave out what canaries of these ledgers have reported
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub ledger: Vec<PathBuf>,
    /// Go on without files that cannot be read, and name them
    #[arg(long)]
    pub skip_damaged: bool,
    /// Reduce days again that have not changed
    #[arg(long)]
    pub again: bool,
    /// How many days at a time [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `customs report`
#[derive(Args)]
pub struct Report {
    /// The tables that `customs reduce` has written
    #[arg(value_name = "TABLES", required_unless_present = "example")]
    pub tables: Option<PathBuf>,
    /// Where the page will be, and all that belongs to it
    #[arg(short, long, value_name = "DIR", default_value = "report")]
    pub out: PathBuf,
    /// Make up a centre and report of that: what a report looks like
    #[arg(long, conflicts_with = "tables")]
    pub example: bool,
    #[command(flatten)]
    pub question: Question,
    /// A page for each of these periods, and one that leads to them
    #[arg(long, value_name = "PERIOD")]
    pub by: Option<By>,
    #[command(flatten)]
    pub wishes: Wish,
    /// The centre's name, for the title
    #[arg(long, value_name = "NAME")]
    pub title: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// How figures are drawn
#[derive(Args)]
pub struct Wish {
    /// How many packages a ranking shows
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    pub top: u16,
    /// Correlations below LOW are left blank, and from HIGH on all have one colour
    #[arg(long, num_args = 2, allow_negative_numbers = true, value_names = ["LOW", "HIGH"], default_values_t = [0.6, 0.8])]
    pub clip: Vec<f64>,
    /// Show what is loaded together with these packages
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', default_value = "mpi4py,multiprocessing,dask")]
    pub package: Vec<String>,
    /// How many users the centre has, for shares of all of them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub total_users: Option<u64>,
    /// What `customs canary reconcile --json` has printed of this time
    #[arg(long, value_name = "FILE")]
    pub canaries: Option<PathBuf>,
    /// What `sacct --parsable2 --allocations --format=JobIDRaw,Account,Partition` has printed of this time, to see how many of
    /// these jobs have reported
    #[arg(long, value_name = "FILE")]
    pub sacct: Option<PathBuf>,
}

/// `customs serve`
#[derive(Args)]
pub struct Serve {
    /// The tables that `customs reduce` writes
    #[arg(value_name = "TABLES")]
    pub tables: PathBuf,
    /// Where to listen; port 0 takes one that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8417")]
    pub listen: SocketAddr,
    /// Show nothing that is of fewer users, whatever is asked
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..))]
    pub min_users: Option<u64>,
    #[command(flatten)]
    pub wishes: Wish,
    /// The centre's name, for the title
    #[arg(long, value_name = "NAME")]
    pub title: Option<String>,
}

/// `customs synth`
#[derive(Args)]
pub struct Synth {
    /// Where the dataset will be
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    /// How many users the centre has
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub users: u32,
    /// How many jobs they start, about; login sessions among them
    #[arg(long, value_name = "N", default_value_t = 40_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: u32,
    /// The first day
    #[arg(long, value_name = "YYYY-MM-DD", default_value = "2025-01-01")]
    pub from: NaiveDate,
    /// How many days
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..100_000))]
    pub days: u32,
    /// Another centre for each
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Write what is true of it to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
    /// Write the ledger of its canaries to this file
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

impl Reduce {
    /// All days, as they are.
    pub fn all(dataset: PathBuf, out: PathBuf) -> Self {
        let (ledger, skip_damaged, again, json) = (Vec::new(), false, false, false);
        Reduce { dataset, out, from: None, to: None, site: None, ledger, skip_damaged, again, threads: None, json }
    }
}

impl Synth {
    /// A small centre in half a year.
    pub fn example(out: PathBuf) -> Self {
        let from = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap_or_default();
        Synth { out, users: 400, jobs: 12_000, from, days: 181, seed: 1, truth: None, ledger: None, json: false }
    }
}

/// `customs completions`
#[derive(Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}
