//! The members of a tar archive: ustar, GNU and pax.
//!
//! The `tar` crate parses a header's fields. Its iterator is not used: it reads long names and extended
//! headers of any length into memory, and splits extended headers at line ends, which breaks attributes
//! with binary values.

use crate::path::{MemberPath, Shown};
use crate::pax::Extended;
use crate::source::{BLOCK, Block, Source};
use crate::sparse::{self, Piece};
use crate::{Error, LONGEST_METADATA, MOST_MEMBERS};
use std::io::{self, Read};
use tar::{EntryType, Header};

const MODE_BITS: u32 = 0o7777;

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file, whose data follows.
    File,
    /// A regular file of which only these pieces follow.
    Sparse(Vec<Piece>),
    /// A directory.
    Directory,
    /// A symbolic link with this target, which may point anywhere.
    Symlink(Vec<u8>),
    /// Another name for a member.
    HardLink(MemberPath),
    /// A character device: major and minor number.
    Character(u32, u32),
    /// A block device: major and minor number.
    Block(u32, u32),
    /// A FIFO.
    Fifo,
}

/// A member of an archive, without its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub path: MemberPath,
    /// What it is.
    pub kind: Kind,
    /// Bytes of a file, holes included.
    pub size: u64,
    /// Permissions, with set-user-id, set-group-id and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change: seconds since the epoch and nanoseconds.
    pub mtime: (i64, u32),
    /// Extended attributes: full name and value.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Reads an archive member by member. After an error it must not be used again.
#[derive(Debug)]
pub struct Members<R> {
    source: Source<R>,
    count: u64,
    /// Bytes of the current member that were not read yet, and the padding behind them.
    left: u64,
    padding: u64,
    /// Names that begin with `.wh.` mean what they do in a layer.
    is_layer: bool,
}

/// What precedes a member and describes it.
#[derive(Default)]
struct Preface {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    extended: Option<Extended>,
}

impl<R: Read> Members<R> {
    /// Of a layer: an uncompressed archive in which some names are whiteouts.
    pub fn new(reader: R) -> Self {
        Self { source: Source::new(reader), count: 0, left: 0, padding: 0, is_layer: true }
    }

    /// Of any uncompressed archive: all names are those of files.
    pub fn plain(reader: R) -> Self {
        Self { is_layer: false, ..Self::new(reader) }
    }

    /// The next member; none at the end, when the reader was read to its end. Data of the member before
    /// that was not read is passed over. Fails for anything that is not a complete, sound archive. One that
    /// has no members, only its end, is sound.
    #[allow(clippy::should_implement_trait)] // a lending reader: the data of each member is read in between
    pub fn next(&mut self) -> Result<Option<Member>, Error> {
        // One after the other: their sum may be more than a number holds.
        self.source.skip(self.left)?;
        self.source.skip(self.padding)?;
        (self.left, self.padding) = (0, 0);
        let mut preface = Preface::default();
        loop {
            let Some(header) = self.header()? else { return self.end(&preface) };
            let size = self.number(&header.as_old().size, header.entry_size())?;
            match header.entry_type() {
                EntryType::GNULongName => preface.name = Some(until_zero(self.metadata(size)?)),
                EntryType::GNULongLink => preface.link = Some(until_zero(self.metadata(size)?)),
                EntryType::XHeader => preface.extended = Some(Extended::parse(&self.metadata(size)?)?),
                // Holds for the whole archive; in practice only a comment (git archive).
                EntryType::XGlobalHeader => drop(self.metadata(size)?),
                _ => return self.member(&header, preface).map(Some),
            }
        }
    }

    /// Members until now.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Bytes of the archive that were read until now: where the data of the member is that was given last.
    pub fn position(&self) -> u64 {
        self.source.position()
    }

