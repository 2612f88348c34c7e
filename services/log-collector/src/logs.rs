//! The owner of the list of logs.

use crate::capture::Capture;
use crate::compress::Compressor;
use crate::log::{Labels, Log, Open, Remove, Stdin};
use crate::record::LogRecord;
use crate::run::Place;
use crate::settle;
use crate::view::Shared;
use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, MessageResult, ResponseActFuture,
    ResponseFuture, WrapFuture,
};
use kit::actor::ask;
use kit::store::Store;
use schema::{ContainerId, Failure};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

/// The actor.
#[derive(Debug)]
pub(crate) struct Logs {
    /// Holds a directory for each log.
    pub(crate) directory: PathBuf,
    /// All records.
    pub(crate) store: Arc<Store<LogRecord>>,
    /// Captures for all of them.
    pub(crate) capture: Capture,
    /// Compresses for all of them.
    pub(crate) compressor: Compressor,
    /// The logs that exist.
    pub(crate) entries: HashMap<ContainerId, Entry>,
}

/// One log.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its owner.
    pub(crate) log: Addr<Log>,
    /// What its readers need.
    pub(crate) shared: Arc<Shared>,
    /// How often it was opened.
    pub(crate) opened: u64,
}

/// Opens a container's log. Answers the first position of the run.
#[derive(Message)]
#[rtype(result = "Result<u64, Failure>")]
pub(crate) struct OpenLog(pub(crate) ContainerId, pub(crate) Open);

/// Removes a container's log.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct RemoveLog(pub(crate) ContainerId);

/// Asks for the owner of a container's stdin.
#[derive(Message)]
#[rtype(result = "Result<Addr<crate::input::Input>, Failure>")]
pub(crate) struct FindStdin(pub(crate) ContainerId);

/// Asks for the labels of a log's container.
#[derive(Message)]
#[rtype(result = "Result<Vec<String>, Failure>")]
pub(crate) struct FindLabels(pub(crate) ContainerId);

/// Asks for what a reader of a container's log needs.
#[derive(Message)]
#[rtype(result = "Result<Arc<Shared>, Failure>")]
pub(crate) struct Find(pub(crate) ContainerId);

/// Asks for the logs of containers that are not in this list.
#[derive(Message)]
#[rtype(result = "Result<Vec<ContainerId>, Failure>")]
pub(crate) struct Others(pub(crate) Vec<ContainerId>);

/// Asks for what readers need of all logs.
#[derive(Message)]
#[rtype(result = "Vec<(ContainerId, Arc<Shared>)>")]
pub(crate) struct All;

/// Asks for the records of all logs.
#[derive(Message)]
#[rtype(result = "Result<Arc<Store<LogRecord>>, Failure>")]
pub(crate) struct Records;

impl Logs {
    /// Where a container's log is.
    pub(crate) fn place(&self, id: ContainerId) -> Place {
        let shared = Shared::new(self.directory.join(id.as_str()), Some(self.compressor.clone()));
        Place { id, shared, store: Arc::clone(&self.store) }
    }

    /// Makes a log one of ours.
    pub(crate) fn insert(&mut self, id: ContainerId, shared: Arc<Shared>, log: Log) -> &mut Entry {
        let entry = Entry { log: log.start(), shared, opened: 0 };
        self.entries.entry(id).insert_entry(entry).into_mut()
    }

    fn find(&self, id: &ContainerId) -> Result<&Entry, Failure> {
        self.entries.get(id).ok_or_else(|| no_log(id))
    }
}

/// There is no such log.
pub(crate) fn no_log(id: &ContainerId) -> Failure {
    Failure::not_found(format_args!("no log of container {}", id.short()))
}

impl Actor for Logs {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        actix::spawn(settle::run(ctx.address()));
    }
}

impl Handler<All> for Logs {
    type Result = MessageResult<All>;

    fn handle(&mut self, _: All, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.entries.iter().map(|(id, entry)| (id.clone(), Arc::clone(&entry.shared))).collect())
    }
}

impl Handler<Records> for Logs {
    type Result = Result<Arc<Store<LogRecord>>, Failure>;

    fn handle(&mut self, _: Records, _: &mut Context<Self>) -> Self::Result {
        Ok(Arc::clone(&self.store))
    }
}

impl Handler<OpenLog> for Logs {
    type Result = ResponseFuture<Result<u64, Failure>>;

    fn handle(&mut self, OpenLog(id, open): OpenLog, _: &mut Context<Self>) -> Self::Result {
        if !self.entries.contains_key(&id) {
            let place = self.place(id.clone());
            let log = Log::new(place.clone(), self.capture.clone());
            self.insert(id.clone(), place.shared, log);
        }
        let Some(entry) = self.entries.get_mut(&id) else {
            return Box::pin(async move { Err(no_log(&id)) });
        };
        entry.opened += 1;
        let log = entry.log.clone();
        Box::pin(async move { ask(&log, open).await })
    }
}

impl Handler<RemoveLog> for Logs {
    type Result = ResponseActFuture<Self, Result<(), Failure>>;

    fn handle(&mut self, RemoveLog(id): RemoveLog, _: &mut Context<Self>) -> Self::Result {
        let Some(entry) = self.entries.get(&id) else { return Box::pin(async { Ok(()) }.into_actor(self)) };
        let (log, opened) = (entry.log.clone(), entry.opened);
        let work = async move { ask(&log, Remove).await }.into_actor(self);
        Box::pin(work.map(move |outcome, this, _| {
            outcome?;
            // Unless it was opened again meanwhile.
            if this.entries.get(&id).is_some_and(|entry| entry.opened == opened) {
                this.entries.remove(&id);
            }
            Ok(())
        }))
    }
}

impl Handler<FindStdin> for Logs {
    type Result = ResponseFuture<Result<Addr<crate::input::Input>, Failure>>;

    fn handle(&mut self, FindStdin(id): FindStdin, _: &mut Context<Self>) -> Self::Result {
        let log = self.find(&id).map(|entry| entry.log.clone());
        Box::pin(async move { ask(&log?, Stdin).await })
    }
}

impl Handler<FindLabels> for Logs {
    type Result = ResponseFuture<Result<Vec<String>, Failure>>;

    fn handle(&mut self, FindLabels(id): FindLabels, _: &mut Context<Self>) -> Self::Result {
        let log = self.find(&id).map(|entry| entry.log.clone());
        Box::pin(async move { ask(&log?, Labels).await })
    }
}

impl Handler<Find> for Logs {
    type Result = Result<Arc<Shared>, Failure>;

    fn handle(&mut self, Find(id): Find, _: &mut Context<Self>) -> Self::Result {
        self.find(&id).map(|entry| Arc::clone(&entry.shared))
    }
}

impl Handler<Others> for Logs {
    type Result = Result<Vec<ContainerId>, Failure>;

    fn handle(&mut self, Others(live): Others, _: &mut Context<Self>) -> Self::Result {
        let live: HashSet<ContainerId> = live.into_iter().collect();
        Ok(self.entries.keys().filter(|id| !live.contains(id)).cloned().collect())
    }
}
