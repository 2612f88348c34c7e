//! The caller's terminal: raw mode and hidden input, which always end, and its size.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use schema::Failure;
use schema::log_collector::Stream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// The terminal's settings before they were changed, while they are.
static ORIGINAL: Mutex<Option<Termios>> = Mutex::new(None);

/// Whether the whole screen is ours.
static SCREEN: AtomicBool = AtomicBool::new(false);
/// The alternate screen, without a cursor and without wrapping lines (ECMA-48, and xterm's control sequences).
const TAKE_SCREEN: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?7l";
const GIVE_SCREEN: &[u8] = b"\x1b[?7h\x1b[?25h\x1b[?1049l";

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

/// The whole screen of the terminal on stdin and stdout, and every key; dropping it brings back what was before.
pub(crate) struct Whole(());

impl Whole {
    /// Takes the screen.
    pub(crate) fn enter() -> Result<Self, Failure> {
        change("setting the terminal to raw mode", Termios::make_raw)?;
        SCREEN.store(true, Ordering::Relaxed);
        put(TAKE_SCREEN).map_err(|errno| Failure::io("taking the screen", &errno.into()))?;
        Ok(Self(()))
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        restore();
    }
}

/// Writes to the terminal; not if that takes nothing, which nobody would wait for at the end.
fn put(bytes: &[u8]) -> rustix::io::Result<()> {
    let limit = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    match poll(&mut [PollFd::from_borrowed_fd(stdout(), PollFlags::OUT)], Some(&limit))? {
        0 => Err(rustix::io::Errno::AGAIN),
        _ => rustix::io::write(stdout(), bytes).map(drop),
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

/// Ends raw mode and hidden input, and gives the screen back, if they are on.
pub(crate) fn restore() {
    if SCREEN.swap(false, Ordering::Relaxed) {
        // As below.
        let _ = put(GIVE_SCREEN);
    }
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
