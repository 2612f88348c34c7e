//! The monitor's state, and the loop that it spends its life in.

use crate::connections::{Connections, Incoming, MOST};
use crate::finish;
use crate::relay::Relay;
use crate::relief::Relief;
use crate::start::{self, News, Started};
use crate::streams::{Input, Streams};
use crate::sys::{self, Child, Errno, Fd, Fork, Poll, Received, namespace};
use crate::terminal::Terminal;
use core::ffi::CStr;
use shim_protocol::adoption::Adoption;
use shim_protocol::control::{self, Report, Request};
use shim_protocol::exit::Exit;
use shim_protocol::layout;
use shim_protocol::plan::STEP_LOST;

const SIGKILL: i32 = 9;
/// Lets a child go on that somebody has stopped while it waited.
const SIGCONT: i32 = 18;

/// The child was killed before it was told what it is.
const LOST: Phase = Phase::Failed { step: STEP_LOST, error: Errno::SRCH.0 };

/// Nanoseconds that an exec's output may take to end after its process: somebody else may hold it. Docker's time
/// (`ProcessEvent` in moby's daemon/monitor.go).
const GRACE: i64 = 2_000_000_000;

/// How far the sandbox is.
enum Phase {
    Parked,
    /// The child carries out the first part of a plan.
    SettingUp(Child, Fd),
    /// The child waits for the rest.
    SetUp(Child, Fd),
    /// The child carries out the plan, and tells of it on the socket.
    Starting(Child, Fd),
    Failed {
        step: u32,
        error: i32,
    },
    Running(Child, i64),
    /// The terminal's last output is on its way to the FIFO.
    Draining(Exit),
    /// A helper waits for the capture lock.
    Locking(Exit, Child),
}

/// Everything that the monitor of a sandbox has.
pub struct Monitor {
    directory: Fd,
    /// The open capture lock.
    lock: Fd,
    streams: Streams,
    connections: Connections,
    terminal: Option<Terminal>,
    /// Whether this is an exec.
    joins: bool,
    /// Of an exec without a terminal, while there is output to come.
    relays: Option<[Relay; 2]>,
    relief: Relief,
    /// When the output of an exec is over, by the steady clock, though others hold it.
    deadline: Option<i64>,
    /// The terminal's size, if somebody has told it.
    size: Option<(u16, u16)>,
    /// The sandbox's user namespace, until its PID 1 is started, if it has one.
    users: Option<Fd>,
    phase: Phase,
}

impl Monitor {
    /// Of a sandbox that is made.
    pub fn new(directory: Fd, listener: Fd, lock: Fd, streams: Streams, joins: bool, users: Option<Fd>) -> Self {
        let connections = Connections::new(listener);
        let relief = Relief::new(&directory);
        let (terminal, relays, deadline, size) = (None, None, None, None);
        Self {
            directory,
            lock,
            streams,
            connections,
            terminal,
            joins,
            relays,
            relief,
            deadline,
            size,
            users,
            phase: Phase::Parked,
        }
    }

    /// Takes over what another has begun. Of the descriptors, none may be missing while PID 1 runs.
    pub fn adopt(&mut self, adoption: &Adoption, handle: Option<Fd>, master: Option<Fd>) -> sys::Result<()> {
        let Adoption { first, ended, size, .. } = *adoption;
        self.size = size;
        // Like its predecessor, it stands where others look for the sandbox, and keeps that as long as it lives.
        const ALL: u64 = namespace::MOUNT | namespace::UTS | namespace::IPC | namespace::NET;
        if let (Some(handle), false) = (&handle, self.joins)
            && let Err(error) = sys::join(handle, ALL)
        {
            // If PID 1 has ended, nobody looks.
            let mut end = [Poll::readable(Some(handle))];
            sys::poll(&mut end, Some(0))?;
            if !end.iter().any(Poll::happened) {
                return Err(error);
            }
        }
        self.terminal = master.map(Terminal::new);
        if let (Some(terminal), Some((rows, columns))) = (&self.terminal, size) {
            let _ = terminal.set_size(rows, columns);
        }
        self.relays = if self.joins && self.streams.stderr.is_some() { self.adopt_relays().ok() } else { None };
        self.phase = match handle {
            Some(handle) if !ended => Phase::Running(Child { pid: first.pid, handle }, first.started_at),
            _ => self.end(first),
        };
        if let Some(terminal) = &mut self.terminal {
            terminal.copy(&mut self.streams);
        }
        Ok(())
    }

