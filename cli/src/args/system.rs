//! The verbs of the services.

use super::Format;
use crate::parse::number::seconds;
use clap::Subcommand;

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
        /// `json`: one list
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Restart one service, or each in turn
    Restart {
        /// The service
        service: Option<String>,
    },
    /// Show what a service has to say
    Logs {
        /// The service
        service: String,
    },
}
