//! Writing the configuration and the manifest of an image that is made here: from nothing, or of another.

use super::Document;
use super::manifest::{
    DOCKER_CONFIG, DOCKER_GZIP_LAYER, DOCKER_MANIFEST, LONGEST_DOCUMENT, MOST_LAYERS, OCI_CONFIG, OCI_MANIFEST,
};
use super::timestamp::rfc3339;
use layer_archive::Compression;
use schema::common::Layer;
use schema::image_store::ImageConfig;
use schema::{ContainerId, Failure};
use serde_json::{Map, Value, json};

/// What is to be said of a new image. Empty texts are left out.
#[derive(Clone, Debug)]
pub struct Story<'a> {
    /// How it is run.
    pub runtime: &'a ImageConfig,
    /// Nanoseconds since the Unix epoch.
    pub created_at: i64,
    /// The command that made it, for its history.
    pub created_by: &'a str,
    /// What is said of it.
    pub comment: &'a str,
    /// Who made it.
    pub author: &'a str,
    /// Of which container it was made.
    pub container: Option<&'a ContainerId>,
}

/// The documents of the image that lies below.
#[derive(Clone, Debug)]
pub struct Base {
    /// The configuration, as it was read.
    pub config: Value,
    /// The manifest, as it was read.
    pub manifest: Value,
    /// Of the manifest.
    pub media_type: String,
}

impl Base {
    /// Nothing lies below.
    pub fn scratch() -> Self {
        Self { config: json!({}), manifest: json!({}), media_type: OCI_MANIFEST.to_owned() }
    }

    /// From the bytes as stored.
    pub fn parse(config: &[u8], manifest: &[u8], media_type: &str) -> Result<Self, Failure> {
        let damaged =
            |error: serde_json::Error| Failure::corrupt(format_args!("a document of the image below: {error}"));
        Ok(Self {
            config: serde_json::from_slice(config).map_err(damaged)?,
            manifest: serde_json::from_slice(manifest).map_err(damaged)?,
            media_type: media_type.to_owned(),
        })
    }

    fn is_docker(&self) -> bool {
        self.media_type == DOCKER_MANIFEST
    }

    /// The media type of a layer with this compression on top of it.
    pub fn layer_type(&self, compressed: &str) -> String {
        let is_gzip = Compression::of_media_type(compressed) == Some(Compression::Gzip);
        if self.is_docker() && is_gzip { DOCKER_GZIP_LAYER } else { compressed }.to_owned()
    }

    /// Configuration and manifest of an image that has one layer more.
    pub fn extended(self, layer: &Layer, story: &Story<'_>) -> Result<(Document, Document), Failure> {
        let is_docker = self.is_docker();
        let mut layers = items(&self.manifest, "layers");
        let config = Document::of(&config(self.config, layers.len(), layer, story))?;
        layers.push(json!({ "mediaType": layer.media_type, "digest": layer.digest, "size": layer.size }));
        if layers.len() > MOST_LAYERS {
            return Err(Failure::invalid(format_args!("an image of {} layers: at most {MOST_LAYERS}", layers.len())));
        }
        if config.size() > LONGEST_DOCUMENT {
            let why = format_args!("the image's configuration would have {} bytes", config.size());
            return Err(Failure::invalid(why).hint(format_args!("at most {LONGEST_DOCUMENT}: fewer or shorter labels")));
        }
        let (manifest_type, config_type) =
            if is_docker { (DOCKER_MANIFEST, DOCKER_CONFIG) } else { (OCI_MANIFEST, OCI_CONFIG) };
        let manifest = Document::of(&manifest(manifest_type, config_type, &config, &layers))?;
        Ok((config, manifest))
    }
}

/// The manifest of a configuration that came without one.
pub fn manifest_of(config: &Document, layers: &[Layer]) -> Result<Document, Failure> {
    let layers: Vec<Value> = { layers.iter() }
        .map(|layer| json!({ "mediaType": layer.media_type, "digest": layer.digest, "size": layer.size }))
        .collect();
    Document::of(&manifest(OCI_MANIFEST, OCI_CONFIG, config, &layers))
}

