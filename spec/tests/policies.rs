//! A policy comes back from its bytes as it went in, answers as its model would, and damage is told.

use customs_spec::inspect::Inspector;
use customs_spec::policy::model::{Check, Compute, Job, List, Model, On, Server, Subsystem, Thin, Transport};
use customs_spec::policy::{CAPACITY, Damage, Policy, decode, encode};
use customs_spec::record::Field;

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn check(name: &str) -> Check {
    Check { name: name.into(), modules: strings(&[name]), ..Check::default() }
}

fn model() -> Model {
    Model {
        system: "cori".into(),
        msgid: "customs".into(),
        facility: 16,
        opt_out: strings(&["CUSTOMS_OPT_OUT"]),
        omit: vec![Field::Main, Field::Parent],
        pseudonymise: vec![Field::Username],
        pseudonym_key: "geheim".into(),
        dist_info: true,
        signals: vec![1, 24],
        recorder: "/dev/shm".to_string(),
        thin: vec![Thin { shorter_than: 10_000, keep: 0.1, per_parent: true }],
        transports: vec![
            Transport {
                name: "nodes".into(),
                on: On::Compute,
                max_datagram: 1452,
                servers: vec![
                    Server::Udp("10.128.0.7:514".parse().unwrap()),
                    Server::Udp("[fd00::8]:514".parse().unwrap()),
                ],
            },
            Transport {
                name: "local".into(),
                on: On::Any,
                max_datagram: 8192,
                servers: vec![Server::Unix("/dev/log".into()), Server::File("/tmp/x".into())],
            },
        ],
        compute: Compute { env: strings(&["SLURMD_NODENAME"]), hosts: strings(&["nid*"]) },
        subsystems: vec![Subsystem {
            name: "knl".into(),
            hosts: strings(&["nid0[2-9]*"]),
            env: vec![("SLURM_JOB_PARTITION".into(), "knl*".into())],
        }],
        staff: vec![500, 7],
        ranks: strings(&["SLURM_PROCID"]),
        job: Job { job_id: strings(&["SLURM_JOB_ID"]), ..Job::default() },
        checks: vec![
            check("numpy"),
            check("astropy.io.fits"),
            check("astropy"),
            Check { name: "root".into(), modules: strings(&["ROOT.std", "ROOT"]), ..Check::default() },
            Check { name: "mkl".into(), libraries: strings(&["libmkl_rt.so*"]), ..Check::default() },
            Check {
                name: "multiprocessing".into(),
                modules: strings(&["multiprocessing"]),
                unless_main: strings(&["*/bin/conda"]),
                version: Some(("a.b".into(), "c".into())),
                distribution: Some("d".into()),
                ..Check::default()
            },
            check("numpy"),
        ],
        lists: vec![
            List {
                name: "packages".into(),
                checks: vec![0, 1, 2, 3, 4, 5],
                all: false,
                rate: 1.0,
                per_process: false,
                transports: vec![1, 0],
                empty: true,
            },
            List {
                name: "everything".into(),
                checks: vec![6],
                all: true,
                rate: 0.01,
                per_process: true,
                transports: vec![],
                empty: false,
            },
        ],
    }
}

fn found(modules: &[&str], libraries: &[&str], direct: &[&str], main: &str) -> Vec<Vec<(String, bool, bool)>> {
    let bytes = encode(&model()).unwrap();
    let policy = Policy::read(&bytes).unwrap();
    let mut space = vec![0; Inspector::SPACE];
    let mut inspector = Inspector::new(policy, main.as_bytes(), b"/usr/bin/python3", &mut space).unwrap();
    for name in modules {
        inspector.see_module(name.as_bytes());
    }
    libraries.iter().for_each(|name| inspector.see_library(name.as_bytes(), |_| ()));
    direct.iter().for_each(|name| inspector.see_direct(name.as_bytes()));
    let name = |found: customs_spec::inspect::Found| {
        (String::from_utf8(found.check.name.to_vec()).unwrap(), found.direct, found.mapped)
    };
    policy.lists().map(|list| inspector.found(list).iter().map(name).collect()).collect()
}

fn only_names(found: &[(String, bool, bool)]) -> Vec<&str> {
    found.iter().map(|(name, ..)| name.as_str()).collect()
}

