//! An executor on an instance of its own, a root filesystem to run, and the audit of what is left behind.

use crate::capture::Capture;
use crate::sys;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use schema::common::{ExitRecord, Limits, SandboxRef};
use schema::executor::{Client, ExecSpec, Prepared, ProcessSpec, SandboxSpec, Started};
use schema::{Call, ContainerId, Failure, Instance};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

/// A limit of time, on the machine that runs this: so many times as long as `CCTL_TEST_SLOWNESS` has, which the runner of
/// emulated machines sets.
pub(crate) fn patience(limit: Duration) -> Duration {
    let set = std::env::var("CCTL_TEST_SLOWNESS").ok();
    limit * set.map_or(1, |text| text.parse().expect("CCTL_TEST_SLOWNESS: a whole number"))
}

/// Whether the kernel tells how a process ended whose parent is another. Before Linux 6.15 only the keeper
/// knows, and a bench has none: then the code is -1, unknown.
pub(crate) fn tells_ends() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    (numbers.next(), numbers.next()) >= (Some(6), Some(15))
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nwww:x:33:34:www:/var/www:/bin/sh\n";
const GROUP: &str = "root:x:0:\nwww:x:34:\naudio:x:29:www\n";

/// Runs a test on a bench, and audits what it leaves.
pub(crate) fn on_bench(test: impl AsyncFnOnce(Rc<Bench>)) {
    on(Host::ThisOne, test);
}

/// The same, with an executor that sees a host with cgroups of v1 alone.
pub(crate) fn on_v1_bench(test: impl AsyncFnOnce(Rc<Bench>)) {
    on(Host::V1, test);
}

/// What the executor sees of the host's cgroups.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Host {
    ThisOne,
    /// Only the freezer, which every host can mount.
    V1,
}

fn on(host: Host, test: impl AsyncFnOnce(Rc<Bench>)) {
    assert!(rustix::process::geteuid().is_root(), "these tests need root");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bench = Rc::new(Bench::new(host));
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let limit = patience(Duration::from_secs(120));
        tokio::time::timeout(limit, test(Rc::clone(&bench))).await.expect("the test takes too long");
        bench.audit().await;
    });
}

pub(crate) struct Bench {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) instance: Instance,
    pub(crate) client: Client,
    host: Host,
    listener: UnixListener,
    /// Held as the keeper does.
    shelf: (OwnedFd, OwnedFd),
    executor: std::cell::RefCell<Child>,
}

