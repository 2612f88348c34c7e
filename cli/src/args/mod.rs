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
    Cli::command()
        .try_get_matches_from(&words)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map(|cli| cli.command)
        .map_err(|error| Usage::new(&error, &words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_has_help() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }
}
