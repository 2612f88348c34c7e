//! The verbs of the services.

use super::format::{Format, list_format};
use crate::journal::{Sought, sought};
use crate::metrics::{Listen, listen};
use crate::otlp::{Endpoint, endpoint};
use crate::parse::number::seconds;
use crate::parse::time::{Since, since};
use crate::watch::Sort;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Arguments of `system audit-log`.
#[derive(Debug, Args)]
pub(crate) struct AuditLog {
    /// Only what was answered since then: 10m, 2024-01-02T15:04:05Z, 1704207845
    #[arg(long, value_name = "TIME|DURATION", value_parser = since)]
    pub(crate) since: Option<Since>,
    /// Only what was answered before
    #[arg(long, value_name = "TIME|DURATION", value_parser = since)]
    pub(crate) until: Option<Since>,
    /// Only the last so many
    #[arg(short = 'n', long, value_name = "NUMBER")]
    pub(crate) tail: Option<usize>,
    /// Only what this user called: a name or a number
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Only such calls: stop, containers.stop
    #[arg(long, value_name = "VERB")]
    pub(crate) verb: Option<String>,
    /// Go on, and show what is called from now on
    #[arg(short, long, conflicts_with = "until")]
    pub(crate) follow: bool,
    /// `json`: an object a line; `table TEMPLATE`, or a template for each line: '{{.User}} {{.Method}}'
    #[arg(long, value_name = "FORMAT", value_parser = list_format)]
    pub(crate) format: Option<Format>,
}

/// How `system logs` shows lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Json,
}

/// Arguments of `system`.
#[derive(Debug, Subcommand)]
pub(crate) enum System {
    /// Start the services in the background
    Start,
    /// End the services; containers go on
    Stop {
        /// Stop the containers first, and remove what this instance has in the kernel
        #[arg(long)]
        containers: bool,
        /// Seconds until a container gets SIGKILL
        #[arg(short, long = "time", alias = "timeout", value_name = "SECONDS", value_parser = seconds, default_value = "10")]
        timeout_ms: u32,
    },
    /// Show how each service is
    Status {
        /// `json`: one list; `table TEMPLATE`, or a template for each line: '{{.Name}} {{.State}}'
        #[arg(long, value_name = "FORMAT", value_parser = list_format)]
        format: Option<Format>,
    },
    /// Look whether this host has what containers need, and say how to mend it
    Doctor {
        /// `json`: one list; or a template for each line: '{{.Check}} {{.State}}'
        #[arg(long, value_name = "FORMAT", value_parser = list_format)]
        format: Option<Format>,
    },
    /// Verify images, records and what is stored of containers
    Check {
        /// Mend what can be mended, and pull what is missing of images
        #[arg(long)]
        repair: bool,
    },
    /// Show what each process of cctl holds, and whether that is more than it should
    Audit {
        /// `json`: one list; `table TEMPLATE`, or a template for each line: '{{.Process}} {{.UID}}'
        #[arg(long, value_name = "FORMAT", value_parser = list_format)]
        format: Option<Format>,
    },
    /// Show who has changed something, and who was refused
    AuditLog(AuditLog),
    /// Show what images, containers and logs take on disk
    Df {
        /// `json`, or a template for each line: '{{.Type}} {{.Size}}'
        #[arg(long, value_name = "FORMAT", value_parser = list_format)]
        format: Option<Format>,
    },
    /// Restart one service, or each in turn
    Restart {
        /// The service
        service: Option<String>,
    },
    /// Run the installed programs from now on; containers go on, commands wait
    Reload,
    /// Run another program as a service, from now on
    Replace {
        /// The service
        service: String,
        /// The program; it is checked and copied
        #[arg(required_unless_present = "default")]
        binary: Option<PathBuf>,
        /// Run the installed program again
        #[arg(long, conflicts_with = "binary")]
        default: bool,
    },
    /// Watch what services and containers use
    Top {
        /// Once, instead of on and on
        #[arg(long)]
        no_stream: bool,
        /// What stands first
        #[arg(long, value_enum, default_value = "cpu")]
        sort: Sort,
    },
    /// Serve figures for Prometheus
    Metrics {
        /// Where: a port of this host, or a socket. Without it, or with --once, they are printed once
        #[arg(long, value_name = "ADDRESS:PORT|unix:PATH", value_parser = listen)]
        listen: Option<Listen>,
        /// Print them, and end
        #[arg(long, conflicts_with = "listen")]
        once: bool,
    },
    /// Send what is logged of calls to a collector of OpenTelemetry, as spans
    Otlp {
        /// Where it is: http://127.0.0.1:4318
        #[arg(long, value_name = "URL", value_parser = endpoint)]
        endpoint: Endpoint,
        /// Send what has been logged, and end
        #[arg(long)]
        once: bool,
    },
    /// Show what services have to say
    Logs {
        /// `json`: an object a line
        #[arg(long, value_name = "json", value_enum, hide_possible_values = true)]
        format: Option<LogFormat>,
        /// Only what belongs to this request, of all processes in the order of time
        #[arg(long, value_name = "NUMBER", value_parser = sought)]
        request: Option<Sought>,
        /// The service
        #[arg(required_unless_present = "request")]
        service: Option<String>,
    },
}
