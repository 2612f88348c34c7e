//! The other fake workers.

use super::world::World;
use schema::common::{CheckReport, Layer, Problem, SandboxRef};
use schema::executor::Phase;
use schema::filesystem::{
    self, ArchiveChunk, ArchiveRequest, Change, ChangeKind, ChangeList, ExtractRequest, FileKind, MountSpec, Names,
    PathStat, Place, Usage,
};
use schema::image_store::{self, Blob, CommitRequest, Image, ImageConfig, ImportRequest, Lease};
use schema::log_collector::{self, Chunk, From, InputServer, LogSpec};
use schema::network::{self, AttachSpec, Attachment, Mode, NetworkInfo};
use schema::{Call, ContainerId, Digest, Failure};
use std::net::Ipv4Addr;
use std::rc::Rc;

pub(crate) struct Filesystem(pub(crate) Rc<World>);
pub(crate) struct Network(pub(crate) Rc<World>);
pub(crate) struct LogCollector(pub(crate) Rc<World>);
pub(crate) struct ImageStore(pub(crate) Rc<World>);

impl World {
    /// Requires that the sandbox is there, and that nothing is put into one that runs.
    fn need_sandbox(&self, id: &ContainerId) -> Result<(), Failure> {
        let sandbox = self.sandboxes.borrow().get(id).cloned();
        self.require(matches!(sandbox, None | Some(Phase::Parked)), "a sandbox is filled while it runs", id);
        sandbox.map(drop).ok_or_else(|| Failure::not_found("no sandbox"))
    }

    fn told(&self, worker: &'static str, live: Vec<ContainerId>) {
        self.told.borrow_mut().insert(worker, live.into_iter().collect());
        self.changed.notify_waiters();
    }
}

impl Filesystem {
    /// Looks into a container; a sandbox that is gone cannot be looked into.
    async fn look(&self, place: Place) -> Result<(), Failure> {
        self.0.enter("filesystem.look", Some(&place.id)).await?;
        let sandbox = self.0.sandboxes.borrow().get(&place.id).cloned();
        let runs = matches!(sandbox, Some(Phase::Running(_)));
        self.0.places.borrow_mut().insert(place.id.clone(), place.clone());
        if place.sandbox.is_some() && !runs { Err(Failure::not_found("the sandbox is gone")) } else { Ok(()) }
    }
}

impl filesystem::Server for Filesystem {
    async fn mount(&self, _: &Call, id: ContainerId, _: SandboxRef, spec: MountSpec) -> Result<(), Failure> {
        self.0.enter("filesystem.mount", Some(&id)).await?;
        self.0.require(spec.layers.len() == 1, "mounted without layers", &id);
        self.0.need_sandbox(&id)?;
        self.0.layers.borrow_mut().insert(id);
        self.0.leave("filesystem.mount").await;
        Ok(())
    }

    async fn set_names(&self, _: &Call, id: ContainerId, names: Names) -> Result<(), Failure> {
        self.0.enter("filesystem.set_names", Some(&id)).await?;
        let address = format!("10.0.0.{}", self.0.addresses.borrow()[&id]);
        self.0.require(names.hosts[0].address == address, "named without address", &id);
        self.0.names.borrow_mut().insert(id, names);
        self.0.leave("filesystem.set_names").await;
        Ok(())
    }

    async fn release(&self, _: &Call, id: ContainerId) -> Result<(), Failure> {
        self.0.enter("filesystem.release", Some(&id)).await?;
        self.0.require(!self.0.has(&id)[0], "released before its sandbox is gone", &id);
        self.0.require_recorded_if_at_all(&id, "filesystem.release", &["\"phase\": \"removing\""]);
        self.0.layers.borrow_mut().remove(&id);
        self.0.leave("filesystem.release").await;
        Ok(())
    }

