//! Names of registries, and the keys that they are kept under.

use crate::parse::reference::DEFAULT_REGISTRY;
use schema::{Failure, Instance};
use serde::Deserialize;

/// The key under which Docker keeps its own registry.
const DOCKER_KEY: &str = "https://index.docker.io/v1/";
/// Other names of Docker's own registry.
const DOCKER: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// What the client has to know of `registries.toml`; the image store reads all of it.
#[derive(Default, Deserialize)]
struct Registries {
    default: Option<String>,
}

/// The registry of names without one.
pub(crate) fn default_registry(instance: &Instance) -> Result<String, Failure> {
    let path = instance.config().join("registries.toml");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(DEFAULT_REGISTRY.to_owned()),
        Err(error) => return Err(Failure::io(format_args!("reading {}", path.display()), &error)),
    };
    let registries: Registries = toml::from_str(&text)
        .map_err(|error| Failure::invalid(format_args!("{}: {}", path.display(), error.message())))?;
    Ok(registries.default.unwrap_or_else(|| DEFAULT_REGISTRY.to_owned()))
}

/// A registry's name without scheme and path: `https://host:5000/v1/` is `host:5000`.
pub(crate) fn name(registry: &str) -> &str {
    let rest = registry.strip_prefix("https://").or_else(|| registry.strip_prefix("http://")).unwrap_or(registry);
    let host = rest.split('/').next().unwrap_or(rest);
    if DOCKER.contains(&host) { DEFAULT_REGISTRY } else { host }
}

/// The key under which a registry is kept.
pub(crate) fn key(registry: &str) -> String {
    match name(registry) {
        DEFAULT_REGISTRY => DOCKER_KEY.to_owned(),
        host => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_has_one_key() {
        for docker in ["docker.io", "index.docker.io", "https://index.docker.io/v1/", "registry-1.docker.io"] {
            assert_eq!((name(docker), key(docker).as_str()), ("docker.io", DOCKER_KEY));
        }
        for host in ["host:5000", "https://host:5000", "http://host:5000/v2/"] {
            assert_eq!((name(host), key(host).as_str()), ("host:5000", "host:5000"));
        }
    }

    #[test]
    fn the_default_is_configured() {
        let directory = tempfile::tempdir().unwrap();
        let instance = Instance::new("/r", "/s").configured_by(directory.path());
        assert_eq!(default_registry(&instance), Ok("docker.io".to_owned()));
        let write = |text: &str| std::fs::write(directory.path().join("registries.toml"), text).unwrap();
        write("default = \"127.0.0.1:5000\"\n[registry.\"127.0.0.1:5000\"]\nplain-http = true\n");
        assert_eq!(default_registry(&instance), Ok("127.0.0.1:5000".to_owned()));
        write("default = ");
        assert!(default_registry(&instance).unwrap_err().message.contains("registries.toml"));
    }
}
