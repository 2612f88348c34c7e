//! Packing files of the host into an archive for a container.

use schema::Failure;
use std::fs;
use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use tar::Builder;

/// What to pack.
pub(super) struct Pack {
    pub(super) source: PathBuf,
    /// Its name in the archive; none: what is in the directory is packed, without the directory.
    pub(super) name: Option<String>,
    /// Pack what the source links to, if it is a symbolic link.
    pub(super) follow: bool,
}

/// Writes the archive; answers the bytes of its files. Links in a directory stay links, sockets are left out.
pub(super) fn pack(what: &Pack, writer: impl Write) -> Result<u64, Failure> {
    let mut builder = Builder::new(writer);
    builder.follow_symlinks(false);
    let mut packer = Packer { builder, bytes: 0 };
    let source = if what.follow { fs::canonicalize(&what.source) } else { Ok(what.source.clone()) };
    let source = source.map_err(|error| failed(&what.source, &error))?;
    match &what.name {
        Some(name) => packer.add(&source, Path::new(name))?,
        None => packer.contents(&source, Path::new(""))?,
    }
    packer.builder.into_inner().and_then(|mut writer| writer.flush()).map_err(|error| failed(&source, &error))?;
    Ok(packer.bytes)
}

struct Packer<W: Write> {
    builder: Builder<W>,
    bytes: u64,
}

impl<W: Write> Packer<W> {
    fn add(&mut self, path: &Path, name: &Path) -> Result<(), Failure> {
        let facts = path.symlink_metadata().map_err(|error| failed(path, &error))?;
        let kind = facts.file_type();
        if kind.is_socket() {
            crate::console::note(format_args!("{} is a socket and is left out", path.display()));
            return Ok(());
        }
        if kind.is_dir() {
            self.builder.append_dir(name, path).map_err(|error| failed(path, &error))?;
            return self.contents(path, name);
        }
        self.bytes += if kind.is_file() { facts.len() } else { 0 };
        self.builder.append_path_with_name(path, name).map_err(|error| failed(path, &error))
    }

    fn contents(&mut self, directory: &Path, name: &Path) -> Result<(), Failure> {
        let entries = fs::read_dir(directory).map_err(|error| failed(directory, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| failed(directory, &error))?;
            self.add(&entry.path(), &name.join(entry.file_name()))?;
        }
        Ok(())
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::io(format_args!("packing {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tar::Archive;

    fn names(source: &Path, name: Option<&str>, follow: bool) -> Vec<String> {
        let mut archive = Vec::new();
        let what = Pack { source: source.to_owned(), name: name.map(str::to_owned), follow };
        pack(&what, &mut archive).unwrap();
        let mut names: Vec<String> = Archive::new(&archive[..])
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                format!("{:?} {}", entry.header().entry_type(), entry.path().unwrap().display())
            })
            .collect();
        names.sort();
        names
    }

    #[test]
    fn trees_have_the_name_that_is_asked_for() {
        let root = tempfile::tempdir().unwrap();
        let tree = root.path().join("tree");
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join("file"), "x").unwrap();
        symlink("file", tree.join("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(tree.join("socket")).unwrap();
        assert_eq!(names(&tree, Some("new"), false), ["Directory new", "Regular new/file", "Symlink new/link"]);
        assert_eq!(names(&tree, None, false), ["Regular file", "Symlink link"]);
        assert_eq!(names(&tree.join("link"), Some("x"), false), ["Symlink x"]);
        assert_eq!(names(&tree.join("link"), Some("x"), true), ["Regular x"]);
        let missing = Pack { source: root.path().join("none"), name: Some("x".into()), follow: false };
        assert!(pack(&missing, Vec::new()).unwrap_err().message.contains("none"));
    }
}
