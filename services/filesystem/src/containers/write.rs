//! Putting files into a container.

use super::{Containers, finished};
use crate::mount::View;
use actix::{Handler, Message, ResponseFuture};
use kit::actor::on_thread;
use schema::filesystem::{ExtractRequest, Place};
use schema::{Call, Failure};
use tracing::Instrument;

/// Unpack an upload of the image store.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Extract {
    pub(crate) call: Call,
    pub(crate) place: Place,
    pub(crate) request: ExtractRequest,
}

impl Handler<Extract> for Containers {
    type Result = ResponseFuture<Result<(), Failure>>;

    fn handle(&mut self, Extract { call, place, request }: Extract, _: &mut Self::Context) -> Self::Result {
        self.archives.forget(&place.id);
        let (turn, opener, images) = (self.turn(&place.id), self.opener(), self.images.clone());
        let unpacker = self.unpacker.clone();
        let span = call.span("extract");
        let work = async move {
            let ExtractRequest { path, upload, keep_owner } = request;
            // Alone: the writable layer of a container that does not run is mounted for this.
            let _turn = turn.write_owned().await;
            let archive = images.upload_file(&call, &upload).await?;
            let (root, _pins) = opener.open(call, &place, View::Writable).await?;
            on_thread(move || unpacker.unpack_files(&root, &path, &archive.path, keep_owner, place.ids)).await
        };
        finished(work.instrument(span))
    }
}
