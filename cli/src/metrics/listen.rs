//! Where scrapers come: a socket in the file system, or a port of this host.

use crate::parse::Parsed;
use rustix::fs::Mode;
use rustix::process::umask;
use schema::Failure;
use schema::link::ShortPath;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// What `--listen` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    /// `unix:PATH`
    Unix(PathBuf),
    /// `127.0.0.1:9323`
    Tcp(SocketAddr),
}

/// Understands `--listen`. What is told is for this host: what lies between it and other hosts knows who may ask.
pub(crate) fn listen(text: &str) -> Parsed<Listen> {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path {
            "" => Err("after unix: there must be a path".to_owned()),
            path => Ok(Listen::Unix(path.into())),
        };
    }
    let text = text.strip_prefix("tcp:").unwrap_or(text);
    let address: SocketAddr =
        text.parse().map_err(|_| format!("{text:?} is neither unix:PATH nor an address and a port: 127.0.0.1:9323"))?;
    if address.ip().is_loopback() {
        Ok(Listen::Tcp(address))
    } else {
        Err(format!(
            "{} is not an address of loopback: 127.0.0.1 or [::1]; for others, put a proxy before it",
            address.ip()
        ))
    }
}

/// A socket that listens.
pub(super) enum Listener {
    Unix(tokio::net::UnixListener),
    Tcp(tokio::net::TcpListener),
}

/// Opens it; with where it is, for people: also a port that the kernel has chosen. A socket that is left of a process that
/// has ended is replaced.
pub(super) fn open(listen: &Listen) -> Result<(Listener, String), Failure> {
    let failed = |place: String| move |error: io::Error| Failure::io(format_args!("listening on {place}"), &error);
    match listen {
        Listen::Tcp(address) => {
            let opened = tcp(*address).and_then(|listener| Ok((listener.local_addr()?, listener)));
            let (address, listener) = opened.map_err(failed(address.to_string()))?;
            Ok((Listener::Tcp(listener), format!("http://{address}/metrics")))
        }
        Listen::Unix(path) => {
            let listener = unix(path).map_err(failed(path.display().to_string()))?;
            Ok((Listener::Unix(listener), format!("unix:{}", path.display())))
        }
    }
}

fn tcp(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}

/// For its owner and its group.
fn unix(path: &Path) -> io::Result<tokio::net::UnixListener> {
    let short = ShortPath::of(path)?;
    let before = umask(Mode::RWXO | Mode::XUSR | Mode::XGRP);
    let bound = bind(short.path());
    umask(before);
    let listener = bound?;
    listener.set_nonblocking(true)?;
    tokio::net::UnixListener::from_std(listener)
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_left(path) => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}

/// Whether this is a socket on which nobody listens.
fn is_left(path: &Path) -> bool {
    let socket = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    socket && UnixStream::connect(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_this_host_alone() {
        assert_eq!(listen("unix:/run/x"), Ok(Listen::Unix("/run/x".into())));
        assert_eq!(listen("127.0.0.1:9323"), Ok(Listen::Tcp("127.0.0.1:9323".parse().unwrap())));
        assert_eq!(listen("tcp:[::1]:0"), Ok(Listen::Tcp("[::1]:0".parse().unwrap())));
        for wrong in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "localhost:1", "127.0.0.1", "unix:", ""] {
            assert!(listen(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_socket_that_was_left_is_replaced_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.sock");
        let first = unix(&path).unwrap();
        assert_eq!(unix(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(first);
        unix(&path).unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(unix(&file).is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"x");
    }
}
