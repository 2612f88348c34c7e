//! What is said when a command line asks for help, or cannot be understood.

use crate::console;
use crate::error::{ENGINE, USAGE};
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use schema::Failure;
use std::ffi::OsString;

/// An answer that needs no service.
#[derive(Debug)]
pub(crate) enum Usage {
    /// Something that was asked for.
    Text(String),
    /// What is wrong, and the exit status.
    Wrong(Failure, u8),
}

impl Usage {
    /// The help text.
    pub(crate) fn help(mut command: clap::Command) -> Self {
        Self::Text(command.render_help().to_string())
    }

    /// From what clap says of these words.
    pub(crate) fn new(error: &Error, words: &[OsString]) -> Self {
        let text = error.to_string();
        match error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Self::Text(text),
            _ => Self::Wrong(failure(&text, words), status(error)),
        }
    }

    /// Prints it; answers the exit status.
    pub(crate) fn answer(&self) -> u8 {
        match self {
            Self::Text(text) => {
                console::print(text).map_or_else(|error| error.answer(crate::error::Kind::Plain), |()| 0)
            }
            Self::Wrong(failure, status) => {
                console::complain(failure);
                *status
            }
        }
    }
}

/// As Docker has it: a flag that is not understood is told from words that are missing or too many.
fn status(error: &Error) -> u8 {
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument.starts_with('-'),
        _ => true,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand | ErrorKind::MissingRequiredArgument | ErrorKind::MissingSubcommand => USAGE,
        ErrorKind::UnknownArgument if !flag => USAGE,
        _ => ENGINE,
    }
}

/// Clap's paragraphs in two lines: what is wrong, and what to do.
fn failure(text: &str, words: &[OsString]) -> Failure {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let (wrong, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let wrong = wrong.split_whitespace().collect::<Vec<_>>().join(" ");
    let tip = rest.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    // Clap offers to hide any unknown flag behind `--`, which is hardly ever meant.
    let tip = tip.filter(|tip| !tip.starts_with("to pass "));
    let verb = words.get(1).and_then(|word| word.to_str()).filter(|word| !word.starts_with('-'));
    let (wrong, known) = match wrong.strip_prefix("unrecognized subcommand ") {
        Some(name) => (format!("{name} is not a cctl command"), None),
        None => (wrong, verb),
    };
    let help = known.map_or_else(|| "see `cctl --help`".to_owned(), |verb| format!("see `cctl {verb} --help`"));
    Failure::invalid(wrong).hint(tip.map_or(help.clone(), |tip| format!("{tip}; {help}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(line: &str) -> (Failure, u8) {
        match crate::args::parse(line.split(' ').map(OsString::from)) {
            Err(Usage::Wrong(failure, status)) => (failure, status),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn one_line_names_the_value() {
        let (failure, status) = wrong("cctl run -m abc base true");
        assert_eq!(status, 125);
        assert!(failure.message.contains("'abc'") && failure.message.contains("64m"), "{failure}");
        assert!(!failure.message.contains('\n'));
        assert!(failure.hint.contains("cctl run --help"));
    }

    #[test]
    fn unknown_verbs_and_flags_are_named() {
        let (failure, status) = wrong("cctl pss");
        assert_eq!(status, 1);
        assert!(
            failure.message.contains("'pss' is not a cctl command") && failure.hint.contains("'ps'"),
            "{failure:?}"
        );
        let (failure, status) = wrong("cctl run -z base true");
        assert_eq!(status, 125);
        assert!(failure.message.contains("-z"), "{failure}");
        let (failure, status) = wrong("cctl stop");
        assert_eq!(status, 1);
        assert!(failure.message.contains("CONTAINER"), "{failure}");
    }

    #[test]
    fn help_is_no_error() {
        for line in ["cctl", "cctl --help", "cctl run --help", "cctl system", "cctl --version", "cctl help run"] {
            let answer = crate::args::parse(line.split(' ').map(OsString::from));
            assert!(matches!(answer, Err(Usage::Text(_))), "{line}: {answer:?}");
        }
    }
}
