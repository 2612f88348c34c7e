//! Runs the real binary on an instance of its own, with sandboxes whose monitor is played by the test.

use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags};
use schema::log_collector::{Chunk, Client, LogMode, LogSpec, Part, PartFile, PartList, Record, Stream};
use schema::{Call, ContainerId, Failure, Instance};
use std::fs::{self, File};
use std::future::Future;
use std::hash::BuildHasher;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(90);

/// Names an instance; the directories outlive the process of the service.
pub(crate) struct Service {
    pub(crate) instance: Instance,
    socket: UnixListener,
    child: Option<Child>,
    pub(crate) kills: u32,
    /// Without the capabilities that let root open everything.
    pub(crate) confined: bool,
    /// Removed at the end.
    _directory: tempfile::TempDir,
}

impl Service {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (root, run) = (directory.path().join("root"), directory.path().join("run"));
        Self::start_at(directory, &root, &run)
    }

    pub(crate) fn start_at(directory: tempfile::TempDir, root: &Path, run: &Path) -> Self {
        let instance = Instance::new(root, run);
        fs::create_dir_all(instance.sandboxes()).unwrap();
        fs::create_dir_all(root).unwrap();
        let socket = UnixListener::bind(instance.socket("log-collector")).unwrap();
        let mut service = Self { instance, socket, child: None, kills: 0, confined: false, _directory: directory };
        service.spawn();
        service
    }

    pub(crate) fn spawn(&mut self) {
        // The socket arrives as descriptor 3, and LISTEN_PID is the process that serves.
        let script = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\"";
        let confine: &[&str] =
            if self.confined { &["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] } else { &["env"] };
        let child = Command::new(confine[0])
            .args(&confine[1..])
            .args(["sh", "-c", script, env!("CARGO_BIN_EXE_log-collector")])
            .env("CCTL_ROOT", self.instance.root())
            .env("CCTL_RUN", self.instance.run())
            .stdin(Stdio::from(OwnedFd::from(self.socket.try_clone().unwrap())))
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// SIGKILL, and nobody serves.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        assert!(child.try_wait().unwrap().is_none(), "the service ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
        self.kills += 1;
    }

    /// Kills and restarts at random moments, until it is told to stop.
    pub(crate) fn torment(&mut self, longest: u64, mut go_on: impl FnMut() -> bool) {
        while go_on() {
            std::thread::sleep(Duration::from_millis(random() % longest));
            self.kill();
            self.spawn();
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.instance)
    }

    /// Waits until all segments of a log but the one that is written are compressed.
    pub(crate) fn wait_until_compressed(&self, id: &ContainerId) {
        let started = Instant::now();
        let raw = || {
            let names = fs::read_dir(self.log_directory(id)).unwrap().map(|entry| entry.unwrap().file_name());
            let names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
            let newest = names.iter().filter_map(|name| name.split('.').next()?.parse::<u64>().ok()).max();
            let newest = format!("{:06}", newest.unwrap_or(0));
            names.into_iter().find(|name| !name.starts_with(&newest) && !name.ends_with(".zst"))
        };
        while let Some(file) = raw() {
            assert!(started.elapsed() < PATIENCE, "{file} is not compressed");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn log_directory(&self, id: &ContainerId) -> PathBuf {
        self.instance.state("log-collector").join(id.as_str())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(self.instance.log("log-collector")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- the service's log ends:\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
        }
    }
}

pub(crate) fn random() -> u64 {
    std::hash::RandomState::new().hash_one(0)
}

pub(crate) fn id() -> ContainerId {
    let mut bytes = [0; 32];
    bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&random().to_le_bytes()));
    ContainerId::from_bytes(bytes)
}

pub(crate) fn call() -> Call {
    Call::within(Duration::from_secs(60))
}

/// Runs a test's asynchronous part.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

/// A sandbox directory; the test is its monitor.
pub(crate) struct Sandbox {
    pub(crate) directory: PathBuf,
    pub(crate) terminal: bool,
    pub(crate) open_stdin: bool,
    /// Both ends of stdout, stderr, stdin, stdin.stage and stdin.close, as far as they exist.
    held: Vec<OwnedFd>,
}

impl Sandbox {
    pub(crate) fn new(service: &Service, id: &ContainerId, terminal: bool, open_stdin: bool) -> Self {
        Self::at(&service.instance, id, terminal, open_stdin)
    }

    pub(crate) fn at(instance: &Instance, id: &ContainerId, terminal: bool, open_stdin: bool) -> Self {
        let directory = instance.sandboxes().join(id.as_str());
        fs::create_dir(&directory).unwrap();
        fs::create_dir(directory.join("log")).unwrap();
        File::create(directory.join("capture.lock")).unwrap();
        let mut names = vec!["stdout"];
        names.extend((!terminal).then_some("stderr"));
        names.extend(if open_stdin { &["stdin", "stdin.stage", "stdin.close"][..] } else { &[] });
        let hold = |name: &&str| {
            let path = directory.join(name);
            rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
            fifo(&path, OFlags::RDWR)
        };
        let held = names.iter().map(hold).collect();
        Self { directory, terminal, open_stdin, held }
    }

    pub(crate) fn spec(&self, max_size: u64, max_files: u32) -> LogSpec {
        LogSpec {
            directory: self.directory.clone(),
            terminal: self.terminal,
            open_stdin: self.open_stdin,
            max_size,
            max_files,
            mode: LogMode::Block,
            labels: Vec::new(),
        }
    }

    /// A blocking write end, as the container has it.
    pub(crate) fn writer(&self, name: &str) -> File {
        File::options().write(true).open(self.directory.join(name)).unwrap()
    }

    /// A blocking read end, as the container has it.
    pub(crate) fn reader(&self, name: &str) -> File {
        File::options().read(true).open(self.directory.join(name)).unwrap()
    }

    fn outputs(&self) -> &'static [&'static str] {
        if self.terminal { &["stdout"] } else { &["stdout", "stderr"] }
    }

    /// Lets go of the write ends; answers read ends.
    pub(crate) fn let_go(&mut self) -> Vec<OwnedFd> {
        let read_ends = self.outputs().iter().map(|name| fifo(&self.directory.join(name), OFlags::RDONLY)).collect();
        self.held.clear();
        read_ends
    }

    /// What the monitor does when the container has ended: lets go of the write ends, waits for the collector,
    /// and saves what is left if that is not there.
    pub(crate) fn end(&mut self) {
        let mut read_ends = self.let_go();
        let lock = File::open(self.directory.join("capture.lock")).unwrap();
        let started = Instant::now();
        while rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            assert!(started.elapsed() < PATIENCE, "the collector does not let go of {}", self.directory.display());
            std::thread::sleep(Duration::from_millis(1));
        }
        for (name, end) in self.outputs().iter().zip(read_ends.drain(..)) {
            let (mut left, mut end) = (Vec::new(), File::from(end));
            // A process that this test has just started may hold the write end until its exec is complete.
            while end.read_to_end(&mut left).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
                std::thread::sleep(Duration::from_millis(1));
            }
            if !left.is_empty() {
                fs::write(self.directory.join(format!("log/{name}.spill")), left).unwrap();
            }
        }
        fs::write(self.directory.join("exit"), "0").unwrap();
    }

    /// Waits until the collector asks for the end of stdin, and does the monitor's part.
    pub(crate) fn close_stdin_when_asked(&mut self) {
        self.reader("stdin.close").read_exact(&mut [0]).unwrap();
        self.held.remove(self.held.len() - 3);
    }

    /// The container and everything of it is gone.
    pub(crate) fn destroy(self) {
        fs::remove_dir_all(&self.directory).unwrap();
    }
}

