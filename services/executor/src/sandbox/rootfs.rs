//! Reads files of a container's root filesystem from outside. The image is hostile: every path is resolved
//! beneath that root, and only regular files are read.

use super::running::Running;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;
use schema::Failure;
use schema::common::SandboxRef;
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

/// Bytes of a file that are read, at most.
const LONGEST: u64 = 4 << 20;

/// Bytes that most such files have at most: one read is enough for them, and one more for their end.
const USUAL: usize = 4096;

/// The root filesystem of a container.
pub(super) struct Rootfs(OwnedFd);

impl Rootfs {
    /// Opens it where it is mounted in a sandbox in which nothing was executed: it is the root already if that is set up.
    /// Fails if the sandbox is gone.
    pub(super) fn of_parked(sandbox: SandboxRef, is_set_up: bool) -> Result<Self, Failure> {
        let opened = open(sandbox.pid, if is_set_up { c"root" } else { c"root/rootfs" });
        // A process that is being killed gives up its root before it counts as dead.
        let rootless = matches!(opened, Err(Errno::NOENT | Errno::SRCH));
        if rootless || !kit::process::is_alive(sandbox.pid, sandbox.start_time) {
            return Err(Failure::sandbox_lost("the sandbox's monitor was killed").hint("start the container again"));
        }
        opened.map_err(failed)
    }

    /// Opens that of a sandbox that runs.
    pub(super) fn of_running(running: &Running) -> Result<Self, Failure> {
        // The monitor may be killed meanwhile, and the container does not notice.
        for witness in [&running.witness, &running.first] {
            let opened = open(witness.pid, c"root");
            if !witness.has_ended() {
                return opened.map_err(failed);
            }
        }
        Err(running.ended())
    }

    /// The text of a file; empty if there is none.
    pub(super) fn read(&self, path: &str) -> Result<String, Failure> {
        let failed = |error: io::Error| Failure::io(format_args!("reading the image's {path}"), &error);
        // A FIFO or device of the image must not make us wait.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let file = match openat2(&self.0, path, flags, Mode::empty(), resolve) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(String::new()),
            Err(error) => return Err(failed(error.into())),
        };
        let mode = fstat(&file).map_err(|error| failed(error.into()))?.st_mode;
        if FileType::from_raw_mode(mode) != FileType::RegularFile {
            return Ok(String::new());
        }
        let mut bytes = Vec::with_capacity(USUAL);
        File::from(file).take(LONGEST).read_to_end(&mut bytes).map_err(failed)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The root of whatever process has this id now.
fn open(pid: i32, path: &CStr) -> Result<Rootfs, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // What is opened in /proc belongs to one process, also when the id is used again.
    let process = openat(CWD, format!("/proc/{pid}"), flags, Mode::empty());
    let root = process.and_then(|process| openat(&process, path, flags, Mode::empty()));
    root.map(Rootfs)
}

fn failed(error: Errno) -> Failure {
    Failure::io("opening the container's root filesystem", &error.into())
}
