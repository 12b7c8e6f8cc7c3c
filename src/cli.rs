//! What can be typed: the one definition behind `--help`, `customs man` and `customs completions`.

use crate::collect::Listen;
use crate::elasticsearch::Index;
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

/// `customs completions`
#[derive(Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}
