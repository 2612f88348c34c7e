//! A sandbox as the executor makes it: a parked task in a mount namespace of its own, whose root is an empty
//! tmpfs with the directory /rootfs. Here the task is a thread; it ends when the value is dropped.

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use schema::common::SandboxRef;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

pub(crate) struct Sandbox {
    pub(crate) reference: SandboxRef,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let (ready, is_ready) = channel();
        let (end, ends) = channel();
        let thread = std::thread::spawn(move || park(&ready, &ends));
        let pid = is_ready.recv().expect("a sandbox needs root");
        let start_time = kit::process::start_time(pid).unwrap();
        Self { reference: SandboxRef { pid, start_time }, end: Some(end), thread: Some(thread) }
    }

    /// A path in the sandbox, as the host sees it.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root/rootfs/{path}", self.reference.pid))
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap()
    }

    /// Mount points in the sandbox, with their options.
    pub(crate) fn mounts(&self) -> Vec<(String, String)> {
        let info = std::fs::read_to_string(format!("/proc/{}/mountinfo", self.reference.pid)).unwrap();
        let fields = |line: &str| {
            let fields: Vec<&str> = line.split(' ').collect();
            (fields[4].to_owned(), fields[5].to_owned())
        };
        info.lines().map(fields).collect()
    }

    pub(crate) fn points(&self) -> Vec<String> {
        self.mounts().into_iter().map(|(point, _)| point).collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.end.take();
        let thread = self.thread.take().unwrap();
        thread.join().unwrap();
    }
}

fn park(ready: &Sender<i32>, ends: &Receiver<()>) {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).unwrap();
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).unwrap();
    mount(Some("tmpfs"), "/mnt", Some("tmpfs"), MsFlags::empty(), NONE).unwrap();
    std::fs::create_dir("/mnt/rootfs").unwrap();
    nix::unistd::chdir("/mnt").unwrap();
    nix::unistd::pivot_root(".", ".").unwrap();
    umount2(".", MntFlags::MNT_DETACH).unwrap();
    nix::unistd::chdir("/").unwrap();
    ready.send(nix::unistd::gettid().as_raw()).unwrap();
    // Ends when the other side is dropped.
    let _ended = ends.recv();
}
