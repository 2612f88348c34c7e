//! Runs the real binary on an instance of its own.

use schema::common::CheckReport;
use schema::image_store::{Client, CommitRequest, Image, ImageConfig, ImportRequest};
use schema::{Call, ContainerId, Digest, Failure, Instance};
use std::fs;
use std::future::Future;
use std::hash::BuildHasher;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PIECE: usize = 1 << 20;

/// Names an instance; the directories outlive the process of the service.
pub(crate) struct Service {
    pub(crate) instance: Instance,
    socket: UnixListener,
    child: Option<Child>,
    directory: tempfile::TempDir,
}

impl Service {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let instance = Instance::new(directory.path().join("root"), directory.path().join("run"));
        fs::create_dir_all(instance.run()).unwrap();
        fs::create_dir_all(instance.root()).unwrap();
        let socket = UnixListener::bind(instance.socket("image-store")).unwrap();
        let mut service = Self { instance, socket, child: None, directory };
        service.spawn();
        service
    }

    pub(crate) fn spawn(&mut self) {
        // The socket arrives as descriptor 3, and LISTEN_PID is the process that serves.
        let script = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\"";
        let child = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_image-store")])
            .env("CCTL_ROOT", self.instance.root())
            .env("CCTL_RUN", self.instance.run())
            .env("CCTL_CONFIG", self.scratch().join("config"))
            .stdin(Stdio::from(OwnedFd::from(self.socket.try_clone().unwrap())))
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// SIGKILL, and the next process begins.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.spawn();
    }

    fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        assert!(child.try_wait().unwrap().is_none(), "the service ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.instance)
    }

    /// A directory for a test's files.
    pub(crate) fn scratch(&self) -> &Path {
        self.directory.path()
    }

    /// Names of the files in a directory of the service's state.
    pub(crate) fn files(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.instance.state("image-store").join(directory)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        // A store that is not synced remembers the boot.
        names.retain(|name| name != "boot");
        names.sort();
        names
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(self.instance.log("image-store")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- the service's log ends:\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
        }
    }
}

pub(crate) fn call() -> Call {
    Call::within(Duration::from_secs(60))
}

/// Runs a test's asynchronous part.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

pub(crate) fn random() -> u64 {
    std::hash::RandomState::new().hash_one(0)
}

/// A name for an upload.
pub(crate) fn fresh() -> String {
    format!("{:016x}", random())
}

/// Sends an upload.
pub(crate) async fn send(store: &Client, upload: &str, content: &[u8]) {
    let mut offset = 0;
    while offset < content.len() {
        let piece = &content[offset..content.len().min(offset + PIECE)];
        offset = usize::try_from(store.upload(&call(), upload, offset as u64, piece).await.unwrap()).unwrap();
    }
}

/// A tar archive of files.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) async fn import(store: &Client, reference: &str, content: &[u8]) -> Image {
    import_as(store, &fresh(), reference, content).await
}

/// Imports by an upload of this name.
pub(crate) async fn import_as(store: &Client, upload: &str, reference: &str, content: &[u8]) -> Image {
    send(store, upload, content).await;
    let request = ImportRequest {
        reference: reference.to_owned(),
        source: "-".to_owned(),
        message: String::new(),
        changes: vec![],
        platform: String::new(),
    };
    store.import_upload(&call(), upload, &request).await.unwrap()
}

/// An image whose only file is named after it.
pub(crate) async fn image(store: &Client, reference: &str) -> Image {
    import(store, reference, &tar(&[("file", reference.as_bytes())])).await
}

pub(crate) fn container() -> ContainerId {
    ContainerId::from_bytes([0xab; 32])
}

pub(crate) fn commit(base: &Image, reference: &str) -> CommitRequest {
    CommitRequest {
        base: base.id.clone(),
        reference: reference.to_owned(),
        message: "a message".to_owned(),
        author: "an author".to_owned(),
        container: container(),
        command: vec!["sh".to_owned(), "-c".to_owned(), "echo x > /x".to_owned()],
        config: ImageConfig { environment: vec!["A=b".to_owned()], ..ImageConfig::default() },
        changes: vec!["CMD [\"run\"]".to_owned()],
    }
}

pub(crate) async fn load(store: &Client, content: &[u8]) -> Result<Vec<Image>, Failure> {
    let upload = fresh();
    send(store, &upload, content).await;
    store.load_upload(&call(), &upload).await
}

/// A whole archive of images.
pub(crate) async fn save(store: &Client, references: &[&str]) -> Vec<u8> {
    let references: Vec<String> = references.iter().map(|text| (*text).to_owned()).collect();
    let mut content = Vec::new();
    loop {
        let part = store.save(&call(), &references, content.len() as u64, 1 << 20).await.unwrap();
        content.extend(part.data);
        if content.len() as u64 == part.total {
            return content;
        }
    }
}

/// Everything that is stored is as it should be.
pub(crate) async fn is_whole(store: &Client) -> CheckReport {
    let report = store.check(&call(), false).await.unwrap();
    assert_eq!(report.problems, []);
    report
}

pub(crate) fn ids(images: &[Image]) -> Vec<&Digest> {
    images.iter().map(|image| &image.id).collect()
}
