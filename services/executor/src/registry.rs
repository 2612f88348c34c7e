//! Knows the owner of each sandbox and exec.

use crate::host::Host;
use crate::sandbox::actor::Sandbox;
use actix::prelude::*;
use schema::common::IdRange;
use schema::{ContainerId, Failure};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Who owns a sandbox or an exec.
#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) address: Addr<Sandbox>,
    /// The sandbox that it is an exec of.
    pub(crate) exec_of: Option<ContainerId>,
    /// The ids that its user namespace has of the host, if it has one.
    pub(crate) ids: Option<IdRange>,
}

/// The owners of all sandboxes and execs.
pub(crate) struct Registry {
    host: Arc<Host>,
    owners: HashMap<ContainerId, Owner>,
}

impl Actor for Registry {
    type Context = Context<Self>;
}

impl Registry {
    /// Without any.
    pub(crate) fn new(host: Arc<Host>) -> Self {
        Self { host, owners: HashMap::new() }
    }
}

/// A sandbox that was found at the start.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Adopt(pub(crate) ContainerId, pub(crate) Owner);

impl Handler<Adopt> for Registry {
    type Result = Result<(), Failure>;

    fn handle(&mut self, Adopt(id, owner): Adopt, _: &mut Context<Self>) -> Self::Result {
        self.owners.insert(id, owner);
        Ok(())
    }
}

/// The owner of a sandbox that shall be made; a new one if there is none.
#[derive(Message)]
#[rtype(result = "Result<Addr<Sandbox>, Failure>")]
pub(crate) struct Obtain {
    pub(crate) id: ContainerId,
    /// The sandbox that it is an exec of.
    pub(crate) exec_of: Option<ContainerId>,
    /// The ids that its user namespace is to have of the host: no other has them.
    pub(crate) ids: Option<IdRange>,
}

impl Handler<Obtain> for Registry {
    type Result = Result<Addr<Sandbox>, Failure>;

    fn handle(&mut self, Obtain { id, exec_of, ids }: Obtain, context: &mut Context<Self>) -> Self::Result {
        let overlap = |owner: &Owner| ids.is_some_and(|ids| owner.ids.is_some_and(|other| other.overlaps(ids)));
        if let Some((other, _)) = self.owners.iter().find(|(other, owner)| **other != id && overlap(owner)) {
            let base = ids.map_or(0, IdRange::base);
            return Err(Failure::conflict(format_args!("{} has user ids from {base} on, too", other.short()))
                .hint("remove one of the two containers and make it again"));
        }
        let (host, registry) = (&self.host, context.address());
        let make = || Owner { address: Sandbox::new(Arc::clone(host), id.clone(), registry).start(), exec_of, ids };
        Ok(self.owners.entry(id.clone()).or_insert_with(make).address.clone())
    }
}

/// The owner of a sandbox, if there is one.
#[derive(Message)]
#[rtype(result = "Result<Option<Owner>, Failure>")]
pub(crate) struct Find(pub(crate) ContainerId);

impl Handler<Find> for Registry {
    type Result = Result<Option<Owner>, Failure>;

    fn handle(&mut self, Find(id): Find, _: &mut Context<Self>) -> Self::Result {
        Ok(self.owners.get(&id).cloned())
    }
}

/// All owners.
#[derive(Message)]
#[rtype(result = "Result<Vec<Addr<Sandbox>>, Failure>")]
pub(crate) struct All;

impl Handler<All> for Registry {
    type Result = Result<Vec<Addr<Sandbox>>, Failure>;

    fn handle(&mut self, All: All, _: &mut Context<Self>) -> Self::Result {
        Ok(self.owners.values().map(|owner| owner.address.clone()).collect())
    }
}

/// The sandboxes and execs that have an owner.
#[derive(Message)]
#[rtype(result = "Result<BTreeSet<ContainerId>, Failure>")]
pub(crate) struct Ids;

impl Handler<Ids> for Registry {
    type Result = Result<BTreeSet<ContainerId>, Failure>;

    fn handle(&mut self, Ids: Ids, _: &mut Context<Self>) -> Self::Result {
        Ok(self.owners.keys().cloned().collect())
    }
}

/// The owners of a sandbox's execs.
#[derive(Message)]
#[rtype(result = "Result<Vec<Addr<Sandbox>>, Failure>")]
pub(crate) struct ExecsOf(pub(crate) ContainerId);

impl Handler<ExecsOf> for Registry {
    type Result = Result<Vec<Addr<Sandbox>>, Failure>;

    fn handle(&mut self, ExecsOf(id): ExecsOf, _: &mut Context<Self>) -> Self::Result {
        let execs = self.owners.values().filter(|owner| owner.exec_of.as_ref() == Some(&id));
        Ok(execs.map(|owner| owner.address.clone()).collect())
    }
}

/// A sandbox is gone, and its owner serves no more.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Forget {
    pub(crate) id: ContainerId,
    pub(crate) owner: Addr<Sandbox>,
}

impl Handler<Forget> for Registry {
    type Result = ();

    fn handle(&mut self, Forget { id, owner }: Forget, _: &mut Context<Self>) {
        if self.owners.get(&id).is_some_and(|known| known.address == owner) {
            self.owners.remove(&id);
        }
    }
}
