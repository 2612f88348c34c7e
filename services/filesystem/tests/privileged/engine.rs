//! The two services on their sockets, as the supervisor runs them.

use crate::archive::Archive;
use filesystem::Mechanism;
use kit::Context;
use schema::common::{Layer, Volume};
use schema::filesystem::{Client, MountSpec};
use schema::image_store::ImportRequest;
use schema::{Call, ContainerId, Failure, Instance};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixListener;

pub(crate) struct Engine {
    pub(crate) filesystem: Client,
    images: schema::image_store::Client,
    instance: Instance,
    uploads: std::cell::Cell<u32>,
}

pub(crate) fn call() -> Call {
    Call::within(Duration::from_secs(60))
}

pub(crate) fn id(number: u8) -> ContainerId {
    ContainerId::from_bytes([number; 32])
}

/// Runs a test with services on an instance of its own, once for each way to tell overlayfs its layers, and
/// makes sure that the host's mounts are as before.
pub(crate) fn run(test: impl AsyncFn(&Engine)) {
    for mechanism in [Mechanism::Each, Mechanism::Joined] {
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

pub(crate) fn host_mounts() -> Vec<String> {
    let info = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    // Other tests make and end namespaces of their own, which never shows here.
    info.lines().map(str::to_owned).collect()
}

impl Engine {
    async fn start(instance: Instance, mechanism: Mechanism) -> Self {
        std::fs::create_dir_all(instance.run()).unwrap();
        let context = |identity| Context { identity, instance: instance.clone(), epoch: 1 };
        let listen = |service| UnixListener::bind(instance.socket(service)).unwrap();
        let images = image_store::start(context(image_store::IDENTITY)).await.unwrap();
        actix::spawn(kit::serve::serve(listen(schema::image_store::SERVICE), images));
        let filesystem = filesystem::start_with(context(filesystem::IDENTITY), mechanism).unwrap();
        actix::spawn(kit::serve::serve(listen(schema::filesystem::SERVICE), filesystem));
        Self {
            filesystem: Client::new(&instance),
            images: schema::image_store::Client::new(&instance),
            instance,
            uploads: std::cell::Cell::new(0),
        }
    }

    /// A path in the state directory of the filesystem service.
    pub(crate) fn state(&self, path: &str) -> PathBuf {
        self.instance.state(schema::filesystem::SERVICE).join(path)
    }

    /// Imports an archive and gives its layer.
    pub(crate) async fn layer(&self, archive: Archive) -> Layer {
        self.uploads.set(self.uploads.get() + 1);
        let upload = format!("upload{}", self.uploads.get());
        self.images.upload(&call(), &upload, 0, &archive.bytes()).await.unwrap();
        let request = ImportRequest {
            reference: String::new(),
            source: "test".to_owned(),
            message: String::new(),
            changes: vec![],
            platform: String::new(),
        };
        let mut image = self.images.import_upload(&call(), &upload, &request).await.unwrap();
        image.layers.remove(0)
    }

    pub(crate) async fn mount(
        &self,
        number: u8,
        sandbox: &crate::sandbox::Sandbox,
        layers: &[Layer],
        volumes: &[Volume],
    ) -> Result<(), Failure> {
        let spec = MountSpec { layers: layers.to_vec(), volumes: volumes.to_vec() };
        self.filesystem.mount(&call(), &id(number), &sandbox.reference, &spec).await
    }
}
