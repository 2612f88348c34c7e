//! Sandboxes that stand ready: made and connected to the network before anybody asked for them, so that a start has
//! less left to do. None if the machine's owner does not want any (`spares` in containers.toml).
//!
//! A spare has an id like a container. A container that is created and started in one call (`run`) gets the id of one, and
//! then finds its sandbox made, and filled. How many there are follows how many were asked for lately. After a restart of
//! this service nobody knows them any more, and they go the way of every sandbox without a container.

use crate::container::Parts;
use crate::ids::Settings;
use crate::names;
use crate::plan::{self, Ready};
use crate::record::Record;
use crate::registry::{Registry, Reserve, Unreserve};
use crate::workers::{STEP, own_call};
use actix::prelude::*;
use futures::FutureExt;
use futures::future::{LocalBoxFuture, Shared, join_all};
use kit::actor::ask;
use schema::common::IdRange;
use schema::containers::{ContainerSpec, UserMode};
use schema::network::Mode;
use schema::{ContainerId, Failure};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// How long an offer is kept.
const OFFERED: Duration = Duration::from_secs(10);
/// What was asked for so long ago says nothing of what will be.
const LATELY: Duration = Duration::from_secs(30);
/// Of so many kinds it is remembered how often they were asked for.
const KINDS: usize = 64;
/// How often spares that nobody wants any more are looked for.
const TIDY: Duration = Duration::from_secs(5);
/// How long after an offer the next one is made: the start that it was for has the machine to itself until then.
const LATER: Duration = Duration::from_millis(20);
/// After a failure, none are made for so long.
const PAUSE: Duration = Duration::from_secs(10);

/// What distinguishes one spare from another: as much of a specification as its sandbox depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    spec: ContainerSpec,
    /// Whether it has its root filesystem and its log, too.
    is_filled: bool,
}

impl Kind {
    /// What a container with this specification needs, whose user ids are of this mode; none if that is not made ahead. What
    /// volumes are is looked at when a container starts, so only its sandbox can be made ahead, and which devices the host
    /// has when its sandbox is made, so nothing can. Exhaustive: whoever adds to the specification has to say whether a sandbox
    /// depends on it.
    fn of_spec(spec: &ContainerSpec, users: UserMode) -> Option<Self> {
        let ContainerSpec {
            image,
            name: _,
            command: _,
            entrypoint: _,
            environment: _,
            user: _,
            hostname,
            working_directory: _,
            terminal,
            open_stdin,
            stdin_once: _,
            limits,
            network,
            ports,
            volumes,
            auto_remove: _,
            log_max_size,
            log_max_files,
            rows: _,
            columns: _,
            log_mode,
            labels,
            restart: _,
            stop_signal: _,
            stop_timeout_ms: _,
            extra_hosts,
            nameservers,
            search_domains,
            security,
            tmpfs,
            users: _,
        } = spec;
        let has_devices = security.privileged || !security.devices.is_empty();
        if has_devices || !hostname.is_empty() || !ports.is_empty() || *network == Mode::Host {
            return None;
        }
        let sandbox = ContainerSpec {
            image: image.clone(),
            terminal: *terminal,
            open_stdin: *open_stdin,
            limits: *limits,
            network: *network,
            security: security.clone(),
            users,
            ..ContainerSpec::default()
        };
        let is_filled = volumes.is_empty();
        let spec = if is_filled {
            ContainerSpec {
                log_max_size: *log_max_size,
                log_max_files: *log_max_files,
                log_mode: *log_mode,
                labels: labels.clone(),
                extra_hosts: extra_hosts.clone(),
                nameservers: nameservers.clone(),
                search_domains: search_domains.clone(),
                tmpfs: tmpfs.clone(),
                ..sandbox
            }
        } else {
            sandbox
        };
        Some(Self { spec, is_filled })
    }

    /// What a container has become that was created under the id of a spare.
    fn of(record: &Record) -> Option<Self> {
        Self::of_spec(&record.requested, record.container.spec.users)
    }

