//! Images that have arrived, and names for them.

use super::{Register, SetTag, Store};
use crate::disk::Disk;
use crate::record::{ImageRecord, Stored};
use actix::{Context, Handler, ResponseFuture};
use oci::config;
use schema::image_store::Image;
use schema::{Code, Digest, Failure};

impl Handler<Register> for Store {
    type Result = ResponseFuture<Result<Image, Failure>>;

    fn handle(&mut self, register: Register, context: &mut Context<Self>) -> Self::Result {
        let span = register.call.span("register");
        self.change(
            context,
            span,
            |store| {
                let before = store.index.record(&register.manifest.config.digest).cloned();
                Ok((register, before))
            },
            |disk, (register, before)| {
                let record = written(disk, &register, before.as_ref())?;
                let names: Vec<String> = register.names.iter().map(ToString::to_string).collect();
                for name in &names {
                    disk.put_tag(name, record.id())?;
                }
                Ok((record, names))
            },
            |store, (record, names)| {
                let id = record.id().clone();
                tracing::info!(image = %id, ?names, "registered");
                store.index.add_image(record);
                for name in names {
                    store.index.tag(name, &id);
                }
                store.image(&id)
            },
        )
    }
}

/// Verifies that the image is whole, and records it.
fn written(disk: &Disk, register: &Register, before: Option<&ImageRecord>) -> Result<ImageRecord, Failure> {
    let Register { content, digest, manifest, repository_digest, .. } = register;
    for blob in manifest.blobs() {
        disk.blobs.find(&blob.digest, Some(blob.size))?;
    }
    let config = config::parse(&disk.blobs.document(&manifest.config.digest)?)?;
    let stored = Stored { digest: digest.clone(), size: content.len() as u64 };
    let mut record = ImageRecord::new(stored, manifest, config)?;
    record.repository_digests.extend(repository_digest.clone());
    if let Some(before) = before {
        record = record.joined(before);
    }
    disk.blobs.put(digest, content)?;
    disk.put_image(&record)?;
    Ok(record)
}

impl Handler<SetTag> for Store {
    type Result = ResponseFuture<Result<Image, Failure>>;

    fn handle(&mut self, message: SetTag, context: &mut Context<Self>) -> Self::Result {
        let SetTag { call, source, target, force } = message;
        self.change(
            context,
            call.span("tag"),
            move |store| {
                let image = store.index.find(&source)?.clone();
                let target = target.to_string();
                match store.index.tagged(&target) {
                    Some(other) if *other != image && !force => Err(taken(&target, other)),
                    _ => Ok((store.kept(&image)?, target, image)),
                }
            },
            |disk, (kept, target, image)| {
                if let Some(record) = &kept {
                    disk.put_image(record)?;
                }
                disk.put_tag(&target, &image)?;
                Ok((kept, target, image))
            },
            |store, (kept, target, image)| {
                kept.into_iter().for_each(|record| store.index.add_image(record));
                store.index.tag(target, &image);
                store.image(&image)
            },
        )
    }
}

impl Store {
    /// The record of an image that was to go with its last holder, and now gets a name: it stays.
    fn kept(&self, image: &Digest) -> Result<Option<ImageRecord>, Failure> {
        let record =
            self.index.record(image).ok_or_else(|| Failure::not_found(format_args!("no such image: {image}")))?;
        let stays = ImageRecord { outlives: Vec::new(), ..record.clone() };
        Ok(Some(stays).filter(|_| !record.outlives.is_empty()))
    }
}

fn taken(name: &str, image: &Digest) -> Failure {
    Failure::new(Code::AlreadyExists, format_args!("{name} is the name of image {} already", image.short()))
        .hint("`cctl tag -f` moves the name to the other image")
}
