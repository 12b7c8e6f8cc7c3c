//! How libcustoms.so is linked: the first half of its contract (`docs/ARCHITECTURE.md`); `tests/contract.rs` holds
//! the built file to all of it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_FREESTANDING").is_none() {
        return;
    }
    for argument in [
        // No DT_NEEDED and no start files: the object loads beside any libc, or none it knows.
        "-nostdlib",
        "-nostartfiles",
        // Everything is bound when the loader is done, and its pages are read-only from then on.
        "-Wl,-z,now",
        "-Wl,-z,relro",
        // A strong undefined symbol fails the link: that is how a panic path that survived shows itself.
        "-Wl,-z,defs",
        // dlclose must never take away code that an interpreter will call at exit.
        "-Wl,-z,nodelete",
        // Every LOAD segment is an mmap in every exec of every program: text and read-only data share one.
        "-Wl,--no-rosegment",
        "-Wl,-z,noseparate-code",
        // Both hash tables: glibc of before 2006 and some loaders know only the old one; ours are tiny.
        "-Wl,--hash-style=both",
        "-Wl,--build-id=sha1",
        "-Wl,--no-eh-frame-hdr",
        "-Wl,-soname,libcustoms.so",
    ] {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
}
