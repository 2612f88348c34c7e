//! `run`.

use super::create::{CidFile, create};
use super::spec::{Surroundings, specification, streams};
use super::{finish, tell_warnings};
use crate::args::Run;
use crate::console;
use crate::engine::{Engine, call, new_id};
use crate::error::{Result, signalled};
use crate::profile::{Phase, mark};
use crate::session::{Session, Signals, Target, pass_on};
use crate::transfer::unless_interrupted;
use schema::containers::{AutoRemove, Container, ContainerSpec};
use schema::{Call, Code, ContainerId, Failure};
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
    let id = offered_id(engine, &spec).await?;
    if !streams.any() {
        unless_interrupted(async {
            let created = create(engine, &id, spec, options).await?;
            cidfile.fill(&id)?;
            Ok(launch(engine, &created).await?)
        })
        .await?;
        console::print_line(&id)?;
        return Ok(0);
    }
    let mut signals = Signals::watch()?;
    let created = tokio::select! {
        created = create(engine, &id, spec.clone(), options) => created?,
        signal = signals.next() => {
            discard(engine, &id, &spec).await;
            return Ok(signalled(signal));
        }
    };
    cidfile.fill(&id)?;
    let container = match launch_unless_signalled(engine, &created, &mut signals).await? {
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

/// An id for a container that is started at once: of a sandbox that stands ready, if the instance has such.
async fn offered_id(engine: &Engine, spec: &ContainerSpec) -> Result<ContainerId, Failure> {
    let call = call();
    if engine.containers.makes_offers(&call).await? { engine.containers.offer(&call, spec).await } else { new_id() }
}

/// Starts. What did not start stays for a look at it, unless it was to be removed anyway.
async fn launch(engine: &Engine, created: &Container) -> Result<Container, Failure> {
    mark(Phase::Created);
    match engine.containers.start(&Call::within(START), created.id.as_str()).await {
        Ok(container) => {
            mark(Phase::Started);
            tell_warnings(&container);
            Ok(container)
        }
        Err(failure) => {
            discard(engine, &created.id, &created.spec).await;
            Err(failure)
        }
    }
}

/// Removes a container that did not start, if it was to be removed at its end.
async fn discard(engine: &Engine, id: &ContainerId, spec: &ContainerSpec) {
    if spec.auto_remove == AutoRemove::Never {
        return;
    }
    match engine.containers.remove(&Call::within(CLEAN_UP), id.as_str(), true).await {
        Err(failure) if failure.code != Code::NotFound => console::complain(&failure.context("removing the container")),
        _ => {}
    }
}

/// The same as `launch`, for a client that may be told to go meanwhile. A first signal is passed on to the
/// container as soon as it runs. A second one says that nobody wants to wait for that.
async fn launch_unless_signalled(
    engine: &Engine,
    created: &Container,
    signals: &mut Signals,
) -> Result<Result<Container, i32>> {
    let launching = launch(engine, created);
    tokio::pin!(launching);
    let mut held = None;
    loop {
        tokio::select! {
            launched = &mut launching => {
                let container = launched?;
                if let Some(signal) = held {
                    pass_on(engine, &container, signal).await?;
                }
                return Ok(Ok(container));
            }
            signal = signals.next() => {
                if held.replace(signal).is_some() {
                    discard(engine, &created.id, &created.spec).await;
                    return Ok(Err(signal));
                }
            }
        }
    }
}
