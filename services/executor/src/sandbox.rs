//! Sandboxes: how each is made, started, watched and destroyed.

pub(crate) mod actor;
mod adopt;
pub(crate) mod destroy;
pub(crate) mod directory;
pub(crate) mod ending;
mod holds;
pub(crate) mod keep;
mod monitor;
mod prepare;
pub(crate) mod record;
pub(crate) mod recover;
mod rootfs;
pub(crate) mod running;
mod start;