impl Bench {
    fn new(host: Host) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let instance = Instance::new(directory.path().join("root"), directory.path().join("run"));
        fs::create_dir_all(instance.run()).unwrap();
        make_rootfs(&directory.path().join("rootfs"));
        let listener = UnixListener::bind(instance.socket("executor")).unwrap();
        let shelf = socketpair(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).unwrap();
        let executor = spawn(host, &instance, &listener, &shelf).into();
        Self { directory, client: Client::new(&instance), instance, host, listener, shelf, executor }
    }

    /// Kills the executor as hard as can be, and starts another.
    pub(crate) fn kill_executor(&self) {
        let mut executor = self.executor.borrow_mut();
        executor.kill().unwrap();
        executor.wait().unwrap();
        *executor = spawn(self.host, &self.instance, &self.listener, &self.shelf);
    }

    pub(crate) fn executor_pid(&self) -> u32 {
        self.executor.borrow().id()
    }

    pub(crate) fn call(&self) -> Call {
        Call::within(patience(Duration::from_secs(60)))
    }

    pub(crate) fn sandbox_directory(&self, id: &ContainerId) -> PathBuf {
        self.instance.sandboxes().join(id.as_str())
    }

    /// Makes a sandbox, and mounts the root filesystem in it.
    pub(crate) async fn prepare(&self, id: &ContainerId, spec: &SandboxSpec) -> Result<Prepared, Failure> {
        let prepared = self.client.prepare(&self.call(), id, spec).await?;
        mount(prepared.sandbox, &self.directory.path().join("rootfs"));
        Ok(prepared)
    }

    pub(crate) async fn start(&self, id: &ContainerId, process: &ProcessSpec) -> Result<Started, Failure> {
        self.client.start(&self.call(), id, process).await
    }

    pub(crate) async fn wait(&self, id: &ContainerId) -> ExitRecord {
        self.client.wait(&self.call(), id).await.unwrap()
    }

    pub(crate) async fn destroy(&self, id: &ContainerId) {
        self.client.destroy(&self.call(), id).await.unwrap();
    }

    /// Runs a command to its end: how it ended, and all it wrote to stdout and stderr.
    pub(crate) async fn run(
        &self,
        spec: &SandboxSpec,
        process: &ProcessSpec,
    ) -> Result<(ExitRecord, Capture), Failure> {
        let id = random_id();
        let prepared = self.prepare(&id, spec).await?;
        let capture = Capture::begin(&prepared.directory, spec.terminal);
        let started = self.start(&id, process).await;
        let ended = match started {
            Ok(_) => Ok(self.wait(&id).await),
            Err(failure) => Err(failure),
        };
        self.destroy(&id).await;
        let captured = capture.await.unwrap();
        Ok((ended?, captured))
    }

    /// Runs a shell script: what it wrote to stdout.
    pub(crate) async fn script(&self, script: &str) -> String {
        let (exit, captured) = self.run(&spec(), &sh(script)).await.unwrap();
        assert_eq!(exit.code, 0, "{script}: {captured:?}");
        captured.stdout
    }

    /// Nothing that the instance made is left, but its state directory.
    async fn audit(&self) {
        assert_eq!(self.client.list(&self.call()).await, Ok(vec![]));
        assert_eq!(fs::read_dir(self.instance.sandboxes()).unwrap().count(), 0);
        let cgroups = self.cgroups().into_iter().flat_map(|cgroup| fs::read_dir(cgroup).unwrap().flatten());
        let cgroups = cgroups.filter(|entry| entry.path().is_dir() && entry.file_name() != "monitors");
        let cgroups: Vec<_> = cgroups.map(|entry| entry.path()).collect();
        assert!(cgroups.is_empty(), "{cgroups:?}");
        assert_eq!(children_of(self.executor_pid()), Vec::<u32>::new());
        until("the shelf is empty", || !is_readable(&self.shelf.1)).await;
    }

    /// The directories of this instance in all hierarchies.
    pub(crate) fn cgroups(&self) -> Vec<PathBuf> {
        let name = self.instance.kernel_name();
        let hierarchies = fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|entry| entry.path());
        std::iter::once(PathBuf::from("/sys/fs/cgroup"))
            .chain(hierarchies)
            .map(|root| root.join(&name))
            .filter(|path| path.exists())
            .collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // A test that failed must not leave containers behind.
        for entry in fs::read_dir(self.instance.sandboxes()).into_iter().flatten().flatten() {
            let record = fs::read(entry.path().join("sandbox.json")).unwrap_or_default();
            let record: serde_json::Value = serde_json::from_slice(&record).unwrap_or_default();
            if let Some(pid) = record["monitor"]["pid"].as_i64() {
                for pid in children_of(pid as u32).into_iter().chain([pid as u32]) {
                    let _ = rustix::process::kill_process(
                        rustix::process::Pid::from_raw(pid as i32).unwrap(),
                        rustix::process::Signal::KILL,
                    );
                }
            }
        }
        let executor = self.executor.get_mut();
        let _ = executor.kill();
        let _ = executor.wait();
        thread::sleep(Duration::from_millis(if thread::panicking() { 200 } else { 0 }));
        for cgroup in self.cgroups() {
            for child in fs::read_dir(&cgroup).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
                let _ = fs::remove_dir(child.path());
            }
            let _ = fs::remove_dir(cgroup);
        }
        if thread::panicking() {
            let log = fs::read_to_string(self.instance.log("executor")).unwrap_or_default();
            let said = fs::read_to_string(self.instance.run().join("said")).unwrap_or_default();
            eprintln!("--- log of the executor\n{log}\n--- what it said\n{said}");
        }
    }
}

