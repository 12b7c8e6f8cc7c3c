//! Whatever stands in a site file: it compiles to a policy that is written back as a file that compiles to the same
//! bytes, or every problem has a place in the text.
#![no_main]

use customs_spec::policy::decode;
use customs_spec::site::{self, File, Surroundings};
use libfuzzer_sys::fuzz_target;

struct Nothing;

impl Surroundings for Nothing {
    fn read(&self, _: &str) -> Result<File, String> {
        Ok(File { name: "packages.toml".into(), text: "[[package]]\nname = \"numpy\"\n".into() })
    }

    fn group(&self, name: &str) -> Option<u32> {
        (name.len() < 3).then_some(7)
    }
}

fuzz_target!(|text: &str| {
    // What is being typed is rarely far from something that is right.
    let whole = format!(
        "[site]\nsystem = \"a\"\n[[transport]]\nname = \"t\"\nservers = [\"udp://10.0.0.1:514\"]\n[[list]]\nname = \"l\"\ninclude = [\"packages.toml\"]\n{text}"
    );
    for text in [text, &whole] {
        match site::compile("site.toml", text, &Nothing) {
            Ok(compiled) => {
                let model = decode(&compiled.bytes).expect("what was compiled is whole");
                assert_eq!(model, compiled.model);
                let back = site::compile("back.toml", &site::write(&model), &Nothing).expect("what was written back");
                assert_eq!(back.bytes, compiled.bytes);
            }
            Err(rejected) => assert!(!rejected.problems.is_empty() && !rejected.to_string().is_empty()),
        }
    }
});
