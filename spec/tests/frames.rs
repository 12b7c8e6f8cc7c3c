//! Every message that the library can write parses to what went in, whatever a user put into it.

use customs_spec::frame::{Header, Message};
use customs_spec::policy::MIN_DATAGRAM;
use customs_spec::record::{Field, Fields, Finding, Privacy, Record};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;

fn messages(record: &Record, findings: &[Finding], limit: usize) -> Vec<Vec<u8>> {
    let header =
        Header { facility: 16, time: 1_790_000_000_123_456, host: record.host, pid: record.pid, msgid: b"customs" };
    let mut buffer = vec![0; 65_536];
    let mut sent = Vec::new();
    record.messages(header, findings.iter().copied(), &mut buffer, limit, |message| sent.push(message.to_vec()));
    sent
}

/// The JSON of a message, after two independent parsers agreed on its frame.
fn parsed(message: &[u8]) -> Value {
    let text = std::str::from_utf8(message).expect("UTF-8");
    assert!(!text.bytes().any(|byte| byte < 0x20 || byte == 0x7f), "control character in {text:?}");
    let strict = syslog_rfc5424::parse_message(text).expect("RFC 5424");
    let loose = syslog_loose::parse_message(text, syslog_loose::Variant::RFC5424);
    assert_eq!(strict.msg, loose.msg, "{text}");
    assert_eq!(strict.hostname.as_deref(), loose.hostname);
    assert_eq!(strict.appname.as_deref(), Some("customs"));
    assert_eq!(strict.msgid.as_deref(), Some("customs"));
    assert_eq!(strict.facility as u8, 16);
    assert_eq!(loose.timestamp.unwrap().timestamp_micros(), 1_790_000_000_123_456);
    assert!(strict.sd.is_empty());
    let own = Message::read(message).expect("RFC 5424");
    assert_eq!((own.pri, own.app_name, own.msgid), (134, b"customs".as_slice(), b"customs".as_slice()));
    assert_eq!(own.host, strict.hostname.as_deref().unwrap_or_default().as_bytes());
    assert_eq!(own.body, strict.msg.as_bytes());
    serde_json::from_str(&strict.msg).expect("JSON")
}

fn names(value: &Value, field: Field) -> Vec<String> {
    match &value[field.key()] {
        Value::Null => Vec::new(),
        names => names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
    }
}

/// What a field of text comes back as: lossy UTF-8, cut.
fn starts_like(value: &Value, field: Field, sent: &[u8]) -> bool {
    String::from_utf8_lossy(sent).starts_with(value[field.key()].as_str().unwrap())
}

#[test]
fn a_record_has_every_field_with_the_value_that_went_in() {
    let record = Record {
        id: 0xab,
        seq: 3,
        list: b"packages",
        policy: 0x1234,
        host: b"nid00012",
        system: b"cori",
        subsystem: b"knl",
        username: b"alice",
        uid: 1000,
        pid: 4711,
        ppid: 4710,
        executable: b"/usr/bin/python3",
        main: b"/home/alice/run.py",
        prefix: b"/usr",
        python: b"3.11.2",
        is_compute: true,
        is_shifter: true,
        container: b"shifter",
        is_staff: true,
        job_id: b"123456",
        num_nodes: 4,
        qos: b"regular",
        repo: b"m1234",
        start: 1_790_000_000_000_000,
        elapsed: 123_456,
        exit: b"normal",
        rate: b"0.01",
        weight: b"10",
        canary: b"c-1",
        parent: Some(1),
        privacy: Privacy::default(),
    };
    let findings = [
        Finding { name: b"numpy", version: b"1.26.4", direct: true, library: false },
        Finding { name: b"mkl", library: true, ..Finding::default() },
    ];
    let [message] = &messages(&record, &findings, 1452)[..] else { panic!("one message") };
    let expected: Value = serde_json::json!({
        "schema": 1, "id": "000000000000000000000000000000ab", "seq": 3, "part": 1, "parts": 1, "list": "packages",
        "policy": "0000000000001234", "host": "nid00012", "system": "cori", "subsystem": "knl", "username": "alice",
        "uid": 1000, "pid": 4711, "ppid": 4710, "executable": "/usr/bin/python3", "main": "/home/alice/run.py",
        "prefix": "/usr", "python": "3.11.2", "is_compute": true, "is_shifter": true, "container": "shifter",
        "is_staff": true, "job_id": "123456", "num_nodes": 4, "qos": "regular", "repo": "m1234",
        "start": "2026-09-21T14:13:20.000000Z", "elapsed": 0.123, "exit": "normal", "rate": 0.01, "weight": 10, "canary": "c-1",
        "parent": "00000000000000000000000000000001", "packages": ["numpy", "mkl"], "versions": {"numpy": "1.26.4"},
        "direct": ["numpy"], "libraries": ["mkl"],
    });
    assert_eq!(parsed(message), expected);
}

#[test]
fn fields_that_do_not_apply_are_there_all_the_same() {
    let value = parsed(&messages(&Record::default(), &[], 1452)[0]);
    let object = value.as_object().unwrap();
    assert_eq!(object.len(), 30, "{object:?}");
    assert_eq!(object["packages"], serde_json::json!([]));
    assert_eq!(object["num_nodes"], 1);
    assert_eq!(object["job_id"], "");
}

