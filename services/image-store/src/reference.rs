//! Names of images: `[registry[:port]/]path[:tag]`, by the rules that Docker and OCI registries share.

use schema::Failure;
use std::fmt;
use std::str::FromStr;

const DEFAULT_TAG: &str = "latest";
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;
const ID_LENGTH: usize = 64;
const HINT: &str =
    "write it as [REGISTRY[:PORT]/]NAME[:TAG] in lower case, such as debian:12 or example.org/team/app:v1";

/// A repository with a tag. As text it always has its tag: `base` is `base:latest`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    repository: String,
    tag: String,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

impl FromStr for Reference {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let refuse = |why: &str| Err(Failure::invalid(format_args!("{text:?} is not a reference: {why}")).hint(HINT));
        if text.contains('@') {
            return refuse("it has a digest, which cannot be given as a name");
        }
        // A colon before the last slash belongs to the registry's port.
        let (repository, tag) = match text.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            _ => (text, DEFAULT_TAG),
        };
        if repository.len() > LONGEST_NAME {
            return refuse("its name is longer than 255 bytes");
        }
        if !is_repository(repository) {
            return refuse("its name is malformed");
        }
        if repository.len() == ID_LENGTH && repository.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return refuse("a name of 64 hexadecimal digits is an image id");
        }
        if !is_tag(tag) {
            return refuse("its tag is malformed");
        }
        Ok(Self { repository: repository.to_owned(), tag: tag.to_owned() })
    }
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
            ("Registry.Example.ORG/a", "Registry.Example.ORG/a:latest"),
            ("_/builds/a", "_/builds/a:latest"),
            ("ba5e", "ba5e:latest"),
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
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
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
            prop_assert_eq!(reference.to_string(), text);
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
