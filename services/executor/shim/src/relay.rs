//! Moves the output of an exec from the pipe that the process writes to into the FIFO that is captured, without
//! copying it, and without ever waiting for either.

use crate::streams::Output;
use crate::sys::{self, Errno, Fd, Poll, Result};

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
    /// A relay, and the end of its pipe that the process gets.
    pub fn new() -> Result<(Self, Fd)> {
        let [pipe, writer] = sys::pipe()?;
        Ok((Self { pipe, full: false, owed: None, finished: false }, writer))
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
