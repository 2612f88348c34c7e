//! The writable layer as an OCI layer (image-spec, layer.md): whiteouts become empty files whose names begin
//! with `.wh.`, opaque directories have a file `.wh..wh..opq`.

use super::image::{Image, split};
use super::marks::{is_mount_point, is_opaque, is_whiteout};
use crate::beneath::{self, is_directory};
use crate::pack::{Described, Describer};
use crate::walk::{Entry, Walk};
use layer_archive::{END, Kind, Member, MemberPath, header, padding};
use rustix::fs::Stat;
use rustix::io::Errno;
use schema::Failure;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const CHUNK: usize = 256 << 10;

/// Writes a layer. `image` is the root of all layers below. A layer always has at least the entry of its root.
/// Fails with `invalidArgument` for a file that no layer can have.
pub(crate) fn write(upper: &Path, image: OwnedFd, to: impl Write) -> Result<(), Failure> {
    let opening = |error: Errno| Failure::io(format_args!("opening {}", upper.display()), &error.into());
    let mut layer = Layer { image: Image::new(image), describer: Describer::default(), buffer: vec![0; CHUNK], to };
    let top = match beneath::open_root(upper) {
        Ok(top) => top,
        // It was never mounted: an empty layer on top of the image, whose root stays as it is.
        Err(Errno::NOENT) => {
            let root = layer.image.lookup(b".").map_err(opening)?.ok_or_else(|| opening(Errno::NOENT))?;
            layer.member(&member(MemberPath::default(), Kind::Directory, &root))?;
            return layer.end();
        }
        Err(error) => return Err(opening(error)),
    };
    let root = rustix::fs::fstat(&top).map_err(opening)?;
    let described = layer.describer.describe(MemberPath::default(), top.as_fd(), ".".as_ref(), &root)?;
    described.map_or(Ok(()), |described| layer.add(described))?;
    let mut walk = Walk::new(top.as_fd(), &[], None)?;
    while let Some(entry) = walk.next()? {
        layer.entry(&entry)?;
    }
    layer.end()
}

struct Layer<W> {
    image: Image,
    describer: Describer,
    buffer: Vec<u8>,
    to: W,
}

impl<W: Write> Layer<W> {
    fn entry(&mut self, entry: &Entry) -> Result<(), Failure> {
        let Entry { path, parent, name, found: Some(stat) } = entry else { return Ok(()) };
        let failed = |error: Errno| Failure::io(format_args!("reading /{}", path.escape_ascii()), &error.into());
        if is_whiteout(parent.as_fd(), name, stat).map_err(failed)? {
            return match self.image.lookup(path).map_err(failed)? {
                Some(_) => self.mark(split(path).0, &[WHITEOUT, name.as_bytes()].concat(), stat),
                None => Ok(()),
            };
        }
        if name.as_bytes().starts_with(WHITEOUT) {
            return Err(Failure::invalid(format_args!(
                "/{} cannot be part of an image: in a layer, a name that begins with `.wh.` means a file that is gone",
                path.escape_ascii()
            ))
            .hint("rename or remove it in the container, then try again"));
        }
        if is_mount_point(path, parent.as_fd(), name, stat, &mut self.image).map_err(failed)? {
            return Ok(());
        }
        let Some(described) = self.describer.describe(parse(path)?, parent.as_fd(), name, stat)? else {
            return Ok(());
        };
        self.add(described)?;
        if is_directory(stat) && is_opaque(parent, name).map_err(failed)? && self.hides(path).map_err(failed)? {
            self.mark(path, OPAQUE, stat)?;
        }
        Ok(())
    }

    /// Whether an opaque directory hides anything. Overlayfs makes most new directories opaque.
    fn hides(&mut self, path: &[u8]) -> Result<bool, Errno> {
        self.image.directory(path).map(|found| found.is_some())
    }

    fn add(&mut self, described: Described) -> Result<(), Failure> {
        self.member(&described.member)?;
        match described.data {
            Some(file) => self.data(&file, &described.member),
            None => Ok(()),
        }
    }

    fn mark(&mut self, directory: &[u8], name: &[u8], stat: &Stat) -> Result<(), Failure> {
        let path = parse(&[directory, name].join(&b'/'))?;
        self.member(&Member { mode: 0, ..member(path, Kind::File, stat) })
    }

    fn member(&mut self, member: &Member) -> Result<(), Failure> {
        self.to.write_all(&header(member)).map_err(|error| writing(&error))
    }

    /// The container is frozen, but a file of it may be mapped: a layer keeps what its headers promise.
    fn data(&mut self, mut file: &File, member: &Member) -> Result<(), Failure> {
        let mut left = member.size;
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            match file.read(&mut self.buffer[..wanted]) {
                Ok(0) => {
                    return Err(Failure::conflict(format_args!("/{} was changed meanwhile", member.path))
                        .hint("stop or pause the container first"));
                }
                Ok(count) => {
                    self.to.write_all(&self.buffer[..count]).map_err(|error| writing(&error))?;
                    left -= count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::io(format_args!("reading /{}", member.path), &error)),
            }
        }
        self.to.write_all(padding(member.size)).map_err(|error| writing(&error))
    }

    fn end(mut self) -> Result<(), Failure> {
        self.to.write_all(&END).and_then(|()| self.to.flush()).map_err(|error| writing(&error))
    }
}

fn member(path: MemberPath, kind: Kind, stat: &Stat) -> Member {
    Member {
        path,
        kind,
        size: 0,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: (stat.st_mtime, 0),
        xattrs: Vec::new(),
    }
}

fn parse(path: &[u8]) -> Result<MemberPath, Failure> {
    MemberPath::parse(path)
        .map_err(|error| Failure::invalid(error).hint("no engine could unpack a layer with such a name"))
}

fn writing(error: &io::Error) -> Failure {
    Failure::io("writing the layer", error)
}
