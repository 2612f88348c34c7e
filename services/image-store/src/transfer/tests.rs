use super::*;
use crate::oci::{digest, manifest as oci};
use crate::store::{Check, List, Register, Remove, Resolve};
use kit::actor::ask;
use registry_client::{Platform, Sink};
use schema::image_store::{Image, TransferItem, TransferProgress, TransferStatus};
use schema::{Code, Digest};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;

use test_registry::{PASSWORD, Setup, USER};

/// An image store without its socket.
struct Engine {
    directory: tempfile::TempDir,
    shelf: Shelf,
    store: Addr<Store>,
    transfers: Addr<Transfers>,
}

fn on_engines<const N: usize>(test: impl AsyncFnOnce([Engine; N])) {
    actix::System::new().block_on(async { test(std::array::from_fn(|_| Engine::start())).await });
}

fn call() -> Call {
    Call::within(Duration::from_secs(60))
}

impl Engine {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::recover(&directory.path().join("state")).unwrap();
        let shelf = store.shelf();
        let store = store.start();
        let transfers = Transfers::new(shelf.clone(), store.clone(), directory.path().to_owned()).unwrap().start();
        Self { directory, shelf, store, transfers }
    }

    fn configure(&self, text: &str) {
        fs::write(self.directory.path().join("registries.toml"), text).unwrap();
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join("state").join(name)
    }

    /// An image with a layer of each of these contents.
    async fn image(&self, layers: &[&[u8]], name: &str) -> Image {
        let layers: Vec<Vec<u8>> = layers.iter().map(|content| archive(content)).collect();
        let digests: Vec<Digest> = layers.iter().map(|layer| digest(layer)).collect();
        let config = serde_json::json!({
            "architecture": Platform::host().architecture, "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": digests },
        })
        .to_string();
        let blob = |content: &[u8], media_type: &str| serde_json::json!({ "mediaType": media_type, "digest": digest(content), "size": content.len() });
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": oci::OCI_MANIFEST, "config": blob(config.as_bytes(), oci::OCI_CONFIG),
            "layers": layers.iter().map(|layer| blob(layer, "application/vnd.oci.image.layer.v1.tar")).collect::<Vec<_>>(),
        })
        .to_string();
        for content in layers.iter().map(Vec::as_slice).chain([config.as_bytes()]) {
            let mut partial = self.shelf.partial(&digest(content)).unwrap();
            partial.append(content).unwrap();
            self.shelf.finish(partial).unwrap();
        }
        let register = Register::new(&call(), manifest.into_bytes(), "").unwrap();
        ask(&self.store, register.named(vec![name.parse().unwrap()])).await.unwrap()
    }

    async fn follow(&self, request: Request) -> (Vec<TransferItem>, Result<TransferResult, Failure>) {
        let mut seen = 0;
        loop {
            let follow = Follow { call: call(), request: request.clone(), seen, wait_ms: 5000 };
            let transfer = ask(&self.transfers, follow).await.unwrap();
            assert!(transfer.version > seen);
            seen = transfer.version;
            match transfer.progress {
                TransferProgress::Running => {}
                TransferProgress::Done(result) => return (transfer.items, Ok(*result)),
                TransferProgress::Failed(failure) => return (transfer.items, Err(failure)),
            }
        }
    }

    async fn pull(&self, name: &str) -> Result<TransferResult, Failure> {
        self.follow(Request::Pull(pull(name))).await.1
    }

    async fn push(&self, name: &str) -> Result<TransferResult, Failure> {
        self.follow(Request::Push(push(name))).await.1
    }

    async fn remove(&self, name: &str) {
        ask(&self.store, Remove { call: call(), reference: name.to_owned(), force: true }).await.unwrap();
    }

    async fn check(&self) {
        assert_eq!(ask(&self.store, Check).await.unwrap().problems, []);
    }
}

fn archive(content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, "file", content).unwrap();
    builder.into_inner().unwrap()
}

