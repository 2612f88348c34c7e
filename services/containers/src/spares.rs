//! Sandboxes that stand ready: made and connected to the network before anybody asked for them, so that a start has
//! less left to do. None if the machine's owner does not want any (`spares` in containers.toml).
//!
//! A spare has an id like a container. Whoever is about to create a container and start it is offered the id of one; the
//! container then finds its sandbox made. How many there are follows how many were asked for lately. After a restart of
//! this service nobody knows them any more, and they go the way of every sandbox without a container.

use crate::container::Parts;
use crate::ids::{Pool, Settings};
use crate::plan;
use crate::record::Record;
use crate::registry::{Registry, Reserve, Unreserve};
use crate::workers::{STEP, own_call};
use actix::prelude::*;
use futures::future::{LocalBoxFuture, Shared};
use kit::actor::{ask, on_thread};
use schema::containers::{ContainerSpec, UserMode};
use schema::executor::SandboxSpec;
use schema::network::{AttachSpec, Mode};
use schema::{ContainerId, Failure};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// How long an offer is kept.
const OFFERED: Duration = Duration::from_secs(10);
/// What was asked for so long ago says nothing of what will be.
const LATELY: Duration = Duration::from_secs(30);
/// How often spares that nobody wants any more are looked for.
const TIDY: Duration = Duration::from_secs(5);
/// How long after an offer the next one is made: the start that it was for has the machine to itself until then.
const LATER: Duration = Duration::from_millis(20);
/// How old what is known of the settings may be.
const SETTINGS: Duration = Duration::from_secs(1);
/// After a failure, none are made for so long.
const PAUSE: Duration = Duration::from_secs(10);

/// What distinguishes one spare from another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    /// Without its hostname, which is made of the id, and without its user ids.
    sandbox: SandboxSpec,
    private_users: bool,
    network: Mode,
}

impl Kind {
    /// What a container with this specification needs; none if that is not made ahead.
    fn wanted(spec: &ContainerSpec, pool: &Pool) -> Option<Self> {
        let ContainerSpec { hostname, network, ports, terminal, open_stdin, limits, security, users, .. } = spec;
        if !hostname.is_empty() || !ports.is_empty() || *network == Mode::Host {
            return None;
        }
        let sandbox = SandboxSpec {
            hostname: String::new(),
            host_network: false,
            terminal: *terminal,
            open_stdin: *open_stdin,
            limits: *limits,
            security: Box::new(security.clone()),
            ids: None,
        };
        let private_users = pool.resolve(*users, security.privileged) == UserMode::Private;
        Some(Self { sandbox, private_users, network: *network })
    }

    /// What a container has become that was created under the id of a spare.
    fn of(record: &Record) -> Self {
        let sandbox = SandboxSpec { hostname: String::new(), ids: None, ..record.sandbox() };
        let (network, private_users) = (record.container.spec.network, record.container.ids.is_some());
        Self { sandbox, private_users, network }
    }
}

/// One that stands ready.
struct Spare {
    id: ContainerId,
    kind: Kind,
}

/// Keeps the spares.
pub(crate) struct Spares {
    parts: Rc<Parts>,
    registry: Option<Addr<Registry>>,
    /// The oldest first.
    ready: VecDeque<Spare>,
    /// Those whose ids were given away, and until when nobody has started a container under them.
    offered: HashMap<ContainerId, (Kind, Instant)>,
    /// Those that are being made.
    making: Vec<Kind>,
    /// Those that are being removed.
    leaving: HashMap<ContainerId, Shared<LocalBoxFuture<'static, ()>>>,
    /// What was asked for lately.
    asked: VecDeque<(Instant, Kind)>,
    /// As they were read last, and when.
    settings: Option<(Instant, Settings)>,
    paused_until: Option<Instant>,
    is_closed: bool,
}

impl Spares {
    /// Without any, and without a registry: nothing is made before [`Connect`].
    pub(crate) fn new(parts: Rc<Parts>) -> Self {
        Self {
            parts,
            registry: None,
            ready: VecDeque::new(),
            offered: HashMap::new(),
            making: Vec::new(),
            leaving: HashMap::new(),
            asked: VecDeque::new(),
            settings: None,
            paused_until: None,
            is_closed: false,
        }
    }