#[test]
fn a_policy_comes_back_as_it_went_in() {
    let bytes = encode(&model()).unwrap();
    assert_eq!(decode(&bytes).unwrap(), model());
    assert_eq!(encode(&decode(&bytes).unwrap()).unwrap(), bytes);
    let mut in_library = bytes.clone();
    in_library.resize(CAPACITY, 0);
    assert_eq!(decode(&in_library).unwrap(), model());
}

#[test]
fn checks_see_modules_submodules_alternatives_and_libraries() {
    let lists = found(&["numpy", "astropy", "ROOT.std", "os"], &["libmkl_rt.so.2", "libc.so.6"], &[], "");
    assert_eq!(only_names(&lists[0]), ["numpy", "astropy", "root", "mkl"]);
    assert_eq!(only_names(&lists[1]), ["numpy"]);
    let lists = found(&["astropy.io.fits", "ROOT"], &["xlibmkl_rt.so"], &[], "");
    assert_eq!(only_names(&lists[0]), ["astropy.io.fits", "root"]);
}

#[test]
fn unless_excuses_by_main() {
    assert_eq!(only_names(&found(&["multiprocessing"], &[], &[], "/opt/bin/conda")[0]), [""; 0]);
    assert_eq!(only_names(&found(&["multiprocessing"], &[], &[], "/home/x.py")[0]), ["multiprocessing"]);
}

#[test]
fn direct_counts_for_every_listed_ancestor_that_is_loaded() {
    let lists = found(&["astropy", "astropy.io.fits", "numpy"], &[], &["astropy.io.fits.hdu", "numpydoc"], "");
    let direct: Vec<_> = lists[0].iter().map(|(name, direct, _)| (name.as_str(), *direct)).collect();
    assert_eq!(direct, [("numpy", false), ("astropy.io.fits", true), ("astropy", true)]);
}

#[test]
fn damage_is_told_and_never_read() {
    let whole = encode(&model()).unwrap();
    assert_eq!(Policy::read(&[0; 64]).err(), Some(Damage::Empty));
    assert_eq!(Policy::read(&[]).err(), Some(Damage::Length));
    assert_eq!(Policy::read(b"something else").err(), Some(Damage::Magic));
    assert_eq!(Policy::read(&whole[..whole.len() - 1]).err(), Some(Damage::Length));
    let mut other_version = whole.clone();
    other_version[8] = 9;
    assert_eq!(Policy::read(&other_version).err(), Some(Damage::Version(9)));
    for at in 24..whole.len() {
        for bit in [1, 128] {
            let mut damaged = whole.clone();
            damaged[at] ^= bit;
            assert_eq!(Policy::read(&damaged).err(), Some(Damage::Digest), "byte {at}");
        }
    }
}

#[test]
fn a_forged_policy_with_a_valid_digest_reads_as_something_and_never_panics() {
    let whole = encode(&model()).unwrap();
    for at in (24..whole.len()).step_by(3) {
        let mut forged = whole.clone();
        forged[at..].iter_mut().take(4).for_each(|byte| *byte = byte.wrapping_mul(31).wrapping_add(197));
        let digest = customs_spec::hash::digest(&forged[24..]);
        forged[16..24].copy_from_slice(&digest.to_le_bytes());
        let _ = decode(&forged);
        let policy = Policy::read(&forged).unwrap();
        let mut space = vec![0; Inspector::SPACE];
        let mut inspector = Inspector::new(policy, b"m", b"e", &mut space).unwrap();
        inspector.see_module(b"numpy");
        inspector.see_library(b"libmkl_rt.so", |_| ());
        for list in policy.lists().take(100) {
            assert!(inspector.found(list).iter().count() <= usize::from(u16::MAX));
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_with_its_size() {
    let mut model = model();
    model.checks = (0..4000).map(|number| check(&format!("a_rather_long_package_name_{number}"))).collect();
    let refused = encode(&model).unwrap_err();
    assert!(refused.to_string().contains("too large"), "{refused}");
    assert!(refused.wanted > CAPACITY && refused.room == CAPACITY);
}

#[test]
fn a_sample_takes_the_share_it_says() {
    let bytes = encode(&model()).unwrap();
    let list = Policy::read(&bytes).unwrap().lists().nth(1).unwrap();
    assert_eq!(list.rate, b"0.01");
    assert_eq!(list.threshold, 42_949_672);
}
