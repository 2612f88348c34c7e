//! What somebody is handed who is neither admin nor service: the logs of containers that carry a label of his.
//!
//! Of the methods he has those of his verbs (`kit`'s guard); here is decided which logs there are for him. The labels came
//! with `open`, from `containers`: nobody else says what a log belongs to.

use crate::api::Api;
use crate::input::Session;
use crate::logs::no_log;
use schema::access::{Rights, verbs};
use schema::log_collector::{Chunk, From, LogSpec, Server};
use schema::{Call, ContainerId, Failure};
use std::rc::Rc;

/// The served object.
pub(crate) struct Confined {
    api: Api,
    rights: Rc<Rights>,
}

impl Confined {
    pub(crate) fn new(api: Api, rights: Rc<Rights>) -> Self {
        Self { api, rights }
    }

    /// Whether this may be done with a log. One of a container that he does not see is not there for him.
    async fn check(&self, id: &ContainerId, method: &str) -> Result<(), Failure> {
        let labels = self.api.labels(id).await?;
        if !self.rights.see(&labels) {
            return Err(no_log(id));
        }
        if self.rights.allow(verbs(method), &labels) { Ok(()) } else { Err(absent(method)) }
    }
}

/// The capability has no such method, or not for this log.
fn absent(method: &str) -> Failure {
    Failure::permission_denied(format_args!("{method} was not granted")).hint("an admin may grant it in access.toml")
}

impl Server for Confined {
    type Input = Session;

    async fn read(
        &self,
        call: &Call,
        id: ContainerId,
        position: u64,
        max_bytes: u32,
        wait_ms: u32,
        reader: u64,
    ) -> Result<Chunk, Failure> {
        self.check(&id, "log-collector.read").await?;
        // Who may only look must not make a container wait for him.
        let reader = if self.rights.any(verbs("log-collector.openInput")) { reader } else { 0 };
        self.api.read(call, id, position, max_bytes, wait_ms, reader).await
    }

    async fn locate(&self, call: &Call, id: ContainerId, from: From) -> Result<u64, Failure> {
        self.check(&id, "log-collector.locate").await?;
        self.api.locate(call, id, from).await
    }

    async fn open_input(
        &self,
        call: &Call,
        id: ContainerId,
        session: String,
        once: bool,
    ) -> Result<(Session, u64), Failure> {
        self.check(&id, "log-collector.openInput").await?;
        self.api.open_input(call, id, session, once).await
    }

    async fn open(&self, _: &Call, _: ContainerId, _: LogSpec) -> Result<u64, Failure> {
        Err(absent("log-collector.open"))
    }

    async fn remove(&self, _: &Call, _: ContainerId) -> Result<(), Failure> {
        Err(absent("log-collector.remove"))
    }

    async fn reconcile(&self, _: &Call, _: Vec<ContainerId>) -> Result<(), Failure> {
        Err(absent("log-collector.reconcile"))
    }
}
