//! Removing layers that neither an image nor a container needs, and looking at those that are needed.

use super::record::Record;
use super::{Layers, State};
use crate::chain;
use crate::layout::Layout;
use crate::mount;
use crate::trash::{Taken, Trash};
use actix::{Addr, Context, Handler, Message, MessageResult};
use kit::actor::{ask, on_thread};
use kit::store::Store;
use schema::common::{CheckReport, Problem};
use schema::image_store::Client;
use schema::{Call, ContainerId, Digest, Failure};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How long the image store is asked to wait for a change.
const WAIT_MS: u32 = 60_000;
const PATIENCE: Duration = Duration::from_secs(120);
/// Between attempts, if the image store cannot be asked.
const PAUSE: Duration = Duration::from_secs(10);
const HINT: &str = "`cctl system check --repair` has it unpacked anew, when no container runs on it";
const AGAIN: &str = "it is unpacked anew when it is needed next";

/// What a sweep works with.
#[derive(Clone)]
pub(crate) struct Sweeper {
    pub(crate) layers: Addr<Layers>,
    pub(crate) layout: Layout,
    pub(crate) trash: Arc<Trash>,
    pub(crate) images: Client,
    /// Wakes the sweeper when a container is gone.
    pub(crate) released: Arc<Notify>,
}

/// Which layers are there, and when this was asked.
#[derive(Message)]
#[rtype(result = "(HashSet<Digest>, u64)")]
struct Known;

/// Move away layers that are not needed and that nobody has used since.
#[derive(Message)]
#[rtype(result = "Result<Vec<Taken>, Failure>")]
struct Sweep {
    needed: HashSet<Digest>,
    since: u64,
}

/// Move away a layer that is not as it was unpacked, if nobody uses it, or has since, and none of the containers that
/// run needs it.
#[derive(Message)]
#[rtype(result = "Result<Option<Taken>, Failure>")]
struct Mend {
    diff_id: Digest,
    since: u64,
    running: Vec<ContainerId>,
}

/// Layers that are to stay.
struct Needed {
    all: HashSet<Digest>,
    /// Those that images need.
    of_images: HashSet<Digest>,
}

impl Sweeper {
    /// Sweeps at the start, whenever an image is gone, and when a container is that may have been the last to need a layer.
    pub(crate) async fn run(self) {
        let (mut seen, mut kept) = (0, HashSet::new());
        loop {
            if let Err(failure) = self.turn(&mut seen, &mut kept).await {
                tracing::warn!(%failure, "layers that nobody needs stay for now");
                tokio::time::sleep(PAUSE).await;
                self.released.notify_one();
            }
        }
    }

    /// Waits until there may be something to sweep, and does. `kept` is what images need, by the list of `seen`: of more
    /// images it may be too little, and what they lose is told.
    async fn turn(&self, seen: &mut u64, kept: &mut HashSet<Digest>) -> Result<(), Failure> {
        let call = Call::within(PATIENCE);
        let changed = self.images.changed(&call, *seen, WAIT_MS);
        tokio::pin!(changed);
        let number = loop {
            tokio::select! {
                number = &mut changed => match number? {
                    number if number == *seen => return Ok(()),
                    number => break number,
                },
                // Most layers belong to images: then no container's end is a reason to look at all others.
                () = self.released.notified() => if !self.known().await?.0.is_subset(kept) {
                    break *seen;
                },
            }
        };
        *kept = self.sweep(&Call::within(PATIENCE)).await?.of_images;
        *seen = number;
        Ok(())
    }

    /// The layers that are there, and the time by which that is so.
    async fn known(&self) -> Result<(HashSet<Digest>, u64), Failure> {
        self.layers.send(Known).await.map_err(Failure::internal)
    }

    async fn sweep(&self, call: &Call) -> Result<Needed, Failure> {
        let (known, since) = self.known().await?;
        let of_images: HashSet<Digest> = self
            .images
            .list(call)
            .await?
            .into_iter()
            .flat_map(|image| image.layers)
            .map(|layer| layer.diff_id)
            .collect();
        let layout = self.layout.clone();
        let chains = on_thread(move || chain::all(&layout)).await?;
        if let Some(id) = chains.unknown.first() {
            tracing::info!(%id, "nothing is swept: it is not known which layers this container needs");
            return Ok(Needed { all: known, of_images });
        }
        let all: HashSet<Digest> = of_images.iter().cloned().chain(chains.needed).collect();
        let taken = ask(&self.layers, Sweep { needed: all.clone(), since }).await?;
        let trash = Arc::clone(&self.trash);
        on_thread(move || taken.iter().try_for_each(|taken| trash.remove(taken))).await?;
        Ok(Needed { all, of_images })
    }

