//! Messages with descriptors, between processes of one service, and between the executor and its monitors.

use rustix::io::Result;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Descriptors of one message, at most.
pub const MOST: usize = 8;

/// Sends one message, its parts one behind the other. Fails with `TOOBIG` if there are more than [`MOST`] descriptors.
pub fn send(socket: impl AsFd, parts: &[&[u8]], descriptors: &[BorrowedFd<'_>], flags: SendFlags) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(rustix::io::Errno::TOOBIG);
    }
    let parts: Vec<IoSlice<'_>> = parts.iter().copied().map(IoSlice::new).collect();
    sendmsg(socket, &parts, &mut control, flags | SendFlags::NOSIGNAL).map(drop)
}

/// Receives one message: the part of `buffer` that it fills, and its descriptors. What does not fit is cut off.
pub fn receive(socket: impl AsFd, buffer: &mut [u8], flags: RecvFlags) -> Result<(&[u8], Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags)?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = message {
            descriptors.extend(some);
        }
    }
    Ok((buffer.get(..received.bytes).unwrap_or_default(), descriptors))
}
