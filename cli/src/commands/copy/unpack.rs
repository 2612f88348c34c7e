//! Unpacking an archive from a container on the host. What the container's files say must not lead elsewhere:
//! nothing is written through a symbolic link.

use schema::Failure;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};
use tar::{Archive, Entry, EntryType};

/// Where to and how.
pub(super) struct Unpack {
    /// An existing directory.
    pub(super) root: PathBuf,
    /// In place of the first component of each name; none: it is left out.
    pub(super) name: Option<String>,
    /// Keep user and group ids.
    pub(super) keep_owner: bool,
}

/// Unpacks all of it; answers the bytes of its files.
pub(super) fn unpack(reader: impl Read, how: &Unpack) -> Result<u64, crate::error::Error> {
    let mut archive = Archive::new(reader);
    let bad = |error: std::io::Error| Failure::io("reading the archive", &error);
    let mut directories = Vec::new();
    let mut bytes = 0;
    for entry in archive.entries().map_err(bad)? {
        let mut entry = entry.map_err(bad)?;
        let name = entry.path().map_err(bad)?.into_owned();
        let Some(path) = place(how, &name)? else { continue };
        bytes += entry.size();
        write(&mut entry, &path, how)?;
        if entry.header().entry_type() == EntryType::Directory {
            directories.push((path, entry.header().mode().unwrap_or(0o755), entry.header().mtime().unwrap_or(0)));
        }
    }
    // What fills up the archive after its end is read too: whoever writes it shall not find the pipe closed.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(bad)?;
    // A directory without the right to write must be filled first.
    for (path, mode, _) in directories.into_iter().rev() {
        set_mode(&path, mode)?;
    }
    Ok(bytes)
}

/// Where a name of the archive goes; none for the directory that everything goes to.
fn place(how: &Unpack, name: &Path) -> Result<Option<PathBuf>, Failure> {
    let mut parts = Vec::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => parts.push(part),
            Component::CurDir | Component::RootDir => {}
            _ => return Err(Failure::invalid(format_args!("{} leads out of the archive", name.display()))),
        }
    }
    let rest = parts.split_first().map_or(&[][..], |(_, rest)| rest);
    let first = how.name.iter().map(std::ffi::OsStr::new);
    let mut path = how.root.clone();
    let below: Vec<_> = first.chain(rest.iter().copied()).collect();
    let Some((last, ancestors)) = below.split_last() else { return Ok(None) };
    for part in ancestors {
        path.push(part);
        match path.symlink_metadata() {
            Ok(facts) if facts.is_dir() => {}
            Ok(_) => return Err(Failure::invalid(format_args!("{} is not a directory", path.display()))),
            Err(error) if error.kind() == ErrorKind::NotFound => make_directory(&path)?,
            Err(error) => return Err(Failure::io(path.display(), &error)),
        }
    }
    path.push(last);
    Ok(Some(path))
}

fn make_directory(path: &Path) -> Result<(), Failure> {
    fs::create_dir(path).map_err(|error| Failure::io(format_args!("making {}", path.display()), &error))
}

