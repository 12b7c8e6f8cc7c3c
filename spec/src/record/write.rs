//! The JSON object of a record.

use super::{Field, Finding, MAX_NAME, Record, SCHEMA};
use crate::hash;
use crate::json::Writer;

/// Longest version, in bytes after escaping.
pub const MAX_VERSION: usize = 40;

/// How long texts may be: paths, and everything else.
#[derive(Clone, Copy)]
pub(super) struct Caps {
    pub path: usize,
    pub short: usize,
}

impl Record<'_> {
    /// Writes the JSON object: part `part` of `of`, with `findings`.
    pub(super) fn object<'f>(
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
        if !self.weight.is_empty() {
            object.key(Field::Weight);
            object.out.raw(self.weight);
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
    pub fn veiled<'v>(&self, field: Field, value: &'v [u8], space: &'v mut [u8; 32]) -> &'v [u8] {
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
