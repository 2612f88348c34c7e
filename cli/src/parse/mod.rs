//! Values of the command line: pure functions from a word to what it means.
//!
//! Each error is one line that names the value and says what is expected.

pub(crate) mod env;
pub(crate) mod filter;
pub(crate) mod host;
pub(crate) mod label;
pub(crate) mod lines;
pub(crate) mod log_opt;
pub(crate) mod mount;
pub(crate) mod number;
pub(crate) mod port;
pub(crate) mod reference;
pub(crate) mod restart;
pub(crate) mod security;
pub(crate) mod signal;
pub(crate) mod time;
pub(crate) mod volume;

/// What a parser answers: the error completes clap's "invalid value 'X' for '--flag <Y>': ".
pub(crate) type Parsed<T> = Result<T, String>;
