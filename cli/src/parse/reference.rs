//! Names of images, as far as the client has to understand them. The image store judges them.

use schema::Failure;

/// The registry that names without one belong to.
pub(crate) const DEFAULT_REGISTRY: &str = "docker.io";
/// The tag of names without one.
pub(crate) const DEFAULT_TAG: &str = "latest";

/// A name in its parts, as they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    /// With its registry.
    pub(crate) repository: &'a str,
    pub(crate) tag: Option<&'a str>,
    pub(crate) digest: Option<&'a str>,
}

/// `[registry/]repository[:tag][@digest]` in parts: a colon before a slash belongs to the registry.
pub(crate) fn parts(reference: &str) -> Parts<'_> {
    let (name, digest) = reference.split_once('@').map_or((reference, None), |(name, digest)| (name, Some(digest)));
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => Parts { repository, tag: Some(tag), digest },
        _ => Parts { repository: name, tag: None, digest },
    }
}

/// The name with the tag that it means: `base` is `base:latest`.
pub(crate) fn tagged(reference: &str) -> String {
    let Parts { tag, digest, .. } = parts(reference);
    if tag.is_some() || digest.is_some() { reference.to_owned() } else { format!("{reference}:{DEFAULT_TAG}") }
}

/// The registry of a name: what comes before the first slash if it looks like a host.
pub(crate) fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => DEFAULT_REGISTRY,
    }
}

/// `REPOSITORY[:TAG]`, or the two apart as in `commit C REPOSITORY TAG`. Fails if the tag is said twice, or is none.
pub(crate) fn joined(repository: &str, tag: Option<&str>) -> Result<String, Failure> {
    let Some(tag) = tag else { return Ok(repository.to_owned()) };
    if parts(repository).tag.is_some() {
        return Err(Failure::invalid(format_args!("{repository:?} already has a tag; what is {tag:?}?"))
            .hint("write REPOSITORY:TAG or REPOSITORY TAG"));
    }
    if tag.is_empty() || tag.contains(['/', ':']) {
        return Err(Failure::invalid(format_args!("{tag:?} is not a tag")).hint("a tag has no `/` and no `:`"));
    }
    Ok(format!("{repository}:{tag}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_no_tags() {
        assert_eq!(parts("host:5000/x"), Parts { repository: "host:5000/x", tag: None, digest: None });
        assert_eq!(
            parts("host:5000/x:1@sha256:ab"),
            Parts { repository: "host:5000/x", tag: Some("1"), digest: Some("sha256:ab") }
        );
        assert_eq!(tagged("base"), "base:latest");
        assert_eq!(tagged("base:1"), "base:1");
        assert_eq!(tagged("base@sha256:ab"), "base@sha256:ab");
    }

    #[test]
    fn hosts_have_dots_or_ports() {
        assert_eq!(registry("base"), "docker.io");
        assert_eq!(registry("user/base:1"), "docker.io");
        assert_eq!(registry("localhost/x"), "localhost");
        assert_eq!(registry("127.0.0.1:5000/x/y"), "127.0.0.1:5000");
        assert_eq!(registry("ghcr.io/x"), "ghcr.io");
    }

    #[test]
    fn tags_apart() {
        assert_eq!(joined("x", Some("1")), Ok("x:1".into()));
        assert_eq!(joined("host:5000/x", Some("1")), Ok("host:5000/x:1".into()));
        assert_eq!(joined("x:1", None), Ok("x:1".into()));
        for (repository, tag) in [("x:1", "2"), ("x", ""), ("x", "a/b"), ("x", "a:b")] {
            assert!(joined(repository, Some(tag)).is_err());
        }
    }
}
