//! Transfers go on through the death of the service, and from what had arrived.

use crate::harness::{Service, block_on, call, commit, fresh, ids, import, is_whole, random, send, tar};
use schema::image_store::{Client, Credentials, Image, PullRequest, PushRequest, TransferProgress, TransferResult};
use std::fs::File;
use std::io::Read;
use std::time::Duration;
use test_registry::Registry;

const KILLS: usize = 20;
const LAYER: usize = 3 << 19;
/// A process lives for less than this once a pull has begun, in milliseconds.
const LONGEST_LIFE: u64 = 500;

/// What does not compress.
fn noise() -> Vec<u8> {
    let mut noise = vec![0; LAYER];
    File::open("/dev/urandom").unwrap().read_exact(&mut noise).unwrap();
    noise
}

/// An image of three large layers.
async fn large(store: &Client, name: &str) -> Image {
    let mut image = import(store, name, &tar(&[("layer0", &noise())])).await;
    for number in 1..3 {
        let upload = fresh();
        send(store, &upload, &tar(&[(&format!("layer{number}"), &noise())])).await;
        image = store.commit_upload(&call(), &upload, &commit(&image, name)).await.unwrap();
    }
    image
}

async fn pull(store: &Client, name: &str) -> TransferResult {
    let request = PullRequest {
        transfer: fresh(),
        reference: name.to_owned(),
        platform: String::new(),
        all_tags: false,
        credentials: Credentials::default(),
    };
    let mut seen = 0;
    loop {
        let transfer = store.pull(&call(), &request, seen, 1000).await.unwrap();
        seen = transfer.version;
        match transfer.progress {
            TransferProgress::Running => {}
            TransferProgress::Done(result) => return *result,
            TransferProgress::Failed(failure) => panic!("{failure}"),
        }
    }
}

async fn push(store: &Client, name: &str) -> TransferResult {
    let request = PushRequest {
        transfer: fresh(),
        reference: name.to_owned(),
        all_tags: false,
        credentials: Credentials::default(),
    };
    let mut seen = 0;
    loop {
        let transfer = store.push(&call(), &request, seen, 1000).await.unwrap();
        seen = transfer.version;
        match transfer.progress {
            TransferProgress::Running => {}
            TransferProgress::Done(result) => return *result,
            TransferProgress::Failed(failure) => panic!("{failure}"),
        }
    }
}

#[test]
fn a_pull_that_is_killed_at_any_moment_ends_with_a_whole_image() {
    let registry = Registry::start();
    let name = format!("{}/team/large:latest", registry.name());
    let mut service = Service::start();
    block_on(async {
        let store = service.client();
        let image = large(&store, &name).await;
        let pushed = push(&store, &name).await;
        let mut left_overs = 0;
        for _ in 0..KILLS {
            // By id: with all that it was made of.
            for known in store.list(&call()).await.unwrap() {
                store.remove(&call(), known.id.as_str(), true).await.unwrap();
            }
            assert!(ids(&store.list(&call()).await.unwrap()).is_empty());
            let killed = async {
                tokio::time::sleep(Duration::from_millis(random() % LONGEST_LIFE)).await;
                service.restart();
                service.files("partial").len()
            };
            let (pulled, partial) = tokio::join!(pull(&store, &name), killed);
            left_overs += partial;
            assert_eq!(pulled.digest, pushed.digest);
            assert_eq!(ids(&pulled.images), [&image.id]);
            is_whole(&store).await;
        }
        assert!(left_overs > 0, "no kill hit a download");
        assert!(service.files("partial").is_empty());
    });
}

#[test]
fn a_push_that_is_killed_at_any_moment_arrives_whole() {
    let registry = Registry::start();
    let mut service = Service::start();
    block_on(async {
        let store = service.client();
        for number in 0..4 {
            let name = format!("{}/large:v{number}", registry.name());
            let image = large(&store, &name).await;
            let killed = async {
                tokio::time::sleep(Duration::from_millis(random() % LONGEST_LIFE)).await;
                service.restart();
            };
            let (pushed, ()) = tokio::join!(push(&store, &name), killed);
            assert_eq!(pushed.digest, image.manifest.to_string());
            store.remove(&call(), image.id.as_str(), true).await.unwrap();
            assert_eq!(ids(&pull(&store, &name).await.images), [&image.id]);
            is_whole(&store).await;
        }
    });
}
