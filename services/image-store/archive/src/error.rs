//! Why an archive cannot be used.

use std::fmt;
use std::io;

/// Why reading an archive ended.
#[derive(Debug)]
pub enum Error {
    /// The archive itself: it is none, damaged, cut off, hostile or too large. The text says which.
    Invalid(String),
    /// The file that holds it could not be read.
    Io(io::Error),
}

impl Error {
    pub(crate) fn invalid(reason: impl fmt::Display) -> Self {
        Self::Invalid(reason.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(reason) => f.write_str(reason),
            Self::Io(_) => f.write_str("cannot read the archive"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Invalid(_) => None,
            Self::Io(error) => Some(error),
        }
    }
}

impl From<io::Error> for Error {
    /// An error with a number is the operating system's; any other was found by a decoder in the data.
    fn from(error: io::Error) -> Self {
        if error.raw_os_error().is_some() {
            return Self::Io(error);
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::invalid("the archive is cut off: its compressed data has no end"),
            io::ErrorKind::FileTooLarge => Self::Invalid(error.to_string()),
            _ => Self::invalid(format_args!("the compressed data is damaged, or something follows it: {error}")),
        }
    }
}
