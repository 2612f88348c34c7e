//! The record of how the first process of a sandbox ended: the file `exit`.
//!
//! Text, so that a person and any program can read it: a line that names the format, then `key value` lines.
//! Readers ignore keys that they do not know.

use crate::Malformed;
use crate::decimal::Decimal;

const HEADER: &str = "cctl-exit 1";

/// Bytes that a record never exceeds.
pub const LONGEST: usize = 256;

/// How the first process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// The exit status, or 128 + the signal; -1: unknown.
    pub code: i32,
    /// The signal that ended it; 0: none.
    pub signal: i32,
    /// Its process id in the host's PID namespace, when it ran.
    pub pid: i32,
    /// When it had been executed: nanoseconds since the Unix epoch.
    pub started_at: i64,
    /// When it ended: nanoseconds since the Unix epoch.
    pub finished_at: i64,
}

impl Exit {
    /// From the status that the kernel reports (wait(2)).
    pub fn from_status(status: i32, pid: i32, started_at: i64, finished_at: i64) -> Self {
        let signal = status & 0x7f;
        let code = if signal == 0 { (status >> 8) & 0xff } else { 128 + signal };
        Self { code, signal, pid, started_at, finished_at }
    }

    /// Of a process that has ended in a way that nobody knows.
    pub fn unknown(pid: i32, started_at: i64, finished_at: i64) -> Self {
        Self { code: -1, signal: 0, pid, started_at, finished_at }
    }

    /// Whether anybody knows in which way.
    pub fn is_known(&self) -> bool {
        self.code != -1
    }

    /// Hands the record's bytes to `put`, piece by piece.
    pub fn encode(&self, put: &mut dyn FnMut(&[u8])) {
        let Self { code, signal, pid, started_at, finished_at } = *self;
        put(HEADER.as_bytes());
        put(b"\n");
        let fields = [
            ("code", code.into()),
            ("signal", signal.into()),
            ("pid", pid.into()),
            ("started_at", started_at),
            ("finished_at", finished_at),
        ];
        for (key, value) in fields {
            put(key.as_bytes());
            put(b" ");
            put(Decimal::new(value).bytes());
            put(b"\n");
        }
    }

    /// Reads a record.
    pub fn decode(text: &str) -> Result<Self, Malformed> {
        let mut lines = text.lines();
        if lines.next() != Some(HEADER) {
            return Err(Malformed);
        }
        let mut exit = Self::default();
        for line in lines {
            let (key, value) = line.split_once(' ').ok_or(Malformed)?;
            match key {
                "code" => exit.code = number(value)?,
                "signal" => exit.signal = number(value)?,
                "pid" => exit.pid = number(value)?,
                "started_at" => exit.started_at = number(value)?,
                "finished_at" => exit.finished_at = number(value)?,
                _ => {}
            }
        }
        Ok(exit)
    }
}

fn number<T: core::str::FromStr>(text: &str) -> Result<T, Malformed> {
    text.parse().map_err(|_| Malformed)
}
