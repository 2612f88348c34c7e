//! A typed client of the filesystem service.

use super::model::{
    ArchiveChunk, ArchiveRequest, ChangeList, ExtractRequest, MountSpec, Names, PathStat, Place, Usage,
};
use crate::bindings::filesystem_capnp::filesystem;
use crate::common::{CheckReport, SandboxRef};
use crate::link::Link;
use crate::rpc::request;
use crate::wire::{Wire, length, set_ids};
use crate::{Call, ContainerId, Failure, Instance};

/// The filesystem service, as its callers see it. Each method is described in the contract.
#[derive(Clone)]
pub struct Client {
    link: Link<filesystem::Client>,
}

impl Client {
    /// A client of an instance's filesystem service; connects at the first call.
    pub fn new(instance: &Instance) -> Self {
        Self { link: Link::new(super::SERVICE, instance.socket(super::SERVICE)) }
    }

    /// Mounts a root filesystem into a sandbox.
    pub async fn mount(
        &self,
        call: &Call,
        id: &ContainerId,
        sandbox: &SandboxRef,
        spec: &MountSpec,
    ) -> Result<(), Failure> {
        request!(
            self,
            call,
            mount_request,
            |params| {
                params.set_id(id.as_str());
                sandbox.write(params.reborrow().init_sandbox());
                spec.write(params.reborrow().init_spec());
            },
            |_| Ok(())
        )
        .await
    }

    /// Writes /etc/hostname, /etc/hosts and /etc/resolv.conf.
    pub async fn set_names(&self, call: &Call, id: &ContainerId, names: &Names) -> Result<(), Failure> {
        request!(
            self,
            call,
            set_names_request,
            |params| {
                params.set_id(id.as_str());
                names.write(params.reborrow().init_names());
            },
            |_| Ok(())
        )
        .await
    }

    /// Removes the writable layer.
    pub async fn release(&self, call: &Call, id: &ContainerId) -> Result<(), Failure> {
        request!(
            self,
            call,
            release_request,
            |params| {
                params.set_id(id.as_str());
            },
            |_| Ok(())
        )
        .await
    }

    /// Removes what belongs to no live container.
    pub async fn reconcile(&self, call: &Call, live: &[ContainerId]) -> Result<(), Failure> {
        request!(
            self,
            call,
            reconcile_request,
            |params| {
                set_ids(params.reborrow().init_live(length(live)), live);
            },
            |_| Ok(())
        )
        .await
    }

    /// How the writable layer differs from the image.
    pub async fn changes(
        &self,
        call: &Call,
        place: &Place,
        after: &[u8],
        max_count: u32,
    ) -> Result<ChangeList, Failure> {
        request!(
            self,
            call,
            changes_request,
            |params| {
                place.write(params.reborrow().init_place());
                params.set_after(after);
                params.set_max_count(max_count);
            },
            ChangeList::read
        )
        .await
    }

    /// A part of a tar archive of its files.
    pub async fn archive(
        &self,
        call: &Call,
        place: &Place,
        request: &ArchiveRequest,
        cursor: &[u8],
        max_bytes: u32,
    ) -> Result<ArchiveChunk, Failure> {
        request!(
            self,
            call,
            archive_request,
            |params| {
                place.write(params.reborrow().init_place());
                request.write(params.reborrow().init_request());
                params.set_cursor(cursor);
                params.set_max_bytes(max_bytes);
            },
            ArchiveChunk::read
        )
        .await
    }

    /// Unpacks an upload of the image store into it.
    pub async fn extract(&self, call: &Call, place: &Place, request: &ExtractRequest) -> Result<(), Failure> {
        request!(
            self,
            call,
            extract_request,
            |params| {
                place.write(params.reborrow().init_place());
                request.write(params.reborrow().init_request());
            },
            |_| Ok(())
        )
        .await
    }

    /// Writes the writable layer to an upload of the image store; answers its length in bytes.
    pub async fn commit_layer(&self, call: &Call, place: &Place, upload: &str) -> Result<u64, Failure> {
        request!(
            self,
            call,
            commit_layer_request,
            |params| {
                place.write(params.reborrow().init_place());
                params.set_upload(upload);
            },
            |answer| Ok(answer.get_length())
        )
        .await
    }

    /// What the writable layer takes on disk.
    pub async fn usage(&self, call: &Call, id: &ContainerId) -> Result<Usage, Failure> {
        request!(
            self,
            call,
            usage_request,
            |params| {
                params.set_id(id.as_str());
            },
            Usage::read
        )
        .await
    }

    /// What lies at a path.
    pub async fn stat(&self, call: &Call, place: &Place, path: &str) -> Result<PathStat, Failure> {
        request!(
            self,
            call,
            stat_request,
            |params| {
                place.write(params.reborrow().init_place());
                params.set_path(path);
            },
            PathStat::read
        )
        .await
    }

    /// Compares what is stored with what should be, and mends what can be.
    pub async fn check(&self, call: &Call, repair: bool, running: &[ContainerId]) -> Result<CheckReport, Failure> {
        request!(
            self,
            call,
            check_request,
            |params| {
                params.set_repair(repair);
                set_ids(params.reborrow().init_running(length(running)), running);
            },
            CheckReport::read
        )
        .await
    }
}