    fn adopt_relays(&self) -> sys::Result<[Relay; 2]> {
        let Streams { stdout, stderr, .. } = &self.streams;
        let mut relays = [
            Relay::adopt(&self.directory, layout::STDOUT_RELAY)?,
            Relay::adopt(&self.directory, layout::STDERR_RELAY)?,
        ];
        for (relay, output) in relays.iter_mut().zip([Some(stdout), stderr.as_ref()]) {
            relay.begin(output);
        }
        Ok(relays)
    }

    /// PID 1 has ended; its output is not in the FIFOs yet.
    fn end(&mut self, exit: Exit) -> Phase {
        if let Some(terminal) = &mut self.terminal {
            terminal.end();
        }
        self.deadline = self.joins.then(|| sys::steady_now() + GRACE);
        Phase::Draining(exit)
    }

    /// Keeps the number of a descriptor taken for good: below 3 are the places of the child's standard
    /// streams, where nothing that it still needs may come to lie.
    pub fn occupy(&self, place: Fd) -> sys::Result<()> {
        sys::duplicate_onto(&self.directory, place.number())?;
        core::mem::forget(place);
        Ok(())
    }

    /// Serves until the container has ended and its output is safe.
    pub fn run(mut self) -> ! {
        // What was adopted may be over.
        self.end_if_drained();
        loop {
            self.turn();
        }
    }

    fn turn(&mut self) {
        let mut polls = self.polls();
        let deadlines = [self.deadline, self.relief.deadline()];
        let deadline = deadlines.into_iter().flatten().min();
        if sys::poll(&mut polls, deadline.map(|deadline| deadline - sys::steady_now())).is_err() {
            return;
        }
        let [listener, phase, close, master, input, output, stdout, stderr, out, err, connections @ ..] = polls;
        if [master, input, output].iter().any(Poll::happened)
            && let Some(terminal) = &mut self.terminal
        {
            terminal.copy(&mut self.streams);
        }
        self.relay([stdout, stderr].map(|poll| poll.happened()));
        if [out, err].iter().any(Poll::happened) {
            self.relief.arm();
        }
        self.relief.look(&self.directory, &self.streams);
        if close.happened()
            && let Some(input) = &mut self.streams.stdin
        {
            input.end();
        }
        if phase.happened() {
            self.advance();
        }
        for (number, _) in connections.iter().enumerate().filter(|(_, poll)| poll.happened()) {
            self.serve(number);
        }
        if listener.happened() {
            self.connections.accept();
        }
        if self.deadline.is_some_and(|deadline| deadline <= sys::steady_now()) {
            self.settle();
        }
        self.end_if_drained();
    }

    fn relay(&mut self, ready: [bool; 2]) {
        let Streams { stdout, stderr, .. } = &self.streams;
        let outputs = [Some(stdout), stderr.as_ref()];
        for ((relay, output), ready) in self.relays.iter_mut().flatten().zip(outputs).zip(ready) {
            if ready {
                relay.copy(output);
            }
        }
    }

    /// Others than the process that has ended hold its output: it is over nevertheless.
    fn settle(&mut self) {
        self.deadline = None;
        self.relays.iter_mut().flatten().for_each(Relay::settle);
        if let Some(terminal) = &mut self.terminal {
            terminal.settle();
            terminal.copy(&mut self.streams);
        }
    }