    /// A container of this kind.
    async fn example(&self, parts: &Parts, id: &ContainerId, ids: Option<IdRange>) -> Result<Record, Failure> {
        let image = parts.workers.image_store.resolve(&own_call(), &self.spec.image).await?;
        let name = names::suggestions(id).next().unwrap_or_default();
        let spec = ContainerSpec { name, command: vec![String::from("true")], ..self.spec.clone() };
        let mut record = Record::new(id.clone(), &spec, image, Vec::new())?;
        record.container.ids = ids;
        Ok(record)
    }
}

/// One that stands ready.
struct Spare {
    id: ContainerId,
    kind: Kind,
    ready: Ready,
}

/// One whose id was given away.
struct Offered {
    kind: Kind,
    ready: Ready,
    /// When it is removed if nobody has started a container under it.
    until: Instant,
}

/// What was asked for lately: the last times of each kind, as many as matter. It is looked at for every start.
#[derive(Debug, Default)]
struct Asked {
    /// The kind that was asked for last is the last one.
    kinds: VecDeque<(Kind, VecDeque<Instant>)>,
}

impl Asked {
    /// One of a kind is asked for; of each, at most `most` will be wanted.
    fn note(&mut self, kind: &Kind, now: Instant, most: usize) {
        self.forget(now);
        let known = self.kinds.iter().rposition(|(other, _)| other == kind);
        let (kind, mut times) =
            known.and_then(|place| self.kinds.remove(place)).unwrap_or_else(|| (kind.clone(), VecDeque::new()));
        times.push_back(now);
        while times.len() > most + 1 {
            times.pop_front();
        }
        if self.kinds.len() >= KINDS {
            self.kinds.pop_front();
        }
        self.kinds.push_back((kind, times));
    }

    /// Forgets what was not asked for lately.
    fn forget(&mut self, now: Instant) {
        for (_, times) in &mut self.kinds {
            while times.front().is_some_and(|at| now.duration_since(*at) > LATELY) {
                times.pop_front();
            }
        }
        self.kinds.retain(|(_, times)| !times.is_empty());
    }

    /// How many of a kind were asked for, as far as that matters.
    fn count(&self, kind: &Kind) -> usize {
        self.kinds.iter().rfind(|(other, _)| other == kind).map_or(0, |(_, times)| times.len())
    }
}

/// One that is being made.
type Making = Shared<LocalBoxFuture<'static, Made>>;

/// What has become of it; of a failure, what may be left.
type Made = Result<(ContainerId, Ready), (Option<ContainerId>, Failure)>;

