//! A netlink socket for nfnetlink: batches, their acknowledgements, questions, dumps.
//!
//! The kernel carries a request out inside `sendmsg`. So this is blocking work, and this module does not
//! pretend otherwise: it is used on the thread of the service's actor, never on its main loop.

use crate::message::{Message, attribute, text, u16_at, u32_at};
use rtnetlink::sys::Socket;
use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{Timeout, set_socket_send_buffer_size_force, set_socket_timeout};
use rustix::net::{RecvFlags, SendFlags, recv, sendto};
use schema::{Code, Failure};
use std::fmt;
use std::time::Duration;

/// The kernel answers at once. Silence for so long is an error.
const PATIENCE: Duration = Duration::from_secs(10);
/// The kernel never sends more at once (NLMSG_GOODSIZE and its dumps).
pub(crate) const BUFFER: usize = 64 << 10;
/// Sent without asking for a larger buffer.
const USUAL_DATAGRAM: usize = 64 << 10;
const HEADER: usize = 16;
const ERROR: u16 = libc::NLMSG_ERROR as u16;
const DONE: u16 = libc::NLMSG_DONE as u16;
/// The kernel's words about an error (linux/netlink.h).
const NLMSGERR_ATTR_MSG: u16 = 1;

/// The kernel refused a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// What was being done.
    pub(crate) doing: String,
    /// The error.
    pub(crate) errno: Errno,
    /// What the kernel says about it; may be empty.
    pub(crate) words: String,
}

impl Refused {
    /// A refusal of which the kernel says no more.
    pub(crate) fn new(doing: impl fmt::Display, errno: Errno) -> Self {
        Self { doing: doing.to_string(), errno, words: String::new() }
    }

    /// A system call failed.
    pub(crate) fn failed(doing: impl fmt::Display, error: &std::io::Error) -> Self {
        Self::new(doing, error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error))
    }

    /// Whether what the request names does not exist.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self.errno, Errno::NOENT | Errno::NODEV)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, std::io::Error::from(self.errno))?;
        if self.words.is_empty() { Ok(()) } else { write!(f, " ({})", self.words) }
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let (code, hint) = match refused.errno {
            Errno::PERM | Errno::ACCESS => {
                (Code::Internal, "the network service needs CAP_NET_ADMIN; see its entry in services.toml")
            }
            Errno::PROTONOSUPPORT | Errno::OPNOTSUPP | Errno::AFNOSUPPORT => (
                Code::Internal,
                "the kernel lacks something: cctl needs nf_tables, nft_nat, nft_fib_inet, bridge and veth",
            ),
            Errno::NOMEM | Errno::NOBUFS | Errno::NOSPC => (Code::ResourceExhausted, ""),
            _ => (Code::Internal, ""),
        };
        Self::new(code, &refused).hint(hint)
    }
}

