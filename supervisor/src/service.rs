//! The actor of one service: carries out what its life cycle wants.

use crate::audit::Grant;
use crate::launch::{Launched, Launcher, Plan};
use crate::lifecycle::{Action, Lifecycle};
use crate::manifest::Definition;
use crate::notify::{Inbox, Notice};
use crate::program::{Child, abandon, describe};
use crate::trial::{PROBATION, Trial};
use crate::{ownership, predecessor, silence};
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, SpawnHandle, WrapFuture};
use kit::actor::on_thread;
use kit::users::User;
use kit::{Watched, watch};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use schema::calls::Count;
use schema::supervisor::{MethodCalls, ServiceCalls, ServiceStatus, State, Usage};
use schema::{Failure, Instance};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

/// Before the end of the predecessor is asked for again, if that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// One service: its state, and its process if there is one.
pub(crate) struct Service {
    launcher: Launcher,
    lifecycle: Lifecycle,
    inbox: Rc<Inbox>,
    process: Option<Process>,
    alarm: Option<SpawnHandle>,
    waiting_for_ready: Vec<oneshot::Sender<Result<(), Failure>>>,
    waiting_for_stop: Vec<oneshot::Sender<()>>,
    trial: Option<Trial>,
    waiting_for_trial: Vec<oneshot::Sender<Result<(), Failure>>>,
    /// Why a trial has failed: told when the program of before is ready again.
    failed_trial: Option<Failure>,
}

struct Process {
    pid: Pid,
    pidfd: Rc<AsyncFd<Watched>>,
    /// The version of Landlock by whose rules it lives; 0: none.
    landlock: u32,
    started: Instant,
    /// What it was called for, as it tells it.
    calls: BTreeMap<String, Count>,
    connections: u32,
}

/// Methods of one service that are counted: many more than any of ours has.
const METHODS: usize = 256;

impl Service {
    /// A service that is started as soon as the actor runs.
    pub(crate) fn new(launcher: Launcher) -> Result<Self, Failure> {
        let inbox = Rc::new(Inbox::open(&launcher.instance, &launcher.plan.definition.name)?);
        let lifecycle = Lifecycle::new(&launcher.plan.definition);
        Ok(Self {
            launcher,
            lifecycle,
            inbox,
            process: None,
            alarm: None,
            waiting_for_ready: Vec::new(),
            waiting_for_stop: Vec::new(),
            trial: None,
            waiting_for_trial: Vec::new(),
            failed_trial: None,
        })
    }

    fn name(&self) -> &str {
        &self.launcher.plan.definition.name
    }

    /// Does what the life cycle wants, and whatever follows from it.
    fn follow(&mut self, mut wanted: Option<Action>, context: &mut Context<Self>) {
        while let Some(action) = wanted.take() {
            match action {
                Action::Start => wanted = self.start(context),
                Action::Kill => self.kill(),
            }
        }
        self.set_alarm(context);
        self.answer();
    }

    fn start(&mut self, context: &mut Context<Self>) -> Option<Action> {
        if let Some(trial) = &mut self.trial {
            trial.starts();
        }
        match self.launcher.launch().and_then(|launched| self.adopt(launched, context)) {
            Ok(()) => None,
            Err(error) => self.has_ended(format!("cannot be started: {error}")),
        }
    }

    fn adopt(&mut self, launched: Launched, context: &mut Context<Self>) -> io::Result<()> {
        let Launched { child: Child { pid, pidfd }, cage, landlock } = launched;
        tracing::info!(service = self.name(), pid = pid.as_raw_nonzero(), "started");
        let pidfd = Rc::new(watch(pidfd, Interest::READABLE).inspect_err(|_| abandon(pid))?);
        self.process = Some(Process {
            pid,
            pidfd: Rc::clone(&pidfd),
            landlock,
            started: Instant::now(),
            calls: BTreeMap::new(),
            connections: 0,
        });
        context.spawn(end_of(pidfd).into_actor(self).map(move |how, service, context| {
            service.process = None;
            let how = if cage.ran_out_of_memory() { format!("{how}: out of memory") } else { how };
            let wanted = service.has_ended(how);
            service.follow(wanted, context);
        }));
        Ok(())
    }

    fn kill(&self) {
        if let Some(process) = &self.process
            && let Err(error) = pidfd_send_signal(process.pidfd.as_fd(), Signal::KILL)
        {
            tracing::error!(service = self.name(), %error, "cannot be killed");
        }
    }