    async fn reconcile(&self, _: &Call, live: Vec<ContainerId>) -> Result<(), Failure> {
        self.0.enter("filesystem.reconcile", None).await?;
        self.0.layers.borrow_mut().retain(|id| live.contains(id));
        self.0.told("filesystem", live);
        Ok(())
    }

    async fn changes(&self, _: &Call, place: Place, _: Vec<u8>, _: u32) -> Result<ChangeList, Failure> {
        self.look(place).await?;
        let change = Change { path: b"/new".to_vec(), kind: ChangeKind::Added };
        Ok(ChangeList { changes: vec![change], more: false })
    }

    async fn archive(
        &self,
        _: &Call,
        place: Place,
        _: ArchiveRequest,
        cursor: Vec<u8>,
        _: u32,
    ) -> Result<ArchiveChunk, Failure> {
        self.look(place).await?;
        Ok(ArchiveChunk {
            data: b"tar".to_vec(),
            next: b"end".to_vec(),
            ended: cursor == b"end",
            ..ArchiveChunk::default()
        })
    }

    async fn extract(&self, _: &Call, place: Place, request: ExtractRequest) -> Result<(), Failure> {
        self.look(place).await?;
        if self.0.uploads.borrow().contains(&request.upload) { Ok(()) } else { Err(Failure::not_found("no upload")) }
    }

    async fn commit_layer(&self, _: &Call, place: Place, upload: String) -> Result<u64, Failure> {
        self.0.enter("filesystem.commit_layer", Some(&place.id)).await?;
        let is_still = self.0.frozen.borrow().contains(&place.id) || place.sandbox.is_none();
        self.0.require(is_still, "a layer is read while its files change", &place.id);
        self.0.uploads.borrow_mut().insert(upload);
        self.0.leave("filesystem.commit_layer").await;
        Ok(1024)
    }

    async fn usage(&self, _: &Call, id: ContainerId) -> Result<Usage, Failure> {
        self.0.enter("filesystem.usage", Some(&id)).await?;
        Ok(Usage { bytes: 4096, inodes: 1 })
    }

    async fn stat(&self, _: &Call, place: Place, _: String) -> Result<PathStat, Failure> {
        self.look(place).await?;
        Ok(PathStat { kind: FileKind::File, mode: 0o644, size: 3, modified_at: 5, link_target: Vec::new() })
    }

    async fn check(&self, _: &Call, repair: bool, running: Vec<ContainerId>) -> Result<CheckReport, Failure> {
        let sandboxes = self.0.sandboxes.borrow();
        for id in sandboxes.keys().filter(|id| self.0.layers.borrow().contains(*id)) {
            self.0.require(running.contains(id), "mended while it runs", id);
        }
        let layer = Problem::new("layer 1", "torn", "");
        let (problems, repaired) = if repair { (vec![], vec![layer]) } else { (vec![layer], vec![]) };
        Ok(CheckReport {
            examined: 7,
            bytes: 70,
            problems,
            repaired,
            kept: vec![],
            owners: self.0.layers.borrow().iter().cloned().collect(),
        })
    }
}

impl network::Server for Network {
    async fn check(&self, _: &Call, _: bool) -> Result<CheckReport, Failure> {
        Ok(CheckReport { owners: self.0.leases.borrow().iter().cloned().collect(), ..CheckReport::default() })
    }

    async fn attach(&self, _: &Call, id: ContainerId, _: SandboxRef, spec: AttachSpec) -> Result<Attachment, Failure> {
        self.0.enter("network.attach", Some(&id)).await?;
        self.0.need_sandbox(&id)?;
        self.0.require(spec.mode == Mode::Bridge, "attached to another network", &id);
        if self.0.leases.borrow_mut().insert(id.clone()) {
            self.0.address.set(self.0.address.get().max(1) + 1);
            self.0.addresses.borrow_mut().insert(id.clone(), self.0.address.get());
        }
        self.0.leave("network.attach").await;
        Ok(Attachment {
            address: Some(Ipv4Addr::new(10, 0, 0, self.0.addresses.borrow()[&id])),
            prefix_length: 24,
            gateway: Some(Ipv4Addr::new(10, 0, 0, 1)),
            mac: "02:00:00:00:00:02".to_owned(),
            ports: spec.ports,
            address6: Some("fd00::2".parse().unwrap()),
            prefix_length6: 64,
            gateway6: Some("fd00::1".parse().unwrap()),
        })
    }