/// A name that no other transfer of this process has.
fn fresh() -> String {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    format!("t{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}

fn pull(reference: &str) -> PullRequest {
    let (transfer, reference) = (fresh(), reference.to_owned());
    PullRequest { transfer, reference, platform: String::new(), all_tags: false, credentials: Credentials::default() }
}

fn push(reference: &str) -> PushRequest {
    PushRequest {
        transfer: fresh(),
        reference: reference.to_owned(),
        all_tags: false,
        credentials: Credentials::default(),
    }
}

fn alice() -> Credentials {
    Credentials { user: USER.to_owned(), password: PASSWORD.to_owned(), identity_token: String::new() }
}

#[test]
fn what_is_pushed_is_pulled_byte_for_byte_and_only_once() {
    let registry = test_registry::Registry::start();
    on_engines(async |[here, there]| {
        let name = format!("{}/team/app:v1", registry.name());
        let image = here.image(&[b"one", b"two"], &name).await;
        let (items, pushed) = here.follow(Request::Push(push(&name))).await;
        let pushed = pushed.unwrap();
        assert_eq!(pushed.digest, image.manifest.to_string());
        assert_eq!(pushed.pushed, [format!("v1 {} {}", pushed.digest, pushed.size)]);
        assert!(!pushed.up_to_date && items.iter().all(|item| item.status == TransferStatus::Done), "{items:?}");
        let (items, again) = here.follow(Request::Push(push(&name))).await;
        assert!(again.unwrap().up_to_date && items.iter().all(|item| item.status == TransferStatus::Exists));
        let known = ask(&here.store, Resolve(name.clone())).await.unwrap().repository_digests;
        assert_eq!(known, [format!("{}/team/app@{}", registry.name(), image.manifest)]);

        let (items, pulled) = there.follow(Request::Pull(pull(&name))).await;
        let pulled = pulled.unwrap();
        assert_eq!((&pulled.digest, pulled.up_to_date), (&pushed.digest, false));
        assert!(items.len() == 2 && items.iter().all(|item| item.current == item.total), "{items:?}");
        let found = ask(&there.store, Resolve(name.clone())).await.unwrap();
        assert_eq!((&found.id, &found.manifest, &found.layers), (&image.id, &image.manifest, &image.layers));
        assert_eq!(found.repository_digests, known);
        let (items, again) = there.follow(Request::Pull(pull(&name))).await;
        assert!(again.unwrap().up_to_date && items.iter().all(|item| item.status == TransferStatus::Exists));
        // By digest it gets no name.
        there.remove(&name).await;
        let by_digest = there.pull(&known[0]).await.unwrap();
        assert_eq!(by_digest.images[0].references, [""; 0]);
        there.check().await;
    });
}

#[test]
fn a_layer_that_the_registry_has_elsewhere_is_mounted() {
    let registry = test_registry::Registry::start();
    on_engines(async |[engine]| {
        let one = format!("{}/one", registry.name());
        engine.image(&[b"shared"], &format!("{one}:latest")).await;
        engine.push(&one).await.unwrap();
        let two = format!("{}/two", registry.name());
        engine.image(&[b"shared", b"more"], &format!("{two}:latest")).await;
        let (items, pushed) = engine.follow(Request::Push(push(&two))).await;
        pushed.unwrap();
        let statuses: Vec<_> = items.iter().map(|item| item.status).collect();
        assert_eq!(statuses, [TransferStatus::Mounted, TransferStatus::Done]);
    });
}

#[test]
fn all_tags_go_and_come_and_one_that_cannot_does_not_keep_back_the_others() {
    let registry = test_registry::Registry::start();
    on_engines(async |[here, there]| {
        here.configure(&format!("default = \"{}\"", registry.name()));
        there.configure(&format!("default = \"{}\"", registry.name()));
        for tag in ["a", "b", "c"] {
            here.image(&[tag.as_bytes(), b"same"], &format!("app:{tag}")).await;
        }
        let broken = ask(&here.store, Resolve("app:b".to_owned())).await.unwrap().layers[0].digest.clone();
        fs::remove_file(here.file("blobs/sha256").join(broken.hex())).unwrap();
        let all = PushRequest { all_tags: true, ..push("app") };
        let pushed = here.follow(Request::Push(all)).await.1.unwrap();
        assert_eq!(pushed.pushed.len(), 2);
        assert!(pushed.skipped.len() == 1 && pushed.skipped[0].starts_with("b: "), "{:?}", pushed.skipped);
        let all = PullRequest { all_tags: true, ..pull("app") };
        let pulled = there.follow(Request::Pull(all)).await.1.unwrap();
        assert_eq!((pulled.images.len(), pulled.skipped.len(), pulled.up_to_date), (2, 0, false));
        let mut names: Vec<String> =
            ask(&there.store, List).await.unwrap().into_iter().flat_map(|image| image.references).collect();
        names.sort();
        assert_eq!(names, ["app:a", "app:c"]);
        let none = PullRequest { all_tags: true, ..pull("nothing") };
        assert_eq!(there.follow(Request::Pull(none)).await.1.unwrap_err().code, Code::NotFound);
        there.check().await;
    });
}

#[test]
fn a_flipped_byte_in_a_layer_is_named_and_nothing_is_stored() {
    let registry = test_registry::Registry::start();
    on_engines(async |[here, there]| {
        let name = format!("{}/app:latest", registry.name());
        let image = here.image(&[&[7; 100_000], b"fine"], &name).await;
        here.push(&name).await.unwrap();
        let layer = image.layers[0].digest.hex();
        let stored =
            registry.storage().join("docker/registry/v2/blobs/sha256").join(&layer[..2]).join(layer).join("data");
        let mut bytes = fs::read(&stored).unwrap();
        bytes[70_000] ^= 1;
        fs::write(&stored, &bytes).unwrap();
        let failure = there.pull(&name).await.unwrap_err();
        assert_eq!(failure.code, Code::Corrupt);
        assert!(failure.message.contains(layer), "{failure}");
        assert_eq!(ask(&there.store, List).await.unwrap(), []);
        assert!(!there.file("blobs/sha256").join(layer).exists());
        // Mended, it comes; what came of the damaged one does no harm.
        bytes[70_000] ^= 1;
        fs::write(&stored, &bytes).unwrap();
        there.pull(&name).await.unwrap();
        there.check().await;
    });
}

#[test]
fn what_an_earlier_transfer_has_left_is_used_if_it_is_right_and_only_then() {
    let registry = test_registry::Registry::start();
    on_engines(async |[here, there]| {
        let name = format!("{}/app:latest", registry.name());
        let image = here.image(&[&[1; 300_000], &[2; 300_000]], &name).await;
        here.push(&name).await.unwrap();
        let [good, bad] = [0, 1].map(|index: usize| image.layers[index].digest.clone());
        let whole = fs::read(here.file("blobs/sha256").join(good.hex())).unwrap();
        there.shelf.partial(&good).unwrap().append(&whole[..250_000]).unwrap();
        there.shelf.partial(&bad).unwrap().append(&[9; 250_000]).unwrap();
        there.pull(&name).await.unwrap();
        there.check().await;
    });
}

#[test]
fn transfers_of_the_same_image_at_once_all_succeed() {
    let registry = test_registry::Registry::start();
    on_engines(async |[here, there]| {
        let name = format!("{}/app:latest", registry.name());
        here.image(&[&[1; 3_000_000], &[2; 3_000_000], &[3; 1_000_000], &[4; 10]], &name).await;
        here.push(&name).await.unwrap();
        let pulls = (0..6).map(|_| there.pull(&name));
        for result in futures::future::join_all(pulls).await {
            result.unwrap();
        }
        assert_eq!(fs::read_dir(there.file("partial")).unwrap().count(), 0);
        there.check().await;
    });
}

#[test]
fn a_protected_registry_wants_credentials_and_knows_the_right_ones() {
    let registry = test_registry::Registry::with(Setup { tls: true, password: true });
    on_engines(async |[engine]| {
        let name = format!("{}/app:latest", registry.name());
        engine.image(&[b"x"], &name).await;
        // Nobody vouches for its certificate yet.
        let failure = engine.push(&name).await.unwrap_err();
        assert!(failure.message.contains("certificate") && failure.hint.contains("ca = "), "{failure:?}");
        engine.configure(&format!("[registry.\"{}\"]\nca = \"{}\"", registry.name(), registry.ca().display()));
        let failure = engine.push(&name).await.unwrap_err();
        assert_eq!(failure.code, Code::PermissionDenied);
        assert!(failure.hint.contains(&format!("cctl login {}", registry.name())), "{failure:?}");
        let login = async |credentials| {
            ask(&engine.transfers, LogIn { call: call(), registry: registry.name(), credentials }).await
        };
        assert_eq!(login(alice()).await.unwrap(), "");
        let wrong = Credentials { password: "wrong".to_owned(), ..alice() };
        assert_eq!(login(wrong).await.unwrap_err().code, Code::PermissionDenied);
        let known = PushRequest { credentials: alice(), ..push(&name) };
        engine.follow(Request::Push(known)).await.1.unwrap();
        assert_eq!(engine.pull(&name).await.unwrap_err().code, Code::PermissionDenied);
        let known = PullRequest { credentials: alice(), ..pull(&name) };
        assert!(engine.follow(Request::Pull(known)).await.1.unwrap().up_to_date);
    });
}

/// Names an index of these manifests, and gives its digest.
async fn put_index(
    engine: &Engine,
    registry: &test_registry::Registry,
    images: &[(&str, &Image)],
    media_type: &str,
) -> Digest {
    let mut manifests = Vec::new();
    for (platform, image) in images {
        let platform: Platform = platform.parse().unwrap();
        let size = fs::metadata(engine.file("blobs/sha256").join(image.manifest.hex())).unwrap().len();
        manifests.push(serde_json::json!({
            "mediaType": oci::OCI_MANIFEST, "digest": image.manifest, "size": size,
            "platform": { "os": platform.os, "architecture": platform.architecture, "variant": platform.variant },
        }));
    }
    let index = serde_json::json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": manifests });
    let content = index.to_string().into_bytes();
    let document = registry_client::Document { digest: digest(&content), content, media_type: media_type.to_owned() };
    let name = registry.name();
    let put = async move {
        let configuration = Configuration::load(std::path::Path::new("/nonexistent")).unwrap();
        let client = Registry::new(&configuration, &name, registry_client::Credentials::Anonymous).unwrap();
        client.put_manifest("many", "latest", &document).await.map(|()| document.digest)
    };
    put.await.unwrap()
}

#[test]
fn of_an_image_for_several_platforms_the_right_one_comes() {
    let registry = test_registry::Registry::start();
    let host = Platform::host().to_string();
    on_engines(async |[here, there]| {
        let many = format!("{}/many", registry.name());
        let one = here.image(&[b"for this host"], &format!("{many}:one")).await;
        let other = here.image(&[b"for another"], &format!("{many}:other")).await;
        for tag in ["one", "other"] {
            here.push(&format!("{many}:{tag}")).await.unwrap();
        }
        for media_type in [oci::OCI_INDEX, oci::DOCKER_INDEX] {
            let offers = [("unknown/unknown", &other), ("linux/s390x", &other), (host.as_str(), &one)];
            let index = put_index(&here, &registry, &offers, media_type).await;
            let pulled = there.pull(&many).await.unwrap();
            assert_eq!((&pulled.images[0].id, &pulled.digest), (&one.id, &index.to_string()));
            // A registry knows it by the digest of the index, and that is how it is found.
            let known = format!("{many}@{index}");
            assert!(pulled.images[0].repository_digests.contains(&known));
            assert_eq!(ask(&there.store, Resolve(known.clone())).await.unwrap().id, one.id);
            assert!(there.pull(&known).await.unwrap().up_to_date);
            assert!(there.pull(&many).await.unwrap().up_to_date);
        }
        let wanted = |platform: &str| PullRequest { platform: platform.to_owned(), ..pull(&many) };
        let missing = there.follow(Request::Pull(wanted("linux/mips"))).await.1.unwrap_err();
        assert_eq!(missing.code, Code::NotFound);
        assert!(missing.message.contains("linux/mips") && missing.hint.contains("linux/s390x"), "{missing:?}");
        // An image that is for one platform alone is not another's.
        let alone = PullRequest { platform: "linux/mips".to_owned(), ..pull(&format!("{many}:one")) };
        let missing = there.follow(Request::Pull(alone)).await.1.unwrap_err();
        assert!(missing.code == Code::NotFound && missing.hint.contains(&host), "{missing:?}");
        there.check().await;
    });
}

#[test]
fn a_mirror_is_asked_first_and_passed_over_if_it_fails() {
    let (registry, mirror) = (test_registry::Registry::start(), test_registry::Registry::start());
    on_engines(async |[here, there]| {
        let on = |registry: &test_registry::Registry| format!("{}/app:latest", registry.name());
        here.image(&[b"only on the mirror"], &on(&mirror)).await;
        here.push(&on(&mirror)).await.unwrap();
        there.configure(&format!("[registry.\"{}\"]\nmirrors = [\"{}\"]", registry.name(), mirror.name()));
        there.pull(&on(&registry)).await.unwrap();
        here.image(&[b"only there"], &format!("{}/other:latest", registry.name())).await;
        here.push(&format!("{}/other", registry.name())).await.unwrap();
        there.pull(&format!("{}/other", registry.name())).await.unwrap();
    });
}

#[test]
fn mistakes_are_told_at_once() {
    on_engines(async |[engine]| {
        let failed = async |name: &str| engine.pull(name).await.unwrap_err();
        assert_eq!(failed("Not A Name").await.code, Code::InvalidArgument);
        let refused = failed("127.0.0.1:1/app").await;
        assert_eq!(refused.code, Code::Unavailable);
        assert!(refused.message.contains("127.0.0.1:1") && refused.message.contains("refused"), "{refused}");
        assert_eq!(engine.push("127.0.0.1:1/app").await.unwrap_err().code, Code::NotFound);
        let odd = PullRequest { platform: "amd64".to_owned(), ..pull("app") };
        assert_eq!(engine.follow(Request::Pull(odd)).await.1.unwrap_err().code, Code::InvalidArgument);
        engine.configure("default = 7");
        let failure = failed("app").await;
        assert!(failure.message.contains("registries.toml") && failure.message.contains("default = 7"), "{failure}");
    });
}

/// Serves this answer to every connection.
fn serve(answer: &'static [u8]) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _request = stream.read(&mut [0; 4096]);
            let _gone = stream.write_all(answer);
        }
    });
    address
}

