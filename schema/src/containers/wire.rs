//! Conversions of `containers.capnp`.

use super::model::{
    AutoRemove, CommitSpec, Container, ContainerSpec, Event, EventList, Exec, ExecSpec, Info, RestartKind,
    RestartPolicy, StartError, State, Summary, UserMode,
};
use crate::Failure;
use crate::bindings::containers_capnp::{self, container, container_spec, entrypoint, info};
use crate::common::{ExitRecord, IdRange, Limits, base};
use crate::network::{Attachment, NetworkInfo};
use crate::security::Security;
use crate::wire::{Wire, ids, length, list, set_ids, set_list, set_texts, text, texts};

impl Wire for ContainerSpec {
    type Owned = container_spec::Owned;

    fn read(reader: container_spec::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            image: text(reader.get_image())?,
            name: text(reader.get_container_name())?,
            command: texts(reader.get_command())?,
            entrypoint: match reader.get_entrypoint()?.which()? {
                entrypoint::Image(()) => None,
                entrypoint::Replace(words) => Some(texts(words)?),
            },
            environment: texts(reader.get_environment())?,
            user: text(reader.get_user())?,
            hostname: text(reader.get_hostname())?,
            working_directory: text(reader.get_working_directory())?,
            terminal: reader.get_terminal(),
            open_stdin: reader.get_open_stdin(),
            stdin_once: reader.get_stdin_once(),
            limits: Limits::read(reader.get_limits()?)?,
            network: reader.get_network()?.into(),
            ports: list(reader.get_ports())?,
            volumes: list(reader.get_volumes())?,
            auto_remove: match reader.get_auto_remove()? {
                containers_capnp::AutoRemove::Never => AutoRemove::Never,
                containers_capnp::AutoRemove::OnExit => AutoRemove::OnExit,
                containers_capnp::AutoRemove::AfterClient => AutoRemove::AfterClient,
            },
            log_max_size: reader.get_log_max_size(),
            log_max_files: reader.get_log_max_files(),
            rows: reader.get_rows(),
            columns: reader.get_columns(),
            log_mode: reader.get_log_mode()?.into(),
            labels: texts(reader.get_labels())?,
            restart: RestartPolicy::read(reader.get_restart()?)?,
            stop_signal: text(reader.get_stop_signal())?,
            stop_timeout_ms: reader.get_stop_timeout_ms(),
            extra_hosts: list(reader.get_extra_hosts())?,
            nameservers: texts(reader.get_nameservers())?,
            search_domains: texts(reader.get_search_domains())?,
            security: Security::read(reader.get_security()?)?,
            tmpfs: list(reader.get_tmpfs())?,
            users: match reader.get_users()? {
                containers_capnp::UserMode::Default => UserMode::Default,
                containers_capnp::UserMode::Private => UserMode::Private,
                containers_capnp::UserMode::Host => UserMode::Host,
            },
        })
    }

    fn write(&self, mut builder: container_spec::Builder<'_>) {
        let Self {
            image,
            name,
            command,
            entrypoint,
            environment,
            user,
            hostname,
            working_directory,
            terminal,
            open_stdin,
            stdin_once,
            limits,
            network,
            ports,
            volumes,
            auto_remove,
            log_max_size,
            log_max_files,
            rows,
            columns,
            log_mode,
            labels,
            restart,
            stop_signal,
            stop_timeout_ms,
            extra_hosts,
            nameservers,
            search_domains,
            security,
            tmpfs,
            users,
        } = self;
        builder.set_image(image);
        builder.set_container_name(name);
        set_texts(builder.reborrow().init_command(length(command)), command);
        match entrypoint {
            None => builder.reborrow().init_entrypoint().set_image(()),
            Some(words) => set_texts(builder.reborrow().init_entrypoint().init_replace(length(words)), words),
        }
        set_texts(builder.reborrow().init_environment(length(environment)), environment);
        builder.set_user(user);
        builder.set_hostname(hostname);
        builder.set_working_directory(working_directory);
        builder.set_terminal(*terminal);
        builder.set_open_stdin(*open_stdin);
        builder.set_stdin_once(*stdin_once);
        limits.write(builder.reborrow().init_limits());
        builder.set_network((*network).into());
        set_list(builder.reborrow().init_ports(length(ports)), ports);
        set_list(builder.reborrow().init_volumes(length(volumes)), volumes);
        builder.set_auto_remove(match auto_remove {
            AutoRemove::Never => containers_capnp::AutoRemove::Never,
            AutoRemove::OnExit => containers_capnp::AutoRemove::OnExit,
            AutoRemove::AfterClient => containers_capnp::AutoRemove::AfterClient,
        });
        builder.set_log_max_size(*log_max_size);
        builder.set_log_max_files(*log_max_files);
        builder.set_rows(*rows);
        builder.set_columns(*columns);
        builder.set_log_mode((*log_mode).into());
        set_texts(builder.reborrow().init_labels(length(labels)), labels);
        restart.write(builder.reborrow().init_restart());
        builder.set_stop_signal(stop_signal);
        builder.set_stop_timeout_ms(*stop_timeout_ms);
        set_list(builder.reborrow().init_extra_hosts(length(extra_hosts)), extra_hosts);
        set_texts(builder.reborrow().init_nameservers(length(nameservers)), nameservers);
        builder.set_users(match users {
            UserMode::Default => containers_capnp::UserMode::Default,
            UserMode::Private => containers_capnp::UserMode::Private,
            UserMode::Host => containers_capnp::UserMode::Host,
        });
        set_texts(builder.reborrow().init_search_domains(length(search_domains)), search_domains);
        security.write(builder.reborrow().init_security());
        set_list(builder.init_tmpfs(length(tmpfs)), tmpfs);
    }
}

