//! Datagrams: of UDP, and of a Unix socket, many at a time.

use super::Shared;
use super::journal::{Entry, LONGEST, Sender, Via};
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, UnixCredentials, recvmmsg, setsockopt, sockopt,
};
use std::fmt;
use std::fs::{self, Permissions};
use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where messages are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// `udp://192.0.2.7:514`
    Udp(SocketAddr),
    /// `tcp://[::]:514`
    Tcp(SocketAddr),
    /// `unix:///run/customs.sock`
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = |text: &str| {
            text.parse().map_err(|_| format!("`{text}` is no numeric address with a port, as 0.0.0.0:514 or [::]:514"))
        };
        match text.split_once("://") {
            Some(("udp", rest)) => Ok(Listen::Udp(address(rest)?)),
            Some(("tcp", rest)) => Ok(Listen::Tcp(address(rest)?)),
            Some(("unix", path)) if path.starts_with('/') => Ok(Listen::Unix(path.into())),
            _ => Err("write udp://ADDRESS:PORT, tcp://ADDRESS:PORT or unix:///PATH".to_string()),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Listen::Udp(address) => write!(out, "udp://{address}"),
            Listen::Tcp(address) => write!(out, "tcp://{address}"),
            Listen::Unix(path) => write!(out, "unix://{}", path.display()),
        }
    }
}

/// Received at once.
const BATCH: usize = 128;
/// After it was told to stop, it takes what a full receive buffer can hold, and no more.
const LAST_BATCHES: usize = 1024;
/// How long it is waited before it is asked whether to stop.
pub const PATIENCE: Duration = Duration::from_millis(200);

/// A socket that datagrams come to.
pub struct Socket {
    name: String,
    fd: OwnedFd,
    via: Via,
    /// To be removed at the end.
    path: Option<PathBuf>,
}

impl Socket {
    /// Bound, with a receive buffer of so many MiB, or the largest that can be had.
    pub fn udp(address: SocketAddr, buffer: u16) -> Result<Self> {
        let socket = UdpSocket::bind(address).with_context(|| format!("cannot listen on udp://{address}"))?;
        let name = format!("udp://{}", socket.local_addr()?);
        socket.set_read_timeout(Some(PATIENCE))?;
        Socket { name, fd: socket.into(), via: Via::Udp, path: None }.prepared(buffer)
    }

    /// Bound to a path that everybody may write to.
    pub fn unix(path: PathBuf, buffer: u16) -> Result<Self> {
        let name = format!("unix://{}", path.display());
        if path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket()) {
            if UnixDatagram::unbound()?.connect(&path).is_ok() {
                bail!("{name}: somebody listens there already");
            }
            fs::remove_file(&path).with_context(|| format!("cannot replace {}", path.display()))?;
        }
        let socket = UnixDatagram::bind(&path).with_context(|| format!("cannot listen on {name}"))?;
        fs::set_permissions(&path, Permissions::from_mode(0o666))?;
        setsockopt(&socket, sockopt::PassCred, &true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Socket { name, fd: socket.into(), via: Via::Unix, path: Some(path) }.prepared(buffer)
    }

    fn prepared(self, buffer: u16) -> Result<Self> {
        let buffer = usize::from(buffer) << 20;
        // Past net.core.rmem_max only as root (socket(7)); what can be had does as well.
        if setsockopt(&self.fd, sockopt::RcvBufForce, &buffer).is_err() {
            let _ = setsockopt(&self.fd, sockopt::RcvBuf, &buffer);
        }
        let _ = setsockopt(&self.fd, sockopt::RxqOvfl, &1);
        Ok(self)
    }

    /// What it is called, with the port that was picked for 0.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts everything that comes into the journal, until it is time to stop and nothing is left in the socket.
    pub fn run(&self, shared: &Shared) -> Result<()> {
        let mut space = vec![0; BATCH * LONGEST];
        let mut last_batches = LAST_BATCHES;
        loop {
            match self.receive(&mut space, shared) {
                Ok(_) if shared.is_stopping() => {
                    last_batches -= 1;
                    if last_batches == 0 {
                        return Ok(()); // under a flood there is no end
                    }
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) if shared.is_stopping() => return Ok(()),
                Err(Errno::EAGAIN) => {}
                Err(error) => return Err(error).with_context(|| format!("cannot receive from {}", self.name)),
            }
        }
    }

    fn receive(&self, space: &mut [u8], shared: &Shared) -> nix::Result<usize> {
        // The kernel shortens what a header says of its space, so headers are made anew.
        let control = nix::cmsg_space!(u32, UnixCredentials);
        let mut headers: MultiHeaders<SockaddrStorage> = MultiHeaders::preallocate(BATCH, Some(control));
        let mut slices: Vec<[IoSliceMut; 1]> =
            space.chunks_mut(LONGEST).map(|chunk| [IoSliceMut::new(chunk)]).collect();
        let flags = MsgFlags::MSG_WAITFORONE;
        let received = recvmmsg(self.fd.as_fd().as_raw_fd(), &mut headers, slices.iter_mut(), flags, None)?;
        let arrived = now();
        let mut entries = Vec::with_capacity(BATCH);
        let (mut bytes, mut cut) = (0, 0);
        for message in received {
            let mut sender = Sender { via: self.via, address: message.address.as_ref().and_then(address), uid: None };
            for control in message.cmsgs().into_iter().flatten() {
                match control {
                    ControlMessageOwned::ScmCredentials(credentials) => sender.uid = Some(credentials.uid()),
                    ControlMessageOwned::RxqOvfl(lost) => shared.metrics.dropped_by_kernel.set(&self.name, lost.into()),
                    _ => {}
                }
            }
            if message.flags.contains(MsgFlags::MSG_TRUNC) {
                cut += 1;
                continue;
            }
            let content = message.iovs().next().unwrap_or_default();
            bytes += content.len() as u64;
            entries.push(Entry { arrived, sender, message: content });
        }
        let count = entries.len();
        shared.metrics.received.add(count as u64 + cut);
        shared.metrics.received_bytes.add(bytes);
        if cut > 0 {
            shared.metrics.rejected.add("truncated", cut);
        }
        match shared.journal.append(entries) {
            Ok(()) => shared.disk(false),
            Err(_) => {
                shared.metrics.dropped_disk_full.add(count as u64);
                shared.disk(true);
            }
        }
        Ok(count)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

fn address(storage: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = storage.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip()).to_canonical()))
}

/// Microseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or_default()
}
