//! Comparing trees and archives.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Names of an archive's members, as another implementation reads them.
pub(crate) fn members(archive: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(archive);
    archive.entries().unwrap().map(|entry| entry.unwrap().path_bytes().escape_ascii().to_string()).collect()
}

/// All that can be told of a tree: by path, type and mode, owner, time, content and attributes, and which
/// paths are one file. Times of directories are left out where `etc` was touched by mounting.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    let mut inodes: BTreeMap<u64, String> = BTreeMap::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(directory) = todo.pop() {
        let mut names: Vec<_> =
            fs::read_dir(root.join(&directory)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        for name in names {
            let path = directory.join(name);
            let full = root.join(&path);
            let shown = path.as_os_str().as_bytes().escape_ascii().to_string();
            let found = fs::symlink_metadata(&full).unwrap();
            let content = if found.is_file() {
                fs::read(&full).unwrap().escape_ascii().to_string()
            } else if found.is_symlink() {
                fs::read_link(&full).unwrap().display().to_string()
            } else {
                format!("device {}", found.rdev())
            };
            if found.is_dir() {
                todo.push(path);
            }
            // The first name that is seen stands for all: a further one in a lower layer does not count.
            let first = inodes.entry(found.ino()).or_insert(shown.clone());
            let same = if found.is_dir() || *first == shown { String::new() } else { first.clone() };
            let facts_of = format!(
                "{:o} {}:{} {}.{:09} {content} {:?} {same}",
                found.mode(),
                found.uid(),
                found.gid(),
                found.mtime(),
                found.mtime_nsec(),
                xattrs(&full),
            );
            facts.insert(shown, facts_of);
        }
    }
    facts
}

/// Says only what differs.
pub(crate) fn assert_same(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) {
    let names: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let differ: Vec<_> = names
        .into_iter()
        .map(|name| (name, one.get(name), other.get(name)))
        .filter(|(_, one, other)| one != other)
        .collect();
    assert!(differ.is_empty(), "{differ:#?}");
}

fn xattrs(path: &Path) -> BTreeMap<String, String> {
    let mut list = vec![0_u8; 4096];
    let Ok(length) = rustix::fs::llistxattr(path, &mut list[..]) else { return BTreeMap::new() };
    let mut all = BTreeMap::new();
    for name in list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = String::from_utf8(name.to_vec()).unwrap();
        let mut value = vec![0_u8; 4096];
        let length = rustix::fs::lgetxattr(path, name.as_str(), &mut value[..]).unwrap();
        all.insert(name, value[..length].escape_ascii().to_string());
    }
    all
}
