//! A filesystem with disks in memory as its files, so that a loop device tells us each write and each flush.
//!
//! Of the kernel's protocol (linux/fuse.h, version 7.31) this speaks what a loop device needs.

use crate::disk::{Disk, Event, Recording};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

const LONGEST_WRITE: usize = 1 << 20;
const IN_HEADER: usize = 40;
const ROOT: u64 = 1;
const ENOENT: i32 = 2;
const EIO: i32 = 5;
const ENOSYS: i32 = 38;

/// A disk that is served, and what happened to it, if that is recorded.
struct Served {
    disk: Disk,
    recording: Option<Recording>,
}

type Table = Arc<Mutex<HashMap<u64, Served>>>;

/// The mounted filesystem. Dropping it unmounts it.
pub(crate) struct Shelf {
    directory: PathBuf,
    table: Table,
    next: u64,
    server: Option<JoinHandle<()>>,
}

impl Shelf {
    /// Mounts one at a directory, which is made.
    pub(crate) fn mount(directory: &Path) -> Self {
        std::fs::create_dir_all(directory).expect("a directory");
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").expect("/dev/fuse");
        let options = format!("fd={},rootmode=40755,user_id=0,group_id=0", device.as_raw_fd());
        let options = CString::new(options).expect("no zero");
        mount("disks", directory, "fuse.disks", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())
            .expect("mounting a FUSE filesystem");
        let table = Table::default();
        let served = Arc::clone(&table);
        let server = std::thread::spawn(move || serve(device, &served));
        Self { directory: directory.to_owned(), table, next: ROOT + 1, server: Some(server) }
    }

    /// Serves a disk, and gives its file.
    pub(crate) fn put(&mut self, disk: Disk, recorded: bool) -> PathBuf {
        let node = self.next;
        self.next += 1;
        let recording = recorded.then(|| Recording { start: disk.clone(), events: Vec::new() });
        self.lock().insert(node, Served { disk, recording });
        self.directory.join(node.to_string())
    }

    /// Ends the recording of a disk, which is served on.
    pub(crate) fn take_recording(&self, file: &Path) -> Recording {
        let mut table = self.lock();
        let served = table.get_mut(&node_of(file)).expect("a disk that is served");
        served.recording.take().expect("a disk that is recorded")
    }

    /// Stops serving a disk.
    pub(crate) fn take(&self, file: &Path) {
        self.lock().remove(&node_of(file));
    }

    /// Notes in the recording that so many steps were answered.
    pub(crate) fn answered(&self, steps: usize) {
        for recording in self.lock().values_mut().filter_map(|served| served.recording.as_mut()) {
            recording.events.push(Event::Answered(steps));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Served>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        // Detached, it also goes when something went wrong and still uses it.
        unmount(&self.directory, UnmountFlags::DETACH).expect("unmounting");
        let server = self.server.take();
        if !std::thread::panicking()
            && let Some(server) = server
        {
            server.join().expect("the server");
        }
    }
}

fn node_of(file: &Path) -> u64 {
    file.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("the file of a disk")
}

fn serve(mut device: File, table: &Mutex<HashMap<u64, Served>>) {
    let mut buffer = vec![0; LONGEST_WRITE + 8192];
    // Reading fails when the filesystem is not mounted any more.
    while let Ok(length) = device.read(&mut buffer) {
        let request = Request(&buffer[..length]);
        let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = request.answer(&mut table);
        drop(table);
        let (error, body) = match answer {
            Some(Ok(body)) => (0, body),
            Some(Err(error)) => (-error, Vec::new()),
            None => continue,
        };
        let mut reply = Vec::with_capacity(16 + body.len());
        reply.extend_from_slice(&(16 + body.len() as u32).to_le_bytes());
        reply.extend_from_slice(&error.to_le_bytes());
        reply.extend_from_slice(&request.u64(8).to_le_bytes());
        reply.extend_from_slice(&body);
        // It fails for a request that was interrupted meanwhile.
        let _ = device.write(&reply);
    }
}

/// A request as the kernel wrote it: `fuse_in_header`, and what belongs to its operation.
struct Request<'a>(&'a [u8]);

