//! A typed client of the log collector.

use super::model::{Chunk, From, LogSpec, PartList, Total};
use crate::bindings::log_collector_capnp::{input_session, log_collector};
use crate::common::CheckReport;
use crate::link::{Link, is_lost, within};
use crate::rpc::request;
use crate::wire::{Wire, length, list, read_outcome, set_ids};
use crate::{Call, ContainerId, Failure, Instance};
use std::cell::RefCell;
use std::future::Future;

/// The log collector, as its callers see it. Each method is described in the contract.
#[derive(Clone)]
pub struct Client {
    link: Link<log_collector::Client>,
}

impl Client {
    /// A client of an instance's log collector; connects at the first call.
    pub fn new(instance: &Instance) -> Self {
        Self { link: Link::new(super::SERVICE, instance.socket(super::SERVICE)) }
    }

    /// Begins to capture a run; answers its first position.
    pub async fn open(&self, call: &Call, id: &ContainerId, spec: &LogSpec) -> Result<u64, Failure> {
        request!(
            self,
            call,
            open_request,
            |params| {
                params.set_id(id.as_str());
                spec.write(params.reborrow().init_spec());
            },
            |answer| Ok(answer.get_position())
        )
        .await
    }

    /// Output from a position on.
    pub async fn read(
        &self,
        call: &Call,
        id: &ContainerId,
        position: u64,
        max_bytes: u32,
        wait_ms: u32,
    ) -> Result<Chunk, Failure> {
        self.read_attached(call, id, position, max_bytes, wait_ms, 0).await
    }

    /// The same for an attached client, whom a container that is faster waits for. `reader` is random, and the
    /// same for all of its calls.
    pub async fn read_attached(
        &self,
        call: &Call,
        id: &ContainerId,
        position: u64,
        max_bytes: u32,
        wait_ms: u32,
        reader: u64,
    ) -> Result<Chunk, Failure> {
        request!(
            look: self,
            call,
            read_request,
            |params| {
                params.set_id(id.as_str());
                params.set_position(position);
                params.set_max_bytes(max_bytes);
                params.set_wait_ms(wait_ms);
                params.set_reader(reader);
            },
            Chunk::read
        )
        .await
    }

    /// The position at which a part of the log begins.
    pub async fn locate(&self, call: &Call, id: &ContainerId, from: From) -> Result<u64, Failure> {
        request!(
            look: self,
            call,
            locate_request,
            |params| {
                params.set_id(id.as_str());
                from.write(params.reborrow().init_from());
            },
            |answer| Ok(answer.get_position())
        )
        .await
    }

    /// Forgets a log.
    pub async fn remove(&self, call: &Call, id: &ContainerId) -> Result<(), Failure> {
        request!(
            self,
            call,
            remove_request,
            |params| {
                params.set_id(id.as_str());
            },
            |_| Ok(())
        )
        .await
    }

    /// Removes logs of no live container.
    pub async fn reconcile(&self, call: &Call, live: &[ContainerId]) -> Result<(), Failure> {
        request!(
            self,
            call,
            reconcile_request,
            |params| {
                set_ids(params.reborrow().init_live(length(live)), live);
            },
            |_| Ok(())
        )
        .await
    }

    /// Attaches to a container's stdin. `session` is random and belongs to this input alone; with `once`, its
    /// end is the end of the container's stdin.
    pub fn input<'a>(&'a self, id: &'a ContainerId, session: &'a str, once: bool) -> Input<'a> {
        Input { client: self, id, session, once, open: RefCell::new(None) }
    }

    /// Names what is kept of logs, and what of it is damaged.
    pub async fn check(&self, call: &Call, repair: bool) -> Result<CheckReport, Failure> {
        request!(self, call, check_request, |params| params.set_repair(repair), CheckReport::read).await
    }

    /// How much each log has taken.
    pub async fn totals(&self, call: &Call) -> Result<Vec<Total>, Failure> {
        request!(self, call, totals_request, |params| {}, |answer| list(answer.get_totals())).await
    }

    /// Output from a position on, by where it is: for root, on the collector's host. `reader` as for
    /// [`read_attached`](Self::read_attached).
    pub async fn parts(
        &self,
        call: &Call,
        id: &ContainerId,
        position: u64,
        max_bytes: u64,
        wait_ms: u32,
        reader: u64,
    ) -> Result<PartList, Failure> {
        request!(
            look: self,
            call,
            parts_request,
            |params| {
                params.set_id(id.as_str());
                params.set_position(position);
                params.set_max_bytes(max_bytes);
                params.set_wait_ms(wait_ms);
                params.set_reader(reader);
            },
            PartList::read
        )
        .await
    }
}

/// The sending side of a container's stdin: survives restarts of the log collector, and sends no byte twice.
pub struct Input<'a> {
    client: &'a Client,
    id: &'a ContainerId,
    session: &'a str,
    once: bool,
    /// The session as last opened. It ends with its connection.
    open: RefCell<Option<input_session::Client>>,
}

impl Input<'_> {
    /// Attaches; answers how many bytes of this session the container's pipe already has.
    pub async fn open(&self, call: &Call) -> Result<u64, Failure> {
        let (session, accepted) = self
            .client
            .link
            .call(call, |attempt| {
                let mut request = attempt.client.open_input_request();
                let mut params = request.get();
                call.write(params.reborrow().init_call());
                params.set_id(self.id.as_str());
                params.set_session(self.session);
                params.set_once(self.once);
                async move {
                    let response = request.send().promise.await?;
                    Ok(read_outcome(response.get()?.get_outcome()?, |input| {
                        Ok((input.get_session()?, input.get_accepted()))
                    }))
                }
            })
            .await?;
        *self.open.borrow_mut() = Some(session);
        Ok(accepted)
    }

    /// Sends bytes of the session from `offset` on, at most 64 KiB; answers when all are in the container's
    /// pipe, with the number of bytes that the session has sent in all.
    pub async fn write(&self, call: &Call, offset: u64, data: &[u8]) -> Result<u64, Failure> {
        self.retried(call, |session| {
            let mut request = session.write_request();
            let mut params = request.get();
            call.write(params.reborrow().init_call());
            params.set_offset(offset);
            params.set_data(data);
            async move {
                let response = request.send().promise.await?;
                Ok(read_outcome(response.get()?.get_outcome()?, |accepted| Ok(accepted.get_total())))
            }
        })
        .await
    }

    /// Ends the session.
    pub async fn close(&self, call: &Call) -> Result<(), Failure> {
        self.retried(call, |session| {
            let mut request = session.close_request();
            call.write(request.get().init_call());
            async move {
                let response = request.send().promise.await?;
                Ok(read_outcome(response.get()?.get_outcome()?, |_| Ok(())))
            }
        })
        .await
    }

    /// Calls the session, and opens it again when it was lost with its connection.
    async fn retried<T, Fut>(&self, call: &Call, attempt: impl Fn(input_session::Client) -> Fut) -> Result<T, Failure>
    where
        Fut: Future<Output = capnp::Result<Result<T, Failure>>>,
    {
        within(call, super::SERVICE, async {
            loop {
                let current = self.open.borrow().clone();
                let Some(session) = current else {
                    self.open(call).await?;
                    continue;
                };
                match attempt(session).await {
                    Ok(answer) => return answer,
                    Err(error) if is_lost(&error) => *self.open.borrow_mut() = None,
                    Err(error) => return Err(Failure::internal(format_args!("{}: {error}", super::SERVICE))),
                }
            }
        })
        .await
    }
}
