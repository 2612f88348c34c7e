//! The options of `run` and `create` that say what the processes of a container may do.

use crate::parse::number;
use crate::parse::security::{SecurityOpt, capability, device, kernel_parameter, security_opt, tmpfs, ulimit};
use clap::Args;
use schema::capability::Choice;
use schema::filesystem::Tmpfs;
use schema::security::{Device, Ulimit};

/// What the processes of a container may do.
#[derive(Debug, Args)]
pub(crate) struct Confined {
    /// Give it a capability besides: NET_ADMIN, or ALL
    #[arg(long, value_name = "CAPABILITY", value_parser = capability)]
    pub(crate) cap_add: Vec<Choice>,
    /// Take a capability from it: CHOWN, or ALL
    #[arg(long, value_name = "CAPABILITY", value_parser = capability)]
    pub(crate) cap_drop: Vec<Choice>,
    /// Give it every capability and device, and hide nothing: as good as root on the host
    #[arg(long)]
    pub(crate) privileged: bool,
    /// Make its root filesystem read-only; volumes and tmpfs stay writable
    #[arg(long)]
    pub(crate) read_only: bool,
    /// no-new-privileges[=false], seccomp=FILE|unconfined, apparmor=PROFILE|unconfined, label=PART:VALUE|disable, systempaths=unconfined
    #[arg(long, value_name = "OPTION", value_parser = security_opt)]
    pub(crate) security_opt: Vec<SecurityOpt>,
    /// Give it a device of the host; r: read, w: write, m: make its node
    #[arg(long, value_name = "HOST[:CONTAINER][:rwm]", value_parser = device)]
    pub(crate) device: Vec<Device>,
    /// Mount an empty filesystem in memory: /tmp, /run:size=64m,mode=0755,exec
    #[arg(long, value_name = "CONTAINER[:OPTIONS]", value_parser = tmpfs)]
    pub(crate) tmpfs: Vec<Tmpfs>,
    /// Size of /dev/shm: bytes, or with k, m, g [default: 64m]
    #[arg(long, value_name = "SIZE", value_parser = number::size, default_value = "0", hide_default_value = true)]
    pub(crate) shm_size: u64,
    /// Let its processes be members of a further group of the image
    #[arg(long, value_name = "NAME|GID")]
    pub(crate) group_add: Vec<String>,
    /// Set a kernel parameter of its own: net.core.somaxconn=1024
    #[arg(long, value_name = "NAME=VALUE", value_parser = kernel_parameter)]
    pub(crate) sysctl: Vec<String>,
    /// Limit what each process may use: nofile=1024:2048
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = ulimit)]
    pub(crate) ulimit: Vec<Ulimit>,
}
