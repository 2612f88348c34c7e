//! A user namespace for the sandbox, and namespaces that belong to it. The monitor itself stays with the host's users: it
//! goes on to own the files of the sandbox's directory.

use crate::sys::{self, At, Child, Fd, Fork, Poll, Result, flag};
use core::ffi::CStr;

/// Makes a user namespace in which ids are mapped as this text says, and these namespaces, which belong to it and which
/// this process enters. Answers with the user namespace.
pub fn make(ids: &[u8], namespaces: u64) -> Result<Fd> {
    let [ours, theirs] = sys::socket_pair()?;
    // Whoever makes a namespace is in it, and there is no way back: so another does.
    match sys::fork(sys::namespace::USER | namespaces, None)? {
        Fork::Parent(maker) => {
            drop(theirs);
            let made = take_over(&maker, ids, namespaces);
            // Its end, also if we are killed.
            drop(ours);
            maker.reap();
            made
        }
        Fork::Child => {
            drop(ours);
            let _ = sys::poll(&mut [Poll::readable(Some(&theirs))], None);
            sys::exit(0)
        }
    }
}

fn take_over(maker: &Child, ids: &[u8], namespaces: u64) -> Result<Fd> {
    for name in [&b"/uid_map\0"[..], b"/gid_map\0"] {
        let map = sys::open(At::Current, Path::of(maker.pid, name).text()?, flag::O_WRONLY, 0)?;
        sys::write(&map, ids)?;
    }
    let users = sys::open(At::Current, Path::of(maker.pid, b"/ns/user\0").text()?, flag::O_RDONLY, 0)?;
    sys::join(&maker.handle, namespaces)?;
    Ok(users)
}

/// The path of something in a process's directory of /proc.
struct Path {
    bytes: [u8; Self::LONGEST],
    length: usize,
}

impl Path {
    const LONGEST: usize = 32;

    /// `name` begins with a slash and ends with a NUL byte.
    fn of(pid: i32, name: &[u8]) -> Self {
        let mut path = Self { bytes: [0; Self::LONGEST], length: 0 };
        path.put(b"/proc/");
        let mut divisor = 1_000_000_000;
        while divisor > 0 {
            if pid >= divisor {
                path.put(&[b'0' + (pid / divisor % 10) as u8]);
            }
            divisor /= 10;
        }
        path.put(name);
        path
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.iter_mut().skip(self.length).zip(bytes).for_each(|(place, byte)| *place = *byte);
        self.length += bytes.len();
    }

    fn text(&self) -> Result<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).map_err(|_| sys::Errno::INVAL)
    }
}
