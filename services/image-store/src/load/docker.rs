//! Archives with a `manifest.json`, as `docker save` has written them since 1.10, and other programs do.

use super::entries::Entries;
use super::stage::Stage;
use super::{Refusal, counted, json, refuse};
use crate::plan::LoadedImage;
use crate::record::{ImageRecord, Stored};
use oci::build::manifest_of;
use oci::config::{self, Config};
use oci::reference::Reference;
use oci::{Document, manifest};
use schema::Failure;
use schema::common::Layer;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// All images of the archive.
pub(super) fn images(entries: &Entries<'_>, stage: &mut Stage<'_>) -> Result<Vec<LoadedImage>, Refusal> {
    let listed: Vec<Image> = json("manifest.json", &entries.document("manifest.json")?)?;
    let mut images = Vec::new();
    for Image { config: name, repo_tags, layers } in counted(listed)? {
        let content = entries.document(&name)?;
        let config = config::parse(&content)?;
        let layers = layers.unwrap_or_default();
        if layers.len() != config.diff_ids.len() {
            let (listed, told) = (layers.len(), config.diff_ids.len());
            return Err(refuse(format_args!("image {name} has {listed} layers, but its configuration {told}")));
        }
        let staged = { layers.iter().zip(&config.diff_ids) }
            .map(|(layer, diff_id)| stage.layer(entries, layer, Some(diff_id)))
            .collect::<Result<Vec<Layer>, Refusal>>()?;
        let names = { repo_tags.unwrap_or_default().into_iter() }
            .map(|name| name.parse::<Reference>().map(|name| name.to_string()))
            .collect::<Result<Vec<String>, Failure>>()?;
        images.push(LoadedImage { record: record(stage, &content, config, &staged)?, names });
    }
    Ok(images)
}

/// Records an image whose manifest is made here.
pub(super) fn record(
    stage: &mut Stage<'_>,
    content: &[u8],
    config: Config,
    layers: &[Layer],
) -> Result<ImageRecord, Refusal> {
    let document = Document { digest: stage.document(content)?, text: String::from_utf8_lossy(content).into_owned() };
    let made = manifest_of(&document, layers)?;
    stage.document(made.text.as_bytes())?;
    let manifest::Document::Manifest(manifest) = manifest::parse(made.text.as_bytes(), "")? else {
        return Err(refuse("the image cannot be described"));
    };
    let stored = Stored { digest: made.digest.clone(), size: made.size() };
    Ok(ImageRecord::new(stored, &manifest, config)?)
}
