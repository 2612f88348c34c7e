//! OCI image layouts (image-spec, image-layout.md), as one archive.

use super::entries::Entries;
use super::stage::Stage;
use super::{Refusal, counted, json, refuse};
use crate::plan::LoadedImage;
use crate::record::{ImageRecord, Stored};
use oci::manifest::{self, Descriptor, Document, LONGEST_DOCUMENT, OCI_INDEX};
use oci::reference::Reference;
use oci::{architecture, config, digest};
use schema::Digest;
use serde::Deserialize;
use std::collections::HashMap;

/// How deep an index may lie in indexes.
const DEEPEST: usize = 4;
const CONTAINERD_NAME: &str = "io.containerd.image.name";
const OCI_NAME: &str = "org.opencontainers.image.ref.name";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    image_layout_version: String,
}

/// What a `manifest.json` beside the layout says of its images' names.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Names {
    config: String,
    repo_tags: Option<Vec<String>>,
}

/// All images of the layout.
pub(super) fn images(entries: &Entries<'_>, stage: &mut Stage<'_>) -> Result<Vec<LoadedImage>, Refusal> {
    let Version { image_layout_version } = json("oci-layout", &entries.document("oci-layout")?)?;
    if !image_layout_version.starts_with("1.") {
        return Err(refuse(format_args!("an OCI layout of version {image_layout_version:?}: 1.0.0 is known")));
    }
    let Document::Index(listed) = manifest::parse(&entries.document("index.json")?, OCI_INDEX)? else {
        return Err(refuse("member index.json is not an index"));
    };
    let docker_names = docker_names(entries)?;
    let mut images: Vec<LoadedImage> = Vec::new();
    for descriptor in counted(listed)? {
        let Some(record) = image(entries, stage, &descriptor, 0)? else { continue };
        let mut names = names(&descriptor)?;
        names.extend(docker_names.get(record.id()).cloned().unwrap_or_default());
        match images.iter_mut().find(|image| image.record == record) {
            Some(same) => same.names.extend(names),
            None => images.push(LoadedImage { record, names }),
        }
    }
    for image in &mut images {
        image.names.sort();
        image.names.dedup();
    }
    Ok(images)
}

/// The image that a descriptor names: itself, or that of this host in an index. None for what accompanies images.
fn image(
    entries: &Entries<'_>,
    stage: &mut Stage<'_>,
    descriptor: &Descriptor,
    depth: usize,
) -> Result<Option<ImageRecord>, Refusal> {
    if descriptor.platform.as_ref().is_some_and(|platform| platform.os == "unknown") {
        return Ok(None);
    }
    let content = document(entries, descriptor)?;
    match manifest::parse(&content, &descriptor.media_type)? {
        Document::Manifest(found) => Ok(Some(record(entries, stage, &content, &found)?)),
        Document::Index(_) if depth == DEEPEST => Err(refuse("indexes lie too deep in indexes")),
        Document::Index(listed) => {
            let own = listed.iter().find(|one| is_ours(one) && entries.has(&path(&one.digest)));
            let own = own.ok_or_else(|| {
                refuse(format_args!("index {} has no image for linux/{}", descriptor.digest, architecture()))
            })?;
            image(entries, stage, own, depth + 1)
        }
    }
}

fn is_ours(descriptor: &Descriptor) -> bool {
    let platform = descriptor.platform.as_ref();
    platform.is_none_or(|platform| platform.os == "linux" && platform.architecture == architecture())
}

fn record(
    entries: &Entries<'_>,
    stage: &mut Stage<'_>,
    content: &[u8],
    manifest: &manifest::Manifest,
) -> Result<ImageRecord, Refusal> {
    let config = document(entries, &manifest.config)?;
    let stored = Stored { digest: digest(content), size: content.len() as u64 };
    let record = ImageRecord::new(stored, manifest, config::parse(&config)?)?;
    for layer in &manifest.layers {
        stage.blob(entries, &path(&layer.digest), &layer.digest, layer.size)?;
    }
    stage.document(&config)?;
    stage.document(content)?;
    Ok(record)
}

/// A small blob, verified.
fn document(entries: &Entries<'_>, descriptor: &Descriptor) -> Result<Vec<u8>, Refusal> {
    let Descriptor { digest: wanted, size, .. } = descriptor;
    if *size > LONGEST_DOCUMENT {
        return Err(refuse(format_args!("document {wanted} has {size} bytes: more than {LONGEST_DOCUMENT}")));
    }
    let content = entries.document(&path(wanted))?;
    if content.len() as u64 != *size {
        return Err(refuse(format_args!("document {wanted} has {} bytes, not {size}", content.len())));
    }
    let found = digest(&content);
    if found != *wanted {
        return Err(refuse(format_args!("member {} has the digest {found}", path(wanted))));
    }
    Ok(content)
}

fn path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Names from annotations. `ref.name` is a whole name for some programs and a mere tag for others: `latest` alone
/// names nothing.
fn names(descriptor: &Descriptor) -> Result<Vec<String>, Refusal> {
    let annotation = |key| descriptor.annotations.as_ref().and_then(|all| all.get(key));
    let name = match (annotation(CONTAINERD_NAME), annotation(OCI_NAME)) {
        (Some(name), _) => name,
        (None, Some(name)) if name != "latest" => name,
        _ => return Ok(Vec::new()),
    };
    // The name is that of another program's world; what cannot be one here is no reason to refuse the image.
    Ok(name.parse::<Reference>().map(|name| name.to_string()).into_iter().collect())
}

/// Names by the ids of images, from a `manifest.json` beside the layout.
fn docker_names(entries: &Entries<'_>) -> Result<HashMap<Digest, Vec<String>>, Refusal> {
    let mut all: HashMap<Digest, Vec<String>> = HashMap::new();
    if !entries.has("manifest.json") {
        return Ok(all);
    }
    let listed: Vec<Names> = json("manifest.json", &entries.document("manifest.json")?)?;
    for Names { config, repo_tags } in counted(listed)? {
        let Some(id) = config.rsplit('/').next().and_then(|name| format!("sha256:{name}").parse().ok()) else {
            continue;
        };
        for name in repo_tags.unwrap_or_default() {
            all.entry(Digest::clone(&id)).or_default().push(name.parse::<Reference>()?.to_string());
        }
    }
    Ok(all)
}
