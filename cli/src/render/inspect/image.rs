//! Images in full.

use super::super::time::rfc3339;
use schema::image_store::Image;
use serde::Serialize;
use std::collections::BTreeMap;

/// An image in full.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct InspectedImage<'a> {
    id: &'a str,
    repo_tags: &'a [String],
    repo_digests: &'a [String],
    parent: &'a str,
    comment: &'a str,
    created: String,
    container: &'a str,
    author: &'a str,
    architecture: &'a str,
    variant: &'a str,
    os: &'a str,
    size: u64,
    manifest: &'a str,
    config: ImageConfig<'a>,
    #[serde(rename = "RootFS")]
    root: Root<'a>,
    holders: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ImageConfig<'a> {
    user: &'a str,
    env: &'a [String],
    entrypoint: &'a [String],
    cmd: &'a [String],
    working_dir: &'a str,
    stop_signal: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
    exposed_ports: BTreeMap<&'a str, Empty>,
    volumes: BTreeMap<&'a str, Empty>,
}

/// What stands for a member of a set.
#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Root<'a> {
    r#type: &'static str,
    layers: Vec<&'a str>,
}

/// `key=value` in two.
pub(super) fn labels(labels: &[String]) -> BTreeMap<&str, &str> {
    labels.iter().map(|label| label.split_once('=').unwrap_or((label, ""))).collect()
}

fn set(names: &[String]) -> BTreeMap<&str, Empty> {
    names.iter().map(|name| (name.as_str(), Empty {})).collect()
}

impl<'a> From<&'a Image> for InspectedImage<'a> {
    fn from(image: &'a Image) -> Self {
        let Image { id, references, created_at, size, layers, config, .. } = image;
        Self {
            id: id.as_str(),
            repo_tags: references,
            repo_digests: &image.repository_digests,
            parent: image.parent.as_ref().map_or("", |parent| parent.as_str()),
            comment: &config.comment,
            created: rfc3339(*created_at),
            container: image.container.as_ref().map_or("", |container| container.as_str()),
            author: &image.author,
            architecture: &config.architecture,
            variant: &config.variant,
            os: &config.os,
            size: *size,
            manifest: image.manifest.as_str(),
            config: ImageConfig {
                user: &config.user,
                env: &config.environment,
                entrypoint: &config.entrypoint,
                cmd: &config.command,
                working_dir: &config.working_directory,
                stop_signal: &config.stop_signal,
                labels: labels(&config.labels),
                exposed_ports: set(&config.exposed_ports),
                volumes: set(&config.volumes),
            },
            root: Root { r#type: "layers", layers: layers.iter().map(|layer| layer.diff_id.as_str()).collect() },
            holders: &image.holders,
        }
    }
}
