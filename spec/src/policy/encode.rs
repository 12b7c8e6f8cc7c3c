//! A model becomes bytes. Equal models become equal bytes: what is looked up by hash is laid out in the
//! order of the checks, and equal texts and sequences are stored once, where they are first needed.

use super::model::{Check, List, Model, On, Server};
use super::*;
use crate::hash;
use crate::record::{Field, Fields};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// The policy does not fit into the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// What was asked for.
    pub wanted: usize,
    /// What there is room for.
    pub room: usize,
    /// Of what: `"bytes"`, `"checks"`, `"bytes in one text"`, …
    pub unit: &'static str,
}

impl core::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let TooLarge { wanted, room, unit } = self;
        write!(f, "the policy is too large for the library: {wanted} {unit}, and there is room for {room}")
    }
}

impl core::error::Error for TooLarge {}

/// The policy's bytes, ready to be stamped into the library.
pub fn encode(model: &Model) -> Result<Vec<u8>, TooLarge> {
    within(model.checks.len(), MAX_CHECKS, "checks")?;
    let mut out = Output::new();
    let omit = set(&model.omit);
    let pseudonymise = set(&model.pseudonymise);
    for (slot, value) in [
        (Slot::Facility, u32::from(model.facility)),
        (Slot::OmitLow, omit.0 as u32),
        (Slot::OmitHigh, (omit.0 >> 32) as u32),
        (Slot::PseudonymiseLow, pseudonymise.0 as u32),
        (Slot::PseudonymiseHigh, (pseudonymise.0 >> 32) as u32),
        (Slot::DistInfo, u32::from(model.dist_info)),
        (Slot::Signals, crate::signal::set(model.signals.iter().copied())),
    ] {
        out.slot(slot, value);
    }
    for (slot, value) in [
        (Slot::System, &model.system),
        (Slot::Msgid, &model.msgid),
        (Slot::PseudonymKey, &model.pseudonym_key),
        (Slot::Recorder, &model.recorder),
    ] {
        let at = out.text(value)?;
        out.slot(slot, at);
    }
    for (slot, values) in [
        (Slot::OptOut, &model.opt_out),
        (Slot::ComputeEnv, &model.compute.env),
        (Slot::ComputeHosts, &model.compute.hosts),
        (Slot::Ranks, &model.ranks),
        (Slot::JobId, &model.job.job_id),
        (Slot::NumNodes, &model.job.num_nodes),
        (Slot::Qos, &model.job.qos),
        (Slot::Repo, &model.job.repo),
    ] {
        let at = out.texts(values)?;
        out.slot(slot, at);
    }
    let staff = out.sequence(&model.staff, 1)?;
    out.slot(Slot::Staff, staff);
    thin(model, &mut out)?;
    transports(model, &mut out)?;
    subsystems(model, &mut out)?;
    checks(&model.checks, &mut out)?;
    lists(&model.lists, &mut out)?;
    module_table(&model.checks, &mut out)?;
    libraries(&model.checks, &mut out)?;
    out.finish()
}

fn set(fields: &[Field]) -> Fields {
    fields.iter().fold(Fields::default(), |set, field| set.with(*field))
}

fn within(wanted: usize, room: usize, unit: &'static str) -> Result<(), TooLarge> {
    if wanted > room { Err(TooLarge { wanted, room, unit }) } else { Ok(()) }
}

fn thin(model: &Model, out: &mut Output) -> Result<(), TooLarge> {
    let mut items = Vec::new();
    for thin in &model.thin {
        // Four digits of it, which leaves room in the smallest datagram.
        let weight = alloc::format!("{:.4}", 1.0 / thin.keep);
        let weight = weight.trim_end_matches('0').trim_end_matches('.');
        let [keep, weight] = [&thin.keep.to_string(), weight].map(|number| out.text(number));
        items.extend([thin.shorter_than, share(thin.keep), u32::from(thin.per_parent), keep?, weight?]);
    }
    out.items(Slot::Thin, &items, words::THIN)
}

/// A share below 1 as one of 2^32.
fn share(share: f64) -> u32 {
    (share * 4_294_967_296.0) as u32
}

fn transports(model: &Model, out: &mut Output) -> Result<(), TooLarge> {
    let mut items = Vec::new();
    for transport in &model.transports {
        let mut servers = Vec::new();
        for server in &transport.servers {
            servers.extend(match server {
                Server::Udp(address) => read::udp_words(address),
                Server::Unix(path) => [kind::UNIX, 0, out.text(path)?, 0, 0, 0, 0],
                Server::File(path) => [kind::FILE, 0, out.text(path)?, 0, 0, 0, 0],
            });
        }
        let any = u32::from(transport.on == On::Any);
        let servers = out.sequence(&servers, words::SERVER)?;
        items.extend([out.text(&transport.name)?, any, u32::from(transport.max_datagram), servers]);
    }
    out.items(Slot::Transports, &items, words::TRANSPORT)
}

fn subsystems(model: &Model, out: &mut Output) -> Result<(), TooLarge> {
    let mut items = Vec::new();
    for subsystem in &model.subsystems {
        let env: Vec<String> =
            subsystem.env.iter().flat_map(|(variable, glob)| [variable.clone(), glob.clone()]).collect();
        items.extend([out.text(&subsystem.name)?, out.texts(&subsystem.hosts)?, out.texts(&env)?]);
    }
    out.items(Slot::Subsystems, &items, words::SUBSYSTEM)
}