fn manifest(manifest_type: &str, config_type: &str, config: &Document, layers: &[Value]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": { "mediaType": config_type, "digest": config.digest, "size": config.size() },
        "layers": layers,
    })
}

fn config(base: Value, layers_below: usize, layer: &Layer, story: &Story<'_>) -> Value {
    let Story { runtime, created_at, created_by, comment, author, container } = story;
    let created = rfc3339(*created_at);
    let mut history = items(&base, "history");
    let tells_of_a_layer = |step: &&Value| step["empty_layer"] != Value::Bool(true);
    let told = history.iter().filter(tells_of_a_layer).count();
    // As many steps as layers, as other programs expect: those of which nothing is known come first.
    let untold = std::iter::repeat_n(json!({ "created": rfc3339(0) }), layers_below.saturating_sub(told));
    history.splice(0..0, untold);
    history.push(Value::Object(texts([
        ("created", created.as_str()),
        ("created_by", created_by),
        ("author", author),
        ("comment", comment),
    ])));
    let mut diff_ids = items(&base["rootfs"], "diff_ids");
    diff_ids.push(json!(layer.diff_id));
    let mut all = match base {
        Value::Object(all) => all,
        _ => Map::new(),
    };
    let inner = all.remove("config").unwrap_or_default();
    all.insert("config".to_owned(), process(inner, runtime));
    // What Docker says of the step that made the image below.
    for of_below in ["container", "container_config", "comment", "author", "parent", "id"] {
        all.remove(of_below);
    }
    let platform = [("architecture", &*runtime.architecture), ("os", &runtime.os), ("variant", &runtime.variant)];
    all.extend(texts(platform));
    all.extend(texts([("created", created.as_str()), ("author", author)]));
    all.extend(texts([("container", container.map_or("", ContainerId::as_str))]));
    all.insert("rootfs".to_owned(), json!({ "type": "layers", "diff_ids": diff_ids }));
    all.insert("history".to_owned(), Value::Array(history));
    Value::Object(all)
}

/// What it says of the process; fields of the image below that are not known here stay as they are.
fn process(below: Value, runtime: &ImageConfig) -> Value {
    let mut all = match below {
        Value::Object(all) => all,
        _ => Map::new(),
    };
    let set = |list: &[String]| Value::Object(list.iter().map(|key| (key.clone(), json!({}))).collect());
    let labels = |list: &[String]| {
        let pair = |label: &String| {
            let (key, value) = label.split_once('=').unwrap_or((label, ""));
            (key.to_owned(), json!(value))
        };
        Value::Object(list.iter().map(pair).collect())
    };
    let mut put = |name: &str, is_empty: bool, value: Value| {
        if is_empty {
            all.remove(name);
        } else {
            all.insert(name.to_owned(), value);
        }
    };
    put("Env", runtime.environment.is_empty(), json!(runtime.environment));
    put("Entrypoint", runtime.entrypoint.is_empty(), json!(runtime.entrypoint));
    put("Cmd", runtime.command.is_empty(), json!(runtime.command));
    put("WorkingDir", runtime.working_directory.is_empty(), json!(runtime.working_directory));
    put("User", runtime.user.is_empty(), json!(runtime.user));
    put("StopSignal", runtime.stop_signal.is_empty(), json!(runtime.stop_signal));
    put("Labels", runtime.labels.is_empty(), labels(&runtime.labels));
    put("ExposedPorts", runtime.exposed_ports.is_empty(), set(&runtime.exposed_ports));
    put("Volumes", runtime.volumes.is_empty(), set(&runtime.volumes));
    Value::Object(all)
}

fn texts<const N: usize>(pairs: [(&str, &str); N]) -> Map<String, Value> {
    { pairs.into_iter() }
        .filter(|(_, text)| !text.is_empty())
        .map(|(key, text)| (key.to_owned(), json!(text)))
        .collect()
}