    fn polls(&self) -> [Poll; MOST + 10] {
        let phase = match &self.phase {
            Phase::Starting(_, status) | Phase::SettingUp(_, status) | Phase::SetUp(_, status) => Some(status),
            Phase::Running(child, _) | Phase::Locking(_, child) => Some(&child.handle),
            Phase::Parked | Phase::Failed { .. } | Phase::Draining(_) => None,
        };
        let [master, input, output] =
            self.terminal.as_ref().map_or([Poll::NONE; 3], |terminal| terminal.polls(&self.streams));
        let [stdout, stderr] = self.relays.as_ref().map_or([Poll::NONE; 2], |[stdout, stderr]| {
            [stdout.poll(Some(&self.streams.stdout)), stderr.poll(self.streams.stderr.as_ref())]
        });
        let close = self.streams.stdin.as_ref().map_or(Poll::NONE, Input::closing);
        let [listener, phase] = [self.connections.listener(), Poll::readable(phase)];
        let [out, err] = self.relief.polls(&self.streams);
        let first = [listener, phase, close, master, input, output, stdout, stderr, out, err];
        let mut polls = [Poll::NONE; MOST + 10];
        polls.iter_mut().zip(first.into_iter().chain(self.connections.polls())).for_each(|(place, poll)| *place = poll);
        polls
    }

    /// What the present phase waits for has happened.
    fn advance(&mut self) {
        match &self.phase {
            Phase::Starting(_, status) | Phase::SettingUp(_, status) | Phase::SetUp(_, status) => {
                let news = start::hear(status);
                self.hear(news);
            }
            Phase::Running(child, started_at) => {
                let (pid, started_at, now) = (child.pid, *started_at, sys::now());
                let exit = match child.end() {
                    Some(status) => Exit::from_status(status, pid, started_at, now),
                    None => Exit::unknown(pid, started_at, now),
                };
                // Before it is reaped: until then, the kernel tells whoever replaces us.
                finish::note(&self.directory, &exit);
                child.reap();
                self.phase = self.end(exit);
            }
            Phase::Locking(exit, helper) => {
                helper.reap();
                self.phase = Phase::Draining(*exit);
            }
            Phase::Parked | Phase::Failed { .. } | Phase::Draining(_) => {}
        }
    }

    fn hear(&mut self, news: News) {
        match (news, core::mem::replace(&mut self.phase, Phase::Parked)) {
            (News::Terminal(master), phase) => {
                self.terminal = Some(Terminal::new(master));
                self.phase = phase;
            }
            (
                News::Failed { step, error },
                Phase::Starting(child, _) | Phase::SettingUp(child, _) | Phase::SetUp(child, _),
            ) => {
                child.reap();
                (self.terminal, self.relays) = (None, None);
                self.phase = Phase::Failed { step, error };
                self.connections.answer_start(&self.report(0));
            }
            (News::SetUp, Phase::SettingUp(child, status)) => {
                self.phase = Phase::SetUp(child, status);
                self.connections.answer_start(&self.report(0));
            }
            // It executes nothing before it is told to: it was killed.
            (News::Executed, Phase::SettingUp(child, _) | Phase::SetUp(child, _)) => {
                child.reap();
                self.phase = LOST;
                self.connections.answer_start(&self.report(0));
            }
            (News::Executed, Phase::Starting(child, _)) => {
                self.phase = Phase::Running(child, sys::now());
                self.connections.answer_start(&self.report(0));
            }
            (_, phase) => self.phase = phase,
        }
    }

    /// All output is in the FIFOs: closes them, and when it is captured, ends.
    fn end_if_drained(&mut self) {
        let Phase::Draining(exit) = self.phase else { return };
        if self.terminal.as_ref().is_some_and(|terminal| !terminal.is_drained())
            || self.relays.as_ref().is_some_and(|relays| !relays.iter().all(Relay::is_drained))
        {
            return;
        }
        (self.terminal, self.relays, self.deadline) = (None, None, None);
        self.streams.close_writers(&self.directory);
        if sys::lock(&self.lock, false).is_ok() {
            finish::complete(&self.directory, &self.streams, &exit);
        }
        // Somebody captures. The lock belongs to the open file, which the helper shares: it waits for both.
        match sys::fork(0, None) {
            Ok(Fork::Parent(helper)) => self.phase = Phase::Locking(exit, helper),
            Ok(Fork::Child) => {
                let _ = sys::die_with_parent();
                let _ = sys::lock(&self.lock, true);
                sys::exit(0)
            }
            // Without a helper, nobody is answered while we wait.
            Err(_) => drop(sys::lock(&self.lock, true)),
        }
    }

