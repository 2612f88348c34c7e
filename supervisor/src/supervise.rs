//! The supervisor: runs the services and answers questions about them, until the end or until its keeper dies.

use crate::access::Access;
use crate::api::Api;
use crate::arguments::Arguments;
use crate::cage::Cages;
use crate::drop_ins::Sources;
use crate::handover::{Handover, THIS_PROGRAM};
use crate::keeper::WATCHDOG;
use crate::launch::{Launcher, Plan};
use crate::manifest::Manifest;
use crate::replacement::Replacements;
use crate::service::{Service, Stop};
use crate::silence::Activity;
use crate::{VERSION, access, landlock, libexec, predecessor, silence, users};
use actix::{Actor, Addr};
use futures::future::join_all;
use kit::access::Door;
use kit::actor::ask;
use kit::notify::{Notifier, keep_alive};
use kit::vital::Vital;
use kit::{Context, Identity};
use rustix::process::{Pid, Signal, getppid, kill_process};
use schema::access::Policy;
use schema::supervisor::{SERVICE, serve};
use schema::{Failure, Instance};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Time for the answer to the one who wants the end to get out.
const GRACE: Duration = Duration::from_millis(50);

/// Why a supervisor ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Somebody wants it.
    Wanted,
    /// Its keeper is gone.
    Orphaned,
}

/// Runs the services until the end is wanted. If the keeper dies, this process becomes the next one.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Some(mut handover) = Handover::receive()? else {
        return Err(Failure::invalid("a supervisor is started by its keeper").hint("run `cctl system start`"));
    };
    let failed = |doing: &'static str| move |error: io::Error| Failure::io(doing, &error);
    let instance = Instance::from_env()?;
    kit::log::init(&instance.log(SERVICE)).map_err(failed("opening the log"))?;
    rustix::thread::set_name(c"cctl-supervisor").map_err(|error| failed("naming this process")(error.into()))?;
    let libexec = libexec::given()?;
    let sources =
        Sources { manifest: arguments.manifest.clone(), instance: instance.clone(), libexec: libexec.clone() };
    let manifest = sources.in_effect()?;
    let keeper = keeper().map_err(failed("watching the keeper"))?;
    tracing::info!(version = VERSION, restarts = handover.past.restarts, "starting");
    if let Err(why) = landlock::version() {
        tracing::warn!(why, "services are held by what they see alone, and by no rules of Landlock");
    }
    // Not by what drop-ins say, which may change while others run.
    let places = Manifest::load(arguments.manifest.as_deref())?;
    let users = users::resolve(&places, &instance)?;
    let told = users::told(&users);
    let nowhere = Rc::new(nowhere().map_err(failed("making an empty network"))?);
    let callers: Vec<_> = places.names().map(|name| users::callers(&places, &users, name)).collect();
    let reached = places.names().map(str::to_owned).zip(callers.iter().cloned());
    let access = Access::new(instance.clone(), reached.chain([(SERVICE.to_owned(), Vec::new())]).collect());
    let policy = access.apply()?;
    let cages = Rc::new(Cages::detect(&instance));
    let replacements = Replacements::open(&instance)?;
    let mut replaced = replacements.load()?;
    let launchers = manifest
        .services
        .into_iter()
        .zip(callers)
        .map(|(definition, callers)| {
            let socket = handover.socket(&definition.name)?.try_clone().map_err(failed("preparing the sockets"))?;
            let shelf = handover.shelves.of(&definition.name).map_err(failed("preparing the shelves"))?;
            let replacement = replaced.remove(&definition.name);
            let (instance, libexec, cages) = (instance.clone(), libexec.clone(), Rc::clone(&cages));
            let (nowhere, users, place_user) =
                (Rc::clone(&nowhere), told.clone(), users.get(&definition.name).copied());
            let (socket, shelf) = (Rc::new(socket), shelf.map(Rc::new));
            Ok(Launcher {
                plan: Plan { definition, replacement },
                instance,
                libexec,
                cages,
                socket,
                shelf,
                nowhere,
                place_user,
                users,
                callers,
            })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    // One thread runs everything: the services live as long as it does.
    let end = actix::System::new().block_on(supervise(
        &handover,
        sources,
        launchers,
        replacements,
        keeper,
        (access, policy),
    ))?;
    if end == End::Wanted {
        cages.remove_all(handover.sockets.iter().map(|(name, _)| name.as_str()));
        tracing::info!("ended in order");
        return Ok(());
    }
    tracing::error!("the keeper is gone: becoming the keeper");
    handover.past.restarts += 1;
    "the keeper was gone".clone_into(&mut handover.past.last_error);
    let error = handover.program(Path::new(THIS_PROGRAM), "keeper", arguments, &instance, &libexec).become_it();
    Err(Failure::io("becoming the keeper", &error))
}

/// A network in which there is nothing.
fn nowhere() -> io::Result<OwnedFd> {
    let made = std::thread::spawn(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)?;
        std::fs::File::open("/proc/thread-self/ns/net")
    });
    let namespace = made.join().map_err(|_| io::Error::other("the thread has panicked"))?;
    namespace.map(OwnedFd::from)
}

