//! The owner of a container's stdin: one piece at a time, in the order in which the clients sent them.

use super::journal::{Journal, Refused, Step};
use super::messages::{Attach, Close, Detach, Write};
use super::pipes::{Drained, LARGEST_WRITE, Pipes};
use crate::view::{Phase, Shared};
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, ResponseFuture, SpawnHandle, WrapFuture};
use schema::{ContainerId, Failure};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a session whose client is gone may be opened again.
const GRACE: Duration = Duration::from_secs(2);
/// When to try again what the system refused.
const RETRY: Duration = Duration::from_secs(1);
/// Writes that wait for their turn: with their size, it bounds the memory.
const WAITING: usize = 64;

/// The actor.
#[derive(Debug)]
pub(crate) struct Input {
    id: ContainerId,
    shared: Arc<Shared>,
    journal: Journal,
    /// The journal says more than its file does. Nothing may happen before that is mended.
    dirty: bool,
    /// None: the container has ended, or reads its stdin no more.
    pipes: Option<Rc<Pipes>>,
    /// The monitor was told that stdin is closed.
    told: bool,
    /// The session of each capability that clients hold.
    handles: HashMap<u64, String>,
    last_handle: u64,
    /// Sessions whose clients are gone and may come back, and what ends their time for that.
    missed: HashMap<String, SpawnHandle>,
    waiting: VecDeque<Job>,
    draining: Option<SpawnHandle>,
}

#[derive(Debug)]
struct Job {
    session: String,
    offset: u64,
    data: Vec<u8>,
    answer: oneshot::Sender<Result<u64, Failure>>,
}

impl Input {
    /// Goes on with the stdin of the sandbox in this directory. Needs the main loop.
    pub(crate) fn open(id: ContainerId, shared: Arc<Shared>, directory: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidData => Failure::corrupt(format_args!("journal of the input of {id}: {error}")),
            _ => Failure::io(format_args!("opening the stdin of {id}"), &error),
        };
        let (pipes, mut journal) = Pipes::open(directory).map_err(failed)?;
        let dirty = journal.is_filling();
        if dirty {
            // Nothing was taken out of the staging pipe: all that went in is there.
            journal.filled(pipes.staged().map_err(failed)?);
        }
        Ok(Self {
            shared,
            journal,
            dirty,
            pipes: Some(Rc::new(pipes)),
            told: false,
            handles: HashMap::new(),
            last_handle: 0,
            missed: HashMap::new(),
            waiting: VecDeque::new(),
            draining: None,
            id,
        })
    }

    /// Does the next thing that can be done, if nothing is under way.
    fn proceed(&mut self, ctx: &mut Context<Self>) {
        let Some(pipes) = self.pipes.clone().filter(|_| self.draining.is_none()) else { return };
        match self.advance(&pipes) {
            Ok(false) => {}
            Ok(true) => self.drain(pipes, ctx),
            Err(error) => {
                tracing::warn!(%error, id = %self.id, "cannot move input now");
                self.refuse_all(&Failure::io(format_args!("writing to the stdin of {}", self.id.short()), &error));
                ctx.run_later(RETRY, |this, ctx| this.proceed(ctx));
            }
        }
    }

    /// Answers whether the staging pipe holds something now.
    fn advance(&mut self, pipes: &Pipes) -> io::Result<bool> {
        if self.dirty {
            self.store(pipes)?;
        }
        if pipes.staged()? > 0 {
            return Ok(true);
        }
        while let Some(job) = self.waiting.pop_front() {
            if job.answer.is_closed() {
                continue;
            }
            match self.journal.step(&job.session, job.offset, job.data.len()) {
                Ok(Step::Known(total)) => drop(job.answer.send(Ok(total))),
                Err(refused) => drop(job.answer.send(Err(self.refusal(refused, &job.session)))),
                Ok(Step::New(from)) => {
                    let filled = self.fill(pipes, &job.session, &job.data[from..]);
                    self.waiting.push_front(job);
                    return filled.map(|()| true);
                }
            }
        }
        if self.journal.is_closed() && !self.told {
            pipes.close()?;
            self.told = true;
        }
        Ok(false)
    }

    /// Puts a piece into the staging pipe, between two entries in the journal.
    fn fill(&mut self, pipes: &Pipes, session: &str, piece: &[u8]) -> io::Result<()> {
        self.journal.fill(session);
        let filled = self.store(pipes).and_then(|()| pipes.fill(piece));
        self.journal.filled(pipes.staged()?);
        self.dirty = true;
        filled?;
        self.store(pipes)
    }

    fn store(&mut self, pipes: &Pipes) -> io::Result<()> {
        self.dirty = true;
        pipes.put(&self.journal)?;
        self.dirty = false;
        Ok(())
    }

    fn drain(&mut self, pipes: Rc<Pipes>, ctx: &mut Context<Self>) {
        let work = async move { pipes.drain().await }.into_actor(self).map(|drained, this, ctx| {
            this.draining = None;
            match drained {
                Ok(Drained::All) => this.proceed(ctx),
                Ok(Drained::NoReader) => this.let_go(),
                Err(error) => {
                    tracing::error!(%error, id = %this.id, "cannot move input to the container");
                    ctx.run_later(RETRY, |this, ctx| this.proceed(ctx));
                }
            }
        });
        self.draining = Some(ctx.spawn(work));
    }

    /// Nobody reads what is sent any more.
    fn let_go(&mut self) {
        self.pipes = None;
        self.refuse_all(&self.ended());
    }

    fn refuse_all(&mut self, failure: &Failure) {
        for job in self.waiting.drain(..) {
            let _ = job.answer.send(Err(failure.clone()));
        }
    }

    fn refusal(&self, refused: Refused, session: &str) -> Failure {
        let id = self.id.short();
        match refused {
            Refused::BadName => {
                Failure::invalid(format_args!("{session:?} is not an input session: 1 to 64 printable characters"))
            }
            Refused::TooMany => Failure::exhausted(format_args!("too many clients are attached to the stdin of {id}"))
                .hint("detach one of them"),
            Refused::Closed => Failure::conflict(format_args!("the stdin of container {id} was closed"))
                .hint("it ended with the client that it was opened for"),
            Refused::Ahead { accepted } => Failure::invalid(format_args!(
                "input session {session:?} of container {id} continues at {accepted}, not later"
            )),
            Refused::Unknown => {
                Failure::not_found(format_args!("input session {session:?} of container {id}")).hint("attach again")
            }
        }
    }

    fn ended(&self) -> Failure {
        Failure::conflict(format_args!("container {} has ended: it takes no input", self.id.short()))
    }

    fn is_held(&self, session: &str) -> bool {
        self.handles.values().any(|held| held == session)
    }

    fn is_once(&self, session: &str) -> bool {
        self.journal.once().any(|once| once == session)
    }

    /// Ends stdin if this session is not opened again in time, and its end is the end of stdin.
    fn expect_back(&mut self, session: String, ctx: &mut Context<Self>) {
        if !self.is_once(&session) || self.journal.is_closed() {
            return;
        }
        let name = session.clone();
        let timer = ctx.run_later(GRACE, move |this, ctx| {
            tracing::debug!(id = %this.id, session, "the client did not come back: stdin ends");
            this.missed.remove(&session);
            this.journal.close();
            this.dirty = true;
            this.proceed(ctx);
        });
        self.missed.insert(name, timer);
    }

    /// Ends everything when the run ends or the log is removed.
    fn watch_end(&self, ctx: &mut Context<Self>) {
        let mut view = self.shared.view.subscribe();
        let end = async move {
            let _ = view.wait_for(|view| view.phase != Phase::Running).await;
        };
        ctx.spawn(end.into_actor(self).map(|(), this, ctx| {
            this.let_go();
            if let Some(draining) = this.draining.take() {
                ctx.cancel_future(draining);
            }
        }));
    }

    /// Why this write cannot even wait for its turn.
    fn objection(&self, message: &Write) -> Option<Failure> {
        let length = message.data.len();
        if length > LARGEST_WRITE {
            Some(Failure::invalid(format_args!("{length} bytes of input at once: at most {LARGEST_WRITE}")))
        } else if self.pipes.is_none() {
            Some(self.ended())
        } else if self.waiting.len() >= WAITING {
            Some(Failure::exhausted(format_args!("too much input waits for container {}", self.id.short())))
        } else {
            None
        }
    }
}

