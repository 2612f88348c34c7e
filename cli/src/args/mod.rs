//! The command line: what may be said, and what it means.

mod container;
mod image;
mod run;
mod system;
mod usage;

pub(crate) use container::{Attach, Kill, Logs, Port, Ps, Remove, Start, Stop, Tail};
pub(crate) use image::{Images, Import};
pub(crate) use run::{Run, StreamName};
pub(crate) use system::System;
pub(crate) use usage::Usage;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;

const AFTER_HELP: &str = "\
ENVIRONMENT
  CCTL_ROOT     durable state, default /var/lib/cctl
  CCTL_RUN      sockets and running containers, default /run/cctl
  CCTL_CONFIG   configuration, default /etc/cctl
  CCTL_LIBEXEC  where `system start` looks for the services first

EXIT STATUS
  0    done
  1    the command failed, for at least one of its arguments
  2    the command line cannot be understood
  For `run`, `start -a` and `attach`: the status of the container's process, and for `run`
  125  the engine failed, or the command line cannot be understood
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
    /// Create a container and run a command in it
    Run(Box<Run>),
    /// List containers
    Ps(Ps),
    /// Show the output of a container
    Logs(Logs),
    /// Connect to the streams of a running container
    Attach(Attach),
    /// Start stopped containers
    Start(Start),
    /// Stop containers: SIGTERM, and SIGKILL after a while
    Stop(Stop),
    /// Stop containers, and start them again
    Restart(Stop),
    /// Send a signal to containers
    Kill(Kill),
    /// Wait until containers have ended, and print their exit codes
    Wait(Containers),
    /// Remove containers
    Rm(Remove),
    /// Show all that is known of containers or images, as JSON
    Inspect(Inspect),
    /// Show the published ports of a container
    Port(Port),
    /// Make an image of a tar archive
    Import(Import),
    /// List images
    Images(Images),
    /// Start, stop and watch the services of cctl
    #[command(subcommand)]
    System(System),
    /// Show what this instance has and uses
    Info,
    /// Show the versions of the client and of each service
    Version,
}

/// Containers, and nothing else.
#[derive(Debug, clap::Args)]
pub(crate) struct Containers {
    /// Names, ids, or unique beginnings of ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub(crate) containers: Vec<String>,
}

/// Arguments of `inspect`.
#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// Containers or images; a container comes before an image of the same name
    #[arg(required = true, value_name = "CONTAINER|IMAGE")]
    pub(crate) names: Vec<String>,
}

/// How lists are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
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
