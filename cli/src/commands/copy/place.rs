//! Where `cp` copies from and to: pure.

/// One end of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side<'a> {
    /// `-` is stdin or stdout.
    Local(&'a str),
    Container {
        name: &'a str,
        path: &'a str,
    },
}

/// `CONTAINER:PATH` or a path of the host, which begins with `/` or `.` if it contains a colon.
pub(super) fn side(text: &str) -> Side<'_> {
    match text.split_once(':') {
        Some((name, path)) if !name.is_empty() && !text.starts_with(['/', '.']) => Side::Container { name, path },
        _ => Side::Local(text),
    }
}

/// A path, with what its end says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending<'a> {
    /// Without slashes and `/.` at its end; `/` stays.
    pub(super) path: &'a str,
    /// It ends with `/.`: what is in the directory is meant, not the directory.
    pub(super) contents: bool,
    /// It ends with `/` or `/.`: it must be a directory.
    pub(super) directory: bool,
}

/// What the end of a path says.
pub(super) fn ending(path: &str) -> Ending<'_> {
    let contents = path == "." || path.ends_with("/.");
    let bare = if contents { &path[..path.len() - 1] } else { path };
    let trimmed = bare.trim_end_matches('/');
    let directory = trimmed.len() < bare.len() || contents;
    let path = match (trimmed.is_empty(), path.starts_with('/')) {
        (false, _) => trimmed,
        (true, true) => "/",
        (true, false) => ".",
    };
    Ending { path, contents, directory }
}

/// The last component of a path that does not end with a slash; empty for `/`, `.` and `..`.
pub(super) fn base(path: &str) -> &str {
    match path.rsplit('/').next() {
        Some("." | "..") | None => "",
        Some(base) => base,
    }
}

/// The directory that a path lies in; of an absolute one that of a container.
pub(super) fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

/// A path of a container, which is absolute: relative ones begin at its root.
pub(super) fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_told_from_paths() {
        assert_eq!(side("c:/x"), Side::Container { name: "c", path: "/x" });
        assert_eq!(side("c:x:y"), Side::Container { name: "c", path: "x:y" });
        for local in ["-", "x", "/a:b", "./a:b", "../a:b", ":x"] {
            assert_eq!(side(local), Side::Local(local));
        }
    }

    #[test]
    fn ends_of_paths() {
        let end = |path: &'static str| {
            let Ending { path, contents, directory } = ending(path);
            (path, contents, directory)
        };
        assert_eq!(end("/a/b"), ("/a/b", false, false));
        assert_eq!(end("/a/b/"), ("/a/b", false, true));
        assert_eq!(end("/a/b/."), ("/a/b", true, true));
        assert_eq!(end("/"), ("/", false, true));
        assert_eq!(end("/."), ("/", true, true));
        assert_eq!(end("."), (".", true, true));
        assert_eq!(end("a."), ("a.", false, false));
        assert_eq!((base("/a/b"), parent("/a/b"), base("/a"), parent("/a")), ("b", "/a", "a", "/"));
        assert_eq!((base("/"), base("a/.."), base("x")), ("", "", "x"));
        assert_eq!((absolute("x"), absolute("/x")), ("/x".to_owned(), "/x".to_owned()));
    }
}
