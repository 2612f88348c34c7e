//! One thread that captures the output of all containers, and one more for those that must never wait.
//!
//! It waits for all FIFOs at once (epoll, level-triggered) and takes at most one chunk from each that has
//! something, turn by turn: a container that writes without end slows nobody's capture by more than a chunk.
//!
//! A container that writes without end in small pieces would wake it for each of them. So when it was woken often for
//! little, it leaves all FIFOs alone for a moment, in which they fill: they hold a megabyte.
//!
//! The end of a FIFO is an event only if it had a writer when we opened it, or got one since. A collector that is
//! restarted while a run ends may open it after the last writer is gone, with bytes still in it. So a FIFO is fresh,
//! and taken from without an event, until it was found empty with a writer, or at its end.

use crate::mover::Mover;
use crate::run::Run;
use crate::writer::Taken;
use crate::{entry, files::BOTH};
use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};
use rustix::io::Errno;
use schema::log_collector::{LogMode, Stream};
use schema::{ContainerId, Failure};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

const EVENTS: usize = 128;
/// The key of the descriptor that announces commands.
const COMMANDS: u64 = 0;
/// How long a FIFO that must wait for a reader is left alone: nobody rings when a reader has read on.
const HELD: Timespec = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
/// Rounds in which little was taken, one soon after the other, before it pauses. What a program says now and then, and the
/// end of a short one, is never waited for.
const BUSY: u32 = 16;
/// Bytes that are little.
const LITTLE: u64 = 256 << 10;
/// How soon after the round before. What comes later is not worth a pause.
const SOON: Duration = Duration::from_millis(2);
/// How long it pauses: at a gigabyte per second, a third of a FIFO.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 300_000 };
/// Chunks that a run which is cut short may still leave.
const LAST_CHUNKS: usize = 16;

enum Command {
    Add(Box<Run>),
    Release(ContainerId, oneshot::Sender<()>),
}

/// The handle of the threads: runs in mode `drop` have one of their own, which touches no disk.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    block: Handle,
    drop: Handle,
    mover: Mover,
}

/// The handle of a thread.
#[derive(Clone, Debug)]
struct Handle {
    commands: mpsc::Sender<Command>,
    bell: Arc<OwnedFd>,
}

impl Capture {
    /// Starts the threads.
    pub(crate) fn start() -> Result<Self, Failure> {
        let mover = Mover::start()?;
        Ok(Self { block: Handle::start("capture", &mover)?, drop: Handle::start("capture-drop", &mover)?, mover })
    }

    /// Captures a run to its end.
    pub(crate) fn add(&self, mut run: Box<Run>) {
        match run.moving.take() {
            None => self.block.send(Command::Add(run)),
            Some(moving) => {
                self.mover.add(run.place.id.clone(), moving);
                self.drop.send(Command::Add(run));
            }
        }
    }

    /// Takes what a container's run has left, and ends it. Answers when nothing of it is held any more; at once
    /// if it had ended.
    pub(crate) async fn release(&self, id: &ContainerId) {
        for handle in [&self.block, &self.drop] {
            let (done, released) = oneshot::channel();
            handle.send(Command::Release(id.clone(), done));
            // The thread lives as long as the process, and drops no sender without answering.
            let _ = released.await;
        }
        self.mover.release(id).await;
    }
}

impl Handle {
    fn start(name: &str, mover: &Mover) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::io("starting to capture", &error);
        let (sender, commands) = mpsc::channel();
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|error| failed(error.into()))?;
        let bell = Arc::new(bell);
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
        watch(&poll, &bell, COMMANDS).map_err(failed)?;
        let worker = Worker {
            poll,
            bell: Arc::clone(&bell),
            commands,
            mover: mover.clone(),
            runs: HashMap::new(),
            last: 0,
            fresh: VecDeque::new(),
            held: Vec::new(),
            taken: 0,
            busy: 0,
            last_round: Instant::now(),
        };
        std::thread::Builder::new().name(name.into()).spawn(move || worker.work()).map_err(failed)?;
        Ok(Self { commands: sender, bell })
    }

    fn send(&self, command: Command) {
        if self.commands.send(command).is_err() {
            broken("the capturing thread is gone");
        }
        // Fails only if the counter is full: then the thread is being woken anyway.
        let _ = rustix::io::write(&*self.bell, &1_u64.to_ne_bytes());
    }
}

/// Nothing can be captured any more: the next process can.
fn broken(reason: &str) -> ! {
    tracing::error!(reason, "this process ends");
    std::process::abort()
}

fn watch(poll: &OwnedFd, descriptor: &OwnedFd, key: u64) -> io::Result<()> {
    Ok(epoll::add(poll, descriptor, epoll::EventData::new_u64(key), epoll::EventFlags::IN)?)
}

struct Worker {
    poll: OwnedFd,
    bell: Arc<OwnedFd>,
    commands: mpsc::Receiver<Command>,
    mover: Mover,
    runs: HashMap<u64, Box<Run>>,
    /// The number that was given to a run last; the keys of its FIFOs are twice that and one more.
    last: u64,
    /// FIFOs of which it is not known that their end will be an event.
    fresh: VecDeque<(u64, Stream)>,
    /// FIFOs that wait for a reader, or for a writer, and are not watched meanwhile.
    held: Vec<(u64, Stream)>,
    /// Bytes that were taken in this round.
    taken: u64,
    /// Rounds in which little was taken, one soon after the other.
    busy: u32,
    last_round: Instant,
}

