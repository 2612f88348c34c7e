//! The caller's terminal: raw mode and hidden input, which always end, and its size.

use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use schema::Failure;
use schema::log_collector::Stream;
use std::sync::Mutex;

/// The terminal's settings before they were changed, while they are.
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

/// Whether one of our output streams is a terminal.
pub(crate) fn is_on(stream: Stream) -> bool {
    match stream {
        Stream::Stdout => isatty(stdout()),
        Stream::Stderr => isatty(stderr()),
    }
}

/// The size of the terminal on stdout, else of that on stdin; none without one.
pub(crate) fn size() -> Option<Size> {
    let size = tcgetwinsize(stdout()).or_else(|_| tcgetwinsize(stdin())).ok()?;
    Some(Size { rows: size.ws_row, columns: size.ws_col })
}

/// What is typed does not show; dropping it ends that.
pub(crate) struct Hidden(());

impl Hidden {
    /// Hides what is typed on stdin's terminal.
    pub(crate) fn enter() -> Result<Self, Failure> {
        change("hiding what is typed", |settings| settings.local_modes.remove(LocalModes::ECHO))?;
        Ok(Self(()))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        restore();
    }
}

/// Raw mode of the terminal on stdin; dropping it restores what was before.
pub(crate) struct Raw(());

impl Raw {
    /// Makes every key go to the container, Ctrl-C as well.
    pub(crate) fn enter() -> Result<Self, Failure> {
        change("setting the terminal to raw mode", Termios::make_raw)?;
        Ok(Self(()))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

/// Changes the settings of the terminal on stdin, and remembers what was before.
fn change(doing: &str, change: impl FnOnce(&mut Termios)) -> Result<(), Failure> {
    let failed = |errno: rustix::io::Errno| Failure::io(doing, &errno.into());
    let before = tcgetattr(stdin()).map_err(failed)?;
    let mut changed = before.clone();
    change(&mut changed);
    if let Ok(mut original) = ORIGINAL.lock() {
        *original = Some(before);
    }
    tcsetattr(stdin(), OptionalActions::Now, &changed).map_err(failed)
}

/// Ends raw mode and hidden input, if they are on.
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
