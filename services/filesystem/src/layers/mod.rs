//! The owner of the table of unpacked layers: each is unpacked once, whoever asks for it meanwhile.

mod record;
mod sweep;
mod unsynced;

pub(crate) use sweep::Sweeper;

use crate::layout::{Layout, make_directory};
use crate::trash::Trash;
use crate::unpack::Unpacker;
use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture};
use kit::actor::on_thread;
use kit::store::{Durability, Store};
use record::Record;
use schema::common::Layer;
use schema::image_store::Client;
use schema::{Call, Digest, Failure};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use tracing::Instrument;

const UNFINISHED: &str = ".tmp-";
/// How long the image store may take to say where a blob is.
const PATIENCE: Duration = Duration::from_secs(60);

/// The actor.
pub(crate) struct Layers {
    layout: Layout,
    trash: Arc<Trash>,
    images: Client,
    unpacker: Unpacker,
    records: Store<Record>,
    table: HashMap<Digest, State>,
    users: HashMap<Digest, Users>,
    /// Grows with every use of a layer.
    clock: u64,
    /// Bounds how many are unpacked at a time.
    slots: Arc<Semaphore>,
    attempts: u64,
    /// Layers that may not be on the disk yet, and the attempt that unpacked them; also those that are gone since, which may
    /// not be gone on the disk.
    unsynced: HashMap<Digest, u64>,
    is_syncing: bool,
    /// Open before anything is written: it hears of every write that fails.
    directory: Arc<File>,
}

enum State {
    Ready,
    Unpacking(Vec<oneshot::Sender<Result<(), Failure>>>),
}

/// Who needs a layer for the moment.
#[derive(Default)]
struct Users {
    pins: u32,
    /// When the last one came or went.
    last: u64,
}

/// Keeps a layer from being removed.
#[derive(Debug)]
pub(crate) struct Pin {
    layers: Addr<Layers>,
    diff_id: Digest,
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.layers.do_send(Unpin(self.diff_id.clone()));
    }
}

#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Unpin(Digest);

/// See to it that this layer is unpacked, and stays as long as the answer is kept.
#[derive(Debug, Message)]
#[rtype(result = "Result<Pin, Failure>")]
pub(crate) struct Ensure {
    pub(crate) call: Call,
    pub(crate) layer: Layer,
}

