//! The log collector, with sandboxes whose monitor and container are played here.

use crate::Subject;
use crate::report::{Outcome, Report, call, expect, refused, words};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::Mode;
use schema::call::RequestId;
use schema::log_collector::{Chunk, Client, From, LogMode, LogSpec, Record, Stream};
use schema::{Code, ContainerId};
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A long poll that has nothing to wait for.
const WAIT: u32 = 20_000;
const BLOCK: usize = 32 << 10;
/// How long a log may go on to rotate when nothing is written any more.
const SETTLED: Duration = Duration::from_secs(5);

pub(crate) async fn check(subject: &Subject, report: &mut Report) {
    let logs = &Logs { client: Client::new(&subject.instance), place: place(subject) };
    report.check("an unknown log is notFound", unknown(logs)).await;
    report.check("both streams are captured, in order, by position", captured(logs)).await;
    report.check("open again gives the same answer", opened_again(logs)).await;
    report.check("a read waits for output, and no longer than it says", waited(logs)).await;
    report.check("a read takes no more than it is asked to", bounded(logs)).await;
    report.check("locate: start, end, lines, time", located(logs)).await;
    report.check("a thousand lines in small pieces, byte for byte", many_pieces(logs)).await;
    report.check("what was rotated away is counted as lost", rotated(logs)).await;
    report.check("the end of a run is told when all was read", ended(logs)).await;
    report.check("a second run of a container goes on at the position", second_run(logs)).await;
    report.check("a terminal has one stream", terminal(logs)).await;
    report.check("input arrives once, also if it is sent again", input(logs)).await;
    report.check("a container without stdin takes no input", no_input(logs)).await;
    report.check("remove forgets a log, and again", removed(logs)).await;
    let name = "reconcile removes the logs that are not named, and no other";
    if subject.disposable {
        report.check(name, reconciled(logs)).await;
    } else {
        report.skip(name, "--disposable");
    }
}

/// Where the sandboxes of the instance are, because a service may see no other place; else among our own files.
fn place(subject: &Subject) -> PathBuf {
    let socket = fs::canonicalize(subject.socket()).unwrap_or_default();
    let beside = socket.parent().map(|run| run.join("sandboxes"));
    beside.filter(|path| path.is_dir()).unwrap_or_else(|| subject.scratch.path().to_owned())
}

struct Logs {
    client: Client,
    place: PathBuf,
}

/// A sandbox's directory. We are its monitor, and its container.
struct Sandbox {
    id: ContainerId,
    spec: LogSpec,
    /// Both ends of each FIFO, so that neither the collector nor a writer waits for the other.
    held: Vec<File>,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.spec.directory);
    }
}

/// An id that nobody has had.
fn new_id() -> ContainerId {
    let mut bytes = [0; 32];
    bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&RequestId::random().0.to_le_bytes()));
    ContainerId::from_bytes(bytes)
}

impl Logs {
    async fn open(&self) -> Result<Sandbox, String> {
        self.open_as(new_id(), |_| {}).await
    }

    async fn open_as(&self, id: ContainerId, change: impl FnOnce(&mut LogSpec)) -> Result<Sandbox, String> {
        let directory = self.place.join(id.as_str());
        let mut spec = LogSpec {
            directory,
            terminal: false,
            open_stdin: false,
            max_size: 0,
            max_files: 0,
            mode: LogMode::Block,
            labels: Vec::new(),
        };
        change(&mut spec);
        let sandbox = Sandbox::make(id, spec).map_err(|error| format!("making a sandbox: {error}"))?;
        self.client.open(&call(), &sandbox.id, &sandbox.spec).await.map_err(words)?;
        Ok(sandbox)
    }

    async fn read(&self, id: &ContainerId, position: u64) -> Result<Chunk, String> {
        self.client.read(&call(), id, position, 0, WAIT).await.map_err(words)
    }

