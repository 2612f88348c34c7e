//! Which execs there are.

use super::view::unknown;
use super::{ExecActor, ExecHandle, ExecRecord, ExecStage, RecoverExec};
use crate::container::Parts;
use actix::prelude::*;
use schema::containers::ExecSpec;
use schema::executor::SandboxState;
use schema::{ContainerId, Failure};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

/// How many execs that did not start are remembered, for callers who ask again after a lost answer.
const REMEMBERED: usize = 256;

/// The owner of all ids of execs.
pub(crate) struct Execs {
    parts: Rc<Parts>,
    entries: BTreeMap<ContainerId, ExecHandle>,
    failed: VecDeque<(Arc<ExecRecord>, Failure)>,
}

/// Run a further process in a container, or the one that the same request asked for before.
#[derive(Message)]
#[rtype(result = "Result<ExecHandle, Failure>")]
pub(crate) struct New(pub(crate) ExecRecord);

/// The exec with this id, if it is one of that request; a failure if that did not start, or another one has the
/// id; none if there is none.
#[derive(Message)]
#[rtype(result = "Result<Option<ExecHandle>, Failure>")]
pub(crate) struct Known {
    pub(crate) id: ContainerId,
    pub(crate) container: ContainerId,
    pub(crate) spec: ExecSpec,
}

/// The exec with this id.
#[derive(Message)]
#[rtype(result = "Result<ExecHandle, Failure>")]
pub(crate) struct Find(pub(crate) ContainerId);

/// All execs of a container.
#[derive(Message)]
#[rtype(result = "Result<Vec<ExecHandle>, Failure>")]
pub(crate) struct Of(pub(crate) ContainerId);

/// All sandboxes of execs, so that execs can go on; answers the ids of those that belong to none.
#[derive(Message)]
#[rtype(result = "Result<Vec<ContainerId>, Failure>")]
pub(crate) struct Sandboxes(pub(crate) Vec<SandboxState>);

/// An exec is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Forget {
    pub(super) record: Arc<ExecRecord>,
    pub(super) failure: Option<Failure>,
}

impl Execs {
    /// Starts the owner of the execs that were recorded before.
    pub(crate) fn start(
        parts: Rc<Parts>,
        recorded: Vec<ExecRecord>,
    ) -> (Addr<Self>, HashMap<ContainerId, Vec<ExecHandle>>) {
        let mut found: HashMap<ContainerId, Vec<ExecHandle>> = HashMap::new();
        let owner = Self::create(|ctx| {
            let mut entries = BTreeMap::new();
            for record in recorded {
                let (id, container) = (record.id.clone(), record.container.clone());
                let handle = ExecActor::spawn(record, ExecStage::Recovering, Rc::clone(&parts), ctx.address());
                found.entry(container).or_default().push(handle.clone());
                entries.insert(id, handle);
            }
            Self { parts, entries, failed: VecDeque::new() }
        });
        (owner, found)
    }

    fn known(&self, id: &ContainerId, container: &ContainerId, spec: &ExecSpec) -> Result<Option<ExecHandle>, Failure> {
        let is_same = |record: &ExecRecord| record.container == *container && record.requested == *spec;
        let failed = self.failed.iter().find(|(record, _)| record.id == *id && is_same(record));
        if let Some((_, failure)) = failed {
            return Err(failure.clone());
        }
        match self.entries.get(id) {
            Some(handle) if !is_same(&handle.now().record) => {
                Err(Failure::already_exists(format_args!("exec {} exists and is another one", id.short()))
                    .hint("choose another id"))
            }
            handle => Ok(handle.cloned()),
        }
    }
}

impl Actor for Execs {
    type Context = Context<Self>;
}

impl Handler<Known> for Execs {
    type Result = Result<Option<ExecHandle>, Failure>;

    fn handle(&mut self, Known { id, container, spec }: Known, _: &mut Context<Self>) -> Self::Result {
        self.known(&id, &container, &spec)
    }
}

impl Handler<New> for Execs {
    type Result = Result<ExecHandle, Failure>;

    fn handle(&mut self, New(record): New, ctx: &mut Context<Self>) -> Self::Result {
        if let Some(known) = self.known(&record.id, &record.container, &record.requested)? {
            return Ok(known);
        }
        let id = record.id.clone();
        let handle = ExecActor::spawn(record, ExecStage::Live, Rc::clone(&self.parts), ctx.address());
        self.entries.insert(id, handle.clone());
        Ok(handle)
    }
}

impl Handler<Find> for Execs {
    type Result = Result<ExecHandle, Failure>;

    fn handle(&mut self, Find(id): Find, _: &mut Context<Self>) -> Self::Result {
        self.entries.get(&id).cloned().ok_or_else(|| unknown(&id))
    }
}

impl Handler<Of> for Execs {
    type Result = Result<Vec<ExecHandle>, Failure>;

    fn handle(&mut self, Of(container): Of, _: &mut Context<Self>) -> Self::Result {
        Ok(self.entries.values().filter(|handle| handle.now().record.container == container).cloned().collect())
    }
}

impl Handler<Sandboxes> for Execs {
    type Result = Result<Vec<ContainerId>, Failure>;

    fn handle(&mut self, Sandboxes(sandboxes): Sandboxes, ctx: &mut Context<Self>) -> Self::Result {
        let mut phases: HashMap<_, _> = sandboxes.into_iter().map(|state| (state.id, state.phase)).collect();
        for (id, handle) in &self.entries {
            let (handle, sandbox) = (handle.clone(), phases.remove(id));
            // An exec that is gone already has nothing to recover.
            ctx.spawn(async move { drop(handle.ask(RecoverExec(sandbox)).await) }.into_actor(self));
        }
        Ok(phases.into_keys().collect())
    }
}

impl Handler<Forget> for Execs {
    type Result = ();

    fn handle(&mut self, Forget { record, failure }: Forget, _: &mut Context<Self>) {
        self.entries.remove(&record.id);
        if let Some(failure) = failure {
            self.failed.push_back((record, failure));
            if self.failed.len() > REMEMBERED {
                self.failed.pop_front();
            }
        }
    }
}
