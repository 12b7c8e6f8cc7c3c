//! The policy in place: what the library reads. Nothing here allocates, and nothing can panic: an offset
//! that leads nowhere reads as "none".

use super::bytes::{Sequence, number, number64, sequence, text};
use super::*;
use crate::hash;
use crate::record::{Fields, Privacy};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// A policy whose header and digest were verified.
#[derive(Clone, Copy)]
pub struct Policy<'p> {
    bytes: &'p [u8],
}

/// The look-up table of module names, at hand.
#[derive(Clone, Copy)]
pub struct Modules<'p> {
    table: &'p [[u8; 4]],
    entries: Sequence<'p>,
}

/// A sequence of texts.
#[derive(Clone, Copy)]
pub struct Texts<'p>(Sequence<'p>);

/// A reported name and what makes it true.
#[derive(Clone, Copy)]
pub struct Check<'p> {
    /// The name that is reported.
    pub name: &'p [u8],
    /// Any of these in `sys.modules`,
    pub modules: Texts<'p>,
    /// or any of these mapped (globs over file names),
    pub libraries: Texts<'p>,
    /// but not with such a `__main__`
    pub unless_main: Texts<'p>,
    /// or such an interpreter.
    pub unless_executable: Texts<'p>,
    /// Where the version lies; empty: at the usual places.
    pub version_module: &'p [u8],
    /// And the name of the variable there.
    pub version_attribute: &'p [u8],
    /// Name of the distribution; empty: the module's.
    pub distribution: &'p [u8],
}

/// A package list.
#[derive(Clone, Copy)]
pub struct List<'p> {
    /// Reported as `list`.
    pub name: &'p [u8],
    /// Also every top-level module outside the standard library.
    pub all: bool,
    /// Whether `rate` counts processes and not jobs.
    pub per_process: bool,
    /// Report also when nothing was found.
    pub empty: bool,
    /// The rate as a JSON number; empty: all.
    pub rate: &'p [u8],
    /// The rate as a share of 2^32; `u32::MAX`: all.
    pub threshold: u32,
    checks: Sequence<'p>,
    transports: Sequence<'p>,
}

/// Of processes shorter than this, a share is reported.
#[derive(Clone, Copy)]
pub struct Thin<'p> {
    /// In milliseconds.
    pub shorter_than: u32,
    /// The share, of 2^32.
    pub threshold: u32,
    /// Whether the workers of one parent are kept or left out together.
    pub per_parent: bool,
    /// The share as a JSON number.
    pub keep: &'p [u8],
    /// 1 over it, as a JSON number.
    pub weight: &'p [u8],
}

/// A way out.
#[derive(Clone, Copy)]
pub struct Transport<'p> {
    /// Name in the site file.
    pub name: &'p [u8],
    /// For every process, not only compute processes.
    pub any: bool,
    /// Longest message in bytes.
    pub max_datagram: usize,
    servers: Sequence<'p>,
}

/// One receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server<'p> {
    /// Address and port.
    Udp(SocketAddr),
    /// Path of a datagram socket.
    Unix(&'p [u8]),
    /// Path of a file to append to.
    File(&'p [u8]),
}

/// A partition of the machine.
#[derive(Clone, Copy)]
pub struct Subsystem<'p> {
    /// Reported as `subsystem`.
    pub name: &'p [u8],
    /// Globs over the host name.
    pub hosts: Texts<'p>,
    env: Texts<'p>,
}

impl<'p> Texts<'p> {
    /// The texts in their order.
    pub fn iter(self) -> impl Iterator<Item = &'p [u8]> + Clone + use<'p> {
        (0..self.0.count).map(move |item| self.0.text(item, 0))
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0.count == 0
    }

    /// Whether any of them, as a glob, matches `value`. An empty value matches nothing.
    pub fn any_matches(self, value: &[u8]) -> bool {
        !value.is_empty() && self.iter().any(|pattern| crate::glob::matches(pattern, value))
    }
}

impl<'p> Policy<'p> {
    /// Verifies `bytes`, of which a policy may be the beginning.
    pub fn read(bytes: &'p [u8]) -> Result<Self, Damage> {
        match bytes.first_chunk() {
            None => return Err(Damage::Length),
            Some([0, 0, 0, 0, 0, 0, 0, 0]) => return Err(Damage::Empty),
            Some(magic) if magic != MAGIC => return Err(Damage::Magic),
            Some(_) => {}
        }
        match number(bytes, 8) {
            VERSION => {}
            other => return Err(Damage::Version(other)),
        }
        let bytes = bytes.get(..number(bytes, 12) as usize).ok_or(Damage::Length)?;
        let content = bytes.get(HEADER..).ok_or(Damage::Length)?;
        if number64(bytes, 16) != crate::hash::digest(content) {
            return Err(Damage::Digest);
        }
        Ok(Policy { bytes })
    }

