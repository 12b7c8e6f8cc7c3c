//! The policy as a person thinks of it: what a site file says once it is checked.
//! `encode` turns it into the bytes the library reads, `decode` turns those bytes back.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// A whole policy. Two equal models encode to the same bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Name of the machine, reported as `system`.
    pub system: String,
    /// RFC 5424 MSGID: 1 to 32 printable ASCII characters.
    pub msgid: String,
    /// Syslog facility code, 0 (`kern`) to 23 (`local7`); RFC 5424 table 1.
    pub facility: u8,
    /// A process with any of these variables set and not empty is not reported.
    pub opt_out: Vec<String>,
    /// Fields the site chose not to send, by [`crate::record::Field`] number.
    pub omit: Vec<crate::record::Field>,
    /// Fields sent as a keyed hash.
    pub pseudonymise: Vec<crate::record::Field>,
    /// The key of that hash.
    pub pseudonym_key: String,
    /// Look for a `dist-info` folder beside a package whose version is found nowhere else.
    pub dist_info: bool,
    /// Numbers of the signals at which a process reports before it dies.
    pub signals: Vec<u8>,
    /// Folder in which a process leaves what is to be reported if it is killed; empty: nowhere.
    pub recorder: String,
    /// Which short processes are reported in part; the first that holds decides.
    pub thin: Vec<Thin>,
    /// Where records may go, in the order of the site file.
    pub transports: Vec<Transport>,
    /// What makes a process a compute process.
    pub compute: Compute,
    /// Partitions of the machine; the first that matches names it.
    pub subsystems: Vec<Subsystem>,
    /// Numeric group ids of the staff.
    pub staff: Vec<u32>,
    /// Variables that hold a parallel rank; a process in which one is not zero stays silent.
    pub ranks: Vec<String>,
    /// Which variables hold what of a job.
    pub job: Job,
    /// What is looked for.
    pub checks: Vec<Check>,
    /// Which of it is reported where.
    pub lists: Vec<List>,
}

/// Of processes shorter than this, a share is reported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thin {
    /// In milliseconds.
    pub shorter_than: u32,
    /// The share, above 0 and below 1.
    pub keep: f64,
    /// Whether the workers of one parent are kept or left out together.
    pub per_parent: bool,
}

/// When a transport is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Compute processes only.
    Compute,
    /// Every process.
    Any,
}

/// A named way out.
#[derive(Clone, Debug, PartialEq)]
pub struct Transport {
    /// The name a list refers to.
    pub name: String,
    /// Which processes may take it when a list names none.
    pub on: On,
    /// Longest message in bytes; longer records are split.
    pub max_datagram: u16,
    /// One is picked at random for each report.
    pub servers: Vec<Server>,
}

/// One receiver, always by number or path: the library never asks a name service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// `udp://ADDRESS:PORT`
    Udp(SocketAddr),
    /// `unix:///PATH`, a datagram socket; at most 107 bytes of path (unix(7)).
    Unix(String),
    /// `file:///PATH`, one line appended a record.
    File(String),
}

impl core::fmt::Display for Server {
    /// As a site file has it.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Server::Udp(address) => write!(f, "udp://{address}"),
            Server::Unix(path) => write!(f, "unix://{path}"),
            Server::File(path) => write!(f, "file://{path}"),
        }
    }
}

/// A process is a compute process when any of these holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compute {
    /// Variables that are set and not empty.
    pub env: Vec<String>,
    /// Globs over the host name.
    pub hosts: Vec<String>,
}

/// A partition of the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Subsystem {
    /// Reported as `subsystem`.
    pub name: String,
    /// Globs over the host name; any of them.
    pub hosts: Vec<String>,
    /// Variables and the globs their values must match; any of them.
    pub env: Vec<(String, String)>,
}

/// The variables of a batch system, each first one that is set and not empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Job {
    /// `job_id`
    pub job_id: Vec<String>,
    /// `num_nodes`: a number, or the hosts themselves (`LSB_MCPU_HOSTS`), which are counted.
    pub num_nodes: Vec<String>,
    /// `qos`
    pub qos: Vec<String>,
    /// `repo`, the account that pays
    pub repo: Vec<String>,
}

/// A reported name and what makes it true.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Check {
    /// The name that is reported.
    pub name: String,
    /// Any of these in `sys.modules`.
    pub modules: Vec<String>,
    /// Or any of these mapped: globs over a shared library's file name.
    pub libraries: Vec<String>,
    /// But not when the path of `__main__` matches one of these globs
    pub unless_main: Vec<String>,
    /// or the interpreter's path one of these.
    pub unless_executable: Vec<String>,
    /// Module and attribute that hold the version, where `__version__` does not.
    pub version: Option<(String, String)>,
    /// Name of the distribution where it differs from the module's top level.
    pub distribution: Option<String>,
}

/// A list with a fate of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    /// Reported as `list`.
    pub name: String,
    /// Indices into [`Model::checks`].
    pub checks: Vec<u16>,
    /// Also every top-level module outside the standard library.
    pub all: bool,
    /// Share of jobs (or processes) that report it, above 0 to 1.
    pub rate: f64,
    /// Whether `rate` is of processes and not of jobs.
    pub per_process: bool,
    /// Indices into [`Model::transports`]; empty: the first whose `on` holds.
    pub transports: Vec<u16>,
    /// Report a process in which nothing was found.
    pub empty: bool,
}
