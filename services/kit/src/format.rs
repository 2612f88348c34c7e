//! The version of what services keep on the disk, beyond that of each record: logs, blobs, layers, and which
//! directories there are. It is in the file `format` of each service's state directory.

use crate::file;
use schema::{Code, Failure};
use std::fs;
use std::io;
use std::path::Path;

/// Raised when a program of before would harm, or not understand, what a service keeps.
const VERSION: u32 = 1;
const MAGIC: &str = "cctl-state";
const FILE: &str = "format";

/// Fails, and changes nothing, if the directory was written by a newer cctl; else notes the version of this one.
pub(crate) fn check(state: &Path) -> Result<(), Failure> {
    let path = state.join(FILE);
    let failed = |error: io::Error| Failure::io(path.display(), &error);
    let content = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        // Not text: damaged.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Some(String::new()),
        other => Some(other.map_err(failed)?),
    };
    match content.as_deref().and_then(parse) {
        Some(VERSION) => return Ok(()),
        Some(version) if version > VERSION => {
            let message =
                format!("{} says version {version}, and this program knows version {VERSION}", path.display());
            return Err(Failure::new(Code::Unimplemented, message)
                .hint("nothing was changed: run the version of cctl that wrote it, or a newer one"));
        }
        Some(_) => {}
        None if content.is_none() => {}
        None => {
            tracing::error!(path = %path.display(), "damaged file moved aside: this version is taken for granted");
            fs::rename(&path, path.with_extension("damaged")).map_err(failed)?;
        }
    }
    file::write_durably(&path, format!("{MAGIC} {VERSION} {}\n", mark(VERSION)).as_bytes()).map_err(failed)
}

fn parse(content: &str) -> Option<u32> {
    let mut words = content.strip_suffix('\n')?.split(' ');
    let (magic, version, marked) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
    (magic == MAGIC && marked == mark(version) && words.next().is_none()).then_some(version)
}

/// A digit that is damaged is not taken for another version.
fn mark(version: u32) -> String {
    use sha2::Digest;
    let hash = sha2::Sha256::digest(format!("{MAGIC} {version}"));
    hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_damage() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "").unwrap();
        check(directory.path()).unwrap();
        assert!(directory.path().join("format.damaged").exists());
    }

    #[test]
    fn a_newer_version_is_refused_and_damage_is_not_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        check(directory.path()).unwrap();
        let ours = fs::read(&path).unwrap();
        let newer = format!("{MAGIC} 2 {}\n", mark(2));
        fs::write(&path, &newer).unwrap();
        let failure = check(directory.path()).unwrap_err();
        assert!(failure.message.contains("format says version 2"), "{failure}");
        assert_eq!(fs::read_to_string(&path).unwrap(), newer);
        for at in 0..ours.len() {
            let mut damaged = ours.clone();
            damaged[at] ^= 3;
            fs::write(&path, &damaged).unwrap();
            check(directory.path()).unwrap();
            assert_eq!(fs::read(&path).unwrap(), ours);
            assert_eq!(fs::read(path.with_extension("damaged")).unwrap(), damaged);
        }
    }
}