type Answer = Result<Vec<u8>, i32>;

impl Request<'_> {
    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.0[at..at + 4].try_into().expect("4 bytes"))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.0[at..at + 8].try_into().expect("8 bytes"))
    }

    /// The answer; none if the kernel wants none.
    fn answer(&self, table: &mut HashMap<u64, Served>) -> Option<Answer> {
        let node = self.u64(16);
        Some(match self.u32(4) {
            // FORGET, INTERRUPT, BATCH_FORGET
            2 | 36 | 42 => return None,
            // LOOKUP
            1 => self.lookup(table),
            // GETATTR, SETATTR
            3 | 4 => attributes(table, node).map(|attributes| words(&[0, 0]).into_iter().chain(attributes).collect()),
            // OPEN, OPENDIR
            14 | 27 => Ok(words(&[0, 0])),
            // READ
            15 => table.get(&node).ok_or(EIO).map(|served| served.disk.read(self.u64(48), self.u32(56) as usize)),
            // WRITE
            16 => self.write(table.get_mut(&node)),
            // STATFS
            17 => Ok(vec![0; 80]),
            // FSYNC
            20 => {
                if let Some(recording) = table.get_mut(&node).and_then(|served| served.recording.as_mut()) {
                    recording.events.push(Event::Flush);
                }
                Ok(Vec::new())
            }
            // RELEASE, FLUSH, RELEASEDIR, DESTROY
            18 | 25 | 29 | 38 => Ok(Vec::new()),
            // INIT
            26 => Ok(initialised(self.u32(IN_HEADER + 8))),
            _ => Err(ENOSYS),
        })
    }

    fn lookup(&self, table: &HashMap<u64, Served>) -> Answer {
        let name = self.0[IN_HEADER..].split(|byte| *byte == 0).next().unwrap_or_default();
        let node = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()).ok_or(ENOENT)?;
        let attributes = attributes(table, node)?;
        Ok(words(&[node, 0, 0, 0, 0]).into_iter().chain(attributes).collect())
    }

    fn write(&self, served: Option<&mut Served>) -> Answer {
        let served = served.ok_or(EIO)?;
        let (offset, length) = (self.u64(48), self.u32(56) as usize);
        let data = &self.0[IN_HEADER + 40..][..length];
        served.disk.write(offset, data);
        if let Some(recording) = &mut served.recording {
            recording.events.push(Event::Write { offset, data: data.to_vec() });
        }
        Ok(words(&[length as u64]))
    }
}

/// `fuse_init_out`.
fn initialised(read_ahead: u32) -> Vec<u8> {
    const BIG_WRITES: u32 = 1 << 5;
    const MAX_PAGES: u32 = 1 << 22;
    let mut answer = Vec::new();
    for number in [7, 31, read_ahead, BIG_WRITES | MAX_PAGES, 0, LONGEST_WRITE as u32, 1] {
        answer.extend_from_slice(&number.to_le_bytes());
    }
    answer.extend_from_slice(&((LONGEST_WRITE / 4096) as u16).to_le_bytes());
    answer.resize(64, 0);
    answer
}

/// `fuse_attr`: of the directory, or of a disk.
fn attributes(table: &HashMap<u64, Served>, node: u64) -> Answer {
    let (mode, length) = match table.get(&node) {
        Some(served) => (0o100_600, served.disk.length()),
        None if node == ROOT => (0o040_755, 0),
        None => return Err(ENOENT),
    };
    let mut attributes = words(&[node, length, length / 512, 0, 0, 0]);
    for number in [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0_u32] {
        attributes.extend_from_slice(&number.to_le_bytes());
    }
    Ok(attributes)
}

fn words(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}