pub(crate) fn fifo(path: &Path, access: OFlags) -> OwnedFd {
    rustix::fs::open(path, access | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

/// Output as a reader collects it.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) records: Vec<Record>,
    pub(crate) lost: u64,
    pub(crate) next: u64,
    pub(crate) ended: bool,
}

impl Output {
    pub(crate) fn from(position: u64) -> Self {
        Self { next: position, ..Self::default() }
    }

    /// Takes a chunk, and checks that positions count bytes.
    pub(crate) fn add(&mut self, chunk: Chunk) {
        let bytes: u64 = chunk.records.iter().map(|record| record.data.len() as u64 + record.dropped).sum();
        assert_eq!(chunk.next, self.next + chunk.lost + bytes);
        self.next = chunk.next;
        self.lost += chunk.lost;
        self.ended = chunk.ended;
        self.records.extend(chunk.records);
    }

    /// Bytes of a stream of which a gap tells.
    pub(crate) fn dropped(&self, stream: Stream) -> u64 {
        self.records.iter().filter(|record| record.stream == stream).map(|record| record.dropped).sum()
    }

    pub(crate) fn of(&self, stream: Stream) -> Vec<u8> {
        self.records.iter().filter(|record| record.stream == stream).flat_map(|record| record.data.clone()).collect()
    }

    pub(crate) fn text(&self) -> String {
        self.records.iter().map(|record| String::from_utf8_lossy(&record.data)).collect()
    }
}

/// Reads until the run has ended.
pub(crate) async fn read_all(client: &Client, id: &ContainerId, from: u64) -> Result<Output, Failure> {
    let mut output = Output::from(from);
    let started = Instant::now();
    while !output.ended {
        assert!(started.elapsed() < PATIENCE, "no end of the log after {} bytes", output.next);
        output.add(client.read(&call(), id, output.next, 0, 10_000).await?);
    }
    Ok(output)
}

/// Reads until the run has ended, by the files that the collector tells of. Answers what was read as `read_all` does, and
/// how many of the files were compressed.
pub(crate) async fn read_files(service: &Instance, client: &Client, id: &ContainerId, most: u64) -> (Output, u32) {
    let (mut output, mut packed, started) = (Output::default(), 0, Instant::now());
    while !output.ended {
        assert!(started.elapsed() < PATIENCE, "no end of the log after {} bytes", output.next);
        let told = client.parts(&call(), id, output.next, most, 10_000, 0).await.unwrap();
        // What was compressed or rotated away meanwhile is asked for again.
        let Some(files) = told.files.iter().map(|file| open_part(service, file)).collect::<Option<Vec<_>>>() else {
            continue;
        };
        packed += told.files.iter().map(|file| u32::from(file.packed)).sum::<u32>();
        let PartList { files: _, parts, next, lost, ended } = told;
        assert!(parts.iter().map(|part| part.length).sum::<u64>() <= most);
        let record = |Part { stream, file, offset, length, dropped }| {
            let mut data = vec![0; length as usize];
            if length > 0 {
                assert_eq!(files[file as usize].read(&mut data, offset), length, "a part has all of its bytes");
            }
            Record { at: 0, stream, data, dropped }
        };
        output.add(Chunk { records: parts.into_iter().map(record).collect(), next, lost, ended });
    }
    (output, packed)
}

/// A file that the collector told of.
enum PartContent {
    Raw(File),
    Packed(packed::Packed),
}

impl PartContent {
    fn read(&self, data: &mut [u8], offset: u64) -> u64 {
        let read = match self {
            Self::Raw(file) => packed::read_at_most(file, data, offset),
            Self::Packed(file) => file.read_at_most(data, offset),
        };
        read.unwrap() as u64
    }
}

fn open_part(instance: &Instance, told: &PartFile) -> Option<PartContent> {
    assert!(told.path.is_relative() && told.path.components().count() == 2, "{}", told.path.display());
    let file = File::open(instance.state("log-collector").join(&told.path)).ok()?;
    let found = file.metadata().unwrap();
    if (found.dev(), found.ino()) != (told.device, told.inode) {
        return None;
    }
    Some(if told.packed { PartContent::Packed(packed::Packed::open(file).unwrap()) } else { PartContent::Raw(file) })
}

/// Reads until there are so many bytes.
pub(crate) async fn read_until(client: &Client, id: &ContainerId, from: u64, end: u64) -> Output {
    let mut output = Output::from(from);
    let started = Instant::now();
    while output.next < end {
        assert!(started.elapsed() < PATIENCE, "{} bytes of {end}", output.next);
        output.add(client.read(&call(), id, output.next, 0, 10_000).await.unwrap());
    }
    output
}

/// Writes numbered lines.
pub(crate) fn write_lines(mut to: impl Write, numbers: std::ops::Range<u64>, per_write: usize) {
    let mut buffer = Vec::new();
    for number in numbers {
        writeln!(buffer, "{number}").unwrap();
        if buffer.len() >= per_write {
            to.write_all(&buffer).unwrap();
            buffer.clear();
        }
    }
    to.write_all(&buffer).unwrap();
}

/// The same lines in memory.
pub(crate) fn lines(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let mut buffer = Vec::new();
    write_lines(&mut buffer, numbers, usize::MAX);
    buffer
}

/// Text that cannot be compressed by much, and in which a byte out of place is a wrong byte.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let words = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    });
    words.flat_map(u64::to_le_bytes).take(bytes).collect()
}

/// Whether two long texts are the same, and where they differ if they are not.
pub(crate) fn assert_same(got: &[u8], expected: &[u8]) {
    let differ = got.iter().zip(expected).position(|(one, other)| one != other);
    let around = |text: &[u8]| {
        let at = differ.unwrap_or(got.len().min(expected.len()));
        String::from_utf8_lossy(&text[at.saturating_sub(20)..text.len().min(at + 20)]).into_owned()
    };
    assert!(
        differ.is_none() && got.len() == expected.len(),
        "{} bytes, expected {}; differ at {differ:?}: {:?}, expected {:?}",
        got.len(),
        expected.len(),
        around(got),
        around(expected)
    );
}
