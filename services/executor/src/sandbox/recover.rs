//! What an executor finds when it starts: sandboxes of its predecessor, which live on; and what is left of those
//! that were half made, half destroyed, or of another boot.

use super::actor::{Made, Phase, Sandbox, blocking, phase_of};
use super::keep::{Found, Run};
use super::record::Record;
use super::{destroy, directory, ending, start};
use crate::control::Control;
use crate::host::Host;
use crate::process::Process;
use crate::registry::{Adopt, Ids, Owner, Registry};
use actix::{Actor, Addr};
use futures::future::join_all;
use schema::executor::Started;
use schema::{ContainerId, Failure};
use shim_protocol::control::{Phase as Reported, Report, Request};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// How long a monitor may take to answer or to end: one that hangs must not keep all others from being served.
const PATIENCE: Duration = Duration::from_secs(2);

/// Finds all sandboxes, and removes what is not one.
pub(crate) async fn recover(
    host: &Arc<Host>,
    registry: &Addr<Registry>,
) -> Result<Vec<(ContainerId, Sandbox)>, Failure> {
    let ids = {
        let host = Arc::clone(host);
        blocking(move || {
            directory::make_all(&host.instance.sandboxes())?;
            let ids = list(&host)?;
            ending::forget_others(&host, &ids);
            Ok::<_, Failure>(ids)
        })
        .await??
    };
    let kept = &host.keep.all();
    let found = join_all(ids.into_iter().map(|id| async move {
        let sandbox = recover_one(host, registry, &id, kept).await;
        (id, sandbox)
    }))
    .await;
    host.keep.remove_predecessors();
    let mut sandboxes = Vec::new();
    for (id, sandbox) in found {
        match sandbox {
            Ok(Some(sandbox)) => sandboxes.push((id, sandbox)),
            Ok(None) => {}
            // One that cannot be removed must not keep the others from being served.
            Err(failure) => tracing::error!(%id, %failure, "cannot recover a sandbox"),
        }
    }
    Ok(sandboxes)
}

/// Ids that have a directory or a cgroup, and no owner.
pub(crate) async fn leftovers(host: &Arc<Host>, registry: &Addr<Registry>) -> Result<Vec<ContainerId>, Failure> {
    let there = || {
        let host = Arc::clone(host);
        async move { blocking(move || list(&host)).await? }
    };
    // In this order: who makes a sandbox has an owner before, who destroys one has an owner until it is gone.
    let before = there().await?;
    let owned = kit::actor::ask(registry, Ids).await?;
    if before.is_subset(&owned) {
        return Ok(Vec::new());
    }
    let after = there().await?;
    Ok(before.into_iter().filter(|id| !owned.contains(id) && after.contains(id)).collect())
}

/// Removes what is left of a sandbox that has no owner, or gives it one if it is whole.
pub(crate) async fn take_up(host: &Arc<Host>, registry: &Addr<Registry>, id: &ContainerId) -> Result<(), Failure> {
    // What was kept of a run serves those that are found at the start: they are whole, or gone.
    if let Some(sandbox) = recover_one(host, registry, id, &HashMap::new()).await? {
        let (exec_of, ids) = (sandbox.exec_of(), sandbox.ids());
        kit::actor::ask(registry, Adopt(id.clone(), Owner { address: sandbox.start(), exec_of, ids })).await?;
    }
    Ok(())
}

/// Every id that has a directory or a cgroup.
fn list(host: &Host) -> Result<BTreeSet<ContainerId>, Failure> {
    let sandboxes = host.instance.sandboxes();
    let failed = |error: std::io::Error| Failure::io(format_args!("reading {}", sandboxes.display()), &error);
    let mut ids: BTreeSet<ContainerId> = host.cgroups.containers().into_iter().collect();
    for entry in fs::read_dir(&sandboxes).map_err(failed)? {
        match entry.map_err(failed)?.file_name().to_string_lossy().parse() {
            Ok(id) => drop(ids.insert(id)),
            Err(failure) => tracing::warn!(%failure, "something else lies among the sandboxes"),
        }
    }
    Ok(ids)
}