    /// What there is from a position on, until so many bytes have come. Checks that positions count bytes.
    async fn read_all(&self, id: &ContainerId, position: u64, bytes: usize) -> Result<Vec<Record>, String> {
        let (mut records, mut next, mut got) = (Vec::new(), position, 0);
        while got < bytes {
            let chunk = self.read(id, next).await?;
            let length: usize = chunk.records.iter().map(|record| record.data.len()).sum();
            expect(length > 0, format!("{got} of {bytes} bytes have come, and a read that waits answers nothing"))?;
            expect(chunk.lost == 0, format!("{} bytes are lost", chunk.lost))?;
            expect(
                chunk.next == next + length as u64,
                format!("{next} + {length} bytes give position {}", chunk.next),
            )?;
            (got, next) = (got + length, chunk.next);
            records.extend(chunk.records);
        }
        Ok(records)
    }

    /// Removes the log of a check that is over.
    async fn finish(&self, sandbox: Sandbox) -> Outcome {
        self.client.remove(&call(), &sandbox.id).await.map_err(words)
    }
}

impl Sandbox {
    fn make(id: ContainerId, spec: LogSpec) -> io::Result<Self> {
        let directory = &spec.directory;
        fs::create_dir_all(directory)?;
        File::create(directory.join("capture.lock"))?;
        let mut names = vec!["stdout"];
        names.extend((!spec.terminal).then_some("stderr"));
        names.extend(if spec.open_stdin { &["stdin", "stdin.stage", "stdin.close"][..] } else { &[] });
        let hold = |name: &&str| {
            let path = directory.join(name);
            nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
            File::options().read(true).write(true).open(path)
        };
        let held = names.iter().map(hold).collect::<io::Result<_>>()?;
        // Whoever the collector runs as: the executor gives all of this to that user.
        fs::create_dir_all(directory.join("log"))?;
        for (name, mode) in
            names.iter().map(|name| (*name, 0o666)).chain([("", 0o711), ("capture.lock", 0o666), ("log", 0o777)])
        {
            fs::set_permissions(directory.join(name), Permissions::from_mode(mode))?;
        }
        Ok(Self { id, spec, held })
    }

    /// Writes as the container does, which may wait.
    async fn write(&self, stream: &str, bytes: impl Into<Vec<u8>>) -> Outcome {
        let (path, bytes) = (self.spec.directory.join(stream), bytes.into());
        let write = move || File::options().write(true).open(path)?.write_all(&bytes);
        on_thread(write).await.map_err(|error| format!("writing to {stream}: {error}"))
    }

    /// What the monitor does when the container has ended.
    async fn end(&mut self) -> Outcome {
        self.held.clear();
        let directory = self.spec.directory.clone();
        let wait = move || {
            let lock = File::open(directory.join("capture.lock"))?;
            // The collector lets go of it when it has read all.
            let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error)?;
            fs::write(directory.join("exit"), "0")
        };
        on_thread(wait).await.map_err(|error| format!("waiting for capture.lock: {error}"))
    }
}

async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other).flatten()
}

/// What one stream has in records.
fn of(records: &[Record], stream: Stream) -> Vec<u8> {
    let of_it = records.iter().filter(|record| record.stream == stream);
    of_it.flat_map(|record| record.data.iter().copied()).collect()
}

fn same(got: &[u8], wanted: &[u8], what: &str) -> Outcome {
    let place = got.iter().zip(wanted).position(|(one, other)| one != other).unwrap_or(got.len().min(wanted.len()));
    expect(got == wanted, format!("{what}: {} bytes, not {}, differ at {place}", got.len(), wanted.len()))
}

async fn unknown(logs: &Logs) -> Outcome {
    let id = new_id();
    refused(logs.client.read(&call(), &id, 0, 0, 0).await, &[Code::NotFound], "read")?;
    refused(logs.client.locate(&call(), &id, From::Start).await, &[Code::NotFound], "locate")?;
    let input = logs.client.input(&id, "s", true);
    refused(input.open(&call()).await, &[Code::NotFound, Code::Conflict], "openInput")
}

