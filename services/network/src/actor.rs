//! The one owner of the network, on a thread of its own: what it does waits for the kernel.

use crate::engine::Engine;
use crate::netfilter::Port;
use actix::{Actor, Handler, Message, SyncContext};
use schema::common::{CheckReport, SandboxRef};
use schema::network::{AttachSpec, Attachment, NetworkInfo};
use schema::{ContainerId, Failure};

/// Does one thing at a time, in the order of asking.
pub(crate) struct Network(Result<Engine, Failure>);

impl Network {
    /// The owner of an engine, or of the reason why there is none.
    pub(crate) fn new(engine: Result<Engine, Failure>) -> Self {
        Self(engine)
    }

    fn engine(&mut self) -> Result<&mut Engine, Failure> {
        self.0.as_mut().map_err(|failure| failure.clone())
    }
}

impl Actor for Network {
    type Context = SyncContext<Self>;
}

/// Asks whether the network has recovered.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Recovered;

/// `Network.attach` of the contract.
#[derive(Message)]
#[rtype(result = "Result<Attachment, Failure>")]
pub(crate) struct Attach {
    /// Whose network it is.
    pub(crate) id: ContainerId,
    /// What is connected.
    pub(crate) sandbox: SandboxRef,
    /// How.
    pub(crate) spec: AttachSpec,
}

/// `Network.detach` of the contract.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Detach(pub(crate) ContainerId);

/// Removes interfaces that should have gone by themselves.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Sweep;

/// Asks for the socket by which the table is changed.
#[derive(Message)]
#[rtype(result = "Result<Port, Failure>")]
pub(crate) struct OwnPort;

/// Undoes what others have done to the network.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Mend;

/// `Network.reconcile` of the contract.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Reconcile(pub(crate) Vec<ContainerId>);

/// `Network.check` of the contract, with its `repair`.
#[derive(Message)]
#[rtype(result = "Result<CheckReport, Failure>")]
pub(crate) struct Check(pub(crate) bool);

/// `Network.info` of the contract.
#[derive(Message)]
#[rtype(result = "Result<NetworkInfo, Failure>")]
pub(crate) struct Info;

/// `Network.tearDown` of the contract.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct TearDown;

impl Handler<Recovered> for Network {
    type Result = Result<(), Failure>;

    fn handle(&mut self, _: Recovered, _: &mut SyncContext<Self>) -> Self::Result {
        self.engine().map(drop)
    }
}

impl Handler<Attach> for Network {
    type Result = Result<Attachment, Failure>;

    fn handle(&mut self, Attach { id, sandbox, spec }: Attach, _: &mut SyncContext<Self>) -> Self::Result {
        let attachment = self.engine()?.attach(&id, sandbox, &spec)?;
        tracing::info!(container = id.short(), mode = ?spec.mode, address = ?attachment.address, "attached");
        Ok(attachment)
    }
}

impl Handler<Detach> for Network {
    type Result = Result<(), Failure>;

    fn handle(&mut self, Detach(id): Detach, _: &mut SyncContext<Self>) -> Self::Result {
        self.engine()?.detach(&id)
    }
}

impl Handler<Sweep> for Network {
    type Result = Result<(), Failure>;

    fn handle(&mut self, _: Sweep, _: &mut SyncContext<Self>) -> Self::Result {
        self.engine()?.sweep_late()
    }
}

impl Handler<OwnPort> for Network {
    type Result = Result<Port, Failure>;

    fn handle(&mut self, _: OwnPort, _: &mut SyncContext<Self>) -> Self::Result {
        Ok(self.engine()?.port())
    }
}

impl Handler<Mend> for Network {
    type Result = Result<(), Failure>;

    fn handle(&mut self, _: Mend, _: &mut SyncContext<Self>) -> Self::Result {
        self.engine()?.restore()
    }
}

impl Handler<Reconcile> for Network {
    type Result = Result<(), Failure>;

    fn handle(&mut self, Reconcile(live): Reconcile, _: &mut SyncContext<Self>) -> Self::Result {
        self.engine()?.reconcile(&live)
    }
}

impl Handler<Check> for Network {
    type Result = Result<CheckReport, Failure>;

    fn handle(&mut self, Check(repair): Check, _: &mut SyncContext<Self>) -> Self::Result {
        self.engine()?.check(repair)
    }
}

impl Handler<Info> for Network {
    type Result = Result<NetworkInfo, Failure>;

    fn handle(&mut self, _: Info, _: &mut SyncContext<Self>) -> Self::Result {
        self.engine()?.info()
    }
}

impl Handler<TearDown> for Network {
    type Result = Result<(), Failure>;

    fn handle(&mut self, _: TearDown, _: &mut SyncContext<Self>) -> Self::Result {
        self.engine()?.tear_down()
    }
}
