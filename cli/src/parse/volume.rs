//! Volumes: `-v`.

use super::Parsed;
use schema::common::Volume;
use std::path::{Component, Path, PathBuf};

const EXPECTED: &str = "expected /HOST/PATH:/CONTAINER/PATH[:OPTION,...] with ro, rw, idmap";

/// A directory or file of the host, as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    source: String,
    target: String,
    read_only: bool,
    idmap: bool,
}

/// `/host:/container[:ro,rw,idmap]`; the host's path may be relative if it begins with a dot.
pub(crate) fn bind(text: &str) -> Parsed<Bind> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts[..] {
        [source, target] => (source, target, "rw"),
        [source, target, mode] => (source, target, mode),
        [target] if target.starts_with('/') => return Err(format!("anonymous volumes are not supported: {EXPECTED}")),
        _ => return Err(EXPECTED.to_owned()),
    };
    let (mut read_only, mut idmap) = (false, false);
    for option in mode.split(',') {
        match option {
            "ro" => read_only = true,
            "rw" => read_only = false,
            "idmap" => idmap = true,
            other => return Err(format!("{other:?} is not an option of a volume: expected ro, rw or idmap")),
        }
    }
    bind_of(source, target, read_only, idmap)
}

/// A volume whose parts are known.
pub(super) fn bind_of(source: &str, target: &str, read_only: bool, idmap: bool) -> Parsed<Bind> {
    if source.is_empty() {
        return Err(EXPECTED.to_owned());
    }
    if !source.starts_with('/') && !matches!(source.split('/').next(), Some("." | "..")) {
        return Err(format!(
            "named volumes are not supported: for a directory write an absolute path, or ./{source} for one in this directory"
        ));
    }
    if !target.starts_with('/') {
        return Err(format!("the path in the container, {target:?}, is not absolute: {EXPECTED}"));
    }
    if Path::new(target).components().all(|part| matches!(part, Component::RootDir | Component::CurDir)) {
        return Err("a volume cannot be mounted on / of the container".to_owned());
    }
    Ok(Bind { source: source.to_owned(), target: target.to_owned(), read_only, idmap })
}

impl Bind {
    /// The volume that it means in a working directory.
    pub(crate) fn resolve(&self, working_directory: &Path) -> Parsed<Volume> {
        // `..` is kept: only the kernel knows where it leads behind a symbolic link.
        let source: PathBuf = working_directory.join(&self.source).components().collect();
        let source = source.into_os_string().into_string().map_err(|path| format!("{path:?} is not UTF-8"))?;
        Ok(Volume { source, target: self.target.clone(), read_only: self.read_only, idmap: self.idmap })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resolved(text: &str) -> (String, String, bool) {
        let volume = bind(text).unwrap().resolve(Path::new("/home")).unwrap();
        (volume.source, volume.target, volume.read_only)
    }

    #[test]
    fn relative_paths_belong_to_the_working_directory() {
        assert_eq!(resolved("/a:/b"), ("/a".into(), "/b".into(), false));
        assert_eq!(resolved("/a:/b:ro"), ("/a".into(), "/b".into(), true));
        assert_eq!(resolved("./x:/b:rw"), ("/home/x".into(), "/b".into(), false));
        assert_eq!(resolved(".:/b"), ("/home".into(), "/b".into(), false));
        assert_eq!(resolved("../x:/b"), ("/home/../x".into(), "/b".into(), false));
    }

    #[test]
    fn options_are_separated_by_commas() {
        for (text, expected) in [("ro,idmap", (true, true)), ("idmap", (false, true)), ("rw", (false, false))] {
            let volume = bind(&format!("/a:/b:{text}")).unwrap().resolve(Path::new("/")).unwrap();
            assert_eq!((volume.read_only, volume.idmap), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_supported_is_said() {
        assert!(bind("data:/b").unwrap_err().contains("named volumes"));
        assert!(bind("/b").unwrap_err().contains("anonymous"));
        for bad in [
            "",
            ":",
            "/a:",
            "/a:b",
            ":/b",
            "/a:/b:xx",
            "/a:/b:ro:z",
            "/a:/b:ro,z",
            "/a:/b:,",
            "/a:/",
            ".hidden:/b",
            "/a:/.",
        ] {
            assert!(bind(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn sources_are_always_absolute(text in "[a/.:]{0,12}") {
            if let Ok(bind) = bind(&text) {
                let volume = bind.resolve(Path::new("/home")).unwrap();
                prop_assert!(volume.source.starts_with('/') && volume.target.starts_with('/'));
            }
        }
    }
}
