//! The options of a container that is to be: `run` and `create`.

use super::security::Confined;
use crate::parse::env::{Variable, variable};
use crate::parse::host::host;
use crate::parse::label::label;
use crate::parse::log_opt::{LogOpt, log_opt};
use crate::parse::mount::mount;
use crate::parse::port::{Published, published};
use crate::parse::restart::restart;
use crate::parse::signal::signal_name;
use crate::parse::volume::{Bind, bind};
use crate::parse::{Parsed, number};
use clap::{ArgAction, Args, ValueEnum};
use schema::containers::{RestartPolicy, UserMode};
use schema::filesystem::HostEntry;
use schema::network::Mode;
use std::net::IpAddr;
use std::path::PathBuf;

/// What a container is made of.
#[derive(Debug, Args)]
pub(crate) struct Options {
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
    /// Set an environment variable; KEY alone takes over ours
    #[arg(short = 'e', long = "env", value_name = "KEY[=VALUE]", value_parser = variable)]
    pub(crate) environment: Vec<Variable>,
    /// Read environment variables from a file: KEY=VALUE or KEY a line
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// Set a label
    #[arg(short, long, value_name = "KEY[=VALUE]", value_parser = label)]
    pub(crate) label: Vec<String>,
    /// Read labels from a file: KEY[=VALUE] a line
    #[arg(long, value_name = "FILE")]
    pub(crate) label_file: Vec<PathBuf>,
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
    /// Weight of its CPU time where CPUs are contended: 2 to 262144, usually 1024
    #[arg(short, long, value_name = "NUMBER", value_parser = number::cpu_shares, default_value = "0", hide_default_value = true)]
    pub(crate) cpu_shares: u64,
    /// Limit the number of processes; -1: no limit
    #[arg(long, value_name = "NUMBER", value_parser = number::pids, default_value = "0", hide_default_value = true, allow_hyphen_values = true)]
    pub(crate) pids_limit: u64,
    /// Publish a port on the host: 80, 8080:80, :80, 127.0.0.1:8080:80/udp, 8000-8002:80-82
    #[arg(short, long, value_name = "[[ADDRESS:]HOST_PORT:]PORT[/tcp|/udp]", value_parser = published, allow_hyphen_values = true)]
    pub(crate) publish: Vec<Published>,
    /// Publish each port that the image exposes on a free port of the host
    #[arg(short = 'P', long)]
    pub(crate) publish_all: bool,
    /// Mount a directory or file of the host; idmap: its files belong to the same ids in the container
    #[arg(short, long, value_name = "/HOST:/CONTAINER[:ro][,idmap]", value_parser = bind)]
    pub(crate) volume: Vec<Bind>,
    /// Mount a directory or file of the host: type=bind,source=/HOST,target=/CONTAINER[,readonly][,idmap]
    #[arg(long, value_name = "KEY=VALUE,...", value_parser = mount)]
    pub(crate) mount: Vec<Bind>,
    /// Name of the container [default: made from its id]
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) name: String,
    /// Network: the instance's bridge, none but loopback, or the host's own
    #[arg(long, value_name = "MODE", value_parser = network, default_value = "bridge")]
    pub(crate) network: Mode,
    /// Users: its own, whose root is nobody on the host, or the host's [default: private, or what containers.toml says]
    #[arg(long, value_name = "private|host", value_parser = users, default_value = "", hide_default_value = true)]
    pub(crate) userns: UserMode,
    /// Name server of the container [default: those of the host]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) dns: Vec<IpAddr>,
    /// Domain that names are looked up in; `.`: none
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) dns_search: Vec<String>,
    /// Add a line to /etc/hosts
    #[arg(long, value_name = "NAME:ADDRESS", value_parser = host)]
    pub(crate) add_host: Vec<HostEntry>,
    /// When to start it again: no, on-failure[:TIMES], always, unless-stopped
    #[arg(long, value_name = "POLICY", value_parser = restart, default_value = "no")]
    pub(crate) restart: RestartPolicy,
    /// Signal that stops it [default: the image's, else TERM]
    #[arg(long, value_name = "SIGNAL", value_parser = signal_name)]
    pub(crate) stop_signal: Option<String>,
    /// Seconds that `stop` waits before SIGKILL [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = number::seconds)]
    pub(crate) stop_timeout: Option<u32>,
    /// Write the container's id to this new file
    #[arg(long, value_name = "FILE")]
    pub(crate) cidfile: Option<PathBuf>,
    /// When to pull the image
    #[arg(long, value_enum, default_value_t, value_name = "always|missing|never", hide_possible_values = true)]
    pub(crate) pull: Pull,
    /// Platform of the image that is pulled: OS/ARCHITECTURE[/VARIANT]
    #[arg(long, value_name = "PLATFORM", default_value = "", hide_default_value = true)]
    pub(crate) platform: String,
    /// Do not show how the pull goes on
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Replace the image's entrypoint; empty: none
    #[arg(long, value_name = "COMMAND")]
    pub(crate) entrypoint: Option<String>,
    /// What its processes may do.
    #[command(flatten)]
    pub(crate) confined: Confined,
    /// Option of the log: max-size=SIZE of a file, max-file=COUNT, mode=block|drop
    #[arg(long, value_name = "KEY=VALUE", value_parser = log_opt)]
    pub(crate) log_opt: Vec<LogOpt>,
    /// Print help
    #[arg(long, action = ArgAction::HelpShort)]
    help: Option<bool>,
    /// The image; what follows is run in it, or what the image says
    #[arg(required = true, trailing_var_arg = true, value_name = "IMAGE")]
    words: Vec<String>,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pull {
    Always,
    #[default]
    Missing,
    Never,
}

/// A stream of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamName {
    Stdin,
    Stdout,
    Stderr,
}

impl Options {
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

fn users(text: &str) -> Parsed<UserMode> {
    match text {
        "" => Ok(UserMode::Default),
        "private" => Ok(UserMode::Private),
        "host" => Ok(UserMode::Host),
        _ => Err("expected private or host".to_owned()),
    }
}

fn working_directory(text: &str) -> Parsed<String> {
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err("expected an absolute path".to_owned()) }
}