    async fn detach(&self, _: &Call, id: ContainerId) -> Result<(), Failure> {
        self.0.enter("network.detach", Some(&id)).await?;
        self.0.leases.borrow_mut().remove(&id);
        self.0.leave("network.detach").await;
        Ok(())
    }

    async fn reconcile(&self, _: &Call, live: Vec<ContainerId>) -> Result<(), Failure> {
        self.0.enter("network.reconcile", None).await?;
        self.0.leases.borrow_mut().retain(|id| live.contains(id));
        self.0.told("network", live);
        Ok(())
    }

    async fn info(&self, _: &Call) -> Result<NetworkInfo, Failure> {
        Ok(NetworkInfo {
            bridge: "cctl0".to_owned(),
            subnet: "10.0.0.0/24".to_owned(),
            gateway: "10.0.0.1".to_owned(),
            table: "cctl0".to_owned(),
            attached: 0,
            subnet6: "fd00::/64".to_owned(),
            gateway6: "fd00::1".to_owned(),
        })
    }

    async fn tear_down(&self, _: &Call) -> Result<(), Failure> {
        self.0.enter("network.tear_down", None).await?;
        if self.0.leases.borrow().is_empty() { Ok(()) } else { Err(Failure::conflict("still attached")) }
    }
}

pub(crate) struct NoInput;

impl InputServer for NoInput {
    async fn write(&self, _: &Call, _: u64, _: Vec<u8>) -> Result<u64, Failure> {
        Err(Failure::unimplemented("input"))
    }

    async fn close(&self, _: &Call) -> Result<(), Failure> {
        Err(Failure::unimplemented("input"))
    }
}

impl log_collector::Server for LogCollector {
    type Input = NoInput;

    async fn open(&self, _: &Call, id: ContainerId, spec: LogSpec) -> Result<u64, Failure> {
        self.0.enter("log-collector.open", Some(&id)).await?;
        self.0.require(spec.directory.ends_with(id.as_str()), "the log of another sandbox", &id);
        self.0.need_sandbox(&id)?;
        self.0.logs.borrow_mut().insert(id);
        self.0.leave("log-collector.open").await;
        Ok(33)
    }

    async fn read(&self, _: &Call, id: ContainerId, _: u64, _: u32, _: u32, _: u64) -> Result<Chunk, Failure> {
        self.0.enter("log-collector.read", Some(&id)).await?;
        Ok(Chunk { ended: true, ..Chunk::default() })
    }

    async fn locate(&self, _: &Call, _: ContainerId, _: From) -> Result<u64, Failure> {
        Err(Failure::unimplemented("locate"))
    }

    async fn remove(&self, _: &Call, id: ContainerId) -> Result<(), Failure> {
        self.0.enter("log-collector.remove", Some(&id)).await?;
        self.0.logs.borrow_mut().remove(&id);
        self.0.leave("log-collector.remove").await;
        Ok(())
    }

    async fn reconcile(&self, _: &Call, live: Vec<ContainerId>) -> Result<(), Failure> {
        self.0.enter("log-collector.reconcile", None).await?;
        self.0.logs.borrow_mut().retain(|id| live.contains(id));
        self.0.told("log-collector", live);
        Ok(())
    }

    async fn check(&self, _: &Call, _: bool) -> Result<CheckReport, Failure> {
        Ok(CheckReport { owners: self.0.logs.borrow().iter().cloned().collect(), ..CheckReport::default() })
    }

    async fn open_input(&self, _: &Call, _: ContainerId, _: String, _: bool) -> Result<(NoInput, u64), Failure> {
        Err(Failure::unimplemented("input"))
    }
}

