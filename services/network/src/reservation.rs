//! Holding a port of the host while it is published.
//!
//! A published port exists only in nftables, where no other program looks. A socket bound to it makes it
//! visible (`ss -l` names us), keeps other programs and other instances of cctl from taking it, and is the
//! only sure way to learn that it was free. No packet reaches the socket as long as our table stands.

use crate::ports::address_of;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_recv_buffer_size, set_socket_reuseaddr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use schema::common::{PortBinding, Protocol};
use std::net::SocketAddr;

/// A port that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    _socket: OwnedFd,
}

/// Lets this process hold as many ports as it may at all: each is a descriptor.
pub(crate) fn allow_many() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "cannot raise the limit of open files: fewer ports can be published");
    }
}

/// Takes a port of the host, if it is free.
pub(crate) fn reserve(binding: &PortBinding) -> Result<Reservation, Errno> {
    let address = SocketAddr::new(address_of(binding), binding.host_port);
    let kind = match binding.protocol {
        Protocol::Tcp => SocketType::STREAM,
        Protocol::Udp => SocketType::DGRAM,
    };
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, true)?;
    }
    match binding.protocol {
        Protocol::Tcp => {
            // Connections of the port's previous user that still time out are no obstacle; a listener is. The
            // other way round, only a socket that listens keeps others from listening.
            set_socket_reuseaddr(&socket, true)?;
            bind(&socket, &address)?;
            listen(&socket, 0)?;
        }
        Protocol::Udp => {
            set_socket_recv_buffer_size(&socket, 0)?;
            bind(&socket, &address)?;
        }
    }
    Ok(Reservation { _socket: socket })
}
