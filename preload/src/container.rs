//! Which container runtime runs this process.

use crate::environment::Environment;
use crate::sys;

/// A runtime that we can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Runtime {
    /// NERSC's Shifter.
    Shifter,
    /// Apptainer.
    Apptainer,
    /// Singularity, Apptainer's elder.
    Singularity,
    /// Charliecloud.
    Charliecloud,
    /// CSCS's Sarus.
    Sarus,
    /// Podman.
    Podman,
    /// Docker.
    Docker,
    /// Another one that sets `container`, as systemd's "Container Interface" asks for.
    Other,
}

/// Variables that runtimes set in their containers, and each one's runtime. Apptainer sets Singularity's too. One text:
/// see `ATTRIBUTES` in [`crate::versions`].
const VARIABLES: &[u8] =
    b"SHIFTER_RUNTIME APPTAINER_CONTAINER APPTAINER_NAME SINGULARITY_CONTAINER SINGULARITY_NAME CH_RUNNING";
const RUNTIMES: [Runtime; 6] = [
    Runtime::Shifter,
    Runtime::Apptainer,
    Runtime::Apptainer,
    Runtime::Singularity,
    Runtime::Singularity,
    Runtime::Charliecloud,
];

impl Runtime {
    /// What the variables say. Only known words are taken: what else a variable holds is the user's.
    pub fn from_environment(environment: Environment) -> Option<Self> {
        let mut variables = VARIABLES.split(|byte| *byte == b' ').zip(RUNTIMES);
        if let Some((_, runtime)) = variables.find(|(variable, _)| environment.get(variable).is_some()) {
            return Some(runtime);
        }
        match environment.get(b"container")? {
            b"podman" => Some(Runtime::Podman),
            b"docker" => Some(Runtime::Docker),
            _ => Some(Runtime::Other),
        }
    }

    /// What the root file system says: the files that Podman and Docker leave in it, and Sarus's bundle as the
    /// origin of the root mount.
    pub fn from_root() -> Option<Self> {
        let mut space = [0; 2048];
        if sys::exists(c"/run/.containerenv") {
            return Some(Runtime::Podman);
        }
        if sys::exists(c"/.dockerenv") {
            return Some(Runtime::Docker);
        }
        let mounts = sys::read_file(c"/proc/self/mountinfo", &mut space)?;
        let root =
            mounts.split(|byte| *byte == b'\n').find(|line| line.split(|byte| *byte == b' ').nth(4) == Some(b"/"))?;
        let bundle = b"/OCIBundleDir/";
        root.windows(bundle.len()).any(|part| part == bundle).then_some(Runtime::Sarus)
    }

    /// The word in the record.
    pub fn name(self) -> &'static [u8] {
        match self {
            Runtime::Shifter => b"shifter",
            Runtime::Apptainer => b"apptainer",
            Runtime::Singularity => b"singularity",
            Runtime::Charliecloud => b"charliecloud",
            Runtime::Sarus => b"sarus",
            Runtime::Podman => b"podman",
            Runtime::Docker => b"docker",
            Runtime::Other => b"other",
        }
    }
}
