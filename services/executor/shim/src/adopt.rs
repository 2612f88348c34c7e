//! Takes over from a monitor that was killed.

use crate::monitor::Monitor;
use crate::sys::{self, Errno, Fd, Poll, Result};
use shim_protocol::adoption::{Adoption, SIZE};
use shim_protocol::layout;

/// Waits until the executor has written down who we are and tells what there is; if it is killed before, nothing has
/// been touched. Says that it is done.
pub fn adopt(monitor: &mut Monitor, status: &Fd) -> Result<()> {
    let mut message = [0; SIZE];
    sys::poll(&mut [Poll::readable(Some(status))], None)?;
    let (length, descriptors) = sys::receive(status, &mut message)?;
    let adoption = Adoption::decode(message.get(..length).unwrap_or_default()).map_err(|_| Errno::INVAL)?;
    let mut descriptors = descriptors.into_iter().flatten();
    let handle = if adoption.handle { descriptors.next() } else { None };
    let master = if adoption.master { descriptors.next() } else { None };
    monitor.adopt(&adoption, handle, master)?;
    sys::write(status, layout::READY).map(drop)
}
