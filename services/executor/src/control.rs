//! Speaking with a monitor.

use crate::sandbox::directory;
use kit::passing;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use shim_protocol::control::{MOST_DESCRIPTORS, REPORT_SIZE, Report, Request};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;

/// How long a monitor may take to answer. It never waits for anything itself, but its machine may be busy, and
/// a start takes as long as mounts and exec take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Error {
    /// There is no monitor any more, and none was asked.
    Unreached,
    /// There is no monitor any more; it was asked.
    Gone,
    /// It is there, but something else is wrong.
    Io(io::Error),
}

/// A line to one monitor. A connection is made for each request, which are few in the life of a container: so an
/// idle one costs no descriptor.
#[derive(Clone)]
pub(crate) struct Control {
    directory: PathBuf,
}

impl Control {
    /// To the monitor of the sandbox in this directory.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Asks, and passes descriptors.
    pub(crate) async fn request(&self, request: Request, descriptors: &[OwnedFd]) -> Result<Report, Error> {
        self.exchange(request, descriptors).await.map(|(report, _)| report)
    }

    /// Asks for a duplicate of the terminal's master, if there is one.
    pub(crate) async fn lend(&self) -> Result<Option<OwnedFd>, Error> {
        self.exchange(Request::Lend, &[]).await.map(|(_, master)| master)
    }

    async fn exchange(&self, request: Request, descriptors: &[OwnedFd]) -> Result<(Report, Option<OwnedFd>), Error> {
        tokio::time::timeout(PATIENCE, exchange(&self.directory, request, descriptors))
            .await
            .unwrap_or_else(|_| Err(Error::Io(io::ErrorKind::TimedOut.into())))
    }
}

fn io_error(error: Errno) -> Error {
    match error {
        Errno::CONNREFUSED | Errno::CONNRESET | Errno::PIPE | Errno::NOENT => Error::Gone,
        error => Error::Io(error.into()),
    }
}

fn dial(directory: &Path) -> Result<OwnedFd, Error> {
    let opened = directory::open(directory).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::Gone,
        _ => Error::Io(error),
    })?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).map_err(io_error)?;
    connect(&socket, &address(&opened).map_err(io_error)?).map_err(io_error)?;
    Ok(socket)
}

/// The address of the control socket in an open directory: its own path may be too long for an address.
pub(crate) fn address(directory: &OwnedFd) -> Result<SocketAddrUnix, Errno> {
    let name = shim_protocol::layout::CONTROL.to_string_lossy();
    SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()))
}

async fn exchange(
    directory: &Path,
    request: Request,
    descriptors: &[OwnedFd],
) -> Result<(Report, Option<OwnedFd>), Error> {
    let socket =
        dial(directory).map_err(|error| if matches!(error, Error::Gone) { Error::Unreached } else { error })?;
    send(&socket, request, descriptors).map_err(io_error)?;
    let socket = kit::watch(Arc::new(socket), Interest::READABLE).map_err(Error::Io)?;
    let mut message = [0; REPORT_SIZE];
    loop {
        let mut ready = socket.readable().await.map_err(Error::Io)?;
        match passing::receive(socket.get_ref(), &mut message, RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN) => ready.clear_ready(),
            Err(error) => return Err(io_error(error)),
            Ok(([], _)) => return Err(Error::Gone),
            Ok((message, lent)) => {
                let report = Report::decode(message).map_err(|_| Error::Io(io::ErrorKind::InvalidData.into()))?;
                return Ok((report, lent.into_iter().next()));
            }
        }
    }
}

/// A request is small: the socket takes it at once.
fn send(socket: &OwnedFd, request: Request, descriptors: &[OwnedFd]) -> Result<(), Errno> {
    let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    passing::send(socket, &[&request.encode()], &descriptors, SendFlags::DONTWAIT)
}

// What a monitor takes at once, and what we send at once.
const _: () = assert!(MOST_DESCRIPTORS == passing::MOST);
