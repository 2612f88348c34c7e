//! Bringing an image: its manifest, its configuration, its layers; and only then its name.

use super::Work;
use super::board::{Board, Line};
use super::downloads::Wanted as Blob;
use super::place::Place;
use super::sources::Sources;
use crate::store::{Register, Resolve};
use futures::future::try_join_all;
use kit::actor::{ask, on_thread};
use oci::config;
use oci::manifest::{Descriptor, Document, Manifest, parse};
use oci::reference::Reference;
use registry_client::{Configuration, Platform, Wanted};
use schema::image_store::{Image, PullRequest, TransferResult, TransferStatus};
use schema::{Call, Code, Digest, Failure};
use std::collections::HashSet;
use std::sync::Arc;

/// One pull.
struct Pull<'a> {
    work: &'a Work,
    call: Call,
    board: &'a Arc<Board>,
    sources: Arc<Sources>,
    place: Place,
    platform: Platform,
    /// Whether the caller has named the platform.
    demanded: bool,
}

/// What came of one tag.
struct Pulled {
    image: Image,
    digest: Digest,
    size: u64,
    new: bool,
}

pub(super) async fn run(
    work: &Work,
    call: Call,
    request: PullRequest,
    board: &Arc<Board>,
) -> Result<TransferResult, Failure> {
    let configuration = Configuration::load(&work.configuration)?;
    let place = Place::parse(&request.reference, &configuration)?;
    let demanded = !request.platform.is_empty();
    let platform = if demanded { request.platform.parse()? } else { Platform::host() };
    let credentials = (&request.credentials).try_into()?;
    let sources = Arc::new(Sources::new(&configuration, &place.location.registry, credentials)?);
    let pull = Pull { work, call, board, sources, place, platform, demanded };
    if request.all_tags { pull.all_tags().await } else { pull.one_tag().await }
}

