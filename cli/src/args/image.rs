//! The verbs of images.

use clap::Args;
use std::path::PathBuf;

/// Arguments of `import`.
#[derive(Debug, Args)]
#[command(after_help = "Example: tar -C rootfs -c . | cctl import - base")]
pub(crate) struct Import {
    /// Instruction as of a Dockerfile: 'CMD ["sh"]', 'ENV KEY=VALUE'
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub(crate) change: Vec<String>,
    /// Comment of the image [default: where it came from]
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub(crate) message: String,
    /// Platform of the image: OS/ARCHITECTURE[/VARIANT] [default: this host's]
    #[arg(long, value_name = "PLATFORM", default_value = "", hide_default_value = true)]
    pub(crate) platform: String,
    /// A tar archive, plain or compressed with gzip, bzip2, xz or zstd; `-` for stdin
    #[arg(value_name = "FILE|URL|-", allow_hyphen_values = true)]
    pub(crate) source: String,
    /// What to call the image; the tag is `latest` unless you say otherwise
    #[arg(value_name = "REPOSITORY[:TAG]", default_value = "", hide_default_value = true)]
    pub(crate) repository: String,
    /// The tag, if the repository has none
    #[arg(hide = true)]
    pub(crate) tag: Option<String>,
}

/// Arguments of `tag`.
#[derive(Debug, Args)]
#[command(override_usage = "cctl tag [-f] IMAGE REPOSITORY[:TAG]\n       cctl tag [-f] IMAGE REPOSITORY TAG")]
pub(crate) struct Tag {
    /// Also take the name from another image
    #[arg(short, long)]
    pub(crate) force: bool,
    /// A name, an id, or the unique beginning of an id
    pub(crate) image: String,
    /// The further name; the tag is `latest` unless you say otherwise
    pub(crate) repository: String,
    /// The tag, if the repository has none
    pub(crate) tag: Option<String>,
}

/// Arguments of `rmi`.
#[derive(Debug, Args)]
pub(crate) struct RemoveImages {
    /// Also if it has several names, or containers use it
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Names, ids, or unique beginnings of ids
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
}

/// Arguments of `pull`.
#[derive(Debug, Args)]
pub(crate) struct PullImage {
    /// Every tag of the repository
    #[arg(short, long)]
    pub(crate) all_tags: bool,
    /// Platform of the image: OS/ARCHITECTURE[/VARIANT] [default: this host's]
    #[arg(long, value_name = "PLATFORM", default_value = "", hide_default_value = true)]
    pub(crate) platform: String,
    /// Do not show how it goes on
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// The image
    #[arg(value_name = "[REGISTRY/]REPOSITORY[:TAG|@DIGEST]")]
    pub(crate) reference: String,
}

/// Arguments of `push`.
#[derive(Debug, Args)]
pub(crate) struct PushImage {
    /// Every tag of the repository that is here
    #[arg(short, long)]
    pub(crate) all_tags: bool,
    /// Do not show how it goes on
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// The image, under the name that it is to have there
    #[arg(value_name = "[REGISTRY/]REPOSITORY[:TAG]")]
    pub(crate) reference: String,
}

/// Arguments of `save`.
#[derive(Debug, Args)]
pub(crate) struct Save {
    /// Write to a file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Names, ids, or unique beginnings of ids
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
}

/// Arguments of `load`.
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// Read from a file instead of stdin
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: Option<String>,
    /// Do not show how it goes on
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Arguments of `login`.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Password. Others may see it in the list of processes: rather use --password-stdin
    #[arg(short, long)]
    pub(crate) password: Option<String>,
    /// Read the password from stdin
    #[arg(long, conflicts_with = "password")]
    pub(crate) password_stdin: bool,
    /// User
    #[arg(short, long)]
    pub(crate) username: Option<String>,
    /// The registry [default: Docker Hub]
    pub(crate) registry: Option<String>,
}

/// Arguments of `logout`.
#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// The registry [default: Docker Hub]
    pub(crate) registry: Option<String>,
}
