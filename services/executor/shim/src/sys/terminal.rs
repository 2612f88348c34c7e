//! Terminals.

use super::arch::nr;
use super::{Fd, Result, call, flag, owned};

const TIOCSCTTY: usize = 0x540e;
const TIOCSWINSZ: usize = 0x5414;
const TIOCSPTLCK: usize = 0x4004_5431;
const TIOCGPTPEER: usize = 0x5441;

/// Lets the other side of a new pseudo-terminal be opened.
pub fn unlock(master: &Fd) -> Result<()> {
    let no = 0i32;
    kernel!(IOCTL, master.number(), TIOCSPTLCK, &raw const no).map(drop)
}

/// Opens the other side.
pub fn peer(master: &Fd) -> Result<Fd> {
    owned(kernel!(IOCTL, master.number(), TIOCGPTPEER, flag::O_RDWR | flag::O_NOCTTY | flag::O_CLOEXEC))
}

/// Sets the size; whoever is in the foreground is told.
pub fn set_size(master: &Fd, rows: u16, columns: u16) -> Result<()> {
    let size = [rows, columns, 0, 0];
    kernel!(IOCTL, master.number(), TIOCSWINSZ, size.as_ptr()).map(drop)
}

/// Makes it the terminal of this process's session.
pub fn control(terminal: &Fd) -> Result<()> {
    kernel!(IOCTL, terminal.number(), TIOCSCTTY, 0usize).map(drop)
}
