//! Archives of `docker save` before 1.10: a directory a layer, each with a `json` that names its parent.

use super::docker::record;
use super::entries::Entries;
use super::stage::Stage;
use super::{Refusal, counted, json, refuse};
use crate::plan::LoadedImage;
use oci::config;
use oci::manifest::MOST_LAYERS;
use oci::reference::{Reference, Target};
use schema::Digest;
use schema::common::Layer;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The descriptions of all layers, by id.
type Described = BTreeMap<String, Map<String, Value>>;

/// All images of the archive.
pub(super) fn images(entries: &Entries<'_>, stage: &mut Stage<'_>) -> Result<Vec<LoadedImage>, Refusal> {
    let described = described(entries)?;
    if described.is_empty() {
        return Err(refuse("this is no archive of images: it has neither index.json nor manifest.json"));
    }
    let mut images = Vec::new();
    for (id, names) in counted(heads(entries, &described)?)? {
        let chain = chain(&described, &id)?;
        let layers = chain
            .iter()
            .map(|id| stage.layer(entries, &format!("{id}/layer.tar"), None))
            .collect::<Result<Vec<Layer>, Refusal>>()?;
        let steps: Vec<&Map<String, Value>> = chain.iter().filter_map(|id| described.get(*id)).collect();
        let content = configuration(&steps, &layers).to_string().into_bytes();
        let config = config::parse(&content)?;
        images.push(LoadedImage { record: record(stage, &content, config, &layers)?, names });
    }
    Ok(images)
}

fn described(entries: &Entries<'_>) -> Result<Described, Refusal> {
    let mut all = Described::new();
    for name in entries.names() {
        let Some(id) = name.strip_suffix("/json").filter(|id| !id.contains('/')) else { continue };
        let description: Map<String, Value> = json(name, &entries.document(name)?)?;
        if description.get("id").and_then(Value::as_str) != Some(id) {
            return Err(refuse(format_args!("member {name} describes another layer")));
        }
        all.insert(id.to_owned(), description);
    }
    Ok(all)
}

/// The layers that are images, with their names: those that `repositories` lists; without it, those that lie below
/// no other.
fn heads(entries: &Entries<'_>, described: &Described) -> Result<Vec<(String, Vec<String>)>, Refusal> {
    let mut heads: BTreeMap<String, Vec<String>> = BTreeMap::new();
    if entries.has("repositories") {
        let listed: BTreeMap<String, BTreeMap<String, String>> =
            json("repositories", &entries.document("repositories")?)?;
        for (repository, tags) in listed {
            let Target { repository, .. } = repository.parse()?;
            for (tag, id) in tags {
                let name = Reference::new(repository.clone(), &tag)?.to_string();
                heads.entry(id).or_default().push(name);
            }
        }
    } else {
        let below: BTreeSet<&str> = described.values().filter_map(parent).collect();
        let unnamed = described.keys().filter(|id| !below.contains(id.as_str()));
        heads.extend(unnamed.map(|id| (id.clone(), Vec::new())));
    }
    if heads.is_empty() {
        return Err(refuse("every layer of the archive lies below another"));
    }
    Ok(heads.into_iter().collect())
}

fn parent(description: &Map<String, Value>) -> Option<&str> {
    description.get("parent").and_then(Value::as_str).filter(|parent| !parent.is_empty())
}

/// A layer and all below it, base first.
fn chain<'a>(described: &'a Described, head: &'a str) -> Result<Vec<&'a str>, Refusal> {
    let mut chain = Vec::new();
    let mut next = Some(head);
    while let Some(id) = next {
        if chain.contains(&id) {
            return Err(refuse(format_args!("layer {} is its own parent", id.escape_default())));
        }
        if chain.len() == MOST_LAYERS {
            return Err(refuse(format_args!("image {head} has more than {MOST_LAYERS} layers")));
        }
        let description = described
            .get(id)
            .ok_or_else(|| refuse(format_args!("layer {} is named and not in the archive", id.escape_default())))?;
        chain.push(id);
        next = parent(description);
    }
    chain.reverse();
    Ok(chain)
}

/// The configuration of today that says the same as the descriptions of old.
fn configuration(steps: &[&Map<String, Value>], layers: &[Layer]) -> Value {
    let history: Vec<Value> = steps.iter().map(|step| history(step)).collect();
    let diff_ids: Vec<&Digest> = layers.iter().map(|layer| &layer.diff_id).collect();
    let mut all = steps.last().map(|top| (*top).clone()).unwrap_or_default();
    for of_old in ["id", "parent", "Size", "layer_id", "parent_id", "throwaway"] {
        all.remove(of_old);
    }
    all.entry("architecture").or_insert_with(|| json!(oci::architecture()));
    all.entry("os").or_insert_with(|| json!("linux"));
    all.insert("rootfs".to_owned(), json!({ "type": "layers", "diff_ids": diff_ids }));
    all.insert("history".to_owned(), Value::Array(history));
    Value::Object(all)
}

fn history(step: &Map<String, Value>) -> Value {
    let command = step.get("container_config").and_then(|config| config["Cmd"].as_array());
    let words: Vec<&str> = command.into_iter().flatten().filter_map(Value::as_str).collect();
    let mut all = Map::new();
    for key in ["created", "author", "comment"] {
        if let Some(text) = step.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()) {
            all.insert(key.to_owned(), json!(text));
        }
    }
    if !words.is_empty() {
        all.insert("created_by".to_owned(), json!(words.join(" ")));
    }
    Value::Object(all)
}
