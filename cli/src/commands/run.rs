//! `run`.

use super::create::{CidFile, completed, create, with_image};
use super::spec::{Surroundings, specification, streams};
use super::{finish, tell_warnings};
use crate::args::{Options, Run};
use crate::console;
use crate::engine::{Engine, new_id};
use crate::error::{Result, signalled};
use crate::profile::{Phase, mark};
use crate::session::{Session, Signals, Target, pass_on};
use crate::transfer::unless_interrupted;
use schema::containers::{AutoRemove, Container, ContainerSpec};
use schema::{Call, Code, ContainerId, Failure};
use std::cell::Cell;
use std::time::Duration;

/// How long a start may take: the layers of a new image are unpacked first.
const START: Duration = Duration::from_secs(600);
/// How long the removal of a container that did not start may take.
const CLEAN_UP: Duration = Duration::from_secs(20);

/// Creates and starts a container; unless it is detached, connects its streams and waits for its end.
pub(crate) async fn run(engine: &Engine, arguments: &Run) -> Result<u8> {
    let options = &arguments.options;
    if arguments.detach && !options.attach.is_empty() {
        return Err(Failure::invalid("Conflicting options: -a and -d").hint("leave out one of them").into());
    }
    let spec = specification(options, arguments.detach, &Surroundings::own()?)?;
    let streams = streams(options, arguments.detach);
    let cidfile = CidFile::make(options)?;
    mark(Phase::Read);
    let launch = Launch { engine, id: new_id()?, options, auto_remove: spec.auto_remove, is_asked: Cell::new(false) };
    if !streams.any() {
        let container = unless_interrupted(launch.run(spec, cidfile)).await?;
        console::print_line(&container.id)?;
        return Ok(0);
    }
    let mut signals = Signals::watch()?;
    let container = match launch.unless_signalled(spec, cidfile, &mut signals).await? {
        Ok(container) => container,
        Err(signal) => return Ok(signalled(signal)),
    };
    if !streams.output() {
        console::print_line(&container.id)?;
    }
    let session = Session {
        engine,
        target: Target::Container(&container),
        streams,
        position: container.run_position,
        pass_signals: arguments.sig_proxy,
        detach_keys: arguments.detach_keys.clone(),
    };
    let end = session.run(&mut signals).await?;
    finish(engine, &container, end).await
}

/// A container on its way to its first run.
struct Launch<'a> {
    engine: &'a Engine,
    /// What it is called until the container manager has said what its id is.
    id: ContainerId,
    options: &'a Options,
    auto_remove: AutoRemove,
    /// Whether the container manager is making it: then it may run any moment.
    is_asked: Cell<bool>,
}

impl Launch<'_> {
    /// Makes it and runs it. What did not start stays for a look at it, unless it was to be removed anyway.
    async fn run(&self, spec: ContainerSpec, cidfile: CidFile) -> Result<Container> {
        let Self { engine, id, options, .. } = self;
        let call = || Call::within(START);
        let launched = async {
            // Whoever wants to know its id wants to know it before it runs.
            if cidfile.is_wanted() {
                create(engine, id, spec, options).await?;
                cidfile.fill(id)?;
                mark(Phase::Created);
                self.is_asked.set(true);
                return Ok(engine.containers.start(&call(), id.as_str()).await?);
            }
            let spec = completed(engine, spec, options).await?;
            let run = async || {
                self.is_asked.set(true);
                let launched = match engine.containers.run(&call(), id, &spec).await {
                    // It was replaced by one that knows the two steps alone.
                    Err(failure) if failure.code == Code::Unimplemented => {
                        engine.containers.create(&call(), id, &spec).await?;
                        engine.containers.start(&call(), id.as_str()).await
                    }
                    launched => launched,
                };
                self.is_asked.set(launched.is_ok());
                launched
            };
            with_image(engine, options, run).await
        };
        match launched.await {
            Ok(container) => {
                mark(Phase::Started);
                tell_warnings(&container);
                Ok(container)
            }
            Err(error) => {
                self.discard().await;
                Err(error)
            }
        }
    }

    /// The same for a client that may be told to go meanwhile. As long as nothing can run, it goes. Then, a first signal is
    /// passed on to the container as soon as that runs, and a second one says that nobody wants to wait for that.
    async fn unless_signalled(
        &self,
        spec: ContainerSpec,
        cidfile: CidFile,
        signals: &mut Signals,
    ) -> Result<Result<Container, i32>> {
        let running = self.run(spec, cidfile);
        tokio::pin!(running);
        let mut held = None;
        loop {
            tokio::select! {
                launched = &mut running => {
                    let container = launched?;
                    if let Some(signal) = held {
                        pass_on(self.engine, &container, signal).await?;
                    }
                    return Ok(Ok(container));
                }
                signal = signals.next() => {
                    if !self.is_asked.get() || held.replace(signal).is_some() {
                        self.discard().await;
                        return Ok(Err(signal));
                    }
                }
            }
        }
    }

    /// Removes what did not start, if it was to be removed at its end.
    async fn discard(&self) {
        if self.auto_remove == AutoRemove::Never {
            return;
        }
        match self.engine.containers.remove(&Call::within(CLEAN_UP), self.id.as_str(), true).await {
            Err(failure) if failure.code != Code::NotFound => {
                console::complain(&failure.context("removing the container"));
            }
            _ => {}
        }
    }
}
