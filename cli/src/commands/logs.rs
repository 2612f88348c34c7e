//! `logs`.

use crate::args::{Logs, Tail};
use crate::engine::{Engine, call, patient_call};
use crate::error::Result;
use crate::render::logs::Stamper;
use crate::session::output::{CHUNK, WAIT_MS, tell_lost, write};
use jiff::Timestamp;
use schema::containers::{Container, State};
use schema::log_collector::{From, Record};
use schema::{Code, ContainerId, Failure};

/// Prints output of a container; with `-f`, until it ends.
pub(crate) async fn run(engine: &Engine, arguments: &Logs) -> Result<u8> {
    let container = engine.containers.inspect(&call(), &arguments.container).await?;
    match show(engine, &container, arguments).await {
        // Without a run there is no log, and a log goes with its container.
        Err(crate::error::Error::Failure(failure)) if failure.code == Code::NotFound => Ok(0),
        answer => answer.map(|()| 0),
    }
}

async fn show(engine: &Engine, container: &Container, arguments: &Logs) -> Result {
    let id = &container.id;
    let mut position = begin(engine, id, arguments).await?;
    let follow = arguments.follow && !matches!(container.state, State::Created);
    // A container that writes faster than we read must not keep us for ever.
    let end = if follow { u64::MAX } else { engine.logs.locate(&call(), id, From::End).await? };
    let mut stamper = arguments.timestamps.then(Stamper::default);
    while position < end {
        let wait = if follow { WAIT_MS } else { 0 };
        let chunk = engine.logs.read(&patient_call(), id, position, CHUNK, wait).await?;
        tell_lost(chunk.lost);
        let nothing = chunk.next == position;
        let pieces = chunk.records.into_iter().map(|record| match &mut stamper {
            Some(stamper) => (record.stream, stamper.stamp(&record)),
            None => {
                let Record { stream, data, .. } = record;
                (stream, data)
            }
        });
        write(pieces.collect()).await?;
        position = chunk.next;
        if chunk.ended || (nothing && !follow) {
            break;
        }
    }
    Ok(())
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