/// Keeps the spares.
pub(crate) struct Spares {
    parts: Rc<Parts>,
    registry: Option<Addr<Registry>>,
    /// The oldest first.
    ready: VecDeque<Spare>,
    offered: HashMap<ContainerId, Offered>,
    /// Those that are being made.
    making: Vec<(Kind, Making)>,
    /// Those that are being removed, and how that came out.
    leaving: HashMap<ContainerId, Shared<LocalBoxFuture<'static, bool>>>,
    asked: Asked,
    /// How many there may be, as it was read last.
    most: usize,
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
            asked: Asked::default(),
            most: 0,
            paused_until: None,
            is_closed: false,
        }
    }

    /// The id of one that stands ready.
    fn offer(&mut self, spec: &ContainerSpec, settings: &Settings, ctx: &mut Context<Self>) -> Option<ContainerId> {
        self.most = settings.spares;
        if self.most == 0 {
            return None;
        }
        let kind = Kind::of_spec(spec, settings.pool.resolve(spec.users, spec.security.privileged))?;
        self.asked.note(&kind, Instant::now(), self.most);
        let taken = self.take(&kind);
        ctx.run_later(LATER, move |spares, ctx| spares.refill(&kind, ctx));
        taken
    }

    /// Takes the id of one that stands ready.
    fn take(&mut self, kind: &Kind) -> Option<ContainerId> {
        let found = self.ready.iter().position(|spare| spare.kind == *kind)?;
        let Spare { id, kind, ready } = self.ready.remove(found)?;
        self.offered.insert(id.clone(), Offered { kind, ready, until: Instant::now() + OFFERED });
        Some(id)
    }

    /// How many of a kind are wanted: as many as were asked for lately, as far as there is room, but for the first: who runs
    /// a container now and then would only wait for the end of what was made in vain.
    fn wanted(&self, kind: &Kind) -> usize {
        self.asked.count(kind).saturating_sub(1).min(self.most)
    }

    /// Makes what is missing of a kind.
    fn refill(&mut self, kind: &Kind, ctx: &mut Context<Self>) {
        let is_paused = self.paused_until.is_some_and(|until| Instant::now() < until);
        let Some(registry) = self.registry.clone().filter(|_| !is_paused && !self.is_closed) else { return };
        let there = |spares: &Self| {
            let ready = spares.ready.iter().filter(|spare| spare.kind == *kind).count();
            ready + spares.making.iter().filter(|(other, _)| other == kind).count()
        };
        while there(self) < self.wanted(kind) {
            // Others are wanted less: they were not asked for just now.
            if self.ready.len() + self.making.len() >= self.most {
                let Some(other) = self.ready.iter().position(|spare| spare.kind != *kind) else { return };
                let other = self.ready.remove(other);
                other.into_iter().for_each(|spare| self.remove(spare.id));
            }
            let making = make(Rc::clone(&self.parts), registry.clone(), kind.clone()).boxed_local().shared();
            self.making.push((kind.clone(), making.clone()));
            let kind = kind.clone();
            ctx.spawn(making.into_actor(self).map(move |made, spares, _| spares.made(kind, made)));
        }
    }

    fn made(&mut self, kind: Kind, made: Made) {
        // Several of a kind may end in any order.
        if let Some(place) = self.making.iter().position(|(other, making)| *other == kind && making.peek().is_some()) {
            drop(self.making.swap_remove(place));
        }
        match made {
            // Whoever has closed this has waited for it.
            Ok(_) if self.is_closed => {}
            Ok((id, ready)) => self.ready.push_back(Spare { id, kind, ready }),
            Err((left, failure)) => {
                tracing::warn!(%failure, "cannot make a sandbox ahead");
                self.paused_until = Some(Instant::now() + PAUSE);
                left.into_iter().for_each(|id| self.remove(id));
            }
        }
    }

    /// Removes one that nobody uses.
    fn remove(&mut self, id: ContainerId) {
        let Some(registry) = self.registry.clone() else { return };
        let gone = unmake(Rc::clone(&self.parts), registry, id.clone()).boxed_local().shared();
        self.leaving.retain(|_, going| going.peek() != Some(&true));
        self.leaving.insert(id, gone.clone());
        actix::spawn(gone);
    }

    /// Those that could not be removed.
    fn stuck(&self) -> Vec<ContainerId> {
        let stuck = self.leaving.iter().filter(|(_, going)| going.peek() == Some(&false));
        stuck.map(|(id, _)| id.clone()).collect()
    }

    fn tidy(&mut self) {
        let now = Instant::now();
        self.asked.forget(now);
        let late = self.offered.extract_if(|_, offered| offered.until < now);
        let late: Vec<_> = late.map(|(id, _)| id).collect();
        late.into_iter().chain(self.stuck()).for_each(|id| self.remove(id));
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

/// Makes one.
async fn make(parts: Rc<Parts>, registry: Addr<Registry>, kind: Kind) -> Made {
    let reserved = async {
        let id = random()?;
        let pool = parts.ids.read()?.pool;
        let private_users = kind.spec.users == UserMode::Private;
        let ids = ask(&registry, Reserve(id.clone(), private_users.then_some(pool))).await?;
        Ok((id, ids))
    };
    let (id, ids) = reserved.await.map_err(|failure| (None, failure))?;
    let made = async {
        parts.gate.pass(STEP).await?;
        let example = kind.example(&parts, &id, ids).await?;
        Ready::make(&parts.workers, &example, kind.is_filled).await
    };
    match made.await {
        Ok(ready) => Ok((id, ready)),
        Err(failure) => Err((Some(id), failure)),
    }
}

/// Removes one. Tells whether nothing is left of it.
async fn unmake(parts: Rc<Parts>, registry: Addr<Registry>, id: ContainerId) -> bool {
    if let Err(failure) = remove(&parts, &id).await {
        tracing::warn!(%failure, id = id.short(), "cannot remove a sandbox that was made ahead");
        return false;
    }
    registry.do_send(Unreserve(id));
    true
}

/// All of it that can be: a worker that is stuck must not hold the others' parts.
async fn remove(parts: &Parts, id: &ContainerId) -> Result<(), Failure> {
    let (workers, destroyed) = (&parts.workers, plan::destroy(&parts.workers, id));
    let (detached, erased) = futures::join!(plan::detach(workers, id), async {
        destroyed.await?;
        plan::erase(workers, id).await
    });
    detached.and(erased)
}

/// Any other id.
pub(crate) fn random() -> Result<ContainerId, Failure> {
    let mut bytes = [0; 32];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| Failure::io("reading random bytes", &error.into()))?;
    Ok(ContainerId::from_bytes(bytes))
}

