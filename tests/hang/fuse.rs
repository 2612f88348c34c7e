//! A file system that does not answer: what a network file system is whose server is gone.

use rustix::fd::AsRawFd;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const LOOKUP: u32 = 1;
const GETATTR: u32 = 3;
const STATFS: u32 = 17;
const OPENDIR: u32 = 27;
const INIT: u32 = 26;
/// ENOSYS.
const UNKNOWN: i32 = -38;
const HEADER: usize = 16;

/// A mount whose root directory is there, and in which every look-up waits until the mount is gone.
pub(crate) struct Hung {
    path: PathBuf,
    silent: Arc<AtomicBool>,
}

impl Hung {
    pub(crate) fn mount(path: &Path) -> Self {
        fs::create_dir_all(path).unwrap();
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").unwrap();
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
        mount(
            "hung",
            path,
            "fuse",
            MountFlags::NODEV | MountFlags::NOSUID,
            Some(CString::new(options).unwrap().as_c_str()),
        )
        .unwrap();
        let silent = Arc::new(AtomicBool::new(false));
        let quiet = Arc::clone(&silent);
        thread::spawn(move || serve(device, &quiet));
        Self { path: path.to_owned(), silent }
    }

    /// From now on nothing at all is answered.
    pub(crate) fn hang_all(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        // Ends what waits.
        let _ = unmount(&self.path, UnmountFlags::FORCE | UnmountFlags::DETACH);
    }
}

/// Answers what is asked of the root directory, and nothing else.
fn serve(mut device: File, silent: &AtomicBool) {
    let mut request = vec![0; 1 << 20];
    while let Ok(40..) = device.read(&mut request) {
        let word = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap());
        let long = |at: usize| u64::from_ne_bytes(request[at..at + 8].try_into().unwrap());
        let (opcode, unique, node) = (word(4), long(8), long(16));
        if silent.load(Ordering::Relaxed) && opcode != INIT {
            continue;
        }
        let (error, body) = match opcode {
            // Somebody waits for a name from now on.
            LOOKUP => continue,
            INIT => (0, init()),
            GETATTR if node == 1 => (0, attributes()),
            OPENDIR if node == 1 => (0, vec![0; 16]),
            STATFS => (0, vec![0; 80]),
            _ => (UNKNOWN, Vec::new()),
        };
        let mut answer = Vec::with_capacity(HEADER + body.len());
        answer.extend(u32::try_from(HEADER + body.len()).unwrap().to_ne_bytes());
        answer.extend(error.to_ne_bytes());
        answer.extend(unique.to_ne_bytes());
        answer.extend(body);
        if device.write_all(&answer).is_err() {
            return;
        }
    }
}

/// `struct fuse_init_out` of protocol 7.31.
fn init() -> Vec<u8> {
    let mut body = vec![0; 64];
    body[0..4].copy_from_slice(&7_u32.to_ne_bytes());
    body[4..8].copy_from_slice(&31_u32.to_ne_bytes());
    // max_write
    body[20..24].copy_from_slice(&4096_u32.to_ne_bytes());
    body
}

/// `struct fuse_attr_out` of the root: a directory.
fn attributes() -> Vec<u8> {
    let mut body = vec![0; 16 + 88];
    body[16..24].copy_from_slice(&1_u64.to_ne_bytes());
    // mode, nlink
    body[16 + 60..16 + 64].copy_from_slice(&0o40755_u32.to_ne_bytes());
    body[16 + 64..16 + 68].copy_from_slice(&2_u32.to_ne_bytes());
    body
}
