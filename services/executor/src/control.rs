//! Speaking with a monitor.

use crate::sandbox::directory;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recvmsg, sendmsg, socket_with,
};
use shim_protocol::control::{MOST_DESCRIPTORS, REPORT_SIZE, Report, Request};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

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
    let socket = kit::watch(Arc::new(socket)).map_err(Error::Io)?;
    let mut message = [0; REPORT_SIZE];
    loop {
        let mut ready = socket.readable().await.map_err(Error::Io)?;
        match receive(socket.get_ref(), &mut message) {
            Err(Errno::AGAIN) => ready.clear_ready(),
            Err(error) => return Err(io_error(error)),
            Ok((0, _)) => return Err(Error::Gone),
            Ok((length, lent)) => {
                let report = message.get(..length).and_then(|message| Report::decode(message).ok());
                return report.map(|report| (report, lent)).ok_or_else(|| Error::Io(io::ErrorKind::InvalidData.into()));
            }
        }
    }
}

/// A message, and the first descriptor that came with it.
fn receive(socket: impl AsFd, message: &mut [u8]) -> Result<(usize, Option<OwnedFd>), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut [IoSliceMut::new(message)], &mut control, flags)?;
    let lent = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok((received.bytes, lent))
}

/// A request is small: the socket takes it at once.
fn send(socket: &OwnedFd, request: Request, descriptors: &[OwnedFd]) -> Result<(), Errno> {
    let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(Errno::TOOBIG);
    }
    let message = request.encode();
    sendmsg(socket, &[IoSlice::new(&message)], &mut control, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).map(drop)
}