/// The registry, which has the user ids.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Connect(pub(crate) Addr<Registry>);

/// A sandbox for a container that is about to be created and started: the id of one that stands ready.
#[derive(Message)]
#[rtype(result = "Result<Option<ContainerId>, Failure>")]
pub(crate) struct Take(pub(crate) ContainerSpec);

/// A container is about to be started, perhaps under the id of a spare. Answers that; if it is none, or not the right one,
/// when there is nothing left of it.
#[derive(Message)]
#[rtype(result = "Result<Option<Ready>, Failure>")]
pub(crate) struct Claim(pub(crate) Record);

/// Remove all, and make no more. Answers whether there were any.
#[derive(Message)]
#[rtype(result = "Result<bool, Failure>")]
pub(crate) struct Close;

/// There is not enough of something for a container: remove those that nobody was offered, and make no more for a while.
/// Answers whether there were any.
#[derive(Message)]
#[rtype(result = "Result<bool, Failure>")]
pub(crate) struct MakeRoom;

impl Handler<Connect> for Spares {
    type Result = ();

    fn handle(&mut self, Connect(registry): Connect, _: &mut Context<Self>) {
        self.registry = Some(registry);
    }
}

impl Handler<Take> for Spares {
    type Result = Result<Option<ContainerId>, Failure>;

    fn handle(&mut self, Take(spec): Take, ctx: &mut Context<Self>) -> Self::Result {
        let settings = self.parts.ids.read()?;
        Ok(self.offer(&spec, &settings, ctx))
    }
}

impl Handler<Claim> for Spares {
    type Result = ResponseFuture<Result<Option<Ready>, Failure>>;

    fn handle(&mut self, Claim(record): Claim, _: &mut Context<Self>) -> Self::Result {
        let id = record.id();
        // From now on the id is the container's: nobody else removes anything of it.
        let leaving = self.leaving.remove(id);
        let offered = self.offered.remove(id);
        let (parts, id) = (Rc::clone(&self.parts), id.clone());
        Box::pin(async move {
            if let Some(leaving) = leaving
                && !leaving.await
            {
                remove(&parts, &id).await?;
            }
            match offered {
                Some(Offered { kind, ready, .. })
                    if Kind::of(&record).as_ref() == Some(&kind) && ready.suits(&record) =>
                {
                    Ok(Some(ready))
                }
                // It was created otherwise than it was said, or its image is another by now.
                Some(_) => remove(&parts, &id).await.map(|()| None),
                None => Ok(None),
            }
        })
    }
}

impl Spares {
    /// Removes these, and what could not be removed before; answers when they are gone, and all that were on their way.
    fn clear(&mut self, ids: Vec<ContainerId>) -> ResponseFuture<Result<bool, Failure>> {
        let is_some = !ids.is_empty();
        ids.into_iter().chain(self.stuck()).for_each(|id| self.remove(id));
        let leaving: Vec<_> = self.leaving.values().cloned().collect();
        Box::pin(async move {
            join_all(leaving).await;
            Ok(is_some)
        })
    }
}

impl Handler<Close> for Spares {
    type Result = ResponseActFuture<Self, Result<bool, Failure>>;

    fn handle(&mut self, _: Close, _: &mut Context<Self>) -> Self::Result {
        self.is_closed = true;
        let offered = self.offered.drain().map(|(id, _)| id);
        let all = self.ready.drain(..).map(|spare| spare.id).chain(offered).collect();
        let cleared = self.clear(all);
        let made = join_all(self.making.iter().map(|(_, making)| making.clone()));
        Box::pin(made.into_actor(self).then(|made, spares, _| {
            let left = made.into_iter().filter_map(|made| match made {
                Ok((id, _)) => Some(id),
                Err((left, _)) => left,
            });
            let rest = spares.clear(left.collect());
            async move {
                rest.await?;
                cleared.await
            }
            .into_actor(spares)
        }))
    }
}

