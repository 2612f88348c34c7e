//! The log collector: captures the output of containers exactly once, keeps it within bounds, hands it out, and
//! carries input to them.
//!
//! * Capture: `capture` is one thread that splices from all FIFOs into the files of `writer`; `run` takes
//!   hold of a run, `recover` finds out where a log stands.
//! * Absence: what a monitor has spilled meanwhile, `takeover` appends first; `gate` is the lock between them.
//! * Mode `drop`: capture goes into a `stage` in memory, and `mover` is one thread that moves it on.
//! * Sealed segments: `compress` is one thread that replaces them by their `packed` form; `bytes` reads both.
//! * Retrieval: `view` is what readers see of a log; `walk` goes through the files, for `reader`, which reads them, and for
//!   `parts`, which tells where in them what is; `locate` finds positions.
//! * Input: `input`, through a staging pipe and a journal.
//! * Access: `confined` is what somebody is handed who may see some containers only.
//! * Ownership: `logs` owns the list, `log` one log; `startup` fills the list.
//!
//! State: `<container id>/` holds a log's segments (see `files` and `entry`), `records/` a record for each log. In
//! the part of the sandbox's directory that is ours, `log`: `lost` and `lost.stderr` count what a full disk cost the
//! run, `input` is the journal of its stdin, `stage` is the stage of mode `drop`.
//!
//! What is captured survives the death of this process at any instant. `settle` has it on the disk some seconds later:
//! a power cut costs the end of a log, and what is there is told from what is damaged.

mod api;
mod bounds;
mod bytes;
mod capture;
mod compress;
mod confined;
mod entry;
#[cfg(test)]
mod exactness;
mod files;
mod gate;
mod holds;
mod index;
mod input;
mod locate;
mod log;
mod logs;
mod mover;
mod parts;
mod reader;
mod record;
mod recover;
mod run;
mod segment;
mod settle;
mod source;
mod stage;
mod startup;
mod takeover;
mod view;
mod walk;
mod writer;

use actix::Actor;
use kit::serve::Bootstrap;
use schema::Failure;
use schema::log_collector::{SERVICE, serve};

/// What this service is.
pub const IDENTITY: kit::Identity = kit::Identity { service: SERVICE, needs: &[], version: env!("CARGO_PKG_VERSION") };

/// What the program of this service does, from its start to its end.
pub fn main() -> std::process::ExitCode {
    kit::boot::run(IDENTITY, start)
}

/// Takes up every log that there is, then serves. Fails if the state directory cannot be read.
pub async fn start(context: kit::Context) -> Result<Bootstrap, Failure> {
    let logs = startup::recover(context.state()?).await?;
    tracing::info!(logs = logs.entries.len(), "took up the logs");
    let (about, api) = (context.about(), api::Api::new(logs.start()));
    let full = serve(about.clone(), api.clone());
    let confined = move |rights| serve(about.clone(), confined::Confined::new(api.clone(), rights));
    Ok(Bootstrap::from(full).confined(confined))
}
