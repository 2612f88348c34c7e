//! Speaking with a monitor.

use crate::sandbox::directory;
use crate::sys::{self, Watched};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, connect, recv, sendmsg, socket_with,
};
use shim_protocol::control::{MOST_DESCRIPTORS, REPORT_SIZE, Report, Request};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::sync::Mutex;

/// How long a monitor may take to answer. It never waits for anything itself, but its machine may be busy, and
/// a start takes as long as mounts and exec take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Error {
    /// There is no monitor any more.
    Gone,
    /// It is there, but something else is wrong.
    Io(io::Error),
}

/// A line to one monitor: one request at a time, over a connection that is made when it is needed.
pub(crate) struct Control {
    directory: PathBuf,
    connection: Mutex<Option<AsyncFd<Watched>>>,
}

impl Control {
    /// To the monitor of the sandbox in this directory.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, connection: Mutex::new(None) }
    }

    /// Asks, and passes descriptors. After an error the connection is made anew.
    pub(crate) async fn request(&self, request: Request, descriptors: &[OwnedFd]) -> Result<Report, Error> {
        let mut connection = self.connection.lock().await;
        let taken = match connection.take() {
            Some(connected) => connected,
            None => dial(&self.directory)?,
        };
        let report = tokio::time::timeout(PATIENCE, exchange(&taken, request, descriptors))
            .await
            .unwrap_or_else(|_| Err(Error::Io(io::ErrorKind::TimedOut.into())))?;
        *connection = Some(taken);
        Ok(report)
    }
}

fn io_error(error: Errno) -> Error {
    match error {
        Errno::CONNREFUSED | Errno::CONNRESET | Errno::PIPE | Errno::NOENT => Error::Gone,
        error => Error::Io(error.into()),
    }
}

fn dial(directory: &Path) -> Result<AsyncFd<Watched>, Error> {
    let opened = directory::open(directory).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::Gone,
        _ => Error::Io(error),
    })?;
    let address = address(&opened)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).map_err(io_error)?;
    connect(&socket, &address).map_err(io_error)?;
    sys::watch(Arc::new(socket)).map_err(Error::Io)
}

/// The address of the control socket in an open directory: its own path may be too long for an address.
pub(crate) fn address(directory: &OwnedFd) -> Result<SocketAddrUnix, Error> {
    let name = shim_protocol::layout::CONTROL.to_string_lossy();
    SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd())).map_err(io_error)
}

async fn exchange(socket: &AsyncFd<Watched>, request: Request, descriptors: &[OwnedFd]) -> Result<Report, Error> {
    send(socket.get_ref(), request, descriptors).map_err(io_error)?;
    let mut message = [0; REPORT_SIZE];
    loop {
        let mut ready = socket.readable().await.map_err(Error::Io)?;
        match recv(socket.get_ref(), &mut message, RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN) => ready.clear_ready(),
            Err(error) => return Err(io_error(error)),
            Ok((0, _)) => return Err(Error::Gone),
            Ok((length, _)) => {
                let report = message.get(..length).and_then(|message| Report::decode(message).ok());
                return report.ok_or_else(|| Error::Io(io::ErrorKind::InvalidData.into()));
            }
        }
    }
}

/// A request is small: the socket takes it at once.
fn send(socket: &Watched, request: Request, descriptors: &[OwnedFd]) -> Result<(), Errno> {
    let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(Errno::TOOBIG);
    }
    let message = request.encode();
    sendmsg(socket, &[IoSlice::new(&message)], &mut control, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).map(drop)
}
