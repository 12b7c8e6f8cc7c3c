//! The contract of libcustoms.so with whatever program it is loaded into (docs/ARCHITECTURE.md), held against the file
//! that `customs compile` writes: where it is broken, programs that have nothing to do with Python do not start.

use crate::support::library::{Library, site};
use object::LittleEndian as Little;
use object::elf::*;
use object::read::elf::{ElfFile64, ProgramHeader, Sym};
use std::ops::Range;
use std::sync::LazyLock;

/// Bytes of the file.
static LIBRARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let nowhere = "127.0.0.1:9".parse().unwrap();
    Library::compile(&site(nowhere), "[[package]]\nname = \"numpy\"\n").bytes()
});

/// What the loader is asked to find. Each may be missing.
const WANTED: [&str; 3] = ["PyImport_Inittab", "__confstr_chk", "dl_iterate_phdr"];
/// What is put between a program and its libc.
const INTERPOSED: [&str; 4] = ["_Exit", "_exit", "abort", "confstr"];
/// Each is work in every exec of every program.
const MOST_RELOCATIONS: u64 = 16;
/// Each is an mmap in every exec of every program.
const MOST_SEGMENTS: usize = 3;
const MOST_BYTES: usize = 512 << 10;
/// What the loader protects is whole pages of this size.
const PAGE: u64 = 4096;

fn elf() -> ElfFile64<'static, Little> {
    ElfFile64::parse(LIBRARY.as_slice()).unwrap()
}

fn segments(kind: ProgramType) -> Vec<&'static ProgramHeader64<Little>> {
    elf().elf_program_headers().iter().filter(|header| header.p_type(Little) == kind).collect()
}

/// Addresses of a segment when it is loaded.
fn addresses(header: &ProgramHeader64<Little>) -> Range<u64> {
    header.p_vaddr(Little)..header.p_vaddr(Little) + header.p_memsz(Little)
}

/// What the loader finds under `tag`: numbers, addresses or offsets of names.
fn dynamic(tag: DynamicTag) -> Vec<u64> {
    let table = elf().elf_dynamic_table().unwrap();
    table.iter().filter(|entry| entry.tag == tag).map(|entry| entry.val).collect()
}

/// The same, where it is names.
fn names(tag: DynamicTag) -> Vec<String> {
    let table = elf().elf_dynamic_table().unwrap();
    let of_tag = table.iter().filter(|entry| entry.tag == tag);
    of_tag.map(|entry| String::from_utf8_lossy(table.string(entry).unwrap()).into_owned()).collect()
}

/// Names of the dynamic symbols that `wanted` holds for, in order.
fn symbols(wanted: fn(&Sym64<Little>) -> bool) -> Vec<String> {
    let elf = elf();
    let table = elf.elf_dynamic_symbol_table();
    let mut names: Vec<_> = table
        .iter()
        .filter(|symbol| symbol.st_name(Little) != 0 && wanted(symbol))
        .map(|symbol| String::from_utf8_lossy(table.symbol_name(Little, symbol).unwrap()).into_owned())
        .collect();
    names.sort();
    names
}

/// Every run of six and more printable characters.
fn texts() -> impl Iterator<Item = &'static str> {
    LIBRARY
        .split(|byte| !matches!(byte, b' '..=b'~'))
        .filter(|text| text.len() >= 6)
        .filter_map(|text| std::str::from_utf8(text).ok())
}

#[test]
fn it_needs_no_other_library() {
    assert_eq!(names(DT_NEEDED), [""; 0], "DT_NEEDED");
}

#[test]
fn it_needs_no_version_of_any_libc() {
    assert!(dynamic(DT_VERNEED).is_empty(), "DT_VERNEED: a container with an older libc would refuse it, and die");
}

#[test]
fn what_it_looks_for_may_be_missing() {
    let strong = symbols(|symbol| symbol.is_undefined(Little) && !symbol.is_weak());
    assert_eq!(strong, [""; 0], "undefined symbols that are not weak: a program without them would not start");
    assert_eq!(symbols(|symbol| symbol.is_undefined(Little)), WANTED, "undefined symbols");
}

