//! Stops the processes of a container where they are, and lets them go on.
//!
//! On v2 every cgroup can be frozen (`cgroup.freeze`, Linux 5.2), and what is killed meanwhile dies. On v1 there is a
//! hierarchy for it (`freezer.state`), and nothing dies before it is thawed.

use super::Cgroups;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use schema::{ContainerId, Failure};
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long processes may take to stop: one in the middle of a system call stops when that is done.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);

impl Cgroups {
    /// Freezes a container or thaws it: answers when it is so. Blocks.
    pub(crate) fn freeze(&self, id: &ContainerId, frozen: bool) -> Result<(), Failure> {
        let Some(directory) = self.home(id) else {
            return Err(Failure::unimplemented("this host has no cgroup that can be frozen")
                .hint("mount the cgroup2 filesystem, or the freezer controller of cgroup v1"));
        };
        let set = if directory.join("cgroup.freeze").exists() { freeze_v2 } else { freeze_v1 };
        set(&directory, frozen).map_err(|error| {
            if frozen && let Err(error) = set(&directory, false) {
                tracing::error!(%id, %error, "cannot let go on what did not stop");
            }
            let doing = if frozen { "stopping" } else { "resuming" };
            Failure::io(format_args!("{doing} the processes of container {}", id.short()), &error)
        })
    }

    /// Thaws a container if it is frozen. Blocks.
    pub(crate) fn thaw(&self, id: &ContainerId) -> Result<(), Failure> {
        if self.is_frozen(id) { self.freeze(id, false) } else { Ok(()) }
    }

    /// Whether a container is frozen.
    pub(crate) fn is_frozen(&self, id: &ContainerId) -> bool {
        let Some(directory) = self.home(id) else { return false };
        let wanted = |file: &str| fs::read_to_string(directory.join(file)).ok();
        // What is asked for counts, also while a process is still on its way there.
        wanted("cgroup.freeze").is_some_and(|text| text.trim() == "1")
            || wanted("freezer.self_freezing").is_some_and(|text| text.trim() == "1")
    }
}

fn freeze_v2(directory: &Path, frozen: bool) -> io::Result<()> {
    fs::write(directory.join("cgroup.freeze"), if frozen { "1" } else { "0" })?;
    let events = fs::File::open(directory.join("cgroup.events"))?;
    let wanted: &[u8] = if frozen { b"frozen 1" } else { b"frozen 0" };
    let began = Instant::now();
    loop {
        // Reading arms the next event.
        let mut text = [0; 256];
        let length = events.read_at(&mut text, 0)?;
        if text.get(..length).unwrap_or_default().split(|byte| *byte == b'\n').any(|line| line == wanted) {
            return Ok(());
        }
        let left = PATIENCE.checked_sub(began.elapsed()).ok_or(io::ErrorKind::TimedOut)?;
        let limit = Timespec::try_from(left).map_err(io::Error::other)?;
        poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&limit))?;
    }
}

fn freeze_v1(directory: &Path, frozen: bool) -> io::Result<()> {
    let wanted = if frozen { "FROZEN" } else { "THAWED" };
    let file = directory.join("freezer.state");
    let began = Instant::now();
    loop {
        // A process that is born meanwhile may miss it, so it is said again.
        fs::write(&file, wanted)?;
        if fs::read_to_string(&file)?.trim() == wanted {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(PAUSE);
    }
}
