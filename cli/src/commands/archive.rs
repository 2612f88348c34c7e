//! `export` and `save`: archives that leave the engine.

use super::sink::Sink;
use crate::args::{Export, Save};
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::transfer::unless_interrupted;
use schema::Failure;
use schema::filesystem::ArchiveRequest;

/// Bytes of one call.
const PIECE: u32 = 1 << 20;

/// Writes the files of a container.
pub(crate) async fn export(engine: &Engine, arguments: &Export) -> Result<u8> {
    let sink = Sink::open(arguments.output.as_deref())?;
    let request = ArchiveRequest { path: "/".to_owned(), export: true };
    unless_interrupted(async { Ok(download(engine, &arguments.container, &request, sink).await?.finish()?) }).await?;
    Ok(0)
}

/// Writes an archive of a container's files.
pub(super) async fn download(
    engine: &Engine,
    container: &str,
    request: &ArchiveRequest,
    mut sink: Sink,
) -> Result<Sink> {
    let mut cursor = Vec::new();
    loop {
        let chunk = engine.containers.archive(&call(), container, request, &cursor, PIECE).await?;
        sink = sink.write(chunk.data).await?;
        if chunk.ended {
            return Ok(sink);
        }
        cursor = chunk.next;
    }
}

/// Writes images.
pub(crate) async fn save(engine: &Engine, arguments: &Save) -> Result<u8> {
    let sink = Sink::open(arguments.output.as_deref())?;
    unless_interrupted(async { Ok(save_to(engine, &arguments.images, sink).await?.finish()?) }).await?;
    Ok(0)
}

async fn save_to(engine: &Engine, images: &[String], mut sink: Sink) -> Result<Sink> {
    let mut offset = 0;
    loop {
        let part = engine.images.save(&call(), images, offset, PIECE).await?;
        offset += part.data.len() as u64;
        let nothing = part.data.is_empty();
        sink = sink.write(part.data).await?;
        if offset >= part.total {
            return Ok(sink);
        }
        if nothing {
            return Err(
                Failure::internal(format_args!("the archive ends after {offset} of {} bytes", part.total)).into()
            );
        }
    }
}
