//! The end of a run: what nobody captured is saved, and the exit record is written.

use crate::relief::open_of_collector;
use crate::streams::{Output, Streams};
use crate::sys::{self, At, Fd, Result, flag};
use core::ffi::CStr;
use shim_protocol::exit::{Exit, LONGEST};
use shim_protocol::layout;

/// With the capture lock held: nobody reads the FIFOs any more. Ends this process.
pub fn complete(directory: &Fd, streams: &Streams, exit: &Exit) -> ! {
    let saved = spill(directory, &streams.stdout, layout::STDOUT_SPILL).and_then(|()| match &streams.stderr {
        Some(stderr) => spill(directory, stderr, layout::STDERR_SPILL),
        None => Ok(()),
    });
    // A disk that is full loses output, but not how the process ended.
    let recorded = record(directory, exit, layout::EXIT_TEMPORARY, layout::EXIT);
    sys::exit(i32::from(saved.is_err() || recorded.is_err()))
}

fn spill(directory: &Fd, output: &Output, name: &CStr) -> Result<()> {
    if sys::waiting(&output.reader)? == 0 {
        return Ok(());
    }
    // A predecessor that was killed here may have begun it.
    let flags = flag::O_WRONLY | flag::O_CREAT;
    sys::splice_all(&output.reader, &open_of_collector(directory, name, flags)?)
}

/// PID 1 has ended: says how, for who replaces us if we are killed before its output is safe.
pub fn note(directory: &Fd, exit: &Exit) {
    // If that cannot be written, the kernel may still tell.
    let _ = record(directory, exit, layout::ENDED_TEMPORARY, layout::ENDED);
}

/// Writes over what was reserved when the sandbox was made, so that it needs no space; what a predecessor that was killed
/// has written there does not count before it is renamed.
fn record(directory: &Fd, exit: &Exit, temporary: &CStr, name: &CStr) -> Result<()> {
    let file = sys::open(At::Dir(directory), temporary, flag::O_WRONLY | flag::O_CREAT, 0o600)?;
    let mut text = [0; LONGEST];
    let mut length = 0;
    exit.encode(&mut |piece| {
        if let Some(place) = text.get_mut(length..length + piece.len()) {
            place.copy_from_slice(piece);
            length += piece.len();
        }
    });
    sys::write(&file, text.get(..length).unwrap_or_default())?;
    sys::shorten(&file, length)?;
    sys::rename(directory, temporary, name)
}