#[test]
fn it_stands_between_a_program_and_its_libc_in_four_places() {
    assert_eq!(symbols(|symbol| !symbol.is_undefined(Little) && !symbol.is_local()), INTERPOSED, "exports");
}

#[test]
fn it_has_no_thread_local_storage() {
    assert!(segments(PT_TLS).is_empty(), "PT_TLS: takes of the little that a loader keeps for preloaded libraries");
}

#[test]
fn its_text_is_not_relocated() {
    assert!(dynamic(DT_TEXTREL).is_empty(), "DT_TEXTREL");
    assert!(dynamic(DT_FLAGS).iter().all(|flags| flags & DF_TEXTREL.0 == 0), "DF_TEXTREL");
}

#[test]
fn the_loader_has_few_relocations_to_make() {
    let bytes: u64 = [DT_RELASZ, DT_PLTRELSZ].into_iter().flat_map(dynamic).sum();
    let count = bytes / size_of::<Rela64<Little>>() as u64;
    assert!(count <= MOST_RELOCATIONS, "{count} relocations, {MOST_RELOCATIONS} at most (readelf -r)");
    for tag in [DT_REL, DT_RELR] {
        assert!(dynamic(tag).is_empty(), "{tag:?}: relocations that an older loader does not know, or this test");
    }
}

#[test]
fn the_loader_has_few_segments_to_map() {
    let count = segments(PT_LOAD).len();
    assert!(count <= MOST_SEGMENTS, "{count} PT_LOAD, {MOST_SEGMENTS} at most (readelf -l)");
}

#[test]
fn nothing_is_writable_and_executable() {
    for segment in segments(PT_LOAD) {
        assert!(!(is(segment, PF_W) && is(segment, PF_X)), "{:#x?} is both", addresses(segment));
    }
    let stacks = segments(PT_GNU_STACK);
    assert_eq!(stacks.len(), 1, "PT_GNU_STACK: without it the loader makes every stack of the program executable");
    assert!(!is(stacks[0], PF_X), "PT_GNU_STACK: the stack would be executable");
}

fn is(segment: &ProgramHeader64<Little>, flag: ProgramFlags) -> bool {
    segment.p_flags(Little).0 & flag.0 != 0
}

#[test]
fn nothing_stays_writable() {
    let protected: Vec<_> = segments(PT_GNU_RELRO).into_iter().map(addresses).collect();
    for segment in segments(PT_LOAD).into_iter().filter(|segment| is(segment, PF_W)) {
        let writable = addresses(segment);
        // The loader protects whole pages, and leaves out one that is not whole at the end.
        let covers = |range: &Range<u64>| range.start <= writable.start && range.end / PAGE * PAGE >= writable.end;
        assert!(protected.iter().any(covers), "{writable:#x?} is not inside of PT_GNU_RELRO {protected:#x?}");
    }
    assert!(
        dynamic(DT_FLAGS_1).iter().any(|flags| flags & DF_1_NOW.0 != 0),
        "DF_1_NOW: bound later, it is written later"
    );
}

#[test]
fn it_has_a_name_and_is_never_unloaded() {
    assert_eq!(names(DT_SONAME), ["libcustoms.so"], "DT_SONAME");
    let flags = dynamic(DT_FLAGS_1);
    assert!(
        flags.iter().any(|flags| flags & DF_1_NODELETE.0 != 0),
        "DF_1_NODELETE: Python would call code that is gone"
    );
}

#[test]
fn it_is_small() {
    assert!(LIBRARY.len() <= MOST_BYTES, "{} bytes, {MOST_BYTES} at most", LIBRARY.len());
}

#[test]
fn it_says_nothing_of_the_machine_it_was_built_on() {
    let built_in = [env!("CARGO_MANIFEST_DIR"), "/root/", "/home/", "/rustc/", ".cargo/registry"];
    let told: Vec<_> = texts().filter(|text| built_in.iter().any(|path| text.contains(path))).collect();
    assert!(told.is_empty(), "paths of the build: {told:?}");
}

#[test]
fn it_cannot_panic() {
    let panics: Vec<_> =
        texts().filter(|text| text.contains("panicked at") || text.contains("customs_must_not")).collect();
    assert!(panics.is_empty(), "{panics:?}");
}
