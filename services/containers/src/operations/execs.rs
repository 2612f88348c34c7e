//! Further processes.

use crate::container::{Handle, Joined, Shared};
use crate::decide::{self, Verdict};
use crate::exec::{ExecRecord, Known, New};
use crate::lifecycle::Phase;
use crate::validate;
use kit::actor::ask;
use schema::call::RequestId;
use schema::containers::{Exec, ExecSpec};
use schema::{ContainerId, Failure};
use std::rc::Rc;

/// Runs a further process; answers when it runs, or could not be run and that was undone.
pub(crate) async fn exec(
    shared: Rc<Shared>,
    handle: Handle,
    request: RequestId,
    id: ContainerId,
    spec: ExecSpec,
) -> Result<Exec, Failure> {
    let container = handle.until_live().await?.record.id().clone();
    let known = Known { id: id.clone(), container, spec: spec.clone() };
    if let Some(known) = ask(&shared.execs, known).await? {
        return known.begun().await;
    }
    validate::exec(&spec)?;
    let mut view = handle.now();
    while decide::exec(&view.record)? == Verdict::Later {
        view = handle.until(|view| view.phase() != Phase::Starting).await;
    }
    let exec = ask(&shared.execs, New(ExecRecord::new(id, &view.record, spec, request))).await?;
    let begun = exec.begun().await?;
    handle.tell(Joined(exec));
    Ok(begun)
}
