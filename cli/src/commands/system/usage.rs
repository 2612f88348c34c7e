//! `system df`.

use crate::args::Format;
use crate::commands::ps::usage;
use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::render::usage::{Kind, listing};
use schema::containers::{State, Summary};
use schema::image_store::Image;
use std::collections::HashMap;

/// Prints what images and containers take on disk, and what could be had back.
pub(super) async fn run(engine: &Engine, format: Option<&Format>) -> Result<u8> {
    let images = engine.images.list(&call()).await?;
    let containers = engine.containers.list(&call()).await?;
    let usage = usage(engine, &containers).await?;
    let bytes = |container: &Summary| usage.get(container.id.as_str()).map_or(0, |usage| usage.bytes);
    let runs = |container: &&Summary| !matches!(container.state, State::Created | State::Exited);
    let all: u64 = containers.iter().map(bytes).sum();
    let rows = [
        of_images(&images),
        Kind {
            name: "Containers",
            total: containers.len(),
            active: containers.iter().filter(runs).count(),
            size: all,
            reclaimable: all - containers.iter().filter(runs).map(bytes).sum::<u64>(),
        },
    ];
    console::print(&listing(&rows)?.render(format.unwrap_or(&Format::Table))?)?;
    Ok(0)
}

/// Layers that images share count once.
fn of_images(images: &[Image]) -> Kind {
    let (mut size, mut used) = (0, 0);
    let mut layers: HashMap<&str, (u64, bool)> = HashMap::new();
    for image in images {
        let active = !image.holders.is_empty();
        let own = image.size.saturating_sub(image.layers.iter().map(|layer| layer.size).sum());
        size += own;
        used += if active { own } else { 0 };
        for layer in &image.layers {
            layers.entry(layer.digest.as_str()).or_insert((layer.size, false)).1 |= active;
        }
    }
    size += layers.values().map(|(size, _)| size).sum::<u64>();
    used += layers.values().filter(|(_, active)| *active).map(|(size, _)| size).sum::<u64>();
    Kind {
        name: "Images",
        total: images.len(),
        active: images.iter().filter(|image| !image.holders.is_empty()).count(),
        size,
        reclaimable: size.saturating_sub(used),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::image::tests::image;
    use schema::Digest;
    use schema::common::Layer;

    #[test]
    fn shared_layers_count_once() {
        let layer = |byte: u8, size| Layer {
            digest: Digest::from_sha256(&[byte; 32]),
            diff_id: Digest::from_sha256(&[byte; 32]),
            media_type: String::new(),
            size,
        };
        let base = Image { size: 1010, layers: vec![layer(1, 1000)], holders: vec!["c".into()], ..image(&["base:1"]) };
        let other = Image { size: 1220, layers: vec![layer(1, 1000), layer(2, 200)], ..image(&["other:1"]) };
        let kind = of_images(&[base, other]);
        assert_eq!((kind.total, kind.active, kind.size, kind.reclaimable), (2, 1, 1230, 220));
    }
}
