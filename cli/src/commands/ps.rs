//! `ps`.

use crate::args::{Format, Ps};
use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::render::container::View;
use crate::render::time;
use crate::select::container::{asks_for_stopped, select};
use futures::StreamExt;
use schema::Code;
use schema::containers::{State, Summary};
use schema::filesystem::Usage;
use std::collections::HashMap;

/// Containers that are asked for at a time.
const AT_ONCE: usize = 8;

/// Lists containers, newest first.
pub(crate) async fn run(engine: &Engine, arguments: &Ps) -> Result<u8> {
    let containers = select(engine.containers.list(&call()).await?, &arguments.filter)?;
    let containers = limit(containers, arguments);
    let format = arguments.format.as_ref();
    let of_size = |template: &crate::template::Template| template.source().contains(".Size");
    let sized = match format {
        Some(Format::Template(template) | Format::TableOf(template)) => of_size(template),
        _ => false,
    };
    let usage = if arguments.size || sized { Some(usage(engine, &containers).await?) } else { None };
    let view = View { whole: arguments.no_trunc, now: time::now(), usage: usage.as_ref() };
    let text = match format {
        None if arguments.quiet => containers.iter().map(|container| view.id(container) + "\n").collect(),
        format => view.list(&containers, format.unwrap_or(&Format::Table))?,
    };
    console::print(&text)?;
    Ok(0)
}

/// Those that are asked for by their number, or by whether they run.
fn limit(mut containers: Vec<Summary>, arguments: &Ps) -> Vec<Summary> {
    let last = if arguments.latest { Some(1) } else { arguments.last };
    match last.map(usize::try_from) {
        Some(Ok(last)) => containers.truncate(last),
        // A negative number is no limit.
        _ if arguments.all || asks_for_stopped(&arguments.filter) => {}
        _ => containers.retain(|container| {
            matches!(container.state, State::Running | State::Stopping | State::Paused | State::Restarting)
        }),
    }
    containers
}

/// What each takes on disk.
pub(super) async fn usage(engine: &Engine, containers: &[Summary]) -> Result<HashMap<String, Usage>> {
    let mut usage = HashMap::new();
    let ask = |container: &Summary| {
        let id = container.id.to_string();
        async move { (engine.containers.usage(&call(), &id).await, id) }
    };
    let mut answers = futures::stream::iter(containers).map(ask).buffer_unordered(AT_ONCE);
    while let Some((answer, id)) = answers.next().await {
        match answer {
            Ok(bytes) => drop(usage.insert(id, bytes)),
            // It was removed meanwhile.
            Err(failure) if failure.code == Code::NotFound => {}
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(usage)
}
