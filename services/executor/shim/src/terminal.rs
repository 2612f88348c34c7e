//! Copies between the FIFOs and the terminal of PID 1, without ever waiting for either.

use crate::streams::Streams;
use crate::sys::{self, Errno, Fd, Memory, Poll, Result, terminal};

/// Bytes that are copied at a time: what a FIFO takes whole or not at all (PIPE_BUF).
const PIECE: usize = 4096;

/// Bytes that a pseudo-terminal holds at most: its buffer, and what its line discipline has taken from it.
const MOST_HELD: usize = (64 << 10) + PIECE;

/// Bytes on their way.
struct Transit {
    memory: Memory,
    from: usize,
    to: usize,
}

impl Transit {
    fn new() -> Result<Self> {
        Ok(Self { memory: Memory::map(PIECE)?, from: 0, to: 0 })
    }

    fn is_empty(&self) -> bool {
        self.from >= self.to
    }

    /// Fills up from a source: how many bytes came.
    fn fill(&mut self, source: &Fd) -> Result<usize> {
        let count = sys::read(source, &mut self.memory)?;
        (self.from, self.to) = (0, count);
        Ok(count)
    }

    /// Hands on what fits.
    fn drain(&mut self, sink: &Fd) -> Result<()> {
        let bytes = self.memory.get(self.from..self.to).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(());
        }
        self.from += match sys::write(sink, bytes) {
            Err(Errno::AGAIN) => 0,
            other => other?,
        };
        Ok(())
    }
}

/// The monitor's side of a terminal.
pub struct Terminal {
    master: Fd,
    /// The other side, held open: else the master would report an error whenever no process has it open.
    slave: Option<Fd>,
    output: Transit,
    input: Transit,
    /// Whether everything that was ever written to the terminal has been read from it.
    finished: bool,
    /// Bytes that are still taken from it, after an end that others do not follow; none: all there will be.
    owed: Option<usize>,
}

impl Terminal {
    /// Takes over a master.
    pub fn new(master: Fd) -> Result<Self> {
        let slave = terminal::peer(&master)?;
        Ok(Self {
            master,
            slave: Some(slave),
            output: Transit::new()?,
            input: Transit::new()?,
            finished: false,
            owed: None,
        })
    }

    /// Sets the size.
    pub fn set_size(&self, rows: u16, columns: u16) -> Result<()> {
        terminal::set_size(&self.master, rows, columns)
    }

    /// PID 1 and all its kin have ended: what is left in the terminal is read, and no more is written to it.
    pub fn end(&mut self) {
        self.slave = None;
    }

    /// The process has ended long ago, and others still hold the terminal: only what is in it is still read.
    pub fn settle(&mut self) {
        self.owed = Some(MOST_HELD);
    }

    /// Whether all output has reached the FIFO, after the end.
    pub fn is_drained(&self) -> bool {
        self.finished && self.output.is_empty()
    }

    /// What to wait for: the master, the input, the output.
    pub fn polls(&self, streams: &Streams) -> [Poll; 3] {
        let input = streams.stdin.as_ref().map(|input| &input.reader);
        let output = streams.stdout.writer.as_ref();
        let writes = !self.input.is_empty() && self.slave.is_some();
        [
            Poll::new(&self.master, self.output.is_empty() && !self.finished, writes),
            if self.input.is_empty() { Poll::readable(input) } else { Poll::NONE },
            match output {
                Some(output) if !self.output.is_empty() => Poll::new(output, false, true),
                _ => Poll::NONE,
            },
        ]
    }

    /// Copies what can be copied now.
    pub fn copy(&mut self, streams: &mut Streams) {
        self.copy_output(streams);
        self.copy_input(streams);
    }

    fn copy_output(&mut self, streams: &Streams) {
        self.fill_output();
        if let Some(writer) = &streams.stdout.writer
            && self.output.drain(writer).is_err()
        {
            // We hold the FIFO's other end, so that cannot be; waiting for it would be for ever.
            self.finished = true;
        }
        if self.owed.is_some() {
            // That nothing is left, no event tells.
            self.fill_output();
        }
    }

    fn fill_output(&mut self) {
        if self.output.is_empty() && !self.finished {
            match self.output.fill(&self.master) {
                Err(Errno::AGAIN) => self.finished = self.owed.is_some(),
                Ok(count) if count > 0 => {
                    self.owed = self.owed.map(|owed| owed.saturating_sub(count));
                    self.finished = self.owed == Some(0);
                }
                // Hung up.
                _ => self.reopen(),
            }
        }
    }

    /// A terminal is hung up when the session that it controls ends. While PID 1 lives, another can take it.
    fn reopen(&mut self) {
        if self.slave.is_some() {
            self.slave = terminal::peer(&self.master).ok();
        }
        self.finished = self.slave.is_none();
    }

    fn copy_input(&mut self, streams: &mut Streams) {
        if self.slave.is_none() {
            return;
        }
        if self.input.is_empty()
            && let Some(input) = &streams.stdin
        {
            match self.input.fill(&input.reader) {
                Err(Errno::AGAIN) => {}
                Ok(count) if count > 0 => {}
                // Ended by the one who writes it.
                _ => streams.stdin = None,
            }
        }
        if self.input.drain(&self.master).is_err() {
            // Hung up: what was typed was meant for a session that is gone.
            self.input.from = self.input.to;
        }
    }
}
