//! Makes the sandbox: namespaces, and an empty root that holds none of the host's mounts.

use crate::monitor::Monitor;
use crate::streams::Streams;
use crate::sys::{self, At, Errno, Fd, flag, mounting, namespace};
use crate::users;
use core::ffi::CStr;
use shim_protocol::layout;

/// What could not be done, and why.
pub struct Failed {
    doing: &'static str,
    error: Errno,
}

impl Failed {
    /// Writes the line that the executor reads: what was being done, and the error number.
    pub fn tell(&self, status: &Fd) {
        let number = self.error.0.unsigned_abs();
        let digits =
            [(number / 100 % 10) as u8, (number / 10 % 10) as u8, (number % 10) as u8].map(|digit| b'0' + digit);
        for part in [self.doing.as_bytes(), b" ", &digits, b"\n"] {
            // Nobody is left to be told of a failure to tell.
            let _ = sys::write(status, part);
        }
    }
}

fn doing<T>(doing: &'static str, answer: sys::Result<T>) -> Result<T, Failed> {
    answer.map_err(|error| Failed { doing, error })
}

/// Takes over this process, and makes the sandbox around it, if it is not to join one.
pub fn prepare(hostname: &CStr, flags: &[u8], ids: &[u8]) -> Result<Monitor, Failed> {
    let has = |flag: u8| flags.contains(&flag);
    // Nothing that is sent to the executor's group, or to all, ends a monitor, but SIGKILL.
    doing("blocking signals", sys::block_signals(true))?;
    // Whoever started us may have ignored some; with SIGCHLD ignored, we would never learn how PID 1 ended.
    sys::reset_signals();
    // Everything is made with exactly the permissions that are asked for.
    sys::set_mask(0);
    doing("closing descriptors", sys::close_from(3))?;
    doing("making a session", sys::new_session())?;
    let directory = Fd::inherited(0);
    let (joins, adopts) = (has(layout::JOIN), has(layout::ADOPT));
    let streams = Streams::open(&directory, has(layout::TERMINAL), joins, has(layout::OPEN_STDIN));
    let streams = doing("opening the FIFOs", streams)?;
    let lock =
        doing("opening the capture lock", sys::open(At::Dir(&directory), layout::CAPTURE_LOCK, flag::O_RDWR, 0))?;
    let users = if joins || adopts { None } else { make_sandbox(hostname, has(layout::OWN_NETWORK), ids)? };
    Ok(Monitor::new(directory, Fd::inherited(1), lock, streams, joins, users))
}

/// Answers with the user namespace, if there is to be one.
fn make_sandbox(hostname: &CStr, own_network: bool, ids: &[u8]) -> Result<Option<Fd>, Failed> {
    let network = if own_network { namespace::NET } else { 0 };
    let owned = namespace::UTS | namespace::IPC | network;
    let users = if ids.is_empty() {
        doing("making namespaces", sys::unshare(owned))?;
        None
    } else {
        Some(doing(layout::MAKING_USERS, users::make(ids, owned))?)
    };
    // This one belongs to the host's users in any case: what is mounted in the sandbox is mounted with the power to do so.
    doing("making namespaces", sys::unshare(namespace::MOUNT))?;
    leave_host()?;
    doing("setting the hostname", sys::set_hostname(hostname))?;
    Ok(users)
}

/// Changes to a root that is empty but for the directory `rootfs`, and forgets every mount of the host.
fn leave_host() -> Result<(), Failed> {
    // /proc is only a directory that surely exists; in this namespace nobody else sees what is on it.
    const PLACE: &CStr = c"/proc";
    const FLAGS: u64 = mounting::NOSUID | mounting::NODEV | mounting::NOEXEC;
    doing("making mounts private", sys::mount(c"none", c"/", c"", mounting::REC | mounting::PRIVATE, c""))?;
    doing("mounting a root", sys::mount(c"cctl", PLACE, c"tmpfs", FLAGS, c"mode=0755,size=64k"))?;
    doing("entering the root", sys::change_directory(PLACE))?;
    doing("making the rootfs directory", sys::make_directory(c"rootfs", 0o755))?;
    doing("changing the root", sys::pivot_here())
}
