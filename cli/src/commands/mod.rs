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
use schema::Code;
use schema::common::ExitRecord;
use schema::containers::{AutoRemove, Container};
use schema::log_collector::Stream;
use std::future::Future;

/// Does what a command says; answers the exit status.
pub(crate) async fn run(command: Command) -> Result<u8> {
    let engine = Engine::from_env()?;
    match command {
        Command::Attach(arguments) => attach::run(&engine, &arguments).await,
        Command::Commit(arguments) => commit::run(&engine, &arguments).await,
        Command::Completion { shell } => manual::completion(shell),
        Command::Cp(arguments) => copy::run(&engine, &arguments).await,
        Command::Create(arguments) => create::run(&engine, &arguments).await,
        Command::Diff(arguments) => diff::run(&engine, &arguments.container).await,
        Command::Events(arguments) => events::run(&engine, &arguments).await,
        Command::Exec(arguments) => shown(&engine, arguments.profile, exec::run(&engine, &arguments)).await,
        Command::Export(arguments) => archive::export(&engine, &arguments).await,
        Command::History(arguments) => images::history(&engine, &arguments).await,
        Command::Images(arguments) => images::run(&engine, &arguments).await,
        Command::Import(arguments) => import::run(&engine, &arguments).await,
        Command::Info(arguments) => info::run(&engine, &arguments).await,
        Command::Inspect(arguments) => inspect::run(&engine, &arguments).await,
        Command::Kill(arguments) => lifecycle::kill(&engine, &arguments).await,
        Command::Load(arguments) => load::run(&engine, &arguments).await,
        Command::Login(arguments) => login::run(&engine, &arguments).await,
        Command::Logout(arguments) => login::log_out(&engine, &arguments).await,
        Command::Logs(arguments) => logs::run(&engine, &arguments).await,
        Command::Man { directory } => manual::pages(&directory),
        Command::Pause(arguments) => lifecycle::pause(&engine, &arguments.containers).await,
        Command::Port(arguments) => port::run(&engine, &arguments).await,
        Command::Ps(arguments) => ps::run(&engine, &arguments).await,
        Command::Pull(arguments) => pull::run(&engine, &arguments).await,
        Command::Push(arguments) => push::run(&engine, &arguments).await,
        Command::Rename(arguments) => lifecycle::rename(&engine, &arguments).await,
        Command::Restart(arguments) => lifecycle::restart(&engine, &arguments).await,
        Command::Rm(arguments) => lifecycle::remove(&engine, &arguments).await,
        Command::Rmi(arguments) => images::remove(&engine, &arguments).await,
        Command::Run(arguments) => shown(&engine, arguments.profile, run::run(&engine, &arguments)).await,
        Command::Save(arguments) => archive::save(&engine, &arguments).await,
        Command::Start(arguments) => start::run(&engine, &arguments).await,
        Command::Stats(arguments) => stats::run(&engine, &arguments).await,
        Command::Stop(arguments) => lifecycle::stop(&engine, &arguments).await,
        Command::System(arguments) => system::run(&engine, &arguments).await,
        Command::Tag(arguments) => images::tag(&engine, &arguments).await,
        Command::Top(arguments) => top::run(&engine, &arguments).await,
        Command::Unpause(arguments) => lifecycle::unpause(&engine, &arguments.containers).await,
        Command::Version(arguments) => version::run(&engine, &arguments).await,
        Command::Wait(arguments) => lifecycle::wait(&engine, &arguments.containers).await,
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
