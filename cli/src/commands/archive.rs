//! `export` and `save`: archives that leave the engine.

use super::sink::{Piece, Sink};
use crate::args::{Export, Save};
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::transfer::unless_interrupted;
use schema::Failure;
use schema::filesystem::{ArchiveChunk, ArchiveRequest};
use std::fs::File;

/// Bytes of one call.
const PIECE: u32 = 1 << 20;

/// Writes the files of a container.
pub(crate) async fn export(engine: &Engine, arguments: &Export) -> Result<u8> {
    let sink = Sink::open(arguments.output.as_deref())?;
    let request = ArchiveRequest { path: "/".to_owned(), export: true, by_path: is_root() };
    unless_interrupted(async { Ok(download(engine, &arguments.container, &request, sink).await?.finish()?) }).await?;
    Ok(0)
}

/// Whether parts of archives can come in files, which only root may open.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Writes an archive of a container's files. Each part is written while the next one is made.
pub(super) async fn download(
    engine: &Engine,
    container: &str,
    request: &ArchiveRequest,
    mut sink: Sink,
) -> Result<Sink> {
    let mut source = Source { engine, container, request: request.clone() };
    let (mut piece, mut next, mut ended) = source.part(&[]).await?;
    while !ended {
        let following = async { source.part(&next).await };
        (sink, (piece, next, ended)) = tokio::try_join!(sink.write(piece), following)?;
    }
    sink.write(piece).await
}

/// Where an archive comes from.
struct Source<'a> {
    engine: &'a Engine,
    container: &'a str,
    request: ArchiveRequest,
}

impl Source<'_> {
    /// The part at a cursor, the cursor of the next one, and whether it is the last.
    async fn part(&mut self, cursor: &[u8]) -> Result<(Piece, Vec<u8>, bool)> {
        let ArchiveChunk { data, next, ended, path, length } = self.ask(cursor).await?;
        if path.is_empty() {
            return Ok((Piece::Bytes(data), next, ended));
        }
        if let Ok(file) = File::open(path) {
            return Ok((Piece::File(file, length), next, ended));
        }
        // This process does not see the host's files, or the service has just begun anew.
        self.request.by_path = false;
        let ArchiveChunk { data, next, ended, .. } = self.ask(cursor).await?;
        Ok((Piece::Bytes(data), next, ended))
    }

    async fn ask(&self, cursor: &[u8]) -> Result<ArchiveChunk> {
        Ok(self.engine.containers.archive(&call(), self.container, &self.request, cursor, PIECE).await?)
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
        sink = sink.write(Piece::Bytes(part.data)).await?;
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
