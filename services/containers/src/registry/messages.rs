//! What is asked of the registry.

use super::Registry;
use crate::container::{Handle, Recover, Stage, View};
use crate::ids::Pool;
use crate::journal::Damage;
use crate::record::Record;
use actix::prelude::*;
use schema::call::RequestId;
use schema::common::IdRange;
use schema::containers::{AutoRemove, ContainerSpec};
use schema::executor::SandboxState;
use schema::{ContainerId, Failure};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The container that a user means.
#[derive(Message)]
#[rtype(result = "Result<Handle, Failure>")]
pub(crate) struct Find(pub(crate) String);

/// The container that was made by the same request before.
#[derive(Clone, Message)]
#[rtype(result = "Result<Option<Handle>, Failure>")]
pub(crate) struct Known {
    pub(crate) id: ContainerId,
    pub(crate) spec: ContainerSpec,
}

/// Take a new container.
#[derive(Clone, Message)]
#[rtype(result = "Result<Handle, Failure>")]
pub(crate) struct Admit {
    pub(crate) record: Record,
    pub(crate) pool: Pool,
    /// Who wants it to be started at once, if somebody does.
    pub(crate) start: Option<RequestId>,
}

/// Take a name for a container, besides the one that it has; answers that one.
#[derive(Message)]
#[rtype(result = "Result<String, Failure>")]
pub(crate) struct Rename {
    pub(crate) id: ContainerId,
    pub(crate) name: String,
}

/// A container has not, or has no more, this name.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct GiveBack {
    pub(crate) id: ContainerId,
    pub(crate) name: String,
}

/// All damaged records.
#[derive(Message)]
#[rtype(result = "Result<Vec<(ContainerId, Damage)>, Failure>")]
pub(crate) struct AllDamaged;

/// A sandbox is made ahead under this id; with user ids of the pool, if there is one. Answers those.
#[derive(Message)]
#[rtype(result = "Result<Option<IdRange>, Failure>")]
pub(crate) struct Reserve(pub(crate) ContainerId, pub(crate) Option<Pool>);

/// There is no sandbox any more that was made ahead under this id.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Unreserve(pub(crate) ContainerId);

/// A container was removed, for its users.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Left(pub(crate) Arc<Record>);

/// The containers of which something is still to be removed, though their users do not see them any more.
#[derive(Message)]
#[rtype(result = "Result<Vec<Handle>, Failure>")]
pub(crate) struct Leaving;

/// Nothing of a container is left.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Forget(pub(crate) Arc<Record>);

/// The last that is known of a container that is gone, by its whole id or the one that was asked for.
#[derive(Message)]
#[rtype(result = "Result<Option<Arc<Record>>, Failure>")]
pub(crate) struct Departed(pub(crate) String);

/// The ids of all containers, those included that are being made or removed, or have a damaged record, and of all sandboxes
/// that stand ready for one.
#[derive(Message)]
#[rtype(result = "Result<HashSet<ContainerId>, Failure>")]
pub(crate) struct Ids;

/// All containers.
#[derive(Message)]
#[rtype(result = "Result<Vec<(Handle, View)>, Failure>")]
pub(crate) struct Views;

/// The container with a damaged record that a user means; none if another is meant, or none.
#[derive(Message)]
#[rtype(result = "Result<Option<(ContainerId, Damage)>, Failure>")]
pub(crate) struct Damaged(pub(crate) String);

/// Nothing is left of a container with a damaged record, or of a sandbox that belonged to none: its user ids are free.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Discard(pub(crate) ContainerId);

/// All sandboxes there are, so that the containers can go on; answers the ids of those that belong to none.
#[derive(Message)]
#[rtype(result = "Result<Vec<ContainerId>, Failure>")]
pub(crate) struct Recovered(pub(crate) Vec<SandboxState>);

impl Handler<Find> for Registry {
    type Result = Result<Handle, Failure>;

    fn handle(&mut self, Find(reference): Find, _: &mut Context<Self>) -> Self::Result {
        self.find(&reference)
    }
}

impl Handler<Known> for Registry {
    type Result = Result<Option<Handle>, Failure>;

    fn handle(&mut self, Known { id, spec }: Known, _: &mut Context<Self>) -> Self::Result {
        self.known(&id, &spec)
    }
}

impl Handler<Admit> for Registry {
    type Result = Result<Handle, Failure>;

    fn handle(&mut self, Admit { record, pool, start }: Admit, ctx: &mut Context<Self>) -> Self::Result {
        self.admit(record, &pool, start, ctx)
    }
}

