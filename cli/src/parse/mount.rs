//! Mounts in words: `--mount`.

use super::Parsed;
use super::volume::{Bind, bind_of};

const EXPECTED: &str = "expected type=bind,source=/HOST,target=/CONTAINER[,readonly][,idmap]";

/// `type=bind,source=…,target=…[,readonly]`, in any order and with Docker's other names for these.
pub(crate) fn mount(text: &str) -> Parsed<Bind> {
    let (mut kind, mut source, mut target, mut read_only, mut idmap) = (None, None, None, false, false);
    for field in text.split(',') {
        let (key, value) = field.split_once('=').map_or((field, None), |(key, value)| (key, Some(value)));
        match (key.to_lowercase().as_str(), value) {
            ("type", Some(value)) => kind = Some(value),
            ("source" | "src", Some(value)) => source = Some(value),
            ("target" | "dst" | "destination", Some(value)) => target = Some(value),
            ("readonly" | "ro", None | Some("true" | "1")) => read_only = true,
            ("readonly" | "ro", Some("false" | "0")) => read_only = false,
            ("idmap", None | Some("true" | "1")) => idmap = true,
            ("idmap", Some("false" | "0")) => idmap = false,
            ("type" | "source" | "src" | "target" | "dst" | "destination" | "readonly" | "ro" | "idmap", _) => {
                return Err(format!("invalid value in {field:?}; {EXPECTED}"));
            }
            _ => return Err(format!("unknown option {key:?}; {EXPECTED}")),
        }
    }
    match kind {
        Some("bind") => {}
        Some(other) => return Err(format!("mounts of type {other:?} are not supported; {EXPECTED}")),
        None => return Err(format!("type is missing; {EXPECTED}")),
    }
    let source = source.filter(|source| !source.is_empty()).ok_or_else(|| format!("source is missing; {EXPECTED}"))?;
    bind_of(source, target.unwrap_or_default(), read_only, idmap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    #[test]
    fn names_in_any_order() {
        let volume = mount("target=/b,type=bind,src=/a,readonly").unwrap().resolve(Path::new("/home")).unwrap();
        assert_eq!((volume.source.as_str(), volume.target.as_str(), volume.read_only), ("/a", "/b", true));
        assert!(mount("type=bind,source=/a,dst=/b,idmap").unwrap().resolve(Path::new("/")).unwrap().idmap);
        assert!(!mount("type=bind,source=/a,dst=/b,ro=false").unwrap().resolve(Path::new("/")).unwrap().read_only);
        for bad in [
            "",
            "type=bind",
            "type=bind,source=/a",
            "source=/a,target=/b",
            "type=tmpfs,target=/b",
            "type=bind,source=/a,target=b",
            "type=bind,source=/a,target=/b,x=y",
            "type=bind,source=/a,target=/b,ro=no",
            "type=bind,source=,target=/b",
        ] {
            assert!(mount(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_word_is_answered(text in "[a-z=,/]{0,40}") {
            let _ = mount(&text);
        }
    }
}