impl Actor for Input {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.watch_end(ctx);
        let missing: Vec<String> = self.journal.once().map(str::to_owned).collect();
        missing.into_iter().for_each(|session| self.expect_back(session, ctx));
        self.proceed(ctx);
    }
}

impl Handler<Attach> for Input {
    type Result = Result<(u64, u64), Failure>;

    fn handle(&mut self, Attach { session, once }: Attach, ctx: &mut Context<Self>) -> Self::Result {
        let pipes = self.pipes.clone().ok_or_else(|| self.ended())?;
        let handles = &self.handles;
        let opened = self.journal.open(&session, once, |name| handles.values().any(|held| held == name));
        let accepted = opened.map_err(|refused| self.refusal(refused, &session))?;
        self.store(&pipes).map_err(|error| Failure::io(format_args!("attaching to {}", self.id.short()), &error))?;
        if let Some(timer) = self.missed.remove(&session) {
            ctx.cancel_future(timer);
        }
        self.last_handle += 1;
        self.handles.insert(self.last_handle, session);
        Ok((self.last_handle, accepted))
    }
}

impl Handler<Write> for Input {
    type Result = ResponseFuture<Result<u64, Failure>>;

    fn handle(&mut self, message: Write, ctx: &mut Context<Self>) -> Self::Result {
        if let Some(failure) = self.objection(&message) {
            return Box::pin(async { Err(failure) });
        }
        let Write { handle, offset, data } = message;
        let Some(session) = self.handles.get(&handle).cloned() else {
            let failure = self.refusal(Refused::Unknown, "");
            return Box::pin(async { Err(failure) });
        };
        let (answer, answered) = oneshot::channel();
        self.waiting.push_back(Job { session, offset, data, answer });
        self.proceed(ctx);
        let ended = self.ended();
        Box::pin(async move { answered.await.unwrap_or(Err(ended)) })
    }
}

impl Handler<Close> for Input {
    type Result = Result<(), Failure>;

    fn handle(&mut self, Close { handle }: Close, ctx: &mut Context<Self>) -> Self::Result {
        let Some(pipes) = self.pipes.clone() else { return Ok(()) };
        let ends_stdin = self.handles.get(&handle).is_some_and(|session| self.is_once(session));
        if !ends_stdin || self.journal.is_closed() {
            return Ok(());
        }
        // Answered as soon as it is certain; it happens when the container has read what was sent before.
        self.journal.close();
        self.store(&pipes)
            .map_err(|error| Failure::io(format_args!("closing stdin of {}", self.id.short()), &error))?;
        self.proceed(ctx);
        Ok(())
    }
}

impl Handler<Detach> for Input {
    type Result = ();

    fn handle(&mut self, Detach { handle }: Detach, ctx: &mut Context<Self>) {
        if let Some(session) = self.handles.remove(&handle)
            && !self.is_held(&session)
        {
            self.expect_back(session, ctx);
        }
    }
}