impl Handler<Rename> for Registry {
    type Result = Result<String, Failure>;

    fn handle(&mut self, Rename { id, name }: Rename, _: &mut Context<Self>) -> Self::Result {
        self.rename(&id, &name)
    }
}

impl Handler<GiveBack> for Registry {
    type Result = ();

    fn handle(&mut self, GiveBack { id, name }: GiveBack, _: &mut Context<Self>) {
        self.give_back(&id, &name);
    }
}

impl Handler<AllDamaged> for Registry {
    type Result = Result<Vec<(ContainerId, Damage)>, Failure>;

    fn handle(&mut self, _: AllDamaged, _: &mut Context<Self>) -> Self::Result {
        Ok(self.damaged.iter().map(|(id, damage)| (id.clone(), damage.clone())).collect())
    }
}

impl Handler<Reserve> for Registry {
    type Result = Result<Option<IdRange>, Failure>;

    fn handle(&mut self, Reserve(id, pool): Reserve, _: &mut Context<Self>) -> Self::Result {
        let ids = pool.map(|pool| self.choose(&pool)).transpose()?;
        self.spares.insert(id, ids);
        Ok(ids)
    }
}

impl Handler<Unreserve> for Registry {
    type Result = ();

    fn handle(&mut self, Unreserve(id): Unreserve, _: &mut Context<Self>) {
        self.spares.remove(&id);
    }
}

impl Handler<Left> for Registry {
    type Result = ();

    fn handle(&mut self, Left(record): Left, _: &mut Context<Self>) {
        self.leave(record);
    }
}

impl Handler<Leaving> for Registry {
    type Result = Result<Vec<Handle>, Failure>;

    fn handle(&mut self, _: Leaving, _: &mut Context<Self>) -> Self::Result {
        let handles = self.entries.values().map(|entry| &entry.handle);
        Ok(handles.filter(|handle| handle.now().stage == Stage::Leaving).cloned().collect())
    }
}

impl Handler<Forget> for Registry {
    type Result = ();

    fn handle(&mut self, Forget(record): Forget, ctx: &mut Context<Self>) {
        if record.container.spec.auto_remove == AutoRemove::OnExit {
            self.forget_later(vec![record.id().clone()], ctx);
        }
        self.forget(record);
    }
}

impl Handler<Departed> for Registry {
    type Result = Result<Option<Arc<Record>>, Failure>;

    fn handle(&mut self, Departed(reference): Departed, _: &mut Context<Self>) -> Self::Result {
        Ok(self.departed(&reference))
    }
}

impl Handler<Views> for Registry {
    type Result = Result<Vec<(Handle, View)>, Failure>;

    fn handle(&mut self, _: Views, _: &mut Context<Self>) -> Self::Result {
        Ok(self.views())
    }
}

impl Handler<Ids> for Registry {
    type Result = Result<HashSet<ContainerId>, Failure>;

    fn handle(&mut self, _: Ids, _: &mut Context<Self>) -> Self::Result {
        Ok(self.entries.keys().chain(self.damaged.keys()).chain(self.spares.keys()).cloned().collect())
    }
}

impl Handler<Damaged> for Registry {
    type Result = Result<Option<(ContainerId, Damage)>, Failure>;

    fn handle(&mut self, Damaged(reference): Damaged, _: &mut Context<Self>) -> Self::Result {
        Ok(self.damaged(&reference))
    }
}

impl Handler<Discard> for Registry {
    type Result = ();

    fn handle(&mut self, Discard(id): Discard, _: &mut Context<Self>) {
        self.damaged.remove(&id);
        self.foreign.remove(&id);
    }
}

impl Handler<Recovered> for Registry {
    type Result = Result<Vec<ContainerId>, Failure>;

    fn handle(&mut self, Recovered(sandboxes): Recovered, _: &mut Context<Self>) -> Self::Result {
        // What a container without a record has is known here alone.
        let foreign = sandboxes.iter().filter(|state| !self.entries.contains_key(&state.id));
        self.foreign = foreign.filter_map(|state| Some((state.id.clone(), state.ids?))).collect();
        let mut phases: HashMap<_, _> =
            sandboxes.into_iter().map(|state| (state.id, (state.phase, state.frozen))).collect();
        for (id, entry) in &self.entries {
            let (sandbox, frozen) = phases.remove(id).unzip();
            entry.handle.tell(Recover { sandbox, frozen: frozen.unwrap_or_default() });
        }
        Ok(phases.into_keys().filter(|id| !self.damaged.contains_key(id)).collect())
    }
}
