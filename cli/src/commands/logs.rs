//! `logs`.

use crate::args::{Logs, Tail};
use crate::engine::{Engine, call};
use crate::error::{Error, Result};
use crate::render::logs::Stamper;
use crate::session::Output;
use jiff::Timestamp;
use schema::containers::Container;
use schema::log_collector::From;
use schema::{Code, ContainerId, Failure};
use std::cell::Cell;

/// Prints output of a container; with `-f`, until it ends.
pub(crate) async fn run(engine: &Engine, arguments: &Logs) -> Result<u8> {
    let container = engine.containers.inspect(&call(), &arguments.container).await?;
    match show(engine, &container, arguments).await {
        // Without a run there is no log, and a log goes with its container.
        Err(Error::Failure(failure)) if failure.code == Code::NotFound => Ok(0),
        answer => answer.map(|()| 0),
    }
}

async fn show(engine: &Engine, container: &Container, arguments: &Logs) -> Result {
    let id = &container.id;
    let position = begin(engine, id, arguments).await?;
    // A container that writes faster than we read must not keep us for ever.
    let until =
        Cell::new(if arguments.follow { None } else { Some(engine.logs.locate(&call(), id, From::End).await?) });
    let before = arguments.until.map(|until| until.nanoseconds(Timestamp::now()));
    let stamper = arguments.timestamps.then(Stamper::default);
    let output = Output { engine, id, position, until: &until, before, follow: arguments.follow, reader: 0 };
    output.copy(|_| true, stamper).await
}

/// The first position that is wanted: both `--tail` and `--since` must let it through.
async fn begin(engine: &Engine, id: &ContainerId, arguments: &Logs) -> Result<u64, Failure> {
    let tail = match arguments.tail {
        Tail::All => From::Start,
        Tail::Lines(0) => From::End,
        Tail::Lines(lines) => From::LastLines(lines),
    };
    let tail = engine.logs.locate(&call(), id, tail).await?;
    let Some(since) = arguments.since else { return Ok(tail) };
    let since = From::Since(since.nanoseconds(Timestamp::now()));
    Ok(tail.max(engine.logs.locate(&call(), id, since).await?))
}
