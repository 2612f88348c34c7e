//! `images`.

use crate::args::{Format, Images};
use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::render::image::View;
use crate::render::time;

/// Lists images, newest first.
pub(crate) async fn run(engine: &Engine, arguments: &Images) -> Result<u8> {
    let images = engine.images.list(&call()).await?;
    let view = View { whole: arguments.no_trunc, name: arguments.name.as_deref(), now: time::now() };
    let text = match arguments.format {
        _ if arguments.quiet => view.ids(&images),
        Format::Table => view.table(&images),
        Format::Json => view.json(&images)?,
    };
    console::print(&text)?;
    Ok(0)
}
