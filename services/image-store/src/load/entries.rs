//! What an archive of images holds, by name. Nothing is unpacked; links are names for members, never files.

use crate::check::Cancellable;
use layer_archive::{Bounded, Compression, Error, Kind, MemberPath, Members, decoder};
use oci::manifest::LONGEST_DOCUMENT;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

const BUFFER: usize = 256 << 10;
const MOST_ENTRIES: usize = 100_000;

/// The members of a plain archive.
pub(super) struct Entries<'a> {
    file: File,
    members: HashMap<String, Entry>,
    cancelled: &'a AtomicBool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    File { offset: u64, size: u64 },
    Link(Vec<u8>),
}

/// A file within the archive.
pub(super) struct Member<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Member<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..wanted], self.offset)?;
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

fn invalid(reason: impl std::fmt::Display) -> Error {
    Error::Invalid(reason.to_string())
}

impl<'a> Entries<'a> {
    /// Reads the headers of an archive. If it is compressed as a whole, it is expanded to `plain` first, where it may
    /// have `limit` bytes.
    pub(super) fn read(file: File, limit: u64, plain: &Path, cancelled: &'a AtomicBool) -> Result<Self, Error> {
        let mut buffered = BufReader::with_capacity(BUFFER, file);
        let compression = Compression::detect(buffered.fill_buf()?);
        let file = if compression == Compression::None {
            buffered.into_inner()
        } else {
            let source = BufReader::with_capacity(BUFFER, Cancellable { inner: buffered, cancelled });
            let mut expanded = Bounded::new(decoder(compression, source)?, limit);
            let mut copy = BufWriter::with_capacity(BUFFER, File::create(plain)?);
            io::copy(&mut expanded, &mut copy)?;
            copy.into_inner().map_err(io::IntoInnerError::into_error)?;
            File::open(plain)?
        };
        let mut entries = Self { file, members: HashMap::new(), cancelled };
        entries.list()?;
        Ok(entries)
    }

    fn list(&mut self) -> Result<(), Error> {
        let length = self.file.metadata()?.len();
        let whole = Member { file: &self.file, offset: 0, left: length };
        let source = Cancellable { inner: BufReader::with_capacity(BUFFER, whole), cancelled: self.cancelled };
        let mut members = Members::new(source);
        let mut found: HashMap<String, Entry> = HashMap::new();
        while let Some(member) = members.next()? {
            // What is not UTF-8 cannot be named by the JSON of an archive.
            let Some(name) = member.path.as_os_str().to_str().map(str::to_owned) else { continue };
            let entry = match member.kind {
                Kind::Directory => continue,
                Kind::File => Entry::File { offset: members.position(), size: member.size },
                Kind::Symlink(target) => Entry::Link(target),
                _ => return Err(invalid(format_args!("member {name} is neither a file nor a directory"))),
            };
            if found.len() >= MOST_ENTRIES {
                return Err(invalid(format_args!("the archive has more than {MOST_ENTRIES} files")));
            }
            if found.insert(name.clone(), entry).is_some() {
                return Err(invalid(format_args!("member {name} comes twice")));
            }
        }
        self.members = found;
        Ok(())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// Names of all files and links.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// A file's content and its length. A link is followed once, to a file of the archive.
    pub(super) fn open(&self, name: &str) -> Result<(Cancellable<'a, Member<'_>>, u64), Error> {
        let missing = || invalid(format_args!("the archive has no member {}", name.escape_default()));
        let path = MemberPath::parse(name.as_bytes())?.as_os_str().to_string_lossy().into_owned();
        let entry = self.members.get(&path).ok_or_else(missing)?;
        let target = match entry {
            Entry::File { .. } => entry,
            Entry::Link(target) => {
                let to = beside(&path, target)
                    .ok_or_else(|| invalid(format_args!("member {path} is a link that leaves the archive")))?;
                self.members.get(&to).ok_or_else(|| invalid(format_args!("member {path} is a link to nothing")))?
            }
        };
        let Entry::File { offset, size } = *target else {
            return Err(invalid(format_args!("member {path} is a link to a link")));
        };
        let member = Member { file: &self.file, offset, left: size };
        Ok((Cancellable { inner: member, cancelled: self.cancelled }, size))
    }

    /// The content of a small file: JSON. It must be a file, not a link.
    pub(super) fn document(&self, name: &str) -> Result<Vec<u8>, Error> {
        if matches!(self.members.get(name), Some(Entry::Link(_))) {
            return Err(invalid(format_args!("member {name} is a link")));
        }
        let (mut member, size) = self.open(name)?;
        if size > LONGEST_DOCUMENT {
            return Err(invalid(format_args!("member {name} has {size} bytes: more than {LONGEST_DOCUMENT}")));
        }
        let mut content = Vec::new();
        member.read_to_end(&mut content)?;
        Ok(content)
    }
}

/// Where a link that lies at `path` leads, if that is within the archive.
fn beside(path: &str, target: &[u8]) -> Option<String> {
    let target = std::str::from_utf8(target).ok().filter(|target| !target.starts_with('/'))?;
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_members_only() {
        for (target, found) in [
            ("../b/layer.tar", Some("b/layer.tar")),
            ("layer.tar", Some("a/layer.tar")),
            ("../../etc/passwd", None),
            ("/etc/passwd", None),
        ] {
            assert_eq!(beside("a/x", target.as_bytes()).as_deref(), found, "{target}");
        }
    }
}
