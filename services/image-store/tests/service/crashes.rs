//! The store is killed at random moments of everything that it does: what it stores stays whole, and whoever calls
//! again has the answer.

use crate::harness::{Service, block_on, call, commit, fresh, ids, image, is_whole, load, random, save, send, tar};
use schema::image_store::{Client, ImportRequest};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

const ROUNDS: usize = 12;
/// How long a process may live at most: one of these. Some die while they start; some come to something.
const LIVES_MS: [u64; 3] = [40, 200, 800];

/// Kills the service again and again while `work` goes on.
async fn tormented<T>(service: &mut Service, work: impl Future<Output = T>) -> T {
    let done = Rc::new(Cell::new(false));
    let kills = async {
        let mut kills = 0;
        while !done.get() {
            let most = LIVES_MS[usize::try_from(random() % 3).unwrap()];
            tokio::time::sleep(Duration::from_millis(random() % most)).await;
            service.restart();
            kills += 1;
        }
        kills
    };
    let work = async {
        let result = work.await;
        done.set(true);
        result
    };
    let (result, kills) = tokio::join!(work, kills);
    assert!(kills > 0);
    result
}

async fn round(store: &Client, number: usize) {
    let content = tar(&[("file", format!("{number}").as_bytes()), ("big", &vec![b'x'; 300_000])]);
    let upload = fresh();
    send(store, &upload, &content).await;
    let request = ImportRequest {
        reference: "base".to_owned(),
        source: "-".to_owned(),
        message: String::new(),
        changes: vec![],
        platform: String::new(),
    };
    let base = store.import_upload(&call(), &upload, &request).await.unwrap();
    let upload = fresh();
    store.pack_upload(&call(), &upload).await.unwrap();
    send(store, &upload, &tar(&[("more", &vec![b'y'; 300_000])])).await;
    let made = store.commit_upload(&call(), &upload, &commit(&base, "made")).await.unwrap();
    assert_eq!(made.parent.as_ref(), Some(&base.id));
    let archive = save(store, &["made"]).await;
    store.lease(&call(), "c1", "made").await.unwrap();
    let removed = store.remove(&call(), "made", true).await.unwrap();
    assert_eq!(removed.untagged, ["made:latest"]);
    store.release(&call(), "c1").await.unwrap();
    let loaded = load(store, &archive).await.unwrap();
    assert_eq!(ids(&loaded), [&made.id]);
    let removed = store.remove(&call(), "made", false).await.unwrap();
    assert_eq!(removed.deleted, [made.id.to_string()]);
    assert_eq!(store.remove(&call(), "base", false).await.unwrap().deleted, [base.id.to_string()]);
}

#[test]
fn kills_at_any_moment_leave_a_whole_store() {
    let mut service = Service::start();
    block_on(async {
        let store = service.client();
        let kept = image(&store, "kept").await;
        let work = async {
            for number in 0..ROUNDS {
                round(&store, number).await;
            }
        };
        tormented(&mut service, work).await;
        assert_eq!(ids(&store.list(&call()).await.unwrap()), [&kept.id]);
        is_whole(&store).await;
        // Nothing is left over: neither content nor notes.
        assert_eq!(service.files("blobs/sha256").len(), 3);
        for directory in ["uploads", "leases", "partial"] {
            assert_eq!(service.files(directory), [""; 0], "{directory}");
        }
    });
}
