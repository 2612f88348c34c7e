//! Taking hold of a run: its lock, what was spilled, and its FIFOs.

use crate::bounds::Bounds;
use crate::entry::number;
use crate::files::{name, unless_gone};
use crate::gate::{Gate, file};
use crate::record::{Identity, LogRecord};
use crate::recover::{RunMark, recover};
use crate::source::{CHUNK, Losses, Pipe};
use crate::stage::{self, Moving};
use crate::takeover::{is_begun, place_of, take_over};
use crate::view::{Phase, Shared};
use crate::writer::{Taken, Writer};
use kit::store::{Durability, Store};
use rustix::fs::{FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use schema::log_collector::{LogMode, LogSpec, Stream};
use schema::{ContainerId, Failure};
use shim_protocol::layout;
use std::ffi::CStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

const LOCK: &str = "capture.lock";
/// What an exec writes to, which its monitor moves into the FIFOs: kept open while monitor and executor are killed.
const RELAYS: [&CStr; 2] = [layout::STDOUT_RELAY, layout::STDERR_RELAY];

/// One log and where its record is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Whose log it is.
    pub(crate) id: ContainerId,
    /// The log.
    pub(crate) shared: Arc<Shared>,
    /// All records.
    pub(crate) store: Arc<Store<LogRecord>>,
}

impl Place {
    /// Writes the record. It survives a kill; after a power cut there are no runs to know of, but where the log was.
    pub(crate) fn put(&self, record: &LogRecord) -> Result<(), Failure> {
        self.store.put(self.id.as_str(), record, Durability::Soon)
    }
}

/// A run that is being captured.
#[derive(Debug)]
pub(crate) struct Run {
    /// Whose run it is.
    pub(crate) place: Place,
    /// Its record.
    pub(crate) record: LogRecord,
    /// The read ends of its FIFOs; none: at its end.
    pub(crate) pipes: [Option<Pipe>; 2],
    writer: Writer,
    lost: Losses,
    gate: Gate,
    /// In mode `drop`: how its output gets from where `writer` puts it into the log.
    pub(crate) moving: Option<Box<Moving>>,
    /// As long as this is open, the monitor leaves the FIFOs to us.
    lock: File,
    _relays: Vec<OwnedFd>,
}

/// A run of which everything is captured.
#[derive(Debug)]
pub(crate) struct Ending {
    /// Whose run it was.
    pub(crate) place: Place,
    record: LogRecord,
    /// In mode `block`, the monitor goes on when the log is complete. In mode `drop` it does not wait for a slow log.
    _lock: Option<File>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Hold {
    /// Ours to capture.
    Taken(Box<Run>),
    /// The sandbox is gone, or it is another one: there is nothing left to capture.
    Gone,
    /// The monitor has the lock: it saves what is left.
    Busy,
}

/// Whether to wait for the monitor if it has the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// As long as it takes.
    Yes,
    /// Answer [`Hold::Busy`].
    No,
}

