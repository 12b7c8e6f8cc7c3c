//! What a site file does not say. Every built-in choice is here, with the source of the fact.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// RFC 5424 MSGID.
pub const MSGID: &str = "customs";
/// Syslog facility: the first that RFC 5424 table 1 leaves to the site.
pub const FACILITY: u8 = 16;
/// The user's way out.
pub const OPT_OUT: &[&str] = &["CUSTOMS_OPT_OUT"];

/// Signals by which batch systems end a job: TERM first, everywhere; XCPU where a limit of time is the kernel's
/// (setrlimit(2)).
pub const SIGNALS: &[u8] = &[15, 24];

/// Variables of a process that runs on a compute node. Each is set for tasks only: a shell that `salloc`,
/// `qsub -I` or `flux alloc` opens on a login node has the job's id and none of these.
pub const COMPUTE: &[&str] = &[
    "SLURMD_NODENAME", // srun(1), set by slurmd in batch scripts and steps
    "PBS_NODENUM",     // PBS Professional, qsub(1B), set by the MoM on the execution host
    "LSB_MCPU_HOSTS",  // LSF configuration reference, set by sbatchd on the execution host
    "FLUX_TASK_RANK",  // flux-run(1), set by the job shell
    "PALS_RANKID",     // HPE PALS, aprun/mpiexec(1), set by palsd
];

/// Variables that hold a parallel rank.
pub const RANKS: &[&str] = &[
    "SLURM_PROCID",         // srun(1)
    "PMI_RANK",             // MPICH's Hydra, Cray PMI
    "PMIX_RANK",            // PMIx standard, section "Process rank"
    "OMPI_COMM_WORLD_RANK", // Open MPI, mpirun(1)
    "MV2_COMM_WORLD_RANK",  // MVAPICH2 user guide
    "PALS_RANKID",          // HPE PALS, aprun/mpiexec(1)
    "FLUX_TASK_RANK",       // flux-run(1)
];

/// `job_id`: sbatch(1), qsub(1B), bsub(1), flux-run(1).
pub const JOB_ID: &[&str] = &["SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "FLUX_JOB_ID"];
/// `num_nodes`. `SLURM_NNODES` is the older name; `PBS_NUM_NODES` is Torque's; `LSB_MCPU_HOSTS` lists the hosts
/// with their slots, `host 4 host 4`.
pub const NUM_NODES: &[&str] =
    &["SLURM_JOB_NUM_NODES", "SLURM_NNODES", "PBS_NUM_NODES", "FLUX_JOB_NNODES", "LSB_MCPU_HOSTS"];
/// `qos`, or the queue where a batch system has no such thing.
pub const QOS: &[&str] = &["SLURM_JOB_QOS", "PBS_QUEUE", "LSB_QUEUE"];
/// `repo`.
pub const REPO: &[&str] = &["SLURM_JOB_ACCOUNT", "PBS_ACCOUNT", "LSB_PROJECT_NAME"];

/// What IPv6 (40) and UDP (8) leave of an Ethernet frame (1500).
pub const MAX_DATAGRAM_UDP: u16 = 1452;
/// What every syslog daemon takes from its socket (rsyslog's `$MaxMessageSize`).
pub const MAX_DATAGRAM_UNIX: u16 = 8192;
/// A line of a file is never split before this.
pub const MAX_DATAGRAM_FILE: u16 = 65_000;

/// Owned, as a model wants it.
pub(super) fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}
