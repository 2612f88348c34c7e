//! Moves the output of an exec from the pipe that the process writes to into the FIFO that is captured, without
//! copying it, and without ever waiting for either.

use crate::streams::Output;
use crate::sys::{self, At, Errno, Fd, Poll, Result, flag};
use core::ffi::CStr;

/// Bytes that are moved at a time.
const PIECE: usize = 1 << 20;

/// One output on its way.
pub struct Relay {
    pipe: Fd,
    /// There is something in the pipe, but the FIFO takes no more.
    full: bool,
    /// Bytes that are still to be moved; none: all there will be.
    owed: Option<usize>,
    /// Nothing more is to be moved.
    finished: bool,
}

impl Relay {
    /// A relay, and the end of its pipe that the process gets. The pipe has a name, so that others can keep it.
    pub fn new(directory: &Fd, name: &CStr) -> Result<(Self, Fd)> {
        let relay = Self::adopt(directory, name)?;
        let writer = sys::open(At::Dir(directory), name, flag::O_WRONLY, 0)?;
        Ok((relay, writer))
    }

    /// One whose process has its end already.
    pub fn adopt(directory: &Fd, name: &CStr) -> Result<Self> {
        let pipe = sys::open(At::Dir(directory), name, flag::O_RDONLY | flag::O_NONBLOCK, 0)?;
        Ok(Self { pipe, full: false, owed: None, finished: false })
    }

    /// Moves what is there, without having been told that anything has happened: the end of a FIFO that was opened
    /// after it is no event.
    pub fn begin(&mut self, output: Option<&Output>) {
        while !self.finished {
            let before = self.waiting();
            self.full = false;
            self.copy(output);
            if before == self.waiting() {
                // With something in the pipe, it is the FIFO that takes no more.
                self.full = !self.finished && before > 0;
                return;
            }
        }
    }

    /// What to wait for.
    pub fn poll(&self, output: Option<&Output>) -> Poll {
        match output.and_then(|output| output.writer.as_ref()) {
            Some(fifo) if self.full => Poll::new(fifo, false, true),
            _ if self.finished => Poll::NONE,
            _ => Poll::readable(Some(&self.pipe)),
        }
    }

    /// Moves what can be moved now, after something has happened.
    pub fn copy(&mut self, output: Option<&Output>) {
        let Some(fifo) = output.and_then(|output| output.writer.as_ref()) else {
            self.finish();
            return;
        };
        match sys::splice(&self.pipe, fifo, self.owed.unwrap_or(PIECE)) {
            Ok(count) if count > 0 => {
                self.full = false;
                self.owed = self.owed.map(|owed| owed.saturating_sub(count));
                if self.owed == Some(0) {
                    self.finish();
                }
            }
            // We were told that one of them is ready: then it is the other that is not.
            Err(Errno::AGAIN) => self.full = !self.full,
            Err(Errno::INTR) => {}
            // Everybody has closed the pipe. Another error cannot be, and would be there for ever.
            _ => self.finish(),
        }
    }

    fn waiting(&self) -> u32 {
        sys::waiting(&self.pipe).unwrap_or(0)
    }

    /// The process has ended long ago: only what it or others have written up to now is still moved.
    pub fn settle(&mut self) {
        match sys::waiting(&self.pipe) {
            Ok(count) if count > 0 => self.owed = Some(count as usize),
            _ => self.finish(),
        }
    }

    /// Whether all output has reached the FIFO, after the end.
    pub fn is_drained(&self) -> bool {
        self.finished
    }

    fn finish(&mut self) {
        (self.full, self.finished) = (false, true);
    }
}