async fn captured(logs: &Logs) -> Outcome {
    let begun = now();
    let sandbox = logs.open().await?;
    sandbox.write("stdout", "one\n").await?;
    logs.read_all(&sandbox.id, 0, 4).await?;
    sandbox.write("stderr", "two\n").await?;
    logs.read_all(&sandbox.id, 4, 4).await?;
    sandbox.write("stdout", "three\n").await?;
    let records = logs.read_all(&sandbox.id, 0, 14).await?;
    same(&of(&records, Stream::Stdout), b"one\nthree\n", "stdout")?;
    same(&of(&records, Stream::Stderr), b"two\n", "stderr")?;
    let all: Vec<u8> = records.iter().flat_map(|record| record.data.iter().copied()).collect();
    same(&all, b"one\ntwo\nthree\n", "the order")?;
    let times: Vec<i64> = records.iter().map(|record| record.at).collect();
    let are_now = times.iter().all(|at| (begun..=now()).contains(at)) && times.is_sorted();
    expect(are_now, format!("captured between {begun} and {}, it says at {times:?}", now()))?;
    let from_within = logs.read_all(&sandbox.id, 5, 9).await?;
    same(&of(&from_within, Stream::Stderr), b"wo\n", "from the middle of a record")?;
    logs.finish(sandbox).await
}

/// Nanoseconds since the Unix epoch.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

async fn opened_again(logs: &Logs) -> Outcome {
    let sandbox = logs.open().await?;
    sandbox.write("stdout", "kept\n").await?;
    logs.read_all(&sandbox.id, 0, 5).await?;
    let again = logs.client.open(&call(), &sandbox.id, &sandbox.spec).await.map_err(words)?;
    expect(again == 0, format!("the run began at position 0, and the second answer is {again}"))?;
    sandbox.write("stdout", "more\n").await?;
    same(&of(&logs.read_all(&sandbox.id, 0, 10).await?, Stream::Stdout), b"kept\nmore\n", "stdout")?;
    logs.finish(sandbox).await
}

async fn waited(logs: &Logs) -> Outcome {
    let sandbox = logs.open().await?;
    let begun = Instant::now();
    let nothing = logs.client.read(&call(), &sandbox.id, 0, 0, 100).await.map_err(words)?;
    let took = begun.elapsed();
    expect(nothing.records.is_empty() && nothing.next == 0 && !nothing.ended, format!("{nothing:?}"))?;
    expect(took >= Duration::from_millis(90), format!("waitMs is 100, and the answer came after {took:?}"))?;
    expect(took < Duration::from_secs(5), format!("waitMs is 100, and the answer took {took:?}"))?;
    let writing = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        sandbox.write("stdout", "late\n").await
    };
    let begun = Instant::now();
    let (chunk, written) = tokio::join!(logs.read(&sandbox.id, 0), writing);
    written?;
    same(&of(&chunk?.records, Stream::Stdout), b"late\n", "what was waited for")?;
    let took = begun.elapsed();
    expect(took < Duration::from_secs(10), format!("output is there, and the read goes on waiting: {took:?}"))?;
    logs.finish(sandbox).await
}

async fn bounded(logs: &Logs) -> Outcome {
    let sandbox = logs.open().await?;
    sandbox.write("stdout", vec![b'x'; BLOCK]).await?;
    logs.read_all(&sandbox.id, 0, BLOCK).await?;
    let chunk = logs.client.read(&call(), &sandbox.id, 0, 1000, WAIT).await.map_err(words)?;
    let length: usize = chunk.records.iter().map(|record| record.data.len()).sum();
    expect((1..=1000).contains(&length), format!("maxBytes is 1000, and {length} bytes come"))?;
    expect(chunk.next == length as u64, format!("{length} bytes give position {}", chunk.next))?;
    logs.finish(sandbox).await
}