/// A handle on the keeper; none if it is gone already.
fn keeper() -> io::Result<Option<OwnedFd>> {
    let Some(keeper) = Handover::keeper().and_then(Pid::from_raw) else { return Ok(None) };
    let Some(pidfd) = predecessor::find(keeper)? else { return Ok(None) };
    // Asked after it was opened: so it is our parent, and no other process with its number.
    Ok((getppid() == Some(keeper)).then_some(pidfd))
}

async fn supervise(
    handover: &Handover,
    sources: Sources,
    launchers: Vec<Launcher>,
    replacements: Replacements,
    keeper: Option<OwnedFd>,
    (access, (policy, wrong)): (Access, (Policy, Option<Failure>)),
) -> Result<End, Failure> {
    let failed = |doing: &'static str| move |error: io::Error| Failure::io(doing, &error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed("preparing for signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed("preparing for signals"))?;
    let mut services = Vec::new();
    for launcher in launchers {
        let name = launcher.plan.definition.name.clone();
        services.push((name, Service::new(launcher)?.start()));
    }
    let (end, mut ends) = unbounded_channel();
    let instance = sources.instance.clone();
    let api = Api {
        sources,
        services: services.clone(),
        past: handover.past.clone(),
        replacements: Arc::new(replacements),
        started: Instant::now(),
        end,
    };
    let door = Rc::new(Door::of(&instance, SERVICE));
    door.verify();
    access::tell(&door, &policy, wrong);
    listen(handover, &instance, api, Rc::clone(&door))?;
    actix::spawn(access.watch(door, policy));
    // A keeper that has just been killed refuses: then its place is free, and we are about to take it.
    let notifier = Notifier::from_env().unwrap_or_else(|error| {
        tracing::error!(%error, "cannot reach the keeper");
        Notifier::default()
    });
    notifier.ready();
    actix::spawn(keep_alive(notifier, Vital::default()));
    if let Some(pid) = Handover::keeper().and_then(Pid::from_raw).filter(|_| keeper.is_some()) {
        actix::spawn(wake(pid));
    }
    let end = tokio::select! {
        _ = terminate.recv() => End::Wanted,
        _ = interrupt.recv() => End::Wanted,
        () = wanted(&mut ends) => End::Wanted,
        gone = gone(keeper) => gone.map(|()| End::Orphaned).map_err(failed("watching the keeper"))?,
    };
    tracing::info!(?end, "ending the services");
    stop(&services).await?;
    Ok(end)
}

/// Serves the methods on our own socket.
fn listen(handover: &Handover, instance: &Instance, api: Api, door: Rc<Door>) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::io("preparing the socket", &error);
    let socket = UnixListener::from(handover.socket(SERVICE)?.try_clone().map_err(failed)?);
    socket.set_nonblocking(true).map_err(failed)?;
    let listener = tokio::net::UnixListener::from_std(socket).map_err(failed)?;
    let identity = Identity { service: SERVICE, needs: &[], version: VERSION };
    let epoch = schema::call::RequestId::random().0;
    let about = Context { identity, instance: instance.clone(), epoch, vital: Vital::default(), shelf: None }.about();
    actix::spawn(kit::serve::serve_at(listener, serve(about, api), door));
    Ok(())
}

async fn wanted(ends: &mut UnboundedReceiver<()>) {
    if ends.recv().await.is_none() {
        std::future::pending().await
    }
    tokio::time::sleep(GRACE).await;
}

/// Lets the keeper go on whenever somebody has stopped it: nobody else would, and while it is stopped nobody would
/// start another supervisor. It is our parent, so its number is its own until we have ended.
async fn wake(keeper: Pid) {
    let mut stopped = false;
    loop {
        tokio::time::sleep(WATCHDOG / 2).await;
        let again = silence::look(keeper).is_ok_and(|look| look.activity == Activity::Stopped);
        // A moment may be a debugger's.
        if again && stopped && getppid() == Some(keeper) {
            tracing::warn!(keeper = keeper.as_raw_nonzero(), "the keeper is stopped: letting it go on");
            if let Err(error) = kill_process(keeper, Signal::CONT) {
                tracing::error!(%error, "cannot let the keeper go on");
            }
        }
        stopped = again;
    }
}

async fn gone(keeper: Option<OwnedFd>) -> io::Result<()> {
    match keeper {
        Some(pidfd) => predecessor::ended(pidfd).await,
        None => Ok(()),
    }
}

/// Ends all services at once, and waits until no process is left.
async fn stop(services: &[(String, Addr<Service>)]) -> Result<(), Failure> {
    let stopped = join_all(services.iter().map(|(_, service)| ask(service, Stop))).await;
    stopped.into_iter().collect()
}
