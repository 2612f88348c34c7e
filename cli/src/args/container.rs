//! The verbs of containers that exist.

use crate::parse::Parsed;
use crate::parse::number::seconds;
use crate::parse::port::private;
use crate::parse::signal::signal;
use crate::parse::time::{Since, since};
use crate::session::DetachKeys;
use clap::{ArgAction, Args};
use schema::common::Protocol;

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Go on until the container has ended
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Begin each line with the time at which it was written
    #[arg(short, long)]
    pub(crate) timestamps: bool,
    /// Only the last N lines
    #[arg(long, short = 'n', value_name = "N|all", value_parser = tail, default_value = "all", allow_hyphen_values = true)]
    pub(crate) tail: Tail,
    /// Only what was written since then: 10m, 2024-01-02T15:04:05Z, 1704207845
    #[arg(long, value_name = "TIME|DURATION", value_parser = since)]
    pub(crate) since: Option<Since>,
    /// Only what was written before then
    #[arg(long, value_name = "TIME|DURATION", value_parser = since)]
    pub(crate) until: Option<Since>,
    /// Taken as Docker's; a log has no further attributes here
    #[arg(long)]
    pub(crate) details: bool,
    /// A name, an id, or the unique beginning of an id
    pub(crate) container: String,
}

/// How many lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// All that are kept.
    All,
    /// So many from the end.
    Lines(u64),
}

/// Arguments of `attach`.
#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// Do not copy our stdin
    #[arg(long)]
    pub(crate) no_stdin: bool,
    /// Pass our signals on to the container
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) sig_proxy: bool,
    /// Keys that leave a container with a terminal to itself: ctrl-p,ctrl-q if it is empty
    #[arg(long, value_name = "KEYS", default_value = "", hide_default_value = true)]
    pub(crate) detach_keys: DetachKeys,
    /// A name, an id, or the unique beginning of an id
    pub(crate) container: String,
}

/// Arguments of `start`.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// Connect to stdout and stderr, and pass signals on
    #[arg(short, long)]
    pub(crate) attach: bool,
    /// Connect to stdin as well
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Keys that leave a container with a terminal to itself: ctrl-p,ctrl-q if it is empty
    #[arg(long, value_name = "KEYS", default_value = "", hide_default_value = true)]
    pub(crate) detach_keys: DetachKeys,
    /// Names, ids, or unique beginnings of ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub(crate) containers: Vec<String>,
}

/// Arguments of `stop` and `restart`.
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// Seconds until SIGKILL [default: the container's, else 10]
    #[arg(short, long = "timeout", alias = "time", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout_ms: Option<u32>,
    /// The signal before that [default: the container's]
    #[arg(short, long, value_name = "SIGNAL", value_parser = signal, allow_hyphen_values = true)]
    pub(crate) signal: Option<i32>,
    /// Names, ids, or unique beginnings of ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub(crate) containers: Vec<String>,
}

/// Arguments of `kill`.
#[derive(Debug, Args)]
pub(crate) struct Kill {
    /// Name or number of the signal
    #[arg(short, long, value_name = "SIGNAL", value_parser = signal, default_value = "KILL", allow_hyphen_values = true)]
    pub(crate) signal: i32,
    /// Names, ids, or unique beginnings of ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub(crate) containers: Vec<String>,
}

/// Arguments of `rm`.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Kill those that run
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Also their anonymous volumes, of which there are none
    #[arg(short, long)]
    pub(crate) volumes: bool,
    /// Names, ids, or unique beginnings of ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub(crate) containers: Vec<String>,
}

/// Arguments of `rename`.
#[derive(Debug, Args)]
pub(crate) struct Rename {
    /// A name, an id, or the unique beginning of an id
    pub(crate) container: String,
    /// What it is to be called
    pub(crate) new_name: String,
}

/// Arguments of `port`.
#[derive(Debug, Args)]
pub(crate) struct Port {
    /// A name, an id, or the unique beginning of an id
    pub(crate) container: String,
    /// Only where this port of the container is published
    #[arg(value_name = "PORT[/tcp|/udp]", value_parser = private)]
    pub(crate) private: Option<(u16, Protocol)>,
}

fn tail(text: &str) -> Parsed<Tail> {
    match text {
        "all" | "-1" => Ok(Tail::All),
        _ => text.parse().map(Tail::Lines).map_err(|_| "expected a number of lines, or all".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use crate::args::{Command, parse};
    use std::ffi::OsString;

    fn command(line: &str) -> Command {
        parse(line.split(' ').map(OsString::from)).unwrap_or_else(|usage| panic!("{line}: {usage:?}"))
    }

    #[test]
    fn times_and_signals() {
        assert!(matches!(command("cctl stop -t 0 a b"), Command::Stop(stop) if stop.timeout_ms == Some(0)));
        assert!(matches!(command("cctl stop a"), Command::Stop(stop) if stop.timeout_ms.is_none()));
        assert!(matches!(command("cctl kill -s HUP a"), Command::Kill(kill) if kill.signal == 1));
        assert!(matches!(command("cctl kill a"), Command::Kill(kill) if kill.signal == 9));
    }

    #[test]
    fn signals_are_passed_on_unless_told_otherwise() {
        assert!(matches!(command("cctl attach a"), Command::Attach(attach) if attach.sig_proxy));
        assert!(matches!(command("cctl attach --sig-proxy=false a"), Command::Attach(attach) if !attach.sig_proxy));
    }

    #[test]
    fn missing_and_bad_arguments_are_refused() {
        for line in [
            "cctl logs",
            "cctl logs a b",
            "cctl logs --tail x a",
            "cctl rm",
            "cctl port",
            "cctl port a x",
            "cctl kill -s FOO a",
            "cctl stop -t x a",
            "cctl ps -n x",
            "cctl ps --format {{.ID",
            "cctl stop -s FOO a",
            "cctl rename a",
            "cctl cp a",
            "cctl exec a",
            "cctl login -p x --password-stdin",
            "cctl wait",
            "cctl inspect",
        ] {
            assert!(parse(line.split(' ').map(OsString::from)).is_err(), "{line}");
        }
    }
}