fn key(run: u64, stream: Stream) -> u64 {
    run * 2 + entry::number(stream) as u64
}

impl Worker {
    fn work(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            match epoll::wait(&self.poll, spare_capacity(&mut events), self.patience().as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => broken(&format!("cannot wait for output: {error}")),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    COMMANDS => self.obey(),
                    key => drop(self.take(key / 2, if key % 2 == 0 { Stream::Stdout } else { Stream::Stderr })),
                }
            }
            self.take_fresh();
            self.take_held();
            self.pause();
        }
    }

    /// Lets the FIFOs fill for a moment, if they were emptied often for little. Commands are not waited for.
    fn pause(&mut self) {
        let (taken, now) = (std::mem::take(&mut self.taken), Instant::now());
        let soon = now.duration_since(std::mem::replace(&mut self.last_round, now)) < SOON;
        let little = taken < LITTLE;
        self.busy = if soon && taken > 0 { self.busy.saturating_add(u32::from(little)) } else { 0 };
        if little && self.busy > BUSY {
            // A signal, or a command, ends the pause early.
            let _ = poll(&mut [PollFd::new(&*self.bell, PollFlags::IN)], Some(&PAUSE));
        }
    }

    /// How long to wait for an event; none: as long as it takes.
    fn patience(&self) -> Option<Timespec> {
        match (self.fresh.is_empty(), self.held.is_empty()) {
            (false, _) => Some(Timespec::default()),
            (true, false) => Some(HELD),
            (true, true) => None,
        }
    }

    /// Tries again what had to wait; watches it again when it need not.
    fn take_held(&mut self) {
        for (number, stream) in std::mem::take(&mut self.held) {
            if self.take(number, stream) != Taken::Held {
                self.heed(number, stream, epoll::EventFlags::IN);
            }
        }
    }

    /// Sets which events of a FIFO are waited for.
    fn heed(&self, number: u64, stream: Stream, events: epoll::EventFlags) {
        let Some(pipe) = self.runs.get(&number).and_then(|run| run.pipes[entry::number(stream)].as_ref()) else {
            return;
        };
        let data = epoll::EventData::new_u64(key(number, stream));
        if let Err(error) = epoll::modify(&self.poll, &pipe.0, data, events) {
            broken(&format!("cannot watch a FIFO: {error}"));
        }
    }

    /// One round.
    fn take_fresh(&mut self) {
        for _ in 0..self.fresh.len() {
            if let Some((number, stream)) = self.fresh.pop_front()
                && self.take(number, stream) == Taken::Some
            {
                self.fresh.push_back((number, stream));
            }
        }
    }

    fn obey(&mut self) {
        let _ = rustix::io::read(&*self.bell, &mut [0_u8; 8]);
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Add(run) => self.add(run),
                Command::Release(id, done) => {
                    self.release(&id);
                    let _ = done.send(());
                }
            }
        }
    }

    fn add(&mut self, run: Box<Run>) {
        self.last += 1;
        let number = self.last;
        for stream in BOTH {
            if let Some(pipe) = &run.pipes[entry::number(stream)]
                && let Err(error) = watch(&self.poll, &pipe.0, key(number, stream))
            {
                broken(&format!("cannot watch a FIFO: {error}"));
            }
        }
        self.runs.insert(number, run);
        self.fresh.extend(BOTH.map(|stream| (number, stream)));
    }

    fn take(&mut self, number: u64, stream: Stream) -> Taken {
        let Some(run) = self.runs.get_mut(&number) else { return Taken::End };
        let before = run.end();
        let taken = run.take(stream);
        self.taken += run.end().saturating_sub(before);
        if run.record.spec.mode == LogMode::Drop {
            self.mover.wake();
        }
        match taken {
            Taken::End if run.is_drained() => self.finish(number),
            // Its end would be an event for ever: one-shot events are off until they are asked for again.
            Taken::Held => {
                if !self.held.contains(&(number, stream)) {
                    self.held.push((number, stream));
                }
                self.heed(number, stream, epoll::EventFlags::ONESHOT | epoll::EventFlags::ET);
            }
            _ => {}
        }
        taken
    }

    fn finish(&mut self, number: u64) {
        let Some(run) = self.runs.remove(&number) else { return };
        match run.record.spec.mode {
            LogMode::Block => run.finish().finish(),
            LogMode::Drop => self.mover.end(run.finish()),
        }
    }

    fn release(&mut self, id: &ContainerId) {
        let numbers: Vec<u64> =
            self.runs.iter().filter(|(_, run)| run.place.id == *id).map(|(number, _)| *number).collect();
        for number in numbers {
            for stream in BOTH {
                if let Some(run) = self.runs.get_mut(&number) {
                    (0..LAST_CHUNKS).take_while(|_| run.take(stream) == Taken::Some).for_each(drop);
                }
            }
            self.finish(number);
        }
    }
}
