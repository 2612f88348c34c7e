//! The keeper: holds the listening sockets, and keeps a supervisor running on them.

use crate::arguments::Arguments;
use crate::events::{Events, Told};
use crate::handover::{Handover, Past, THIS_PROGRAM};
use crate::manifest::Manifest;
use crate::program::{Bond, describe};
use crate::restart::{Backoff, Series};
use crate::shelves::Shelves;
use crate::silence::{self, Leniency, Usage, Verdict};
use crate::{directories, drop_ins, libexec, lock, sockets, stand_by, sys};
use kit::notify::Notifier;
use kit::orphans::Words;
use rustix::process::{self, Pid, Signal, WaitOptions, WaitStatus};
use schema::supervisor::SERVICE;
use schema::{Code, Failure, Instance};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The name of the keeper's log.
pub(crate) const NAME: &str = "keeper";
/// How long an ordered shut-down may take before the supervisor is killed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the supervisor may be silent, if it could have spoken.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(1);
/// How long it may take to its first word: as a service may take to be ready. A debug build on an emulated, loaded
/// machine was seen to take more than the second above of CPU time.
const START: Duration = Duration::from_secs(30);
/// Pauses between supervisors that end soon. The keeper never gives up.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(1) };

struct Keeper<'a> {
    arguments: &'a Arguments,
    instance: Instance,
    libexec: PathBuf,
    handover: Handover,
    events: Events,
    /// Somebody wants the end, or that the installed programs are run: by then the supervisor has to be gone.
    ending: Option<Instant>,
    /// It is the latter.
    reloading: bool,
    /// Tells who started us that we serve, once.
    starter: Option<Notifier>,
    /// Grows when it does not help to kill supervisors that are silent.
    leniency: Leniency,
}

/// Keeps a supervisor running until an ordered shut-down. Wrong arguments, a wrong manifest, missing programs
/// and another keeper are found before anything is started.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let received = Handover::receive()?;
    let instance = Instance::from_env()?;
    let arguments = &absolute(arguments)?;
    let failed = |doing: &'static str| move |error: io::Error| Failure::io(doing, &error);
    // What a supervisor hands over is kept whatever has become of manifest and programs.
    let (libexec, handover) = match received {
        Some(received) => (libexec::given()?, Ok(received)),
        None => {
            let (manifest, libexec) = drop_ins::at_start(arguments.manifest.as_deref(), &instance)?;
            (libexec, Err(manifest))
        }
    };
    // What we were started by as a successor wants to hear of the supervisor alone.
    let starter = match &handover {
        Ok(_) => None,
        Err(_) => Some(Notifier::from_env().map_err(failed("opening the notification socket"))?),
    };
    detach().map_err(failed("becoming a background process"))?;
    directories::make(&instance)?;
    let handover = match handover {
        Ok(received) => complete(received, &instance, arguments),
        Err(manifest) => match make(&instance, &manifest) {
            Err(failure) if arguments.stand_by && failure.code == Code::Conflict => {
                return stand_by::run(&instance, starter.as_ref());
            }
            made => made?,
        },
    };
    kit::log::init(&instance.log(NAME)).map_err(failed("opening the log"))?;
    if let Err(error) = lock::sign(&handover.lock) {
        tracing::warn!(%error, "cannot write into the lock who the keeper is: a second one is refused without saying it");
    }
    let notices = sockets::notification(&instance, SERVICE)?;
    let events = Events::open(notices).map_err(failed("preparing for signals"))?;
    // Monitors of containers outlive their executor: they become our children, and we reap them.
    process::set_child_subreaper(Some(process::getpid())).map_err(|error| failed("adopting orphans")(error.into()))?;
    let_go().map_err(failed("letting go of the standard streams"))?;
    let leniency = Leniency::default();
    let mut keeper =
        Keeper { arguments, instance, libexec, handover, events, ending: None, reloading: false, starter, leniency };
    keeper.keep().map_err(failed("keeping a supervisor"))?;
    if keeper.reloading {
        let file = libexec::own_file().map_err(failed("finding the installed program"))?;
        let Keeper { handover, instance, libexec, .. } = &keeper;
        let error = handover.program(&file, "keeper", arguments, instance, libexec).become_it();
        return Err(Failure::io("becoming the installed program", &error));
    }
    // With the lock, which goes last, all that is here is the next one's.
    drop_ins::forget(&keeper.instance).map_err(failed("forgetting the drop-ins"))?;
    sockets::remove(&keeper.instance, keeper.handover.sockets.iter().rev().map(|(name, _)| name.as_str()))
        .map_err(failed("removing the sockets"))?;
    tracing::info!("ended in order");
    Ok(())
}

