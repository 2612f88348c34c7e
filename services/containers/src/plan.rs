//! The plans: what is asked of which worker, and in what order. Each step may be repeated, so each plan may
//! be begun again from its start.

use crate::exec::ExecRecord;
use crate::record::Record;
use crate::workers::{MOUNT, STEP, Workers, own_call};
use schema::call::RequestId;
use schema::common::SandboxRef;
use schema::executor::{Prepared, Started};
use schema::filesystem::{MountSpec, Names};
use schema::log_collector::LogSpec;
use schema::network::{AttachSpec, Attachment};
use schema::{Call, Code, ContainerId, Failure};

/// How long one wait for the end of a log may take, milliseconds.
const DRAIN_MS: u32 = 20_000;

/// What is learned while a sandbox is filled.
pub(crate) struct Assembly {
    pub(crate) sandbox: SandboxRef,
    pub(crate) attachment: Option<Attachment>,
    pub(crate) position: u64,
    pub(crate) warnings: Vec<String>,
    /// Whether it has its names.
    pub(crate) is_named: bool,
}

/// A sandbox that was made ahead and connected to the network.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    prepared: Prepared,
    attachment: Attachment,
    filled: Option<Filled>,
}

/// All else that a sandbox needs before PID 1, done ahead, too: what was asked for, and what came of it.
#[derive(Clone, Debug)]
struct Filled {
    mount: MountSpec,
    log: LogSpec,
    position: u64,
    names: Names,
}

impl Ready {
    /// Makes one for containers like this one, and fills it if that is wanted.
    pub(crate) async fn make(workers: &Workers, record: &Record, is_filled: bool) -> Result<Self, Failure> {
        let call = own_call();
        let prepared = workers.executor.prepare(&call, record.id(), &record.sandbox()).await?;
        if !is_filled {
            let attachment = attach(workers, call.request, record, &prepared).await?.unwrap_or_default();
            return Ok(Self { prepared, attachment, filled: None });
        }
        let (attachment, position) = fill(workers, call.request, record, &prepared, None).await?;
        let attachment = attachment.unwrap_or_default();
        let names = record.names(Some(&attachment));
        workers.filesystem.set_names(&call, record.id(), &names).await?;
        match workers.executor.set_up(&call, record.id()).await {
            // It is done when the container starts.
            Err(failure) if failure.code == Code::Unimplemented => {}
            done => done?,
        }
        let filled = Filled { mount: mount_spec(record), log: log_spec(record, &prepared), position, names };
        Ok(Self { prepared, attachment, filled: Some(filled) })
    }

    /// Whether it is filled as this container wants it, as far as it is.
    pub(crate) fn suits(&self, record: &Record) -> bool {
        self.filled
            .as_ref()
            .is_none_or(|filled| filled.mount == mount_spec(record) && filled.log == log_spec(record, &self.prepared))
    }
}

/// Makes the sandbox, unless one is `ready`, and fills it: all but PID 1 and its names.
///
/// A step that fails leaves what the others did: [`clean`] undoes it. None is left running.
pub(crate) async fn assemble(
    workers: &Workers,
    request: RequestId,
    record: &Record,
    ready: Option<Ready>,
) -> Result<Assembly, Failure> {
    let call = step(request);
    let (prepared, attachment, filled) = match ready {
        Some(Ready { prepared, attachment, filled }) => (prepared, Some(attachment), filled),
        None => {
            let prepared = workers.executor.prepare(&call, record.id(), &record.sandbox()).await;
            (prepared.map_err(|failure| failure.context("preparing the sandbox"))?, None, None)
        }
    };
    if let Some(Filled { position, names, .. }) = filled {
        let is_named = names == record.names(attachment.as_ref());
        let Prepared { sandbox, directory: _, warnings } = prepared;
        return Ok(Assembly { sandbox, attachment, position, warnings, is_named });
    }
    let (attachment, position) = fill(workers, request, record, &prepared, attachment).await?;
    let Prepared { sandbox, directory: _, warnings } = prepared;
    Ok(Assembly { sandbox, attachment, position, warnings, is_named: false })
}

/// Gives a sandbox its root filesystem, its network, unless it is attached, and its log. Answers how it is attached, and
/// where its output begins.
async fn fill(
    workers: &Workers,
    request: RequestId,
    record: &Record,
    prepared: &Prepared,
    attachment: Option<Attachment>,
) -> Result<(Option<Attachment>, u64), Failure> {
    let attach = async {
        match attachment {
            Some(attachment) => Ok(Some(attachment)),
            None => attach(workers, request, record, prepared).await,
        }
    };
    let (mounted, attached, opened) = futures::join!(
        mount(workers, request, record, prepared),
        attach,
        open_log(workers, request, record, prepared),
    );
    mounted?;
    Ok((attached?, opened?))
}

/// Tells a container the names and addresses that its record knows.
pub(crate) async fn name(workers: &Workers, call: &Call, record: &Record) -> Result<(), Failure> {
    let names = record.names(record.container.attachment.as_ref());
    let named = workers.filesystem.set_names(call, record.id(), &names).await;
    named.map_err(|failure| failure.context("writing the container's names"))
}

fn mount_spec(record: &Record) -> MountSpec {
    let container = &record.container;
    let spec = &container.spec;
    MountSpec {
        layers: record.image.layers.clone(),
        volumes: spec.volumes.clone(),
        read_only: spec.security.read_only_root,
        tmpfs: spec.tmpfs.clone(),
        ids: container.ids,
    }
}