/// Leaves only the freezer of all cgroups, in a mount namespace of the executor's own.
const ONLY_FREEZER: &str = "umount -R -l /sys/fs/cgroup && mount -t tmpfs none /sys/fs/cgroup && \
    mkdir /sys/fs/cgroup/freezer && mount -t cgroup -o freezer none /sys/fs/cgroup/freezer && exec \"$0\"";

const PASSING: &str = "exec 3<&0 4<&1 5<&2 0</dev/null 1>>\"$CCTL_RUN/said\" 2>&1; \
    export LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES=executor:shelf.in:shelf.out; exec \"$@\"";

fn spawn(host: Host, instance: &Instance, listener: &UnixListener, shelf: &(OwnedFd, OwnedFd)) -> Child {
    let executor = env!("CARGO_BIN_EXE_executor");
    let libexec = Path::new(executor).ancestors().nth(2).unwrap().join("release");
    assert!(
        libexec.join("cctl-shim").exists(),
        "{} has no cctl-shim: build it with `cargo build --release --manifest-path services/executor/shim/Cargo.toml --target-dir {}`",
        libexec.display(),
        libexec.parent().unwrap().display()
    );
    // The protocol of sd_listen_fds(3): the socket is descriptor 3, the shelf is 4 and 5.
    Command::new("/bin/sh")
        .args(["-c", PASSING, "sh"])
        .args(match host {
            Host::ThisOne => &[] as &[&str],
            Host::V1 => &["unshare", "-m", "sh", "-c", ONLY_FREEZER],
        })
        .arg(executor)
        .env("CCTL_ROOT", instance.root())
        .env("CCTL_RUN", instance.run())
        .env("CCTL_LIBEXEC", libexec)
        .env("CCTL_LOG", "debug")
        .stdin(Stdio::from(OwnedFd::from(listener.try_clone().unwrap())))
        .stdout(shelf.0.try_clone().unwrap())
        .stderr(shelf.1.try_clone().unwrap())
        .spawn()
        .unwrap()
}

fn make_rootfs(path: &Path) {
    for directory in ["bin", "etc", "root", "tmp", "var/www"] {
        fs::create_dir_all(path.join(directory)).unwrap();
    }
    fs::copy("/bin/busybox", path.join("bin/busybox")).expect("Debian's package busybox-static");
    let applets = Command::new("/bin/busybox").arg("--list").output().unwrap();
    for applet in String::from_utf8(applets.stdout).unwrap().lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", path.join("bin").join(applet)).unwrap();
    }
    fs::write(path.join("etc/passwd"), PASSWD).unwrap();
    fs::write(path.join("etc/group"), GROUP).unwrap();
    fs::write(path.join("etc/notes"), "not a program").unwrap();
}

/// Attaches a tree at /rootfs inside a sandbox, as the filesystem service does.
pub(crate) fn mount(sandbox: SandboxRef, rootfs: &Path) {
    let rootfs = rootfs.to_owned();
    let mounter = thread::spawn(move || {
        let tree =
            open_tree(rustix::fs::CWD, rootfs, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
                .unwrap();
        let namespace = File::open(format!("/proc/{}/ns/mnt", sandbox.pid)).unwrap();
        sys::enter(&namespace);
        move_mount(&tree, "", rustix::fs::CWD, "/rootfs", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).unwrap();
    });
    mounter.join().unwrap();
}

fn is_readable(socket: &OwnedFd) -> bool {
    let mut polls = [PollFd::new(socket, PollFlags::IN)];
    poll(&mut polls, Some(&Timespec::default())).unwrap() > 0
}

pub(crate) fn children_of(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|children| children.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>())
        .collect()
}

