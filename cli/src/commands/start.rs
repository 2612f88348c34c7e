//! `start`.

use super::{each, finish, tell_warnings};
use crate::args::Start;
use crate::engine::Engine;
use crate::error::Result;
use crate::session::{Session, Signals, Streams, Target};
use schema::{Call, Failure};
use std::time::Duration;

/// How long a start may take: layers may have to be unpacked first.
const START: Duration = Duration::from_secs(600);

/// Starts containers and prints their names; with `-a` or `-i`, connects the streams of the only one.
pub(crate) async fn run(engine: &Engine, arguments: &Start) -> Result<u8> {
    if arguments.attach || arguments.interactive {
        return attached(engine, arguments).await;
    }
    each(&arguments.containers, 1, |name| async move {
        let container = engine.containers.start(&Call::within(START), name).await?;
        tell_warnings(&container);
        Ok(name.to_owned())
    })
    .await
}

async fn attached(engine: &Engine, arguments: &Start) -> Result<u8> {
    let [name] = &arguments.containers[..] else {
        return Err(Failure::invalid("only one container can be started and attached at a time")
            .hint("leave out -a and -i, or name one container")
            .into());
    };
    let mut signals = Signals::watch()?;
    let container = engine.containers.start(&Call::within(START), name).await?;
    tell_warnings(&container);
    let stdin = arguments.interactive && container.spec.open_stdin;
    let session = Session {
        engine,
        target: Target::Container(&container),
        streams: Streams { stdin, stdout: true, stderr: true },
        position: container.run_position,
        pass_signals: true,
        detach_keys: arguments.detach_keys.clone(),
    };
    let end = session.run(&mut signals).await?;
    finish(engine, &container, end).await
}