/// Makes the lock and the sockets of an instance that does not run yet.
fn make(instance: &Instance, manifest: &Manifest) -> Result<Handover, Failure> {
    let lock = lock::take(instance)?;
    // One that was ending until now has removed what was made before.
    directories::make(instance)?;
    drop_ins::commit_all(manifest, instance)?;
    let sockets = std::iter::once(SERVICE)
        .chain(manifest.names())
        .map(|name| Ok((name.to_owned(), sockets::listen(instance, name)?)))
        .collect::<Result<_, Failure>>()?;
    let shelved = manifest.services.iter().filter(|service| service.shelf);
    let mut shelves = Shelves::default();
    shelves.add(shelved.map(|service| service.name.as_str())).map_err(|error| Failure::io("making shelves", &error))?;
    Ok(Handover { lock, sockets, shelves, past: Past::default() })
}

/// What was handed over, and the sockets of services that the manifest has beside those: it may be that of a newer
/// program. Whatever is wrong with it is for the supervisor to say; what there is serves on.
fn complete(mut received: Handover, instance: &Instance, arguments: &Arguments) -> Handover {
    let Ok(manifest) = Manifest::load(arguments.manifest.as_deref()) else { return received };
    for name in manifest.names() {
        if received.socket(name).is_err()
            && let Ok(socket) = sockets::listen(instance, name)
        {
            received.sockets.push((name.to_owned(), socket));
        }
    }
    let missing = manifest.services.iter().filter(|service| service.shelf).map(|service| service.name.as_str());
    if let Err(error) = received.shelves.add(missing) {
        tracing::warn!(%error, "cannot make a shelf");
    }
    received
}

/// Lets go of the standard streams: whoever waits for our first words learns that there are none to come.
fn let_go() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

/// The same arguments, whatever the working directory.
fn absolute(arguments: &Arguments) -> Result<Arguments, Failure> {
    let manifest = arguments.manifest.as_deref().map(std::path::absolute).transpose();
    let manifest = manifest.map_err(|error| Failure::io("finding the manifest", &error))?;
    Ok(Arguments { manifest, ..*arguments })
}

/// Leaves the session, the working directory and the file mode mask of whoever started us.
fn detach() -> io::Result<()> {
    // Fails for the leader of a process group, who was put there on purpose.
    let _ = process::setsid();
    process::chdir("/")?;
    process::umask(rustix::fs::Mode::WGRP | rustix::fs::Mode::WOTH);
    rustix::thread::set_name(c"cctl-keeper")?;
    Ok(())
}

