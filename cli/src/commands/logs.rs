//! `logs`.

use crate::args::{Logs, Tail};
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::render::logs::Stamper;
use crate::session::Output;
use jiff::Timestamp;
use schema::containers::State;
use schema::log_collector::From;
use schema::{Code, ContainerId, Failure};

/// Prints output of a container; with `-f`, until it ends.
pub(crate) async fn run(engine: &Engine, arguments: &Logs) -> Result<u8> {
    let container = engine.containers.inspect(&call(), &arguments.container).await?;
    let follow = arguments.follow && container.state != State::Created;
    let Some((position, until)) = bounds(engine, &container.id, arguments, follow).await? else { return Ok(0) };
    let output = Output { engine, id: &container.id, position, until };
    let mut stamper = arguments.timestamps.then(Stamper::default);
    let pick = |record| match &mut stamper {
        Some(stamper) => Some(stamper.stamp(record)),
        None => Some((record.stream, record.data)),
    };
    output.copy(pick).await?;
    Ok(0)
}

/// Where the wanted part begins and ends. None without a log: there was no run, or it has just been removed.
async fn bounds(
    engine: &Engine,
    id: &ContainerId,
    arguments: &Logs,
    follow: bool,
) -> Result<Option<(u64, Option<u64>)>, Failure> {
    let bounds = async {
        let begin = begin(engine, id, arguments).await?;
        // A container that writes faster than we read must not keep us for ever.
        let end = if follow { None } else { Some(engine.logs.locate(&call(), id, From::End).await?) };
        Ok((begin, end))
    };
    match bounds.await {
        Err::<_, Failure>(failure) if failure.code == Code::NotFound => Ok(None),
        answer => answer.map(Some),
    }
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
