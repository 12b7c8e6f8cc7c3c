//! The record of one process: the names of its fields, here and nowhere else, and how it becomes messages.

use crate::frame::Header;
use crate::hash;
use crate::json::Writer;

/// Version of the record's shape, its field `schema`.
pub const SCHEMA: u64 = 1;

macro_rules! fields {
    ($($(#[doc = $doc:literal])* $variant:ident = $key:literal),* $(,)?) => {
        /// A field of the record. Its number is what a policy's `omit` and `pseudonymise` hold.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Field { $($(#[doc = $doc])* $variant),* }

        impl Field {
            /// Every field, in the order in which the record has them.
            #[cfg(feature = "site")]
            pub const ALL: &'static [Field] = &[$(Field::$variant),*];

            /// The field's name in the JSON object. Inlined with constants only: a table of names
            /// would be a table of pointers, which the loader would have to relocate in every process.
            #[inline(always)]
            pub const fn key(self) -> &'static str {
                match self { $(Field::$variant => $key),* }
            }
        }
    };
}

fields! {
    /// Version of the record's shape.
    Schema = "schema",
    /// 128 bits that name the process.
    Id = "id",
    /// Of one `id` the highest counts.
    Seq = "seq",
    /// 1 to `parts`.
    Part = "part",
    /// Number of messages that the record was split into.
    Parts = "parts",
    /// Name of the list.
    List = "list",
    /// Digest of the policy.
    Policy = "policy",
    /// Host name, of the node and not of a container.
    Host = "host",
    /// Name of the machine.
    System = "system",
    /// Name of its partition.
    Subsystem = "subsystem",
    /// Login name of `uid`.
    Username = "username",
    /// Numeric user id, outside of user namespaces.
    Uid = "uid",
    /// Process id, as the process sees it.
    Pid = "pid",
    /// Its parent's.
    Ppid = "ppid",
    /// Path of the interpreter.
    Executable = "executable",
    /// Path of `__main__`.
    Main = "main",
    /// `sys.prefix`.
    Prefix = "prefix",
    /// Version of Python.
    Python = "python",
    /// Whether this is a compute process.
    IsCompute = "is_compute",
    /// Whether Shifter runs it.
    IsShifter = "is_shifter",
    /// The container runtime.
    Container = "container",
    /// Whether the user is in a staff group.
    IsStaff = "is_staff",
    /// The batch job.
    JobId = "job_id",
    /// Its number of nodes.
    NumNodes = "num_nodes",
    /// Its quality of service, or queue.
    Qos = "qos",
    /// The account that pays for it.
    Repo = "repo",
    /// When the process began.
    Start = "start",
    /// Seconds from then to the report.
    Elapsed = "elapsed",
    /// How it ended.
    Exit = "exit",
    /// Names that were found.
    Packages = "packages",
    /// Name to version.
    Versions = "versions",
    /// Names that the user's own code binds.
    Direct = "direct",
    /// Names that were found as mapped shared libraries.
    Libraries = "libraries",
    /// Sampling rate of the list.
    Rate = "rate",
    /// 1 over the share of such processes that report.
    Weight = "weight",
    /// What the process claims to be a canary of.
    Canary = "canary",
    /// `id` of the process it came from.
    Parent = "parent",
}

impl Field {
    /// Fields without which a record cannot be told from another, joined, read or weighted.
    pub const fn is_essential(self) -> bool {
        matches!(
            self,
            Field::Schema
                | Field::Id
                | Field::Seq
                | Field::Part
                | Field::Parts
                | Field::List
                | Field::Packages
                | Field::Rate
                | Field::Weight
        )
    }

    /// Fields that hold text, which can be sent as a keyed hash.
    pub const fn is_text(self) -> bool {
        matches!(
            self,
            Field::Host
                | Field::Username
                | Field::Executable
                | Field::Main
                | Field::Prefix
                | Field::JobId
                | Field::Repo
        )
    }
}

/// A set of fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub u64);

impl Fields {
    /// Whether `field` is in it.
    pub fn has(self, field: Field) -> bool {
        self.0 >> (field as u8 & 63) & 1 == 1
    }

    /// With `field` in it.
    #[must_use]
    pub fn with(self, field: Field) -> Self {
        Fields(self.0 | 1 << (field as u8 & 63))
    }
}

/// What a site keeps to itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Privacy {
    /// Sent as `""` or the field's default.
    pub omit: Fields,
    /// Sent as 32 hexadecimal digits of SipHash-2-4-128 under `key`.
    pub pseudonymise: Fields,
    /// That key.
    pub key: [u64; 2],
}

