//! The owner of the containers' writable layers. What concerns one container is done one after the other;
//! different containers do not wait for each other.

mod look;
mod write;

pub(crate) use look::{Archive, Changes, CommitLayer, Look, Measure};
pub(crate) use write::Extract;

use crate::chain;
use crate::layers::{Ensure, Layers, Pin};
use crate::layout::Layout;
use crate::mount::{self, Mechanism};
use crate::names;
use crate::pack::{Archives, Parts};
use crate::trash::Trash;
use crate::unpack::Unpacker;
use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture};
use futures::future::try_join_all;
use kit::actor::{ask, on_thread};
use schema::common::{Layer, SandboxRef};
use schema::filesystem::{MountSpec, Names};
use schema::{Call, ContainerId, Failure};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, RwLock, oneshot};
use tracing::Instrument;

/// The actor.
pub(crate) struct Containers {
    layout: Layout,
    trash: Arc<Trash>,
    mechanism: Mechanism,
    layers: Addr<Layers>,
    images: schema::image_store::Client,
    /// Held while something is done to a container; shared by those who only read.
    turns: HashMap<ContainerId, Turn>,
    archives: Archives,
    parts: Parts,
    /// Told when a container is gone.
    released: Arc<Notify>,
    /// What tells the host's name servers.
    host_files: Arc<[PathBuf]>,
    unpacker: Unpacker,
    /// Numbers the parts of archives.
    count: u64,
}

type Turn = Arc<RwLock<()>>;

/// How often archives that nobody asks for are dropped.
const TIDY: Duration = Duration::from_secs(5);

/// Mount a container's root filesystem.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Mount {
    pub(crate) call: Call,
    pub(crate) id: ContainerId,
    pub(crate) sandbox: SandboxRef,
    pub(crate) spec: MountSpec,
}

/// Write a container's names.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct SetNames {
    pub(crate) id: ContainerId,
    pub(crate) names: Names,
}

/// The host has other name servers.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct FollowHost;

/// Remove what belongs to a container.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Release(pub(crate) ContainerId);

/// Remove what belongs to any other container.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Reconcile(pub(crate) Vec<ContainerId>);

impl Containers {
    #[allow(clippy::too_many_arguments)] // what it is made of
    pub(crate) fn new(
        layout: Layout,
        trash: Arc<Trash>,
        mechanism: Mechanism,
        layers: Addr<Layers>,
        images: schema::image_store::Client,
        released: Arc<Notify>,
        host_files: Vec<PathBuf>,
        unpacker: Unpacker,
        parts: Parts,
    ) -> Self {
        let host_files = host_files.into();
        // Cursors of a process before this one name no archive of this one.
        let (turns, archives, count) = (HashMap::new(), Archives::default(), schema::call::RequestId::random().0);
        Self { layout, trash, mechanism, layers, images, turns, archives, parts, released, host_files, unpacker, count }
    }

    /// The lock of a container. Locks that nobody holds or waits for are forgotten.
    fn turn(&mut self, id: &ContainerId) -> Turn {
        self.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(self.turns.entry(id.clone()).or_default())
    }

    /// Has a container's directory removed, in the container's turn.
    fn release(&mut self, id: &ContainerId) -> impl Future<Output = Result<(), Failure>> + use<> {
        self.archives.forget(id);
        let (turn, trash, layout) = (self.turn(id), Arc::clone(&self.trash), self.layout.clone());
        let (id, released) = (id.clone(), Arc::clone(&self.released));
        async move {
            let _turn = turn.write_owned().await;
            on_thread(move || {
                trash.discard(&layout.container(&id))?;
                chain::forget(&layout, &id)
            })
            .await?;
            released.notify_one();
            Ok(())
        }
    }
}

impl Actor for Containers {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(TIDY, |containers, _| containers.archives.expire());
        let (containers, host_files) = (context.address(), Arc::clone(&self.host_files));
        let followed = names::follow(host_files, move || containers.do_send(FollowHost));
        context.spawn(followed.into_actor(self).map(|never, _, _| match never {}));
    }
}

impl Handler<Mount> for Containers {
    type Result = ResponseFuture<Result<(), Failure>>;