async fn recover_one(
    host: &Arc<Host>,
    registry: &Addr<Registry>,
    id: &ContainerId,
    kept: &HashMap<Run, Found>,
) -> Result<Option<Sandbox>, Failure> {
    let path = host.directory(id);
    let control = Control::new(path.clone());
    let record = match Record::read(&path) {
        Ok(record) if record.boot == host.boot => record,
        Ok(_) => {
            tracing::info!(%id, "removing a sandbox of another boot");
            return remove(host, id).await;
        }
        Err(error) => {
            tracing::info!(%id, %error, "removing what is left of a sandbox");
            dismiss(&control).await;
            return remove(host, id).await;
        }
    };
    // The log collector may be another user than that of before.
    if let Err(failure) = directory::share(&path, &record.spec, host.collector) {
        tracing::error!(%id, %failure, "its output may not be captured");
    }
    let monitor = Process::noted(record.monitor).map_err(|error| Failure::io("looking for a monitor", &error))?;
    // One whose state is not known can still be destroyed.
    let found = phase(host, id, record.clone(), monitor.is_some(), &control).await;
    let (phase, record, master) = found.unwrap_or_else(|failure| (Phase::Failed(failure), record, None));
    let (phase, master) = complete(id, &record, kept, phase, master);
    tracing::info!(%id, ?phase, monitored = monitor.is_some(), "found a sandbox");
    let made = Made { record, monitor, control, master, birth: None, known: None };
    Ok(Some(Sandbox::found(Arc::clone(host), id.clone(), registry.clone(), made, phase)))
}

/// With what was kept of a run.
fn complete(
    id: &ContainerId,
    record: &Record,
    kept: &HashMap<Run, Found>,
    phase: Phase,
    master: Option<Arc<OwnedFd>>,
) -> (Phase, Option<Arc<OwnedFd>>) {
    let found = Run::of(id, record).and_then(|run| kept.get(&run));
    match (phase, found) {
        (Phase::Running { started, first }, Some(found)) => {
            let first = first.or_else(|| Some(found.first.clone()));
            (Phase::Running { started, first }, master.or_else(|| found.master.clone()))
        }
        (phase, _) => (phase, master),
    }
}

async fn remove(host: &Arc<Host>, id: &ContainerId) -> Result<Option<Sandbox>, Failure> {
    let (host, id) = (Arc::clone(host), id.clone());
    blocking(move || destroy::clear(&host, &id)).await?.map(|()| None)
}

/// Ends the monitor, if there is one, of a sandbox that nobody knows.
async fn dismiss(control: &Control) {
    let ending = async {
        // The answer may be missing: a monitor without a process ends at once.
        let report = control.request(Request::Kill, &[]).await.ok()?;
        Process::open(report.monitor).ok()??.ended().await;
        Some(())
    };
    let _ = tokio::time::timeout(PATIENCE, ending).await;
}

/// How far a sandbox is, its record, and the master of its terminal.
type Known = (Phase, Record, Option<Arc<OwnedFd>>);

/// By its exit record, its monitor's word, or, if that was killed, the kernel's.
async fn phase(
    host: &Arc<Host>,
    id: &ContainerId,
    record: Record,
    monitored: bool,
    control: &Control,
) -> Result<Known, Failure> {
    if monitored {
        match tokio::time::timeout(PATIENCE, control.request(Request::Report, &[])).await {
            // An end that is not recorded yet is recorded when the monitor ends.
            // A start that was interrupted on our side is going on; asking again only waits for its outcome.
            Ok(Ok(Report { phase: going_on @ (Reported::Starting | Reported::SettingUp), .. })) => {
                let again = match going_on {
                    Reported::Starting => Request::Start { born_in: false },
                    _ => Request::SetUp { born_in: false },
                };
                let decided = control.request(again, &[]).await;
                let decided =
                    decided.map_err(|error| Failure::internal(format_args!("asking a monitor: {error:?}")))?;
                return phase_of(Arc::clone(host), id.clone(), record, control, decided).await;
            }
            Ok(Ok(report)) => return phase_of(Arc::clone(host), id.clone(), record, control, report).await,
            Ok(Err(error)) => tracing::warn!(%id, ?error, "a monitor does not answer"),
            Err(_) => tracing::warn!(%id, "a monitor does not answer in time"),
        }
    }
    let (host, id) = (Arc::clone(host), id.clone());
    blocking(move || {
        if let Some(ended) = ending::read(&host, &id)? {
            return Ok((Phase::Exited(ended), record, None));
        }
        let phase = match ending::find_first(&host, &id, &record) {
            Some((first, started)) => Phase::Running { started, first: Some(first) },
            // It was to be started, and nothing of it is left: how it ended, nobody has seen.
            None if start::is_planned(&host, &id) => {
                let pid = record.first.map_or(0, |first| first.pid);
                Phase::Running { started: Started { pid, started_at: record.started_at }, first: None }
            }
            None => {
                let lost = format_args!("the monitor of container {} was killed", id.short());
                Phase::Failed(Failure::sandbox_lost(lost).hint("start it again"))
            }
        };
        Ok((phase, record, None))
    })
    .await?
}
