//! What the actor is asked.

use crate::uploads::UploadName;
use crate::{commit, import};
use actix::Message;
use oci::manifest::{Document, Manifest};
use oci::reference::Reference;
use schema::common::CheckReport;
use schema::image_store::{Blob, Description, HistoryStep, Image, Removed, SavedPart};
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

/// Compress an upload while it comes.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Pack(pub(crate) UploadName);

/// Make images of an upload.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<Image>, Failure>")]
pub(crate) struct Convert {
    pub(crate) call: Call,
    pub(crate) upload: UploadName,
    pub(crate) wanted: Wanted,
}

/// What an upload is, and what is made of it.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// One image, of an archive from elsewhere.
    Import(Box<import::Request>),
    /// One image, of another and a layer.
    Commit(Box<commit::Request>),
    /// All images of an archive of images.
    Load,
}

/// Forget an upload.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Abandon(pub(crate) UploadName);

/// An image whose blobs have all arrived: record it, and give it these names. Keep its blobs held until this is
/// answered. Fails: notFound or corrupt if a blob is not there whole; invalidArgument if manifest and
/// configuration contradict each other.
#[derive(Debug, Message)]
#[rtype(result = "Result<Image, Failure>")]
pub(crate) struct Register {
    pub(super) call: Call,
    pub(super) content: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) manifest: Manifest,
    pub(super) names: Vec<Reference>,
    pub(super) repository_digest: Option<String>,
}

impl Register {
    /// Of the bytes of a manifest, and the media type with which they came.
    pub(crate) fn new(call: &Call, content: Vec<u8>, media_type: &str) -> Result<Self, Failure> {
        let Document::Manifest(manifest) = oci::manifest::parse(&content, media_type)? else {
            return Err(Failure::invalid("this is an index of several images, not an image"));
        };
        let digest = oci::digest(&content);
        Ok(Self { call: *call, content, digest, manifest, names: Vec::new(), repository_digest: None })
    }

    /// Gives it names; each is taken from the image that has it.
    pub(crate) fn named(mut self, names: Vec<Reference>) -> Self {
        self.names = names;
        self
    }

    /// Says under which `repository@digest` its registry knows it: the digest of the manifest, or of the index
    /// that named it.
    pub(crate) fn known_as(mut self, repository_digest: String) -> Self {
        self.repository_digest = Some(repository_digest);
        self
    }
}

/// Give an image a further name. Fails: alreadyExists if another has it, unless forced.
#[derive(Debug, Message)]
#[rtype(result = "Result<Image, Failure>")]
pub(crate) struct SetTag {
    pub(crate) call: Call,
    /// As users name images.
    pub(crate) source: String,
    pub(crate) target: Reference,
    pub(crate) force: bool,
}

/// Take a name from an image, and remove it with its last name.
#[derive(Debug, Message)]
#[rtype(result = "Result<Removed, Failure>")]
pub(crate) struct Remove {
    pub(crate) call: Call,
    pub(crate) reference: String,
    pub(crate) force: bool,
}

/// How was this image made?
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<HistoryStep>, Failure>")]
pub(crate) struct History(pub(crate) String);

/// What are its configuration and manifest?
#[derive(Debug, Message)]
#[rtype(result = "Result<Description, Failure>")]
pub(crate) struct Describe(pub(crate) String);

/// Find an image, and keep it for a holder.
#[derive(Debug, Message)]
#[rtype(result = "Result<Image, Failure>")]
pub(crate) struct Lease {
    pub(crate) call: Call,
    /// Safe as a file name.
    pub(crate) holder: String,
    pub(crate) reference: String,
}

/// This holder keeps nothing any more.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Release {
    pub(crate) call: Call,
    pub(crate) holder: String,
}

/// These are all holders, and what they keep.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Reconcile {
    pub(crate) call: Call,
    pub(crate) leases: Vec<(String, Digest)>,
}

/// Is all that is stored as it should be? What is not is mended, if that is wanted and can be done here.
#[derive(Debug, Message)]
#[rtype(result = "Result<CheckReport, Failure>")]
pub(crate) struct Check {
    pub(crate) call: Call,
    pub(crate) repair: bool,
}

/// Where is this upload?
#[derive(Debug, Message)]
#[rtype(result = "Result<Blob, Failure>")]
pub(crate) struct FindUpload(pub(crate) UploadName);

/// Bytes of an archive of these images.
#[derive(Debug, Message)]
#[rtype(result = "Result<SavedPart, Failure>")]
pub(crate) struct Save {
    pub(crate) references: Vec<String>,
    pub(crate) offset: u64,
    pub(crate) most: u32,
}
