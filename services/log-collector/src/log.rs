//! The owner of one log: its operations happen one after the other.

use crate::bounds::Bounds;
use crate::capture::Capture;
use crate::input::Input;
use crate::logs::no_log;
use crate::record::LogRecord;
use crate::recover::recover;
use crate::run::{Hold, Place, Run, Wait, hold, identify};
use crate::view::Phase;
use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, AtomicResponse, Context, Handler, Message, ResponseActFuture, WrapFuture,
};
use schema::log_collector::LogSpec;
use schema::{Code, Failure};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// When to try again to take hold of a run that is there.
const RETRY: Duration = Duration::from_secs(1);
/// How long a run that is to be captured may not be ours to open yet, and how often that is looked at.
const OURS_WITHIN: Duration = Duration::from_secs(15);
const OURS_INTERVAL: Duration = Duration::from_millis(20);
/// The ending of a directory that is being removed.
pub(crate) const REMOVED: &str = "removed";

/// The actor.
#[derive(Debug)]
pub(crate) struct Log {
    place: Place,
    capture: Capture,
    record: Option<LogRecord>,
    /// The run of the record is captured, or has ended.
    settled: bool,
    input: Option<Addr<Input>>,
    /// Who asked for the input before the run was taken hold of.
    asked: Vec<oneshot::Sender<()>>,
}

/// Begins to capture a run. Answers its first position.
#[derive(Message)]
#[rtype(result = "Result<u64, Failure>")]
pub(crate) struct Open {
    /// Of which sandbox, and how.
    pub(crate) spec: LogSpec,
}

/// Forgets everything.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Remove;

/// Asks for the labels of the container.
#[derive(Message)]
#[rtype(result = "Result<Vec<String>, Failure>")]
pub(crate) struct Labels;

/// Asks for the owner of the container's stdin.
#[derive(Message)]
#[rtype(result = "Result<Addr<Input>, Failure>")]
pub(crate) struct Stdin;

impl Log {
    /// A log of which nothing is known yet.
    pub(crate) fn new(place: Place, capture: Capture) -> Self {
        Self { place, capture, record: None, settled: false, input: None, asked: Vec::new() }
    }

    /// A log that was found at the start. Needs the main loop.
    pub(crate) fn found(place: Place, capture: Capture, record: Option<LogRecord>, hold: Option<Hold>) -> Self {
        let mut log = Self { settled: record.is_none(), record, ..Self::new(place, capture) };
        if let Some(hold) = hold {
            log.settle(hold);
        }
        log
    }

    /// What the attempt to take hold of the run has changed.
    fn settle(&mut self, hold: Hold) {
        match hold {
            Hold::Taken(run) => {
                let input = open_input(&self.place, &run).unwrap_or_else(|failure| {
                    tracing::error!(%failure, id = %self.place.id, "this container takes no input any more");
                    None
                });
                self.follow(run, input);
            }
            Hold::Gone => self.be_settled(),
            Hold::Busy => {}
        }
    }

    /// It is known what there is of the run: whoever waited for that goes on.
    fn be_settled(&mut self) {
        self.settled = true;
        self.asked.clear();
    }

    /// Captures the run, and carries its input.
    fn follow(&mut self, run: Box<Run>, input: Option<Input>) {
        self.input = input.map(Actor::start);
        self.record = Some(run.record.clone());
        self.be_settled();
        self.capture.add(run);
    }

    /// Waits for the monitor to let go of the run that the record describes, and takes hold of it.
    fn wait_for_run(&mut self, ctx: &mut Context<Self>) {
        let Some(mut record) = self.record.clone().filter(|_| !self.settled) else { return };
        let place = self.place.clone();
        let work = blocking(move || {
            let outcome = take_hold(&place, &mut record, Wait::Yes);
            Ok((record, outcome))
        });
        ctx.wait(work.into_actor(self).map(|done, this, ctx| {
            let outcome = done.and_then(|(record, outcome)| {
                this.record = Some(record);
                outcome
            });
            match outcome {
                Ok(hold) => this.settle(hold),
                Err(failure) => {
                    tracing::error!(%failure, id = %this.place.id, "cannot capture, trying again");
                    ctx.run_later(RETRY, |this, ctx| this.wait_for_run(ctx));
                }
            }
        }));
    }
}