    /// Looks at every layer that is needed. With `repair`, those that are not as they were unpacked go, if that harms
    /// nobody.
    pub(crate) async fn check(
        &self,
        call: &Call,
        repair: bool,
        running: Vec<ContainerId>,
    ) -> Result<CheckReport, Failure> {
        let (_, since) = self.known().await?;
        let needed = self.sweep(call).await?.all;
        let (known, _) = self.known().await?;
        let layout = self.layout.clone();
        let Looked { mut report, damaged } = on_thread(move || look(&layout, &known, &needed)).await?;
        let blobs = if repair && !damaged.is_empty() { self.blobs(call).await? } else { HashMap::new() };
        let others = std::mem::take(&mut report.problems);
        for (diff_id, damage) in damaged {
            let object = format!("layer {diff_id}");
            if !repair {
                report.problems.push(Problem::new(object, damage, HINT));
                continue;
            }
            match self.mend(call, &diff_id, blobs.get(&diff_id), since, &running).await {
                Ok(()) => report.repaired.push(Problem::new(object, format!("{damage}: {AGAIN}"), "")),
                Err(reason) => {
                    report.problems.push(Problem::new(object, format!("{damage}; {}", reason.message), reason.hint));
                }
            }
        }
        report.problems.extend(others);
        Ok(report)
    }

    /// Which blob each layer of an image is unpacked from.
    async fn blobs(&self, call: &Call) -> Result<HashMap<Digest, Digest>, Failure> {
        let images = self.images.list(call).await?;
        Ok(images.into_iter().flat_map(|image| image.layers).map(|layer| (layer.diff_id, layer.digest)).collect())
    }

    /// Removes a layer that can be unpacked again. Fails if that would harm somebody.
    async fn mend(
        &self,
        call: &Call,
        diff_id: &Digest,
        blob: Option<&Digest>,
        since: u64,
        running: &[ContainerId],
    ) -> Result<(), Failure> {
        let Some(blob) = blob else {
            return Err(Failure::not_found("no image has it any more").hint("remove the containers that use it"));
        };
        self.images.blob(call, blob).await.map_err(|failure| {
            failure.hint("bring the image again first; what is unpacked is left as it is until then")
        })?;
        let taken = ask(&self.layers, Mend { diff_id: diff_id.clone(), since, running: running.to_vec() }).await?;
        let trash = Arc::clone(&self.trash);
        on_thread(move || taken.iter().try_for_each(|taken| trash.remove(taken))).await
    }
}

impl Handler<Known> for Layers {
    type Result = MessageResult<Known>;

    fn handle(&mut self, _: Known, _: &mut Context<Self>) -> Self::Result {
        let ready = self.table.iter().filter(|(_, state)| matches!(state, State::Ready));
        MessageResult((ready.map(|(diff_id, _)| diff_id.clone()).collect(), self.clock))
    }
}

impl Handler<Sweep> for Layers {
    type Result = Result<Vec<Taken>, Failure>;

    fn handle(&mut self, Sweep { needed, since }: Sweep, _: &mut Context<Self>) -> Self::Result {
        let is_free = |diff_id: &Digest| {
            let users = self.users.get(diff_id);
            !needed.contains(diff_id) && users.is_none_or(|users| users.pins == 0 && users.last <= since)
        };
        let free: Vec<Digest> = self
            .table
            .iter()
            .filter(|(diff_id, state)| matches!(state, State::Ready) && is_free(diff_id))
            .map(|(diff_id, _)| diff_id.clone())
            .collect();
        let mut taken = Vec::new();
        for diff_id in free {
            taken.extend(self.trash.take(&self.layout.layer(&diff_id))?);
            self.table.remove(&diff_id);
            self.users.remove(&diff_id);
            self.records.drop_record(diff_id.hex())?;
            tracing::info!(%diff_id, "a layer that nobody needs is removed");
        }
        Ok(taken)
    }
}

impl Handler<Mend> for Layers {
    type Result = Result<Option<Taken>, Failure>;