/// An image of one layer that runs `sh`.
fn image(number: u8) -> Image {
    let digest = Digest::from_sha256(&[1; 32]);
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Image {
        id: Digest::from_sha256(&[number; 32]),
        references: vec!["base:latest".to_owned()],
        created_at: 1,
        size: 2,
        layers: vec![Layer { digest: digest.clone(), diff_id: digest, media_type: String::new(), size: 2 }],
        config: ImageConfig {
            command: words(&["sh"]),
            environment: words(&["FROM=image"]),
            labels: words(&["maker=image"]),
            ..ImageConfig::default()
        },
        manifest: Digest::from_sha256(&[8; 32]),
        repository_digests: Vec::new(),
        parent: None,
        container: None,
        author: String::new(),
        holders: Vec::new(),
    }
}

impl image_store::Server for ImageStore {
    async fn resolve(&self, _: &Call, reference: String) -> Result<Image, Failure> {
        self.0.enter("image-store.resolve", None).await?;
        if reference != "base" && reference != image(9).id.as_str() {
            return Err(Failure::not_found(format_args!("no image {reference:?}")));
        }
        Ok(image(9))
    }

    async fn lease(&self, _: &Call, holder: String, reference: String) -> Result<Image, Failure> {
        self.0.enter("image-store.lease", None).await?;
        if reference != "base" && reference != image(9).id.as_str() {
            return Err(Failure::not_found(format_args!("no image {reference:?}")));
        }
        self.0.images.borrow_mut().insert(holder, image(9).id.to_string());
        self.0.leave("image-store.lease").await;
        Ok(image(9))
    }

    async fn release(&self, _: &Call, holder: String) -> Result<(), Failure> {
        let id: ContainerId = holder.parse().unwrap();
        self.0.enter("image-store.release", Some(&id)).await?;
        self.0.require_recorded_if_at_all(&id, "image-store.release", &["\"phase\": \"removing\""]);
        self.0.images.borrow_mut().remove(&holder);
        self.0.leave("image-store.release").await;
        Ok(())
    }

    async fn reconcile(&self, _: &Call, leases: Vec<Lease>) -> Result<(), Failure> {
        self.0.enter("image-store.reconcile", None).await?;
        let leases = leases.into_iter().map(|lease| (lease.holder, lease.image.to_string()));
        *self.0.images.borrow_mut() = leases.collect();
        self.0.changed.notify_waiters();
        Ok(())
    }

    async fn commit_upload(&self, _: &Call, upload: String, request: CommitRequest) -> Result<Image, Failure> {
        self.0.enter("image-store.commit_upload", None).await?;
        let is_whole = self.0.uploads.borrow().contains(&upload);
        if !is_whole {
            return Err(Failure::not_found(format_args!("no upload {upload:?}")));
        }
        self.0.commits.borrow_mut().insert(upload, request);
        self.0.leave("image-store.commit_upload").await;
        Ok(image(10))
    }

    async fn list(&self, _: &Call) -> Result<Vec<Image>, Failure> {
        Ok(vec![Image { holders: self.0.images.borrow().keys().cloned().collect(), ..image(9) }])
    }

    async fn blob(&self, _: &Call, _: Digest) -> Result<Blob, Failure> {
        Err(Failure::unimplemented("blob"))
    }

    async fn upload(&self, _: &Call, _: String, _: u64, _: Vec<u8>) -> Result<u64, Failure> {
        Err(Failure::unimplemented("upload"))
    }

    async fn import_upload(&self, _: &Call, _: String, _: ImportRequest) -> Result<Image, Failure> {
        Err(Failure::unimplemented("import"))
    }

    async fn abandon(&self, _: &Call, upload: String) -> Result<(), Failure> {
        self.0.enter("image-store.abandon", None).await?;
        self.0.uploads.borrow_mut().remove(&upload);
        Ok(())
    }
}