/// The owner of the run's stdin, if it has one. Needs the main loop.
fn open_input(place: &Place, run: &Run) -> Result<Option<Input>, Failure> {
    let spec = &run.record.spec;
    if !spec.open_stdin || run.is_drained() {
        return Ok(None);
    }
    Input::open(place.id.clone(), place.shared.clone(), &spec.directory).map(Some)
}

/// Takes hold of a run; a sandbox that is gone leaves a log whose end is recorded. Blocks.
pub(crate) fn take_hold(place: &Place, record: &mut LogRecord, wait: Wait) -> Result<Hold, Failure> {
    let outcome = hold(place, record, wait)?;
    if matches!(outcome, Hold::Gone) {
        show(place, Phase::Ended)?;
        record.ended = true;
        place.put(record)?;
    }
    Ok(outcome)
}

/// Shows readers what is in the files of a log that nobody writes. Blocks.
pub(crate) fn show(place: &Place, phase: Phase) -> Result<(), Failure> {
    recover(&place.shared, Bounds::default(), None)
        .map_err(|error| Failure::io(format_args!("reading the log of {}", place.id), &error))?;
    place.shared.enter(phase);
    Ok(())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Failure::internal(format_args!("a thread ended: {error}"))))
}

/// What `open` does away from the main loop.
struct Opening {
    place: Place,
    capture: Capture,
    settled: bool,
    spec: LogSpec,
}

/// A run that is about to be captured, and its stdin.
type Begun = (Box<Run>, Option<Input>);

