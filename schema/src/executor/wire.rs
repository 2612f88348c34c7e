//! Conversions of `executor.capnp`.

use super::model::{Phase, Prepared, ProcessSpec, SandboxSpec, SandboxState, Started};
use crate::Failure;
use crate::bindings::executor_capnp::{prepared, process_spec, sandbox_spec, sandbox_state, started};
use crate::common::{ExitRecord, Limits, SandboxRef};
use crate::wire::{Wire, length, set_texts, text, texts};

impl Wire for SandboxSpec {
    type Owned = sandbox_spec::Owned;

    fn read(reader: sandbox_spec::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            hostname: text(reader.get_hostname())?,
            host_network: reader.get_host_network(),
            terminal: reader.get_terminal(),
            open_stdin: reader.get_open_stdin(),
            limits: Limits::read(reader.get_limits()?)?,
        })
    }

    fn write(&self, mut builder: sandbox_spec::Builder<'_>) {
        let Self { hostname, host_network, terminal, open_stdin, limits } = self;
        builder.set_hostname(hostname);
        builder.set_host_network(*host_network);
        builder.set_terminal(*terminal);
        builder.set_open_stdin(*open_stdin);
        limits.write(builder.init_limits());
    }
}

impl Wire for Prepared {
    type Owned = prepared::Owned;

    fn read(reader: prepared::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            sandbox: SandboxRef::read(reader.get_sandbox()?)?,
            directory: text(reader.get_directory())?.into(),
            warnings: texts(reader.get_warnings())?,
        })
    }

    fn write(&self, mut builder: prepared::Builder<'_>) {
        let Self { sandbox, directory, warnings } = self;
        sandbox.write(builder.reborrow().init_sandbox());
        builder.set_directory(directory.to_string_lossy());
        set_texts(builder.init_warnings(length(warnings)), warnings);
    }
}

impl Wire for ProcessSpec {
    type Owned = process_spec::Owned;

    fn read(reader: process_spec::Reader<'_>) -> Result<Self, Failure> {
        let arguments = texts(reader.get_arguments())?;
        let environment = texts(reader.get_environment())?;
        if arguments.first().is_none_or(String::is_empty) {
            return Err(Failure::invalid("a process needs a command"));
        }
        if let Some(bad) = arguments.iter().chain(&environment).find(|text| text.contains('\0')) {
            return Err(Failure::invalid(format_args!("{bad:?} contains a NUL byte")));
        }
        Ok(Self {
            arguments,
            environment,
            working_directory: text(reader.get_working_directory())?,
            user: text(reader.get_user())?,
            rows: reader.get_rows(),
            columns: reader.get_columns(),
        })
    }

    fn write(&self, mut builder: process_spec::Builder<'_>) {
        let Self { arguments, environment, working_directory, user, rows, columns } = self;
        set_texts(builder.reborrow().init_arguments(length(arguments)), arguments);
        set_texts(builder.reborrow().init_environment(length(environment)), environment);
        builder.set_working_directory(working_directory);
        builder.set_user(user);
        builder.set_rows(*rows);
        builder.set_columns(*columns);
    }
}

impl Wire for Started {
    type Owned = started::Owned;

    fn read(reader: started::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self { pid: reader.get_pid(), started_at: reader.get_started_at() })
    }

    fn write(&self, mut builder: started::Builder<'_>) {
        let Self { pid, started_at } = *self;
        builder.set_pid(pid);
        builder.set_started_at(started_at);
    }
}

impl Wire for SandboxState {
    type Owned = sandbox_state::Owned;

    fn read(reader: sandbox_state::Reader<'_>) -> Result<Self, Failure> {
        let phase = match reader.which()? {
            sandbox_state::Parked(()) => Phase::Parked,
            sandbox_state::Running(started) => Phase::Running(Started::read(started?)?),
            sandbox_state::Exited(exit) => Phase::Exited(ExitRecord::read(exit?)?),
        };
        Ok(Self { id: text(reader.get_id())?.parse()?, phase })
    }

    fn write(&self, mut builder: sandbox_state::Builder<'_>) {
        let Self { id, phase } = self;
        builder.set_id(id.as_str());
        match phase {
            Phase::Parked => builder.set_parked(()),
            Phase::Running(started) => started.write(builder.init_running()),
            Phase::Exited(exit) => exit.write(builder.init_exited()),
        }
    }
}