    /// Data of the current member, as it is in the archive; zero bytes at its end.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        match self.source.read_some(&mut buffer[..wanted])? {
            0 => Err(self.source.cut_off()),
            count => {
                self.left -= count as u64;
                Ok(count)
            }
        }
    }

    /// The next header; none where the archive ends.
    fn header(&mut self) -> Result<Option<Header>, Error> {
        let Some(block) = self.source.block()? else { return Ok(None) };
        if block.iter().all(|byte| *byte == 0) {
            self.source.expect_zeros()?;
            return Ok(None);
        }
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(&block);
        match header.cksum() {
            Ok(sum) if sum == checksum(&block) => Ok(Some(header)),
            _ if self.source.position() == BLOCK as u64 => {
                Err(Error::invalid("this is not a tar archive: it does not begin with a header"))
            }
            _ => Err(self.damaged("its checksum is wrong")),
        }
    }

    fn end(&self, preface: &Preface) -> Result<Option<Member>, Error> {
        let Preface { name, link, extended } = preface;
        if name.is_some() || link.is_some() || extended.is_some() {
            return Err(self.source.cut_off());
        }
        // A layer that changes nothing is an archive of zeros alone; what has no bytes at all is no archive.
        match self.source.position() {
            0 => Err(Error::invalid("the archive is empty")),
            _ => Ok(None),
        }
    }

    /// A long name or an extended header.
    fn metadata(&mut self, size: u64) -> Result<Vec<u8>, Error> {
        if size > LONGEST_METADATA {
            return Err(Error::invalid(format_args!(
                "a name or extended header of {size} bytes at byte {}: more than {LONGEST_METADATA}",
                self.source.position()
            )));
        }
        let data = self.source.bytes(size)?;
        self.source.skip(padding(size))?;
        Ok(data)
    }

    fn member(&mut self, header: &Header, preface: Preface) -> Result<Member, Error> {
        self.count += 1;
        if self.count > MOST_MEMBERS {
            return Err(Error::invalid(format_args!("the archive has more than {MOST_MEMBERS} members")));
        }
        let Preface { name, link, extended } = preface;
        let extended = extended.unwrap_or_default();
        let name = extended.path.or(name).unwrap_or_else(|| header.path_bytes().into_owned());
        let link = extended.link.or(link).or_else(|| header.link_name_bytes().map(|bytes| bytes.into_owned()));
        let path = MemberPath::parse(&name)?;
        if self.is_layer {
            path.whiteout()?;
        }
        check_attributes(&path, &extended.xattrs)?;
        let stored = match extended.size {
            Some(size) => size,
            None => self.number(&header.as_old().size, header.entry_size())?,
        };
        let (kind, size) = self.kind(header, &name, link, stored)?;
        if matches!(kind, Kind::File | Kind::Sparse(_)) {
            (self.left, self.padding) = (stored, padding(stored));
        }
        let fields = header.as_old();
        let uid = extended.uid.map_or_else(|| self.number(&fields.uid, header.uid()), Ok)?;
        let gid = extended.gid.map_or_else(|| self.number(&fields.gid, header.gid()), Ok)?;
        let mode = self.number(&fields.mode, header.mode())?;
        Ok(Member {
            kind,
            size,
            mode: mode & MODE_BITS,
            uid: owner(&path, uid)?,
            gid: owner(&path, gid)?,
            mtime: match extended.mtime {
                Some(time) => time,
                None => (self.number(&fields.mtime, header.mtime())?.cast_signed(), 0),
            },
            xattrs: extended.xattrs,
            path,
        })
    }

    fn kind(&mut self, header: &Header, name: &[u8], link: Option<Vec<u8>>, stored: u64) -> Result<(Kind, u64), Error> {
        let device = || {
            let number = |value: io::Result<Option<u32>>| value.ok().flatten();
            number(header.device_major())
                .zip(number(header.device_minor()))
                .ok_or_else(|| Error::invalid(format_args!("member {}: a device without numbers", Shown(name))))
        };
        let target = || {
            link.filter(|target| !target.is_empty() && !target.contains(&0))
                .ok_or_else(|| Error::invalid(format_args!("member {}: a link without a target", Shown(name))))
        };
        let kind = match header.entry_type() {
            // Before ustar, a directory was a file whose name ends with a slash.
            EntryType::Regular | EntryType::Continuous if name.ends_with(b"/") => Kind::Directory,
            EntryType::Regular | EntryType::Continuous => return Ok((Kind::File, stored)),
            EntryType::GNUSparse => return self.sparse(header, stored),
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink(target()?),
            EntryType::Link => Kind::HardLink(MemberPath::parse(&target()?)?),
            EntryType::Char => device().map(|(major, minor)| Kind::Character(major, minor))?,
            EntryType::Block => device().map(|(major, minor)| Kind::Block(major, minor))?,
            EntryType::Fifo => Kind::Fifo,
            other => {
                return Err(Error::invalid(format_args!(
                    "member {}: unknown type {:?}",
                    Shown(name),
                    char::from(other.as_byte())
                )));
            }
        };
        Ok((kind, 0))
    }

    fn sparse(&mut self, header: &Header, stored: u64) -> Result<(Kind, u64), Error> {
        let gnu = header.as_gnu().ok_or_else(|| self.damaged("a sparse file without its map"))?;
        let (size, pieces) = sparse::read_map(gnu, &mut self.source)?;
        if pieces.iter().map(|piece| u128::from(piece.length)).sum::<u128>() != u128::from(stored) {
            return Err(self.damaged("a sparse file whose map does not fit its data"));
        }
        Ok((Kind::Sparse(pieces), size))
    }

    /// The value of a field; an empty field is zero, as for every tar.
    fn number<T: Default>(&self, field: &[u8], value: io::Result<T>) -> Result<T, Error> {
        if field.iter().all(|byte| matches!(byte, 0 | b' ')) {
            return Ok(T::default());
        }
        value.map_err(|error| self.damaged(&error))
    }

    fn damaged(&self, reason: impl std::fmt::Display) -> Error {
        Error::invalid(format_args!("a damaged header before byte {}: {reason}", self.source.position()))
    }
}

/// Bytes between the end of `size` bytes of data and the next block. Sizes are at most those of a u64; the
/// sum of both may not overflow, so it is computed by remainders.
fn padding(size: u64) -> u64 {
    let block = BLOCK as u64;
    (block - size % block) % block
}

/// Sum of a header's bytes, those of the checksum itself counted as blanks.
fn checksum(block: &Block) -> u32 {
    const FIELD: std::ops::Range<usize> = 148..156;
    block
        .iter()
        .enumerate()
        .map(|(at, byte)| if FIELD.contains(&at) { u32::from(b' ') } else { u32::from(*byte) })
        .sum()
}

/// Attributes with which overlayfs steers itself would let a layer show what belongs to others. Those of a mount
/// with the option `userxattr` (`user.overlay.`) are files' own to us, who have no such mount.
fn check_attributes(path: &MemberPath, xattrs: &[(Vec<u8>, Vec<u8>)]) -> Result<(), Error> {
    const RESERVED: &[u8] = b"trusted.overlay.";
    for (name, _) in xattrs {
        if name.is_empty() || name.contains(&0) || name.starts_with(RESERVED) {
            return Err(Error::invalid(format_args!(
                "member {path}: the attribute {:?} is not for archives",
                Shown(name)
            )));
        }
    }
    Ok(())
}

/// The kernel knows no larger user or group; the largest means "none".
fn owner(path: &MemberPath, id: u64) -> Result<u32, Error> {
    u32::try_from(id)
        .ok()
        .filter(|id| *id != u32::MAX)
        .ok_or_else(|| Error::invalid(format_args!("member {path}: {id} is not a user or group")))
}

fn until_zero(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;
