//! What a log collector implements.

use super::model::{Chunk, From, LogSpec, PartList, Total};
use crate::bindings::log_collector_capnp::{input_session, log_collector as wire};
use crate::common::{About, CheckReport};
use crate::rpc::{answer, answer_hello};
use crate::wire::{Wire, ids, length, set_list, text};
use crate::{Call, ContainerId, Failure};
use std::rc::Rc;

/// The methods of the log collector in domain types; the contract describes each.
#[allow(async_fn_in_trait)]
pub trait Server: 'static {
    /// What `open_input` hands out.
    type Input: InputServer;
    /// Begins to capture a run; answers its first position.
    async fn open(&self, call: &Call, id: ContainerId, spec: LogSpec) -> Result<u64, Failure>;
    /// Output from a position on.
    async fn read(
        &self,
        call: &Call,
        id: ContainerId,
        position: u64,
        max_bytes: u32,
        wait_ms: u32,
        reader: u64,
    ) -> Result<Chunk, Failure>;
    /// The position at which a part of the log begins.
    async fn locate(&self, call: &Call, id: ContainerId, from: From) -> Result<u64, Failure>;
    /// Forgets a log.
    async fn remove(&self, call: &Call, id: ContainerId) -> Result<(), Failure>;
    /// Removes logs of no live container.
    async fn reconcile(&self, call: &Call, live: Vec<ContainerId>) -> Result<(), Failure>;
    /// Attaches to stdin; answers the session and how many of its bytes have been taken.
    async fn open_input(
        &self,
        call: &Call,
        id: ContainerId,
        session: String,
        once: bool,
    ) -> Result<(Self::Input, u64), Failure>;
    /// Names what is kept of logs, and what of it is damaged.
    async fn check(&self, call: &Call, repair: bool) -> Result<CheckReport, Failure> {
        let _ = (call, repair);
        Err(crate::rpc::missing("log-collector.check"))
    }
    /// How much each log has taken.
    async fn totals(&self, call: &Call) -> Result<Vec<Total>, Failure> {
        let _ = call;
        Err(crate::rpc::missing("log-collector.totals"))
    }
    /// Output from a position on, by where it is.
    async fn parts(
        &self,
        call: &Call,
        id: ContainerId,
        position: u64,
        max_bytes: u64,
        wait_ms: u32,
        reader: u64,
    ) -> Result<PartList, Failure> {
        let _ = (call, id, position, max_bytes, wait_ms, reader);
        Err(crate::rpc::missing("log-collector.parts"))
    }
}

/// One client's hold of a container's stdin. It is dropped when the client lets go of it or is gone.
#[allow(async_fn_in_trait)]
pub trait InputServer: 'static {
    /// Takes bytes from `offset` on; answers when all are in the pipe, with the session's total.
    async fn write(&self, call: &Call, offset: u64, data: Vec<u8>) -> Result<u64, Failure>;
    /// Ends the session.
    async fn close(&self, call: &Call) -> Result<(), Failure>;
}

struct Served<A> {
    about: About,
    api: A,
}

/// The bootstrap capability of a service that implements [`Server`].
pub fn serve<A: Server>(about: About, api: A) -> wire::Client {
    capnp_rpc::new_client(Served { about, api })
}

answer_hello!(Served, Server);

impl<A: Server> wire::Server for Served<A> {
    async fn open(self: Rc<Self>, params: wire::OpenParams, mut results: wire::OpenResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "log-collector.open",
            |call, p| self.api.open(&call, text(p.get_id())?.parse()?, LogSpec::read(p.get_spec()?)?).await,
            |value, mut builder| builder.set_position(value)
        )
    }

    async fn read(self: Rc<Self>, params: wire::ReadParams, mut results: wire::ReadResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "log-collector.read",
            |call, p| self
                .api
                .read(
                    &call,
                    text(p.get_id())?.parse()?,
                    p.get_position(),
                    p.get_max_bytes(),
                    p.get_wait_ms(),
                    p.get_reader()
                )
                .await,
            |value, builder| value.write(builder)
        )
    }

    async fn locate(self: Rc<Self>, params: wire::LocateParams, mut results: wire::LocateResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "log-collector.locate",
            |call, p| self.api.locate(&call, text(p.get_id())?.parse()?, From::read(p.get_from()?)?).await,
            |value, mut builder| builder.set_position(value)
        )
    }

    async fn remove(self: Rc<Self>, params: wire::RemoveParams, mut results: wire::RemoveResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "log-collector.remove",
            |call, p| self.api.remove(&call, text(p.get_id())?.parse()?).await,
            |(), _| ()
        )
    }

    async fn reconcile(
        self: Rc<Self>,
        params: wire::ReconcileParams,
        mut results: wire::ReconcileResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "log-collector.reconcile",
            |call, p| self.api.reconcile(&call, ids(p.get_live())?).await,
            |(), _| ()
        )
    }

    async fn open_input(
        self: Rc<Self>,
        params: wire::OpenInputParams,
        mut results: wire::OpenInputResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "log-collector.open_input",
            |call, p| {
                self.api.open_input(&call, text(p.get_id())?.parse()?, text(p.get_session())?, p.get_once()).await
            },
            |(session, accepted), mut builder| {
                builder.set_session(capnp_rpc::new_client(ServedInput { input: session }));
                builder.set_accepted(accepted);
            }
        )
    }

    async fn check(self: Rc<Self>, params: wire::CheckParams, mut results: wire::CheckResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "log-collector.check",
            |call, p| self.api.check(&call, p.get_repair()).await,
            |value, builder| value.write(builder)
        )
    }

    async fn totals(self: Rc<Self>, params: wire::TotalsParams, mut results: wire::TotalsResults) -> capnp::Result<()> {
        answer!(params, results, "log-collector.totals", |call, p| self.api.totals(&call).await, |values, builder| {
            set_list(builder.init_totals(length(&values)), &values)
        })
    }

    async fn parts(self: Rc<Self>, params: wire::PartsParams, mut results: wire::PartsResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "log-collector.parts",
            |call, p| self
                .api
                .parts(
                    &call,
                    text(p.get_id())?.parse()?,
                    p.get_position(),
                    p.get_max_bytes(),
                    p.get_wait_ms(),
                    p.get_reader()
                )
                .await,
            |value, builder| value.write(builder)
        )
    }
}

struct ServedInput<I> {
    input: I,
}

impl<I: InputServer> input_session::Server for ServedInput<I> {
    async fn write(
        self: Rc<Self>,
        params: input_session::WriteParams,
        mut results: input_session::WriteResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "log-collector.input.write",
            |call, p| self.input.write(&call, p.get_offset(), p.get_data()?.to_vec()).await,
            |total, mut builder| builder.set_total(total)
        )
    }

    async fn close(
        self: Rc<Self>,
        params: input_session::CloseParams,
        mut results: input_session::CloseResults,
    ) -> capnp::Result<()> {
        answer!(params, results, "log-collector.input.close", |call, p| self.input.close(&call).await, |(), _| ())
    }
}
