//! Options of a container's log: `--log-opt`.

use super::{Parsed, number};
use schema::log_collector::LogMode;

/// One `--log-opt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogOpt {
    /// Bytes of a segment.
    MaxSize(u64),
    /// Segments kept.
    MaxFile(u32),
    /// What becomes of output that is faster than the log.
    Mode(LogMode),
}

/// `max-size=SIZE`, `max-file=COUNT` or `mode=block|drop`.
pub(crate) fn log_opt(text: &str) -> Parsed<LogOpt> {
    match text.split_once('=') {
        Some(("max-size", value)) => match number::size(value) {
            Ok(0) => Err("max-size must be more than 0".to_owned()),
            Ok(bytes) => Ok(LogOpt::MaxSize(bytes)),
            Err(expected) => Err(format!("max-size={value:?}: {expected}")),
        },
        Some(("max-file", value)) => match value.parse() {
            Ok(count @ 1..) => Ok(LogOpt::MaxFile(count)),
            _ => Err(format!("max-file={value:?}: expected a number of files of at least 1")),
        },
        // Docker's names for the same.
        Some(("mode", "block" | "blocking")) => Ok(LogOpt::Mode(LogMode::Block)),
        Some(("mode", "drop" | "non-blocking")) => Ok(LogOpt::Mode(LogMode::Drop)),
        Some(("mode", other)) => Err(format!("mode={other:?}: expected block or drop")),
        _ => Err("expected max-size=SIZE, max-file=COUNT or mode=block|drop".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_options_only() {
        assert_eq!(log_opt("max-size=10m"), Ok(LogOpt::MaxSize(10 << 20)));
        assert_eq!(log_opt("max-file=3"), Ok(LogOpt::MaxFile(3)));
        assert_eq!(log_opt("mode=non-blocking"), Ok(LogOpt::Mode(LogMode::Drop)));
        assert_eq!(log_opt("mode=block"), Ok(LogOpt::Mode(LogMode::Block)));
        for bad in ["", "mode=fast", "max-size", "max-size=", "max-size=0", "max-file=0", "max-file=-1", "tag=x"] {
            assert!(log_opt(bad).is_err(), "{bad:?}");
        }
    }
}