impl Keeper<'_> {
    /// Runs supervisors until one ends in order, or the end was wanted.
    fn keep(&mut self) -> io::Result<()> {
        let mut series = Series::default();
        loop {
            let started = Instant::now();
            let ended = match self.start() {
                Ok(supervisor) => match self.attend(supervisor)? {
                    status if status.exit_status() == Some(0) => return Ok(()),
                    _ if self.reloading => return Ok(()),
                    status => describe(status.exit_status(), status.terminating_signal()),
                },
                Err(error) => format!("cannot be started: {error}"),
            };
            tracing::error!(ended, "the supervisor is gone");
            self.handover.past.restarts += 1;
            self.handover.past.last_error = ended;
            self.pause(series.pause(&BACKOFF, started.elapsed()))?;
            if self.ending.is_some() {
                return Ok(());
            }
        }
    }

    fn start(&self) -> io::Result<Pid> {
        let program =
            self.handover.program(Path::new(THIS_PROGRAM), "supervise", self.arguments, &self.instance, &self.libexec);
        let child = program.spawn(&self.instance.log(SERVICE), Bond::None)?;
        tracing::info!(pid = child.pid.as_raw_nonzero(), "started the supervisor");
        Ok(child.pid)
    }

    /// Waits until the supervisor has ended; kills it if it hangs.
    fn attend(&mut self, supervisor: Pid) -> io::Result<WaitStatus> {
        let (mut heard, mut usage, mut has_spoken) = (Instant::now(), Usage::default(), false);
        let mut expected = heard + WATCHDOG;
        loop {
            match self.events.next(self.ending.unwrap_or(expected))? {
                Told::ChildEnded => {
                    if let Some(status) = reap(&self.instance, Some(supervisor))? {
                        return Ok(status);
                    }
                }
                Told::Alive => {
                    if let Some(starter) = self.starter.take() {
                        starter.ready();
                    }
                    (heard, usage, has_spoken) = (Instant::now(), silence::usage(supervisor), true);
                    expected = heard + WATCHDOG;
                }
                Told::ToEnd => {
                    self.reloading = false;
                    self.ending.get_or_insert_with(|| Instant::now() + PATIENCE);
                    process::kill_process(supervisor, Signal::TERM)?;
                }
                Told::ToReload if self.ending.is_some() => {}
                Told::ToReload => self.reload(supervisor)?,
                Told::Nothing if self.ending.is_some() => {
                    tracing::error!("the supervisor does not end: killing it");
                    process::kill_process(supervisor, Signal::KILL)?;
                    self.ending = Some(Instant::now() + PATIENCE);
                }
                Told::Nothing => {
                    let now = Instant::now();
                    // If we ourselves did not get to run in time, the supervisor may not have either.
                    let late = now.saturating_duration_since(expected) > WATCHDOG / 4;
                    let silent = now.saturating_duration_since(heard);
                    let look = silence::look(supervisor).ok();
                    let limit = self.leniency.limit(WATCHDOG, look, now);
                    let patience = silence::patience(limit, START, has_spoken, look);
                    match silence::judge(patience, silent, usage, look) {
                        Verdict::Hangs(how) if !late => {
                            tracing::error!(how, "the supervisor hangs: killing it");
                            self.leniency.killed(look, now);
                            process::kill_process(supervisor, Signal::KILL)?;
                            expected = now + WATCHDOG;
                        }
                        Verdict::Hangs(_) => expected = now + WATCHDOG,
                        Verdict::Wait(more) => expected = now + more.min(WATCHDOG),
                    }
                }
            }
        }
    }

    /// Begins to end the supervisor, so that the installed program takes our place.
    fn reload(&mut self, supervisor: Pid) -> io::Result<()> {
        match libexec::own_file() {
            Ok(file) => {
                tracing::info!(file = %file.display(), "running the installed programs from now on");
                self.reloading = true;
                self.ending = Some(Instant::now() + PATIENCE);
                Ok(process::kill_process(supervisor, Signal::TERM)?)
            }
            Err(error) => {
                tracing::error!(%error, "no program is installed: going on with this one");
                Ok(())
            }
        }
    }

    fn pause(&mut self, length: Duration) -> io::Result<()> {
        let deadline = Instant::now() + length;
        while self.ending.is_none() {
            match self.events.next(deadline)? {
                Told::Nothing => return Ok(()),
                Told::Alive => {}
                Told::ToReload => {
                    self.reloading = libexec::own_file().is_ok();
                    self.ending = self.reloading.then_some(deadline);
                }
                Told::ChildEnded => drop(reap(&self.instance, None)?),
                Told::ToEnd => self.ending = Some(deadline),
            }
        }
        Ok(())
    }
}

/// Reaps every child that has ended, orphans too, and says how the one of interest ended. Of the processes of
/// containers, which are our children if their monitor was killed, word is left first: nobody else learns that.
fn reap(instance: &Instance, interest: Option<Pid>) -> io::Result<Option<WaitStatus>> {
    let mut found = None;
    while let Some((pid, status)) = sys::ended_child()? {
        let number = pid.as_raw_nonzero().get();
        if Some(pid) != interest && kit::process::is_below(number) {
            let left = kit::process::start_time(number)
                .and_then(|started| Words::of(instance).leave((number, started), status));
            if let Err(error) = left {
                tracing::error!(%error, pid = number, "cannot leave word of how a process of a container ended");
            }
        }
        match process::waitpid(Some(pid), WaitOptions::NOHANG)? {
            Some((_, status)) if Some(pid) == interest => found = Some(status),
            _ => {}
        }
    }
    Ok(found)
}
