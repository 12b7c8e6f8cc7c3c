//! Whatever is put into a record, each of its messages is RFC 5424 with one JSON object, and nothing found is lost.
#![no_main]

use arbitrary::Arbitrary;
use customs_spec::frame::Header;
use customs_spec::record::{Finding, Record};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::collections::BTreeSet;
use syslog_loose::Variant;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    texts: [&'a [u8]; 12],
    numbers: [u32; 6],
    times: [u64; 3],
    id: u128,
    parent: Option<u128>,
    flags: [bool; 3],
    findings: Vec<(&'a [u8], &'a [u8], bool, bool)>,
    limit: u16,
}

fuzz_target!(|input: Input| {
    let Input { texts, numbers, times, id, parent, flags, findings, limit } = input;
    let [host, system, username, executable, main, prefix, python, container, job_id, qos, repo, canary] = texts;
    let record = Record {
        id, parent, host, system, username, executable, main, prefix, python, container, job_id, qos, repo, canary,
        seq: numbers[0], uid: numbers[1], pid: numbers[2], ppid: numbers[3], num_nodes: numbers[4],
        start: times[0] % 4_000_000_000_000_000, elapsed: times[1] % 4_000_000_000_000_000,
        is_compute: flags[0], is_shifter: flags[1], is_staff: flags[2],
        list: b"packages", exit: b"normal", ..Record::default()
    };
    let findings: Vec<_> = findings
        .iter()
        .map(|(name, version, direct, library)| Finding { name, version, direct: *direct, library: *library })
        .collect();
    let time = times[2] % 4_000_000_000_000_000;
    let header = Header { facility: (numbers[5] % 24) as u8, time, host, pid: numbers[2], msgid: b"customs" };
    let limit = usize::from(limit.max(1232));
    let mut buffer = vec![0; 65_536];
    let mut parts = Vec::new();
    let mut names = BTreeSet::new();
    record.messages(header, findings.iter().copied(), &mut buffer, limit, |message| {
        assert!(message.len() <= limit, "{} bytes of {limit}", message.len());
        let text = std::str::from_utf8(message).expect("UTF-8");
        assert!(!text.contains(['\n', '\r', '\0']), "{text:?}");
        let parsed = syslog_loose::parse_message(text, Variant::RFC5424);
        assert_eq!(parsed.msgid, Some("customs"), "{text}");
        let value: Value = serde_json::from_str(parsed.msg).expect(text);
        names.extend(value["packages"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()));
        parts.push((value["part"].as_u64().unwrap(), value["parts"].as_u64().unwrap()));
    });
    let count = parts.len() as u64;
    assert!(count > 0);
    assert!(parts.iter().enumerate().all(|(at, (part, of))| *part == at as u64 + 1 && *of == count), "{parts:?}");
    let wanted: BTreeSet<_> = findings.iter().map(|finding| finding.name).collect();
    assert!(names.len() <= wanted.len());
    if wanted.iter().all(|name| name.len() <= 10 && name.iter().all(u8::is_ascii_alphanumeric)) && count < 255 {
        assert_eq!(names.len(), wanted.len());
    }
});