#[test]
fn what_a_site_omits_is_not_there_and_what_it_veils_cannot_be_read() {
    let record = Record { username: b"alice", host: b"nid1", main: b"/secret", uid: 1000, pid: 9, ..Record::default() };
    let omit = Fields::default().with(Field::Main).with(Field::Uid).with(Field::Pid).with(Field::Versions);
    let pseudonymise = Fields::default().with(Field::Username).with(Field::Host);
    let record = Record { privacy: Privacy { omit, pseudonymise, key: [1, 2] }, ..record };
    let finding = Finding { name: b"numpy", version: b"1", ..Finding::default() };
    let message = &messages(&record, &[finding], 1452)[0];
    let text = String::from_utf8(message.clone()).unwrap();
    for secret in ["alice", "nid1", "/secret", "1000"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let value = parsed(message);
    assert_eq!(value["main"], "");
    assert_eq!(value["uid"], -1);
    assert_eq!(value["username"].as_str().unwrap().len(), 32);
    let header = syslog_rfc5424::parse_message(&text).unwrap();
    assert_eq!(header.hostname.as_deref(), value["host"].as_str());
    assert!(header.procid.is_none());
    assert!(value.get("versions").is_none());
}

#[test]
fn a_long_record_is_split_into_parts_that_each_stand_alone() {
    let names: Vec<String> = (0..400).map(|number| format!("package_number_{number}")).collect();
    let findings: Vec<Finding> = names
        .iter()
        .map(|name| Finding { name: name.as_bytes(), version: b"1.2.3", direct: name.ends_with('7'), library: false })
        .collect();
    let record = Record { main: &[b'x'; 4000], job_id: b"7", ..Record::default() };
    let parts = messages(&record, &findings, usize::from(MIN_DATAGRAM));
    assert!(parts.len() > 10);
    let mut seen = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        assert!(part.len() <= usize::from(MIN_DATAGRAM), "{}", part.len());
        let value = parsed(part);
        assert_eq!(value["part"], index + 1);
        assert_eq!(value["parts"], parts.len());
        assert_eq!(value["job_id"], "7");
        seen.extend(self::names(&value, Field::Packages));
    }
    assert_eq!(seen, names);
}

#[test]
fn the_worst_record_fits_the_smallest_datagram_and_none_is_lost() {
    let worst = [0_u8; 5000];
    let record = Record {
        id: u128::MAX,
        seq: u32::MAX,
        list: &worst,
        policy: u64::MAX,
        host: &worst,
        system: &worst,
        subsystem: &worst,
        username: &worst,
        uid: u32::MAX,
        pid: u32::MAX,
        ppid: u32::MAX,
        executable: &worst,
        main: &worst,
        prefix: &worst,
        python: &worst,
        container: &worst,
        job_id: &worst,
        num_nodes: u32::MAX,
        qos: &worst,
        repo: &worst,
        start: 1_790_000_000_000_000,
        elapsed: u64::MAX,
        exit: &worst,
        rate: b"0.0123456789012345",
        weight: b"99.3333",
        canary: &worst,
        parent: Some(u128::MAX),
        ..Record::default()
    };
    let finding = Finding { name: &worst, version: &worst, direct: true, library: true };
    let sent = messages(&record, &[finding; 5], usize::from(MIN_DATAGRAM));
    for message in &sent {
        assert!(message.len() <= usize::from(MIN_DATAGRAM), "{}", message.len());
    }
    assert_eq!(sent.iter().map(|message| names(&parsed(message), Field::Packages).len()).sum::<usize>(), 5);
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        "[ -~]{0,60}".prop_map(String::into_bytes),
        proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'"'), Just(b'\\'), Just(0_u8)], 0..800),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_text_breaks_the_frame(
        [host, user, main, executable, prefix, job] in proptest::array::uniform6(bytes()),
        limit in usize::from(MIN_DATAGRAM)..65_000,
        found in proptest::collection::vec((bytes(), bytes(), any::<bool>(), any::<bool>()), 0..60),
    ) {
        let record = Record {
            host: &host, username: &user, main: &main, executable: &executable, prefix: &prefix, job_id: &job,
            ..Record::default()
        };
        let findings: Vec<Finding> = found.iter()
            .map(|(name, version, direct, library)| Finding { name, version, direct: *direct, library: *library })
            .collect();
        let sent = messages(&record, &findings, limit);
        prop_assert!(!sent.is_empty());
        let mut count = 0;
        for message in &sent {
            prop_assert!(message.len() <= limit, "{} > {limit}", message.len());
            let value = parsed(message);
            for (field, sent) in [
                (Field::Host, &host), (Field::Username, &user), (Field::Main, &main),
                (Field::Executable, &executable), (Field::Prefix, &prefix), (Field::JobId, &job),
            ] {
                prop_assert!(starts_like(&value, field, sent), "{}", field.key());
            }
            prop_assert_eq!(&value["parts"], sent.len());
            let here: BTreeSet<_> = names(&value, Field::Packages).into_iter().collect();
            prop_assert!(names(&value, Field::Direct).iter().all(|name| here.contains(name)));
            count += names(&value, Field::Packages).len();
        }
        prop_assert_eq!(count, findings.len());
    }
}
