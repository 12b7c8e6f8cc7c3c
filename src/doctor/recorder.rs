//! The folder of the black box, where the policy names one.

use super::node;
use super::report::Report;
use customs_spec::policy::model::Model;
use nix::sys::statfs::{self, FsType, statfs};
use nix::unistd::{AccessFlags, access};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

const ABOUT: &str = "recorder";
/// What every Python of a crowded node may write at once: some thousand files of 4 KiB.
const ROOM: u64 = 4 << 20;
/// What is older was left by somebody who is dead, or who lives long: `customs reap` knows.
const OLD: Duration = Duration::from_secs(24 * 3600);
/// Lustre's and GPFS's, which nix does not name (lustre_user.h; gpfs.h).
const LUSTRE: i64 = 0x0bd0_0bd0;
const GPFS: i64 = 0x4750_4653;

/// Looks at it.
pub fn look(model: &Model, report: &mut Report) {
    if model.recorder.is_empty() {
        return;
    }
    let folder = Path::new(&model.recorder);
    let shown = folder.display();
    let metadata = match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => return report.problem(ABOUT, format!("{shown} is no folder"), format!("mkdir -m 1777 {shown}")),
        Err(error) => {
            return report.problem(
                ABOUT,
                format!("{shown}: {error}"),
                format!("mkdir -m 1777 {shown}, at each boot by systemd-tmpfiles"),
            );
        }
    };
    let mode = metadata.permissions().mode() & 0o7777;
    let mut well = true;
    if mode & 0o1777 != 0o1777 {
        well = false;
        report.problem(
            ABOUT,
            format!("{shown} has mode {mode:o}: everybody must write there, and nobody remove what is another's"),
            format!("chmod 1777 {shown}"),
        );
    }
    if metadata.uid() != 0 {
        well = false;
        report.note(
            ABOUT,
            format!("{shown} belongs to uid {}, who can remove everybody's files", metadata.uid()),
            format!("chown root {shown}"),
        );
    }
    if access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
        well = false;
        report.problem(ABOUT, format!("{shown} cannot be written here"), "mount it for writing");
    }
    let kind = match statfs(folder) {
        Ok(system) => {
            let room = system.blocks_available().saturating_mul(u64::try_from(system.block_size()).unwrap_or(0));
            if room < ROOM || system.files() > 0 && system.files_free() < 16 {
                well = false;
                report.problem(
                    ABOUT,
                    format!("{shown} has {} KiB of room and {} files left", room >> 10, system.files_free()),
                    "give it more, or run `customs reap` there",
                );
            }
            if is_shared(system.filesystem_type()) {
                well = false;
                report.problem(
                    ABOUT,
                    format!("{shown} is on a file system that nodes share, where each Python would write"),
                    "take a folder on a tmpfs of the node",
                );
            }
            if system.filesystem_type() == statfs::TMPFS_MAGIC {
                "on a tmpfs"
            } else {
                "not on a tmpfs: each import costs a write to a disk's file system"
            }
        }
        Err(_) => "on an unknown file system",
    };
    if let Some(limit) = node::limit("Max file size") {
        well = false;
        report.problem(
            ABOUT,
            format!("file sizes are limited here ({limit} bytes), and then no file is kept"),
            "ulimit -f unlimited",
        );
    }
    let old = old_files(folder);
    if old > 0 {
        report.note(
            ABOUT,
            format!("{old} files in {shown} are older than a day"),
            "see that `customs reap` is run on this node",
        );
    }
    if well {
        report.ok(ABOUT, format!("{shown}: mode {mode:o}, {kind}"));
    }
}

fn is_shared(kind: FsType) -> bool {
    let known = [statfs::NFS_SUPER_MAGIC, statfs::SMB_SUPER_MAGIC, statfs::CODA_SUPER_MAGIC, statfs::AFS_SUPER_MAGIC];
    #[allow(clippy::unnecessary_cast)] // another type on other machines
    let number = kind.0 as i64;
    known.contains(&kind) || [LUSTRE, GPFS].contains(&number)
}

fn old_files(folder: &Path) -> usize {
    let now = SystemTime::now();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("customs-"));
    let ages = ours.filter_map(|entry| now.duration_since(entry.metadata().ok()?.modified().ok()?).ok());
    ages.filter(|age| *age > OLD).count()
}