async fn located(logs: &Logs) -> Outcome {
    let sandbox = logs.open().await?;
    let locate = async |from| logs.client.locate(&call(), &sandbox.id, from).await.map_err(words);
    expect(locate(From::LastLines(3)).await? == 0, "the last lines of an empty log begin at 0")?;
    sandbox.write("stdout", "one\ntwo\nthree\n").await?;
    logs.read_all(&sandbox.id, 0, 14).await?;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let between = now();
    tokio::time::sleep(Duration::from_millis(5)).await;
    sandbox.write("stdout", "four\nfi").await?;
    logs.read_all(&sandbox.id, 14, 7).await?;
    for (from, wanted) in [
        (From::Start, 0),
        (From::End, 21),
        (From::LastLines(0), 21),
        (From::LastLines(1), 19),
        (From::LastLines(2), 14),
        (From::LastLines(4), 4),
        (From::LastLines(100), 0),
        (From::Since(0), 0),
        (From::Since(between), 14),
        (From::Since(i64::MAX), 21),
    ] {
        let found = locate(from).await?;
        expect(found == wanted, format!("{from:?} is at {found}, not at {wanted}"))?;
    }
    logs.finish(sandbox).await
}

async fn many_pieces(logs: &Logs) -> Outcome {
    let sandbox = logs.open().await?;
    let text: String = (0..1000).map(|number| format!("line {number}\n")).collect();
    let write = async {
        for piece in text.as_bytes().chunks(97) {
            sandbox.write("stdout", piece).await?;
        }
        Ok(())
    };
    let (records, written) = tokio::join!(logs.read_all(&sandbox.id, 0, text.len()), write);
    written.map_err(|why: String| why)?;
    same(&of(&records?, Stream::Stdout), text.as_bytes(), "what was read while it was written")?;
    let later = logs.read_all(&sandbox.id, 0, text.len()).await?;
    same(&of(&later, Stream::Stdout), text.as_bytes(), "what was read afterwards")?;
    logs.finish(sandbox).await
}

async fn rotated(logs: &Logs) -> Outcome {
    let sandbox = logs
        .open_as(new_id(), |spec| {
            (spec.max_size, spec.max_files) = (64 << 10, 2);
        })
        .await?;
    let total = 32 * BLOCK as u64;
    for number in 0..32_u8 {
        sandbox.write("stdout", vec![number; BLOCK]).await?;
    }
    let mut end = 0;
    while end < total {
        // From the end that is known: what lies before may be gone.
        let chunk = logs.read(&sandbox.id, end).await?;
        expect(chunk.next > end, format!("the log stays at {end} of {total} bytes"))?;
        end = chunk.next;
    }
    let chunk = logs.read(&sandbox.id, 0).await?;
    let length: u64 = chunk.records.iter().map(|record| record.data.len() as u64).sum();
    expect(chunk.lost > 0, format!("2 segments of 64 KiB hold all of {total} bytes"))?;
    expect(chunk.next == chunk.lost + length, format!("{} lost and {length} read give {}", chunk.lost, chunk.next))?;
    let begun = Instant::now();
    loop {
        let oldest = logs.client.locate(&call(), &sandbox.id, From::Start).await.map_err(words)?;
        let lost = logs.read(&sandbox.id, 0).await?.lost;
        if oldest == lost {
            break;
        }
        // The last segment may be begun, and the oldest go, when all is readable already: then it is asked again.
        let is_late = begun.elapsed() > SETTLED;
        expect(oldest < lost && !is_late, format!("the start is at {oldest}, and {lost} bytes are lost"))?;
    }
    logs.finish(sandbox).await
}

async fn ended(logs: &Logs) -> Outcome {
    let mut sandbox = logs.open().await?;
    sandbox.write("stdout", "last words\n").await?;
    sandbox.end().await?;
    let mut next = 0;
    let mut got = Vec::new();
    loop {
        let chunk = logs.read(&sandbox.id, next).await?;
        expect(chunk.ended || !chunk.records.is_empty(), "a read waits for more of a run that has ended")?;
        got.extend(of(&chunk.records, Stream::Stdout));
        next = chunk.next;
        if chunk.ended {
            break;
        }
    }
    same(&got, b"last words\n", "stdout")?;
    logs.finish(sandbox).await
}