/// One process. Text is bytes as found: the writer makes valid UTF-8 of it.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the fields are documented at `Field`")]
pub struct Record<'a> {
    pub id: u128,
    pub seq: u32,
    pub list: &'a [u8],
    pub policy: u64,
    pub host: &'a [u8],
    pub system: &'a [u8],
    pub subsystem: &'a [u8],
    pub username: &'a [u8],
    pub uid: u32,
    pub pid: u32,
    pub ppid: u32,
    pub executable: &'a [u8],
    pub main: &'a [u8],
    pub prefix: &'a [u8],
    pub python: &'a [u8],
    pub is_compute: bool,
    pub is_shifter: bool,
    pub container: &'a [u8],
    pub is_staff: bool,
    pub job_id: &'a [u8],
    pub num_nodes: u32,
    pub qos: &'a [u8],
    pub repo: &'a [u8],
    /// Microseconds since 1970.
    pub start: u64,
    /// Microseconds.
    pub elapsed: u64,
    pub exit: &'a [u8],
    /// The rate as a JSON number; empty when the list is no sample.
    pub rate: &'a [u8],
    pub canary: &'a [u8],
    pub parent: Option<u128>,
    /// What of it stays here.
    pub privacy: Privacy,
}

/// One name that was found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Finding<'a> {
    /// Reported name.
    pub name: &'a [u8],
    /// Empty: not known.
    pub version: &'a [u8],
    /// Bound by the user's own code.
    pub direct: bool,
    /// Found as a mapped shared library.
    pub library: bool,
}

/// Longest name of a package, in bytes after escaping, like every length below.
pub const MAX_NAME: usize = 64;
/// Longest version.
const MAX_VERSION: usize = 40;

/// How long texts may be: paths, and everything else.
#[derive(Clone, Copy)]
struct Caps {
    path: usize,
    short: usize,
}

/// From what nearly every record is written with, to what fits into the smallest datagram whatever was put into it.
/// Paths are what is long; they give way first.
const CAPS: [Caps; 7] = [
    Caps { path: 1024, short: 64 },
    Caps { path: 512, short: 64 },
    Caps { path: 256, short: 64 },
    Caps { path: 128, short: 64 },
    Caps { path: 64, short: 64 },
    Caps { path: 32, short: 32 },
    Caps { path: 16, short: 16 },
];
/// What the fixed fields leave for findings, if any caps can bring it about.
const ROOM_FOR_FINDINGS: usize = 600;
/// And never less than the longest finding, twice named and with its version.
const ROOM_FOR_ONE: usize = PER_MESSAGE + 4 * (MAX_NAME + 3) + MAX_VERSION + 3;

/// A message is never made longer than this many parts: beyond it the rest is dropped.
pub const MAX_PARTS: u32 = 255;

