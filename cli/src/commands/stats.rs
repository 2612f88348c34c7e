//! `stats`.

use crate::args::{Format, Stats};
use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::render::stats::{Sample, View};
use crate::terminal;
use futures::future::join_all;
use schema::containers::{State, Summary};
use schema::executor;
use schema::log_collector::Stream;
use schema::{Call, Code, Failure};
use std::collections::HashMap;
use std::time::Duration;

/// Between two samples.
const INTERVAL: Duration = Duration::from_secs(1);

/// Shows what containers use: once, or on and on until there are none any more.
pub(crate) async fn run(engine: &Engine, arguments: &Stats) -> Result<u8> {
    let view = View { whole: arguments.no_trunc };
    let format = arguments.format.as_ref().unwrap_or(&Format::Table);
    let live =
        !arguments.no_stream && terminal::is_on(Stream::Stdout) && matches!(format, Format::Table | Format::TableOf(_));
    let mut before = samples(engine, &chosen(engine, arguments).await?, &call()).await?;
    loop {
        tokio::time::sleep(INTERVAL).await;
        let containers = chosen(engine, arguments).await?;
        let now = samples(engine, &containers, &call()).await?;
        let rows: Vec<Sample<'_>> = containers
            .iter()
            .map(|container| {
                let id = container.id.as_str();
                Sample { container, before: before.get(id).copied(), now: now.get(id).copied() }
            })
            .collect();
        let text = view.listing(&rows)?.render(format)?;
        console::print(&if live { over_the_last(&text) } else { text })?;
        if arguments.no_stream || (!arguments.containers.is_empty() && now.is_empty() && !arguments.all) {
            return Ok(0);
        }
        before = now;
    }
}

/// A table that is drawn over the one before, line by line: nothing is wiped before there is something in its place.
fn over_the_last(table: &str) -> String {
    format!("\x1b[H{}\x1b[J", table.replace('\n', "\x1b[K\n"))
}

/// The containers that are named, or all that run.
async fn chosen(engine: &Engine, arguments: &Stats) -> Result<Vec<Summary>, Failure> {
    if arguments.containers.is_empty() {
        let mut containers = engine.containers.list(&call()).await?;
        containers.retain(|container| arguments.all || runs(container));
        return Ok(containers);
    }
    let call = call();
    let named = arguments.containers.iter().map(|name| engine.containers.inspect(&call, name));
    join_all(named).await.into_iter().map(|answer| Ok(answer?.into())).collect()
}

fn runs(container: &Summary) -> bool {
    matches!(container.state, State::Running | State::Stopping | State::Paused)
}

/// What those use that run.
pub(crate) async fn samples(
    engine: &Engine,
    containers: &[Summary],
    call: &Call,
) -> Result<HashMap<String, executor::Stats>, Failure> {
    let asked = containers.iter().filter(|container| runs(container)).map(|container| {
        let id = container.id.as_str();
        async move { (id, engine.containers.stats(call, id).await) }
    });
    let mut samples = HashMap::new();
    for (id, answer) in join_all(asked).await {
        match answer {
            Ok(stats) => drop(samples.insert(id.to_owned(), stats)),
            // It has ended meanwhile.
            Err(failure) if matches!(failure.code, Code::Conflict | Code::NotFound) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(samples)
}
