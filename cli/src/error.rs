//! How a command fails, and the exit status that says so.

use crate::args::Command;
use crate::console;
use schema::{Code, Failure};

/// Words of the command line are missing, too many, or no verb.
pub(crate) const USAGE: u8 = 1;
/// The engine could not run the container at all, or a flag cannot be understood.
pub(crate) const ENGINE: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const COMMAND_NOT_FOUND: u8 = 127;
/// What a shell says of a process that SIGPIPE has ended.
const BROKEN_PIPE: u8 = 128 + 13;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Error {
    /// Something to tell the user.
    Failure(Failure),
    /// Whoever read our output has gone: nobody is left to be told anything.
    Closed,
    /// A signal has ended what was being done; the exit status says which.
    Signalled(u8),
}

/// What most functions of this crate answer.
pub(crate) type Result<T = (), E = Error> = std::result::Result<T, E>;

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Which exit statuses a command uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The container's own, and 125 to 127 for those of the engine.
    Run,
    /// The process's own, 126 and 127 as with `Run`, and 1 for all else of the engine.
    Exec,
    /// 0 or 1.
    Plain,
}

impl Kind {
    /// Of a command.
    pub(crate) fn of(command: &Command) -> Self {
        match command {
            Command::Run(_) => Self::Run,
            Command::Exec(_) => Self::Exec,
            _ => Self::Plain,
        }
    }
}

impl Error {
    /// Tells the user; answers the exit status.
    pub(crate) fn answer(&self, kind: Kind) -> u8 {
        match self {
            Self::Closed => BROKEN_PIPE,
            Self::Signalled(status) => *status,
            Self::Failure(failure) => {
                console::complain(failure);
                status(failure.code, kind)
            }
        }
    }
}

/// The exit status that a kind of failure has.
fn status(code: Code, kind: Kind) -> u8 {
    match (kind, code) {
        (Kind::Run | Kind::Exec, Code::NotExecutable) => NOT_EXECUTABLE,
        (Kind::Run | Kind::Exec, Code::CommandNotFound) => COMMAND_NOT_FOUND,
        (Kind::Plain | Kind::Exec, _) => 1,
        (Kind::Run, _) => ENGINE,
    }
}

/// The exit status of a process that a signal has ended, as shells say it.
pub(crate) fn signalled(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(ENGINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_tells_missing_commands_from_failures_of_the_engine() {
        assert_eq!(status(Code::CommandNotFound, Kind::Run), 127);
        assert_eq!(status(Code::NotExecutable, Kind::Run), 126);
        assert_eq!(status(Code::NotFound, Kind::Run), 125);
        assert_eq!(status(Code::CommandNotFound, Kind::Plain), 1);
        assert_eq!(status(Code::CommandNotFound, Kind::Exec), 127);
        assert_eq!(status(Code::Conflict, Kind::Exec), 1);
    }

    #[test]
    fn signals_are_told_as_shells_do() {
        assert_eq!(signalled(15), 143);
        assert_eq!(signalled(1000), ENGINE);
    }
}
