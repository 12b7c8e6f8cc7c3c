//! The command as a child process: started, waited for, and imitated in how it ended.

use super::receiver::Receiver;
use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::thread;

/// Runs `child` to its end and hands on what is received meanwhile.
pub fn attend(mut child: Child, receiver: &Receiver, take: impl FnMut(&[u8]) + Send) -> Result<ExitStatus> {
    outlive(&child)?;
    thread::scope(|scope| {
        let receiving = scope.spawn(|| receiver.each(take));
        let ended = child.wait().context("cannot wait for the command");
        receiver.stop().context("cannot stop the receiver")?;
        receiving.join().unwrap_or_else(|_| Err(io::Error::other("the receiver failed"))).context("cannot receive")?;
        ended
    })
}

/// A key that ends the command must not end us before its record is shown: from here on the terminal's signals are its
/// own, and what is sent to us alone is passed on.
fn outlive(child: &Child) -> Result<()> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP]);
    signals.thread_block().context("cannot block signals")?;
    let child = Pid::from_raw(i32::try_from(child.id())?);
    thread::spawn(move || {
        while let Ok(signal) = signals.wait() {
            if matches!(signal, Signal::SIGTERM | Signal::SIGHUP) {
                let _ = kill(child, signal); // it may have ended by now
            }
        }
    });
    Ok(())
}

/// Its own exit status, as a shell reports it.
pub fn exit_code(ended: ExitStatus) -> ExitCode {
    let status = ended.code().unwrap_or_else(|| 128 + ended.signal().unwrap_or(0));
    ExitCode::from(status as u8) // wait(2) gives eight bits
}

/// Starts the command; `Err` holds the exit status that says why it could not be.
pub fn start(mut command: Command) -> Result<Child, ExitCode> {
    command.spawn().map_err(|error| {
        let name = command.get_program().to_string_lossy().into_owned();
        let (status, reason) = match error.kind() {
            io::ErrorKind::NotFound if name.contains('/') => {
                (127, "there is no such file, or its interpreter is missing".to_string())
            }
            io::ErrorKind::NotFound => (127, "it is in no directory of PATH".to_string()),
            io::ErrorKind::PermissionDenied => (126, "it is not executable".to_string()),
            _ => (126, error.to_string()),
        };
        eprintln!("customs: cannot run {name}: {reason}");
        ExitCode::from(status)
    })
}
