//! `cctl`: parses a command line, calls the services, and renders what they answer.
//!
//! [`args`] and [`parse`] turn words into values, [`render`] turns values into words; both are pure.
//! [`commands`] has one module a verb, [`session`] connects the caller's streams with a container's, and
//! everything that leaves this process goes through [`console`].

mod args;
mod auth;
mod commands;
mod console;
mod engine;
mod error;
mod journal;
mod metrics;
mod otlp;
mod parse;
mod profile;
mod render;
mod select;
mod session;
mod sys;
mod template;
mod terminal;
mod transfer;
mod watch;
mod zone;

use error::Result;
use std::future::Future;

/// Does what the command line says, and ends the process with the command's exit status.
pub fn main() -> ! {
    profile::mark(profile::Phase::Begun);
    terminal::restore_on_panic();
    let code = match args::parse(std::env::args_os()) {
        Ok(command) => match begin() {
            Ok(()) => obey(command),
            Err(failure) => error::Error::from(failure).answer(error::Kind::of(&command)),
        },
        Err(usage) => usage.answer(),
    };
    terminal::restore();
    std::process::exit(code.into())
}

/// All that is called from here on belongs to one request, which the caller may have a number for.
fn begin() -> std::result::Result<(), schema::Failure> {
    let number = std::env::var_os("CCTL_REQUEST");
    let number = number.as_ref().map(|number| number.to_string_lossy());
    schema::call::begin_command(number.as_deref()).map_err(|failure| failure.context("CCTL_REQUEST"))
}

fn obey(command: args::Command) -> u8 {
    let kind = error::Kind::of(&command);
    match in_runtime(async { commands::run(command).await }) {
        Ok(code) => code,
        Err(error) => error.answer(kind),
    }
}

/// Runs a future on this thread. What blocks on a stream meanwhile does not hold up the end.
fn in_runtime<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| schema::Failure::io("starting the client's runtime", &error))?;
    let answer = tokio::task::LocalSet::new().block_on(&runtime, future);
    runtime.shutdown_background();
    answer
}
