//! Where files from a container go on the host.

use super::place::{Ending, ending};
use schema::{Code, Failure};
use std::path::{Path, PathBuf};

/// Where an archive is unpacked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// An existing directory.
    pub(super) root: PathBuf,
    /// What the first component of the archive's names becomes in it; none: it goes, what it holds is meant.
    pub(super) name: Option<String>,
}

/// By Docker's rules: into an existing directory under its own name, in place of a file, or under a new name in an
/// existing directory. `base` is the name in the container.
pub(super) fn target(destination: &str, base: &str, is_directory: bool, contents: bool) -> Result<Target, Failure> {
    let Ending { path, directory: must_be_directory, .. } = ending(destination);
    let path = Path::new(if destination.is_empty() { "." } else { path });
    match path.metadata() {
        Ok(facts) if facts.is_dir() => {
            let name = if contents || base.is_empty() { None } else { Some(base.to_owned()) };
            Ok(Target { root: path.to_owned(), name })
        }
        Ok(_) if must_be_directory => Err(Failure::invalid(format_args!("{destination} is not a directory"))),
        Ok(_) if is_directory => {
            Err(Failure::invalid(format_args!("cannot copy a directory to {destination}, which is a file")))
        }
        Err(_) if must_be_directory && !is_directory => {
            Err(Failure::not_found(format_args!("no such directory: {destination}")).hint("make it first"))
        }
        _ => renamed(path),
    }
}

/// Under a new name, or in place of a file.
fn renamed(path: &Path) -> Result<Target, Failure> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Failure::invalid(format_args!("{} has no name", path.display())))?;
    match parent.metadata() {
        Ok(facts) if facts.is_dir() => Ok(Target { root: parent.to_owned(), name: Some(name.to_owned()) }),
        Ok(_) => Err(Failure::invalid(format_args!("{} is not a directory", parent.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::new(Code::NotFound, format_args!("no such directory: {}", parent.display()))
                .hint("make it first"))
        }
        Err(error) => Err(Failure::io(parent.display(), &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_s_rules() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        std::fs::create_dir(at("dir")).unwrap();
        std::fs::write(at("file"), "").unwrap();
        let found = |destination: &str, is_directory, contents| {
            target(&at(destination), "src", is_directory, contents)
                .map(|target| (target.root.strip_prefix(directory.path()).unwrap().display().to_string(), target.name))
        };
        let named = |root: &str, name: &str| Ok((root.to_owned(), Some(name.to_owned())));
        assert_eq!(found("dir", true, false), named("dir", "src"));
        assert_eq!(found("dir/", false, false), named("dir", "src"));
        assert_eq!(found("dir", true, true), Ok(("dir".to_owned(), None)));
        assert_eq!(found("new", true, false), named("", "new"));
        assert_eq!(found("new/", true, false), named("", "new"));
        assert_eq!(found("new", true, true), named("", "new"));
        assert_eq!(found("new", false, false), named("", "new"));
        assert_eq!(found("file", false, false), named("", "file"));
        assert!(found("new/", false, false).unwrap_err().message.contains("no such directory"));
        assert!(found("file", true, false).unwrap_err().message.contains("cannot copy a directory"));
        assert!(found("file/", false, false).unwrap_err().message.contains("not a directory"));
        assert!(found("none/new", false, false).unwrap_err().message.contains("none"));
    }
}
