//! Names of images: `[registry[:port]/]path[:tag][@digest]`, by the rules that Docker and OCI registries share.
//!
//! A name without a registry is one of Docker Hub: `docker.io/library/x`, `library/x` and `x` are one name, and
//! so are `docker.io/u/x` and `u/x`. The shortest is the one that is kept.

use schema::{Digest, Failure};
use std::fmt;
use std::str::FromStr;

const DEFAULT_TAG: &str = "latest";
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;
const ID_LENGTH: usize = 64;
const HINT: &str =
    "write it as [REGISTRY[:PORT]/]NAME[:TAG] in lower case, such as debian:12 or example.org/team/app:v1";

/// The registry of names without one.
pub const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_REGISTRY_ALIAS: &str = "index.docker.io";
const OFFICIAL: &str = "library/";

/// A repository with a tag: a name that an image of this host can have. As text it always has its tag: `base`
/// is `base:latest`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    repository: Repository,
    tag: String,
}

/// A name without a tag, in its shortest form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Repository(String);

/// What somebody asks for: a repository with a tag, a digest, both or neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where.
    pub repository: Repository,
    /// As it was given.
    pub tag: Option<String>,
    /// As it was given: of a manifest or an index.
    pub digest: Option<Digest>,
}

impl Repository {
    /// The registry and the path there: `docker.io` and `library/base` for `base`.
    pub fn location(&self) -> (&str, String) {
        match self.0.split_once('/') {
            Some((first, path)) if is_registry(first) => (first, path.to_owned()),
            Some(_) => (DEFAULT_REGISTRY, self.0.clone()),
            None => (DEFAULT_REGISTRY, format!("{OFFICIAL}{}", self.0)),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Reference {
    /// Of a repository. Fails if the tag is malformed.
    pub fn new(repository: Repository, tag: &str) -> Result<Self, Failure> {
        if !is_tag(tag) {
            return Err(Failure::invalid(format_args!("{tag:?} is not a tag")).hint(HINT));
        }
        Ok(Self { repository, tag: tag.to_owned() })
    }

    /// The part before the tag.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl Target {
    /// The name that an image gets which was asked for so: with its tag, or the default one if there is neither
    /// tag nor digest. None for a digest alone.
    pub fn reference(&self) -> Option<Reference> {
        let tag = match (&self.tag, &self.digest) {
            (Some(tag), _) => tag,
            (None, None) => DEFAULT_TAG,
            (None, Some(_)) => return None,
        };
        Some(Reference { repository: self.repository.clone(), tag: tag.to_owned() })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

impl FromStr for Reference {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        if text.contains('@') {
            return Err(refused(text, "it has a digest, which cannot be given as a name"));
        }
        let Target { repository, tag, digest: _ } = text.parse()?;
        Ok(Self { repository, tag: tag.unwrap_or_else(|| DEFAULT_TAG.to_owned()) })
    }
}

impl FromStr for Target {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let refuse = |why: &str| Err(refused(text, why));
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            _ => (name, None),
        };
        if repository.len() > LONGEST_NAME {
            return refuse("its name is longer than 255 bytes");
        }
        if !is_repository(repository) {
            return refuse("its name is malformed");
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return refuse("its tag is malformed");
        }
        let repository = shortest(repository);
        if is_id(repository.as_str()) {
            return refuse("a name of 64 hexadecimal digits is an image id");
        }
        Ok(Self { repository, tag: tag.map(str::to_owned), digest })
    }
}

fn is_id(name: &str) -> bool {
    name.len() == ID_LENGTH && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn refused(text: &str, why: &str) -> Failure {
    Failure::invalid(format_args!("{text:?} is not a reference: {why}")).hint(HINT)
}

/// Without what every name of the default registry has; unless the rest would then begin with a registry.
fn shortest(repository: &str) -> Repository {
    let path = match repository.split_once('/') {
        Some((DEFAULT_REGISTRY | DEFAULT_REGISTRY_ALIAS, path)) => path,
        _ => repository,
    };
    let path = match path.strip_prefix(OFFICIAL) {
        Some(name) if !name.contains('/') => name,
        _ => path,
    };
    let is_elsewhere = path.split_once('/').is_some_and(|(first, _)| is_registry(first));
    Repository(if is_elsewhere { repository } else { path }.to_owned())
}

fn is_repository(name: &str) -> bool {
    let path = match name.split_once('/') {
        Some((first, rest)) if is_registry(first) => rest,
        // The place of images that were built here.
        Some(("_", rest)) => rest,
        _ => name,
    };
    path.split('/').all(is_component)
}

/// A first component is a registry if it looks like a host: a dot, a port, `localhost`, or upper case, which
/// no path may have.
fn is_registry(first: &str) -> bool {
    if let Some((address, port)) = first.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return port_fits && address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let looks_so = first == "localhost" || first.bytes().any(|byte| matches!(byte, b'.' | b':' | b'A'..=b'Z'));
    let (host, port) = first.split_once(':').map_or((first, None), |(host, port)| (host, Some(port)));
    looks_so && host.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_label(label: &str) -> bool {
    !label.starts_with('-')
        && !label.ends_with('-')
        && !label.is_empty()
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// Runs of lower-case letters and digits, with `.`, `_`, `__` or any number of `-` between two of them.
fn is_component(component: &str) -> bool {
    let is_alphanumeric = |byte: char| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let separators = component.split(is_alphanumeric).filter(|between| !between.is_empty());
    component.starts_with(is_alphanumeric) && component.ends_with(is_alphanumeric) && { separators }
        .all(|one| matches!(one, "." | "_" | "__") || one.bytes().all(|byte| byte == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= LONGEST_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn good_references() {
        for (text, whole) in [
            ("base", "base:latest"),
            ("base:1.0_rc-2", "base:1.0_rc-2"),
            ("team/app__x/a--b.c:V1", "team/app__x/a--b.c:V1"),
            ("localhost/a", "localhost/a:latest"),
            ("localhost:5000/a:b", "localhost:5000/a:b"),
            ("[::1]:5000/a", "[::1]:5000/a:latest"),
            ("[fe80::1]/a:b", "[fe80::1]/a:b"),
            ("Registry.Example.ORG/a", "Registry.Example.ORG/a:latest"),
            ("_/builds/a", "_/builds/a:latest"),
            ("ba5e", "ba5e:latest"),
            ("docker.io/library/a:1", "a:1"),
            ("index.docker.io/a", "a:latest"),
            ("library/a", "a:latest"),
            ("docker.io/u/a", "u/a:latest"),
            ("docker.io/library/u/a", "library/u/a:latest"),
            ("docker.io/localhost/a", "docker.io/localhost/a:latest"),
            ("docker.io/a.b/c", "docker.io/a.b/c:latest"),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), whole);
        }
    }

    #[test]
    fn bad_references() {
        let long_tag = format!("a:{}", "t".repeat(129));
        let long_name = "n".repeat(256);
        let id = "0123456789abcdef".repeat(4);
        for text in [
            "",
            "[::1]",
            "[::1]x/a",
            "[::g]/a",
            "[::1]:0/a",
            ":",
            "a:",
            ":b",
            "A",
            "a/",
            "/a",
            "a//b",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "_a",
            "_",
            "_/",
            "a:b:c",
            "a b",
            "a:.x",
            "a:-x",
            "../a",
            "host:99999/a",
            "host:0/a",
            "host:/a",
            "a@sha256:00",
            "caf\u{e9}",
            "a\n",
            "-.x/a",
            &long_tag,
            &long_name,
            &id,
            &format!("docker.io/{id}"),
            &format!("library/{id}"),
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_target_may_have_a_digest() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let target: Target = format!("localhost:5000/a@{digest}").parse().unwrap();
        assert_eq!((target.tag.as_deref(), target.reference()), (None, None));
        assert_eq!(target.repository.location(), ("localhost:5000", "a".to_owned()));
        let target: Target = format!("docker.io/library/a:1@{digest}").parse().unwrap();
        assert_eq!(target.digest.as_ref().map(Digest::as_str), Some(&*digest));
        assert_eq!(target.reference().unwrap().to_string(), "a:1");
        assert_eq!(target.repository.location(), ("docker.io", "library/a".to_owned()));
        let target: Target = "u/a".parse().unwrap();
        assert_eq!(target.repository.location(), ("docker.io", "u/a".to_owned()));
        assert_eq!(target.reference().unwrap().tag(), "latest");
        for bad in ["a@", "@", "a@sha256:00", "a@md5:00", "a@b@c"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_made_by_the_grammar_is_read_and_stays_itself(
            registry in "(([a-zA-Z0-9]([a-zA-Z0-9-]{0,5}[a-zA-Z0-9])?\\.){1,2}[a-z]{1,3}(:[1-9][0-9]{0,3})?/)?",
            path in "[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,4}){0,2}",
            tag in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}",
        ) {
            let text = format!("{registry}{path}:{tag}");
            let reference: Reference = text.parse().unwrap();
            prop_assert_eq!(reference.to_string(), text.strip_prefix("library/").filter(|rest| !rest.contains('/')).unwrap_or(&text));
        }

        #[test]
        fn any_text_is_refused_or_stays_itself(text in "[a-zA-Z0-9_./:@-]{0,30}|.{0,10}") {
            if let Ok(reference) = text.parse::<Reference>() {
                let again = reference.to_string();
                prop_assert_eq!(again.parse::<Reference>().unwrap(), reference);
                prop_assert!(again.is_ascii() && !again.contains(".."));
            }
        }
    }
}
