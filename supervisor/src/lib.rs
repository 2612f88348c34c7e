//! The supervisor starts the services, holds their sockets, and restarts them.
//!
//! Two processes run this program. The *keeper* creates the listening sockets and keeps a *supervisor*
//! running; it knows no RPC and awaits nothing but signals. The supervisor runs the services, an actor for
//! each, and answers `schema/supervisor.capnp`. Either may be killed at any time: the keeper starts the next
//! supervisor on the same sockets, and a supervisor without a keeper becomes one.

mod access;
mod acl;
mod api;
mod arguments;
mod audit;
mod cage;
mod confine;
mod directories;
mod drop_ins;
mod duration;
mod events;
mod handover;
mod keeper;
mod landlock;
mod launch;
mod libexec;
mod lifecycle;
mod limits;
mod lock;
mod manifest;
mod notify;
mod ownership;
mod predecessor;
mod privileges;
mod program;
mod replacement;
mod restart;
mod service;
mod shelves;
mod silence;
mod sockets;
mod stand_by;
mod supervise;
mod sys;
mod trial;
mod users;
mod view;

use arguments::{Arguments, Role};
use schema::Failure;
use std::ffi::OsString;
use std::io::Write;

/// Version of the program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The argument by which it only says, as JSON, what the kernel lacks.
const PROBE: &str = "--probe";

/// Runs the program with these arguments, until an ordered shut-down.
pub fn run(arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let arguments: Vec<OsString> = arguments.collect();
    if arguments == [PROBE] {
        return probe();
    }
    let arguments = Arguments::parse(arguments.into_iter())?;
    match arguments.role {
        Role::Keeper => keeper::run(&arguments),
        Role::Supervisor => supervise::run(&arguments),
    }
}

/// A failure and its hint, as one line for people.
pub fn one_line(failure: &Failure) -> String {
    let text = match failure.hint.as_str() {
        "" => failure.message.clone(),
        hint => format!("{}; {hint}", failure.message),
    };
    text.replace('\n', " ")
}

/// Says whether Landlock can hold services, and why not if so.
fn probe() -> Result<(), Failure> {
    let found = serde_json::json!({ "landlock": landlock::version().err() });
    writeln!(std::io::stdout(), "{found}").map_err(|error| Failure::io("writing what was found", &error))
}
