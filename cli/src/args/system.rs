//! The verbs of the services.

use super::format::{Format, list_format};
use crate::parse::number::seconds;
use clap::Subcommand;
use std::path::PathBuf;

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
    /// Show what a service has to say
    Logs {
        /// The service
        service: String,
    },
}
