//! The contract, answered by the actors and the files.

use crate::input::{Attach, Session};
use crate::log::Open;
use crate::logs::{All, Find, FindLabels, FindStdin, Logs, OpenLog, Others, Records, RemoveLog, no_log};
use crate::reader::{LARGEST, chunk};
use crate::record::LogRecord;
use crate::view::{Phase, Shared, View};
use crate::{holds, locate, parts};
use actix::Addr;
use futures::{StreamExt, TryStreamExt};
use kit::actor::ask;
use kit::store::Store;
use schema::common::{CheckReport, Problem};
use schema::log_collector::{Chunk, From, LogSpec, PartList, Server, Total};
use schema::{Call, ContainerId, Failure};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// Answers that are read from the files at one time: bounds threads and memory.
const READS: usize = 16;
/// Logs that are removed at one time.
const REMOVALS: usize = 16;

/// The served object.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    logs: Addr<Logs>,
    reads: Arc<Semaphore>,
}

impl Api {
    /// Answers for these logs.
    pub(crate) fn new(logs: Addr<Logs>) -> Self {
        Self { logs, reads: Arc::new(Semaphore::new(READS)) }
    }

    /// The labels of the container that a log belongs to.
    pub(crate) async fn labels(&self, id: &ContainerId) -> Result<Vec<String>, Failure> {
        ask(&self.logs, FindLabels(id.clone())).await
    }

    /// A log that can be read.
    async fn find(&self, id: &ContainerId) -> Result<Arc<Shared>, Failure> {
        let shared = ask(&self.logs, Find(id.clone())).await?;
        let phase = shared.view.borrow().phase;
        if matches!(phase, Phase::Absent | Phase::Removed) { Err(no_log(id)) } else { Ok(shared) }
    }

    /// What `work` finds from a position on, and in which view of the log. If there is nothing yet, waits for it.
    async fn find_from<T, F>(
        &self,
        id: &ContainerId,
        position: u64,
        wait_ms: u32,
        reader: u64,
        work: F,
    ) -> Result<(T, View), Failure>
    where
        T: Send + 'static,
        F: FnOnce(&Shared, &View, u64) -> io::Result<T> + Send + 'static,
    {
        let shared = self.find(id).await?;
        let deadline = Instant::now() + Duration::from_millis(wait_ms.into());
        shared.holds.renew(reader, position, deadline.into_std() + holds::GRACE);
        let mut changes = shared.view.subscribe();
        let position = position.min(shared.view.borrow().end);
        // What is there, has ended or was removed is an answer; else wait for it, and at last answer nothing.
        let answer = |view: &View| view.end > position || view.phase != Phase::Running;
        let _ = timeout_at(deadline, changes.wait_for(answer)).await;
        let view = shared.view();
        if view.phase == Phase::Removed {
            return Err(no_log(id));
        }
        let found = self.look(id, &shared, &view, move |shared, view| work(shared, view, position)).await?;
        // Until the client asks for more, it may have to ask for this again.
        shared.holds.renew(reader, position, Instant::now().into_std() + holds::GRACE);
        Ok((found, view))
    }

    /// Reads files, away from the main loop.
    async fn look<T, F>(&self, id: &ContainerId, shared: &Arc<Shared>, view: &View, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&Shared, &View) -> io::Result<T> + Send + 'static,
    {
        let (shared, view) = (Arc::clone(shared), view.clone());
        let _turn = self.reads.acquire().await;
        let done = tokio::task::spawn_blocking(move || work(&shared, &view)).await;
        done.map_err(io::Error::other)
            .flatten()
            .map_err(|error| Failure::io(format_args!("reading the log of container {}", id.short()), &error))
    }
}

impl Server for Api {
    type Input = Session;

    async fn open(&self, _call: &Call, id: ContainerId, spec: LogSpec) -> Result<u64, Failure> {
        ask(&self.logs, OpenLog(id, Open { spec })).await
    }

    async fn read(
        &self,
        _call: &Call,
        id: ContainerId,
        position: u64,
        max_bytes: u32,
        wait_ms: u32,
        reader: u64,
    ) -> Result<Chunk, Failure> {
        let max = if max_bytes == 0 { LARGEST } else { max_bytes as usize };
        let work = move |shared: &Shared, view: &View, position| chunk(shared, view, position, max);
        let (chunk, view) = self.find_from(&id, position, wait_ms, reader, work).await?;
        let ended = view.phase == Phase::Ended && chunk.next >= view.end;
        Ok(Chunk { ended, ..chunk })
    }

