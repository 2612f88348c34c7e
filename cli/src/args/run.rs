//! `run` and `create`.

use super::options::Options;
use crate::session::DetachKeys;
use clap::{ArgAction, Args};

const AFTER_HELP: &str = "Options end at IMAGE: what follows the command goes to it as it is.";

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    override_usage = "cctl run [OPTIONS] IMAGE [COMMAND [ARGUMENT...]]",
    after_help = AFTER_HELP
)]
pub(crate) struct Run {
    /// Run in the background and print the container's id
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Pass our signals on to the container
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) sig_proxy: bool,
    /// Keys that leave a container with a terminal to itself: ctrl-p,ctrl-q if it is empty
    #[arg(long, value_name = "KEYS", default_value = "", hide_default_value = true)]
    pub(crate) detach_keys: DetachKeys,
    /// Show at the end, on stderr, when each part of it was done, in all processes
    #[arg(long)]
    pub(crate) profile: bool,
    /// Of the container.
    #[command(flatten)]
    pub(crate) options: Options,
}

/// Arguments of `create`.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    override_usage = "cctl create [OPTIONS] IMAGE [COMMAND [ARGUMENT...]]",
    after_help = AFTER_HELP
)]
pub(crate) struct Create {
    /// Of the container.
    #[command(flatten)]
    pub(crate) options: Options,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Command, StreamName, parse};
    use schema::network::Mode;
    use std::ffi::OsString;

    fn run(line: &str) -> Options {
        match parse(format!("cctl run {line}").split(' ').map(OsString::from)) {
            Ok(Command::Run(run)) => run.options,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn options_end_at_the_image() {
        let run = run("-it --rm base echo -d -x -- --help -h");
        assert!(run.interactive && run.tty && run.rm);
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
    fn create_has_the_same_but_those_of_a_client() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        let created = parse(words("cctl create -it --name n --restart always base sh -c x"));
        assert!(matches!(created, Ok(Command::Create(create)) if create.options.command() == ["sh", "-c", "x"]));
        assert!(parse(words("cctl create -d base")).is_err());
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
            "-c 1 base",
            "--restart never base",
            "--stop-signal FOO base",
            "--add-host x base",
            "--dns x base",
            "--mount type=tmpfs,target=/x base",
            "--pull sometimes base",
            "--init base",
        ] {
            let words = format!("cctl run {line}");
            assert!(parse(words.split_whitespace().map(OsString::from)).is_err(), "{line}");
        }
    }
}