    /// The id of one that stands ready, or of none.
    fn offer(
        &mut self,
        spec: &ContainerSpec,
        settings: &Settings,
        ctx: &mut Context<Self>,
    ) -> Result<ContainerId, Failure> {
        let wanted = Kind::wanted(spec, &settings.pool).filter(|_| settings.spares > 0);
        let Some(kind) = wanted else { return random() };
        self.forget_asked();
        self.asked.push_back((Instant::now(), kind.clone()));
        let taken = self.take(kind.clone());
        ctx.run_later(LATER, move |spares, ctx| spares.refill(&kind, ctx));
        taken.map_or_else(random, Ok)
    }

    /// Takes the id of one that stands ready.
    fn take(&mut self, kind: Kind) -> Option<ContainerId> {
        let found = self.ready.iter().position(|spare| spare.kind == kind)?;
        let spare = self.ready.remove(found)?;
        self.offered.insert(spare.id.clone(), (kind, Instant::now() + OFFERED));
        Some(spare.id)
    }

    fn forget_asked(&mut self) {
        let now = Instant::now();
        while self.asked.front().is_some_and(|(at, _)| now.duration_since(*at) > LATELY) {
            self.asked.pop_front();
        }
    }

    /// How many there may be at most.
    fn most(&self) -> usize {
        self.settings.map_or(0, |(_, settings)| settings.spares)
    }

    /// How many of a kind are wanted: as many as were asked for lately, as far as there is room.
    fn wanted(&self, kind: &Kind) -> usize {
        self.asked.iter().filter(|(_, other)| other == kind).count().min(self.most())
    }

    /// Makes what is missing of a kind.
    fn refill(&mut self, kind: &Kind, ctx: &mut Context<Self>) {
        let is_paused = self.paused_until.is_some_and(|until| Instant::now() < until);
        let Some(registry) = self.registry.clone().filter(|_| !is_paused && !self.is_closed) else { return };
        let there = |spares: &Self| {
            let ready = spares.ready.iter().filter(|spare| spare.kind == *kind).count();
            ready + spares.making.iter().filter(|other| *other == kind).count()
        };
        while there(self) < self.wanted(kind) {
            // Others are wanted less: they were not asked for just now.
            if self.ready.len() + self.making.len() >= self.most() {
                let Some(other) = self.ready.iter().position(|spare| spare.kind != *kind) else { return };
                let other = self.ready.remove(other);
                other.into_iter().for_each(|spare| self.remove(spare.id));
            }
            self.making.push(kind.clone());
            let work = make(Rc::clone(&self.parts), registry.clone(), kind.clone());
            let kind = kind.clone();
            ctx.spawn(work.into_actor(self).map(move |made, spares, _| spares.made(kind, made)));
        }
    }

    fn made(&mut self, kind: Kind, made: Result<ContainerId, Failure>) {
        if let Some(place) = self.making.iter().position(|other| *other == kind) {
            self.making.swap_remove(place);
        }
        match made {
            Ok(id) if self.is_closed => self.remove(id),
            Ok(id) => self.ready.push_back(Spare { id, kind }),
            Err(failure) => {
                tracing::warn!(%failure, "cannot make a sandbox ahead");
                self.paused_until = Some(Instant::now() + PAUSE);
            }
        }
    }

    /// Removes one that nobody uses.
    fn remove(&mut self, id: ContainerId) {
        use futures::FutureExt;
        let Some(registry) = self.registry.clone() else { return };
        let gone = unmake(Rc::clone(&self.parts), registry, id.clone()).boxed_local().shared();
        self.leaving.retain(|_, going| going.peek().is_none());
        self.leaving.insert(id, gone.clone());
        actix::spawn(gone);
    }

    fn tidy(&mut self) {
        self.forget_asked();
        let now = Instant::now();
        let expired = |(_, until): &(Kind, Instant)| *until < now;
        let late: Vec<_> = self.offered.iter().filter(|(_, offer)| expired(offer)).map(|(id, _)| id.clone()).collect();
        for id in late {
            self.offered.remove(&id);
            self.remove(id);
        }
        let mut kept = VecDeque::new();
        for spare in std::mem::take(&mut self.ready) {
            let alike = kept.iter().filter(|other: &&Spare| other.kind == spare.kind).count();
            if alike < self.wanted(&spare.kind) { kept.push_back(spare) } else { self.remove(spare.id) }
        }
        self.ready = kept;
    }
}

impl Actor for Spares {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(TIDY, |spares, _| spares.tidy());
    }
}

