//! What the owner of a container's stdin is asked.

use actix::Message;
use schema::Failure;

/// Opens a session. Answers a handle, and the bytes that were taken of it.
#[derive(Message)]
#[rtype(result = "Result<(u64, u64), Failure>")]
pub(crate) struct Attach {
    /// As chosen by the client.
    pub(crate) session: String,
    /// Its end is the end of stdin.
    pub(crate) once: bool,
}

/// Sends bytes of the handle's session. Answers the session's total when they are in the container's pipe.
#[derive(Message)]
#[rtype(result = "Result<u64, Failure>")]
pub(crate) struct Write {
    /// From [`Attach`].
    pub(crate) handle: u64,
    /// Bytes of the session before these.
    pub(crate) offset: u64,
    /// The bytes.
    pub(crate) data: Vec<u8>,
}

/// Ends the handle's session.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Close {
    /// From [`Attach`].
    pub(crate) handle: u64,
}

/// The client let go of the handle, or is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Detach {
    /// From [`Attach`].
    pub(crate) handle: u64,
}
