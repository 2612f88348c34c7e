//! Every method of the contract, and who may call it. What is not listed here, nobody may call but an admin.

use super::Verb::{self, *};
use crate::bindings::{
    common_capnp, containers_capnp, executor_capnp, filesystem_capnp, image_store_capnp, log_collector_capnp,
    network_capnp, supervisor_capnp,
};
use capnp::traits::HasTypeId;

/// When a call is written to the audit log, beside those that are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Never: it changes nothing, or nothing but for how long a client is waited for, or the size of its terminal.
    No,
    /// Always.
    Yes,
    /// It is called again and again until it is done: when it begins.
    Beginning,
    /// The same, and how it ends.
    Transfer,
}

/// A method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// `containers.stop`.
    pub name: &'static str,
    /// Whoever has one of these may call it.
    pub verbs: &'static [Verb],
    /// Whether services call it.
    pub of_services: bool,
    /// Whether it goes into the audit log.
    pub recorded: Recorded,
}

/// Changes something.
const fn change(name: &'static str, verbs: &'static [Verb]) -> Method {
    Method { name, verbs, of_services: false, recorded: Recorded::Yes }
}

/// Changes nothing.
const fn look(name: &'static str, verbs: &'static [Verb]) -> Method {
    Method { name, verbs, of_services: false, recorded: Recorded::No }
}

/// Is called by services.
const fn shared(method: Method) -> Method {
    Method { of_services: true, ..method }
}

const fn recorded(method: Method, recorded: Recorded) -> Method {
    Method { recorded, ..method }
}

const SERVICE: &[Method] = &[shared(look("hello", Verb::ALL)), look("auditRecords", &[])];

const CONTAINERS: &[Method] = &[
    change("containers.create", &[Create]),
    change("containers.start", &[Start]),
    change("containers.stop", &[Stop]),
    change("containers.kill", &[Kill]),
    change("containers.restart", &[Restart]),
    look("containers.wait", &[Wait, Attach]),
    change("containers.remove", &[Rm]),
    look("containers.list", &[Ps, Stats]),
    look(
        "containers.inspect",
        &[Inspect, Port, Logs, Attach, Exec, Start, Stop, Restart, Kill, Wait, Top, Diff, Cp, Export, Commit],
    ),
    look("containers.resize", &[Attach]),
    look("containers.keep", &[Attach]),
    change("containers.shutDown", &[]),
    look("containers.info", &[Info]),
    change("containers.rename", &[Rename]),
    change("containers.pause", &[Pause]),
    change("containers.unpause", &[Unpause]),
    look("containers.stats", &[Stats]),
    look("containers.top", &[Top]),
    look("containers.events", &[Events]),
    change("containers.exec", &[Exec]),
    look("containers.execWait", &[Exec]),
    look("containers.execResize", &[Exec]),
    look("containers.execKeep", &[Exec]),
    look("containers.changes", &[Diff]),
    look("containers.archive", &[Cp, Export]),
    change("containers.extract", &[Cp]),
    look("containers.stat", &[Cp]),
    change("containers.commit", &[Commit]),
    look("containers.usage", &[Ps, Inspect]),
    change("containers.check", &[]),
    look("containers.offer", &[Create]),
    // And whoever runs it must have `start` for it, too.
    change("containers.run", &[Create]),
    change("containers.standDown", &[]),
    look("containers.ended", &[Wait, Attach]),
];

const IMAGE_STORE: &[Method] = &[
    shared(look("image-store.resolve", &[Images, Inspect, History])),
    shared(look("image-store.list", &[Images])),
    shared(look("image-store.blob", &[])),
    shared(recorded(look("image-store.upload", &[Import, Load, Cp]), Recorded::Beginning)),
    change("image-store.importUpload", &[Import]),
    shared(look("image-store.abandon", &[Import, Load, Cp])),
    recorded(look("image-store.pull", &[Pull]), Recorded::Transfer),
    recorded(look("image-store.push", &[Push]), Recorded::Transfer),
    recorded(look("image-store.fetch", &[Import]), Recorded::Transfer),
    look("image-store.login", &[Pull, Push]),
    change("image-store.tag", &[Tag]),
    change("image-store.remove", &[Rmi]),
    look("image-store.history", &[History]),
    look("image-store.describe", &[Images, Inspect]),
    shared(change("image-store.commitUpload", &[])),
    change("image-store.loadUpload", &[Load]),
    look("image-store.save", &[Save]),
    shared(change("image-store.lease", &[])),
    shared(change("image-store.release", &[])),
    shared(change("image-store.reconcile", &[])),
    shared(look("image-store.changed", &[])),
    change("image-store.check", &[]),
    shared(look("image-store.uploadFile", &[])),
    shared(look("image-store.packUpload", &[])),
];

