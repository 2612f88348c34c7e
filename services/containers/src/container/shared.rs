//! What all containers and execs use.

use crate::exec::Execs;
use crate::gate::Gate;
use crate::ids;
use crate::journal::Journal;
use crate::spares::Spares;
use crate::workers::Workers;
use actix::Addr;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

/// What containers and execs use.
pub(crate) struct Parts {
    pub(crate) workers: Workers,
    pub(crate) journal: Arc<Journal>,
    /// Nothing is started before the workers know which containers there are.
    pub(crate) gate: Gate,
    /// Nothing is leased before the image store knows which leases there are.
    pub(crate) leases: Gate,
    /// No user ids are given before it is known which containers with damaged records have.
    pub(crate) users: Gate,
    /// Where user ids of containers come from.
    pub(crate) ids: ids::Source,
}

/// What containers use.
pub(crate) struct Shared {
    pub(crate) parts: Rc<Parts>,
    pub(crate) execs: Addr<Execs>,
    pub(crate) spares: Addr<Spares>,
}

impl Deref for Shared {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}
