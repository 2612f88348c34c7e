//! Knows the owner of each sandbox.

use crate::host::Host;
use crate::sandbox::actor::Sandbox;
use actix::prelude::*;
use schema::{ContainerId, Failure};
use std::collections::HashMap;
use std::sync::Arc;

/// The owners of all sandboxes.
pub(crate) struct Registry {
    host: Arc<Host>,
    owners: HashMap<ContainerId, Addr<Sandbox>>,
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
pub(crate) struct Adopt(pub(crate) ContainerId, pub(crate) Addr<Sandbox>);

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
pub(crate) struct Obtain(pub(crate) ContainerId);

impl Handler<Obtain> for Registry {
    type Result = Result<Addr<Sandbox>, Failure>;

    fn handle(&mut self, Obtain(id): Obtain, context: &mut Context<Self>) -> Self::Result {
        let (host, registry) = (&self.host, context.address());
        let make = || Sandbox::new(Arc::clone(host), id.clone(), registry).start();
        Ok(self.owners.entry(id.clone()).or_insert_with(make).clone())
    }
}

/// The owner of a sandbox, if there is one.
#[derive(Message)]
#[rtype(result = "Result<Option<Addr<Sandbox>>, Failure>")]
pub(crate) struct Find(pub(crate) ContainerId);

impl Handler<Find> for Registry {
    type Result = Result<Option<Addr<Sandbox>>, Failure>;

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
        Ok(self.owners.values().cloned().collect())
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
        if self.owners.get(&id) == Some(&owner) {
            self.owners.remove(&id);
        }
    }
}
