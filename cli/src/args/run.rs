//! `run`.

use crate::parse::env::{Variable, variable};
use crate::parse::log_opt::{LogOpt, log_opt};
use crate::parse::port::{Published, published};
use crate::parse::volume::{Bind, bind};
use crate::parse::{Parsed, number};
use crate::session::DetachKeys;
use clap::{ArgAction, Args};
use schema::network::Mode;

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    override_usage = "cctl run [OPTIONS] IMAGE [COMMAND [ARGUMENT...]]",
    after_help = "Options end at IMAGE: what follows the command goes to it as it is."
)]
pub(crate) struct Run {
    /// Run in the background and print the container's id
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Keep stdin open, and copy ours to it
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Give the container a terminal
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Remove the container when it has ended
    #[arg(long)]
    pub(crate) rm: bool,
    /// Connect to stdin, stdout or stderr only (may be repeated)
    #[arg(short, long, value_name = "STREAM", value_parser = stream)]
    pub(crate) attach: Vec<StreamName>,
    /// Pass our signals on to the container
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) sig_proxy: bool,
    /// Keys that leave a container with a terminal to itself: ctrl-p,ctrl-q if it is empty
    #[arg(long, value_name = "KEYS", default_value = "", hide_default_value = true)]
    pub(crate) detach_keys: DetachKeys,
    /// Set an environment variable; KEY alone takes over ours
    #[arg(short = 'e', long = "env", value_name = "KEY[=VALUE]", value_parser = variable)]
    pub(crate) environment: Vec<Variable>,
    /// Run as this user
    #[arg(short, long, value_name = "NAME|UID[:GROUP|GID]", default_value = "", hide_default_value = true)]
    pub(crate) user: String,
    /// Hostname in the container [default: the beginning of its id]
    #[arg(short = 'h', long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(crate) hostname: String,
    /// Working directory in the container
    #[arg(short, long, value_name = "PATH", value_parser = working_directory)]
    pub(crate) workdir: Option<String>,
    /// Limit memory: bytes, or with k, m, g; at least 6m
    #[arg(short, long, value_name = "SIZE", value_parser = number::memory, default_value = "0", hide_default_value = true)]
    pub(crate) memory: u64,
    /// Limit memory and swap together; -1: swap without limit [default: twice the memory]
    #[arg(long, value_name = "SIZE", value_parser = number::memory_swap, allow_hyphen_values = true)]
    pub(crate) memory_swap: Option<i64>,
    /// Limit CPU time, in CPUs: 0.5, 2
    #[arg(long, value_name = "NUMBER", value_parser = number::cpus, default_value = "0", hide_default_value = true, allow_hyphen_values = true)]
    pub(crate) cpus: u64,
    /// Limit the number of processes; -1: no limit
    #[arg(long, value_name = "NUMBER", value_parser = number::pids, default_value = "0", hide_default_value = true, allow_hyphen_values = true)]
    pub(crate) pids_limit: u64,
    /// Publish a port on the host: 80, 8080:80, :80, 127.0.0.1:8080:80/udp, 8000-8002:80-82
    #[arg(short, long, value_name = "[[ADDRESS:]HOST_PORT:]PORT[/tcp|/udp]", value_parser = published, allow_hyphen_values = true)]
    pub(crate) publish: Vec<Published>,
    /// Mount a directory or file of the host
    #[arg(short, long, value_name = "/HOST:/CONTAINER[:ro]", value_parser = bind)]
    pub(crate) volume: Vec<Bind>,
    /// Name of the container [default: made from its id]
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) name: String,
    /// Network: the instance's bridge, none but loopback, or the host's own
    #[arg(long, value_name = "MODE", value_parser = network, default_value = "bridge")]
    pub(crate) network: Mode,
    /// Replace the image's entrypoint; empty: none
    #[arg(long, value_name = "COMMAND")]
    pub(crate) entrypoint: Option<String>,
    /// Option of the log: max-size=SIZE of a file, max-file=COUNT
    #[arg(long, value_name = "KEY=VALUE", value_parser = log_opt)]
    pub(crate) log_opt: Vec<LogOpt>,
    /// Print help
    #[arg(long, action = ArgAction::HelpShort)]
    help: Option<bool>,
    /// The image; what follows is run in it, or what the image says
    #[arg(required = true, trailing_var_arg = true, value_name = "IMAGE")]
    words: Vec<String>,
}

/// A stream of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamName {
    Stdin,
    Stdout,
    Stderr,
}

impl Run {
    /// The image's name.
    pub(crate) fn image(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The command with its arguments; empty: the image's own.
    pub(crate) fn command(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }
}

fn stream(text: &str) -> Parsed<StreamName> {
    match text.to_ascii_lowercase().as_str() {
        "stdin" => Ok(StreamName::Stdin),
        "stdout" => Ok(StreamName::Stdout),
        "stderr" => Ok(StreamName::Stderr),
        _ => Err(format!("Unsupported stream name: {text}")),
    }
}

fn network(text: &str) -> Parsed<Mode> {
    match text {
        "bridge" => Ok(Mode::Bridge),
        "none" => Ok(Mode::None),
        "host" => Ok(Mode::Host),
        _ => Err("expected bridge, none or host".to_owned()),
    }
}

fn working_directory(text: &str) -> Parsed<String> {
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err("expected an absolute path".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Command, parse};
    use std::ffi::OsString;

    fn run(line: &str) -> Box<Run> {
        match parse(format!("cctl run {line}").split(' ').map(OsString::from)) {
            Ok(Command::Run(run)) => run,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn options_end_at_the_image() {
        let run = run("-it --rm base echo -d -x -- --help -h");
        assert!(run.interactive && run.tty && run.rm && !run.detach);
        assert_eq!(run.image(), "base");
        assert_eq!(run.command(), ["echo", "-d", "-x", "--", "--help", "-h"]);
        assert_eq!(super::tests::run("base -d").command(), ["-d"]);
        assert_eq!(super::tests::run("base -- x").command(), ["--", "x"]);
        assert_eq!(super::tests::run("-- base x").command(), ["x"]);
    }

    #[test]
    fn flags_are_docker_s() {
        let run = run(
            "-e A=1 -e B -u daemon -h box -w /tmp -m64m --memory-swap -1 --cpus 0.5 --pids-limit -1 -p 80 -p 81:81/udp \
             -v /a:/b:ro --name n --network none --entrypoint sh --log-opt max-size=1m -a stdout base",
        );
        assert_eq!(run.hostname, "box");
        assert_eq!(run.memory, 64 << 20);
        assert_eq!(run.memory_swap, Some(-1));
        assert_eq!((run.cpus, run.pids_limit), (500_000_000, 0));
        assert_eq!((run.publish.len(), run.environment.len()), (2, 2));
        assert_eq!(run.network, Mode::None);
        assert_eq!(run.attach, [StreamName::Stdout]);
        assert!(run.command().is_empty());
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "",
            "-a foo base",
            "-p -1 base",
            "--network bride base",
            "-w tmp base",
            "--cpus -1 base",
            "-e =x base",
            "--log-opt tag=x base",
            "-m 1m base",
        ] {
            let words = format!("cctl run {line}");
            assert!(parse(words.split_whitespace().map(OsString::from)).is_err(), "{line}");
        }
    }
}