fn items(of: &Value, name: &str) -> Vec<Value> {
    of[name].as_array().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config, digest};

    fn layer(name: &str) -> Layer {
        Layer {
            digest: digest(name.as_bytes()),
            diff_id: digest(format!("diff {name}").as_bytes()),
            media_type: "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
            size: 5,
        }
    }

    fn story(runtime: &ImageConfig) -> Story<'_> {
        Story { runtime, created_at: 7, created_by: "sh -c x", comment: "why", author: "who", container: None }
    }

    #[test]
    fn what_is_not_known_of_the_image_below_stays() {
        let below = json!({
            "architecture": "arm64", "os": "linux", "container_config": { "Cmd": ["old"] }, "comment": "old", "x": 1,
            "config": { "Healthcheck": { "Test": ["CMD", "true"] }, "Cmd": ["old"], "Env": ["A=1"] },
            "rootfs": { "type": "layers", "diff_ids": [digest(b"0")] },
        });
        let manifest =
            json!({ "layers": [{ "mediaType": "m", "digest": digest(b"l"), "size": 1, "annotations": {} }] });
        let base = Base { config: below, manifest, media_type: DOCKER_MANIFEST.to_owned() };
        let mut added = layer("1");
        added.media_type = base.layer_type(&added.media_type);
        let labels = vec!["k=v=w".to_owned()];
        let runtime = ImageConfig { command: vec!["new".to_owned()], labels, ..ImageConfig::default() };
        let (config, manifest) = base.extended(&added, &story(&runtime)).unwrap();
        let config: Value = serde_json::from_str(&config.text).unwrap();
        assert_eq!((&config["x"], &config["architecture"]), (&json!(1), &json!("arm64")));
        assert!(config.get("container_config").is_none() && config.get("comment").is_none());
        assert_eq!(
            config["config"],
            json!({ "Healthcheck": { "Test": ["CMD", "true"] }, "Cmd": ["new"], "Labels": { "k": "v=w" } })
        );
        assert_eq!(config["rootfs"]["diff_ids"], json!([digest(b"0"), added.diff_id]));
        assert_eq!(config["history"].as_array().unwrap().len(), 2);
        assert_eq!(config["history"][1]["comment"], "why");
        let manifest: Value = serde_json::from_str(&manifest.text).unwrap();
        assert_eq!(manifest["mediaType"], DOCKER_MANIFEST);
        assert_eq!(manifest["layers"][0]["annotations"], json!({}));
        assert_eq!(manifest["layers"][1]["mediaType"], DOCKER_GZIP_LAYER);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let list = |text: &str| vec![text.to_owned()];
        let runtime = ImageConfig {
            environment: list("A=b"),
            entrypoint: list("/e"),
            command: list("c"),
            working_directory: "/w".to_owned(),
            user: "u".to_owned(),
            stop_signal: "SIGINT".to_owned(),
            architecture: "arm64".to_owned(),
            os: "linux".to_owned(),
            comment: "why".to_owned(),
            labels: list("k=v"),
            exposed_ports: list("80/tcp"),
            volumes: list("/v"),
            variant: "v8".to_owned(),
        };
        let (document, _) = Base::scratch().extended(&layer("1"), &story(&runtime)).unwrap();
        let found = config::parse(document.text.as_bytes()).unwrap();
        assert_eq!(found.runtime, runtime);
        assert_eq!((found.created_at, &*found.author), (7, "who"));
        assert_eq!(found.diff_ids, [layer("1").diff_id]);
        let again = Base::scratch().extended(&layer("1"), &story(&runtime)).unwrap().0;
        assert_eq!(again, document);
    }

    #[test]
    fn an_image_has_at_most_as_many_layers_as_overlayfs_takes() {
        let manifest = json!({ "layers": vec![json!({}); MOST_LAYERS] });
        let base = Base { manifest, ..Base::scratch() };
        let failure = base.extended(&layer("1"), &story(&ImageConfig::default())).unwrap_err();
        assert_eq!(failure.code, schema::Code::InvalidArgument);
    }
}