impl Handler<MakeRoom> for Spares {
    type Result = ResponseFuture<Result<bool, Failure>>;

    fn handle(&mut self, _: MakeRoom, _: &mut Context<Self>) -> Self::Result {
        self.paused_until = Some(Instant::now() + PAUSE);
        let all = self.ready.drain(..).map(|spare| spare.id).collect();
        self.clear(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::common::{PortBinding, Protocol, Volume};
    use schema::security::{Access, Device, Security};

    fn kind(spec: &ContainerSpec) -> Option<Kind> {
        Kind::of_spec(spec, UserMode::Private)
    }

    fn volume() -> Volume {
        Volume { source: "/tmp".to_owned(), target: "/x".to_owned(), read_only: false, idmap: false }
    }

    #[test]
    fn what_only_its_process_depends_on_makes_no_other_kind() {
        let base = ContainerSpec { image: "base".to_owned(), ..ContainerSpec::default() };
        let other = ContainerSpec {
            name: "web".to_owned(),
            command: vec!["true".to_owned()],
            environment: vec!["A=b".to_owned()],
            user: "nobody".to_owned(),
            working_directory: "/tmp".to_owned(),
            ..base.clone()
        };
        assert_eq!(kind(&other), kind(&base));
        for differs in [
            ContainerSpec { image: "other".to_owned(), ..base.clone() },
            ContainerSpec { terminal: true, ..base.clone() },
            ContainerSpec { network: Mode::None, ..base.clone() },
            ContainerSpec { labels: vec!["a=b".to_owned()], ..base.clone() },
            ContainerSpec { volumes: vec![volume()], ..base.clone() },
        ] {
            assert_ne!(kind(&differs), kind(&base));
        }
        assert_ne!(Kind::of_spec(&base, UserMode::Host), kind(&base));
    }

    #[test]
    fn as_many_are_wanted_as_were_asked_for_lately() {
        let image = |name: &str| kind(&ContainerSpec { image: name.to_owned(), ..ContainerSpec::default() }).unwrap();
        let (mut asked, begin) = (Asked::default(), Instant::now());
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        for second in 0..10 {
            asked.note(&image("a"), at(second), 4);
        }
        asked.note(&image("b"), at(20), 4);
        assert_eq!((asked.count(&image("a")), asked.count(&image("b")), asked.count(&image("c"))), (5, 1, 0));
        asked.forget(at(37));
        assert_eq!((asked.count(&image("a")), asked.count(&image("b"))), (3, 1));
        asked.forget(at(45));
        assert_eq!((asked.count(&image("a")), asked.count(&image("b"))), (0, 1));
        for number in 0..1000 {
            asked.note(&image(&number.to_string()), at(46), 4);
        }
        assert_eq!((asked.kinds.len(), asked.count(&image("999")), asked.count(&image("b"))), (KINDS, 1, 0));
    }

    #[test]
    fn what_changes_on_the_host_is_not_made_ahead() {
        let mounts = ContainerSpec { volumes: vec![volume()], ..ContainerSpec::default() };
        assert!(!kind(&mounts).unwrap().is_filled);
        let access = Access { read: true, write: true, make: false };
        let device = Device { source: "/dev/null".to_owned(), target: "/dev/null".to_owned(), access };
        let port = PortBinding { host_address: None, host_port: 80, container_port: 80, protocol: Protocol::Tcp };
        for spec in [
            ContainerSpec {
                security: Security { privileged: true, ..Security::default() },
                ..ContainerSpec::default()
            },
            ContainerSpec {
                security: Security { devices: vec![device], ..Security::default() },
                ..ContainerSpec::default()
            },
            ContainerSpec { ports: vec![port], ..ContainerSpec::default() },
            ContainerSpec { hostname: "web".to_owned(), ..ContainerSpec::default() },
            ContainerSpec { network: Mode::Host, ..ContainerSpec::default() },
        ] {
            assert_eq!(kind(&spec), None);
        }
    }
}
