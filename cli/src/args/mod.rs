//! The command line: what may be said, and what it means.

mod container;
mod files;
mod format;
mod image;
mod inspect;
mod options;
mod run;
mod security;
mod system;
mod usage;

pub(crate) use container::{Attach, Kill, Logs, Port, Remove, Rename, Start, Stop, Tail};
pub(crate) use files::{Commit, Copy, Exec, Export};
pub(crate) use format::Format;
#[cfg(test)]
pub(crate) use format::list_format;
pub(crate) use image::{Import, Load, Login, Logout, PullImage, PushImage, RemoveImages, Save, Tag};
pub(crate) use inspect::{Events, History, Images, Inspect, Kind, Ps, Stats, Summary, Top};
pub(crate) use options::{Options, Pull, StreamName};
pub(crate) use run::{Create, Run};
pub(crate) use security::Confined;
pub(crate) use system::{AuditLog, System};
pub(crate) use usage::Usage;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;
use std::ffi::OsString;
use std::path::PathBuf;

const AFTER_HELP: &str = "\
ENVIRONMENT
  CCTL_ROOT     durable state, default /var/lib/cctl
  CCTL_RUN      sockets and running containers, default /run/cctl
  CCTL_CONFIG   configuration, default /etc/cctl
  CCTL_AUTH_FILE  logins to registries, default $XDG_CONFIG_HOME/cctl/auth.json
  CCTL_LIBEXEC  where `system start` looks for the services first
  CCTL_REQUEST  the number under which services log what this command asks of them: up to ten
                hexadecimal digits; default random
  NORAW         if it is set, a terminal is left as it is while a container has it

EXIT STATUS
  0    done
  1    the command failed, for at least one of its arguments
  125  the command line cannot be understood
  130  Ctrl-C
  For `run`, `start -a`, `attach` and `exec`: the status of the process, and for `run`
  125  also: the engine failed
  126  the command in the container cannot be executed
  127  the command does not exist in the container
  A process that a signal has ended has the status 128 + the signal.";

/// Runs containers
#[derive(Debug, Parser)]
#[command(name = "cctl", version, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// A verb with its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Connect to the streams of a running container
    Attach(Attach),
    /// Make an image of a container's files and settings
    Commit(Commit),
    /// Print what completes command lines in a shell: `source <(cctl completion bash)`
    Completion {
        /// The shell
        shell: Shell,
    },
    /// Copy files between a container and the host
    Cp(Copy),
    /// Create a container, without starting it
    Create(Box<Create>),
    /// Show how the files of a container differ from its image
    Diff(Container),
    /// Show what happens to containers
    Events(Events),
    /// Run a command in a running container
    Exec(Exec),
    /// Write the files of a container as a tar archive
    Export(Export),
    /// Show how an image was made
    History(History),
    /// List images
    Images(Images),
    /// Make an image of a tar archive
    Import(Import),
    /// Show what this instance has and uses
    Info(Summary),
    /// Show all that is known of containers or images, as JSON
    Inspect(Inspect),
    /// Send a signal to containers
    Kill(Kill),
    /// Take images from an archive that `save` wrote
    Load(Load),
    /// Log in to a registry
    Login(Login),
    /// Log out of a registry
    Logout(Logout),
    /// Show the output of a container
    Logs(Logs),
    /// Write a manual page of each verb into a directory
    Man {
        /// An existing directory
        directory: PathBuf,
    },
    /// Stop all processes of containers where they are
    Pause(Containers),
    /// Show the published ports of a container
    Port(Port),
    /// List containers
    Ps(Ps),
    /// Bring an image from a registry
    Pull(PullImage),
    /// Send an image to a registry
    Push(PushImage),
    /// Give a container another name
    Rename(Rename),
    /// Stop containers, and start them again
    Restart(Stop),
    /// Remove containers
    Rm(Remove),
    /// Remove images
    Rmi(RemoveImages),
    /// Create a container and run a command in it
    Run(Box<Run>),
    /// Write images to an archive
    Save(Save),
    /// Start stopped containers
    Start(Start),
    /// Show what containers use
    Stats(Stats),
    /// Stop containers: a signal, and SIGKILL after a while
    Stop(Stop),
    /// Start, stop and watch the services of cctl
    #[command(subcommand)]
    System(System),
    /// Give an image a further name
    Tag(Tag),
    /// Show the processes of a container
    Top(Top),
    /// Let paused containers go on
    Unpause(Containers),
    /// Show the versions of the client and of each service
    Version(Summary),
    /// Wait until containers have ended, and print their exit codes
    Wait(Containers),
}

