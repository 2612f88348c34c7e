//! What a process does that unpacks for the service.

use super::confine::confine;
use super::extract::Extractor;
use super::messages::{Message, Outcome, Request, Task};
use super::service::Service;
use super::{BUFFER, reading, unreadable};
use crate::ids::act_as_root_of;
use crate::{beneath, look, walk};
use layer_archive::{Bounded, Compression, Hashed, MemberPath, Members, decoder, expanded_limit};
use rustix::io::Errno;
use schema::common::IdRange;
use schema::{Digest, Failure};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

/// Does what the service asks for at the other end of standard input, once.
pub(super) fn run() -> ExitCode {
    let done = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).map_err(io::Error::from).and_then(|socket| {
        let service = Service::new(socket);
        let (request, archive, root) = service.request()?;
        let outcome = work(request, archive, root, &service);
        Ok(service.say(&Message::Done(outcome), &[])?)
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("unpacking: {error}");
            ExitCode::FAILURE
        }
    }
}

fn work(request: Request, archive: OwnedFd, root: OwnedFd, service: &Service) -> Outcome {
    let Request { parent, archive: path, task } = request;
    if let Task::Files { ids: Some(ids), .. } = &task {
        act_as_root_of(*ids)?;
    }
    let confined = confine(parent, &root)?;
    // The root of this process has taken its place.
    drop(root);
    let archive = Archive { file: File::from(archive), path };
    match task {
        Task::Layer { media_type } => layer(&archive, &media_type, confined.root, service).map(Some),
        Task::Files { directory, keep_owner, ids } => {
            files(&archive, confined.root, &directory, (keep_owner, ids), service).map(|()| None)
        }
    }
}

/// An archive, as it is on the disk.
struct Archive {
    file: File,
    /// For people.
    path: String,
}

impl Archive {
    /// What it holds, bounded. Without a compression being told, its first bytes tell it.
    fn expand(&self, compression: Option<Compression>) -> Result<impl Read + use<'_>, Failure> {
        let failed = |error: io::Error| reading(&self.path, &error);
        let length = self.file.metadata().map_err(failed)?.len();
        let mut compressed = BufReader::with_capacity(BUFFER, &self.file);
        let beginning = compressed.fill_buf().map_err(failed)?;
        let compression = compression.unwrap_or_else(|| Compression::detect(beginning));
        let expanded = decoder(compression, compressed).map_err(failed)?;
        Ok(Bounded::new(expanded, expanded_limit(length)))
    }
}

fn layer(archive: &Archive, media_type: &str, root: OwnedFd, service: &Service) -> Result<Digest, Failure> {
    let compression = Compression::of_media_type(media_type)
        .ok_or_else(|| Failure::unimplemented(format_args!("a layer of the unknown media type {media_type:?}")))?;
    let mut hashed = Hashed::new(archive.expand(Some(compression))?);
    let mut members = Members::new(BufReader::with_capacity(BUFFER, &mut hashed));
    fill(Extractor::layer(root, service)?, &mut members)?;
    Ok(Digest::from_sha256(&hashed.finish().0))
}

/// Reads the archive twice: one that is damaged or hostile is refused before anything is written.
fn files(
    archive: &Archive,
    root: OwnedFd,
    directory: &str,
    (keep_owner, ids): (bool, Option<IdRange>),
    service: &Service,
) -> Result<(), Failure> {
    let failed = |error: Errno| look::failed(directory, error);
    let below = beneath::real_path(root.as_fd(), OsStr::new(directory)).map_err(failed)?;
    let opened = beneath::open_directory(root.as_fd(), OsStr::from_bytes(&below)).map_err(failed)?;
    if walk::is_kernels(opened.as_fd()).map_err(failed)? {
        return Err(Failure::invalid(format_args!("{directory} shows the kernel's state, it is not for files")));
    }
    let below = MemberPath::parse(&below).map_err(unreadable)?;
    let mut members = Members::plain(archive.expand(None)?);
    while members.next().map_err(unreadable)?.is_some() {}
    drop(members);
    (&archive.file).rewind().map_err(|error| reading(&archive.path, &error))?;
    fill(Extractor::files(root, below, keep_owner, ids, service), &mut Members::plain(archive.expand(None)?))
}

fn fill<R: Read>(mut extractor: Extractor<'_>, members: &mut Members<R>) -> Result<(), Failure> {
    while let Some(member) = members.next().map_err(unreadable)? {
        extractor.add(member, members)?;
    }
    extractor.finish()
}