impl From<containers_capnp::State> for State {
    fn from(value: containers_capnp::State) -> Self {
        match value {
            containers_capnp::State::Created => Self::Created,
            containers_capnp::State::Starting => Self::Starting,
            containers_capnp::State::Running => Self::Running,
            containers_capnp::State::Stopping => Self::Stopping,
            containers_capnp::State::Exited => Self::Exited,
            containers_capnp::State::Removing => Self::Removing,
            containers_capnp::State::Paused => Self::Paused,
            containers_capnp::State::Restarting => Self::Restarting,
        }
    }
}

impl Summary {
    /// Reads of a container what a list shows.
    pub(super) fn read(reader: container::Reader<'_>) -> Result<Self, Failure> {
        let spec = reader.get_spec()?;
        Ok(Self {
            id: text(reader.get_id())?.parse()?,
            name: text(spec.get_container_name())?,
            image: text(spec.get_image())?,
            image_id: text(reader.get_image_id())?.parse()?,
            arguments: texts(reader.get_arguments())?,
            labels: texts(spec.get_labels())?,
            network: spec.get_network()?.into(),
            volumes: list(spec.get_volumes())?,
            ports: list(spec.get_ports())?,
            published: if reader.has_attachment() { Some(list(reader.get_attachment()?.get_ports())?) } else { None },
            created_at: reader.get_created_at(),
            state: reader.get_state()?.into(),
            pid: reader.get_pid(),
            started_at: reader.get_started_at(),
            exit: if reader.get_has_exit() { Some(ExitRecord::read(reader.get_exit()?)?) } else { None },
            has_failed: !reader.get_error()?.is_empty(),
            restart_count: reader.get_restart_count(),
        })
    }
}

impl Wire for Container {
    type Owned = container::Owned;

