//! Conversions of `supervisor.capnp`.

use super::model::{Held, MethodCalls, ServiceCalls, ServiceStatus, State, Usage};
use crate::Failure;
use crate::bindings::supervisor_capnp::{self, held, method_calls, service_calls, service_status};
use crate::calls::Count;
use crate::wire::{Wire, length, list, set_list, set_texts, text, texts};

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
            usage: Usage {
                cpu_ns: reader.get_cpu_ns(),
                io_read: reader.get_io_read(),
                io_written: reader.get_io_written(),
                descriptors: reader.get_descriptors(),
                threads: reader.get_threads(),
            },
        })
    }

    fn write(&self, mut builder: service_status::Builder<'_>) {
        let Self { service, pid, state, restarts, uptime_ms, memory, last_error, executable, usage } = self;
        let Usage { cpu_ns, io_read, io_written, descriptors, threads } = usage;
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
        builder.set_cpu_ns(*cpu_ns);
        builder.set_io_read(*io_read);
        builder.set_io_written(*io_written);
        builder.set_descriptors(*descriptors);
        builder.set_threads(*threads);
    }
}

impl Wire for ServiceCalls {
    type Owned = service_calls::Owned;

    fn read(reader: service_calls::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            service: text(reader.get_service())?,
            connections: reader.get_connections(),
            methods: list(reader.get_methods())?,
        })
    }

    fn write(&self, mut builder: service_calls::Builder<'_>) {
        let Self { service, connections, methods } = self;
        builder.set_service(service);
        builder.set_connections(*connections);
        set_list(builder.init_methods(length(methods)), methods);
    }
}

impl Wire for MethodCalls {
    type Owned = method_calls::Owned;

    fn read(reader: method_calls::Reader<'_>) -> Result<Self, Failure> {
        let mut durations = [0; _];
        for (place, number) in durations.iter_mut().zip(reader.get_durations()?) {
            *place = number;
        }
        Ok(Self {
            method: text(reader.get_method())?,
            count: Count {
                answered: reader.get_answered(),
                refused: reader.get_refused(),
                failed: reader.get_failed(),
                dropped: reader.get_dropped(),
                total_ns: reader.get_total_ns(),
                durations,
            },
        })
    }

    fn write(&self, mut builder: method_calls::Builder<'_>) {
        let Self { method, count } = self;
        let Count { answered, refused, failed, dropped, total_ns, durations } = count;
        builder.set_method(method);
        builder.set_answered(*answered);
        builder.set_refused(*refused);
        builder.set_failed(*failed);
        builder.set_dropped(*dropped);
        builder.set_total_ns(*total_ns);
        let mut list = builder.init_durations(length(durations));
        for (index, number) in (0..).zip(durations) {
            list.set(index, *number);
        }
    }
}

impl Wire for Held {
    type Owned = held::Owned;

    fn read(reader: held::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            process: text(reader.get_process())?,
            pid: reader.get_pid(),
            uid: reader.get_uid(),
            gid: reader.get_gid(),
            capabilities: texts(reader.get_capabilities())?,
            no_new_privileges: reader.get_no_new_privileges(),
            seccomp: reader.get_seccomp(),
            namespaces: texts(reader.get_namespaces())?,
            listens: texts(reader.get_listens())?,
            excess: texts(reader.get_excess())?,
            landlock: reader.get_landlock(),
            lacks: texts(reader.get_lacks())?,
        })
    }

    fn write(&self, mut builder: held::Builder<'_>) {
        let Self {
            process,
            pid,
            uid,
            gid,
            capabilities,
            no_new_privileges,
            seccomp,
            namespaces,
            listens,
            excess,
            landlock,
            lacks,
        } = self;
        builder.set_process(process);
        builder.set_pid(*pid);
        builder.set_uid(*uid);
        builder.set_gid(*gid);
        set_texts(builder.reborrow().init_capabilities(length(capabilities)), capabilities);
        builder.set_no_new_privileges(*no_new_privileges);
        builder.set_seccomp(*seccomp);
        set_texts(builder.reborrow().init_namespaces(length(namespaces)), namespaces);
        set_texts(builder.reborrow().init_listens(length(listens)), listens);
        set_texts(builder.reborrow().init_excess(length(excess)), excess);
        builder.set_landlock(*landlock);
        set_texts(builder.init_lacks(length(lacks)), lacks);
    }
}
