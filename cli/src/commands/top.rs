//! `top`.

use crate::args::Top;
use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::render::{time, top};

/// Shows the processes of a container.
pub(crate) async fn run(engine: &Engine, arguments: &Top) -> Result<u8> {
    let columns = top::columns(&arguments.options)?;
    let processes = engine.containers.top(&call(), &arguments.container).await?;
    console::print(&top::table(&columns, &processes, time::now()))?;
    Ok(0)
}
