//! The writable layer of a container, as overlayfs keeps it: what is new or other, and marks for what is gone.

mod changes;
mod image;
mod layer;
mod marks;
mod usage;

pub(crate) use changes::changes;
pub(crate) use layer::write;
pub(crate) use usage::usage;
