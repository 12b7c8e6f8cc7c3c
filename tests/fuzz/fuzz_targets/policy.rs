//! Whatever lies in the place of the policy, reading it ends, and touches nothing outside of it.
#![no_main]

use customs_spec::hash;
use customs_spec::inspect::Inspector;
use customs_spec::policy::{Policy, decode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, Vec<Vec<u8>>)| {
    let (mut bytes, names) = input;
    let _ = decode(&bytes);
    // As if it were whole: its beginning, its length and its digest are right.
    if bytes.len() < 24 {
        return;
    }
    bytes[..8].copy_from_slice(b"customs\0");
    bytes[8..12].copy_from_slice(&2_u32.to_le_bytes());
    let length = bytes.len() as u32;
    bytes[12..16].copy_from_slice(&length.to_le_bytes());
    let digest = hash::digest(&bytes[24..]);
    bytes[16..24].copy_from_slice(&digest.to_le_bytes());
    let Ok(policy) = Policy::read(&bytes) else { panic!("a policy with the right digest is refused") };
    let mut space = vec![0; Inspector::SPACE];
    let Some(mut inspector) = Inspector::new(policy, b"/home/a/run.py", b"/usr/bin/python3", &mut space) else { return };
    for name in &names {
        inspector.see_module(name);
        inspector.see_direct(name);
        inspector.see_library(name, |_| {});
    }
    for list in policy.lists().take(64) {
        let _ = inspector.found(list).iter().take(1000).count();
        let _ = list.transports().take(1000).count();
    }
    for transport in policy.transports().take(64) {
        for server in 0..transport.servers().min(64) {
            let _ = transport.server(server);
        }
    }
    for subsystem in policy.subsystems().take(64) {
        let _ = subsystem.hosts.any_matches(b"nid00012");
        let _ = subsystem.env().take(64).count();
    }
    let _ = (policy.signals().count(), policy.thin().take(64).count(), policy.recorder(), policy.staff().take(64).count());
    let _ = (policy.opt_out().iter().take(64).count(), policy.ranks().iter().take(64).count(), policy.privacy());
    let _ = decode(&bytes);
});
