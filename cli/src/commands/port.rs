//! `port`.

use crate::args::Port;
use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::render::port::{private, public};
use schema::Failure;
use schema::common::PortBinding;

/// Prints where the ports of a container are published; with a port, only where that one is.
pub(crate) async fn run(engine: &Engine, arguments: &Port) -> Result<u8> {
    let name = &arguments.container;
    let container = engine.containers.inspect(&call(), name).await?;
    let mut bindings = container.attachment.map(|attachment| attachment.ports).unwrap_or_default();
    // By number; the addresses of one port stay in their order.
    bindings.sort_by_key(|binding| (binding.container_port, binding.protocol.to_string()));
    let Some((port, protocol)) = arguments.private else {
        let line = |binding: &PortBinding| format!("{} -> {}\n", private(binding), public(binding));
        console::print(&bindings.iter().map(line).collect::<String>())?;
        return Ok(0);
    };
    let wanted = |binding: &&PortBinding| binding.container_port == port && binding.protocol == protocol;
    let lines: String = bindings.iter().filter(wanted).map(|binding| public(binding) + "\n").collect();
    if lines.is_empty() {
        return Err(Failure::not_found(format_args!("no public port {port}/{protocol} published for {name}"))
            .hint(format_args!("`cctl port {name}` lists what is published while it runs"))
            .into());
    }
    console::print(&lines)?;
    Ok(0)
}
