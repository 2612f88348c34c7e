//! `images`, `history`, `tag`, `rmi`.

use crate::args::{Format, History, Images, RemoveImages, Tag};
use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::parse::reference::joined;
use crate::render::image::View;
use crate::render::{history, time};
use crate::select::image::select;
use schema::Call;
use std::time::Duration;

/// How long the removal of a large image may take.
const REMOVAL: Duration = Duration::from_secs(600);

/// Lists images, newest first.
pub(crate) async fn run(engine: &Engine, arguments: &Images) -> Result<u8> {
    let images = engine.images.list(&call()).await?;
    let images = select(images, &arguments.filter, arguments.all || arguments.name.is_some())?;
    let view = View {
        whole: arguments.no_trunc,
        digests: arguments.digests,
        name: arguments.name.as_deref(),
        now: time::now(),
    };
    let text = match &arguments.format {
        None if arguments.quiet => view.ids(&images),
        format => view.listing(&images)?.render(format.as_ref().unwrap_or(&Format::Table))?,
    };
    console::print(&text)?;
    Ok(0)
}

/// Shows how an image was made, newest step first.
pub(crate) async fn history(engine: &Engine, arguments: &History) -> Result<u8> {
    let steps = engine.images.history(&call(), &arguments.image).await?;
    let view = history::View { whole: arguments.no_trunc, human: arguments.human, now: time::now() };
    let text = match &arguments.format {
        None if arguments.quiet => steps.iter().map(|step| view.id(step) + "\n").collect(),
        format => view.listing(&steps)?.render(format.as_ref().unwrap_or(&Format::Table))?,
    };
    console::print(&text)?;
    Ok(0)
}

/// Gives an image a further name.
pub(crate) async fn tag(engine: &Engine, arguments: &Tag) -> Result<u8> {
    let target = joined(&arguments.repository, arguments.tag.as_deref())?;
    engine.images.tag(&call(), &arguments.image, &target, arguments.force).await?;
    Ok(0)
}

/// Removes names and images, and prints which.
pub(crate) async fn remove(engine: &Engine, arguments: &RemoveImages) -> Result<u8> {
    super::each(&arguments.images, 1, |name| async move {
        let removed = engine.images.remove(&Call::within(REMOVAL), name, arguments.force).await?;
        let untagged = removed.untagged.iter().map(|name| format!("Untagged: {name}"));
        let deleted = removed.deleted.iter().map(|id| format!("Deleted: {id}"));
        Ok(untagged.chain(deleted).collect::<Vec<_>>().join("\n"))
    })
    .await
}
