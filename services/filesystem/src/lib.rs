//! The filesystem service: unpacked layers, root filesystems, volumes.
//!
//! Two actors own its state: [`layers::Layers`] the unpacked layers, [`containers::Containers`] the writable
//! layers. [`unpack`] turns a blob into a directory, [`mount`] layers into a root filesystem in a sandbox.
//! Nothing here ever mounts in the host's mount namespace.

mod beneath;
mod chain;
mod containers;
mod ids;
mod layers;
mod layout;
mod look;
mod mount;
mod names;
mod pack;
pub mod probe;
mod sys;
mod trash;
pub mod unpack;
mod upper;
mod walk;
mod xattrs;

pub use mount::Mechanism;

use actix::{Actor, Addr};
use containers::{
    Archive, Changes, CommitLayer, Containers, Extract, Look, Measure, Mount, Reconcile, Release, SetNames,
};
use kit::actor::{ask, on_thread};
use layers::{Layers, Sweeper};
use layout::Layout;
use schema::bindings::filesystem_capnp::filesystem as bootstrap;
use schema::common::{CheckReport, SandboxRef};
use schema::filesystem::{
    ArchiveChunk, ArchiveRequest, ChangeList, ExtractRequest, MountSpec, Names, PathStat, Place, SERVICE, Server, Usage,
};
use schema::{Call, ContainerId, Failure};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Notify;
use trash::Trash;
use unpack::Unpacker;

/// Who this service is.
pub const IDENTITY: kit::Identity =
    kit::Identity { service: SERVICE, needs: &[schema::image_store::SERVICE], version: env!("CARGO_PKG_VERSION") };

/// What the program of this service does, from its start to its end.
pub fn main() -> std::process::ExitCode {
    if let Some(code) = unpack::work() {
        return code;
    }
    let mut arguments = std::env::args_os().skip(1);
    if let (Some(first), Some(directory)) = (arguments.next(), arguments.next())
        && first == probe::ARGUMENT
    {
        return probe::run(directory.as_ref());
    }
    kit::boot::run(IDENTITY, start)
}

/// Recovers the state and gives the service's bootstrap capability.
pub async fn start(context: kit::Context) -> Result<bootstrap::Client, Failure> {
    start_with(context, Host::detect()?)
}

/// What a host is able to, and where it says what it uses.
#[derive(Clone, Debug)]
pub struct Host {
    /// How overlayfs is told its layers.
    pub mechanism: Mechanism,
    /// Files that name the host's name servers, resolv.conf(5): the first that names one of use counts.
    pub resolver_files: Vec<PathBuf>,
    /// Unpacks archives.
    pub unpacker: Unpacker,
}

impl Host {
    /// Asks the kernel. Fails with `unavailable` if it has no overlayfs.
    pub fn detect() -> Result<Self, Failure> {
        let resolver_files = names::HOST_FILES.map(PathBuf::from).into();
        Ok(Self { mechanism: Mechanism::detect()?, resolver_files, unpacker: Unpacker::own() })
    }
}

/// The same, on a host of which this is known.
pub fn start_with(context: kit::Context, host: Host) -> Result<bootstrap::Client, Failure> {
    tracing::info!(?host, "started");
    let Host { mechanism, resolver_files, unpacker } = host;
    let layout = Layout::open(context.state()?)?;
    let parts = pack::Parts::open(context.instance.run())?;
    chain::recover(&layout)?;
    let trash = Arc::new(Trash::open(layout.trash())?);
    let images = schema::image_store::Client::new(&context.instance);
    let layers = Layers::recover(layout.clone(), Arc::clone(&trash), images.clone(), unpacker.clone())?.start();
    empty(&trash)?;
    let released = Arc::new(Notify::new());
    let sweeper = Sweeper {
        layers: layers.clone(),
        layout: layout.clone(),
        trash: Arc::clone(&trash),
        images: images.clone(),
        released: Arc::clone(&released),
    };
    actix::spawn(sweeper.clone().run());
    let containers =
        Containers::new(layout, trash, mechanism, layers, images, released, resolver_files, unpacker, parts).start();
    Ok(schema::filesystem::serve(context.about(), Api { containers, sweeper }))
}

/// Removes what killed processes have left, without letting anybody wait for it.
fn empty(trash: &Arc<Trash>) -> Result<(), Failure> {
    let left = trash.left()?;
    let trash = Arc::clone(trash);
    actix::spawn(async move {
        let removed = on_thread(move || left.iter().try_for_each(|taken| trash.remove(taken))).await;
        if let Err(failure) = removed {
            tracing::warn!(%failure, "something stays in the trash until the next start");
        }
    });
    Ok(())
}

/// Hands every call to its actor.
struct Api {
    containers: Addr<Containers>,
    sweeper: Sweeper,
}

impl Server for Api {
    async fn mount(&self, call: &Call, id: ContainerId, sandbox: SandboxRef, spec: MountSpec) -> Result<(), Failure> {
        ask(&self.containers, Mount { call: *call, id, sandbox, spec }).await
    }

    async fn set_names(&self, _call: &Call, id: ContainerId, names: Names) -> Result<(), Failure> {
        ask(&self.containers, SetNames { id, names }).await
    }

    async fn release(&self, _call: &Call, id: ContainerId) -> Result<(), Failure> {
        ask(&self.containers, Release(id)).await
    }

    async fn reconcile(&self, _call: &Call, live: Vec<ContainerId>) -> Result<(), Failure> {
        ask(&self.containers, Reconcile(live)).await
    }
    async fn changes(&self, call: &Call, place: Place, after: Vec<u8>, most: u32) -> Result<ChangeList, Failure> {
        ask(&self.containers, Changes { call: *call, place, after, most }).await
    }

    async fn archive(
        &self,
        call: &Call,
        place: Place,
        request: ArchiveRequest,
        cursor: Vec<u8>,
        max_bytes: u32,
    ) -> Result<ArchiveChunk, Failure> {
        ask(&self.containers, Archive { call: *call, place, request, cursor, most: max_bytes }).await
    }

    async fn extract(&self, call: &Call, place: Place, request: ExtractRequest) -> Result<(), Failure> {
        ask(&self.containers, Extract { call: *call, place, request }).await
    }

    async fn commit_layer(&self, call: &Call, place: Place, upload: String) -> Result<u64, Failure> {
        ask(&self.containers, CommitLayer { call: *call, place, upload }).await
    }

    async fn usage(&self, _call: &Call, id: ContainerId) -> Result<Usage, Failure> {
        ask(&self.containers, Measure(id)).await
    }

    async fn stat(&self, call: &Call, place: Place, path: String) -> Result<PathStat, Failure> {
        ask(&self.containers, Look { call: *call, place, path }).await
    }

    async fn check(&self, call: &Call, repair: bool, running: Vec<ContainerId>) -> Result<CheckReport, Failure> {
        self.sweeper.check(call, repair, running).await
    }
}
