//! The strings that tell overlayfs its directories. They are relative: the state directory's own path may
//! have any length and any character.

use crate::layout::make_directory;
use schema::common::Layer;
use schema::{ContainerId, Failure};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Bytes of one string that fsconfig(2) takes.
const LONGEST: usize = 255;
const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Relative to the state directory: where a layer is.
pub(super) fn of_layer(layer: &Layer) -> String {
    format!("layers/{}", layer.diff_id.hex())
}

/// Relative to the state directory: every layer in a string of its own, the topmost first.
pub(super) fn each(id: &ContainerId, layers: &[Layer]) -> Vec<(&'static str, String)> {
    let container = format!("containers/{id}");
    let mut strings: Vec<_> = layers.iter().rev().map(|layer| ("lowerdir+", of_layer(layer))).collect();
    strings.push(("upperdir", format!("{container}/upper")));
    strings.push(("workdir", format!("{container}/work")));
    strings
}

/// Relative to [`directory`]: all layers in one string, by short names that are made there. Fails with
/// `unimplemented` if there are too many for one string.
pub(super) fn joined(container: &Path, layers: &[Layer]) -> Result<Vec<(&'static str, String)>, Failure> {
    let targets = layers.iter().rev().map(|layer| Path::new("../../..").join(of_layer(layer)));
    let lower = linked(&directory(container), targets)?;
    Ok(vec![("lowerdir", lower), ("upperdir", "../upper".to_owned()), ("workdir", "../work".to_owned())])
}

/// Makes a short name in a directory for each of these, the topmost first, and gives the string of all.
pub(super) fn linked(directory: &Path, targets: impl ExactSizeIterator<Item = PathBuf>) -> Result<String, Failure> {
    let names: Vec<String> = (0..targets.len()).map(short_name).collect();
    let lower = names.join(":");
    if lower.len() > LONGEST {
        return Err(Failure::unimplemented(format_args!("this kernel cannot mount {} layers", names.len()))
            .hint("Linux 6.8 and newer can"));
    }
    make_directory(directory)?;
    for (name, target) in names.iter().zip(targets) {
        link(&directory.join(name), &target)
            .map_err(|error| Failure::io(format_args!("naming the layers in {}", directory.display()), &error))?;
    }
    Ok(lower)
}

/// Where the short names of a container's layers are.
pub(super) fn directory(container: &Path) -> PathBuf {
    container.join("lower")
}

fn link(name: &Path, target: &Path) -> io::Result<()> {
    match symlink(target, name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && fs::read_link(name)? != target => {
            fs::remove_file(name)?;
            symlink(target, name)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// One character for the first 62, then two.
fn short_name(index: usize) -> String {
    let digit = |value: usize| char::from(DIGITS[value % DIGITS.len()]);
    match index.checked_sub(DIGITS.len()) {
        None => digit(index).to_string(),
        Some(rest) => [digit(rest / DIGITS.len()), digit(rest)].iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::Code;
    use schema::Digest;
    use std::collections::HashSet;

    fn layers(count: u8) -> Vec<Layer> {
        let layer = |number| {
            let digest = Digest::from_sha256(&[number; 32]);
            Layer { digest: digest.clone(), diff_id: digest, media_type: String::new(), size: 0 }
        };
        (0..count).map(layer).collect()
    }

    #[test]
    fn the_topmost_layer_comes_first_and_every_string_fits() {
        let strings = each(&ContainerId::from_bytes([7; 32]), &layers(3));
        assert_eq!(strings[0].1, format!("layers/{}", "02".repeat(32)));
        assert_eq!(strings[2].1, format!("layers/{}", "00".repeat(32)));
        assert!(strings.iter().all(|(_, value)| value.len() <= LONGEST));
    }

    #[test]
    fn a_hundred_layers_fit_in_one_string() {
        let container = tempfile::tempdir().unwrap();
        for count in [2, 106, 1] {
            let strings = joined(container.path(), &layers(count)).unwrap();
            let top = format!("../../../layers/{}", format!("{:02x}", count - 1).repeat(32));
            assert!(strings[0].1.len() <= LONGEST);
            assert_eq!(fs::read_link(directory(container.path()).join("0")).unwrap(), Path::new(&top));
        }
        assert_eq!(joined(container.path(), &layers(107)).unwrap_err().code, Code::Unimplemented);
    }

    #[test]
    fn short_names_differ() {
        let names: HashSet<String> = (0..2000).map(short_name).collect();
        assert_eq!(names.len(), 2000);
    }
}