    async fn parts(
        &self,
        _call: &Call,
        id: ContainerId,
        position: u64,
        max_bytes: u64,
        wait_ms: u32,
        reader: u64,
    ) -> Result<PartList, Failure> {
        let max = if max_bytes == 0 { parts::LARGEST } else { max_bytes };
        let work = move |shared: &Shared, view: &View, position| parts::parts(shared, view, position, max);
        let (parts, view) = self.find_from(&id, position, wait_ms, reader, work).await?;
        let ended = view.phase == Phase::Ended && parts.next >= view.end;
        Ok(PartList { ended, ..parts })
    }

    async fn locate(&self, _call: &Call, id: ContainerId, from: From) -> Result<u64, Failure> {
        let shared = self.find(&id).await?;
        let view = shared.view();
        self.look(&id, &shared, &view, move |shared, view| locate::locate(shared, view, from)).await
    }

    async fn remove(&self, _call: &Call, id: ContainerId) -> Result<(), Failure> {
        ask(&self.logs, RemoveLog(id)).await
    }

    async fn reconcile(&self, _call: &Call, live: Vec<ContainerId>) -> Result<(), Failure> {
        let others = ask(&self.logs, Others(live)).await?;
        futures::stream::iter(others)
            .map(|id| ask(&self.logs, RemoveLog(id)))
            .buffer_unordered(REMOVALS)
            .try_collect()
            .await
    }

    async fn check(&self, _call: &Call, _repair: bool) -> Result<CheckReport, Failure> {
        let logs = self.logs.send(All).await.map_err(Failure::internal)?;
        let store = ask(&self.logs, Records).await?;
        kit::actor::on_thread(move || check(&logs, &store)).await
    }

    async fn totals(&self, _call: &Call) -> Result<Vec<Total>, Failure> {
        let logs = self.logs.send(All).await.map_err(Failure::internal)?;
        let totals = logs.into_iter().filter_map(|(id, shared)| {
            let view = shared.view.borrow();
            let exists = !matches!(view.phase, Phase::Absent | Phase::Removed);
            exists.then(|| Total {
                id,
                written: view.end,
                kept: view.end.saturating_sub(view.start()),
                dropped: shared.dropped.load(Ordering::Relaxed),
            })
        });
        Ok(totals.collect())
    }

    async fn open_input(
        &self,
        _call: &Call,
        id: ContainerId,
        session: String,
        once: bool,
    ) -> Result<(Session, u64), Failure> {
        let input = ask(&self.logs, FindStdin(id)).await?;
        let (handle, accepted) = ask(&input, Attach { session, once }).await?;
        Ok((Session::new(input, handle), accepted))
    }
}

/// Which logs there are, and what of them was damaged. A segment is lost when it is found to be damaged, and readers are
/// shown the gap: there is nothing that could be mended.
fn check(logs: &[(ContainerId, Arc<Shared>)], store: &Store<LogRecord>) -> Result<CheckReport, Failure> {
    let mut report = CheckReport { examined: logs.len() as u64, ..CheckReport::default() };
    for (name, bytes, record) in store.verify()? {
        (report.examined, report.bytes) = (report.examined + 1, report.bytes + bytes);
        if let Err(reason) = record {
            let hint = "it is written anew when the container is started again";
            report.problems.push(Problem::new(format!("record of log {name}"), reason, hint));
        }
    }
    let mut keep = |object: String, kept: &Path, what: &str, remove: &str| {
        let message = format!("{what} damaged, and kept in {}", kept.display());
        let hint = format!("nothing depends on that: `{remove} {}`", kept.display());
        report.kept.push(Problem::new(object, message, hint));
    };
    for (name, kept) in store.quarantined()? {
        keep(format!("record of log {name}"), &kept, "it was", "rm");
    }
    for (id, shared) in logs {
        let kept = shared.files.damaged();
        if kept.exists() {
            keep(format!("log of {}", id.short()), &kept, "segments of it were", "rm -r");
        }
    }
    let exists = |shared: &Shared| !matches!(shared.view.borrow().phase, Phase::Absent | Phase::Removed);
    report.owners = logs.iter().filter(|(_, shared)| exists(shared)).map(|(id, _)| id.clone()).collect();
    Ok(report)
}
