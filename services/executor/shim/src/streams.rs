//! The FIFOs of a sandbox, both ends of each.

use crate::sys::{self, At, Fd, Poll, Result, flag};
use core::ffi::CStr;
use shim_protocol::layout;

/// Bytes that an output holds.
pub const CAPACITY: usize = 1 << 20;

/// One output.
pub struct Output {
    /// Keeps what nobody captures yet.
    pub reader: Fd,
    /// PID 1's own, or where the output of a terminal or a relay goes; closed when the run has ended.
    pub writer: Option<Fd>,
}

impl Output {
    fn open(directory: &Fd, name: &CStr, copied: bool, over: bool) -> Result<Self> {
        let reader = sys::open(At::Dir(directory), name, flag::O_RDONLY | flag::O_NONBLOCK, 0)?;
        // If that is refused, it is full sooner.
        let _ = sys::widen(&reader, CAPACITY);
        // PID 1 holds both ends of what it writes to: whoever of us is killed, it has a reader, and keeps what nobody
        // has read.
        let how = if copied { flag::O_WRONLY | flag::O_NONBLOCK } else { flag::O_RDWR };
        let writer = if over { None } else { Some(sys::open(At::Dir(directory), name, how, 0)?) };
        Ok(Self { reader, writer })
    }
}

/// The input.
pub struct Input {
    /// PID 1's own, or what is copied to its terminal.
    pub reader: Fd,
    /// As long as it is open, the reader does not see the end.
    pub holder: Option<Fd>,
    /// Says when to close the holder.
    pub close: Fd,
    /// Kept alive for whoever writes to the input.
    _stage: Fd,
}

impl Input {
    fn open(directory: &Fd, copied: bool) -> Result<Self> {
        let at = At::Dir(directory);
        let holder = sys::open(at, layout::STDIN, flag::O_RDWR, 0)?;
        // With the holder open, this does not wait for a writer.
        let waits = if copied { flag::O_NONBLOCK } else { 0 };
        Ok(Self {
            reader: sys::open(at, layout::STDIN, flag::O_RDONLY | waits, 0)?,
            holder: Some(holder),
            close: sys::open(at, layout::STDIN_CLOSE, flag::O_RDWR | flag::O_NONBLOCK, 0)?,
            _stage: sys::open(at, layout::STDIN_STAGE, flag::O_RDWR | flag::O_NONBLOCK, 0)?,
        })
    }

    /// To wait for somebody to want the input to end.
    pub fn closing(&self) -> Poll {
        Poll::readable(self.holder.as_ref().map(|_| &self.close))
    }

    /// That has happened: what is in the FIFO is still read, and then the end is seen. The byte that said it stays
    /// where it is, for others who hold the FIFO, and for who replaces us.
    pub fn end(&mut self) {
        self.holder = None;
    }
}

/// All of them.
pub struct Streams {
    /// Output.
    pub stdout: Output,
    /// Errors; none with a terminal.
    pub stderr: Option<Output>,
    /// Input; none if PID 1 has /dev/null, or the terminal's input has ended.
    pub stdin: Option<Input>,
}

impl Streams {
    /// Opens both ends of each, but not for writing if the output is over. What is relayed or comes from a terminal,
    /// we write, and never wait.
    pub fn open(directory: &Fd, terminal: bool, relayed: bool, open_stdin: bool) -> Result<Self> {
        let over = !sys::exists(directory, layout::OUTPUT_OPEN);
        let copied = terminal || relayed;
        Ok(Self {
            stdout: Output::open(directory, layout::STDOUT, copied, over)?,
            stderr: if terminal { None } else { Some(Output::open(directory, layout::STDERR, copied, over)?) },
            stdin: if open_stdin && !over { Some(Input::open(directory, terminal)?) } else { None },
        })
    }

    /// The run is over: says so, lets readers see the end, and keeps what they have not read.
    pub fn close_writers(&mut self, directory: &Fd) {
        // Fails if it was said before.
        let _ = sys::remove(directory, layout::OUTPUT_OPEN);
        self.stdout.writer = None;
        if let Some(stderr) = &mut self.stderr {
            stderr.writer = None;
        }
        self.stdin = None;
    }
}
