//! Reading an image's configuration: OCI's, or Docker's, which is a superset.

use super::manifest::{LONGEST_DOCUMENT, MOST_LAYERS};
use super::timestamp;
use schema::image_store::ImageConfig;
use schema::{Digest, Failure};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How it is run, and for which machines.
    pub runtime: ImageConfig,
    /// Nanoseconds since the Unix epoch; 0: unknown.
    pub created_at: i64,
    /// Who made it.
    pub author: String,
    /// Digests of the uncompressed layers, base first.
    pub diff_ids: Vec<Digest>,
    /// Oldest first; may be empty.
    pub history: Vec<Step>,
}

/// A step in an image's making.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// When, in RFC 3339.
    pub created: Option<String>,
    /// The command.
    pub created_by: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// What is said of it.
    pub comment: Option<String>,
    /// It made no layer.
    pub empty_layer: Option<bool>,
}

impl Step {
    /// Nanoseconds since the Unix epoch; 0: unknown.
    pub fn created_at(&self) -> i64 {
        self.created.as_deref().map_or(0, timestamp::parse)
    }

    /// Whether one of the layers is its own.
    pub fn makes_a_layer(&self) -> bool {
        self.empty_layer != Some(true)
    }
}

#[derive(Deserialize)]
struct Raw {
    created: Option<String>,
    author: Option<String>,
    comment: Option<String>,
    architecture: Option<String>,
    os: Option<String>,
    variant: Option<String>,
    config: Option<Runtime>,
    rootfs: Rootfs,
    history: Option<Vec<Step>>,
}

#[derive(Deserialize)]
struct Rootfs {
    diff_ids: Option<Vec<Digest>>,
}

/// A set, as Go programs write one: an object whose values mean nothing.
type Set = Option<BTreeMap<String, IgnoredAny>>;

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Runtime {
    user: Option<String>,
    exposed_ports: Set,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    volumes: Set,
    working_dir: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    stop_signal: Option<String>,
}

/// Reads a configuration.
pub fn parse(content: &[u8]) -> Result<Config, Failure> {
    let refuse = |why: &dyn std::fmt::Display| Failure::invalid(format_args!("the image's configuration: {why}"));
    if content.len() as u64 > LONGEST_DOCUMENT {
        return Err(refuse(&format_args!("it has {} bytes, more than {LONGEST_DOCUMENT}", content.len())));
    }
    let raw: Raw = serde_json::from_slice(content).map_err(|error| refuse(&error))?;
    let diff_ids = raw.rootfs.diff_ids.unwrap_or_default();
    if diff_ids.len() > MOST_LAYERS {
        return Err(refuse(&format_args!("it has {} layers, more than {MOST_LAYERS}", diff_ids.len())));
    }
    let history = raw.history.unwrap_or_default();
    let last_comment = || history.last().and_then(|step| step.comment.clone());
    let runtime = Runtime { ..raw.config.unwrap_or_default() };
    let names = |set: Set| set.map(|set| set.into_keys().collect()).unwrap_or_default();
    Ok(Config {
        runtime: ImageConfig {
            environment: runtime.env.unwrap_or_default(),
            entrypoint: runtime.entrypoint.unwrap_or_default(),
            command: runtime.cmd.unwrap_or_default(),
            working_directory: runtime.working_dir.unwrap_or_default(),
            user: runtime.user.unwrap_or_default(),
            stop_signal: runtime.stop_signal.unwrap_or_default(),
            architecture: raw.architecture.unwrap_or_default(),
            os: raw.os.unwrap_or_default(),
            comment: raw.comment.filter(|text| !text.is_empty()).or_else(last_comment).unwrap_or_default(),
            labels: { runtime.labels.unwrap_or_default() }
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect(),
            exposed_ports: names(runtime.exposed_ports),
            volumes: names(runtime.volumes),
            variant: raw.variant.unwrap_or_default(),
        },
        created_at: raw.created.as_deref().map_or(0, timestamp::parse),
        author: raw.author.unwrap_or_default(),
        diff_ids,
        history,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_configuration_of_docker_is_read() {
        let value = json!({
            "architecture": "arm64", "variant": "v8", "os": "linux", "author": "me", "container": "x",
            "created": "2024-02-29T23:59:59.123456789+01:00", "docker_version": "27",
            "config": {
                "User": "1:2", "ExposedPorts": { "80/tcp": {}, "53/udp": {} }, "Env": ["A=b"], "Cmd": ["sh"],
                "Entrypoint": null, "Volumes": { "/data": {} }, "WorkingDir": "/w", "Labels": { "k": "v=w" },
                "StopSignal": "SIGINT", "OnBuild": null,
            },
            "rootfs": { "type": "layers", "diff_ids": [digest(b"x")] },
            "history": [{ "created_by": "/bin/sh -c x", "empty_layer": true }, { "comment": "last" }],
        });
        let found = parse(value.to_string().as_bytes()).unwrap();
        assert_eq!(found.created_at, 1_709_247_599_123_456_789);
        assert_eq!(found.diff_ids, [digest(b"x")]);
        assert!(!found.history[0].makes_a_layer() && found.history[1].makes_a_layer());
        let ImageConfig { exposed_ports, labels, volumes, comment, variant, stop_signal, .. } = found.runtime;
        assert_eq!(exposed_ports, ["53/udp", "80/tcp"]);
        assert_eq!((labels, volumes), (vec!["k=v=w".to_owned()], vec!["/data".to_owned()]));
        assert_eq!((&*comment, &*variant, &*stop_signal), ("last", "v8", "SIGINT"));
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for (text, reason) in [
            ("", "EOF"),
            ("{}", "rootfs"),
            (r#"{"rootfs":{"diff_ids":["sha256:00"]}}"#, "not a digest"),
            (r#"{"rootfs":{},"config":{"Cmd":"sh"}}"#, "expected a sequence"),
        ] {
            let message = parse(text.as_bytes()).unwrap_err().message;
            assert!(message.contains(reason), "{message}");
        }
        assert_eq!(parse(br#"{"rootfs":{"diff_ids":null}}"#).unwrap().diff_ids, []);
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(content in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _any = parse(&content);
        }
    }
}