impl Record<'_> {
    /// Writes the record into as few messages of at most `limit` bytes as it takes, each whole in itself, and
    /// hands each to `send`. `buffer` holds one message at a time; a message longer than it is not sent.
    ///
    /// A record without a finding is one message. Texts are cut so that this works for every `limit` that a site
    /// may choose ([`crate::policy::MIN_DATAGRAM`] and more).
    pub fn messages<'f>(
        &self,
        header: Header,
        findings: impl Iterator<Item = Finding<'f>> + Clone,
        buffer: &mut [u8],
        limit: usize,
        mut send: impl FnMut(&[u8]),
    ) {
        let limit = limit.min(buffer.len());
        let mut out = Writer::new(buffer);
        // The header's host is the record's, under the same privacy.
        let mut pseudonym = [0; 32];
        let header = Header {
            host: self.veiled(Field::Host, self.host, &mut pseudonym),
            pid: if self.privacy.omit.has(Field::Pid) { 0 } else { header.pid },
            ..header
        };
        header.write(&mut out);
        let body = out.len();

        // Nearly every record fits as it is.
        self.object(&mut out, (1, 1), CAPS[0], findings.clone().take(usize::MAX));
        if !out.is_full() && out.len() <= limit {
            return send(out.written());
        }
        out.truncate(body);
        let mut frame = 0;
        let mut caps = CAPS[0];
        for tried in CAPS {
            caps = tried;
            self.object(&mut out, (MAX_PARTS, MAX_PARTS), caps, findings.clone().take(0));
            frame = out.len();
            let full = out.is_full();
            out.truncate(body);
            let wanted = if caps.path > 64 { ROOM_FOR_FINDINGS } else { ROOM_FOR_ONE };
            if !full && frame.saturating_add(wanted) <= limit {
                break;
            }
        }
        let room = limit.saturating_sub(frame);

        let mut parts = 0_u32;
        let mut rest = findings.clone();
        while let (Some(_), after) = portion(rest, room) {
            parts = parts.saturating_add(1).min(MAX_PARTS);
            rest = after;
        }
        let parts = parts.max(1);
        let mut rest = findings;
        for part in 1..=parts {
            let (count, after) = portion(rest.clone(), room);
            self.object(&mut out, (part, parts), caps, rest.take(count.unwrap_or(0)));
            if !out.is_full() {
                send(out.written());
            }
            out.truncate(body);
            rest = after;
        }
    }

    /// Writes the JSON object: part `part` of `of`, with `findings`.
    fn object<'f>(
        &self,
        out: &mut Writer,
        (part, of): (u32, u32),
        caps: Caps,
        findings: impl Iterator<Item = Finding<'f>> + Clone,
    ) {
        let mut object = Object { record: self, out, open: false };
        self.process(&mut object, (part, of), caps);
        object.names(Field::Packages, findings.clone());
        let versioned = findings.clone().filter(|finding| !finding.version.is_empty());
        if !object.hides(Field::Versions) && versioned.clone().next().is_some() {
            object.versions(versioned);
        }
        for (field, of) in [
            (Field::Direct, (|finding| finding.direct) as fn(&Finding) -> bool),
            (Field::Libraries, |finding| finding.library),
        ] {
            let names = findings.clone().filter(of);
            if !object.hides(field) && names.clone().next().is_some() {
                object.names(field, names);
            }
        }
        if !self.rate.is_empty() {
            object.key(Field::Rate);
            object.out.raw(self.rate);
        }
        if !self.canary.is_empty() && !object.hides(Field::Canary) {
            object.text(Field::Canary, self.canary, caps.short);
        }
        if let Some(parent) = self.parent.filter(|_| !object.hides(Field::Parent)) {
            object.identity(Field::Parent, parent);
        }
        object.out.raw(b"}");
    }

    /// Writes the fields of the process.
    #[inline(never)]
    fn process(&self, object: &mut Object, (part, of): (u32, u32), caps: Caps) {
        object.number(Field::Schema, SCHEMA);
        object.identity(Field::Id, self.id);
        object.number(Field::Seq, u64::from(self.seq));
        object.number(Field::Part, u64::from(part));
        object.number(Field::Parts, u64::from(of));
        object.text(Field::List, self.list, caps.short);
        object.digest(Field::Policy, self.policy);
        object.text(Field::Host, self.host, caps.short);
        object.text(Field::System, self.system, caps.short);
        object.text(Field::Subsystem, self.subsystem, caps.short);
        object.text(Field::Username, self.username, caps.short);
        object.optional_number(Field::Uid, self.uid);
        object.optional_number(Field::Pid, self.pid);
        object.optional_number(Field::Ppid, self.ppid);
        object.text(Field::Executable, self.executable, caps.path);
        object.text(Field::Main, self.main, caps.path);
        object.text(Field::Prefix, self.prefix, caps.path);
        object.text(Field::Python, self.python, caps.short);
        object.flag(Field::IsCompute, self.is_compute);
        object.flag(Field::IsShifter, self.is_shifter);
        object.text(Field::Container, self.container, caps.short);
        object.flag(Field::IsStaff, self.is_staff);
        object.text(Field::JobId, self.job_id, caps.short);
        object
            .number(Field::NumNodes, if object.hides(Field::NumNodes) { 1 } else { u64::from(self.num_nodes.max(1)) });
        object.text(Field::Qos, self.qos, caps.short);
        object.text(Field::Repo, self.repo, caps.short);
        object.time(Field::Start, self.start);
        object.seconds(Field::Elapsed, self.elapsed);
        object.text(Field::Exit, self.exit, caps.short);
    }

    /// What is sent for `value`: itself, a keyed hash of it, or nothing.
    fn veiled<'v>(&self, field: Field, value: &'v [u8], space: &'v mut [u8; 32]) -> &'v [u8] {
        if self.privacy.omit.has(field) || value.is_empty() {
            return b"";
        }
        if self.privacy.pseudonymise.has(field) {
            *space = hash::hex(hash::of_parts(self.privacy.key, &[value]));
            return space;
        }
        value
    }
}

/// How many of `findings` fit into `room` bytes (`None`: there are none left; else at least one), and what is left.
fn portion<'f, I: Iterator<Item = Finding<'f>> + Clone>(mut findings: I, room: usize) -> (Option<usize>, I) {
    let mut used = PER_MESSAGE;
    let mut count: usize = 0;
    loop {
        let before = findings.clone();
        let Some(finding) = findings.next() else {
            return ((count > 0).then_some(count), findings);
        };
        used = used.saturating_add(cost(&finding));
        if used > room && count > 0 {
            return (Some(count), before);
        }
        count = count.saturating_add(1);
    }
}