    /// Takes `bytes`, which [`Policy::read`] has verified before, at their word.
    pub fn of_verified(bytes: &'p [u8]) -> Self {
        Policy { bytes: bytes.get(..number(bytes, 12) as usize).unwrap_or_default() }
    }

    fn slot(self, slot: Slot) -> u32 {
        number(self.bytes, HEADER.saturating_add((slot as usize).saturating_mul(4)))
    }

    fn texts(self, slot: Slot) -> Texts<'p> {
        Texts(self.items(slot, 1))
    }

    fn items(self, slot: Slot, width: usize) -> Sequence<'p> {
        sequence(self.bytes, self.slot(slot), width)
    }

    fn fields(self, low: Slot, high: Slot) -> Fields {
        Fields(u64::from(self.slot(low)) | u64::from(self.slot(high)) << 32)
    }

    /// The digest, a record's `policy`.
    pub fn digest(self) -> u64 {
        number64(self.bytes, 16)
    }

    /// Name of the machine.
    pub fn system(self) -> &'p [u8] {
        text(self.bytes, self.slot(Slot::System))
    }

    /// RFC 5424 MSGID.
    pub fn msgid(self) -> &'p [u8] {
        text(self.bytes, self.slot(Slot::Msgid))
    }

    /// Syslog facility code.
    pub fn facility(self) -> u8 {
        self.slot(Slot::Facility) as u8
    }

    /// Variables by which a user opts out.
    pub fn opt_out(self) -> Texts<'p> {
        self.texts(Slot::OptOut)
    }

    /// Variables that hold a rank.
    pub fn ranks(self) -> Texts<'p> {
        self.texts(Slot::Ranks)
    }

    /// What the site keeps to itself.
    pub fn privacy(self) -> Privacy {
        Privacy {
            omit: self.fields(Slot::OmitLow, Slot::OmitHigh),
            pseudonymise: self.fields(Slot::PseudonymiseLow, Slot::PseudonymiseHigh),
            key: crate::hash::key_from(self.pseudonym_key()),
        }
    }

    pub(super) fn pseudonym_key(self) -> &'p [u8] {
        text(self.bytes, self.slot(Slot::PseudonymKey))
    }

    /// Whether a version may be read off a `dist-info` folder's name.
    pub fn dist_info(self) -> bool {
        self.slot(Slot::DistInfo) != 0
    }

    /// Numbers of the signals at which a process reports before it dies.
    pub fn signals(self) -> impl Iterator<Item = u8> {
        crate::signal::members(self.slot(Slot::Signals))
    }

    /// Folder in which a process leaves what is to be reported if it is killed; empty: nowhere.
    pub fn recorder(self) -> &'p [u8] {
        text(self.bytes, self.slot(Slot::Recorder))
    }

    /// Which short processes are reported in part.
    pub fn thin(self) -> impl Iterator<Item = Thin<'p>> {
        let items = self.items(Slot::Thin, words::THIN);
        (0..items.count).map(move |item| Thin {
            shorter_than: items.word(item, 0),
            threshold: items.word(item, 1),
            per_parent: items.word(item, 2) != 0,
            keep: items.text(item, 3),
            weight: items.text(item, 4),
        })
    }

    /// Variables whose presence makes a compute process.
    pub fn compute_env(self) -> Texts<'p> {
        self.texts(Slot::ComputeEnv)
    }

    /// Hosts that run compute processes.
    pub fn compute_hosts(self) -> Texts<'p> {
        self.texts(Slot::ComputeHosts)
    }

    /// Partitions of the machine.
    pub fn subsystems(self) -> impl Iterator<Item = Subsystem<'p>> + Clone {
        let items = self.items(Slot::Subsystems, words::SUBSYSTEM);
        (0..items.count).map(move |item| Subsystem {
            name: items.text(item, 0),
            hosts: Texts(items.sequence(item, 1, 1)),
            env: Texts(items.sequence(item, 2, 1)),
        })
    }

    /// Group ids of the staff.
    pub fn staff(self) -> impl Iterator<Item = u32> + Clone {
        self.items(Slot::Staff, 1).numbers()
    }

    /// Variables that may hold the job's id.
    pub fn job_id(self) -> Texts<'p> {
        self.texts(Slot::JobId)
    }

    /// Variables that may hold its number of nodes, or its hosts.
    pub fn num_nodes(self) -> Texts<'p> {
        self.texts(Slot::NumNodes)
    }

    /// Variables that may hold its quality of service.
    pub fn qos(self) -> Texts<'p> {
        self.texts(Slot::Qos)
    }

    /// Variables that may hold its account.
    pub fn repo(self) -> Texts<'p> {
        self.texts(Slot::Repo)
    }

    /// Every transport.
    pub fn transports(self) -> impl Iterator<Item = Transport<'p>> + Clone {
        let items = self.items(Slot::Transports, words::TRANSPORT);
        (0..items.count).map(move |item| Transport {
            name: items.text(item, 0),
            any: items.word(item, 1) != 0,
            max_datagram: items.word(item, 2) as usize,
            servers: items.sequence(item, 3, words::SERVER),
        })
    }

    /// The transports that a list goes to: those it names, or the first that is meant for such a process.
    pub fn transports_of(self, list: &List<'p>, is_compute: bool) -> impl Iterator<Item = Transport<'p>> + use<'p> {
        let named = list.transports();
        let unnamed = named.clone().next().is_none();
        let default = self.transports().find(|transport| unnamed && (transport.any || is_compute));
        named.filter_map(move |number| self.transports().nth(number as usize)).chain(default)
    }

    /// Every check; its position is its number.
    pub fn checks(self) -> impl Iterator<Item = Check<'p>> + Clone {
        let items = self.items(Slot::Checks, words::CHECK);
        (0..items.count).map(move |item| check(items, item))
    }

    /// The check of that number.
    pub fn check(self, number: u32) -> Option<Check<'p>> {
        let items = self.items(Slot::Checks, words::CHECK);
        ((number as usize) < items.count).then(|| check(items, number as usize))
    }

    /// Every list.
    pub fn lists(self) -> impl Iterator<Item = List<'p>> + Clone {
        let items = self.items(Slot::Lists, words::LIST);
        (0..items.count).map(move |item| {
            let flags = items.word(item, 2);
            List {
                name: items.text(item, 0),
                checks: items.sequence(item, 1, 1),
                all: flags & flag::ALL != 0,
                per_process: flags & flag::PER_PROCESS != 0,
                empty: flags & flag::EMPTY != 0,
                rate: items.text(item, 3),
                threshold: items.word(item, 4),
                transports: items.sequence(item, 5, 1),
            }
        })
    }

    /// The module names that checks ask for.
    pub fn modules(self) -> Modules<'p> {
        let table = self.items(Slot::Table, 1);
        let words = table.bytes.get(table.at..).and_then(|rest| rest.as_chunks().0.get(..table.count));
        Modules { table: words.unwrap_or_default(), entries: self.items(Slot::Entries, words::ENTRY) }
    }

    /// Whether any check asks for a mapped shared library.
    pub fn wants_libraries(self) -> bool {
        self.items(Slot::Libraries, words::LIBRARY).count > 0
    }

    /// The numbers of the checks that ask for a shared library of this file name.
    pub fn checks_for_library(self, file_name: &[u8]) -> impl Iterator<Item = u32> {
        let items = self.items(Slot::Libraries, words::LIBRARY);
        let own = hint(file_name);
        (0..items.count)
            .filter(move |item| matches!(items.word(*item, 2), hint if hint == 0 || hint == own))
            .filter(move |item| crate::glob::matches(items.text(*item, 0), file_name))
            .map(move |item| items.word(item, 1))
    }

    /// Whether any check may ask for a library of this name without its end: `libz` for `libz.so.1.3` and `libz-1.3.so`.
    pub fn may_ask_for_library(self, stem: &[u8]) -> bool {
        let items = self.items(Slot::Libraries, words::LIBRARY);
        (0..items.count).any(|item| may_match(items.text(item, 0), stem))
    }
}