/// A socket of one protocol, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: Socket,
    port: u32,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    /// Opens a socket in the namespace of this thread.
    pub(crate) fn open() -> Result<Self, Refused> {
        let open = || {
            let mut socket = Socket::new(NETLINK_NETFILTER)?;
            let port = socket.bind_auto()?.port_number();
            socket.set_ext_ack(true)?;
            socket.set_cap_ack(true)?;
            set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
            Ok::<_, std::io::Error>((socket, port))
        };
        let (socket, port) = open().map_err(|error| Refused::failed("opening an nfnetlink socket", &error))?;
        Ok(Self { socket, port, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// The number of this socket, by which the kernel says who did something.
    pub(crate) fn port(&self) -> u32 {
        self.port
    }

    /// Sends requests in one datagram and waits until the kernel has acknowledged the one at `last`, or says
    /// which it refused.
    pub(crate) fn transact(&mut self, requests: &[Message], last: usize) -> Result<(), Refused> {
        let first = self.sequence + 1;
        let mut datagram = Vec::with_capacity(requests.iter().map(|request| request.body.len() + 32).sum());
        for (index, request) in requests.iter().enumerate() {
            self.sequence += 1;
            let flags = if index == last { libc::NLM_F_ACK } else { 0 };
            request.frame(&mut datagram, flags, self.sequence);
        }
        let Some(awaited) = requests.get(last) else { return Ok(()) };
        self.send(&datagram, &awaited.doing)?;
        loop {
            let length = self.receive(&awaited.doing)?;
            for (header, body) in messages(&self.buffer[..length]) {
                let Some(request) = header.sequence.checked_sub(first).and_then(|index| requests.get(index as usize))
                else {
                    continue;
                };
                if header.kind == ERROR {
                    acknowledgement(&header, body, &request.doing)?;
                    if header.sequence == first + last as u32 {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Asks for one object: its message without the netlink header. None if there is no such object.
    pub(crate) fn get(&mut self, request: &Message) -> Result<Option<Vec<u8>>, Refused> {
        self.sequence += 1;
        let mut datagram = Vec::new();
        request.frame(&mut datagram, 0, self.sequence);
        self.send(&datagram, &request.doing)?;
        loop {
            let length = self.receive(&request.doing)?;
            for (header, body) in messages(&self.buffer[..length]) {
                if header.sequence != self.sequence {
                    continue;
                }
                if header.kind != ERROR {
                    return Ok(Some(body.to_vec()));
                }
                match acknowledgement(&header, body, &request.doing) {
                    Err(refused) if refused.is_missing() => return Ok(None),
                    Err(refused) => return Err(refused),
                    Ok(()) => return Ok(None),
                }
            }
        }
    }

    /// Asks for all objects of a kind: their messages without the netlink headers.
    pub(crate) fn dump(&mut self, request: &Message) -> Result<Vec<Vec<u8>>, Refused> {
        self.sequence += 1;
        let mut datagram = Vec::new();
        request.frame(&mut datagram, libc::NLM_F_DUMP, self.sequence);
        self.send(&datagram, &request.doing)?;
        let mut objects = Vec::new();
        loop {
            let length = self.receive(&request.doing)?;
            for (header, body) in messages(&self.buffer[..length]) {
                if header.sequence != self.sequence {
                    continue;
                }
                match header.kind {
                    ERROR | DONE => {
                        acknowledgement(&header, body, &request.doing)?;
                        return Ok(objects);
                    }
                    _ => objects.push(body.to_vec()),
                }
            }
        }
    }

    fn send(&self, datagram: &[u8], doing: &str) -> Result<(), Refused> {
        let failed = |errno| Refused::new(doing, errno);
        if datagram.len() > USUAL_DATAGRAM {
            set_socket_send_buffer_size_force(&self.socket, datagram.len() + USUAL_DATAGRAM).map_err(failed)?;
        }
        retry(|| sendto(&self.socket, datagram, SendFlags::empty(), &SocketAddrNetlink::new(0, 0)))
            .map(drop)
            .map_err(failed)
    }

    fn receive(&mut self, doing: &str) -> Result<usize, Refused> {
        let (length, _) = retry(|| recv(&self.socket, &mut self.buffer[..], RecvFlags::empty())).map_err(|errno| {
            let errno = if errno == Errno::AGAIN { Errno::TIMEDOUT } else { errno };
            Refused::new(doing, errno)
        })?;
        Ok(length)
    }
}

fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            answer => return answer,
        }
    }
}

/// The header of a netlink message.
pub(crate) struct Header {
    kind: u16,
    flags: u16,
    sequence: u32,
    /// Of the socket that asked, or whose request is told of.
    pub(crate) port: u32,
}

/// The messages of a datagram. Ends at the first that is cut off.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (Header, &[u8])> {
    std::iter::from_fn(move || {
        let length = u32_at(bytes, 0)? as usize;
        let (kind, flags) = (u16_at(bytes, 4)?, u16_at(bytes, 6)?);
        let header = Header { kind, flags, sequence: u32_at(bytes, 8)?, port: u32_at(bytes, 12)? };
        let body = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((header, body))
    })
}

/// Reads the error number at the start of an acknowledgement or of the end of a dump.
fn acknowledgement(header: &Header, body: &[u8], doing: &str) -> Result<(), Refused> {
    let number = u32_at(body, 0).unwrap_or(0) as i32;
    if number >= 0 {
        return Ok(());
    }
    let mut refused = Refused::new(doing, Errno::from_raw_os_error(-number));
    if header.flags & libc::NLM_F_ACK_TLVS as u16 != 0 {
        // After the number stands the request's header, and its body unless the answer is capped.
        let copied = if header.flags & libc::NLM_F_CAPPED as u16 != 0 {
            HEADER
        } else {
            (u32_at(body, 4).unwrap_or(0) as usize).next_multiple_of(4)
        };
        let extended = body.get(4 + copied..).unwrap_or_default();
        refused.words = attribute(extended, NLMSGERR_ATTR_MSG).map(text).unwrap_or_default();
    }
    Err(refused)
}
