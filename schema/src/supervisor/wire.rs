//! Conversions of `supervisor.capnp`.

use super::model::{ServiceStatus, State};
use crate::Failure;
use crate::bindings::supervisor_capnp::{self, service_status};
use crate::wire::{Wire, text};

impl Wire for ServiceStatus {
    type Owned = service_status::Owned;

    fn read(reader: service_status::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            service: text(reader.get_service())?,
            pid: reader.get_pid(),
            state: match reader.get_state()? {
                supervisor_capnp::State::Starting => State::Starting,
                supervisor_capnp::State::Ready => State::Ready,
                supervisor_capnp::State::Draining => State::Draining,
                supervisor_capnp::State::Backoff => State::Backoff,
                supervisor_capnp::State::Failed => State::Failed,
            },
            restarts: reader.get_restarts(),
            uptime_ms: reader.get_uptime_ms(),
            memory: reader.get_memory(),
            last_error: text(reader.get_last_error())?,
            executable: text(reader.get_executable())?,
        })
    }

    fn write(&self, mut builder: service_status::Builder<'_>) {
        let Self { service, pid, state, restarts, uptime_ms, memory, last_error, executable } = self;
        builder.set_service(service);
        builder.set_pid(*pid);
        builder.set_state(match state {
            State::Starting => supervisor_capnp::State::Starting,
            State::Ready => supervisor_capnp::State::Ready,
            State::Draining => supervisor_capnp::State::Draining,
            State::Backoff => supervisor_capnp::State::Backoff,
            State::Failed => supervisor_capnp::State::Failed,
        });
        builder.set_restarts(*restarts);
        builder.set_uptime_ms(*uptime_ms);
        builder.set_memory(*memory);
        builder.set_last_error(last_error);
        builder.set_executable(executable);
    }
}
