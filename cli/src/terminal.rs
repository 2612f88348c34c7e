//! The caller's terminal: raw mode, which always ends, and its size.

use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use schema::Failure;
use std::sync::Mutex;

/// The terminal's settings before raw mode, while it is on.
static ORIGINAL: Mutex<Option<Termios>> = Mutex::new(None);

/// Rows and columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// 0: unknown.
    pub(crate) rows: u16,
    /// 0: unknown.
    pub(crate) columns: u16,
}

/// Whether stdin is a terminal.
pub(crate) fn on_stdin() -> bool {
    isatty(stdin())
}

/// The size of the terminal on stdout, else of that on stdin; none without one.
pub(crate) fn size() -> Option<Size> {
    let size = tcgetwinsize(stdout()).or_else(|_| tcgetwinsize(stdin())).ok()?;
    Some(Size { rows: size.ws_row, columns: size.ws_col })
}

/// Raw mode of the terminal on stdin; dropping it restores what was before.
pub(crate) struct Raw(());

impl Raw {
    /// Makes every key go to the container, Ctrl-C as well.
    pub(crate) fn enter() -> Result<Self, Failure> {
        let failed = |errno: rustix::io::Errno| Failure::io("setting the terminal to raw mode", &errno.into());
        let before = tcgetattr(stdin()).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        if let Ok(mut original) = ORIGINAL.lock() {
            *original = Some(before);
        }
        tcsetattr(stdin(), OptionalActions::Now, &raw).map_err(failed)?;
        Ok(Self(()))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

/// Ends raw mode, if it is on.
pub(crate) fn restore() {
    // In a panic the lock may be held by the code that panicked: then waiting would hang.
    let Ok(mut original) = ORIGINAL.try_lock() else { return };
    if let Some(before) = original.take() {
        // If the terminal is gone, there is nothing to restore.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
    }
}

/// Ends raw mode before a panic's message is printed, also where a panic aborts.
pub(crate) fn restore_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        report(panic);
    }));
}
