//! A caller's streams, connected with those of a running container or of a further process in one.
//!
//! Output is read from the log by position and input is sent by offset, so that a service may be restarted
//! meanwhile and neither loses nor repeats a byte.

mod detach;
mod files;
mod gaps;
mod input;
mod output;
mod signals;
mod target;

pub(crate) use detach::DetachKeys;
pub(crate) use input::read_stdin;
pub(crate) use output::Output;
pub(crate) use signals::Signals;
pub(crate) use target::Target;

use crate::console;
use crate::engine::{Engine, call};
use crate::error::{Error, Result};
use crate::terminal::{self, Raw};
use schema::call::RequestId;
use schema::common::ExitRecord;
use schema::containers::Container;
use schema::log_collector::Stream;
use schema::{Code, Failure};
use std::cell::Cell;
use std::convert::Infallible;
use std::time::Duration;

/// How often the container manager hears that its client is there, and how long it believes it.
const LEASE_INTERVAL: Duration = Duration::from_secs(3);
const LEASE_MS: u32 = 15_000;

/// Which streams are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Streams {
    /// Ours goes to the container's.
    pub(crate) stdin: bool,
    /// The container's comes to ours.
    pub(crate) stdout: bool,
    /// The container's comes to ours.
    pub(crate) stderr: bool,
}

impl Streams {
    /// Whether any output is connected.
    pub(crate) fn output(self) -> bool {
        self.stdout || self.stderr
    }

    /// Whether anything is connected.
    pub(crate) fn any(self) -> bool {
        self.stdin || self.output()
    }
}

/// How a session ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The process has ended, and all its output has been written; none: nobody knows how.
    Exited(Option<ExitRecord>),
    /// The user has typed the detach keys.
    Detached,
    /// This client was told to go by a signal.
    Signalled(i32),
    /// All input was sent, and there is no output to wait for.
    Sent,
}

/// What to connect.
pub(crate) struct Session<'a> {
    /// Whose services.
    pub(crate) engine: &'a Engine,
    /// The process, running.
    pub(crate) target: Target<'a>,
    /// Its streams.
    pub(crate) streams: Streams,
    /// The first byte of output that is wanted.
    pub(crate) position: u64,
    /// Whether signals go to the container. Otherwise, and in raw mode, they end the session.
    pub(crate) pass_signals: bool,
    /// The keys that end the session, where the process has a terminal.
    pub(crate) detach_keys: DetachKeys,
}

impl Session<'_> {
    /// Connects the streams until one side is done.
    pub(crate) async fn run(&self, signals: &mut Signals) -> Result<End> {
        let raw = self.raw_mode()?;
        let pass_signals = self.pass_signals && self.target.takes_signals() && raw.is_none();
        tokio::select! {
            end = self.until_exit() => end,
            end = self.feed() => end,
            end = self.heed(signals, pass_signals) => end,
            never = self.follow_size() => match never {},
            never = self.renew_lease() => match never {},
        }
    }

    /// With a terminal on both sides, every key belongs to the container, unless `NORAW` is in the environment.
    fn raw_mode(&self) -> Result<Option<Raw>, Failure> {
        let wanted = std::env::var_os("NORAW").is_none();
        let raw = wanted && self.target.terminal() && self.streams.stdin && terminal::on_stdin();
        raw.then(Raw::enter).transpose()
    }

    /// Writes output until the container has ended.
    async fn until_exit(&self) -> Result<End> {
        // A container that is started again at once has the output of two runs in its log.
        let run_end = Cell::new(None);
        let output = async {
            match self.copy_output(&run_end).await {
                // A log goes with its container: if that was removed, the wait says so.
                Err(Error::Failure(failure)) if failure.code == Code::NotFound => Ok(Some(failure)),
                answer => answer.map(|()| None),
            }
        };
        let (lost, exit) = futures::try_join!(output, self.exited(&run_end))?;
        if let Some(failure) = lost {
            console::complain(&failure.context("reading the output"));
        }
        Ok(End::Exited(exit))
    }

    /// Writes what the container writes, until it has ended and all is written.
    async fn copy_output(&self, until: &Cell<Option<u64>>) -> Result {
        let Session { engine, target, streams, position, .. } = self;
        if !streams.output() {
            return Ok(());
        }
        let output = Output {
            engine,
            id: target.id(),
            position: *position,
            until,
            before: None,
            follow: true,
            reader: RequestId::random().0,
        };
        let wanted = |stream: Stream| match stream {
            Stream::Stdout => streams.stdout,
            Stream::Stderr => streams.stderr,
        };
        output.copy(wanted, None).await
    }

    /// Waits for the end, and finds out where the output of the next run begins, if there is one.
    async fn exited(&self, run_end: &Cell<Option<u64>>) -> Result<Option<ExitRecord>> {
        let (exit, latest_run) = self.target.exited(self.engine).await?;
        run_end.set(latest_run.filter(|begin| *begin > self.position));
        Ok(exit)
    }

    /// Sends input. Goes on for ever when it has ended, unless nothing else is connected.
    async fn feed(&self) -> Result<End> {
        if self.streams.stdin && self.copy_input().await? == input::Ended::ByUser {
            return Ok(End::Detached);
        }
        if self.streams.stdin && !self.streams.output() { Ok(End::Sent) } else { std::future::pending().await }
    }

    /// Deals with the signals that this process gets.
    async fn heed(&self, signals: &mut Signals, pass: bool) -> Result<End> {
        loop {
            let signal = signals.next().await;
            if !pass {
                return Ok(End::Signalled(signal));
            }
            self.target.signal(self.engine, signal).await?;
        }
    }

    /// Tells the process's terminal the size of ours, now and when it changes.
    async fn follow_size(&self) -> Infallible {
        use tokio::signal::unix::{SignalKind, signal};
        let changed = signal(SignalKind::window_change());
        let (true, Ok(mut changed)) = (self.target.terminal() && self.streams.output(), changed) else {
            return std::future::pending().await;
        };
        loop {
            if let Some(size) = terminal::size() {
                // A process that has just ended has no terminal to resize.
                let _ = self.target.resize(self.engine, size.rows, size.columns).await;
            }
            changed.recv().await;
        }
    }

    /// Keeps what is to be removed with its client.
    async fn renew_lease(&self) -> Infallible {
        if !self.target.needs_lease() {
            return std::future::pending().await;
        }
        loop {
            // Until then it is kept by itself.
            tokio::time::sleep(LEASE_INTERVAL).await;
            // If it is gone, reading its output or waiting for it says so.
            let _ = self.target.keep(self.engine).await;
        }
    }
}

/// Sends a signal to a container; nothing happens if it has just ended.
pub(crate) async fn pass_on(engine: &Engine, container: &Container, signal: i32) -> Result<(), Failure> {
    match engine.containers.kill(&call(), container.id.as_str(), signal).await {
        Err(failure) if !matches!(failure.code, Code::Conflict | Code::NotFound) => Err(failure),
        _ => Ok(()),
    }
}