/// Whether a pattern may hold for a file that is called `stem`, then `.` or `-`, and whatever follows.
fn may_match(pattern: &[u8], stem: &[u8]) -> bool {
    match pattern.iter().zip(stem).find(|(wanted, there)| wanted != there) {
        Some((wanted, _)) => b"*?[".contains(wanted),
        None => pattern.get(stem.len()).is_none_or(|next| b".-*?[".contains(next)),
    }
}

impl<'p> Modules<'p> {
    /// The numbers of the checks that ask for the module `name`; `None` for the thousands that none asks for.
    #[inline]
    pub fn checks_for(self, name: &[u8]) -> Option<impl Iterator<Item = u32> + Clone + use<'p>> {
        let Modules { table, entries } = self;
        let (start, tag) = crate::hash::place(name);
        let mask = table.len().wrapping_sub(1);
        for step in 0..table.len() {
            let word = u32::from_le_bytes(*table.get(start.wrapping_add(step) & mask)?);
            if word == 0 {
                return None;
            }
            let entry = (word as usize & 0xffff).wrapping_sub(1);
            if (word >> 16) as u16 == tag && entries.text(entry, 0) == name {
                return Some(entries.sequence(entry, 1, 1).numbers());
            }
        }
        None
    }
}

fn check(items: Sequence<'_>, item: usize) -> Check<'_> {
    Check {
        name: items.text(item, 0),
        modules: Texts(items.sequence(item, 1, 1)),
        libraries: Texts(items.sequence(item, 2, 1)),
        unless_main: Texts(items.sequence(item, 3, 1)),
        unless_executable: Texts(items.sequence(item, 4, 1)),
        version_module: items.text(item, 5),
        version_attribute: items.text(item, 6),
        distribution: items.text(item, 7),
    }
}

impl<'p> List<'p> {
    /// Numbers of its checks.
    pub fn checks(&self) -> impl Iterator<Item = u32> + Clone + use<'p> {
        self.checks.numbers()
    }

    /// Numbers of its transports; none: the first whose `on` holds.
    pub fn transports(&self) -> impl Iterator<Item = u32> + Clone + use<'p> {
        self.transports.numbers()
    }

    /// Whether the process `id` falls into this list's sample, or the job that it belongs to (empty: none). Every node
    /// comes to the same answer of a job.
    pub fn samples(&self, system: &[u8], job: &[u8], id: u128) -> bool {
        let id = id.to_le_bytes();
        let chosen = if self.per_process || job.is_empty() { &id } else { job };
        let place = hash::of_parts(hash::PUBLIC_KEY, &[self.name, system, chosen]) as u32;
        self.threshold == u32::MAX || place < self.threshold
    }
}

