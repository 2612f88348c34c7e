//! Input: from attached clients to a container's stdin, each byte exactly once.

mod actor;
mod journal;
mod messages;
mod pipes;
mod session;

pub(crate) use actor::Input;
pub(crate) use messages::Attach;
pub(crate) use session::Session;