impl Pull<'_> {
    async fn one_tag(&self) -> Result<TransferResult, Failure> {
        let Pulled { image, digest, size, new } = self.bring(self.place.target.reference()).await?;
        Ok(TransferResult {
            images: vec![image],
            digest: digest.to_string(),
            size,
            up_to_date: !new,
            pushed: Vec::new(),
            skipped: Vec::new(),
        })
    }

    /// A tag that cannot be brought does not keep back the others.
    async fn all_tags(&self) -> Result<TransferResult, Failure> {
        let Place { target, location } = &self.place;
        if target.tag.is_some() || target.digest.is_some() {
            return Err(Failure::invalid("all tags of a repository: name it without a tag and a digest"));
        }
        let tags = self.sources.registry().tags(&location.repository).await?;
        let (mut result, mut last) = (nothing(), None);
        for tag in tags {
            let brought = match Reference::new(target.repository.clone(), &tag) {
                Ok(reference) => self.bring(Some(reference)).await,
                Err(failure) => Err(failure),
            };
            match brought {
                Ok(Pulled { image, digest, size, new }) => {
                    result.images.push(image);
                    (result.digest, result.size) = (digest.to_string(), size);
                    result.up_to_date &= !new;
                }
                Err(failure) if failure.code == Code::ResourceExhausted => return Err(failure),
                Err(failure) => {
                    result.skipped.push(format!("{tag}: {failure}"));
                    last = Some(failure);
                }
            }
        }
        match last {
            Some(failure) if result.images.is_empty() => Err(failure),
            None if result.images.is_empty() => {
                Err(Failure::not_found(format_args!("there is no tag in {}", self.place.repository())))
            }
            _ => Ok(result),
        }
    }

    /// Brings what a name means; none: what the digest of the request means.
    async fn bring(&self, name: Option<Reference>) -> Result<Pulled, Failure> {
        let repository = &self.place.location.repository;
        let wanted = match (&self.place.target.digest, &name) {
            (Some(digest), _) => Wanted::Digest(digest),
            (None, Some(name)) => Wanted::Tag(name.tag()),
            (None, None) => return Err(Failure::invalid("neither a tag nor a digest")),
        };
        let top = self.sources.manifest(repository, wanted).await?;
        let known_as = format!("{}@{}", self.place.repository(), top.digest);
        let (digest, size) = (top.digest.clone(), top.content.len() as u64);
        let (document, manifest) = self.image(top).await?;
        let before =
            ask(&self.work.store, Resolve(name.as_ref().map_or(known_as.clone(), ToString::to_string))).await.ok();
        // Until it is registered, nothing else keeps what has arrived.
        let _held = self.work.shelf.hold(manifest.blobs().map(|blob| blob.digest.clone()));
        self.configuration(&manifest.config).await?;
        let brought = self.layers(&manifest.layers).await?;
        let register = Register::new(&self.call, document.content, &document.media_type)?
            .named(name.into_iter().collect())
            .known_as(known_as);
        let image = ask(&self.work.store, register).await?;
        let same = before.is_some_and(|before| before.id == image.id && before.manifest == image.manifest);
        Ok(Pulled { image, digest, size, new: brought || !same })
    }

    /// The manifest of the image for the platform, which may be named by an index.
    async fn image(&self, top: registry_client::Document) -> Result<(registry_client::Document, Manifest), Failure> {
        let offers = match parse(&top.content, &top.media_type).map_err(|failure| self.context(failure))? {
            Document::Manifest(manifest) => return Ok((top, manifest)),
            Document::Index(offers) => offers,
        };
        let chosen = self.chosen(&offers)?;
        let repository = &self.place.location.repository;
        let document = self.sources.manifest(repository, Wanted::Digest(&chosen.digest)).await?;
        match parse(&document.content, &document.media_type).map_err(|failure| self.context(failure))? {
            Document::Manifest(manifest) => Ok((document, manifest)),
            Document::Index(_) => Err(self.context(Failure::invalid("an index that names an index is not followed"))),
        }
    }

    fn chosen<'b>(&self, offers: &'b [Descriptor]) -> Result<&'b Descriptor, Failure> {
        let platforms: Vec<Platform> = offers.iter().map(platform).collect();
        let index = self.platform.choose(&platforms).ok_or_else(|| {
            let there: Vec<String> =
                platforms.iter().filter(|offer| offer.os != "unknown").map(ToString::to_string).take(20).collect();
            self.context(Failure::not_found(format_args!("there is no image for {}", self.platform)))
                .hint(format_args!("there are images for: {}", there.join(", ")))
        })?;
        offers.get(index).ok_or_else(|| Failure::internal("an index has no such entry"))
    }

    /// Brings the configuration; an image of another platform than demanded is refused before its layers come.
    async fn configuration(&self, wanted: &Descriptor) -> Result<(), Failure> {
        let Descriptor { digest, size, .. } = wanted.clone();
        let (shelf, sought) = (self.work.shelf.clone(), digest.clone());
        let there = on_thread(move || shelf.blob(&sought, size)?.map(|_| shelf.document(&sought)).transpose()).await?;
        let content = match there {
            Some(content) => content,
            None => {
                let content = self.sources.small_blob(&self.place.location.repository, &digest, size).await?;
                let (shelf, stored) = (self.work.shelf.clone(), content.clone());
                on_thread(move || shelf.put(&digest, &stored)).await?;
                content
            }
        };
        let runtime = config::parse(&content).map_err(|failure| self.context(failure))?.runtime;
        let made_for = Platform { os: runtime.os, architecture: runtime.architecture, variant: runtime.variant };
        if self.demanded && !made_for.os.is_empty() && !self.platform.runs(&made_for) {
            let failure = Failure::not_found(format_args!("there is no image for {}", self.platform));
            return Err(self.context(failure).hint(format_args!("there is one for {made_for}")));
        }
        Ok(())
    }

    /// Brings the layers that are missing, side by side. Whether there were any.
    async fn layers(&self, layers: &[Descriptor]) -> Result<bool, Failure> {
        let mut seen = HashSet::new();
        let different = layers.iter().filter(|layer| seen.insert(&layer.digest));
        let lines: Vec<(&Descriptor, Line)> =
            different.map(|layer| (layer, self.board.line(layer.digest.short(), layer.size))).collect();
        let brought = try_join_all(lines.iter().map(|(layer, line)| self.layer(layer, line))).await?;
        Ok(brought.contains(&true))
    }

    async fn layer(&self, layer: &Descriptor, line: &Line) -> Result<bool, Failure> {
        let Descriptor { digest, size, .. } = layer.clone();
        let (shelf, sought) = (self.work.shelf.clone(), digest.clone());
        if on_thread(move || shelf.blob(&sought, size)).await?.is_some() {
            line.status(TransferStatus::Exists);
            return Ok(false);
        }
        let (sources, repository) = (Arc::clone(&self.sources), self.place.location.repository.clone());
        self.work.downloads.bring(&Blob { sources, repository, digest, size }, line).await?;
        Ok(true)
    }

    fn context(&self, failure: Failure) -> Failure {
        failure.context(format_args!("registry {}, {}", self.place.location.registry, self.place.location.repository))
    }
}

fn platform(offer: &Descriptor) -> Platform {
    match &offer.platform {
        Some(found) => {
            Platform { os: found.os.clone(), architecture: found.architecture.clone(), variant: found.variant.clone() }
        }
        // An entry that says nothing is no image for anybody.
        None => Platform { os: "unknown".to_owned(), ..Platform::default() },
    }
}

pub(super) fn nothing() -> TransferResult {
    TransferResult {
        images: Vec::new(),
        digest: String::new(),
        size: 0,
        up_to_date: true,
        pushed: Vec::new(),
        skipped: Vec::new(),
    }
}