/// Identifies the sandbox in this directory.
pub(crate) fn identify(spec: &LogSpec) -> Result<Identity, Failure> {
    let directory = &spec.directory;
    if !directory.is_absolute() {
        return Err(Failure::invalid(format_args!("{}: not the absolute path of a sandbox", directory.display())));
    }
    let path = directory.join(LOCK);
    match std::fs::symlink_metadata(&path) {
        Ok(lock) if lock.is_file() => Ok(Identity::of(&lock)),
        Ok(_) => Err(Failure::conflict(format_args!("{} is not a file", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Failure::not_found(format_args!("{} is not a sandbox: it has no {LOCK}", directory.display()))
                .hint("prepare the sandbox first"))
        }
        Err(error) => Err(failed_at(path.display(), &error)),
    }
}

/// What a sandbox did not let us do. That it is not ours to open passes: whoever becomes this service's user is given all
/// sandboxes when the executor starts the next time, and both start at once when cctl is upgraded.
fn failed_at(doing: impl fmt::Display, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::PermissionDenied {
        Failure::permission_denied(format_args!("{doing}: {error}"))
            .hint("`cctl system restart executor` gives the sandbox to this service's user")
    } else {
        Failure::io(doing, error)
    }
}

/// Takes hold of the run that the record describes. Blocks. What was spilled by a monitor that has ended is in the log
/// (in mode `drop`, on its way there) afterwards; of one that lives, it follows in slices. If that fails half-way, the record says where it began, and must be the one that the next attempt is given.
pub(crate) fn hold(place: &Place, record: &mut LogRecord, wait: Wait) -> Result<Hold, Failure> {
    let directory = record.spec.directory.clone();
    let failed = |error: io::Error| failed_at(format_args!("capturing from {}", directory.display()), &error);
    let Some(lock) = openlock(&directory, record.sandbox).map_err(failed)? else { return Ok(Hold::Gone) };
    if !acquire(&lock, wait).map_err(failed)? {
        return Ok(Hold::Busy);
    }
    let bounds = Bounds::of(&record.spec)?;
    let mark = RunMark { number: record.run, first: record.first };
    let mut writer = recover(&place.shared, bounds, Some(mark)).map_err(failed)?;
    place.shared.enter(Phase::Running);
    writer.begin();
    let moving;
    (writer, moving) = match record.spec.mode {
        LogMode::Block => (writer, None),
        LogMode::Drop => match unless_gone(stage::open(writer, &directory, mark)).map_err(failed)? {
            Some((writer, moving)) => (writer, Some(Box::new(moving))),
            None => return Ok(Hold::Gone),
        },
    };
    let Some(mut lost) = unless_gone(Losses::open(&directory)).map_err(failed)? else {
        return Ok(Hold::Gone);
    };
    let mut gate = Gate::open(&directory).map_err(failed)?;
    gate.enter_soon().map_err(failed)?;
    // The monitor may have counted before it left us the turn.
    if unless_gone(lost.refresh()).map_err(failed)?.is_none() {
        return Ok(Hold::Gone);
    }
    account_before(place, record, &mut writer, &lost);
    let news = gate.news().map_err(failed)?;
    // Of a monitor that has ended nobody waits for a turn: then all of it is taken over at once. The stage of mode `drop`
    // has to be emptied meanwhile.
    let has_ended = file(&directory, layout::EXIT).exists();
    let may_wait = gate.is_shared() && (record.spec.mode == LogMode::Drop || !has_ended);
    if take_over(place, record, &mut writer, &mut lost, may_wait)? {
        gate.know(news);
        account(&mut writer, &lost);
    }
    let pipes = open_pipes(record).map_err(failed)?;
    // In mode `drop`, what nobody takes is counted at once: a gap shows where it was.
    let most = if record.spec.mode == LogMode::Drop { 0 } else { bounds.size.saturating_mul(bounds.files as u64) };
    let drops = record.spec.mode == LogMode::Drop;
    if let Err(error) = gate.allow(&directory, &place_of(place), most, drops) {
        tracing::warn!(%error, id = %place.id, "what is written while this service is absent cannot be spilled");
    }
    gate.leave();
    let relays = RELAYS.iter().filter_map(|name| open_fifo(&file(&directory, name)).transpose());
    let relays = relays.collect::<io::Result<_>>().map_err(failed)?;
    let (place, record) = (place.clone(), record.clone());
    Ok(Hold::Taken(Box::new(Run { place, record, pipes, writer, lost, gate, moving, lock, _relays: relays })))
}

fn account(writer: &mut Writer, lost: &Losses) {
    if let Err(error) = writer.account(lost.totals()) {
        tracing::warn!(%error, "a gap waits for its entry");
    }
}

/// What was lost was written before what is still spilled, so its gap comes before that.
fn account_before(place: &Place, record: &LogRecord, writer: &mut Writer, lost: &Losses) {
    if !is_begun(place, record) {
        account(writer, lost);
    }
}

fn openlock(directory: &Path, expected: Identity) -> io::Result<Option<File>> {
    let opened =
        rustix::fs::open(directory.join(LOCK), OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    let Some(lock) = unless_gone(opened.map_err(io::Error::from))?.map(File::from) else { return Ok(None) };
    Ok((Identity::of(&lock.metadata()?) == expected).then_some(lock))
}

fn acquire(lock: &File, wait: Wait) -> io::Result<bool> {
    let operation = match wait {
        Wait::Yes => FlockOperation::LockExclusive,
        Wait::No => FlockOperation::NonBlockingLockExclusive,
    };
    loop {
        match rustix::fs::flock(lock, operation) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn open_pipes(record: &LogRecord) -> io::Result<[Option<Pipe>; 2]> {
    let stdout = open_pipe(&record.spec.directory, Stream::Stdout)?;
    let stderr = if record.spec.terminal { None } else { open_pipe(&record.spec.directory, Stream::Stderr)? };
    Ok([stdout, stderr])
}

/// The read end of a FIFO; none: it is gone, and so is the sandbox.
fn open_pipe(directory: &Path, stream: Stream) -> io::Result<Option<Pipe>> {
    let path = directory.join(name(stream));
    let Some(fifo) = open_fifo(&path)? else { return Ok(None) };
    if let Err(error) = rustix::pipe::fcntl_setpipe_size(&fifo, CHUNK) {
        tracing::debug!(%error, file = %path.display(), "the pipe stays small");
    }
    Ok(Some(Pipe(fifo)))
}

/// The read end of a FIFO; none: it is not there.
fn open_fifo(path: &Path) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Some(fifo) = unless_gone(rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from))? else {
        return Ok(None);
    };
    if FileType::from_raw_mode(rustix::fs::fstat(&fifo)?.st_mode) != FileType::Fifo {
        return Err(io::Error::other(format!("{} is not a FIFO", path.display())));
    }
    Ok(Some(fifo))
}

impl Run {
    /// Takes what a stream has; at its end, closes it.
    pub(crate) fn take(&mut self, stream: Stream) -> Taken {
        if self.pipes[number(stream)].is_none() {
            return Taken::End;
        }
        if !self.gate.enter() {
            return Taken::Held;
        }
        let taken = match self.take_over_news() {
            Ok(true) => {
                self.gate.count();
                self.take_in_turn(stream)
            }
            // We do not count: meanwhile, the monitor goes on to empty a FIFO that fills up.
            Ok(false) => Taken::Held,
            Err(failure) => {
                tracing::error!(%failure, id = %self.place.id, "cannot take over what was spilled yet");
                Taken::Held
            }
        };
        self.gate.leave();
        taken
    }

    /// What the monitor has spilled meanwhile comes before what is in the FIFOs.
    fn take_over_news(&mut self) -> Result<bool, Failure> {
        let failed = |error: io::Error| Failure::io("asking the monitor", &error);
        let Some(news) = self.gate.news().map_err(failed)? else { return Ok(true) };
        self.lost.refresh().map_err(failed)?;
        account_before(&self.place, &self.record, &mut self.writer, &self.lost);
        if !take_over(&self.place, &mut self.record, &mut self.writer, &mut self.lost, true)? {
            return Ok(false);
        }
        self.gate.know(Some(news));
        Ok(true)
    }

    fn take_in_turn(&mut self, stream: Stream) -> Taken {
        let slot = &mut self.pipes[number(stream)];
        let Some(pipe) = slot else { return Taken::End };
        let mut taken = self.writer.take(pipe, stream, &mut self.lost);
        if taken == Taken::End {
            if file(&self.record.spec.directory, layout::OUTPUT_OPEN).exists() {
                return Taken::Held;
            }
            // Now that no writer can come any more, it counts.
            taken = self.writer.take(pipe, stream, &mut self.lost);
        }
        if taken == Taken::End {
            *slot = None;
        }
        taken
    }

    /// The position after what was captured.
    pub(crate) fn end(&self) -> u64 {
        self.writer.end
    }

    /// Whether all of its streams are at their end.
    pub(crate) fn is_drained(&self) -> bool {
        self.pipes.iter().all(Option::is_none)
    }

    /// Everything is captured.
    pub(crate) fn finish(mut self) -> Ending {
        if let Err(error) = self.writer.account(self.lost.totals()) {
            tracing::error!(%error, id = %self.place.id, lost = ?self.lost.totals(), "cannot say in the log what was lost");
        }
        self.writer.publish();
        let lock = (self.record.spec.mode == LogMode::Block).then_some(self.lock);
        Ending { place: self.place, record: self.record, _lock: lock }
    }
}

impl Ending {
    /// Everything is in the log: says so, durably and to the readers, and lets the monitor go on.
    pub(crate) fn finish(mut self) {
        self.record.ended = true;
        if let Err(failure) = self.place.put(&self.record) {
            // The next start finds the sandbox gone or at its end, and comes to the same conclusion.
            tracing::warn!(%failure, id = %self.place.id, "cannot record the end of a run");
        }
        self.place.shared.end();
        tracing::debug!(id = %self.place.id, end = self.place.shared.view().end, "captured a whole run");
    }
}
