//! Whatever comes to the collector, it is a record within its bounds, or rejected; and joining never grows one beyond
//! what came.
#![no_main]

#[allow(dead_code, reason = "the command's module, of which reading and joining are tried here")]
#[path = "../../../src/record/mod.rs"]
mod record;

use customs_spec::frame::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(message) = Message::read(data) {
        assert!(message.pri <= 191 && message.host.len() <= 255 && message.msgid.len() <= 32);
    }
    let inner = record::message_in(data);
    let mut joiner = record::Joiner::default();
    for bytes in [data, &inner] {
        let Ok(record) = record::read(bytes) else { continue };
        assert!(record.texts.iter().all(|text| text.len() <= 1024));
        assert!(record.elapsed.is_finite() && record.packages.iter().all(|name| !name.is_empty() && name.len() <= 64));
        let names = record.packages.len();
        let missing = record.missing.len();
        if let Some((whole, ())) = joiner.take(record, ()) {
            assert!(whole.is_whole() && whole.packages.len() <= 2 * names);
        }
        assert!(joiner.incomplete().iter().all(|(record, ())| record.missing.len() <= missing));
    }
    let _ = record::time_of(data);
});
