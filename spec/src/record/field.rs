//! The names of the record's fields, here and nowhere else, and what a site keeps to itself of them.

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

            /// The field of that name.
            #[cfg(feature = "site")]
            pub fn of(key: &str) -> Option<Field> {
                match key { $($key => Some(Field::$variant),)* _ => None }
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