impl Opening {
    /// The first position of the run, and the run itself if it is not captured yet. `record` becomes what is
    /// recorded, also if this fails. A sandbox that is not ours to open yet is waited for.
    async fn work(self, record: &mut Option<LogRecord>) -> Result<(u64, Option<Begun>), Failure> {
        Bounds::of(&self.spec)?;
        let deadline = Instant::now() + OURS_WITHIN;
        loop {
            match self.attempt(record).await {
                Err(failure) if failure.code == Code::PermissionDenied && Instant::now() < deadline => {
                    tracing::debug!(%failure, id = %self.place.id, "waiting for a sandbox to be ours");
                    tokio::time::sleep(OURS_INTERVAL).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn attempt(&self, record: &mut Option<LogRecord>) -> Result<(u64, Option<Begun>), Failure> {
        let Self { place, capture, settled, spec } = self;
        let spec = spec.clone();
        let earlier = record.clone();
        let (next, held) = match earlier {
            // Of a log that is new, nothing is captured.
            None => {
                let place = place.clone();
                blocking(move || {
                    let sandbox = identify(&spec)?;
                    take(&place, None, LogRecord::of(spec, sandbox, None))
                })
                .await?
            }
            Some(earlier) => {
                let sandbox = {
                    let spec = spec.clone();
                    blocking(move || identify(&spec)).await?
                };
                let known = (earlier.sandbox == sandbox).then(|| earlier.clone());
                if let Some(known) = &known
                    && *settled
                {
                    return Ok((known.first, None));
                }
                // A run that was cut short: its sandbox is not the container's any more.
                capture.release(&place.id).await;
                let place = place.clone();
                blocking(move || take(&place, known, LogRecord::of(spec, sandbox, Some(&earlier)))).await?
            }
        };
        let first = next.first;
        *record = Some(next);
        match held? {
            Hold::Taken(run) => {
                let input = open_input(place, &run)?;
                Ok((first, Some((run, input))))
            }
            Hold::Gone | Hold::Busy => {
                let id = place.id.short();
                Err(Failure::not_found(format_args!("the sandbox of {id} is gone")).hint("prepare it again"))
            }
        }
    }
}

/// Takes hold of a run that is known, or of a new one, which is recorded first. Answers what is recorded. Blocks.
fn take(
    place: &Place,
    known: Option<LogRecord>,
    new: LogRecord,
) -> Result<(LogRecord, Result<Hold, Failure>), Failure> {
    let mut record = known.map_or_else(|| begin(place, new), Ok)?;
    let held = hold(place, &mut record, Wait::Yes);
    Ok((record, held))
}

/// Records a run that begins where the log ends. Blocks.
fn begin(place: &Place, record: LogRecord) -> Result<LogRecord, Failure> {
    let record = LogRecord { first: end_of(place)?, ..record };
    place.put(&record)?;
    Ok(record)
}

/// Makes a log's directory, if there is none; answers where the log ends. Blocks.
fn end_of(place: &Place) -> Result<u64, Failure> {
    let failed = |error: io::Error| Failure::io(format_args!("opening the log of {}", place.id), &error);
    match fs::create_dir(place.shared.files.directory()) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    Ok(recover(&place.shared, Bounds::default(), None).map_err(failed)?.end)
}

/// Removes a log. After the first step it is not one any more, and the next start finishes what is left. Blocks.
pub(crate) fn remove(place: &Place) -> Result<(), Failure> {
    let directory = place.shared.files.directory();
    let failed = |error: io::Error| Failure::io(format_args!("removing the log of {}", place.id), &error);
    let doomed: PathBuf = directory.with_extension(REMOVED);
    let absent = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    fs::rename(directory, &doomed).or_else(|error| if absent(&error) { Ok(()) } else { Err(error) }).map_err(failed)?;
    // Back after a power cut, it is that of a container that nobody knows, and goes again.
    place.store.drop_record(place.id.as_str())?;
    fs::remove_dir_all(&doomed).or_else(|error| if absent(&error) { Ok(()) } else { Err(error) }).map_err(failed)
}

impl Actor for Log {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.wait_for_run(ctx);
    }
}

impl Handler<Open> for Log {
    type Result = AtomicResponse<Self, Result<u64, Failure>>;

    fn handle(&mut self, Open { spec }: Open, _: &mut Context<Self>) -> Self::Result {
        let opening = Opening { place: self.place.clone(), capture: self.capture.clone(), settled: self.settled, spec };
        let mut record = self.record.clone();
        let work = async move {
            let outcome = opening.work(&mut record).await;
            (record, outcome)
        };
        AtomicResponse::new(Box::pin(work.into_actor(self).map(|(record, outcome), this, ctx| {
            this.settled &= this.record == record;
            this.record = record;
            let (first, begun) = outcome.inspect_err(|_| {
                // Readers wait for the end of this run: it must not depend on the caller to come again.
                ctx.run_later(RETRY, |this, ctx| this.wait_for_run(ctx));
            })?;
            if let Some((run, input)) = begun {
                this.follow(run, input);
            }
            Ok(first)
        })))
    }
}

impl Handler<Remove> for Log {
    type Result = AtomicResponse<Self, Result<(), Failure>>;

    fn handle(&mut self, _: Remove, _: &mut Context<Self>) -> Self::Result {
        let (place, capture) = (self.place.clone(), self.capture.clone());
        (self.record, self.settled, self.input) = (None, false, None);
        self.asked.clear();
        // Of a run that has ended, no thread holds anything: to ask each would wake three.
        let has_ended = place.shared.view().phase == Phase::Ended;
        let work = async move {
            place.shared.enter(Phase::Removed);
            if !has_ended {
                capture.release(&place.id).await;
            }
            blocking(move || remove(&place)).await
        };
        AtomicResponse::new(Box::pin(work.into_actor(self)))
    }
}

impl Handler<Labels> for Log {
    type Result = Result<Vec<String>, Failure>;

    fn handle(&mut self, _: Labels, _: &mut Context<Self>) -> Self::Result {
        let record = self.record.as_ref().ok_or_else(|| no_log(&self.place.id))?;
        Ok(record.spec.labels.clone())
    }
}

impl Handler<Stdin> for Log {
    type Result = ResponseActFuture<Self, Result<Addr<Input>, Failure>>;

    fn handle(&mut self, _: Stdin, _: &mut Context<Self>) -> Self::Result {
        // Of a run that cannot be taken hold of yet, nobody knows whether it takes input.
        let is_settled = self.settled || !self.record.as_ref().is_some_and(|record| record.spec.open_stdin);
        let (asked, settled) = oneshot::channel();
        if !is_settled {
            self.asked.push(asked);
        }
        Box::pin(
            async move {
                if !is_settled {
                    // An error means that it is.
                    let _ = settled.await;
                }
            }
            .into_actor(self)
            .map(|(), this, _| this.stdin()),
        )
    }
}

impl Log {
    fn stdin(&self) -> Result<Addr<Input>, Failure> {
        let id = self.place.id.short();
        match (&self.record, &self.input) {
            (None, _) => Err(Failure::not_found(format_args!("no log of container {id}"))),
            (Some(_), Some(input)) => Ok(input.clone()),
            (Some(record), None) if !record.spec.open_stdin => {
                Err(Failure::conflict(format_args!("container {id} runs without stdin"))
                    .hint("start it with `cctl run -i` to attach its input"))
            }
            (Some(_), None) => Err(Failure::conflict(format_args!("container {id} takes no input any more"))),
        }
    }
}