#[test]
fn a_file_is_fetched_into_an_upload() {
    on_engines(async |[engine]| {
        let fetch = async |address: std::net::SocketAddr, upload: &str| {
            let (transfer, upload) = (fresh(), upload.to_owned());
            let request = FetchRequest { transfer, url: format!("{address}/dir/file.tar?secret"), upload };
            engine.follow(Request::Fetch(request)).await
        };
        for (upload, answer) in [
            ("length", &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"[..]),
            ("chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
            ("end", b"HTTP/1.0 200 OK\r\n\r\nhello"),
        ] {
            let (items, result) = fetch(serve(answer), upload).await;
            assert_eq!(result.unwrap().size, 5);
            assert_eq!((items[0].title.as_str(), items[0].current), ("file.tar", 5));
            assert_eq!(fs::read(engine.file("uploads").join(upload)).unwrap(), b"hello");
        }
        let failure = fetch(serve(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "none").await.1.unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
        assert!(failure.message.contains("404") && failure.message.contains("/dir/file.tar"), "{failure}");
    });
}

#[test]
fn a_transfer_that_nobody_asks_about_is_given_up_and_its_name_is_free_again() {
    on_engines(async |[engine]| {
        // It never answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = format!("{}/app", silent.local_addr().unwrap());
        let request = pull(&name);
        let begun = Follow { call: call(), request: Request::Pull(request.clone()), seen: 0, wait_ms: 0 };
        let first = ask(&engine.transfers, begun).await.unwrap();
        let other = PullRequest { reference: "other".to_owned(), ..request.clone() };
        let other = Follow { call: call(), request: Request::Pull(other), seen: 0, wait_ms: 0 };
        assert_eq!(ask(&engine.transfers, other).await.unwrap_err().code, Code::Conflict);
        let (stream, _) = silent.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE * 2)).unwrap();
        // The connection ends when the transfer does.
        let read = move || Ok((&stream).read_to_end(&mut Vec::new()).is_ok());
        assert!(kit::actor::on_thread(read).await.unwrap());
        let again = Follow { call: call(), request: Request::Pull(request), seen: 0, wait_ms: 0 };
        assert!(ask(&engine.transfers, again).await.unwrap().version > first.version);
    });
}