fn write<R: Read>(entry: &mut Entry<'_, R>, path: &Path, how: &Unpack) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::io(format_args!("writing {}", path.display()), &error);
    let kind = entry.header().entry_type();
    let present = path.symlink_metadata().ok();
    match (&present, kind) {
        (Some(facts), EntryType::Directory) if facts.is_dir() => return Ok(()),
        (Some(facts), _) if facts.is_dir() => {
            return Err(Failure::invalid(format_args!("cannot write {} over a directory", path.display())));
        }
        // Whatever else is there goes: it may be a link that leads elsewhere.
        (Some(_), _) => fs::remove_file(path).map_err(failed)?,
        (None, _) => {}
    }
    match kind {
        EntryType::Directory => make_directory(path)?,
        EntryType::Link => {
            let target = entry.link_name().map_err(failed)?.unwrap_or_default().into_owned();
            let target = place(how, &target)?
                .ok_or_else(|| Failure::invalid(format_args!("{} is a link to nothing", path.display())))?;
            fs::hard_link(&target, path).map_err(failed)?;
            return Ok(());
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse | EntryType::Symlink => {
            entry.set_preserve_permissions(true);
            entry.set_preserve_mtime(true);
            entry.unpack(path).map_err(failed)?;
        }
        // Devices and pipes are of no use here.
        _ => {
            crate::console::note(format_args!("{} is a device or pipe and is left out", path.display()));
            return Ok(());
        }
    }
    if how.keep_owner {
        let id = |id: std::io::Result<u64>| id.ok().and_then(|id| u32::try_from(id).ok());
        let (user, group) = (id(entry.header().uid()), id(entry.header().gid()));
        std::os::unix::fs::lchown(path, user, group).map_err(failed)?;
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777))
        .map_err(|error| Failure::io(format_args!("setting the mode of {}", path.display()), &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};
    use tar::{Builder, Header};

    fn entry(builder: &mut Builder<Vec<u8>>, kind: EntryType, name: &str, content: &str) {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(if kind == EntryType::Directory { 0o555 } else { 0o640 });
        if matches!(kind, EntryType::Symlink | EntryType::Link) {
            header.set_size(0);
            builder.append_link(&mut header, name, content).unwrap();
            return;
        }
        header.set_size(content.len() as u64);
        // As a hostile archive has it: the builder would refuse `..`.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }

    fn archive(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (kind, name, content) in entries {
            entry(&mut builder, *kind, name, content);
        }
        builder.into_inner().unwrap()
    }

    fn unpacked(
        root: &Path,
        name: Option<&str>,
        entries: &[(EntryType, &str, &str)],
    ) -> Result<u64, crate::error::Error> {
        let how = Unpack { root: root.to_owned(), name: name.map(str::to_owned), keep_owner: false };
        unpack(&archive(entries)[..], &how)
    }

    #[test]
    fn the_first_component_gets_its_new_name() {
        let root = tempfile::tempdir().unwrap();
        let entries = [
            (EntryType::Directory, "out/", ""),
            (EntryType::Directory, "out/sub", ""),
            (EntryType::Regular, "out/sub/file", "one\n"),
            (EntryType::Link, "out/hard", "out/sub/file"),
            (EntryType::Symlink, "out/soft", "sub/file"),
        ];
        assert_eq!(unpacked(root.path(), Some("new"), &entries).unwrap(), 4);
        let new = root.path().join("new");
        assert_eq!(fs::read_to_string(new.join("soft")).unwrap(), "one\n");
        assert_eq!(new.join("hard").metadata().unwrap().nlink(), 2);
        assert_eq!(new.join("sub").metadata().unwrap().mode() & 0o777, 0o555);
        unpacked(root.path(), None, &entries).unwrap();
        assert!(root.path().join("sub/file").exists() && !root.path().join("out").exists());
        // Once more over it.
        unpacked(root.path(), Some("new"), &entries).unwrap();
    }

    #[test]
    fn the_archive_is_read_to_its_very_end() {
        let root = tempfile::tempdir().unwrap();
        let padded = [archive(&[(EntryType::Regular, "file", "x")]), vec![0; 20 << 10]].concat();
        let mut rest = &padded[..];
        unpack(&mut rest, &Unpack { root: root.path().into(), name: None, keep_owner: false }).unwrap();
        assert!(rest.is_empty());
    }

    #[test]
    fn a_file_takes_the_place_of_a_link() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("precious"), "mine").unwrap();
        symlink("precious", root.path().join("x")).unwrap();
        unpacked(root.path(), Some("x"), &[(EntryType::Regular, "file", "theirs")]).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("precious")).unwrap(), "mine");
        assert_eq!(fs::read_to_string(root.path().join("x")).unwrap(), "theirs");
    }

    #[test]
    fn nothing_is_written_through_links_or_outside() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let away = outside.path().to_str().unwrap();
        for entries in [
            vec![(EntryType::Symlink, "d/link", away), (EntryType::Regular, "d/link/file", "x")],
            vec![(EntryType::Regular, "../../file", "x")],
            vec![(EntryType::Regular, "d/../../file", "x")],
            vec![(EntryType::Link, "d/hard", "../../../../etc/passwd")],
        ] {
            assert!(unpacked(root.path(), Some("d"), &entries).is_err(), "{entries:?}");
            let _ = fs::remove_dir_all(root.path().join("d"));
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        let garbage = Unpack { root: root.path().into(), name: None, keep_owner: false };
        assert!(unpack(&[b'x'; 1024][..], &garbage).is_err());
    }
}