    fn read(reader: container::Reader<'_>) -> Result<Self, Failure> {
        let error = text(reader.get_error())?;
        Ok(Self {
            id: text(reader.get_id())?.parse()?,
            spec: ContainerSpec::read(reader.get_spec()?)?,
            image_id: text(reader.get_image_id())?.parse()?,
            arguments: texts(reader.get_arguments())?,
            created_at: reader.get_created_at(),
            state: reader.get_state()?.into(),
            pid: reader.get_pid(),
            started_at: reader.get_started_at(),
            exit: if reader.get_has_exit() { Some(ExitRecord::read(reader.get_exit()?)?) } else { None },
            error: if error.is_empty() {
                None
            } else {
                Some(StartError { code: reader.get_error_code()?.into(), message: error })
            },
            attachment: if reader.has_attachment() { Some(Attachment::read(reader.get_attachment()?)?) } else { None },
            run_position: reader.get_run_position(),
            warnings: texts(reader.get_warnings())?,
            restart_count: reader.get_restart_count(),
            execs: ids(reader.get_execs())?,
            ids: IdRange::read(reader.get_id_base())?,
        })
    }

    fn write(&self, mut builder: container::Builder<'_>) {
        let Self {
            id,
            spec,
            image_id,
            arguments,
            created_at,
            state,
            pid,
            started_at,
            exit,
            error,
            attachment,
            run_position,
            warnings,
            restart_count,
            execs,
            ids,
        } = self;
        builder.set_id_base(base(*ids));
        builder.set_id(id.as_str());
        spec.write(builder.reborrow().init_spec());
        builder.set_image_id(image_id.as_str());
        set_texts(builder.reborrow().init_arguments(length(arguments)), arguments);
        builder.set_created_at(*created_at);
        builder.set_state(match state {
            State::Created => containers_capnp::State::Created,
            State::Starting => containers_capnp::State::Starting,
            State::Running => containers_capnp::State::Running,
            State::Stopping => containers_capnp::State::Stopping,
            State::Exited => containers_capnp::State::Exited,
            State::Removing => containers_capnp::State::Removing,
            State::Paused => containers_capnp::State::Paused,
            State::Restarting => containers_capnp::State::Restarting,
        });
        builder.set_pid(*pid);
        builder.set_started_at(*started_at);
        builder.set_has_exit(exit.is_some());
        if let Some(exit) = exit {
            exit.write(builder.reborrow().init_exit());
        }
        if let Some(StartError { code, message }) = error {
            builder.set_error(message);
            builder.set_error_code((*code).into());
        }
        if let Some(attachment) = attachment {
            attachment.write(builder.reborrow().init_attachment());
        }
        builder.set_run_position(*run_position);
        set_texts(builder.reborrow().init_warnings(length(warnings)), warnings);
        builder.set_restart_count(*restart_count);
        set_ids(builder.init_execs(length(execs)), execs);
    }
}

impl Wire for Info {
    type Owned = info::Owned;

    fn read(reader: info::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            containers: reader.get_containers(),
            running: reader.get_running(),
            network: NetworkInfo::read(reader.get_network()?)?,
        })
    }

    fn write(&self, mut builder: info::Builder<'_>) {
        let Self { containers, running, network } = self;
        builder.set_containers(*containers);
        builder.set_running(*running);
        network.write(builder.init_network());
    }
}

impl Wire for RestartPolicy {
    type Owned = containers_capnp::restart_policy::Owned;

    fn read(reader: containers_capnp::restart_policy::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self { kind: reader.get_kind()?.into(), maximum: reader.get_maximum() })
    }

    fn write(&self, mut builder: containers_capnp::restart_policy::Builder<'_>) {
        let Self { kind, maximum } = *self;
        builder.set_kind(kind.into());
        builder.set_maximum(maximum);
    }
}

impl From<containers_capnp::RestartKind> for RestartKind {
    fn from(value: containers_capnp::RestartKind) -> Self {
        match value {
            containers_capnp::RestartKind::No => Self::No,
            containers_capnp::RestartKind::OnFailure => Self::OnFailure,
            containers_capnp::RestartKind::Always => Self::Always,
            containers_capnp::RestartKind::UnlessStopped => Self::UnlessStopped,
        }
    }
}

