//! The end of a run: what nobody captured is saved, and the exit record is written.

use crate::streams::{Output, Streams};
use crate::sys::{self, At, Fd, Result, flag};
use core::ffi::CStr;
use shim_protocol::exit::Exit;
use shim_protocol::layout;

/// With the capture lock held: nobody reads the FIFOs any more. Ends this process.
pub fn complete(directory: &Fd, streams: &Streams, exit: &Exit) -> ! {
    let saved = spill(directory, &streams.stdout, layout::STDOUT_SPILL).and_then(|()| match &streams.stderr {
        Some(stderr) => spill(directory, stderr, layout::STDERR_SPILL),
        None => Ok(()),
    });
    // A disk that is full loses output, but not how the process ended.
    let recorded = record(directory, exit);
    sys::exit(i32::from(saved.is_err() || recorded.is_err()))
}

fn spill(directory: &Fd, output: &Output, name: &CStr) -> Result<()> {
    if sys::waiting(&output.reader)? == 0 {
        return Ok(());
    }
    let flags = flag::O_WRONLY | flag::O_CREAT | flag::O_TRUNC;
    sys::splice_all(&output.reader, &sys::open(At::Dir(directory), name, flags, 0o600)?)
}

fn record(directory: &Fd, exit: &Exit) -> Result<()> {
    let flags = flag::O_WRONLY | flag::O_CREAT | flag::O_TRUNC;
    let file = sys::open(At::Dir(directory), layout::EXIT_TEMPORARY, flags, 0o600)?;
    let mut written = Ok(());
    exit.encode(&mut |piece| {
        if written.is_ok() {
            written = sys::write(&file, piece).map(drop);
        }
    });
    written?;
    sys::rename(directory, layout::EXIT_TEMPORARY, layout::EXIT)
}
