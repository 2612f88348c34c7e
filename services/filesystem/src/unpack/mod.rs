//! From a layer's blob to a directory that overlayfs can use.
//!
//! What an archive may be is decided by `layer-archive`, for the image store and for this service alike. Here
//! it meets a filesystem: every name is resolved beneath the target, whatever links the archive has made
//! there before. And no byte of it is read by this process: each archive has one of its own (`work`), which sees no file
//! but those of the target, and may do nothing but fill it.

mod attributes;
mod confine;
mod extract;
mod messages;
mod service;
mod work;
mod worker;

use crate::{beneath, trash, walk};
use layer_archive::{Error, Hashed};
use messages::{Outcome, Request, Task};
use rustix::io::Errno;
use schema::common::{IdRange, Layer};
use schema::{Digest, Failure};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use worker::{Ended, Worker};

const BUFFER: usize = 256 << 10;
/// The argument by which this program is told to be one that unpacks.
const WORKER: &str = "--unpack";
/// How often one that is killed is replaced.
const ATTEMPTS: u32 = 5;

/// What this program does if its arguments say that it is to unpack for another process of it.
pub fn work() -> Option<ExitCode> {
    (std::env::args_os().nth(1)? == WORKER).then(work::run)
}

/// Unpacks archives, each in a process of its own. Its methods block, and the process dies with the thread.
#[derive(Clone, Debug)]
pub struct Unpacker {
    program: PathBuf,
}

impl Unpacker {
    /// By this program.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }

    /// By the program that calls this.
    pub fn own() -> Self {
        Self::new("/proc/self/exe")
    }

    /// Unpacks a layer's blob into an empty directory, which must exist. When it returns, the digest of what was
    /// unpacked is the one that the layer promised; it is not yet on the disk.
    ///
    /// Fails with `invalidArgument` for an archive that would leave the directory or that no filesystem can
    /// hold, `corrupt` if the blob is not what it was, `resourceExhausted` if the disk is full.
    pub fn unpack(&self, layer: &Layer, blob: &Path, target: &Path) -> Result<(), Failure> {
        let damaged = |what: &str| {
            Failure::corrupt(format_args!("layer {} is damaged: {what}", layer.digest.short()))
                .hint("`cctl system check --repair` brings it again if it came from a registry")
        };
        let root = beneath::open_root(target)
            .map_err(|error| Failure::io(format_args!("opening {}", target.display()), &error.into()))?;
        match self.run(&Task::layer(layer), blob, root.as_fd()) {
            Ok(Some(diff_id)) if diff_id == layer.diff_id => Ok(()),
            Ok(_) => Err(damaged("its content has another digest")),
            // Was the archive made so, or has its blob changed since it was stored?
            Err(failure) if failure.code == schema::Code::InvalidArgument && hash(blob)? != layer.digest => {
                Err(damaged(&failure.message))
            }
            Err(failure) => Err(failure.context(format_args!("layer {}", layer.digest.short()))),
        }
    }

    /// Unpacks an archive, however it is compressed, below a directory of an existing tree. It is read twice: one
    /// that is damaged or hostile is refused before anything is written.
    ///
    /// Fails with `notFound` if there is no such directory, and `invalidArgument` for an archive that would leave
    /// the tree, or that does not fit into it.
    ///
    /// Ids in the archive are a container's; `ids` are what the tree shows for them.
    pub fn unpack_files(
        &self,
        root: &OwnedFd,
        directory: &str,
        archive: &Path,
        keep_owner: bool,
        ids: Option<IdRange>,
    ) -> Result<(), Failure> {
        let task = Task::Files { directory: directory.to_owned(), keep_owner, ids };
        self.run(&task, archive, root.as_fd()).map(drop)
    }

    /// Whoever kills a process of ours is no reason to fail: the next one does it again.
    fn run(&self, task: &Task, archive: &Path, root: BorrowedFd<'_>) -> Outcome {
        let shown = archive.display().to_string();
        let failed = |error: io::Error| Failure::io(format_args!("unpacking {shown}"), &error);
        let mut how = String::new();
        for _ in 0..ATTEMPTS {
            let parent = rustix::process::getpid().as_raw_nonzero().get();
            let request = Request { parent, archive: shown.clone(), task: task.clone() };
            let file = open(archive)?;
            match Worker::start(&self.program).and_then(|mut worker| worker.work(&request, file.as_fd(), root)) {
                Ok(Ended::Done(outcome)) => return outcome,
                Ok(Ended::Lost(status)) => how = status,
                Err(error) => return Err(failed(error)),
            }
            tracing::warn!(archive = shown, how, "a process that unpacks was lost");
            if matches!(task, Task::Layer { .. }) {
                clear(root).map_err(|error| failed(error.into()))?;
            }
        }
        Err(Failure::new(
            schema::Code::ResourceExhausted,
            format_args!("the process that unpacks {shown} was lost {ATTEMPTS} times: {how}"),
        )
        .hint("was there too little memory? `dmesg` tells"))
    }
}

/// Removes what is in a directory.
fn clear(directory: BorrowedFd<'_>) -> Result<(), Errno> {
    let opened = beneath::open_exact(directory, b"")?;
    walk::names(opened.as_fd())?.iter().try_for_each(|name| trash::remove_tree(directory, name))
}

fn hash(blob: &Path) -> Result<Digest, Failure> {
    let shown = blob.display().to_string();
    let mut hashed = Hashed::new(open(blob)?);
    let mut buffer = vec![0; BUFFER];
    while hashed.read(&mut buffer).map_err(|error| reading(&shown, &error))? > 0 {}
    Ok(Digest::from_sha256(&hashed.finish().0))
}

fn open(blob: &Path) -> Result<File, Failure> {
    File::open(blob).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::not_found(format_args!("the blob {} is gone", blob.display())),
        _ => reading(&blob.display().to_string(), &error),
    })
}

fn reading(blob: &str, error: &io::Error) -> Failure {
    Failure::io(format_args!("reading {blob}"), error)
}

fn unreadable(error: Error) -> Failure {
    match error {
        Error::Invalid(reason) => Failure::invalid(reason),
        Error::Io(error) => Failure::io("reading the archive", &error),
    }
}
