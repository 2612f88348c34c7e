//! Sockets, and descriptors that are passed over them.

use super::arch::nr;
use super::{Fd, Result, call, owned};

/// accept4(2).
pub fn accept(listener: &Fd) -> Result<Fd> {
    const CLOEXEC: usize = 0o2000000;
    owned(kernel!(ACCEPT4, listener.number(), 0usize, 0usize, CLOEXEC))
}

/// A pair of connected sockets that keep messages apart.
pub fn socket_pair() -> Result<[Fd; 2]> {
    const UNIX: usize = 1;
    const SEQPACKET_CLOEXEC: usize = 5 | 0o2000000;
    let mut numbers = [-1i32; 2];
    kernel!(SOCKETPAIR, UNIX, SEQPACKET_CLOEXEC, 0usize, numbers.as_mut_ptr())?;
    Ok(numbers.map(Fd))
}

/// `struct iovec`.
#[repr(C)]
struct Slice {
    start: usize,
    length: usize,
}

/// `struct msghdr`.
#[repr(C)]
struct Header {
    address: usize,
    address_length: u32,
    slices: *const Slice,
    slice_count: usize,
    control: *mut Control,
    control_length: usize,
    flags: i32,
}

const MOST_DESCRIPTORS: usize = shim_protocol::control::MOST_DESCRIPTORS;

/// `struct cmsghdr` with room for descriptors.
#[repr(C)]
struct Control {
    length: usize,
    level: i32,
    kind: i32,
    descriptors: [i32; MOST_DESCRIPTORS],
}

impl Control {
    const HEAD: usize = 16;
    const SOCKET: i32 = 1;
    const RIGHTS: i32 = 1;
    const EMPTY: Self = Self { length: 0, level: 0, kind: 0, descriptors: [-1; MOST_DESCRIPTORS] };
}

/// Descriptors that came with a message.
pub type Received = [Option<Fd>; MOST_DESCRIPTORS];

/// Receives a message and the descriptors that go with it: its length; 0 at the end.
pub fn receive(socket: &Fd, buffer: &mut [u8]) -> Result<(usize, Received)> {
    const CLOEXEC: usize = 0x4000_0000;
    const NONBLOCK: usize = 0x40;
    let slice = Slice { start: buffer.as_mut_ptr() as usize, length: buffer.len() };
    let mut control = Control::EMPTY;
    let mut header = Header {
        address: 0,
        address_length: 0,
        slices: &raw const slice,
        slice_count: 1,
        control: &raw mut control,
        control_length: size_of::<Control>(),
        flags: 0,
    };
    let length = kernel!(RECVMSG, socket.number(), &raw mut header, CLOEXEC | NONBLOCK)?;
    let mut received = [const { None }; MOST_DESCRIPTORS];
    let passed =
        header.control_length >= Control::HEAD && control.level == Control::SOCKET && control.kind == Control::RIGHTS;
    if passed {
        let count = control.length.saturating_sub(Control::HEAD) / size_of::<i32>();
        let numbers = control.descriptors.into_iter().take(count);
        received.iter_mut().zip(numbers).for_each(|(place, number)| *place = Some(Fd(number)));
    }
    Ok((length, received))
}

/// Sends a message, and a descriptor with it. Never waits, and a peer that is gone is an error.
pub fn send(socket: &Fd, message: &[u8], descriptor: Option<&Fd>) -> Result<()> {
    const NOSIGNAL_NONBLOCK: usize = 0x4000 | 0x40;
    let slice = Slice { start: message.as_ptr() as usize, length: message.len() };
    let mut control = Control::EMPTY;
    let mut control_length = 0;
    if let (Some(descriptor), [first, ..]) = (descriptor, &mut control.descriptors) {
        *first = descriptor.number();
        control_length = Control::HEAD + size_of::<i32>();
        (control.length, control.level, control.kind) = (control_length, Control::SOCKET, Control::RIGHTS);
        // Aligned as the kernel wants it.
        control_length = control_length.next_multiple_of(size_of::<usize>());
    }
    let header = Header {
        address: 0,
        address_length: 0,
        slices: &raw const slice,
        slice_count: 1,
        control: &raw mut control,
        control_length,
        flags: 0,
    };
    kernel!(SENDMSG, socket.number(), &raw const header, NOSIGNAL_NONBLOCK).map(drop)
}
