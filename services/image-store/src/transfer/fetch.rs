//! Bringing a file from a URL into an upload.

use super::Work;
use super::board::Board;
use super::pull::nothing;
use crate::store::{Abandon, Append};
use crate::uploads::UploadName;
use kit::actor::ask;
use registry_client::{Configuration, Piece};
use schema::Failure;
use schema::image_store::{FetchRequest, TransferResult, TransferStatus};
use std::sync::Arc;

/// Bytes that are handed on at a time.
const PIECE: usize = 512 << 10;

pub(super) async fn run(work: &Work, request: FetchRequest, board: &Arc<Board>) -> Result<TransferResult, Failure> {
    let upload: UploadName = request.upload.parse()?;
    let configuration = Configuration::load(&work.configuration)?;
    let mut fetch = registry_client::fetch(&configuration, &request.url)?;
    let line = board.line(title(&request.url), 0);
    // What an earlier process has brought may be of another version of the file.
    ask(&work.store, Abandon(upload.clone())).await?;
    let append = |offset: u64, data: Vec<u8>| ask(&work.store, Append { upload: upload.clone(), offset, data });
    append(0, Vec::new()).await?;
    let (mut written, mut pending) = (0, Vec::new());
    loop {
        match fetch.next(&line).await? {
            Some(Piece::Restart) => {
                pending.clear();
                written = 0;
                ask(&work.store, Abandon(upload.clone())).await?;
            }
            Some(Piece::Data { offset: _, bytes }) => {
                pending.extend_from_slice(&bytes);
                if pending.len() >= PIECE {
                    written = append(written, std::mem::take(&mut pending)).await?;
                }
            }
            None => break,
        }
    }
    let size = append(written, pending).await?;
    line.status(TransferStatus::Done);
    Ok(TransferResult { size, up_to_date: false, ..nothing() })
}

/// The file's name, without what may be secret.
fn title(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    name.rsplit('@').next().unwrap_or_default()
}