impl Layers {
    /// Reads which layers are there, and moves away what a killed process left half unpacked.
    pub(crate) fn recover(
        layout: Layout,
        trash: Arc<Trash>,
        images: Client,
        unpacker: Unpacker,
    ) -> Result<Self, Failure> {
        let failed = |error| Failure::io(format_args!("reading {}", layout.layers().display()), &error);
        let records = records(&layout)?;
        let unsynced = unsynced::recover(&layout, &trash, &records)?;
        let directory = Arc::new(File::open(layout.layers()).map_err(failed)?);
        let mut table = HashMap::new();
        for entry in fs::read_dir(layout.layers()).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            match format!("sha256:{}", entry.file_name().to_string_lossy()).parse() {
                Ok(diff_id) => drop(table.insert(diff_id, State::Ready)),
                Err(_) if is_unfinished(&entry.file_name().to_string_lossy()) => drop(trash.take(&entry.path())?),
                Err(_) => tracing::warn!(path = %entry.path().display(), "something that is no layer is left alone"),
            }
        }
        let (recorded, _damaged) = records.load()?;
        for (name, _) in &recorded {
            if !layout.layers().join(name).exists() {
                records.drop_record(name)?;
            }
        }
        let slots = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            layout,
            trash,
            images,
            unpacker,
            records,
            table,
            users: HashMap::new(),
            clock: 0,
            slots: Arc::new(Semaphore::new(slots)),
            attempts: 0,
            unsynced: unsynced.into_iter().map(|diff_id| (diff_id, 0)).collect(),
            is_syncing: false,
            directory,
        })
    }

    fn pin(&mut self, diff_id: &Digest, layers: Addr<Self>) -> Pin {
        let clock = self.tick();
        let users = self.users.entry(diff_id.clone()).or_default();
        (users.pins, users.last) = (users.pins + 1, clock);
        Pin { layers, diff_id: diff_id.clone() }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// The work belongs to the actor, not to the call: it goes on when the caller is gone.
    fn begin(&mut self, call: Call, layer: Layer, context: &mut Context<Self>) {
        self.attempts += 1;
        let target = self.layout.layer(&layer.diff_id);
        let unfinished = self.layout.layers().join(format!("{}{UNFINISHED}{}", layer.diff_id.hex(), self.attempts));
        self.unsynced.insert(layer.diff_id.clone(), self.attempts);
        let (images, slots, trash) = (self.images.clone(), Arc::clone(&self.slots), Arc::clone(&self.trash));
        let (layout, unpacker) = (self.layout.clone(), self.unpacker.clone());
        let diff_id = layer.diff_id.clone();
        let work = async move {
            let _slot = slots.acquire_owned().await.map_err(Failure::internal)?;
            let blob = images.blob(&call.limited(PATIENCE), &layer.digest).await?;
            on_thread(move || {
                complete(&layout, &unpacker, &layer, &blob.path, [&unfinished, &target])
                    .inspect_err(|_| discard(&trash, &unfinished))
            })
            .await
        };
        let work = work.instrument(call.span("unpack"));
        context.spawn(work.into_actor(self).map(move |result, layers, context| {
            layers.finish(diff_id, &result);
            layers.sync(kit::soon::WITHIN, context);
        }));
    }

    /// Has layers written to the disk, a while from now: those that are unpacked until then, at once.
    fn sync(&mut self, after: Duration, context: &mut Context<Self>) {
        if !self.is_syncing && !self.unsynced.is_empty() {
            self.is_syncing = true;
            context.run_later(after, |layers, context| layers.sync_now(context));
        }
    }

    fn sync_now(&self, context: &mut Context<Self>) {
        let known = self.unsynced.iter().filter(|(diff_id, _)| self.is_settled(diff_id));
        let synced: Vec<(Digest, u64)> = known.map(|(diff_id, attempt)| (diff_id.clone(), *attempt)).collect();
        let directory = Arc::clone(&self.directory);
        let work = on_thread(move || unsynced::sync(&directory));
        context.spawn(work.into_actor(self).map(move |result, layers, context| {
            layers.is_syncing = false;
            // The kernel tells once that something is lost.
            let change = if result.is_ok() { unsynced::unmark } else { unsynced::mark_lost };
            if let Err(failure) = result.and(layers.change_marks(&synced, change)) {
                tracing::error!(%failure, "layers are not on the disk: after the next boot, they are unpacked again");
            }
            // Those that are being unpacked come back when they are.
            if layers.unsynced.keys().any(|left| layers.is_settled(left)) {
                layers.sync(kit::soon::WITHIN, context);
            }
        }));
    }

    /// Whether a layer is there or gone, and not about to change.
    fn is_settled(&self, diff_id: &Digest) -> bool {
        !matches!(self.table.get(diff_id), Some(State::Unpacking(_)))
    }

    /// Changes marks for the last time. Those that were unpacked again meanwhile keep theirs.
    fn change_marks(
        &mut self,
        of: &[(Digest, u64)],
        change: fn(&Layout, &Digest) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut result = Ok(());
        for (diff_id, attempt) in of {
            if self.unsynced.get(diff_id) == Some(attempt) {
                self.unsynced.remove(diff_id);
                result = result.and(change(&self.layout, diff_id));
            }
        }
        result
    }

    fn finish(&mut self, diff_id: Digest, result: &Result<(), Failure>) {
        let before = match result {
            Ok(()) => self.table.insert(diff_id, State::Ready),
            Err(_) => self.table.remove(&diff_id),
        };
        if let Some(State::Unpacking(waiters)) = before {
            for waiter in waiters {
                // A caller that is gone needs no answer.
                let _gone = waiter.send(result.clone());
            }
        }
    }
}

