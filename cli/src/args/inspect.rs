//! The verbs that show what there is: `inspect`, `ps`, `images`, `stats`, `events`, `top`, `history`.

use super::format::{Format, list_format, object_format};
use crate::parse::filter::{Filter, filter};
use crate::parse::time::{Since, since};
use clap::{ArgAction, Args, ValueEnum};

/// What Docker says of its formats.
const FORMAT: &str = "FORMAT";

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// `json`, or a template for each object: '{{.State.Status}}'
    #[arg(short, long, value_name = FORMAT, value_parser = object_format)]
    pub(crate) format: Option<Format>,
    /// Also what a container's files take on disk
    #[arg(short, long)]
    pub(crate) size: bool,
    /// Only objects of this kind
    #[arg(long, value_name = "container|image", value_enum, hide_possible_values = true)]
    pub(crate) r#type: Option<Kind>,
    /// Containers or images; a container comes before an image of the same name
    #[arg(required = true, value_name = "CONTAINER|IMAGE")]
    pub(crate) names: Vec<String>,
}

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Container,
    Image,
}

/// Arguments of `ps`.
#[derive(Debug, Args)]
pub(crate) struct Ps {
    /// Also those that do not run
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Only those that match: id, name, label, status, exited, ancestor, before, since, publish, expose, network
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    pub(crate) filter: Vec<Filter>,
    /// `table [TEMPLATE]`, `json`, or a template for each line: '{{.ID}} {{.Names}}'
    #[arg(long, value_name = FORMAT, value_parser = list_format)]
    pub(crate) format: Option<Format>,
    /// The last N that were created, whether they run or not
    #[arg(short = 'n', long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) last: Option<i64>,
    /// The one that was created last, whether it runs or not
    #[arg(short, long)]
    pub(crate) latest: bool,
    /// Show whole ids and commands
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// Only ids
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Also what their files take on disk
    #[arg(short, long)]
    pub(crate) size: bool,
}

/// Arguments of `images`.
#[derive(Debug, Args)]
pub(crate) struct Images {
    /// Also images that other images were made on, and that have no name
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Also the digests under which registries know them
    #[arg(long)]
    pub(crate) digests: bool,
    /// Only those that match: dangling, label, before, since, reference
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    pub(crate) filter: Vec<Filter>,
    /// `table [TEMPLATE]`, `json`, or a template for each line: '{{.Repository}}:{{.Tag}}'
    #[arg(long, value_name = FORMAT, value_parser = list_format)]
    pub(crate) format: Option<Format>,
    /// Show whole ids
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// Only ids
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Only images of this name
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub(crate) name: Option<String>,
}

/// Arguments of `history`.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// `table [TEMPLATE]`, `json`, or a template for each line: '{{.CreatedBy}}'
    #[arg(long, value_name = FORMAT, value_parser = list_format)]
    pub(crate) format: Option<Format>,
    /// Sizes and times in words
    #[arg(short = 'H', long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) human: bool,
    /// Show whole ids and commands
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// Only ids
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// A name, an id, or the unique beginning of an id
    pub(crate) image: String,
}

/// Arguments of `stats`.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Also containers that do not run
    #[arg(short, long)]
    pub(crate) all: bool,
    /// `table [TEMPLATE]`, `json`, or a template for each line: '{{.Name}} {{.CPUPerc}}'
    #[arg(long, value_name = FORMAT, value_parser = list_format)]
    pub(crate) format: Option<Format>,
    /// Once, instead of on and on
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Show whole ids
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// Names, ids, or unique beginnings of ids; none: all that run
    #[arg(value_name = "CONTAINER")]
    pub(crate) containers: Vec<String>,
}

/// Arguments of `events`.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Only those that match: container, event, image, label, type
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    pub(crate) filter: Vec<Filter>,
    /// `json`, or a template for each event: '{{.Action}} {{.ID}}'
    #[arg(long, value_name = FORMAT, value_parser = list_format)]
    pub(crate) format: Option<Format>,
    /// Also those since then: 10m, 2024-01-02T15:04:05Z, 1704207845
    #[arg(long, value_name = "TIME|DURATION", value_parser = since)]
    pub(crate) since: Option<Since>,
    /// Up to then, also if that is in the future
    #[arg(long, value_name = "TIME|DURATION", value_parser = since)]
    pub(crate) until: Option<Since>,
}

/// Arguments of `top`.
#[derive(Debug, Args)]
#[command(override_usage = "cctl top CONTAINER [-ef | aux | -o COLUMN,...]")]
pub(crate) struct Top {
    /// A name, an id, or the unique beginning of an id
    pub(crate) container: String,
    /// As of ps: -ef, aux, or -o with any of user, uid, pid, ppid, pcpu, rss, tty, stat, stime, time, args
    #[arg(value_name = "OPTION", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) options: Vec<String>,
}

/// Arguments of `info` and `version`.
#[derive(Debug, Args)]
pub(crate) struct Summary {
    /// `json`, or a template: '{{.Client.Version}}'
    #[arg(short, long, value_name = FORMAT, value_parser = object_format)]
    pub(crate) format: Option<Format>,
}
