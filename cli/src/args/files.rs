//! The verbs of containers' files and of processes in them: `cp`, `export`, `commit`, `exec`.

use crate::parse::env::{Variable, variable};
use crate::session::DetachKeys;
use clap::{ArgAction, Args};
use std::path::PathBuf;

/// Arguments of `cp`.
#[derive(Debug, Args)]
#[command(
    override_usage = "cctl cp [OPTIONS] CONTAINER:PATH PATH|-\n       cctl cp [OPTIONS] PATH|- CONTAINER:PATH",
    after_help = "`-` is a tar archive: from stdin it is unpacked into a directory of the container, to stdout it holds what was copied."
)]
pub(crate) struct Copy {
    /// Keep the user and group ids of the files
    #[arg(short, long)]
    pub(crate) archive: bool,
    /// Copy what the source links to, if it is a symbolic link
    #[arg(short = 'L', long)]
    pub(crate) follow_link: bool,
    /// Do not say what was copied
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// What to copy
    #[arg(value_name = "SOURCE", allow_hyphen_values = true)]
    pub(crate) source: String,
    /// Where to
    #[arg(value_name = "DESTINATION", allow_hyphen_values = true)]
    pub(crate) destination: String,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Write to a file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// A name, an id, or the unique beginning of an id
    pub(crate) container: String,
}

/// Arguments of `commit`.
#[derive(Debug, Args)]
#[command(
    override_usage = "cctl commit [OPTIONS] CONTAINER [REPOSITORY[:TAG]]\n       cctl commit [OPTIONS] CONTAINER REPOSITORY TAG"
)]
pub(crate) struct Commit {
    /// Who made it: "Ada Lovelace <ada@example.org>"
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub(crate) author: String,
    /// Instruction as of a Dockerfile: 'CMD ["sh"]', 'ENV KEY=VALUE'
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub(crate) change: Vec<String>,
    /// What was changed
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub(crate) message: String,
    /// Pause the container meanwhile
    #[arg(short, long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) pause: bool,
    /// A name, an id, or the unique beginning of an id
    pub(crate) container: String,
    /// What to call the image; the tag is `latest` unless you say otherwise
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) repository: String,
    /// The tag, if the repository has none
    pub(crate) tag: Option<String>,
}

/// Arguments of `exec`.
#[derive(Debug, Args)]
#[command(override_usage = "cctl exec [OPTIONS] CONTAINER COMMAND [ARGUMENT...]")]
pub(crate) struct Exec {
    /// Run in the background
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Keys that leave a process with a terminal to itself: ctrl-p,ctrl-q if it is empty
    #[arg(long, value_name = "KEYS", default_value = "", hide_default_value = true)]
    pub(crate) detach_keys: DetachKeys,
    /// Set an environment variable; KEY alone takes over ours
    #[arg(short = 'e', long = "env", value_name = "KEY[=VALUE]", value_parser = variable)]
    pub(crate) environment: Vec<Variable>,
    /// Read environment variables from a file: KEY=VALUE or KEY a line
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// Keep stdin open, and copy ours to it
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Give the process every capability
    #[arg(long)]
    pub(crate) privileged: bool,
    /// Show at the end, on stderr, when each part of it was done, in all processes
    #[arg(long)]
    pub(crate) profile: bool,
    /// Give the process a terminal
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Run as this user [default: the container's]
    #[arg(short, long, value_name = "NAME|UID[:GROUP|GID]", default_value = "", hide_default_value = true)]
    pub(crate) user: String,
    /// Working directory in the container [default: the container's]
    #[arg(short, long, value_name = "PATH", default_value = "", hide_default_value = true)]
    pub(crate) workdir: String,
    /// A name, an id, or the unique beginning of an id
    pub(crate) container: String,
    /// The command with its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
}