impl Thin<'_> {
    /// Whether the process `id` is of the share that is reported.
    pub fn keeps(&self, id: u128, parent: Option<u128>) -> bool {
        let chosen = if self.per_parent { parent.unwrap_or(id) } else { id };
        let place = hash::of_parts(hash::PUBLIC_KEY, &[b"thin", &chosen.to_le_bytes()]) as u32;
        place < self.threshold
    }
}

impl<'p> Transport<'p> {
    /// How many receivers there are.
    pub fn servers(&self) -> usize {
        self.servers.count
    }

    /// The receiver at `index`.
    pub fn server(&self, index: usize) -> Option<Server<'p>> {
        if index >= self.servers.count {
            return None;
        }
        let word = |position| self.servers.word(index, position);
        match word(0) {
            kind::UDP4 => {
                let address = Ipv4Addr::from_bits(word(2));
                Some(Server::Udp(SocketAddr::V4(SocketAddrV4::new(address, word(1) as u16))))
            }
            kind::UDP6 => {
                let bits = (2..6).fold(0_u128, |bits, position| bits << 32 | u128::from(word(position)));
                let address = Ipv6Addr::from_bits(bits);
                Some(Server::Udp(SocketAddr::V6(SocketAddrV6::new(address, word(1) as u16, 0, word(6)))))
            }
            kind::UNIX => Some(Server::Unix(self.servers.text(index, 2))),
            kind::FILE => Some(Server::File(self.servers.text(index, 2))),
            _ => None,
        }
    }
}

impl<'p> Subsystem<'p> {
    /// Variables and the globs that their values must match.
    pub fn env(&self) -> impl Iterator<Item = (&'p [u8], &'p [u8])> + Clone + use<'p> {
        let pairs = self.env.0;
        (0..pairs.count / 2).map(move |pair| {
            let first = pair.saturating_mul(2);
            (pairs.text(first, 0), pairs.text(first.saturating_add(1), 0))
        })
    }
}

/// The numbers by which an address is written.
#[cfg(feature = "site")]
pub(super) fn udp_words(address: &SocketAddr) -> [u32; words::SERVER] {
    let port = u32::from(address.port());
    match address.ip() {
        core::net::IpAddr::V4(ip) => [kind::UDP4, port, ip.to_bits(), 0, 0, 0, 0],
        core::net::IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            let scope = if let SocketAddr::V6(v6) = address { v6.scope_id() } else { 0 };
            [kind::UDP6, port, (bits >> 96) as u32, (bits >> 64) as u32, (bits >> 32) as u32, bits as u32, scope]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::may_match;

    #[test]
    fn a_pattern_that_could_hold_for_a_name_is_not_ruled_out() {
        for pattern in ["libz.so.1.2*", "libz*", "lib[xyz].so", "*z*", "libz-1.so", "lib?.so", "l*"] {
            assert!(may_match(pattern.as_bytes(), b"libz"), "{pattern}");
        }
        for pattern in ["libzstd.so*", "libm.so", "libmkl_rt.so*", "libze_loader*.so*"] {
            assert!(!may_match(pattern.as_bytes(), b"libz"), "{pattern}");
        }
    }
}
