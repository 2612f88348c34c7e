//! An upload that is read while it comes.

use crate::check::{Checked, follow};
use crate::disk::Disk;
use crate::uploads::{UploadName, Uploads};
use schema::Failure;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// How far an upload is.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    stage: Mutex<Stage>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Stage {
    length: u64,
    is_complete: bool,
    is_abandoned: bool,
}

impl Growth {
    /// So much of it is there.
    pub(crate) fn reached(&self, length: u64) {
        self.change(|stage| stage.length = stage.length.max(length));
    }

    fn change(&self, change: impl FnOnce(&mut Stage)) {
        change(&mut self.stage());
        self.changed.notify_all();
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is more than `position`: so much; or none, if there will not be more.
    fn beyond(&self, position: u64) -> io::Result<Option<u64>> {
        let is_waiting = |stage: &mut Stage| stage.length <= position && !stage.is_complete && !stage.is_abandoned;
        let stage = self.changed.wait_while(self.stage(), is_waiting).unwrap_or_else(PoisonError::into_inner);
        if stage.is_abandoned {
            return Err(io::Error::other("abandoned"));
        }
        Ok((stage.length > position).then(|| stage.length - position))
    }
}

/// Its content.
struct Growing {
    file: Arc<File>,
    growth: Arc<Growth>,
    position: u64,
}

impl Read for Growing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(there) = self.growth.beyond(self.position)? else { return Ok(0) };
        let wanted = usize::try_from(there).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..wanted], self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

/// A thread that reads an upload as a layer, and compresses it. Dropping it gives that up, and waits for the thread. There is
/// one at a time for an upload: they write to the same file.
#[derive(Debug)]
pub(crate) struct Following {
    growth: Arc<Growth>,
    thread: Option<JoinHandle<Result<Found, Failure>>>,
}

/// What was found, and in which file.
type Found = (Arc<File>, Result<Checked, Failure>);

impl Following {
    /// Begins with what is there, which is made if there is nothing.
    pub(crate) fn begin(disk: &Arc<Disk>, name: &UploadName) -> Result<Self, Failure> {
        let growth = Arc::<Growth>::default();
        let (disk, name, of_thread) = (Arc::clone(disk), name.clone(), Arc::clone(&growth));
        let thread = std::thread::Builder::new()
            .name("pack".to_owned())
            .spawn(move || pack(&disk.uploads, &name, of_thread))
            .map_err(|error| Failure::io("starting a thread", &error))?;
        Ok(Self { growth, thread: Some(thread) })
    }

    /// To be told how far the upload is.
    pub(crate) fn growth(&self) -> Arc<Growth> {
        Arc::clone(&self.growth)
    }

    /// What was found, once all that there is was read: nobody may write to the upload any more. The file to keep is on
    /// the disk then. None: it was not the upload that was read, since it was removed and began anew.
    pub(crate) fn finish(mut self, uploads: &Uploads, name: &UploadName) -> Option<Result<Checked, Failure>> {
        let facts = uploads.read(name).and_then(|file| facts(&file)).ok()?;
        // Not all writers may have told.
        self.growth.change(|stage| (stage.length, stage.is_complete) = (facts.len(), true));
        let (file, found) = self.thread.take()?.join().ok()?.ok()?;
        let is_same = self::facts(&file).is_ok_and(|read| (read.dev(), read.ino()) == (facts.dev(), facts.ino()));
        is_same.then_some(found)
    }
}

fn facts(file: &File) -> Result<Metadata, Failure> {
    file.metadata().map_err(|error| Failure::io("reading the upload", &error))
}

fn pack(uploads: &Uploads, name: &UploadName, growth: Arc<Growth>) -> Result<Found, Failure> {
    uploads.append(name, 0, &[])?;
    let file = Arc::new(uploads.read(name)?);
    growth.reached(facts(&file)?.len());
    let source = Growing { file: Arc::clone(&file), growth, position: 0 };
    Ok((file, follow(source, &uploads.packed_path(name))))
}

impl Drop for Following {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.growth.change(|stage| stage.is_abandoned = true);
            // Nobody wants to know what it has found.
            let _ended = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Use, check};
    use std::sync::atomic::AtomicBool;

    fn archive() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for number in 0..20 {
            let mut header = tar::Header::new_gnu();
            header.set_size(30_000);
            header.set_mode(0o644);
            builder.append_data(&mut header, format!("file{number}"), &[number; 30_000][..]).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn an_upload_is_packed_while_it_comes_as_it_is_afterwards() {
        let state = tempfile::tempdir().unwrap();
        let disk = Arc::new(Disk::open(state.path()).unwrap());
        let uploads = &disk.uploads;
        let (name, content): (UploadName, _) = ("up".parse().unwrap(), archive());
        uploads.append(&name, 0, &content[..100]).unwrap();
        let following = Following::begin(&disk, &name).unwrap();
        let (growth, mut length) = (following.growth(), 100);
        for piece in content[100..].chunks(70_000) {
            length = uploads.append(&name, length, piece).unwrap();
            if piece.len() == 70_000 {
                growth.reached(length);
            }
        }
        let found = following.finish(uploads, &name).unwrap().unwrap();
        let packed = std::fs::read(uploads.packed_path(&name)).unwrap();
        assert_eq!((&found.layer.digest, found.packed), (&oci::digest(&packed), true));
        assert_eq!(found, check(uploads, &name, Use::Layer, &AtomicBool::new(false)).unwrap());
    }

    #[test]
    fn an_upload_that_ends_early_is_told() {
        let state = tempfile::tempdir().unwrap();
        let disk = Arc::new(Disk::open(state.path()).unwrap());
        let uploads = &disk.uploads;
        let name: UploadName = "up".parse().unwrap();
        uploads.append(&name, 0, &archive()[..40_000]).unwrap();
        let failure = Following::begin(&disk, &name).unwrap().finish(uploads, &name).unwrap().unwrap_err();
        assert_eq!(failure.code, schema::Code::InvalidArgument);
        // Nobody waits for one that is given up.
        drop(Following::begin(&disk, &name).unwrap());
        let following = Following::begin(&disk, &name).unwrap();
        following.growth().beyond(0).unwrap();
        uploads.remove(&name).unwrap();
        assert_eq!(following.finish(uploads, &name), None);
    }
}
