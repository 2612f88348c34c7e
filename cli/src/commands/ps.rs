//! `ps`.

use crate::args::{Format, Ps};
use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::render::container::View;
use crate::render::time;
use schema::containers::{Container, State};

/// Lists containers, newest first.
pub(crate) async fn run(engine: &Engine, arguments: &Ps) -> Result<u8> {
    let containers = select(engine.containers.list(&call()).await?, arguments);
    let view = View { whole: arguments.no_trunc, now: time::now() };
    let text = match arguments.format {
        _ if arguments.quiet => containers.iter().map(|container| view.id(container) + "\n").collect(),
        Format::Table => view.table(&containers),
        Format::Json => view.json(&containers)?,
    };
    console::print(&text)?;
    Ok(0)
}

fn select(mut containers: Vec<Container>, arguments: &Ps) -> Vec<Container> {
    match arguments.last {
        Some(last) => containers.truncate(last),
        None if arguments.all => {}
        None => containers.retain(|container| matches!(container.state, State::Running | State::Stopping)),
    }
    containers
}
