//! Conversions of `containers.capnp`.

use super::model::{AutoRemove, Container, ContainerSpec, Info, StartError, State};
use crate::Failure;
use crate::bindings::containers_capnp::{self, container, container_spec, entrypoint, info};
use crate::common::{ExitRecord, Limits};
use crate::network::{Attachment, NetworkInfo};
use crate::wire::{Wire, length, list, set_list, set_texts, text, texts};

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
            state: match reader.get_state()? {
                containers_capnp::State::Created => State::Created,
                containers_capnp::State::Starting => State::Starting,
                containers_capnp::State::Running => State::Running,
                containers_capnp::State::Stopping => State::Stopping,
                containers_capnp::State::Exited => State::Exited,
                containers_capnp::State::Removing => State::Removing,
            },
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
        } = self;
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
        set_texts(builder.init_warnings(length(warnings)), warnings);
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
