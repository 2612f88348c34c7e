//! What is asked of a commit: an image of another one and a layer.

use crate::changes;
use crate::check::Checked;
use crate::disk::Disk;
use crate::plan::{Origin, Plan};
use crate::record::ImageRecord;
use oci::build::{Base, Story};
use oci::reference::Reference;
use schema::image_store::{CommitRequest, ImageConfig};
use schema::{ContainerId, Digest, Failure};

/// What the caller wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) base: Digest,
    reference: Option<Reference>,
    runtime: ImageConfig,
    author: String,
    container: ContainerId,
    created_by: String,
}

impl Request {
    pub(crate) fn parse(request: &CommitRequest) -> Result<Self, Failure> {
        let CommitRequest { base, reference, message, author, container, command, config, changes } = request;
        let mut runtime = config.clone();
        changes::apply(&mut runtime, changes)?;
        runtime.comment.clone_from(message);
        Ok(Self {
            base: base.clone(),
            reference: if reference.is_empty() { None } else { Some(reference.parse()?) },
            runtime,
            author: author.clone(),
            container: container.clone(),
            created_by: command.join(" "),
        })
    }

    /// The image that was asked for, of a layer that was found to be sound.
    pub(crate) fn plan(
        &self,
        disk: &Disk,
        below: &ImageRecord,
        checked: Checked,
        created_at: i64,
    ) -> Result<Plan, Failure> {
        let Checked { mut layer, packed } = checked;
        let config = disk.blobs.document(below.id())?;
        let base = Base::parse(&config, &disk.blobs.document(&below.manifest.digest)?, &below.manifest_type)?;
        layer.media_type = base.layer_type(&layer.media_type);
        let mut runtime = self.runtime.clone();
        for (own, inherited) in [
            (&mut runtime.architecture, &below.runtime.architecture),
            (&mut runtime.os, &below.runtime.os),
            (&mut runtime.variant, &below.runtime.variant),
        ] {
            if own.is_empty() {
                own.clone_from(inherited);
            }
        }
        let story = Story {
            runtime: &runtime,
            created_at,
            created_by: &self.created_by,
            comment: &runtime.comment,
            author: &self.author,
            container: Some(&self.container),
        };
        let documents = base.extended(&layer, &story)?;
        let layers = below.layers.iter().cloned().chain([layer]).collect();
        let origin = Origin { parent: Some(below.id().clone()), manifest_type: Some(below.manifest_type.clone()) };
        Ok(Plan::new(documents, layers, &story, origin, self.reference.as_ref(), packed))
    }
}