    fn has_ended(&mut self, how: String) -> Option<Action> {
        let wanted = self.lifecycle.ended(how, Instant::now());
        let (service, why) = (self.name(), self.lifecycle.last_error());
        match self.lifecycle.shown() {
            State::Failed => tracing::error!(service, why, "given up: it fails to start again and again"),
            _ if self.lifecycle.is_stopped() => tracing::info!(service, "ended"),
            _ => tracing::warn!(service, why, "ended"),
        }
        if self.trial.as_mut().is_some_and(|trial| trial.ended(Instant::now())) {
            self.end_trial(wanted)
        } else {
            wanted
        }
    }

    /// The program on trial is no good: the one of before comes back. The life cycle wants this now.
    fn end_trial(&mut self, wanted: Option<Action>) -> Option<Action> {
        let Some(trial) = self.trial.take() else { return wanted };
        let (service, why) = (self.name().to_owned(), self.lifecycle.last_error().to_owned());
        tracing::error!(service, why, "what is new is no good: what was before comes back");
        let what = if trial.plan.definition == trial.previous.definition { "program" } else { "definition" };
        self.run_by(trial.previous);
        let failure = Failure::unavailable(format_args!(
            "{service} does not run with the new {what}: it {why}; the {what} of before is back"
        ));
        self.failed_trial = Some(failure.hint(format_args!("see {}", self.launcher.instance.log(&service).display())));
        // It starts the next process at once, or after a pause that is not this program's.
        wanted.or_else(|| self.lifecycle.restart("the new program was no good", Instant::now()))
    }

    fn run_by(&mut self, plan: Plan) {
        self.lifecycle.redefine(&plan.definition);
        self.launcher.plan = plan;
    }

    /// Begins a trial, or waits for the one that is going on of the same.
    fn try_out(&mut self, plan: Plan, why: &str, context: &mut Context<Self>) -> ResponseFuture<Result<(), Failure>> {
        let (sender, receiver) = oneshot::channel();
        match &self.trial {
            // Asked again, after a lost answer.
            Some(trial) if trial.plan == plan => self.waiting_for_trial.push(sender),
            None if self.failed_trial.is_none() && !self.lifecycle.is_stopping() => {
                self.trial = Some(Trial::new(plan.clone(), self.launcher.plan.clone(), Instant::now()));
                self.run_by(plan);
                self.waiting_for_trial.push(sender);
                let wanted = self.lifecycle.restart(why, Instant::now());
                self.follow(wanted, context);
            }
            _ => {
                let name = self.name();
                let busy = Failure::conflict(format_args!("{name} is being replaced or stopped by somebody else"));
                return Box::pin(async { Err(busy.hint("try again in a moment")) });
            }
        }
        Box::pin(async {
            receiver.await.unwrap_or_else(|_| Err(Failure::internal("the service's actor has forgotten the trial")))
        })
    }

    /// Believes the program on trial when the process that is ready now has been so for long enough.
    fn watch_trial(&mut self, context: &mut Context<Self>) {
        let Some(pid) = self.process.as_ref().filter(|_| self.trial.is_some()).map(|process| process.pid) else {
            return;
        };
        context.run_later(PROBATION, move |service, _| {
            let serves = service.lifecycle.shown() == State::Ready
                && service.process.as_ref().is_some_and(|process| process.pid == pid);
            if serves && let Some(trial) = service.trial.take() {
                tracing::info!(service = service.name(), program = ?trial.plan.foreign(), "what is new serves");
                for waiting in service.waiting_for_trial.drain(..) {
                    let _ = waiting.send(Ok(()));
                }
            }
        });
    }

    fn set_alarm(&mut self, context: &mut Context<Self>) {
        if let Some(alarm) = self.alarm.take() {
            context.cancel_future(alarm);
        }
        let Some(deadline) = self.lifecycle.deadline() else { return };
        let left = deadline.saturating_duration_since(Instant::now());
        self.alarm = Some(context.run_later(left, |service, context| {
            service.alarm = None;
            let look = service.process.as_ref().and_then(|process| silence::look(process.pid).ok());
            let wanted = service.lifecycle.tick(Instant::now(), look);
            service.follow(wanted, context);
        }));
    }