/// `,"versions":{},"direct":[],"libraries":[]`, which a message without findings lacks.
const PER_MESSAGE: usize = 42;

/// Upper bound of the bytes a finding adds to a message: escaping makes six of one at the most.
fn cost(finding: &Finding) -> usize {
    let quoted = |text: &[u8], cap: usize| {
        let escaped = if text.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
            text.len()
        } else {
            text.len().saturating_mul(6)
        };
        escaped.min(cap).saturating_add(3)
    };
    let name = quoted(finding.name, MAX_NAME);
    let version =
        if finding.version.is_empty() { 0 } else { name.saturating_add(quoted(finding.version, MAX_VERSION)) };
    let times = 1_usize.saturating_add(usize::from(finding.direct)).saturating_add(usize::from(finding.library));
    name.saturating_mul(times).saturating_add(version)
}

/// A JSON object in the making.
struct Object<'o, 'b, 'r> {
    record: &'o Record<'r>,
    out: &'o mut Writer<'b>,
    open: bool,
}

impl Object<'_, '_, '_> {
    // Each field's name is a constant where it is written, so these outer halves are inlined, and nothing else is:
    // what runs once at exit should be small rather than quick.

    #[inline(always)]
    fn key(&mut self, field: Field) {
        self.open(field.key());
    }

    #[inline(always)]
    fn text(&mut self, field: Field, value: &[u8], cap: usize) {
        self.key(field);
        self.put_text(field, value, cap);
    }

    #[inline(always)]
    fn number(&mut self, field: Field, value: u64) {
        self.key(field);
        self.out.number(value);
    }

    /// A number that has no default of its own: `-1` where a site omits it.
    #[inline(always)]
    fn optional_number(&mut self, field: Field, value: u32) {
        self.key(field);
        if self.hides(field) { self.out.raw(b"-1") } else { self.out.number(u64::from(value)) }
    }

    #[inline(always)]
    fn flag(&mut self, field: Field, value: bool) {
        self.key(field);
        let shown = value && !self.hides(field);
        self.out.raw(if shown { b"true" } else { b"false" });
    }

    #[inline(always)]
    fn identity(&mut self, field: Field, value: u128) {
        self.key(field);
        let hex = hash::hex(value);
        self.out.string(if self.hides(field) { b"" } else { &hex }, 32);
    }

    #[inline(always)]
    fn digest(&mut self, field: Field, value: u64) {
        self.key(field);
        let hex = hash::hex(u128::from(value));
        let shown = if self.hides(field) { b"" } else { hex.get(16..).unwrap_or_default() };
        self.out.string(shown, 16);
    }

    #[inline(always)]
    fn time(&mut self, field: Field, micros: u64) {
        self.key(field);
        self.out.raw(b"\"");
        if !self.hides(field) {
            crate::frame::timestamp(micros, self.out);
        }
        self.out.raw(b"\"");
    }

    #[inline(always)]
    fn seconds(&mut self, field: Field, micros: u64) {
        self.key(field);
        let shown = if self.hides(field) { 0 } else { micros };
        self.out.number(shown / 1_000_000);
        self.out.raw(b".");
        self.out.padded(shown / 1000 % 1000, 3);
    }

    #[inline(never)]
    fn open(&mut self, key: &str) {
        self.out.raw(if self.open { b",\"" } else { b"{\"" });
        self.open = true;
        self.out.raw(key.as_bytes());
        self.out.raw(b"\":");
    }

    #[inline(never)]
    fn put_text(&mut self, field: Field, value: &[u8], cap: usize) {
        let mut space = [0; 32];
        let value = self.record.veiled(field, value, &mut space);
        self.out.string(value, cap);
    }

    fn hides(&self, field: Field) -> bool {
        self.record.privacy.omit.has(field)
    }

    fn names<'f>(&mut self, field: Field, findings: impl Iterator<Item = Finding<'f>>) {
        self.key(field);
        self.out.raw(b"[");
        self.separated(findings, |out, finding| out.string(finding.name, MAX_NAME));
        self.out.raw(b"]");
    }

    fn versions<'f>(&mut self, findings: impl Iterator<Item = Finding<'f>>) {
        self.key(Field::Versions);
        self.out.raw(b"{");
        self.separated(findings, |out, finding| {
            out.string(finding.name, MAX_NAME);
            out.raw(b":");
            out.string(finding.version, MAX_VERSION);
        });
        self.out.raw(b"}");
    }

    fn separated<'f>(&mut self, findings: impl Iterator<Item = Finding<'f>>, write: impl Fn(&mut Writer, &Finding)) {
        let mut first = true;
        for finding in findings {
            if !first {
                self.out.raw(b",");
            }
            first = false;
            write(self.out, &finding);
        }
    }
}
