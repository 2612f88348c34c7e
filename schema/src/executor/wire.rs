//! Conversions of `executor.capnp`.

use super::model::{ExecSpec, Phase, Prepared, Process, ProcessSpec, SandboxSpec, SandboxState, Started, Stats};
use crate::Failure;
use crate::bindings::executor_capnp::{self, prepared, process_spec, sandbox_spec, sandbox_state, started};
use crate::common::{ExitRecord, IdRange, Limits, SandboxRef, base};
use crate::security::Security;
use crate::wire::{Wire, length, optional, set_texts, text, texts};

impl Wire for SandboxSpec {
    type Owned = sandbox_spec::Owned;

    fn read(reader: sandbox_spec::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            hostname: text(reader.get_hostname())?,
            host_network: reader.get_host_network(),
            terminal: reader.get_terminal(),
            open_stdin: reader.get_open_stdin(),
            limits: Limits::read(reader.get_limits()?)?,
            security: Box::new(Security::read(reader.get_security()?)?),
            ids: IdRange::read(reader.get_id_base())?,
        })
    }

    fn write(&self, mut builder: sandbox_spec::Builder<'_>) {
        let Self { hostname, host_network, terminal, open_stdin, limits, security, ids } = self;
        builder.set_hostname(hostname);
        builder.set_host_network(*host_network);
        builder.set_terminal(*terminal);
        builder.set_open_stdin(*open_stdin);
        builder.set_id_base(base(*ids));
        limits.write(builder.reborrow().init_limits());
        security.write(builder.init_security());
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
        Ok(Self {
            id: text(reader.get_id())?.parse()?,
            phase,
            exec_of: optional(&text(reader.get_exec_of())?)?,
            frozen: reader.get_frozen(),
            ids: IdRange::read(reader.get_id_base())?,
        })
    }

    fn write(&self, mut builder: sandbox_state::Builder<'_>) {
        let Self { id, phase, exec_of, frozen, ids } = self;
        builder.set_id(id.as_str());
        if let Some(exec_of) = exec_of {
            builder.set_exec_of(exec_of.as_str());
        }
        builder.set_frozen(*frozen);
        builder.set_id_base(base(*ids));
        match phase {
            Phase::Parked => builder.set_parked(()),
            Phase::Running(started) => started.write(builder.init_running()),
            Phase::Exited(exit) => exit.write(builder.init_exited()),
        }
    }
}

impl Wire for ExecSpec {
    type Owned = executor_capnp::exec_spec::Owned;

    fn read(reader: executor_capnp::exec_spec::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            terminal: reader.get_terminal(),
            open_stdin: reader.get_open_stdin(),
            privileged: reader.get_privileged(),
        })
    }

    fn write(&self, mut builder: executor_capnp::exec_spec::Builder<'_>) {
        let Self { terminal, open_stdin, privileged } = self;
        builder.set_terminal(*terminal);
        builder.set_open_stdin(*open_stdin);
        builder.set_privileged(*privileged);
    }
}

impl Wire for Stats {
    type Owned = executor_capnp::stats::Owned;

    fn read(reader: executor_capnp::stats::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            at: reader.get_at(),
            cpu_ns: reader.get_cpu_ns(),
            memory: reader.get_memory(),
            memory_limit: reader.get_memory_limit(),
            pids: reader.get_pids(),
            block_read: reader.get_block_read(),
            block_written: reader.get_block_written(),
            received: reader.get_received(),
            sent: reader.get_sent(),
            cpus: reader.get_cpus(),
            oom_kills: reader.get_oom_kills(),
        })
    }

    fn write(&self, mut builder: executor_capnp::stats::Builder<'_>) {
        let Self { at, cpu_ns, memory, memory_limit, pids, block_read, block_written, received, sent, cpus, oom_kills } =
            self;
        builder.set_at(*at);
        builder.set_cpu_ns(*cpu_ns);
        builder.set_memory(*memory);
        builder.set_memory_limit(*memory_limit);
        builder.set_pids(*pids);
        builder.set_block_read(*block_read);
        builder.set_block_written(*block_written);
        builder.set_received(*received);
        builder.set_sent(*sent);
        builder.set_cpus(*cpus);
        builder.set_oom_kills(*oom_kills);
    }
}

impl Wire for Process {
    type Owned = executor_capnp::process::Owned;

    fn read(reader: executor_capnp::process::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            pid: reader.get_pid(),
            parent: reader.get_parent(),
            uid: reader.get_uid(),
            user: text(reader.get_user())?,
            cpu_ns: reader.get_cpu_ns(),
            started_at: reader.get_started_at(),
            terminal: text(reader.get_terminal())?,
            command: text(reader.get_command())?,
            state: text(reader.get_state())?,
            memory: reader.get_memory(),
            cpu_permille: reader.get_cpu_permille(),
        })
    }

    fn write(&self, mut builder: executor_capnp::process::Builder<'_>) {
        let Self { pid, parent, uid, user, cpu_ns, started_at, terminal, command, state, memory, cpu_permille } = self;
        builder.set_pid(*pid);
        builder.set_parent(*parent);
        builder.set_uid(*uid);
        builder.set_user(user);
        builder.set_cpu_ns(*cpu_ns);
        builder.set_started_at(*started_at);
        builder.set_terminal(terminal);
        builder.set_command(command);
        builder.set_state(state);
        builder.set_memory(*memory);
        builder.set_cpu_permille(*cpu_permille);
    }
}