async fn mount(workers: &Workers, request: RequestId, record: &Record, prepared: &Prepared) -> Result<(), Failure> {
    let call = step(request).limited(MOUNT);
    let mounted = workers.filesystem.mount(&call, record.id(), &prepared.sandbox, &mount_spec(record)).await;
    mounted.map_err(|failure| failure.context("mounting the root filesystem"))
}

async fn attach(
    workers: &Workers,
    request: RequestId,
    record: &Record,
    prepared: &Prepared,
) -> Result<Option<Attachment>, Failure> {
    if record.uses_host_network() {
        return Ok(None);
    }
    let spec = &record.container.spec;
    let spec = AttachSpec { mode: spec.network, ports: spec.ports.clone() };
    let attached = workers.network.attach(&step(request), record.id(), &prepared.sandbox, &spec).await;
    attached.map(Some).map_err(|failure| failure.context("connecting the network"))
}

fn log_spec(record: &Record, prepared: &Prepared) -> LogSpec {
    let spec = &record.container.spec;
    record.log(prepared.directory.clone(), spec.terminal, spec.open_stdin)
}

async fn open_log(workers: &Workers, request: RequestId, record: &Record, prepared: &Prepared) -> Result<u64, Failure> {
    let opened = workers.log_collector.open(&step(request), record.id(), &log_spec(record, prepared)).await;
    opened.map_err(|failure| failure.context("opening the log"))
}

/// Executes PID 1 in an assembled sandbox. Its failures are the user's: they are passed on as they are.
pub(crate) async fn launch(workers: &Workers, request: RequestId, record: &Record) -> Result<Started, Failure> {
    workers.executor.start(&step(request), record.id(), &record.process()).await
}

/// Whether a start failed because the sandbox was lost before anything was executed in it.
///
/// Who fills a sandbox fails in his own way when its monitor is killed meanwhile; the executor knows, and tells who
/// prepares it again.
pub(crate) async fn has_lost_sandbox(
    workers: &Workers,
    request: RequestId,
    record: &Record,
    failure: &Failure,
) -> bool {
    may_have_lost(failure)
        && (is_lost(failure) || {
            let prepared = workers.executor.prepare(&step(request), record.id(), &record.sandbox()).await;
            prepared.is_err_and(|failure| is_lost(&failure))
        })
}

/// The same of an exec.
pub(crate) async fn has_lost_exec(workers: &Workers, record: &ExecRecord, failure: &Failure) -> bool {
    may_have_lost(failure)
        && (is_lost(failure) || {
            let (call, sandbox) = (own_call(), record.sandbox());
            let prepared = workers.executor.prepare_exec(&call, &record.container, &record.id, &sandbox).await;
            prepared.is_err_and(|failure| is_lost(&failure))
        })
}

fn is_lost(failure: &Failure) -> bool {
    failure.code == Code::SandboxLost
}

/// Whether it is not the user's own.
fn may_have_lost(failure: &Failure) -> bool {
    !matches!(failure.code, Code::CommandNotFound | Code::NotExecutable | Code::InvalidArgument)
}

/// How many sandboxes a start tries, if their monitors are killed before anything is executed in them.
pub(crate) const SANDBOXES: u32 = 4;

/// Waits until all output of a run that has ended is in its log. Until then the sandbox must stay: what was
/// written while no log collector was there lies in its directory.
pub(crate) async fn drained(workers: &Workers, id: &ContainerId) -> Result<(), Failure> {
    match workers.log_collector.read(&own_call(), id, u64::MAX, 1, DRAIN_MS).await {
        Ok(end) if end.ended => Ok(()),
        Ok(_) => Err(Failure::unavailable("the last of the output is not in the log yet")),
        Err(failure) if failure.code == Code::NotFound => Ok(()),
        Err(failure) => Err(failure.context("waiting for the last of the output")),
    }
}

/// Removes what a run has in the kernel. The writable layer and the log stay.
pub(crate) async fn clean(workers: &Workers, id: &ContainerId) -> Result<(), Failure> {
    // Both are tried, whatever the other says: a worker that is stuck must not hold the other's part.
    let (detached, destroyed) = futures::join!(detach(workers, id), destroy(workers, id));
    detached?;
    destroyed
}

/// The part of [`clean`] that needs nothing else to be done before.
pub(crate) async fn detach(workers: &Workers, id: &ContainerId) -> Result<(), Failure> {
    let detached = workers.network.detach(&own_call(), id).await;
    detached.map_err(|failure| failure.context("giving back address and ports"))
}

/// The other part.
pub(crate) async fn destroy(workers: &Workers, id: &ContainerId) -> Result<(), Failure> {
    let destroyed = workers.executor.destroy(&own_call(), id).await;
    destroyed.map_err(|failure| failure.context("removing the sandbox"))
}

/// Gives back the image of a container that is being removed.
pub(crate) async fn release_image(workers: &Workers, id: &ContainerId) -> Result<(), Failure> {
    let released = workers.image_store.release(&own_call(), id.as_str()).await;
    released.map_err(|failure| failure.context("giving back the image"))
}

/// Removes what only the container had; its sandbox, which has the writable layer mounted, must be gone.
pub(crate) async fn erase(workers: &Workers, id: &ContainerId) -> Result<(), Failure> {
    let call = own_call();
    let release = workers.filesystem.release(&call, id);
    let remove = workers.log_collector.remove(&call, id);
    let (released, removed) = futures::join!(release, remove);
    released.map_err(|failure| failure.context("removing the writable layer"))?;
    removed.map_err(|failure| failure.context("removing the log"))
}

/// A request's part of one step.
pub(crate) fn step(request: RequestId) -> Call {
    Call { request, deadline: None }.limited(STEP)
}
