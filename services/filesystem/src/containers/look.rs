//! Looking into a container: changes, archives, what lies at a path, and its layer for a new image.

use super::{Containers, Turn, ensure, finished, on_own_thread};
use crate::layers::{Layers, Pin};
use crate::layout::Layout;
use crate::mount::{self, Mechanism, View};
use crate::{look, pack, upper};
use actix::{ActorFutureExt, Addr, Handler, Message, ResponseActFuture, ResponseFuture, WrapFuture};
use kit::actor::on_thread;
use schema::filesystem::{ArchiveChunk, ArchiveRequest, ChangeList, PathStat, Place, Usage};
use schema::{Call, ContainerId, Failure};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use tokio::sync::mpsc;
use tracing::Instrument;

/// Bytes of one part of an archive, and of one call that appends to an upload.
const PART: usize = 1 << 20;
const SMALLEST_PART: usize = 4 << 10;

/// How the writable layer differs from the image.
#[derive(Debug, Message)]
#[rtype(result = "Result<ChangeList, Failure>")]
pub(crate) struct Changes {
    pub(crate) call: Call,
    pub(crate) place: Place,
    pub(crate) after: Vec<u8>,
    pub(crate) most: u32,
}

/// A part of an archive.
#[derive(Debug, Message)]
#[rtype(result = "Result<ArchiveChunk, Failure>")]
pub(crate) struct Archive {
    pub(crate) call: Call,
    pub(crate) place: Place,
    pub(crate) request: ArchiveRequest,
    pub(crate) cursor: Vec<u8>,
    pub(crate) most: u32,
}

/// The writable layer, for an upload.
#[derive(Debug, Message)]
#[rtype(result = "Result<u64, Failure>")]
pub(crate) struct CommitLayer {
    pub(crate) call: Call,
    pub(crate) place: Place,
    pub(crate) upload: String,
}

/// What the writable layer takes.
#[derive(Debug, Message)]
#[rtype(result = "Result<Usage, Failure>")]
pub(crate) struct Measure(pub(crate) ContainerId);

/// What lies at a path.
#[derive(Debug, Message)]
#[rtype(result = "Result<PathStat, Failure>")]
pub(crate) struct Look {
    pub(crate) call: Call,
    pub(crate) place: Place,
    pub(crate) path: String,
}

/// What is needed to open a container's root.
#[derive(Clone)]
pub(super) struct Opener {
    pub(super) layout: Layout,
    pub(super) mechanism: Mechanism,
    pub(super) layers: Addr<Layers>,
}

impl Opener {
    /// Opens the root. Its layers stay as long as the pins are kept.
    pub(super) async fn open(&self, call: Call, place: &Place, view: View) -> Result<(OwnedFd, Vec<Pin>), Failure> {
        let is_mounted = place.sandbox.is_some() && view != View::Image;
        let pins = if is_mounted { Vec::new() } else { ensure(&self.layers, call, &place.layers).await? };
        let (layout, mechanism, place) = (self.layout.clone(), self.mechanism, place.clone());
        let root = on_own_thread(move || mount::open(&layout, mechanism, &place, view)).await?;
        Ok((root, pins))
    }
}

impl Containers {
    pub(super) fn opener(&self) -> Opener {
        Opener { layout: self.layout.clone(), mechanism: self.mechanism, layers: self.layers.clone() }
    }
}

impl Handler<Changes> for Containers {
    type Result = ResponseFuture<Result<ChangeList, Failure>>;

    fn handle(&mut self, Changes { call, place, after, most }: Changes, _: &mut Self::Context) -> Self::Result {
        let (turn, opener, upper) = (self.turn(&place.id), self.opener(), self.layout.upper(&place.id));
        let span = call.span("changes");
        let work = async move {
            let _turn = turn.read_owned().await;
            let (image, _pins) = opener.open(call, &place, View::Image).await?;
            on_thread(move || {
                let again = image.try_clone().map_err(|error| Failure::io("opening the image", &error))?;
                upper::changes(&upper, [image, again], &after, most)
            })
            .await
        };
        Box::pin(work.instrument(span))
    }
}

impl Handler<Look> for Containers {
    type Result = ResponseFuture<Result<PathStat, Failure>>;

    fn handle(&mut self, Look { call, place, path }: Look, _: &mut Self::Context) -> Self::Result {
        let (turn, opener) = (self.turn(&place.id), self.opener());
        let span = call.span("stat");
        let work = async move {
            let _turn = turn.read_owned().await;
            let (root, _pins) = opener.open(call, &place, View::Whole).await?;
            on_thread(move || look::describe(root.as_fd(), &path)).await
        };
        Box::pin(work.instrument(span))
    }
}