/// One container, and nothing else.
#[derive(Debug, clap::Args)]
pub(crate) struct Container {
    /// A name, an id, or the unique beginning of an id
    pub(crate) container: String,
}

/// Containers, and nothing else.
#[derive(Debug, clap::Args)]
pub(crate) struct Containers {
    /// Names, ids, or unique beginnings of ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub(crate) containers: Vec<String>,
}

/// The definition of the command line, for what is made of it.
pub(crate) fn definition() -> clap::Command {
    Cli::command()
}

/// Understands a command line.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, Usage> {
    let words: Vec<OsString> = words.into_iter().collect();
    if words.len() < 2 {
        return Err(Usage::help(Cli::command()));
    }
    match parse_alone(&words) {
        Some(command) => Ok(command),
        None => parse_whole(&words).map_err(|error| Usage::new(&error, &words)),
    }
}

fn parse_whole(words: &[OsString]) -> Result<Command, clap::Error> {
    let matches = Cli::command().try_get_matches_from(words)?;
    Cli::from_arg_matches(&matches).map(|cli| cli.command)
}

/// The same for what programs call again and again, by the definition of its verb alone: that of all takes a millisecond to
/// build. None if that does not understand it: then the whole has to say what is wrong, or give help.
fn parse_alone(words: &[OsString]) -> Option<Command> {
    let rest = words.get(1..)?;
    match rest.first()?.to_str()? {
        "create" => verb(rest).map(|create| Command::Create(Box::new(create))),
        "exec" => verb(rest).map(Command::Exec),
        "images" => verb(rest).map(Command::Images),
        "inspect" => verb(rest).map(Command::Inspect),
        "kill" => verb(rest).map(Command::Kill),
        "logs" => verb(rest).map(Command::Logs),
        "ps" => verb(rest).map(Command::Ps),
        "restart" => verb(rest).map(Command::Restart),
        "rm" => verb(rest).map(Command::Rm),
        "run" => verb(rest).map(|run| Command::Run(Box::new(run))),
        "start" => verb(rest).map(Command::Start),
        "stats" => verb(rest).map(Command::Stats),
        "stop" => verb(rest).map(Command::Stop),
        "wait" => verb(rest).map(Command::Wait),
        _ => None,
    }
}

fn verb<A: clap::Args>(words: &[OsString]) -> Option<A> {
    let definition = A::augment_args(clap::Command::new("cctl"));
    let matches = definition.try_get_matches_from(words).ok()?;
    A::from_arg_matches(&matches).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn verbs_alone_mean_what_they_mean_in_the_whole() {
        for line in [
            "create --name web -p 80:80 base sleep 5",
            "exec -it -e A=b web sh -c x",
            "images -q",
            "inspect web --format {{.ID}}",
            "kill -s HUP web other",
            "logs -f --tail 5 web",
            "ps",
            "ps -aq --filter name=web",
            "restart -t 3 web",
            "rm -f web other",
            "run base",
            "run --rm -i -h host -v /a:/b:ro --network none --memory 64m base true --rm",
            "start -a web",
            "stats --no-stream web",
            "stop web",
            "wait web other",
        ] {
            let words: Vec<OsString> = std::iter::once("cctl").chain(line.split(' ')).map(OsString::from).collect();
            let alone = parse_alone(&words).map(|command| format!("{command:?}"));
            assert_eq!(alone, Some(format!("{:?}", parse_whole(&words).expect(line))), "{line}");
        }
    }

    #[test]
    fn what_a_verb_alone_does_not_understand_is_left_to_the_whole() {
        for line in ["run", "run --help", "run --no-such base", "rm", "ps web", "--version", "help run", "r"] {
            let words: Vec<OsString> = std::iter::once("cctl").chain(line.split(' ')).map(OsString::from).collect();
            assert!(parse_alone(&words).is_none(), "{line}");
        }
    }

    #[test]
    fn every_verb_has_help() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }
}
