//! `commit`.

use crate::args::Commit;
use crate::console;
use crate::engine::{Engine, new_token};
use crate::error::Result;
use crate::parse::reference::joined;
use crate::transfer::unless_interrupted;
use schema::Call;
use schema::containers::CommitSpec;
use std::time::Duration;

/// How long it may take to pack what the container wrote.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Makes an image of a container, and prints its id.
pub(crate) async fn run(engine: &Engine, arguments: &Commit) -> Result<u8> {
    let Commit { author, change, message, pause, container, repository, tag } = arguments;
    let spec = CommitSpec {
        reference: joined(repository, tag.as_deref())?,
        message: message.clone(),
        author: author.clone(),
        changes: change.clone(),
        pause: *pause,
    };
    let upload = new_token()?;
    let image = unless_interrupted(async {
        Ok(engine.containers.commit(&Call::within(PATIENCE), container, &upload, &spec).await?)
    })
    .await?;
    console::print_line(&image.id)?;
    Ok(0)
}
