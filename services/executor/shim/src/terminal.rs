//! Moves what comes and goes between the FIFOs and the terminal of PID 1, without ever waiting for either.
//!
//! It is spliced: a piece is in the terminal or in the FIFO, and never with us, at whatever instant we are killed.

use crate::streams::Streams;
use crate::sys::{self, Errno, Fd, Poll, Result, terminal};

/// Bytes that are moved at a time.
const PIECE: usize = 64 << 10;

/// Bytes that a pseudo-terminal holds at most: its buffer, and what its line discipline has taken from it.
const MOST_HELD: usize = (64 << 10) + 4096;

/// The monitor's side of a terminal.
pub struct Terminal {
    master: Fd,
    /// The other side, held open: else the master would report an error whenever no process has it open.
    slave: Option<Fd>,
    /// There may be output, but the FIFO takes no more.
    full: bool,
    /// There is input, but the terminal takes no more.
    held: bool,
    /// Whether everything that was ever written to the terminal has been read from it.
    finished: bool,
    /// Bytes that are still taken from it, after an end that others do not follow; none: all there will be.
    owed: Option<usize>,
}

impl Terminal {
    /// Takes over a master.
    pub fn new(master: Fd) -> Self {
        let slave = terminal::peer(&master).ok();
        Self { master, slave, full: false, held: false, finished: false, owed: None }
    }

    /// Its master.
    pub fn master(&self) -> &Fd {
        &self.master
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
        self.finished
    }

    /// What to wait for: the master, the input, the output.
    pub fn polls(&self, streams: &Streams) -> [Poll; 3] {
        let input = streams.stdin.as_ref().map(|input| &input.reader);
        [
            Poll::new(&self.master, !self.full && !self.finished, self.held && self.slave.is_some()),
            if self.held { Poll::NONE } else { Poll::readable(input) },
            match &streams.stdout.writer {
                Some(output) if self.full => Poll::new(output, false, true),
                _ => Poll::NONE,
            },
        ]
    }

    /// Moves what can be moved now.
    pub fn copy(&mut self, streams: &mut Streams) {
        self.copy_output(streams);
        if self.owed.is_some() {
            // That nothing is left, no event tells.
            while !self.finished && !self.full {
                self.copy_output(streams);
            }
        }
        self.copy_input(streams);
    }

    fn copy_output(&mut self, streams: &Streams) {
        if self.finished {
            return;
        }
        let Some(fifo) = &streams.stdout.writer else {
            self.finished = true;
            return;
        };
        match sys::splice(&self.master, fifo, self.owed.unwrap_or(PIECE).min(PIECE)) {
            Ok(count) if count > 0 => {
                self.full = false;
                self.owed = self.owed.map(|owed| owed.saturating_sub(count));
                self.finished = self.owed == Some(0);
            }
            Err(Errno::AGAIN) => {
                let mut room = [Poll::new(fifo, false, true)];
                self.full = sys::poll(&mut room, Some(0)).is_err() || !room.iter().any(Poll::happened);
                self.finished = self.owed.is_some() && !self.full;
            }
            Err(Errno::INTR) => {}
            // Hung up.
            _ => self.reopen(),
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
        let (Some(input), true) = (&streams.stdin, self.slave.is_some()) else { return };
        match sys::splice(&input.reader, &self.master, PIECE) {
            // Ended by the one who writes it.
            Ok(0) => streams.stdin = None,
            Ok(_) => self.held = false,
            Err(Errno::AGAIN) => self.held = sys::waiting(&input.reader).is_ok_and(|count| count > 0),
            Err(Errno::INTR) => {}
            Err(_) => {
                // Hung up: what was typed was meant for a session that is gone.
                self.held = false;
                let _ = sys::read(&input.reader, &mut [0; 512]);
            }
        }
    }
}
