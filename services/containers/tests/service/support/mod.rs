//! A containers service with fake workers around it.

pub(crate) mod executor;
pub(crate) mod others;
pub(crate) mod process;
pub(crate) mod serve;
pub(crate) mod users;
pub(crate) mod world;

use process::Service;
use schema::containers::{Client, Container, ContainerSpec};
use schema::{Call, ContainerId, Instance};
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use world::World;

/// Everything that a test needs. The service is killed at its end.
pub(crate) struct Bench {
    pub(crate) world: Rc<World>,
    pub(crate) service: Service,
    pub(crate) client: Client,
    pub(crate) instance: Instance,
    _directory: TempDir,
}

/// What a command may take at most; no test waits so long unless it fails.
const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) fn call() -> Call {
    Call::within(PATIENCE)
}

/// A new id.
pub(crate) fn id() -> ContainerId {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let mut bytes = [0xc0; 32];
    bytes[0] = NEXT.fetch_add(1, Ordering::Relaxed);
    ContainerId::from_bytes(bytes)
}

pub(crate) fn spec(name: &str) -> ContainerSpec {
    ContainerSpec { image: "base".to_owned(), name: name.to_owned(), ..ContainerSpec::default() }
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let instance = Instance::new(directory.path().join("root"), directory.path().join("run"))
            .configured_by(directory.path().join("config"));
        std::fs::create_dir_all(instance.run()).unwrap();
        let world = World::new(instance.state("containers"));
        serve::workers(&instance, &world);
        let service = Service::start(&instance);
        let client = Client::new(&instance);
        Self { world, service, client, instance, _directory: directory }
    }

    /// A second client, with a connection of its own.
    pub(crate) fn another_client(&self) -> Client {
        Client::new(&self.instance)
    }

    pub(crate) async fn create(&self, spec: &ContainerSpec) -> ContainerId {
        let id = id();
        self.client.create(&call(), &id, spec).await.unwrap();
        id
    }

    pub(crate) async fn run(&self, spec: &ContainerSpec) -> ContainerId {
        let id = self.create(spec).await;
        self.client.start(&call(), id.as_str()).await.unwrap();
        id
    }

    pub(crate) async fn inspect(&self, id: &ContainerId) -> Container {
        self.client.inspect(&call(), id.as_str()).await.unwrap()
    }

    pub(crate) async fn exists(&self, id: &ContainerId) -> bool {
        self.client.inspect(&call(), id.as_str()).await.is_ok()
    }

    /// Waits until something is true.
    pub(crate) async fn eventually(&self, what: &str, is_true: impl AsyncFn() -> bool) {
        let all = async {
            while !is_true().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, all).await.unwrap_or_else(|_| panic!("never: {what}\n{}", self.world.story()));
    }

    /// The files of the state directory below `path`, sorted.
    pub(crate) fn files(&self, path: &str) -> Vec<std::path::PathBuf> {
        let directory = self.instance.state("containers").join(path);
        let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
        files.sort();
        files
    }

    /// The directory of records of this boot.
    pub(crate) fn boot_directory(&self) -> String {
        format!("boots/{}", kit::process::boot_id().unwrap())
    }

    /// No record is left, and no worker has anything, or soon will not: what is removed is gone for its users before that.
    pub(crate) async fn assert_nothing_left(&self) {
        let records = || self.files("kept").len() + self.files(&self.boot_directory()).len();
        self.eventually("nothing is left", async || self.world.is_empty() && records() == 0).await;
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.world.assert_kept();
        }
    }
}
