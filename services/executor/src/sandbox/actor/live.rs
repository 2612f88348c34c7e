//! What is asked of a sandbox that runs.

use super::{Atomic, Phase, Sandbox, answer, blocking};
use crate::sandbox::record::Spec;
use crate::sandbox::running::{Running, not_running};
use actix::prelude::*;
use schema::Failure;
use schema::security::Security;
use std::sync::Arc;

/// The sandbox, if it runs. Fails with `conflict` if not, or if it is an exec.
#[derive(Message)]
#[rtype(result = "Result<Running, Failure>")]
pub(crate) struct GetRunning;

impl Handler<GetRunning> for Sandbox {
    type Result = Result<Running, Failure>;

    fn handle(&mut self, GetRunning: GetRunning, _: &mut Context<Self>) -> Self::Result {
        self.running()
    }
}

impl Sandbox {
    fn running(&self) -> Result<Running, Failure> {
        let Some(made) = &self.made else { return Err(self.unknown()) };
        let Spec::Sandbox(spec) = &made.record.spec else {
            return Err(Failure::conflict(format_args!("{} is not a container", self.name())));
        };
        match &self.phase {
            Phase::Running { first: Some(first), .. } if !first.has_ended() => Ok(Running {
                id: self.id.clone(),
                first: first.clone(),
                witness: made.monitor.clone().unwrap_or_else(|| first.clone()),
                host_network: spec.host_network,
                security: Arc::new(Security::clone(&spec.security)),
                ids: spec.ids,
            }),
            _ => Err(not_running(&self.id)),
        }
    }
}

/// Stops every process where it is, or lets them go on.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Freeze(pub(crate) bool);

impl Handler<Freeze> for Sandbox {
    type Result = Atomic<()>;

    fn handle(&mut self, Freeze(frozen): Freeze, _: &mut Context<Self>) -> Self::Result {
        if let Err(failure) = self.running() {
            return answer(Err(failure));
        }
        let (host, id) = (Arc::clone(&self.host), self.id.clone());
        let work = async move { blocking(move || host.cgroups.freeze(&id, frozen)).await? };
        AtomicResponse::new(Box::pin(work.into_actor(self)))
    }
}