impl From<RestartKind> for containers_capnp::RestartKind {
    fn from(value: RestartKind) -> Self {
        match value {
            RestartKind::No => Self::No,
            RestartKind::OnFailure => Self::OnFailure,
            RestartKind::Always => Self::Always,
            RestartKind::UnlessStopped => Self::UnlessStopped,
        }
    }
}

impl Wire for ExecSpec {
    type Owned = containers_capnp::exec_spec::Owned;

    fn read(reader: containers_capnp::exec_spec::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            arguments: texts(reader.get_arguments())?,
            environment: texts(reader.get_environment())?,
            user: text(reader.get_user())?,
            working_directory: text(reader.get_working_directory())?,
            terminal: reader.get_terminal(),
            open_stdin: reader.get_open_stdin(),
            rows: reader.get_rows(),
            columns: reader.get_columns(),
            privileged: reader.get_privileged(),
        })
    }

    fn write(&self, mut builder: containers_capnp::exec_spec::Builder<'_>) {
        let Self { arguments, environment, user, working_directory, terminal, open_stdin, rows, columns, privileged } =
            self;
        set_texts(builder.reborrow().init_arguments(length(arguments)), arguments);
        set_texts(builder.reborrow().init_environment(length(environment)), environment);
        builder.set_user(user);
        builder.set_working_directory(working_directory);
        builder.set_terminal(*terminal);
        builder.set_open_stdin(*open_stdin);
        builder.set_rows(*rows);
        builder.set_columns(*columns);
        builder.set_privileged(*privileged);
    }
}

impl Wire for Exec {
    type Owned = containers_capnp::exec::Owned;

    fn read(reader: containers_capnp::exec::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            id: text(reader.get_id())?.parse()?,
            container: text(reader.get_container())?.parse()?,
            pid: reader.get_pid(),
            position: reader.get_position(),
        })
    }

    fn write(&self, mut builder: containers_capnp::exec::Builder<'_>) {
        let Self { id, container, pid, position } = self;
        builder.set_id(id.as_str());
        builder.set_container(container.as_str());
        builder.set_pid(*pid);
        builder.set_position(*position);
    }
}

impl Wire for CommitSpec {
    type Owned = containers_capnp::commit_spec::Owned;

    fn read(reader: containers_capnp::commit_spec::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            reference: text(reader.get_reference())?,
            message: text(reader.get_message())?,
            author: text(reader.get_author())?,
            changes: texts(reader.get_changes())?,
            pause: reader.get_pause(),
        })
    }

    fn write(&self, mut builder: containers_capnp::commit_spec::Builder<'_>) {
        let Self { reference, message, author, changes, pause } = self;
        builder.set_reference(reference);
        builder.set_message(message);
        builder.set_author(author);
        set_texts(builder.reborrow().init_changes(length(changes)), changes);
        builder.set_pause(*pause);
    }
}

impl Wire for Event {
    type Owned = containers_capnp::event::Owned;

    fn read(reader: containers_capnp::event::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            sequence: reader.get_sequence(),
            at: reader.get_at(),
            action: text(reader.get_action())?,
            container: text(reader.get_container())?.parse()?,
            attributes: texts(reader.get_attributes())?,
        })
    }

    fn write(&self, mut builder: containers_capnp::event::Builder<'_>) {
        let Self { sequence, at, action, container, attributes } = self;
        builder.set_sequence(*sequence);
        builder.set_at(*at);
        builder.set_action(action);
        builder.set_container(container.as_str());
        set_texts(builder.reborrow().init_attributes(length(attributes)), attributes);
    }
}

impl Wire for EventList {
    type Owned = containers_capnp::event_list::Owned;

    fn read(reader: containers_capnp::event_list::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self { events: list(reader.get_events())?, next: reader.get_next() })
    }

    fn write(&self, mut builder: containers_capnp::event_list::Builder<'_>) {
        let Self { events, next } = self;
        set_list(builder.reborrow().init_events(length(events)), events);
        builder.set_next(*next);
    }
}