pub(crate) fn random_id() -> ContainerId {
    let mut bytes = [0; 32];
    use std::io::Read;
    File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    ContainerId::from_bytes(bytes)
}

pub(crate) fn spec() -> SandboxSpec {
    SandboxSpec {
        hostname: "box".to_owned(),
        host_network: false,
        terminal: false,
        open_stdin: false,
        limits: Limits::default(),
        security: Box::default(),
        ids: None,
    }
}

pub(crate) fn command(arguments: &[&str]) -> ProcessSpec {
    ProcessSpec {
        arguments: arguments.iter().map(ToString::to_string).collect(),
        environment: vec!["PATH=/bin".to_owned()],
        working_directory: "/".to_owned(),
        user: String::new(),
        rows: 0,
        columns: 0,
    }
}

pub(crate) fn sh(script: &str) -> ProcessSpec {
    command(&["sh", "-c", script])
}

pub(crate) fn is_alive(pid: i32) -> bool {
    kit::process::start_time(pid).is_ok_and(|started| kit::process::is_alive(pid, started))
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    until_none(what, || if condition() { vec![] } else { vec!["not so"] }).await;
}

/// Waits until none of it is left.
pub(crate) async fn until_none<T: std::fmt::Debug>(what: &str, left: impl Fn() -> Vec<T>) {
    let began = Instant::now();
    loop {
        let left = left();
        if left.is_empty() {
            return;
        }
        assert!(began.elapsed() < patience(Duration::from_secs(20)), "{what}, and it stays so: {left:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) const EXEC: ExecSpec = ExecSpec { terminal: false, open_stdin: false, privileged: false };

impl Bench {
    /// A container that does nothing.
    pub(crate) async fn idle(&self, spec: &SandboxSpec) -> ContainerId {
        let id = random_id();
        self.prepare(&id, spec).await.unwrap();
        self.start(&id, &sh("trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done")).await.unwrap();
        id
    }

    /// The monitor of a sandbox.
    pub(crate) fn monitor_of(&self, id: &ContainerId) -> i32 {
        i32::try_from(self.record_of(id)["monitor"]["pid"].as_i64().unwrap()).unwrap()
    }

    /// PID 1 of a sandbox that runs, and when it was started.
    pub(crate) fn first_of(&self, id: &ContainerId) -> (i32, u64) {
        let first = &self.record_of(id)["first"];
        (i32::try_from(first["pid"].as_i64().unwrap()).unwrap(), first["start_time"].as_u64().unwrap())
    }

    fn record_of(&self, id: &ContainerId) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.sandbox_directory(id).join("sandbox.json")).unwrap()).unwrap()
    }

    /// Runs a further process in a container to its end: how it ended, and all it wrote.
    pub(crate) async fn exec(
        &self,
        id: &ContainerId,
        spec: ExecSpec,
        process: &ProcessSpec,
    ) -> Result<(ExitRecord, Capture), Failure> {
        let exec = random_id();
        let prepared = self.client.prepare_exec(&self.call(), id, &exec, &spec).await?;
        let capture = Capture::begin(&prepared.directory, spec.terminal);
        let ended = match self.start(&exec, process).await {
            Ok(_) => self.client.wait(&self.call(), &exec).await,
            Err(failure) => Err(failure),
        };
        self.destroy(&exec).await;
        let captured = capture.await.unwrap();
        Ok((ended?, captured))
    }

    /// Runs a shell script in a container: what it wrote to stdout.
    pub(crate) async fn exec_script(&self, id: &ContainerId, script: &str) -> String {
        let (exit, captured) = self.exec(id, EXEC, &sh(script)).await.unwrap();
        assert_eq!(exit.code, 0, "{script}: {captured:?}");
        captured.stdout
    }
}