    /// Tells those who wait what they wait for.
    fn answer(&mut self) {
        let name = &self.launcher.plan.definition.name;
        let outcome = match self.lifecycle.shown() {
            State::Ready => Some(Ok(())),
            State::Failed => {
                Some(Err(Failure::unavailable(format_args!("{name} was given up: {}", self.lifecycle.last_error()))
                    .hint(format_args!("see {}", self.launcher.instance.log(name).display()))))
            }
            _ if self.lifecycle.is_stopping() => Some(Err(Failure::conflict("cctl is being stopped"))),
            _ => None,
        };
        if let Some(outcome) = outcome {
            for waiting in self.waiting_for_ready.drain(..) {
                // Whoever does not wait any more needs no answer.
                let _ = waiting.send(outcome.clone());
            }
        }
        if self.lifecycle.is_stopping() && self.trial.take().is_some() {
            self.failed_trial = Some(Failure::conflict("cctl is being stopped"));
        }
        let settled = self.lifecycle.is_stopping() || matches!(self.lifecycle.shown(), State::Ready | State::Failed);
        if settled && let Some(failure) = self.failed_trial.take() {
            for waiting in self.waiting_for_trial.drain(..) {
                let _ = waiting.send(Err(failure.clone()));
            }
        }
        if self.lifecycle.is_stopped() {
            for waiting in self.waiting_for_stop.drain(..) {
                let _ = waiting.send(());
            }
        }
    }

    fn heard(&mut self, sender: Option<Pid>, notice: Notice, context: &mut Context<Self>) {
        // A child of the service, or a message of a process that is gone, says nothing about this one.
        let Some(process) = self.process.as_mut().filter(|process| Some(process.pid) == sender) else { return };
        process.count(notice.connections, notice.calls);
        if !notice.ready && !notice.alive {
            return;
        }
        let (now, usage) = (Instant::now(), silence::usage(process.pid));
        if notice.ready {
            tracing::info!(service = self.name(), "ready");
            self.lifecycle.ready(now, usage);
            self.watch_trial(context);
        }
        if notice.alive {
            self.lifecycle.alive(now, usage);
        }
        self.follow(None, context);
    }
}

impl Process {
    /// Notes what it tells of calls.
    fn count(&mut self, connections: Option<u32>, calls: Vec<(String, Count)>) {
        self.connections = connections.unwrap_or(self.connections);
        for (method, count) in calls {
            if self.calls.len() < METHODS || self.calls.contains_key(&method) {
                self.calls.insert(method, count);
            }
        }
    }
}

