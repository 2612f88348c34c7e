//! The closed set of expected failures, which travel as data.

use crate::bindings::common_capnp::{self, failure};
use crate::wire::{Wire, text};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The kinds of failure of the contract: `Code` in `schema/common.capnp` says what each means.
pub use common_capnp::Code;

/// A failure that a user may see: what went wrong, naming the offending value, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind, for programs.
    pub code: Code,
    /// One line for people; names the offending value.
    pub message: String,
    /// What to do next; may be empty.
    pub hint: String,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $code:ident;)*) => {
        impl Failure {$(
            $(#[$doc])*
            pub fn $name(message: impl fmt::Display) -> Self {
                Self::new(Code::$code, message)
            }
        )*}
    };
}

constructors! {
    /// A bug, or an error of the system that no caller can mend.
    internal => Internal;
    /// The named object does not exist.
    not_found => NotFound;
    /// The name or id is taken.
    already_exists => AlreadyExists;
    /// The object's state does not allow this.
    conflict => Conflict;
    /// The call can never succeed as it is.
    invalid => InvalidArgument;
    /// The caller may not do this.
    permission_denied => PermissionDenied;
    /// No address, port, space or memory is left.
    exhausted => ResourceExhausted;
    /// A service that is needed does not answer.
    unavailable => Unavailable;
    /// The caller's time is over.
    deadline => DeadlineExceeded;
    /// This service does not do this.
    unimplemented => Unimplemented;
    /// Stored data is damaged.
    corrupt => Corrupt;
    /// The command exists and cannot be executed.
    not_executable => NotExecutable;
    /// The command does not exist in the container.
    command_not_found => CommandNotFound;
    /// The sandbox's monitor was killed before anything was executed in it.
    sandbox_lost => SandboxLost;
}

impl Failure {
    /// A failure without a hint.
    pub fn new(code: Code, message: impl fmt::Display) -> Self {
        Self { code, message: bounded(message.to_string()), hint: String::new() }
    }

    /// The same failure, with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = bounded(hint.to_string());
        self
    }

    /// The same failure, its message preceded by what was being done.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = bounded(format!("{doing}: {}", self.message));
        self
    }

    /// What an operating system error means to a caller: a full disk or exhausted table is
    /// `resourceExhausted`, all else `internal`.
    pub fn io(doing: impl fmt::Display, error: &std::io::Error) -> Self {
        use rustix::io::Errno;
        let code = match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOSPC | Errno::DQUOT | Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN) => {
                Code::ResourceExhausted
            }
            _ => Code::Internal,
        };
        Self::new(code, format_args!("{doing}: {error}"))
    }
}

/// Bytes of a message or of a hint: a value that it names may be as long as its sender likes.
const LONGEST: usize = 2048;
/// Bytes of the end that stay of what is longer: there stands what is wrong with the value.
const END: usize = 512;

/// The text, without its middle if it is too long.
fn bounded(text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    let boundary = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (head, tail) = (boundary(LONGEST - END - '…'.len_utf8()), boundary(text.len() - END));
    format!("{}…{}", &text[..head], &text[tail..])
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<capnp::Error> for Failure {
    /// A message that cannot be read is the sender's fault.
    fn from(error: capnp::Error) -> Self {
        Self::invalid(format_args!("malformed message: {error}"))
    }
}

impl From<capnp::NotInSchema> for Failure {
    fn from(error: capnp::NotInSchema) -> Self {
        Self::invalid(format_args!("unknown value in message: {error}"))
    }
}

impl Wire for Failure {
    type Owned = failure::Owned;

    fn read(reader: failure::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            // A newer peer may know a code that this program does not.
            code: reader.get_code().unwrap_or(Code::Internal),
            message: bounded(text(reader.get_message())?),
            hint: bounded(text(reader.get_hint())?),
        })
    }

    fn write(&self, mut builder: failure::Builder<'_>) {
        let Self { code, message, hint } = self;
        builder.set_code(*code);
        builder.set_message(message);
        builder.set_hint(hint);
    }
}

/// [`Code`] as stored in records: its ordinal in the contract, which never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodeNumber(u16);

impl From<Code> for CodeNumber {
    fn from(code: Code) -> Self {
        Self(code as u16)
    }
}

impl From<CodeNumber> for Code {
    fn from(number: CodeNumber) -> Self {
        Code::try_from(number.0).unwrap_or(Code::Internal)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_bounded_and_keeps_both_ends() {
        for value in ["a".repeat(1 << 20), "é…🦀".repeat(1 << 16)] {
            let failure = Failure::invalid(format_args!("{value:?} is not a name")).context("creating").hint(&value);
            assert!(failure.message.len() <= LONGEST + 4 && failure.hint.len() <= LONGEST + 4);
            assert!(failure.message.starts_with("creating: \"") && failure.message.ends_with("is not a name"));
        }
        assert_eq!(Failure::invalid("short").context("doing").message, "doing: short");
    }
}
