//! `load`.

use super::import::abandoned_on_failure;
use crate::args::Load;
use crate::console;
use crate::engine::{Engine, new_token};
use crate::error::Result;
use crate::transfer::{Source, unless_interrupted, upload};
use schema::Call;
use std::time::Duration;

/// How long the archive may be read and checked.
const PATIENCE: Duration = Duration::from_secs(3600);
const HINT: &str = "name an archive with -i, or pipe it: cctl load < FILE";

/// Takes images from an archive, and prints their names.
pub(crate) async fn run(engine: &Engine, arguments: &Load) -> Result<u8> {
    let source = Source::open(arguments.input.as_deref().unwrap_or("-"), HINT)?;
    let token = new_token()?;
    let done = unless_interrupted(async {
        upload(engine, &token, source).await?;
        Ok(engine.images.load_upload(&Call::within(PATIENCE), &token).await?)
    });
    let images = abandoned_on_failure(engine, &token, done.await).await?;
    if arguments.quiet {
        return Ok(0);
    }
    for image in images {
        if image.references.is_empty() {
            console::print_line(format_args!("Loaded image ID: {}", image.id))?;
        }
        for reference in &image.references {
            console::print_line(format_args!("Loaded image: {reference}"))?;
        }
    }
    Ok(0)
}