impl Handler<Measure> for Containers {
    type Result = ResponseFuture<Result<Usage, Failure>>;

    fn handle(&mut self, Measure(id): Measure, _: &mut Self::Context) -> Self::Result {
        let (turn, upper) = (self.turn(&id), self.layout.upper(&id));
        Box::pin(async move {
            let _turn = turn.read_owned().await;
            on_thread(move || upper::usage(&upper)).await
        })
    }
}

impl Handler<Archive> for Containers {
    type Result = ResponseActFuture<Self, Result<ArchiveChunk, Failure>>;

    fn handle(&mut self, message: Archive, _: &mut Self::Context) -> Self::Result {
        let (turn, opener) = (self.turn(&message.place.id), self.opener());
        let known = self.archives.take(&message.cursor);
        self.count = self.count.wrapping_add(1);
        let (number, id) = (self.count, message.place.id.clone());
        let span = message.call.span("archive");
        let work = read_part((turn, opener, self.parts.clone()), message, known, number).instrument(span);
        Box::pin(work.into_actor(self).map(move |result, containers, _| {
            let (archive, part) = result?;
            if part.ended {
                containers.archives.keep_last(archive);
            } else {
                containers.archives.keep(number, id, archive);
            }
            Ok(part)
        }))
    }
}

async fn read_part(
    (turn, opener, parts): (Turn, Opener, pack::Parts),
    Archive { call, place, request, cursor, most }: Archive,
    known: Option<pack::Archive>,
    number: u64,
) -> Result<(pack::Archive, ArchiveChunk), Failure> {
    let most = if most == 0 { PART } else { (most as usize).clamp(SMALLEST_PART, PART) };
    let by_path = request.by_path;
    let _turn = turn.read_owned().await;
    let archive = match known {
        Some(mut known) => {
            known.renumber(number);
            known
        }
        None => {
            let view = if request.export { View::Alone } else { View::Whole };
            let (root, pins) = opener.open(call, &place, view).await?;
            let ids = place.ids;
            on_thread(move || pack::Archive::resume((root, pins), &request, ids, &cursor, number)).await?
        }
    };
    on_thread(move || {
        let mut archive = archive;
        let part = if by_path { archive.read_to_file(&parts, most) } else { archive.read(most) }?;
        Ok((archive, part))
    })
    .await
}

impl Handler<CommitLayer> for Containers {
    type Result = ResponseFuture<Result<u64, Failure>>;

    fn handle(&mut self, CommitLayer { call, place, upload }: CommitLayer, _: &mut Self::Context) -> Self::Result {
        let (turn, opener, upper) = (self.turn(&place.id), self.opener(), self.layout.upper(&place.id));
        let images = self.images.clone();
        let span = call.span("commit layer");
        let work = async move {
            // Alone: a repetition waits until the first is done, and does not write to its upload.
            let _turn = turn.write_owned().await;
            let (image, _pins) = opener.open(call, &place, View::Image).await?;
            images.abandon(&call, &upload).await?;
            if let Err(failure) = images.pack_upload(&call, &upload).await {
                tracing::info!(%failure, "the layer is compressed when all of it has come");
            }
            let (sender, mut parts) = mpsc::channel::<Vec<u8>>(2);
            let writing = on_thread(move || {
                let result = upper::write(&upper, image, Pieces { sender: sender.clone(), piece: Vec::new() });
                drop(sender);
                result
            });
            let sending = async {
                let mut length = 0;
                while let Some(part) = parts.recv().await {
                    length += part.len() as u64;
                    let stored = images.upload(&call, &upload, length - part.len() as u64, &part).await?;
                    if stored != length {
                        return Err(Failure::conflict(format_args!("somebody else writes to the upload {upload}")));
                    }
                }
                Ok(length)
            };
            let result = tokio::try_join!(writing, sending).map(|((), length)| length);
            if result.is_err() {
                // It would be removed after an hour.
                let _kept = images.abandon(&call, &upload).await;
            }
            result
        };
        finished(work.instrument(span))
    }
}

/// Hands over what is written, in pieces of [`PART`].
struct Pieces {
    sender: mpsc::Sender<Vec<u8>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.capacity() == 0 {
            self.piece.reserve_exact(PART);
        }
        let count = bytes.len().min(PART - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        if self.piece.len() == PART {
            self.flush()?;
        }
        Ok(count)
    }

    /// The last piece is shorter.
    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::take(&mut self.piece);
        if piece.is_empty() {
            return Ok(());
        }
        self.sender.blocking_send(piece).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}
