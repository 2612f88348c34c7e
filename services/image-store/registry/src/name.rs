//! Which registry a name means. The grammar of names is the caller's: here they are taken as well-formed.

/// The registry of names that do not say one, unless the configuration says otherwise.
pub(crate) const DOCKER_HUB: &str = "docker.io";
const HUB_ALIAS: &str = "index.docker.io";
const HUB_HOST: &str = "registry-1.docker.io";
const HUB_OFFICIAL: &str = "library/";

/// A repository of a registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// As people write it: `docker.io`, `example.org:5000`.
    pub registry: String,
    /// As the registry calls it: `library/debian`, `team/app`.
    pub repository: String,
}

impl Location {
    /// What `name` (without tag and digest) means if `default` is the registry of names without one.
    pub fn resolve(name: &str, default: &str) -> Self {
        let default = canonical(default);
        let (registry, path) = match name.split_once('/') {
            Some((first, rest)) if is_registry(first) => (canonical(first), rest),
            _ => (default, name),
        };
        let official = registry == DOCKER_HUB && !path.contains('/');
        let repository = if official { format!("{HUB_OFFICIAL}{path}") } else { path.to_owned() };
        Self { registry: registry.to_owned(), repository }
    }
}

/// Whether the first component of a name is a registry, as Docker decides it: it looks like a host.
fn is_registry(first: &str) -> bool {
    first == "localhost" || first.bytes().any(|byte| matches!(byte, b'.' | b':' | b'A'..=b'Z'))
}

/// One name for each registry.
pub(crate) fn canonical(registry: &str) -> &str {
    if registry == HUB_ALIAS || registry == HUB_HOST { DOCKER_HUB } else { registry }
}

/// Where a registry is spoken to: host and port.
pub(crate) fn host(registry: &str) -> &str {
    if canonical(registry) == DOCKER_HUB { HUB_HOST } else { registry }
}

/// The host of `host[:port]` or `[address]:port`, without brackets.
pub(crate) fn without_port(authority: &str) -> &str {
    if let Some((address, _)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

/// Whether a registry is on this machine: `localhost`, 127.0.0.0/8 or ::1.
pub(crate) fn is_loopback(registry: &str) -> bool {
    let host = without_port(registry);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(name: &str, default: &str) -> [String; 2] {
        let Location { registry, repository } = Location::resolve(name, default);
        [registry, repository]
    }

    #[test]
    fn names_without_a_registry_mean_the_default_one() {
        for (name, expected) in [
            ("debian", ["docker.io", "library/debian"]),
            ("docker.io/library/debian", ["docker.io", "library/debian"]),
            ("index.docker.io/debian", ["docker.io", "library/debian"]),
            ("docker.io/u/app", ["docker.io", "u/app"]),
            ("u/app", ["docker.io", "u/app"]),
            ("library/a/b", ["docker.io", "library/a/b"]),
            ("localhost/app", ["localhost", "app"]),
            ("localhost:5000/library/app", ["localhost:5000", "library/app"]),
            ("[::1]:5000/app", ["[::1]:5000", "app"]),
            ("ghcr.io/o/a", ["ghcr.io", "o/a"]),
        ] {
            assert_eq!(resolved(name, "docker.io"), expected, "{name}");
        }
    }

    #[test]
    fn another_default_takes_the_place_of_docker_hub() {
        let default = "localhost:5000";
        assert_eq!(resolved("base", default), ["localhost:5000", "base"]);
        assert_eq!(resolved("u/base", default), ["localhost:5000", "u/base"]);
        assert_eq!(resolved("localhost:5000/base", default), ["localhost:5000", "base"]);
        assert_eq!(resolved("docker.io/base", default), ["docker.io", "library/base"]);
    }

    #[test]
    fn loopback_is_recognised() {
        for (registry, expected) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.1.2.3:5000", true),
            ("[::1]:5000", true),
            ("localhost.example.org", false),
            ("10.0.0.1:5000", false),
            ("127.0.0.1.example.org", false),
        ] {
            assert_eq!(is_loopback(registry), expected, "{registry}");
        }
        assert_eq!((host("docker.io"), host("a:1")), ("registry-1.docker.io", "a:1"));
    }
}
