//! `system audit`.

use crate::args::Format;
use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::render::{self, audit};
use schema::supervisor::Held;

/// Shows what the processes hold. If that is more than the manifest leaves to one, the exit status is 1. What the
/// kernel lacks to hold them is told.
pub(super) async fn run(engine: &Engine, format: Option<&Format>) -> Result<u8> {
    let processes = engine.supervisor.audit(&call()).await?;
    match format {
        Some(Format::Json) => console::print_line(render::json_pretty(&processes)?)?,
        Some(format @ (Format::Template(_) | Format::TableOf(_))) => {
            console::print(&audit::listing(&processes)?.render(format)?)?;
        }
        None | Some(Format::Table) => console::print(&audit::table(&processes))?,
    }
    let mut status = 0;
    for Held { process, pid, excess, lacks, .. } in &processes {
        for sentence in excess {
            console::note(format_args!(
                "{process} (process {pid}) holds more than the manifest leaves to it: {sentence}"
            ));
            status = 1;
        }
        for sentence in lacks {
            console::note(format_args!("{process} (process {pid}) is held by less than the manifest says: {sentence}"));
        }
    }
    Ok(status)
}