impl Actor for Service {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let inbox = Rc::clone(&self.inbox);
        let address = context.address();
        actix::spawn(async move {
            loop {
                match inbox.receive().await {
                    Ok((sender, notice)) => address.do_send(Heard(sender, notice)),
                    Err(error) => {
                        tracing::warn!(%error, "cannot receive notifications");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        });
        let (instance, name) = (self.launcher.instance.clone(), self.name().to_owned());
        let user = self.launcher.user().unwrap_or(User::ROOT);
        context.spawn(make_ready(instance, name, user).into_actor(self).map(|(), service, context| {
            let wanted = service.lifecycle.ended(String::new(), Instant::now());
            service.follow(wanted, context);
        }));
    }
}

/// Before the first process of a service.
async fn make_ready(instance: Instance, service: String, user: User) {
    end_predecessor(instance.clone(), service.clone()).await;
    let name = service.clone();
    let given = on_thread(move || {
        ownership::give_state(&instance, &name, user)
            .map_err(|error| Failure::io(format_args!("giving the state of {name} to its user"), &error))
    });
    if let Err(failure) = given.await {
        tracing::error!(service, %failure, "the service may not be able to work on its state");
    }
}

/// Two processes of one service must not be: there is no giving up.
async fn end_predecessor(instance: Instance, service: String) {
    while let Err(error) = predecessor::end(&instance, &service).await {
        tracing::error!(service, %error, "cannot end the predecessor");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits for the end of a child, and reaps it.
async fn end_of(pidfd: Rc<AsyncFd<Watched>>) -> String {
    loop {
        match pidfd.readable().await {
            Ok(mut ready) => ready.clear_ready(),
            Err(error) => return format!("cannot be watched: {error}"),
        }
        match waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
            Ok(Some(status)) => return describe(status.exit_status(), status.terminating_signal()),
            Ok(None) => {}
            Err(error) => return format!("ended, its status is unknown: {error}"),
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Heard(Option<Pid>, Notice);

impl Handler<Heard> for Service {
    type Result = ();

    fn handle(&mut self, Heard(sender, notice): Heard, context: &mut Self::Context) {
        self.heard(sender, notice, context);
    }
}

/// How is it? What it uses is left for the asker to look up.
#[derive(Message)]
#[rtype(result = "Result<ServiceStatus, Failure>")]
pub(crate) struct Query;

impl Handler<Query> for Service {
    type Result = Result<ServiceStatus, Failure>;

    fn handle(&mut self, _: Query, _: &mut Self::Context) -> Self::Result {
        let process = self.process.as_ref();
        let uptime = process.map(|process| process.started.elapsed()).unwrap_or_default();
        Ok(ServiceStatus {
            service: self.name().to_owned(),
            pid: process.map_or(0, |process| process.pid.as_raw_nonzero().get()),
            state: self.lifecycle.shown(),
            restarts: self.lifecycle.restarts(),
            uptime_ms: u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX),
            memory: 0,
            last_error: self.lifecycle.last_error().to_owned(),
            executable: self.launcher.plan.foreign().map(|path| path.display().to_string()).unwrap_or_default(),
            usage: Usage::default(),
        })
    }
}

/// What was its process called for, if there is one?
#[derive(Message)]
#[rtype(result = "Result<Option<ServiceCalls>, Failure>")]
pub(crate) struct Calls;

impl Handler<Calls> for Service {
    type Result = Result<Option<ServiceCalls>, Failure>;

    fn handle(&mut self, _: Calls, _: &mut Context<Self>) -> Self::Result {
        Ok(self.process.as_ref().map(|process| ServiceCalls {
            service: self.name().to_owned(),
            connections: process.connections,
            methods: process
                .calls
                .iter()
                .map(|(method, count)| MethodCalls { method: method.clone(), count: *count })
                .collect(),
        }))
    }
}

/// Its process, if there is one, and what the manifest leaves to that.
#[derive(Message)]
#[rtype(result = "Result<Option<(i32, Grant)>, Failure>")]
pub(crate) struct Granted;

impl Handler<Granted> for Service {
    type Result = Result<Option<(i32, Grant)>, Failure>;

    fn handle(&mut self, _: Granted, _: &mut Self::Context) -> Self::Result {
        let process = self.process.as_ref();
        Ok(process.map(|process| (process.pid.as_raw_nonzero().get(), Grant::of(&self.launcher, process.landlock))))
    }
}

/// Start a new process; answered when it is ready. If the service is defined in another way now, that is tried: answered
/// when it has served for a moment, or when what was before serves again.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Restart(pub(crate) Definition);

impl Handler<Restart> for Service {
    type Result = ResponseFuture<Result<(), Failure>>;

    fn handle(&mut self, Restart(definition): Restart, context: &mut Self::Context) -> Self::Result {
        let on_trial = self.trial.as_ref().is_some_and(|trial| trial.previous.definition != trial.plan.definition);
        if on_trial || definition != self.launcher.plan.definition {
            let plan = Plan { definition, ..self.launcher.plan.clone() };
            return self.try_out(plan, "it was defined in another way", context);
        }
        let (sender, receiver) = oneshot::channel();
        let wanted = self.lifecycle.restart("a restart was asked for", Instant::now());
        self.waiting_for_ready.push(sender);
        self.follow(wanted, context);
        Box::pin(async {
            receiver.await.unwrap_or_else(|_| Err(Failure::internal("the service's actor has forgotten the restart")))
        })
    }
}

/// Try a program (none: the installed one) as the service; answered when it has served for a moment, or when the one
/// of before serves again.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Try(pub(crate) Option<PathBuf>);

impl Handler<Try> for Service {
    type Result = ResponseFuture<Result<(), Failure>>;

    fn handle(&mut self, Try(replacement): Try, context: &mut Self::Context) -> Self::Result {
        let plan = Plan { replacement, ..self.launcher.plan.clone() };
        self.try_out(plan, "its program was replaced", context)
    }
}

/// End the process, and start none any more; answered when there is none.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Stop;

impl Handler<Stop> for Service {
    type Result = ResponseFuture<Result<(), Failure>>;

    fn handle(&mut self, _: Stop, context: &mut Self::Context) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        let wanted = self.lifecycle.stop();
        self.waiting_for_stop.push(sender);
        self.follow(wanted, context);
        Box::pin(async { receiver.await.map_err(|_| Failure::internal("the service's actor has forgotten the stop")) })
    }
}