fn checks(checks: &[Check], out: &mut Output) -> Result<(), TooLarge> {
    let mut items = Vec::new();
    for check in checks {
        let (module, attribute) = check.version.as_ref().map_or(("", ""), |(module, attribute)| (module, attribute));
        items.extend([
            out.text(&check.name)?,
            out.texts(&check.modules)?,
            out.texts(&check.libraries)?,
            out.texts(&check.unless_main)?,
            out.texts(&check.unless_executable)?,
            out.text(module)?,
            out.text(attribute)?,
            out.text(check.distribution.as_deref().unwrap_or(""))?,
        ]);
    }
    out.items(Slot::Checks, &items, words::CHECK)
}

fn lists(lists: &[List], out: &mut Output) -> Result<(), TooLarge> {
    let mut items = Vec::new();
    for list in lists {
        let numbers = |values: &[u16]| values.iter().map(|value| u32::from(*value)).collect::<Vec<_>>();
        let flag = |set: bool, flag: u32| if set { flag } else { 0 };
        let flags =
            flag(list.all, flag::ALL) | flag(list.per_process, flag::PER_PROCESS) | flag(list.empty, flag::EMPTY);
        let whole = list.rate >= 1.0;
        let rate = if whole { String::new() } else { list.rate.to_string() };
        let threshold = if whole { u32::MAX } else { share(list.rate) };
        items.extend([
            out.text(&list.name)?,
            out.sequence(&numbers(&list.checks), 1)?,
            flags,
            out.text(&rate)?,
            threshold,
            out.sequence(&numbers(&list.transports), 1)?,
        ]);
    }
    out.items(Slot::Lists, &items, words::LIST)
}

/// Module name to the checks that ask for it: open addressing, half empty, next place on a collision.
fn module_table(checks: &[Check], out: &mut Output) -> Result<(), TooLarge> {
    let mut names: Vec<(&str, Vec<u32>)> = Vec::new();
    let mut position: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, check) in checks.iter().enumerate() {
        for module in &check.modules {
            let entry = *position.entry(module).or_insert_with(|| {
                names.push((module, Vec::new()));
                names.len() - 1
            });
            if names[entry].1.last() != Some(&(number as u32)) {
                names[entry].1.push(number as u32);
            }
        }
    }
    within(names.len(), MAX_NAMES, "module names")?;
    let mut table = vec![0; (names.len() * 2).next_power_of_two().max(2)];
    let mut entries = Vec::new();
    for (index, (name, numbers)) in names.iter().enumerate() {
        let (mut place, tag) = hash::place(name.as_bytes());
        place &= table.len() - 1;
        while table[place] != 0 {
            place = (place + 1) & (table.len() - 1);
        }
        table[place] = u32::from(tag) << 16 | (index as u32 + 1);
        entries.extend([out.text(name)?, out.sequence(numbers, 1)?]);
    }
    out.items(Slot::Table, &table, 1)?;
    out.items(Slot::Entries, &entries, words::ENTRY)
}

fn libraries(checks: &[Check], out: &mut Output) -> Result<(), TooLarge> {
    let mut items = Vec::new();
    for (number, check) in checks.iter().enumerate() {
        for pattern in &check.libraries {
            items.extend([out.text(pattern)?, number as u32, hint(pattern.as_bytes())]);
        }
    }
    out.items(Slot::Libraries, &items, words::LIBRARY)
}

/// The bytes in the making.
struct Output {
    bytes: Vec<u8>,
    /// Where equal content already lies.
    stored: BTreeMap<Vec<u8>, u32>,
}

impl Output {
    fn new() -> Self {
        Output { bytes: vec![0; HEADER + Slot::Count as usize * 4], stored: BTreeMap::new() }
    }

    fn slot(&mut self, slot: Slot, value: u32) {
        let at = HEADER + slot as usize * 4;
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn store(&mut self, content: Vec<u8>) -> u32 {
        let end = self.bytes.len() as u32;
        let bytes = &mut self.bytes;
        *self.stored.entry(content).or_insert_with_key(|content| {
            bytes.extend_from_slice(content);
            end
        })
    }

    fn text(&mut self, text: &str) -> Result<u32, TooLarge> {
        if text.is_empty() {
            return Ok(0);
        }
        within(text.len(), 4096, "bytes in one text")?;
        let mut content = (text.len() as u16).to_le_bytes().to_vec();
        content.extend_from_slice(text.as_bytes());
        Ok(self.store(content))
    }

    fn texts(&mut self, texts: &[String]) -> Result<u32, TooLarge> {
        let offsets = texts.iter().map(|text| self.text(text)).collect::<Result<Vec<_>, _>>()?;
        self.sequence(&offsets, 1)
    }

    fn sequence(&mut self, items: &[u32], width: usize) -> Result<u32, TooLarge> {
        let count = items.len() / width;
        if count == 0 {
            return Ok(0);
        }
        within(count, usize::from(u16::MAX), "items in one sequence")?;
        let mut content = (count as u16).to_le_bytes().to_vec();
        content.extend(items.iter().flat_map(|word| word.to_le_bytes()));
        Ok(self.store(content))
    }

    fn items(&mut self, slot: Slot, items: &[u32], width: usize) -> Result<(), TooLarge> {
        let at = self.sequence(items, width)?;
        self.slot(slot, at);
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u8>, TooLarge> {
        within(self.bytes.len(), CAPACITY, "bytes")?;
        let length = self.bytes.len() as u32;
        let digest = hash::digest(&self.bytes[HEADER..]);
        self.bytes[..8].copy_from_slice(MAGIC);
        self.bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        self.bytes[12..16].copy_from_slice(&length.to_le_bytes());
        self.bytes[16..24].copy_from_slice(&digest.to_le_bytes());
        Ok(self.bytes)
    }
}
