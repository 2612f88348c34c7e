//! `attach`.

use super::finish;
use crate::args::Attach;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::session::{Session, Signals, Streams, Target};
use crate::terminal;
use schema::Failure;
use schema::containers::{Container, State};
use schema::log_collector::From;

/// Connects the streams of a running container, from now on, until it ends.
pub(crate) async fn run(engine: &Engine, arguments: &Attach) -> Result<u8> {
    let name = &arguments.container;
    let container = engine.containers.inspect(&call(), name).await?;
    refuse_unless_it_runs(&container, name)?;
    let stdin = container.spec.open_stdin && !arguments.no_stdin;
    if stdin && container.spec.terminal && !terminal::on_stdin() {
        return Err(Failure::invalid("the input device is not a TTY")
            .hint("use --no-stdin, or run cctl in a terminal")
            .into());
    }
    let mut signals = Signals::watch()?;
    let position = engine.logs.locate(&call(), &container.id, From::End).await?;
    redraw(engine, &container).await;
    let session = Session {
        engine,
        target: Target::Container(&container),
        streams: Streams { stdin, stdout: true, stderr: true },
        position,
        pass_signals: arguments.sig_proxy,
        detach_keys: arguments.detach_keys.clone(),
    };
    let end = session.run(&mut signals).await?;
    finish(engine, &container, end).await
}

/// Only what runs has streams to connect.
fn refuse_unless_it_runs(container: &Container, name: &str) -> Result<(), Failure> {
    match container.state {
        State::Running | State::Stopping => Ok(()),
        State::Paused => Err(Failure::conflict(format_args!("{name} is paused"))
            .hint(format_args!("`cctl unpause {name}` lets it go on"))),
        State::Restarting => Err(Failure::conflict(format_args!("{name} is being restarted"))
            .hint(format_args!("wait until it runs; `cctl logs -f {name}` follows its output"))),
        _ => Err(Failure::conflict(format_args!("{name} is not running"))
            .hint(format_args!("`cctl start -a {name}` starts and attaches it, `cctl logs {name}` shows its output"))),
    }
}

/// Makes programs draw their screen again: a size that does not change would tell them nothing. The session
/// then sets the true size.
async fn redraw(engine: &Engine, container: &Container) {
    if let (true, Some(size)) = (container.spec.terminal, terminal::size()) {
        let (rows, columns) = (size.rows.saturating_add(1), size.columns.saturating_add(1));
        // If it has ended, there is nothing to draw.
        let _ = engine.containers.resize(&call(), container.id.as_str(), rows, columns).await;
    }
}