async fn second_run(logs: &Logs) -> Outcome {
    let mut first = logs.open().await?;
    let id = first.id.clone();
    first.write("stdout", "first\n").await?;
    first.end().await?;
    logs.read_all(&id, 0, 6).await?;
    drop(first);
    // Another directory: that of a run is never used again.
    let other = logs.place.join(format!("{id}-again"));
    let second = logs.open_as(id.clone(), |spec| spec.directory = other).await?;
    second.write("stdout", "second\n").await?;
    let records = logs.read_all(&id, 0, 13).await?;
    same(&of(&records, Stream::Stdout), b"first\nsecond\n", "stdout")?;
    logs.finish(second).await
}

async fn terminal(logs: &Logs) -> Outcome {
    let sandbox = logs.open_as(new_id(), |spec| spec.terminal = true).await?;
    sandbox.write("stdout", "a terminal\r\n").await?;
    same(&of(&logs.read_all(&sandbox.id, 0, 12).await?, Stream::Stdout), b"a terminal\r\n", "stdout")?;
    logs.finish(sandbox).await
}

async fn input(logs: &Logs) -> Outcome {
    let sandbox = logs.open_as(new_id(), |spec| spec.open_stdin = true).await?;
    let session = logs.client.input(&sandbox.id, "session", false);
    let accepted = session.open(&call()).await.map_err(words)?;
    expect(accepted == 0, format!("a new session has {accepted} bytes"))?;
    let stdin = sandbox.spec.directory.join("stdin");
    expect(session.write(&call(), 0, b"hello ").await.map_err(words)? == 6, "6 bytes are 6 in all")?;
    // Again, and more.
    expect(session.write(&call(), 0, b"hello world").await.map_err(words)? == 11, "11 bytes are 11 in all")?;
    let again = session.open(&call()).await.map_err(words)?;
    expect(again == 11, format!("the session goes on at {again}, not at 11"))?;
    same(&read_exactly(stdin, 11).await?, b"hello world", "stdin")?;
    session.close(&call()).await.map_err(words)?;
    session.close(&call()).await.map_err(words)?;
    logs.finish(sandbox).await
}

async fn read_exactly(path: PathBuf, length: usize) -> Result<Vec<u8>, String> {
    let read = move || {
        let mut bytes = vec![0; length];
        File::open(&path)?.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    on_thread(read).await.map_err(|error| format!("reading stdin: {error}"))
}

async fn no_input(logs: &Logs) -> Outcome {
    let sandbox = logs.open().await?;
    refused(logs.client.input(&sandbox.id, "s", false).open(&call()).await, &[Code::Conflict], "openInput")?;
    logs.finish(sandbox).await
}

async fn removed(logs: &Logs) -> Outcome {
    let sandbox = logs.open().await?;
    sandbox.write("stdout", "gone\n").await?;
    logs.read_all(&sandbox.id, 0, 5).await?;
    let id = sandbox.id.clone();
    logs.finish(sandbox).await?;
    refused(logs.client.read(&call(), &id, 0, 0, 0).await, &[Code::NotFound], "read")?;
    logs.client.remove(&call(), &id).await.map_err(words)
}

async fn reconciled(logs: &Logs) -> Outcome {
    let (kept, other) = (logs.open().await?, logs.open().await?);
    for sandbox in [&kept, &other] {
        sandbox.write("stdout", "here\n").await?;
        logs.read_all(&sandbox.id, 0, 5).await?;
    }
    let live = [kept.id.clone(), new_id()];
    logs.client.reconcile(&call(), &live).await.map_err(words)?;
    refused(logs.client.read(&call(), &other.id, 0, 0, 0).await, &[Code::NotFound], "read of a log not named")?;
    same(&of(&logs.read_all(&kept.id, 0, 5).await?, Stream::Stdout), b"here\n", "the log that was named")?;
    logs.client.reconcile(&call(), &live).await.map_err(words)?;
    logs.finish(kept).await
}