const LOG_COLLECTOR: &[Method] = &[
    shared(change("log-collector.open", &[])),
    shared(look("log-collector.read", &[Logs, Attach, Exec])),
    look("log-collector.locate", &[Logs, Attach, Exec]),
    change("log-collector.openInput", &[Attach, Exec]),
    shared(change("log-collector.remove", &[])),
    shared(change("log-collector.reconcile", &[])),
    shared(change("log-collector.check", &[])),
    // Of all containers, so that no project may have it.
    look("log-collector.totals", &[Events]),
    // Of use to root only, who alone may open what it names.
    look("log-collector.parts", &[]),
];

/// Who was given such a session may use it.
const INPUT_SESSION: &[Method] =
    &[look("log-collector.input.write", &[Attach, Exec]), look("log-collector.input.close", &[Attach, Exec])];

const SUPERVISOR: &[Method] = &[
    look("supervisor.status", &[Status]),
    change("supervisor.restart", &[]),
    look("supervisor.logFile", &[]),
    change("supervisor.shutDown", &[]),
    change("supervisor.replace", &[]),
    look("supervisor.audit", &[]),
    look("supervisor.calls", &[Status]),
];

const EXECUTOR: &[Method] = &[
    shared(change("executor.prepare", &[])),
    shared(change("executor.start", &[])),
    shared(look("executor.wait", &[])),
    shared(change("executor.signal", &[])),
    shared(look("executor.resize", &[])),
    shared(change("executor.destroy", &[])),
    shared(look("executor.list", &[])),
    shared(change("executor.prepareExec", &[])),
    shared(change("executor.freeze", &[])),
    shared(look("executor.stats", &[])),
    shared(look("executor.processes", &[])),
    shared(change("executor.check", &[])),
    shared(change("executor.setUp", &[])),
];

const NETWORK: &[Method] = &[
    shared(change("network.attach", &[])),
    shared(change("network.detach", &[])),
    shared(change("network.reconcile", &[])),
    shared(look("network.info", &[])),
    shared(change("network.tearDown", &[])),
    shared(change("network.check", &[])),
];

const FILESYSTEM: &[Method] = &[
    shared(change("filesystem.mount", &[])),
    shared(change("filesystem.setNames", &[])),
    shared(change("filesystem.release", &[])),
    shared(change("filesystem.reconcile", &[])),
    shared(look("filesystem.changes", &[])),
    shared(look("filesystem.archive", &[])),
    shared(change("filesystem.extract", &[])),
    shared(change("filesystem.commitLayer", &[])),
    shared(look("filesystem.usage", &[])),
    shared(look("filesystem.stat", &[])),
    shared(change("filesystem.check", &[])),
];

const COMMON_ID: u64 = <common_capnp::service::Client as HasTypeId>::TYPE_ID;
const CONTAINERS_ID: u64 = <containers_capnp::containers::Client as HasTypeId>::TYPE_ID;
const IMAGE_STORE_ID: u64 = <image_store_capnp::image_store::Client as HasTypeId>::TYPE_ID;
const LOG_COLLECTOR_ID: u64 = <log_collector_capnp::log_collector::Client as HasTypeId>::TYPE_ID;
const INPUT_SESSION_ID: u64 = <log_collector_capnp::input_session::Client as HasTypeId>::TYPE_ID;
const SUPERVISOR_ID: u64 = <supervisor_capnp::supervisor::Client as HasTypeId>::TYPE_ID;
const EXECUTOR_ID: u64 = <executor_capnp::executor::Client as HasTypeId>::TYPE_ID;
const NETWORK_ID: u64 = <network_capnp::network::Client as HasTypeId>::TYPE_ID;
const FILESYSTEM_ID: u64 = <filesystem_capnp::filesystem::Client as HasTypeId>::TYPE_ID;

/// The interfaces by their type ids, each with its methods in the order of their ordinals.
pub const METHODS: &[(u64, &[Method])] = &[
    (COMMON_ID, SERVICE),
    (CONTAINERS_ID, CONTAINERS),
    (IMAGE_STORE_ID, IMAGE_STORE),
    (LOG_COLLECTOR_ID, LOG_COLLECTOR),
    (INPUT_SESSION_ID, INPUT_SESSION),
    (SUPERVISOR_ID, SUPERVISOR),
    (EXECUTOR_ID, EXECUTOR),
    (NETWORK_ID, NETWORK),
    (FILESYSTEM_ID, FILESYSTEM),
];

/// `hello`, which everybody may call.
pub const HELLO: (u64, u16) = (COMMON_ID, 0);
/// `auditRecords`, which `kit` answers for every service.
pub const AUDIT_RECORDS: (u64, u16) = (COMMON_ID, 1);

/// A method, as a call names it; none: it is not in the contract that this program knows.
pub fn method(interface: u64, ordinal: u16) -> Option<&'static Method> {
    let (_, methods) = METHODS.iter().find(|(id, _)| *id == interface)?;
    methods.get(usize::from(ordinal))
}

/// The verbs that a method needs one of, by its name; none for one that is not listed.
pub fn verbs(name: &str) -> &'static [Verb] {
    let mut all = METHODS.iter().flat_map(|(_, methods)| methods.iter());
    all.find(|method| method.name == name).map_or(&[], |method| method.verbs)
}
