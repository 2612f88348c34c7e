//! What the actor is asked.

use crate::import::Request;
use crate::uploads::UploadName;
use actix::Message;
use schema::image_store::{Blob, Image};
use schema::{Call, Digest, Failure};

/// Which image does this text mean?
#[derive(Debug, Message)]
#[rtype(result = "Result<Image, Failure>")]
pub(crate) struct Resolve(pub(crate) String);

/// Which images are there?
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<Image>, Failure>")]
pub(crate) struct List;

/// Where is this blob?
#[derive(Debug, Message)]
#[rtype(result = "Result<Blob, Failure>")]
pub(crate) struct FindBlob(pub(crate) Digest);

/// More of an upload. Answers its length.
#[derive(Debug, Message)]
#[rtype(result = "Result<u64, Failure>")]
pub(crate) struct Append {
    pub(crate) upload: UploadName,
    pub(crate) offset: u64,
    pub(crate) data: Vec<u8>,
}

/// Make an image of an upload.
#[derive(Debug, Message)]
#[rtype(result = "Result<Image, Failure>")]
pub(crate) struct Import {
    pub(crate) call: Call,
    pub(crate) upload: UploadName,
    pub(crate) request: Request,
}

/// Forget an upload.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Abandon(pub(crate) UploadName);
