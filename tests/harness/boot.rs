//! Other boots of the host, as far as a program can tell: the kernel's boot id is another one.

use rustix::mount::{UnmountFlags, mount_bind, unmount};
use std::fs;
use std::path::{Path, PathBuf};

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The boot that programs see, by a file that is mounted over the kernel's: in the mount namespace of
/// `tests/apart`, and until this is dropped. What a restart of the host removes from the kernel, and `CCTL_RUN`,
/// the test must have removed.
pub struct Boot {
    directory: PathBuf,
    count: u32,
}

impl Boot {
    /// Another boot from now on. The directory is for the files.
    pub fn new(directory: &Path) -> Self {
        let directory = directory.join("boots");
        fs::create_dir_all(&directory).expect("a directory");
        let mut boot = Self { directory, count: 0 };
        boot.next();
        boot
    }

    /// Yet another boot from now on.
    pub fn next(&mut self) {
        self.end();
        self.count += 1;
        let (count, process) = (self.count, std::process::id());
        let file = self.directory.join(count.to_string());
        fs::write(&file, format!("{count:08x}-{:04x}-4000-8000-000000000000\n", process & 0xffff)).expect("a boot id");
        mount_bind(&file, BOOT_ID).expect("mounting a boot id: run this by tests/apart");
    }

    fn end(&self) {
        if self.count > 0 {
            unmount(BOOT_ID, UnmountFlags::DETACH).expect("unmounting the boot id");
        }
    }
}

impl Drop for Boot {
    fn drop(&mut self) {
        self.end();
    }
}