impl Actor for Layers {
    type Context = Context<Self>;

    /// Layers that were unpacked before there were records get one, and those that are not on the disk get there.
    fn started(&mut self, context: &mut Self::Context) {
        self.sync(kit::soon::WITHIN, context);
        let recorded: HashSet<String> = match self.records.verify() {
            Ok(records) => records.into_iter().map(|(name, _, _)| name).collect(),
            Err(failure) => return tracing::warn!(%failure, "the records of layers are not read"),
        };
        let missing: Vec<Digest> = self.table.keys().filter(|known| !recorded.contains(known.hex())).cloned().collect();
        let layout = self.layout.clone();
        actix::spawn(async move {
            let record = move |diff_id: &Digest| {
                records(&layout)?.put(diff_id.hex(), &Record::of(&layout.layer(diff_id))?, Durability::Process)
            };
            if let Err(failure) = on_thread(move || missing.iter().try_for_each(record)).await {
                tracing::warn!(%failure, "a layer has no record");
            }
        });
    }
}

impl Handler<Ensure> for Layers {
    type Result = ResponseFuture<Result<Pin, Failure>>;

    fn handle(&mut self, Ensure { call, layer }: Ensure, context: &mut Self::Context) -> Self::Result {
        let pin = self.pin(&layer.diff_id, context.address());
        let (waiter, answer) = oneshot::channel();
        match self.table.get_mut(&layer.diff_id) {
            Some(State::Ready) => return Box::pin(std::future::ready(Ok(pin))),
            Some(State::Unpacking(waiters)) => waiters.push(waiter),
            None => {
                self.table.insert(layer.diff_id.clone(), State::Unpacking(vec![waiter]));
                self.begin(call, layer, context);
            }
        }
        Box::pin(async move {
            let unpacked = answer.await;
            unpacked.unwrap_or_else(|_| Err(Failure::internal("unpacking ended without an answer"))).map(|()| pin)
        })
    }
}

impl Handler<Unpin> for Layers {
    type Result = ();

    fn handle(&mut self, Unpin(diff_id): Unpin, _: &mut Self::Context) {
        let clock = self.tick();
        if let Some(users) = self.users.get_mut(&diff_id) {
            (users.pins, users.last) = (users.pins.saturating_sub(1), clock);
        }
    }
}

/// Unpacks under a temporary name; the layer has its own name once it is whole. It is marked until it is on the disk.
fn complete(
    layout: &Layout,
    unpacker: &Unpacker,
    layer: &Layer,
    blob: &Path,
    [unfinished, target]: [&Path; 2],
) -> Result<(), Failure> {
    let started = std::time::Instant::now();
    std::thread::scope(|scope| {
        // The disk takes its time.
        let marking = scope.spawn(|| unsynced::mark(layout, &layer.diff_id));
        make_directory(unfinished)?;
        unpacker.unpack(layer, blob, unfinished)?;
        records(layout)?.put(layer.diff_id.hex(), &Record::of(unfinished)?, Durability::Process)?;
        marking.join().unwrap_or_else(|_| Err(Failure::internal("a thread ended early")))
    })?;
    fs::rename(unfinished, target)
        .map_err(|error| Failure::io(format_args!("storing {}", target.display()), &error))?;
    tracing::info!(diff_id = %layer.diff_id, took = ?started.elapsed(), "unpacked");
    Ok(())
}

fn records(layout: &Layout) -> Result<Store<Record>, Failure> {
    Store::open_volatile(layout.records(), "layer", 1)
}

/// Whether this is the name of a layer that is being unpacked.
fn is_unfinished(name: &str) -> bool {
    name.split_once(UNFINISHED).is_some_and(|(diff_id, _)| format!("sha256:{diff_id}").parse::<Digest>().is_ok())
}

fn discard(trash: &Trash, unfinished: &Path) {
    if let Err(failure) = trash.discard(unfinished) {
        tracing::warn!(%failure, "a half unpacked layer stays until the next start");
    }
}
