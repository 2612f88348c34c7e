//! Sending an image: what the registry lacks of it, and its manifest last.

use super::Work;
use super::board::{Board, Line};
use super::place::{Place, location};
use super::pull::nothing;
use crate::store::{Describe, List, Register, Resolve};
use futures::future::try_join_all;
use kit::actor::{ask, on_thread};
use oci::manifest::{Descriptor, Document, parse};
use oci::reference::{Reference, Target};
use registry_client::{Configuration, Registry, Sent};
use schema::image_store::{Description, Image, PushRequest, TransferResult, TransferStatus};
use schema::{Call, Failure};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Blobs of one push that are sent at a time.
const MOST: usize = 3;

/// One push.
struct Push<'a> {
    work: &'a Work,
    call: Call,
    board: &'a Arc<Board>,
    registry: Registry,
    place: Place,
    /// In which other repository of that registry a blob was seen.
    elsewhere: HashMap<String, String>,
    turns: Semaphore,
}

/// What came of one tag.
struct Pushed {
    image: Image,
    digest: String,
    size: u64,
    new: bool,
}

pub(super) async fn run(
    work: &Work,
    call: Call,
    request: PushRequest,
    board: &Arc<Board>,
) -> Result<TransferResult, Failure> {
    let configuration = Configuration::load(&work.configuration)?;
    let place = Place::parse(&request.reference, &configuration)?;
    if place.target.digest.is_some() || (request.all_tags && place.target.tag.is_some()) {
        return Err(Failure::invalid(format_args!("{:?} cannot be pushed", request.reference))
            .hint("name a repository with a tag, or one without for all of its tags"));
    }
    let images = ask(&work.store, List).await?;
    let registry = Registry::new(&configuration, &place.location.registry, (&request.credentials).try_into()?)?;
    let elsewhere = elsewhere(&images, &place, &configuration);
    let names = if request.all_tags { tags(&images, &place) } else { place.target.reference().into_iter().collect() };
    let push = Push { work, call, board, registry, place, elsewhere, turns: Semaphore::new(MOST) };
    push.all(names).await
}

impl Push<'_> {
    /// A tag that cannot be sent does not keep back the others.
    async fn all(&self, names: Vec<Reference>) -> Result<TransferResult, Failure> {
        let alone = names.len() == 1;
        let (mut result, mut last) = (nothing(), None);
        for name in names {
            match self.send(&name).await {
                Ok(Pushed { image, digest, size, new }) => {
                    result.pushed.push(format!("{} {digest} {size}", name.tag()));
                    result.images.push(image);
                    (result.digest, result.size) = (digest, size);
                    result.up_to_date &= !new;
                }
                Err(failure) if alone => return Err(failure),
                Err(failure) => {
                    result.skipped.push(format!("{}: {failure}", name.tag()));
                    last = Some(failure);
                }
            }
        }
        match last {
            Some(failure) if result.images.is_empty() => Err(failure),
            None if result.images.is_empty() => {
                Err(Failure::not_found(format_args!("no such image: {}", self.place.repository()))
                    .hint("`cctl images` lists the images; `cctl tag` gives one a further name"))
            }
            _ => Ok(result),
        }
    }

    async fn send(&self, name: &Reference) -> Result<Pushed, Failure> {
        let repository = &self.place.location.repository;
        let described = ask(&self.work.store, Describe(name.to_string())).await?;
        let Description { configuration: _, manifest: content, media_type } = described;
        let Document::Manifest(manifest) = parse(&content, &media_type)? else {
            return Err(Failure::corrupt(format_args!("the manifest of {name} is an index")));
        };
        let digest = oci::digest(&content);
        let _held = self.work.shelf.hold(manifest.blobs().map(|blob| blob.digest.clone()));
        let was = self.registry.tagged(repository, name.tag()).await?;
        let mut seen = HashSet::new();
        let different = manifest.blobs().filter(|blob| seen.insert(&blob.digest));
        // The configuration is no layer that anybody wants to see.
        let is_config = |blob: &Descriptor| blob.digest == manifest.config.digest;
        let lines: Vec<(&Descriptor, Option<Line>)> = different
            .map(|blob| (blob, (!is_config(blob)).then(|| self.board.line(blob.digest.short(), blob.size))))
            .collect();
        let sent = try_join_all(lines.iter().map(|(blob, line)| self.blob(blob, line.as_ref()))).await?;
        let size = content.len() as u64;
        let document = registry_client::Document { content, digest: digest.clone(), media_type };
        self.registry.put_manifest(repository, name.tag(), &document).await?;
        let known_as = format!("{}@{digest}", self.place.repository());
        let register = Register::new(&self.call, document.content, &document.media_type)?.known_as(known_as);
        ask(&self.work.store, register).await?;
        let image = ask(&self.work.store, Resolve(name.to_string())).await?;
        let new = sent.contains(&true) || was.as_ref() != Some(&digest);
        Ok(Pushed { image, digest: digest.to_string(), size, new })
    }

    /// Whether it was sent.
    async fn blob(&self, blob: &Descriptor, line: Option<&Line>) -> Result<bool, Failure> {
        let Descriptor { digest, size, .. } = blob.clone();
        let _turn = self.turns.acquire().await.map_err(|_| Failure::internal("no more blobs are sent"))?;
        let (shelf, sought) = (self.work.shelf.clone(), digest.clone());
        // It stays readable whatever becomes of its name.
        let file = on_thread(move || {
            let missing = || Failure::corrupt(format_args!("blob {sought} of this image is missing or damaged"));
            let found = shelf.blob(&sought, size)?.ok_or_else(missing)?;
            File::open(&found.path).map_err(|error| Failure::io(format_args!("opening the blob {sought}"), &error))
        })
        .await?;
        let other = self.elsewhere.get(digest.as_str()).map(String::as_str);
        let repository = &self.place.location.repository;
        let progress: &dyn registry_client::Progress = match line {
            Some(line) => line,
            None => &(),
        };
        let sent = self.registry.upload(repository, (&digest, size), &Arc::new(file), other, progress).await?;
        if let Some(line) = line {
            line.status(match sent {
                Sent::Existed => TransferStatus::Exists,
                Sent::Mounted => TransferStatus::Mounted,
                Sent::Uploaded => TransferStatus::Done,
            });
        }
        Ok(sent != Sent::Existed)
    }
}

/// All names of the repository, sorted.
fn tags(images: &[Image], place: &Place) -> Vec<Reference> {
    let names = images.iter().flat_map(|image| &image.references);
    let mut names: Vec<Reference> = names
        .filter_map(|name| name.parse::<Target>().ok()?.reference())
        .filter(|name| name.repository() == place.repository())
        .collect();
    names.sort();
    names
}

/// Which other repositories of the registry have which blobs, as far as this host knows.
fn elsewhere(images: &[Image], place: &Place, configuration: &Configuration) -> HashMap<String, String> {
    let mut found = HashMap::new();
    for image in images {
        for known in &image.repository_digests {
            let Some((repository, _)) = known.split_once('@') else { continue };
            let there = location(repository, configuration);
            if there.registry == place.location.registry && there.repository != place.location.repository {
                let digests = image.layers.iter().map(|layer| layer.digest.to_string());
                found.extend(digests.map(|digest| (digest, there.repository.clone())));
            }
        }
    }
    found
}
