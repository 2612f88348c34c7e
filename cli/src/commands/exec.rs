//! `exec`.

use super::{exit_status, spec};
use crate::args::Exec;
use crate::console;
use crate::engine::{Engine, new_id};
use crate::error::{Result, signalled};
use crate::profile::{Phase, mark};
use crate::session::{End, Session, Signals, Streams, Target};
use crate::terminal;
use schema::containers::ExecSpec;
use schema::log_collector::Stream;
use schema::{Call, Failure};
use std::time::Duration;

/// How long the start of a process may take.
const START: Duration = Duration::from_secs(60);

/// Runs a further process in a container; unless it is detached, connects its streams and waits for its end.
pub(crate) async fn run(engine: &Engine, arguments: &Exec) -> Result<u8> {
    let spec = specification(arguments)?;
    let id = new_id()?;
    let mut signals = if arguments.detach { None } else { Some(Signals::watch()?) };
    mark(Phase::Read);
    let exec = engine.containers.exec(&Call::within(START), &arguments.container, &id, &spec).await?;
    mark(Phase::Started);
    let Some(signals) = &mut signals else { return Ok(0) };
    let session = Session {
        engine,
        target: Target::Exec(&exec, &spec),
        streams: Streams { stdin: arguments.interactive, stdout: true, stderr: true },
        position: exec.position,
        pass_signals: true,
        detach_keys: arguments.detach_keys.clone(),
    };
    match session.run(signals).await? {
        End::Exited(exit) => {
            mark(Phase::Exited);
            Ok(exit_status(exit.as_ref()))
        }
        End::Detached => {
            console::write(Stream::Stderr, b"\n")?;
            console::note(format_args!("detached: {} goes on", arguments.command.join(" ")));
            Ok(0)
        }
        End::Signalled(signal) => Ok(signalled(signal)),
        End::Sent => Ok(0),
    }
}

fn specification(arguments: &Exec) -> Result<ExecSpec, Failure> {
    let Exec { detach, interactive, tty, user, workdir, command, privileged, .. } = arguments;
    if *tty && *interactive && !detach && !terminal::on_stdin() {
        return Err(Failure::invalid("the input device is not a TTY")
            .hint("leave out -t to pipe into the container, or run cctl in a terminal"));
    }
    let size = terminal::size().filter(|_| *tty).unwrap_or_default();
    Ok(ExecSpec {
        arguments: command.clone(),
        environment: spec::environment(&arguments.env_file, &arguments.environment, |key| std::env::var(key).ok())?,
        user: user.clone(),
        working_directory: workdir.clone(),
        terminal: *tty,
        open_stdin: *interactive && !detach,
        rows: size.rows,
        columns: size.columns,
        privileged: *privileged,
    })
}
