//! What each verb does: one module a verb.

mod archive;
mod attach;
mod commit;
mod copy;
mod create;
mod diff;
mod events;
mod exec;
mod images;
mod import;
mod info;
mod inspect;
mod lifecycle;
mod load;
mod login;
mod logs;
mod manual;
mod port;
mod ps;
mod pull;
mod push;
mod run;
mod security;
mod sink;
mod spec;
mod start;
pub(crate) mod stats;
mod system;
mod top;
mod version;

use crate::args::Command;
use crate::console;
use crate::engine::{Engine, call};
use crate::error::{ENGINE, Error, Result, signalled};
use crate::profile::{Phase, mark, shown};
use crate::session::End;
use futures::StreamExt;
use futures::future::{LocalBoxFuture, ready};
use schema::Code;
use schema::common::ExitRecord;
use schema::containers::{AutoRemove, Container};
use schema::log_collector::Stream;
use std::future::Future;

/// Does what a command says; answers the exit status.
pub(crate) async fn run(command: Command) -> Result<u8> {
    let engine = Engine::from_env()?;
    begun(&engine, &command).await
}

/// What one verb has to do, in memory of its own: no other then needs as much as the largest.
fn begun<'a>(engine: &'a Engine, command: &'a Command) -> LocalBoxFuture<'a, Result<u8>> {
    match command {
        Command::Attach(arguments) => Box::pin(attach::run(engine, arguments)),
        Command::Commit(arguments) => Box::pin(commit::run(engine, arguments)),
        Command::Completion { shell } => Box::pin(ready(manual::completion(*shell))),
        Command::Cp(arguments) => Box::pin(copy::run(engine, arguments)),
        Command::Create(arguments) => Box::pin(create::run(engine, arguments)),
        Command::Diff(arguments) => Box::pin(diff::run(engine, &arguments.container)),
        Command::Events(arguments) => Box::pin(events::run(engine, arguments)),
        Command::Exec(arguments) => Box::pin(shown(engine, arguments.profile, exec::run(engine, arguments))),
        Command::Export(arguments) => Box::pin(archive::export(engine, arguments)),
        Command::History(arguments) => Box::pin(images::history(engine, arguments)),
        Command::Images(arguments) => Box::pin(images::run(engine, arguments)),
        Command::Import(arguments) => Box::pin(import::run(engine, arguments)),
        Command::Info(arguments) => Box::pin(info::run(engine, arguments)),
        Command::Inspect(arguments) => Box::pin(inspect::run(engine, arguments)),
        Command::Kill(arguments) => Box::pin(lifecycle::kill(engine, arguments)),
        Command::Load(arguments) => Box::pin(load::run(engine, arguments)),
        Command::Login(arguments) => Box::pin(login::run(engine, arguments)),
        Command::Logout(arguments) => Box::pin(login::log_out(engine, arguments)),
        Command::Logs(arguments) => Box::pin(logs::run(engine, arguments)),
        Command::Man { directory } => Box::pin(ready(manual::pages(directory))),
        Command::Pause(arguments) => Box::pin(lifecycle::pause(engine, &arguments.containers)),
        Command::Port(arguments) => Box::pin(port::run(engine, arguments)),
        Command::Ps(arguments) => Box::pin(ps::run(engine, arguments)),
        Command::Pull(arguments) => Box::pin(pull::run(engine, arguments)),
        Command::Push(arguments) => Box::pin(push::run(engine, arguments)),
        Command::Rename(arguments) => Box::pin(lifecycle::rename(engine, arguments)),
        Command::Restart(arguments) => Box::pin(lifecycle::restart(engine, arguments)),
        Command::Rm(arguments) => Box::pin(lifecycle::remove(engine, arguments)),
        Command::Rmi(arguments) => Box::pin(images::remove(engine, arguments)),
        Command::Run(arguments) => Box::pin(shown(engine, arguments.profile, run::run(engine, arguments))),
        Command::Save(arguments) => Box::pin(archive::save(engine, arguments)),
        Command::Start(arguments) => Box::pin(start::run(engine, arguments)),
        Command::Stats(arguments) => Box::pin(stats::run(engine, arguments)),
        Command::Stop(arguments) => Box::pin(lifecycle::stop(engine, arguments)),
        Command::System(arguments) => Box::pin(system::run(engine, arguments)),
        Command::Tag(arguments) => Box::pin(images::tag(engine, arguments)),
        Command::Top(arguments) => Box::pin(top::run(engine, arguments)),
        Command::Unpause(arguments) => Box::pin(lifecycle::unpause(engine, &arguments.containers)),
        Command::Version(arguments) => Box::pin(version::run(engine, arguments)),
        Command::Wait(arguments) => Box::pin(lifecycle::wait(engine, &arguments.containers)),
    }
}

/// Does something for each name, up to `at_once` of them at a time, and prints in the given order what it
/// answers. A failure is told and does not keep the others from being done; the exit status is then 1.
async fn each<'a, Fut>(names: &'a [String], at_once: usize, one: impl Fn(&'a str) -> Fut) -> Result<u8>
where
    Fut: Future<Output = Result<String>>,
{
    let mut answers = futures::stream::iter(names).map(|name| one(name)).buffered(at_once);
    let mut status = 0;
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(line) => console::print_line(line)?,
            Err(Error::Failure(failure)) => {
                console::complain(&failure);
                status = 1;
            }
            Err(ended) => return Err(ended),
        }
    }
    Ok(status)
}

/// Tells what the host could not do for a container.
fn tell_warnings(container: &Container) {
    for warning in &container.warnings {
        console::note(format_args!("warning: {warning}"));
    }
}

/// What is left to do when a session has ended; answers the exit status: the container's own if it has ended.
async fn finish(engine: &Engine, container: &Container, end: End) -> Result<u8> {
    match end {
        End::Exited(exit) => {
            mark(Phase::Exited);
            remove_if_asked(engine, container).await;
            Ok(exit_status(exit.as_ref()))
        }
        End::Detached => {
            let Container { id, spec, .. } = container;
            // The cursor is where the container has left it.
            console::write(Stream::Stderr, b"\n")?;
            console::note(format_args!("detached: {} goes on; `cctl attach {}` returns to it", spec.name, id.short()));
            Ok(0)
        }
        End::Signalled(signal) => Ok(signalled(signal)),
        End::Sent => Ok(0),
    }
}

/// Removes a container whose client was to be waited for. If that fails, the container manager tries again.
async fn remove_if_asked(engine: &Engine, container: &Container) {
    if container.spec.auto_remove != AutoRemove::AfterClient {
        return;
    }
    match engine.containers.remove(&call(), container.id.as_str(), false).await {
        Err(failure) if failure.code != Code::NotFound => {
            console::complain(&failure.context("removing the container"));
        }
        _ => {}
    }
    mark(Phase::Removed);
}

/// The exit status of a process that has ended; 125 if it cannot be known.
fn exit_status(exit: Option<&ExitRecord>) -> u8 {
    let Some(exit) = exit else {
        console::note("the container has ended before its exit code was known");
        return ENGINE;
    };
    u8::try_from(exit.code).unwrap_or_else(|_| {
        console::note(format_args!("the exit code is unknown: {}", exit.note));
        ENGINE
    })
}
