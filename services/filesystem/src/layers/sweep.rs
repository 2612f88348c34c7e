//! Removing layers that neither an image nor a container needs, and looking at those that are needed.

use super::record::Record;
use super::{Layers, State};
use crate::chain;
use crate::layout::Layout;
use crate::trash::{Taken, Trash};
use actix::{Addr, Context, Handler, Message, MessageResult};
use kit::actor::{ask, on_thread};
use kit::store::Store;
use schema::common::{CheckReport, Problem};
use schema::image_store::Client;
use schema::{Call, Digest, Failure};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How long the image store is asked to wait for a change.
const WAIT_MS: u32 = 60_000;
const PATIENCE: Duration = Duration::from_secs(120);
/// Between attempts, if the image store cannot be asked.
const PAUSE: Duration = Duration::from_secs(10);
const HINT: &str = "remove the image and the containers that use it, then pull it again";

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

impl Sweeper {
    /// Sweeps at the start, and whenever an image or a container is gone.
    pub(crate) async fn run(self) {
        let mut seen = 0;
        loop {
            let call = Call::within(PATIENCE);
            let swept = tokio::select! {
                changed = self.images.changed(&call, seen, WAIT_MS) => match changed {
                    Ok(number) if number == seen => continue,
                    Ok(number) => {
                        seen = number;
                        self.sweep(&call).await
                    }
                    Err(failure) => Err(failure),
                },
                () = self.released.notified() => self.sweep(&call).await,
            };
            if let Err(failure) = swept {
                tracing::warn!(%failure, "layers that nobody needs stay for now");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn sweep(&self, call: &Call) -> Result<HashSet<Digest>, Failure> {
        let (known, since) = self.layers.send(Known).await.map_err(Failure::internal)?;
        let mut needed: HashSet<Digest> = HashSet::new();
        for image in self.images.list(call).await? {
            needed.extend(image.layers.into_iter().map(|layer| layer.diff_id));
        }
        let layout = self.layout.clone();
        let chains = on_thread(move || chain::all(&layout)).await?;
        if let Some(id) = chains.unknown.first() {
            tracing::info!(%id, "nothing is swept: it is not known which layers this container needs");
            return Ok(known);
        }
        needed.extend(chains.needed);
        let taken = ask(&self.layers, Sweep { needed: needed.clone(), since }).await?;
        let trash = Arc::clone(&self.trash);
        on_thread(move || taken.iter().try_for_each(|taken| trash.remove(taken))).await?;
        Ok(needed)
    }

    /// Looks at every layer that is needed.
    pub(crate) async fn check(&self, call: &Call) -> Result<CheckReport, Failure> {
        let needed = self.sweep(call).await?;
        let (known, _) = self.layers.send(Known).await.map_err(Failure::internal)?;
        let layout = self.layout.clone();
        on_thread(move || check(&layout, &known, &needed)).await
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

fn check(layout: &Layout, known: &HashSet<Digest>, needed: &HashSet<Digest>) -> Result<CheckReport, Failure> {
    let mut report = CheckReport::default();
    let records: Store<Record> = super::records(layout)?;
    let recorded: HashMap<String, Result<Record, String>> =
        records.verify()?.into_iter().map(|(name, _, record)| (name, record)).collect();
    let mut problem = |object: String, message: String, hint: &str| {
        report.problems.push(Problem { object, message, hint: hint.to_owned() });
    };
    let mut read = (0, 0);
    for diff_id in known {
        let object = || format!("layer {diff_id}");
        if !needed.contains(diff_id) {
            problem(
                object(),
                "no image and no container needs it".to_owned(),
                "it is removed when it is no longer in use",
            );
            continue;
        }
        match (Record::of(&layout.layer(diff_id)), recorded.get(diff_id.hex())) {
            (Err(failure), _) => problem(object(), failure.message, HINT),
            (Ok(_), None) => problem(object(), "there is no record that it is complete".to_owned(), HINT),
            (Ok(_), Some(Err(damage))) => problem(object(), format!("its record is damaged: {damage}"), HINT),
            (Ok(found), Some(Ok(expected))) => {
                read = (read.0 + found.entries, read.1 + found.bytes);
                if found != *expected {
                    let (entries, bytes) = (expected.entries, expected.bytes);
                    let message = format!(
                        "it is not as it was unpacked: {} entries of {} bytes instead of {entries} of {bytes}, or others",
                        found.entries, found.bytes
                    );
                    problem(object(), message, HINT);
                }
            }
        }
    }
    for (object, message) in strangers(layout, known)? {
        problem(object, message, "remove it by hand");
    }
    (report.examined, report.bytes) = read;
    Ok(report)
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