    fn handle(&mut self, message: Mount, _: &mut Self::Context) -> Self::Result {
        let Mount { call, id, sandbox, spec } = message;
        // An archive of it, which nobody may ask for any more, would hold on to what is mounted anew.
        self.archives.forget(&id);
        let turn = self.turn(&id);
        let (layout, mechanism, layers) = (self.layout.clone(), self.mechanism, self.layers.clone());
        let span = call.span("mount");
        let work = async move {
            let _pins = ensure(&layers, call, &spec.layers).await?;
            let _turn = turn.write_owned().await;
            on_own_thread(move || {
                chain::record(&layout, &id, &spec.layers)?;
                mount::mount(&layout, mechanism, &id, &sandbox, &spec)
            })
            .await
        };
        finished(work.instrument(span))
    }
}

impl Handler<SetNames> for Containers {
    type Result = ResponseFuture<Result<(), Failure>>;

    fn handle(&mut self, SetNames { id, names }: SetNames, _: &mut Self::Context) -> Self::Result {
        let (turn, directory) = (self.turn(&id), self.layout.container(&id));
        let host_files = Arc::clone(&self.host_files);
        finished(async move {
            let _turn = turn.write_owned().await;
            on_thread(move || names::write(&directory, &names, &host_files)).await
        })
    }
}

impl Handler<FollowHost> for Containers {
    type Result = ();

    fn handle(&mut self, _: FollowHost, _: &mut Self::Context) {
        let containers = match chain::containers(&self.layout) {
            Ok(containers) => containers,
            Err(failure) => return tracing::warn!(%failure, "the host's name servers are not followed"),
        };
        for id in containers {
            let (turn, directory) = (self.turn(&id), self.layout.container(&id));
            let host_files = Arc::clone(&self.host_files);
            actix::spawn(async move {
                let _turn = turn.write_owned().await;
                if let Err(failure) = on_thread(move || names::follow_host(&directory, &host_files)).await {
                    tracing::warn!(%failure, %id, "a container keeps the name servers that it had");
                }
            });
        }
    }
}

impl Handler<Release> for Containers {
    type Result = ResponseFuture<Result<(), Failure>>;

    fn handle(&mut self, Release(id): Release, _: &mut Self::Context) -> Self::Result {
        finished(self.release(&id))
    }
}

impl Handler<Reconcile> for Containers {
    type Result = ResponseFuture<Result<(), Failure>>;

    fn handle(&mut self, Reconcile(live): Reconcile, _: &mut Self::Context) -> Self::Result {
        let live: HashSet<ContainerId> = live.into_iter().collect();
        let known = chain::containers(&self.layout);
        let releases: Result<Vec<_>, Failure> =
            known.map(|known| known.iter().filter(|id| !live.contains(*id)).map(|id| self.release(id)).collect());
        finished(async move { try_join_all(releases?).await.map(drop) })
    }
}

/// Has layers unpacked, and keeps them.
async fn ensure(layers: &Addr<Layers>, call: Call, wanted: &[Layer]) -> Result<Vec<Pin>, Failure> {
    try_join_all(wanted.iter().map(|layer| ask(layers, Ensure { call, layer: layer.clone() }))).await
}

/// Lets work be finished also when its caller is gone.
fn finished<T: 'static>(
    work: impl Future<Output = Result<T, Failure>> + 'static,
) -> ResponseFuture<Result<T, Failure>> {
    let task = actix::spawn(work);
    Box::pin(async move { task.await.unwrap_or_else(|error| Err(Failure::internal(error))) })
}

/// Runs work that leaves its thread unfit for anything else.
async fn on_own_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let (sender, answer) = oneshot::channel();
    let span = tracing::Span::current();
    let thread = std::thread::Builder::new().name("mount".to_owned()).spawn(move || {
        // Nobody waits any more if the process is ending.
        let _gone = sender.send(span.in_scope(work));
    });
    thread.map_err(|error| Failure::io("starting a thread", &error))?;
    answer.await.unwrap_or_else(|_| Err(Failure::internal("a thread ended without an answer")))
}
