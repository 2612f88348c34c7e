//! A plugin in Rust: the network service, but what is published without an address is for this host alone.
//!
//! `schema` has a trait for each service, and `kit` is what all of ours are made of: the socket, readiness, the watchdog,
//! logs, limits at the socket. What is left to write is the service.

use network::engine::Engine;
use schema::common::SandboxRef;
use schema::network::{AttachSpec, Attachment, NetworkInfo, SERVICE, Server, serve};
use schema::{Call, ContainerId, Failure};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::mpsc;
use tokio::sync::oneshot;

const IDENTITY: kit::Identity = kit::Identity { service: SERVICE, needs: &[], version: env!("CARGO_PKG_VERSION") };

type Work = Box<dyn FnOnce(&mut Engine) + Send>;

/// Asks the thread that owns the network.
struct Loopback {
    owner: mpsc::Sender<Work>,
}

impl Loopback {
    fn start(context: &kit::Context) -> Result<Self, Failure> {
        let (state, name) = (context.state()?, context.instance.kernel_name());
        let (owner, work) = mpsc::channel::<Work>();
        let (opened, result) = mpsc::channel();
        std::thread::spawn(move || match Engine::open(&state, &name) {
            Ok(mut engine) => {
                let _ = opened.send(Ok(()));
                work.into_iter().for_each(|work| work(&mut engine));
            }
            Err(failure) => drop(opened.send(Err(failure))),
        });
        result.recv().unwrap_or_else(|_| Err(gone()))?;
        Ok(Self { owner })
    }

    async fn ask<T, F>(&self, question: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&mut Engine) -> Result<T, Failure> + Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        // Whoever does not wait any more needs no answer.
        let work: Work = Box::new(move |engine| drop(sender.send(question(engine))));
        self.owner.send(work).map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

fn gone() -> Failure {
    Failure::internal("the thread that owns the network is gone")
}

impl Server for Loopback {
    async fn attach(
        &self,
        _: &Call,
        id: ContainerId,
        sandbox: SandboxRef,
        mut spec: AttachSpec,
    ) -> Result<Attachment, Failure> {
        for port in &mut spec.ports {
            port.host_address.get_or_insert(Ipv4Addr::LOCALHOST.into());
        }
        self.ask(move |engine| engine.attach(&id, sandbox, &spec)).await
    }

    async fn detach(&self, _: &Call, id: ContainerId) -> Result<(), Failure> {
        self.ask(move |engine| engine.detach(&id)).await?;
        // An interface of before that has not gone with its namespace.
        self.ask(Engine::sweep_late).await
    }

    async fn reconcile(&self, _: &Call, live: Vec<ContainerId>) -> Result<(), Failure> {
        self.ask(move |engine| engine.reconcile(&live)).await
    }

    async fn info(&self, _: &Call) -> Result<NetworkInfo, Failure> {
        self.ask(Engine::info).await
    }

    async fn tear_down(&self, _: &Call) -> Result<(), Failure> {
        self.ask(Engine::tear_down).await
    }
}

fn main() -> ExitCode {
    kit::boot::run(IDENTITY, |context| async move { Ok(serve(context.about(), Loopback::start(&context)?)) })
}