    fn serve(&mut self, number: usize) {
        let Some(slot) = self.connections.slot(number) else { return };
        let Some(connection) = slot else { return };
        let (request, descriptors) = match connection.receive() {
            Incoming::Request(request, descriptors) => (request, descriptors),
            Incoming::Nothing => return,
            Incoming::End => {
                *slot = None;
                return;
            }
        };
        let done = self.obey(request, descriptors);
        let report = self.report(done.err().map_or(0, |error| error.0));
        let waits = matches!(request, Request::Start { .. } | Request::SetUp { .. })
            && matches!(self.phase, Phase::Starting(..) | Phase::SettingUp(..));
        let lent = self.terminal.as_ref().filter(|_| request == Request::Lend).map(Terminal::master);
        if let Some(Some(connection)) = self.connections.slot(number) {
            if waits {
                connection.await_start();
            } else {
                connection.answer(&report, lent);
            }
        }
    }

    fn obey(&mut self, request: Request, descriptors: Received) -> sys::Result<()> {
        match request {
            Request::Report | Request::Lend => Ok(()),
            Request::Start { born_in } => {
                self.phase = match core::mem::replace(&mut self.phase, Phase::Parked) {
                    Phase::Parked => self.bear(layout::PLAN, descriptors, born_in, Phase::Starting),
                    Phase::SetUp(child, status) => {
                        match child.signal(SIGCONT).and_then(|()| start::go_on(&status, self.size)) {
                            Ok(()) => Phase::Starting(child, status),
                            Err(_) => {
                                child.reap();
                                LOST
                            }
                        }
                    }
                    phase => phase,
                };
                Ok(())
            }
            Request::SetUp { born_in } => {
                if matches!(self.phase, Phase::Parked) {
                    self.phase = self.bear(layout::SETUP, descriptors, born_in, Phase::SettingUp);
                }
                Ok(())
            }
            Request::Resize { rows, columns } => {
                self.size = Some((rows, columns));
                self.terminal.as_ref().map_or(Ok(()), |terminal| terminal.set_size(rows, columns))
            }
            Request::Signal { number } => self.child().map_or(Ok(()), |child| child.signal(number)),
            Request::Kill => match &self.phase {
                Phase::Parked | Phase::Failed { .. } => sys::exit(0),
                Phase::SettingUp(child, _) | Phase::SetUp(child, _) => {
                    let _ = child.signal(SIGKILL);
                    child.reap();
                    sys::exit(0)
                }
                _ => self.child().map_or(Ok(()), |child| child.signal(SIGKILL)),
            },
        }
    }

    /// Makes the child that carries out the plan in this file; answers the phase that begins with it.
    fn bear(
        &mut self,
        plan: &CStr,
        descriptors: Received,
        born_in: bool,
        phase: impl FnOnce(Child, Fd) -> Phase,
    ) -> Phase {
        let users = self.users.take();
        let Self { directory, streams, size, joins, .. } = self;
        match start::start(directory, plan, streams, *size, *joins, users, (descriptors, born_in)) {
            Ok(Started { child, status, relays }) => {
                self.relays = relays;
                phase(child, status)
            }
            Err((step, Errno(error))) => Phase::Failed { step, error },
        }
    }

    /// PID 1, while there is one that was told what it is.
    fn child(&self) -> Option<&Child> {
        match &self.phase {
            Phase::Starting(child, _) | Phase::Running(child, _) => Some(child),
            Phase::Parked
            | Phase::SettingUp(..)
            | Phase::SetUp(..)
            | Phase::Failed { .. }
            | Phase::Draining(_)
            | Phase::Locking(..) => None,
        }
    }

    fn report(&self, error: i32) -> Report {
        let phase = match &self.phase {
            Phase::Parked => control::Phase::Parked,
            Phase::SettingUp(..) => control::Phase::SettingUp,
            Phase::SetUp(..) => control::Phase::SetUp,
            Phase::Starting(..) => control::Phase::Starting,
            Phase::Failed { step, error } => control::Phase::Failed { step: *step, error: *error },
            Phase::Running(child, started_at) => control::Phase::Running { pid: child.pid, started_at: *started_at },
            Phase::Draining(exit) | Phase::Locking(exit, _) => control::Phase::Ended(*exit),
        };
        Report { error, monitor: sys::process_id(), phase }
    }
}
