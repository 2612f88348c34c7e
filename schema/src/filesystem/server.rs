//! What a filesystem service implements.

use super::model::{
    ArchiveChunk, ArchiveRequest, ChangeList, ExtractRequest, MountSpec, Names, PathStat, Place, Usage,
};
use crate::bindings::filesystem_capnp::filesystem as wire;
use crate::common::{About, CheckReport, SandboxRef};
use crate::rpc::{answer, answer_hello};
use crate::wire::{Wire, ids, text};
use crate::{Call, ContainerId, Failure};
use std::rc::Rc;

/// The methods of the filesystem service in domain types; the contract describes each.
#[allow(async_fn_in_trait)]
pub trait Server: 'static {
    /// Mounts a root filesystem into a sandbox.
    async fn mount(&self, call: &Call, id: ContainerId, sandbox: SandboxRef, spec: MountSpec) -> Result<(), Failure>;
    /// Writes /etc/hostname, /etc/hosts and /etc/resolv.conf.
    async fn set_names(&self, call: &Call, id: ContainerId, names: Names) -> Result<(), Failure>;
    /// Removes the writable layer.
    async fn release(&self, call: &Call, id: ContainerId) -> Result<(), Failure>;
    /// Removes what belongs to no live container.
    async fn reconcile(&self, call: &Call, live: Vec<ContainerId>) -> Result<(), Failure>;
    /// How the writable layer differs from the image.
    async fn changes(&self, call: &Call, place: Place, after: Vec<u8>, max_count: u32) -> Result<ChangeList, Failure> {
        let _ = (call, place, after, max_count);
        Err(crate::rpc::missing("filesystem.changes"))
    }
    /// A part of a tar archive of its files.
    async fn archive(
        &self,
        call: &Call,
        place: Place,
        request: ArchiveRequest,
        cursor: Vec<u8>,
        max_bytes: u32,
    ) -> Result<ArchiveChunk, Failure> {
        let _ = (call, place, request, cursor, max_bytes);
        Err(crate::rpc::missing("filesystem.archive"))
    }
    /// Unpacks an upload of the image store into it.
    async fn extract(&self, call: &Call, place: Place, request: ExtractRequest) -> Result<(), Failure> {
        let _ = (call, place, request);
        Err(crate::rpc::missing("filesystem.extract"))
    }
    /// Writes the writable layer to an upload of the image store; answers its length in bytes.
    async fn commit_layer(&self, call: &Call, place: Place, upload: String) -> Result<u64, Failure> {
        let _ = (call, place, upload);
        Err(crate::rpc::missing("filesystem.commit_layer"))
    }
    /// What the writable layer takes on disk.
    async fn usage(&self, call: &Call, id: ContainerId) -> Result<Usage, Failure> {
        let _ = (call, id);
        Err(crate::rpc::missing("filesystem.usage"))
    }
    /// What lies at a path.
    async fn stat(&self, call: &Call, place: Place, path: String) -> Result<PathStat, Failure> {
        let _ = (call, place, path);
        Err(crate::rpc::missing("filesystem.stat"))
    }
    /// Compares what is stored with what should be, and mends what can be.
    async fn check(&self, call: &Call, repair: bool, running: Vec<ContainerId>) -> Result<CheckReport, Failure> {
        let _ = (call, repair, running);
        Err(crate::rpc::missing("filesystem.check"))
    }
}

struct Served<A> {
    about: About,
    api: A,
}

/// The bootstrap capability of a service that implements [`Server`].
pub fn serve<A: Server>(about: About, api: A) -> wire::Client {
    capnp_rpc::new_client(Served { about, api })
}

answer_hello!(Served, Server);

impl<A: Server> wire::Server for Served<A> {
    async fn mount(self: Rc<Self>, params: wire::MountParams, mut results: wire::MountResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "filesystem.mount",
            |call, p| self
                .api
                .mount(
                    &call,
                    text(p.get_id())?.parse()?,
                    SandboxRef::read(p.get_sandbox()?)?,
                    MountSpec::read(p.get_spec()?)?
                )
                .await,
            |(), _| ()
        )
    }

    async fn set_names(
        self: Rc<Self>,
        params: wire::SetNamesParams,
        mut results: wire::SetNamesResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "filesystem.set_names",
            |call, p| self.api.set_names(&call, text(p.get_id())?.parse()?, Names::read(p.get_names()?)?).await,
            |(), _| ()
        )
    }

    async fn release(
        self: Rc<Self>,
        params: wire::ReleaseParams,
        mut results: wire::ReleaseResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "filesystem.release",
            |call, p| self.api.release(&call, text(p.get_id())?.parse()?).await,
            |(), _| ()
        )
    }

    async fn reconcile(
        self: Rc<Self>,
        params: wire::ReconcileParams,
        mut results: wire::ReconcileResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "filesystem.reconcile",
            |call, p| self.api.reconcile(&call, ids(p.get_live())?).await,
            |(), _| ()
        )
    }

    async fn changes(
        self: Rc<Self>,
        params: wire::ChangesParams,
        mut results: wire::ChangesResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "filesystem.changes",
            |call, p| self
                .api
                .changes(&call, Place::read(p.get_place()?)?, p.get_after()?.to_vec(), p.get_max_count())
                .await,
            |value, builder| value.write(builder)
        )
    }

    async fn archive(
        self: Rc<Self>,
        params: wire::ArchiveParams,
        mut results: wire::ArchiveResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "filesystem.archive",
            |call, p| self
                .api
                .archive(
                    &call,
                    Place::read(p.get_place()?)?,
                    ArchiveRequest::read(p.get_request()?)?,
                    p.get_cursor()?.to_vec(),
                    p.get_max_bytes()
                )
                .await,
            |value, builder| value.write(builder)
        )
    }

    async fn extract(
        self: Rc<Self>,
        params: wire::ExtractParams,
        mut results: wire::ExtractResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "filesystem.extract",
            |call, p| self
                .api
                .extract(&call, Place::read(p.get_place()?)?, ExtractRequest::read(p.get_request()?)?)
                .await,
            |(), _| ()
        )
    }

    async fn commit_layer(
        self: Rc<Self>,
        params: wire::CommitLayerParams,
        mut results: wire::CommitLayerResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "filesystem.commit_layer",
            |call, p| self.api.commit_layer(&call, Place::read(p.get_place()?)?, text(p.get_upload())?).await,
            |value, mut builder| builder.set_length(value)
        )
    }

    async fn usage(self: Rc<Self>, params: wire::UsageParams, mut results: wire::UsageResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "filesystem.usage",
            |call, p| self.api.usage(&call, text(p.get_id())?.parse()?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn stat(self: Rc<Self>, params: wire::StatParams, mut results: wire::StatResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "filesystem.stat",
            |call, p| self.api.stat(&call, Place::read(p.get_place()?)?, text(p.get_path())?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn check(self: Rc<Self>, params: wire::CheckParams, mut results: wire::CheckResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "filesystem.check",
            |call, p| self.api.check(&call, p.get_repair(), ids(p.get_running())?).await,
            |value, builder| value.write(builder)
        )
    }
}
