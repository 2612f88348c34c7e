//! Requests to a monitor and its reports, on a SOCK_SEQPACKET socket: every request is one message, and is
//! answered by exactly one report, in order. A report says everything that the monitor knows.

use crate::Malformed;
use crate::exit::Exit;
use crate::wire::{Field, Reader};

/// Version of these messages.
pub const VERSION: u32 = 1;
/// Bytes of a request.
pub const REQUEST_SIZE: usize = 16;
/// Bytes of a report.
pub const REPORT_SIZE: usize = 64;
/// Descriptors that may go with a request.
pub const MOST_DESCRIPTORS: usize = 8;

/// What a monitor is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// How things are.
    Report,
    /// Make PID 1 by the file `plan`. The descriptors that go with the message are, in this order: of an exec, a pidfd
    /// of the PID 1 whose namespaces the process joins; the cgroup of v2 that it is born in, if there is one; and
    /// `cgroup.procs` files of cgroups that it joins. Answered when exec has succeeded or anything has failed. If that
    /// was asked before: only answered.
    Start {
        /// Whether there is a cgroup that it is born in.
        born_in: bool,
    },
    /// Carry out the file `setup`, which ends with a wait: make PID 1, up to where it has to know what it is to execute. The
    /// descriptors are those of `Start`, which then has none. Answered when it waits or anything has failed. If that was
    /// asked before: only answered.
    SetUp {
        /// Whether there is a cgroup that it is born in.
        born_in: bool,
    },
    /// Set the size of the terminal, also of one that does not exist yet.
    Resize {
        /// Rows.
        rows: u16,
        /// Columns.
        columns: u16,
    },
    /// Send a signal to PID 1. Nothing happens if there is none.
    Signal {
        /// Its number.
        number: i32,
    },
    /// Hand out a duplicate of the terminal's master, with the report, if there is one.
    Lend,
    /// End: kill PID 1 if there is one, and then go the way of every run; else end at once.
    Kill,
}

impl Request {
    /// The message.
    pub fn encode(&self) -> [u8; REQUEST_SIZE] {
        let (kind, first, second) = match *self {
            Self::Report => (0, 0, 0),
            Self::Start { born_in } => (1, born_in.into(), 0),
            Self::Resize { rows, columns } => (2, rows.into(), columns.into()),
            Self::Signal { number } => (3, number, 0),
            Self::Kill => (4, 0, 0),
            Self::Lend => (5, 0, 0),
            Self::SetUp { born_in } => (6, born_in.into(), 0),
        };
        let mut message = Message::default();
        message.put(&VERSION);
        for number in [kind, first, second] {
            message.put(&number);
        }
        message.bytes
    }

    /// Reads a message.
    pub fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(message);
        if message.len() != REQUEST_SIZE || u32::take(&mut reader)? != VERSION {
            return Err(Malformed);
        }
        let (kind, first, second) = (i32::take(&mut reader)?, i32::take(&mut reader)?, i32::take(&mut reader)?);
        let size = |number: i32| u16::try_from(number).map_err(|_| Malformed);
        match kind {
            0 => Ok(Self::Report),
            1 => Ok(Self::Start { born_in: first != 0 }),
            2 => Ok(Self::Resize { rows: size(first)?, columns: size(second)? }),
            3 => Ok(Self::Signal { number: first }),
            4 => Ok(Self::Kill),
            5 => Ok(Self::Lend),
            6 => Ok(Self::SetUp { born_in: first != 0 }),
            _ => Err(Malformed),
        }
    }
}

/// What a monitor says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Error number of what was asked; 0: it was done.
    pub error: i32,
    /// The monitor's own process id.
    pub monitor: i32,
    /// How far the sandbox is.
    pub phase: Phase,
}

/// How far a sandbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing was started.
    Parked,
    /// PID 1 is being made, and will wait.
    SettingUp,
    /// PID 1 waits to be told what it is.
    SetUp,
    /// PID 1 is being made.
    Starting,
    /// Making PID 1 failed, for good.
    Failed {
        /// Number of the plan's step; see [`crate::plan`] for the steps that are not in the plan.
        step: u32,
        /// The error number.
        error: i32,
    },
    /// PID 1 runs.
    Running {
        /// Its process id in the host's PID namespace.
        pid: i32,
        /// When exec succeeded: nanoseconds since the Unix epoch.
        started_at: i64,
    },
    /// PID 1 has ended; its output is perhaps still being captured.
    Ended(Exit),
}

impl Report {
    /// The message.
    pub fn encode(&self) -> [u8; REPORT_SIZE] {
        let Self { error, monitor, phase } = *self;
        let mut message = Message::default();
        message.put(&VERSION);
        message.put(&error);
        message.put(&monitor);
        match phase {
            Phase::Parked => message.put(&0u32),
            Phase::Starting => message.put(&1u32),
            Phase::SettingUp => message.put(&5u32),
            Phase::SetUp => message.put(&6u32),
            Phase::Failed { step, error } => {
                message.put(&2u32);
                message.put(&step);
                message.put(&error);
            }
            Phase::Running { pid, started_at } => {
                message.put(&3u32);
                message.put(&pid);
                message.put(&started_at);
            }
            Phase::Ended(exit) => {
                message.put(&4u32);
                message.put_exit(&exit);
            }
        }
        message.bytes
    }

    /// Reads a message.
    pub fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(message);
        let reader = &mut reader;
        if message.len() != REPORT_SIZE || u32::take(reader)? != VERSION {
            return Err(Malformed);
        }
        let (error, monitor) = (i32::take(reader)?, i32::take(reader)?);
        let phase = match u32::take(reader)? {
            0 => Phase::Parked,
            1 => Phase::Starting,
            2 => Phase::Failed { step: u32::take(reader)?, error: i32::take(reader)? },
            3 => Phase::Running { pid: i32::take(reader)?, started_at: i64::take(reader)? },
            4 => Phase::Ended(take_exit(reader)?),
            5 => Phase::SettingUp,
            6 => Phase::SetUp,
            _ => return Err(Malformed),
        };
        Ok(Self { error, monitor, phase })
    }
}

/// Reads what [`Message::put_exit`] wrote.
pub(crate) fn take_exit(reader: &mut Reader<'_>) -> Result<Exit, Malformed> {
    Ok(Exit {
        code: i32::take(reader)?,
        signal: i32::take(reader)?,
        pid: i32::take(reader)?,
        started_at: i64::take(reader)?,
        finished_at: i64::take(reader)?,
    })
}

/// A message of fixed size that is being filled; what does not fit is left out, which no message reaches.
pub(crate) struct Message<const SIZE: usize> {
    pub(crate) bytes: [u8; SIZE],
    used: usize,
}

impl<const SIZE: usize> Default for Message<SIZE> {
    fn default() -> Self {
        Self { bytes: [0; SIZE], used: 0 }
    }
}

impl<const SIZE: usize> Message<SIZE> {
    pub(crate) fn put<'a>(&mut self, value: &impl Field<'a>) {
        value.put(&mut |bytes| {
            let places = self.bytes.iter_mut().skip(self.used);
            places.zip(bytes).for_each(|(place, byte)| *place = *byte);
            self.used += bytes.len();
        });
    }

    pub(crate) fn put_exit(&mut self, exit: &Exit) {
        let Exit { code, signal, pid, started_at, finished_at } = *exit;
        for number in [code, signal, pid] {
            self.put(&number);
        }
        self.put(&started_at);
        self.put(&finished_at);
    }
}
