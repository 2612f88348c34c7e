//! The two services on their sockets, as the supervisor runs them.

use crate::archive::{Archive, unpacker};
use filesystem::{Host, Mechanism};
use kit::Context;
use schema::common::{Layer, Volume};
use schema::filesystem::{Client, MountSpec, Place};
use schema::image_store::{Image, ImportRequest};
use schema::{Call, ContainerId, Failure, Instance};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixListener;

pub(crate) struct Engine {
    pub(crate) filesystem: Client,
    images: schema::image_store::Client,
    instance: Instance,
    uploads: std::cell::Cell<u32>,
    mechanism: Mechanism,
}

pub(crate) fn call() -> Call {
    Call::within(Duration::from_secs(60))
}

pub(crate) fn id(number: u8) -> ContainerId {
    ContainerId::from_bytes([number; 32])
}

/// Runs a test with services on an instance of its own, once for each way to tell overlayfs its layers that this
/// kernel knows, and makes sure that the host's mounts are as before.
pub(crate) fn run(test: impl AsyncFn(&Engine)) {
    let newest = Host::detect().unwrap().mechanism;
    let older = (newest == Mechanism::Each).then_some(Mechanism::Joined);
    for mechanism in std::iter::once(newest).chain(older) {
        let directory = tempfile::tempdir().unwrap();
        let instance = Instance::new(directory.path().join("root"), directory.path().join("run"));
        let before = host_mounts();
        actix::System::new().block_on(async {
            let engine = Engine::start(instance, mechanism).await;
            test(&engine).await;
        });
        assert_eq!(host_mounts(), before, "the host's mounts have changed");
    }
}

/// A host whose /etc/resolv.conf is a file of the test.
fn host(instance: &Instance, mechanism: Mechanism) -> Host {
    Host { mechanism, resolver_files: vec![instance.run().join("resolv.conf")], unpacker: unpacker() }
}

pub(crate) fn host_mounts() -> Vec<String> {
    let info = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    // Other tests make and end namespaces of their own, which never shows here.
    info.lines().map(str::to_owned).collect()
}

impl Engine {
    async fn start(instance: Instance, mechanism: Mechanism) -> Self {
        std::fs::create_dir_all(instance.run()).unwrap();
        let context = |identity| Context {
            identity,
            instance: instance.clone(),
            epoch: 1,
            vital: kit::vital::Vital::default(),
            shelf: None,
        };
        let listen = |service| UnixListener::bind(instance.socket(service)).unwrap();
        let images = image_store::start(context(image_store::IDENTITY)).await.unwrap();
        actix::spawn(kit::serve::serve(listen(schema::image_store::SERVICE), images));
        let filesystem = filesystem::start_with(context(filesystem::IDENTITY), host(&instance, mechanism)).unwrap();
        actix::spawn(kit::serve::serve(listen(schema::filesystem::SERVICE), filesystem));
        Self {
            filesystem: Client::new(&instance),
            images: schema::image_store::Client::new(&instance),
            instance,
            uploads: std::cell::Cell::new(0),
            mechanism,
        }
    }

    /// Removes all images.
    pub(crate) async fn remove_images(&self) {
        for image in self.images.list(&call()).await.unwrap() {
            self.images.remove(&call(), image.id.as_str(), true).await.unwrap();
        }
    }

    /// A client of another process of the filesystem service on the same state.
    pub(crate) async fn another(&self) -> Client {
        let run = self.instance.run().join(self.upload_name());
        std::fs::create_dir_all(&run).unwrap();
        let socket = |service| Instance::new(self.instance.root(), &run).socket(service);
        std::os::unix::fs::symlink(
            self.instance.socket(schema::image_store::SERVICE),
            socket(schema::image_store::SERVICE),
        )
        .unwrap();
        let instance = Instance::new(self.instance.root(), &run);
        let context = Context {
            identity: filesystem::IDENTITY,
            instance: instance.clone(),
            epoch: 2,
            vital: kit::vital::Vital::default(),
            shelf: None,
        };
        let served = filesystem::start_with(context, host(&self.instance, self.mechanism)).unwrap();
        let listener = UnixListener::bind(socket(schema::filesystem::SERVICE)).unwrap();
        actix::spawn(kit::serve::serve(listener, served));
        Client::new(&instance)
    }