/// Makes one; or nothing.
async fn make(parts: Rc<Parts>, registry: Addr<Registry>, kind: Kind) -> Result<ContainerId, Failure> {
    let id = random()?;
    let source = parts.ids.clone();
    let pool = on_thread(move || source.read()).await?.pool;
    let ids = ask(&registry, Reserve(id.clone(), kind.private_users.then_some(pool))).await?;
    let made = fill(&parts, &id, SandboxSpec { hostname: id.short().to_owned(), ids, ..kind.sandbox }, kind.network);
    match made.await {
        Ok(()) => Ok(id),
        Err(failure) => {
            unmake(parts, registry, id).await;
            Err(failure)
        }
    }
}

async fn fill(parts: &Parts, id: &ContainerId, spec: SandboxSpec, network: Mode) -> Result<(), Failure> {
    parts.gate.pass(STEP).await?;
    let call = own_call();
    let prepared = parts.workers.executor.prepare(&call, id, &spec).await?;
    let attach = AttachSpec { mode: network, ports: Vec::new() };
    parts.workers.network.attach(&call, id, &prepared.sandbox, &attach).await.map(drop)
}

/// Removes one. What is left after a failure is removed when this service starts.
async fn unmake(parts: Rc<Parts>, registry: Addr<Registry>, id: ContainerId) {
    if let Err(failure) = plan::clean(&parts.workers, &id).await {
        tracing::warn!(%failure, id = id.short(), "cannot remove a sandbox that was made ahead");
    }
    registry.do_send(Unreserve(id));
}

fn random() -> Result<ContainerId, Failure> {
    let mut bytes = [0; 32];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| Failure::io("reading random bytes", &error.into()))?;
    Ok(ContainerId::from_bytes(bytes))
}

/// The registry, which has the user ids.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Connect(pub(crate) Addr<Registry>);

/// An id for a container that is about to be created and started.
#[derive(Message)]
#[rtype(result = "Result<ContainerId, Failure>")]
pub(crate) struct Take(pub(crate) ContainerSpec);

/// A container is about to be started, perhaps under the id of a spare. Answered when its sandbox is the right one, or
/// none.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Claim(pub(crate) Record);

/// Remove all, and make no more.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Close;

impl Handler<Connect> for Spares {
    type Result = ();

    fn handle(&mut self, Connect(registry): Connect, _: &mut Context<Self>) {
        self.registry = Some(registry);
    }
}

impl Handler<Take> for Spares {
    type Result = ResponseActFuture<Self, Result<ContainerId, Failure>>;

    fn handle(&mut self, Take(spec): Take, _: &mut Context<Self>) -> Self::Result {
        let known = self.settings.filter(|(read, _)| read.elapsed() < SETTINGS);
        let source = self.parts.ids.clone();
        let settings = async move {
            match known {
                Some(known) => Ok(known),
                None => Ok((Instant::now(), on_thread(move || source.read()).await?)),
            }
        };
        Box::pin(settings.into_actor(self).map(move |settings: Result<_, Failure>, spares, ctx| {
            let settings = settings?;
            spares.settings = Some(settings);
            spares.offer(&spec, &settings.1, ctx)
        }))
    }
}

impl Handler<Claim> for Spares {
    type Result = ResponseFuture<Result<(), Failure>>;

    fn handle(&mut self, Claim(record): Claim, _: &mut Context<Self>) -> Self::Result {
        let id = record.id();
        let leaving = self.leaving.get(id).cloned();
        let differs = self.offered.remove(id).is_some_and(|(kind, _)| kind != Kind::of(&record));
        let (parts, id) = (Rc::clone(&self.parts), id.clone());
        Box::pin(async move {
            if let Some(leaving) = leaving {
                leaving.await;
            }
            // It was created otherwise than it was said.
            if differs { plan::clean(&parts.workers, &id).await } else { Ok(()) }
        })
    }
}

impl Handler<Close> for Spares {
    type Result = ResponseFuture<Result<(), Failure>>;

    fn handle(&mut self, _: Close, _: &mut Context<Self>) -> Self::Result {
        self.is_closed = true;
        let offered = self.offered.drain().map(|(id, _)| id);
        let all: Vec<_> = self.ready.drain(..).map(|spare| spare.id).chain(offered).collect();
        all.into_iter().for_each(|id| self.remove(id));
        let leaving: Vec<_> = self.leaving.values().cloned().collect();
        Box::pin(async move {
            futures::future::join_all(leaving).await;
            Ok(())
        })
    }
}