    fn handle(&mut self, Mend { diff_id, since, running }: Mend, _: &mut Context<Self>) -> Self::Result {
        let users = self.users.get(&diff_id);
        if users.is_some_and(|users| users.pins > 0 || users.last > since) {
            return Err(Failure::conflict("it has just been used").hint("try again when no container is being started"));
        }
        if let Some(id) = user(&self.layout, &diff_id, &running)? {
            let id = id.short();
            return Err(Failure::conflict(format_args!("container {id} runs on it"))
                .hint(format_args!("`cctl stop {id}`, then `cctl system check --repair` again")));
        }
        // The layer first: without its record it would be believed to be from before there were records.
        let taken = self.trash.take(&self.layout.layer(&diff_id))?;
        self.table.remove(&diff_id);
        self.users.remove(&diff_id);
        self.records.drop_record(diff_id.hex())?;
        tracing::warn!(%diff_id, "a layer that is not as it was unpacked is removed");
        Ok(taken)
    }
}

/// A container that may run on a layer.
fn user(layout: &Layout, diff_id: &Digest, running: &[ContainerId]) -> Result<Option<ContainerId>, Failure> {
    for (id, chain) in chain::each(layout)? {
        let needs_it = chain.is_none_or(|chain| chain.contains(diff_id));
        if needs_it && (running.contains(&id) || mount::is_held(layout, &id)?) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// What was found: the report without the layers that are damaged, and these.
struct Looked {
    report: CheckReport,
    /// Each with what is wrong with it.
    damaged: Vec<(Digest, String)>,
}

fn look(layout: &Layout, known: &HashSet<Digest>, needed: &HashSet<Digest>) -> Result<Looked, Failure> {
    let (mut report, mut damaged) = (CheckReport::default(), Vec::new());
    let records: Store<Record> = super::records(layout)?;
    let recorded: HashMap<String, Result<Record, String>> =
        records.verify()?.into_iter().map(|(name, _, record)| (name, record)).collect();
    for diff_id in known {
        if !needed.contains(diff_id) {
            report.problems.push(Problem::new(
                format!("layer {diff_id}"),
                "no image and no container needs it",
                "it is removed when it is no longer in use",
            ));
            continue;
        }
        let damage = match (Record::of(&layout.layer(diff_id)), recorded.get(diff_id.hex())) {
            (Err(failure), _) => failure.message,
            (Ok(_), None) => "there is no record that it is complete".to_owned(),
            (Ok(_), Some(Err(damage))) => format!("its record is damaged: {damage}"),
            (Ok(found), Some(Ok(expected))) => {
                report.examined += found.entries;
                report.bytes += found.bytes;
                if found == *expected {
                    continue;
                }
                let (entries, bytes) = (expected.entries, expected.bytes);
                format!(
                    "it is not as it was unpacked: {} entries of {} bytes instead of {entries} of {bytes}, or others",
                    found.entries, found.bytes
                )
            }
        };
        damaged.push((diff_id.clone(), damage));
    }
    for (object, message) in strangers(layout, known)? {
        report.problems.push(Problem::new(object, message, "remove it by hand"));
    }
    report.owners = chain::containers(layout)?.into_iter().collect();
    let layers = records.quarantined()?.into_iter().map(|record| ("layer", record));
    let chains = chain::quarantined(layout)?.into_iter().map(|record| ("chain", record));
    for (kind, (name, kept)) in layers.chain(chains) {
        let message = format!("it was damaged, and is kept in {}", kept.display());
        let hint = format!("nothing depends on that file: `rm {}`", kept.display());
        report.kept.push(Problem::new(format!("record {kind} {name}"), message, hint));
    }
    Ok(Looked { report, damaged })
}

/// What lies among the layers and containers and is neither.
fn strangers(layout: &Layout, known: &HashSet<Digest>) -> Result<Vec<(String, String)>, Failure> {
    let mut strangers = Vec::new();
    for (directory, is_ours) in [
        (layout.layers(), &(|name: &str| super::is_unfinished(name) || is_layer(name, known)) as &dyn Fn(&str) -> bool),
        (layout.containers(), &|name| name.parse::<schema::ContainerId>().is_ok()),
    ] {
        let failed = |error| Failure::io(format_args!("reading {}", directory.display()), &error);
        for entry in std::fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if !is_ours(&entry.file_name().to_string_lossy()) {
                strangers.push((format!("file {}", entry.path().display()), "it belongs to nobody".to_owned()));
            }
        }
    }
    Ok(strangers)
}

fn is_layer(name: &str, known: &HashSet<Digest>) -> bool {
    format!("sha256:{name}").parse().is_ok_and(|diff_id| known.contains(&diff_id))
}