    /// The host's /etc/resolv.conf.
    pub(crate) fn resolver_file(&self) -> PathBuf {
        self.instance.run().join("resolv.conf")
    }

    /// A path in the state directory of the filesystem service.
    pub(crate) fn state(&self, path: &str) -> PathBuf {
        self.instance.state(schema::filesystem::SERVICE).join(path)
    }

    /// A path in the state directory of the image store.
    pub(crate) fn image_store(&self, path: &str) -> PathBuf {
        self.instance.state(schema::image_store::SERVICE).join(path)
    }

    /// Imports an archive and gives its layer.
    pub(crate) async fn layer(&self, archive: Archive) -> Layer {
        self.layer_of(&archive.bytes()).await
    }

    /// A name that no upload had yet.
    pub(crate) fn upload_name(&self) -> String {
        self.uploads.set(self.uploads.get() + 1);
        format!("upload{}", self.uploads.get())
    }

    /// Uploads bytes, and gives the upload's name.
    pub(crate) async fn upload(&self, bytes: &[u8]) -> String {
        let upload = self.upload_name();
        let mut offset = 0;
        for part in bytes.chunks(1 << 20) {
            offset = self.images.upload(&call(), &upload, offset, part).await.unwrap();
        }
        upload
    }

    /// Where a container's files are.
    pub(crate) fn place(&self, number: u8, layers: &[Layer], sandbox: Option<&crate::sandbox::Sandbox>) -> Place {
        let sandbox = sandbox.map(|sandbox| sandbox.reference);
        Place { id: id(number), layers: layers.to_vec(), sandbox, ids: None }
    }

    /// The layer that a container is committed to.
    pub(crate) async fn commit(
        &self,
        number: u8,
        layers: &[Layer],
        sandbox: Option<&crate::sandbox::Sandbox>,
    ) -> Result<Vec<u8>, Failure> {
        let (place, upload) = (self.place(number, layers, sandbox), self.upload_name());
        let length = self.filesystem.commit_layer(&call(), &place, &upload).await?;
        let file = self.images.upload_file(&call(), &upload).await?;
        let bytes = std::fs::read(file.path).unwrap();
        assert_eq!(bytes.len() as u64, length);
        Ok(bytes)
    }

    /// Imports the bytes of an archive and gives their layer.
    pub(crate) async fn layer_of(&self, bytes: &[u8]) -> Layer {
        let upload = self.upload(bytes).await;
        self.import(&upload).await.unwrap().layers.remove(0)
    }

    /// Imports an upload.
    pub(crate) async fn import(&self, upload: &str) -> Result<Image, Failure> {
        let request = ImportRequest {
            reference: String::new(),
            source: "test".to_owned(),
            message: String::new(),
            changes: vec![],
            platform: String::new(),
        };
        self.images.import_upload(&call(), upload, &request).await
    }

    /// How many images there are.
    pub(crate) async fn images(&self) -> usize {
        self.images.list(&call()).await.unwrap().len()
    }

    /// Removes an image.
    pub(crate) async fn remove(&self, image: &Image) {
        self.images.remove(&call(), image.id.as_str(), true).await.unwrap();
    }

    pub(crate) async fn mount(
        &self,
        number: u8,
        sandbox: &crate::sandbox::Sandbox,
        layers: &[Layer],
        volumes: &[Volume],
    ) -> Result<(), Failure> {
        let spec = MountSpec {
            layers: layers.to_vec(),
            volumes: volumes.to_vec(),
            read_only: false,
            tmpfs: vec![],
            ids: None,
        };
        self.filesystem.mount(&call(), &id(number), &sandbox.reference, &spec).await
    }
}
