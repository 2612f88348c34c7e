//! The verbs of images.

use super::Format;
use clap::Args;

/// Arguments of `import`.
#[derive(Debug, Args)]
#[command(after_help = "Example: tar -C rootfs -c . | cctl import - base")]
pub(crate) struct Import {
    /// A tar archive, plain or compressed with gzip, bzip2, xz or zstd; `-` for stdin
    #[arg(value_name = "FILE|-", allow_hyphen_values = true)]
    pub(crate) source: String,
    /// What to call the image; the tag is `latest` unless you say otherwise
    #[arg(value_name = "REPOSITORY[:TAG]", default_value = "", hide_default_value = true)]
    pub(crate) reference: String,
}

/// Arguments of `images`.
#[derive(Debug, Args)]
pub(crate) struct Images {
    /// Only ids
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Show whole ids
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// `json`: an object a line
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Only images of this name
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub(crate) name: Option<String>,
}
