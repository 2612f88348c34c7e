//! Names, leases, removal.

use crate::harness::{Service, block_on, call, image, import, is_whole, send, tar};
use schema::image_store::Lease;
use schema::{Call, Code};
use std::time::{Duration, Instant};

const FIRST: &str = "c1";
const SECOND: &str = "c2";

#[test]
fn a_new_store_exists_and_is_empty() {
    let service = Service::start();
    block_on(async {
        assert_eq!(service.client().list(&call()).await.unwrap(), []);
        assert_eq!(is_whole(&service.client()).await.examined, 0);
    });
}

#[test]
fn an_image_goes_with_its_last_name_and_so_do_its_blobs() {
    let mut service = Service::start();
    block_on(async {
        let store = service.client();
        let one = image(&store, "one").await;
        let both = store.tag(&call(), "one", "docker.io/library/two:x", false).await.unwrap();
        assert_eq!(both.references, ["one:latest", "two:x"]);
        let other = image(&store, "other").await;
        assert_eq!(service.files("blobs/sha256").len(), 6);
        let removed = store.remove(&call(), "one", false).await.unwrap();
        assert_eq!((removed.untagged, removed.deleted, removed.freed), (vec!["one:latest".to_owned()], vec![], 0));
        let removed = store.remove(&call(), "two:x", false).await.unwrap();
        assert_eq!(removed.deleted, [one.id.to_string()]);
        assert_eq!(removed.freed, one.size);
        assert_eq!(store.list(&call()).await.unwrap(), std::slice::from_ref(&other));
        assert_eq!(store.remove(&call(), "one", false).await.unwrap_err().code, Code::NotFound);
        let again = import(&store, "one", &tar(&[("file", b"one")])).await;
        assert_eq!(again.layers, one.layers);
        store.remove(&call(), again.id.short(), false).await.unwrap();
        assert_eq!(service.files("blobs/sha256").len(), 3);
        is_whole(&store).await;
    });
    service.restart();
    block_on(async {
        let left = service.client().list(&call()).await.unwrap();
        assert_eq!(left.iter().map(|image| &image.references[0][..]).collect::<Vec<_>>(), ["other:latest"]);
    });
}

#[test]
fn a_tag_is_not_moved_unless_it_is_forced() {
    let service = Service::start();
    block_on(async {
        let store = service.client();
        let (one, two) = (image(&store, "one").await, image(&store, "two").await);
        let failure = store.tag(&call(), "one", "two", false).await.unwrap_err();
        assert_eq!(failure.code, Code::AlreadyExists);
        assert!(failure.message.contains(two.id.short()), "{failure}");
        assert_eq!(store.tag(&call(), "one", "one", false).await.unwrap().id, one.id);
        store.tag(&call(), one.id.short(), "two", true).await.unwrap();
        assert_eq!(store.resolve(&call(), "two").await.unwrap().id, one.id);
        assert!(store.resolve(&call(), two.id.as_str()).await.unwrap().references.is_empty());
        for bad in ["a:b:c", "UPPER", "", "a@sha256:00"] {
            assert_eq!(store.tag(&call(), "one", bad, true).await.unwrap_err().code, Code::InvalidArgument, "{bad}");
        }
        assert_eq!(store.tag(&call(), "nothing", "x", false).await.unwrap_err().code, Code::NotFound);
    });
}

#[test]
fn images_that_share_a_layer_keep_it() {
    let service = Service::start();
    block_on(async {
        let store = service.client();
        let (one, two) =
            (import(&store, "one", &tar(&[("f", b"x")])).await, import(&store, "two", &tar(&[("f", b"x")])).await);
        assert_eq!(one.layers, two.layers);
        let removed = store.remove(&call(), "one", false).await.unwrap();
        assert_eq!(removed.freed, one.size - one.layers[0].size);
        is_whole(&store).await;
        store.remove(&call(), "two", false).await.unwrap();
        assert!(service.files("blobs/sha256").is_empty());
    });
}

#[test]
fn a_lost_answer_to_a_removal_is_given_again_also_by_the_next_process() {
    let mut service = Service::start();
    let (first, again) = block_on(async {
        let store = service.client();
        image(&store, "one").await;
        let request = call();
        let first = store.remove(&request, "one", false).await.unwrap();
        assert_eq!(store.remove(&request, "one", false).await.unwrap(), first);
        (first, request.request)
    });
    service.restart();
    block_on(async {
        let store = service.client();
        let repeated = Call { request: again, ..call() };
        assert_eq!(store.remove(&repeated, "one", false).await.unwrap(), first);
        assert_eq!(store.remove(&repeated, "other", false).await.unwrap_err().code, Code::NotFound);
        let new = image(&store, "one").await;
        assert_eq!(store.remove(&call(), "one", false).await.unwrap().deleted, [new.id.to_string()]);
    });
}

#[test]
fn an_image_in_use_keeps_its_last_name_and_one_that_lost_it_goes_with_its_last_container() {
    let mut service = Service::start();
    block_on(async {
        let store = service.client();
        let one = image(&store, "one").await;
        for holder in [FIRST, FIRST, SECOND] {
            assert_eq!(store.lease(&call(), holder, "one").await.unwrap().id, one.id);
        }
        assert_eq!(store.resolve(&call(), "one").await.unwrap().holders, [FIRST, SECOND]);
        let failure = store.remove(&call(), "one", false).await.unwrap_err();
        assert_eq!(failure.code, Code::Conflict);
        assert!(failure.message.contains(FIRST) && failure.message.contains(SECOND), "{failure}");
        let removed = store.remove(&call(), "one", true).await.unwrap();
        assert_eq!((removed.untagged.len(), removed.deleted.len()), (1, 0));
        store.release(&call(), FIRST).await.unwrap();
    });
    service.restart();
    block_on(async {
        let store = service.client();
        let [kept] = &store.list(&call()).await.unwrap()[..] else { panic!() };
        assert_eq!((&kept.holders[..], kept.references.len()), (&[SECOND.to_owned()][..], 0));
        is_whole(&store).await;
        store.release(&call(), SECOND).await.unwrap();
        store.release(&call(), SECOND).await.unwrap();
        assert_eq!(store.list(&call()).await.unwrap(), []);
        assert!(service.files("blobs/sha256").is_empty() && service.files("leases").is_empty());
    });
}

#[test]
fn a_name_given_in_time_saves_an_image_that_was_to_go() {
    let service = Service::start();
    block_on(async {
        let store = service.client();
        let one = image(&store, "one").await;
        store.lease(&call(), FIRST, "one").await.unwrap();
        store.remove(&call(), "one", true).await.unwrap();
        store.tag(&call(), one.id.short(), "again", false).await.unwrap();
        store.release(&call(), FIRST).await.unwrap();
        assert_eq!(store.resolve(&call(), "again").await.unwrap().id, one.id);
    });
}

#[test]
fn reconciling_ends_leases_that_nobody_has() {
    let service = Service::start();
    block_on(async {
        let store = service.client();
        let (one, two) = (image(&store, "one").await, image(&store, "two").await);
        store.lease(&call(), FIRST, "one").await.unwrap();
        store.lease(&call(), SECOND, "one").await.unwrap();
        store.remove(&call(), "one", true).await.unwrap();
        let leases = [Lease { holder: "c3".to_owned(), image: two.id.clone() }];
        for _ in 0..2 {
            store.reconcile(&call(), &leases).await.unwrap();
        }
        assert_eq!(store.resolve(&call(), one.id.as_str()).await.unwrap_err().code, Code::NotFound);
        assert_eq!(store.resolve(&call(), "two").await.unwrap().holders, ["c3"]);
        assert_eq!(store.lease(&call(), "../x", "two").await.unwrap_err().code, Code::InvalidArgument);
    });
}

#[test]
fn whoever_waits_hears_of_an_image_that_goes() {
    let service = Service::start();
    block_on(async {
        let store = service.client();
        image(&store, "one").await;
        let now = store.changed(&call(), 0, 0).await.unwrap();
        let started = Instant::now();
        assert_eq!(store.changed(&call(), now, 50).await.unwrap(), now);
        assert!(started.elapsed() >= Duration::from_millis(50));
        let (one, two) = (call(), call());
        let (later, removed) = tokio::join!(store.changed(&one, now, 50_000), store.remove(&two, "one", false));
        removed.unwrap();
        assert!(later.unwrap() > now);
    });
}

#[test]
fn an_upload_is_found_where_it_lies() {
    let service = Service::start();
    block_on(async {
        let store = service.client();
        send(&store, "mine", b"hello").await;
        let blob = store.upload_file(&call(), "mine").await.unwrap();
        assert_eq!((std::fs::read(blob.path).unwrap(), blob.size), (b"hello".to_vec(), 5));
        assert_eq!(store.upload_file(&call(), "other").await.unwrap_err().code, Code::NotFound);
    });
}

#[test]
fn an_audit_names_what_is_damaged() {
    let service = Service::start();
    block_on(async {
        let store = service.client();
        let (one, two) = (image(&store, "one").await, image(&store, "two").await);
        let state = service.instance.state("image-store");
        let blob = |digest: &schema::Digest| state.join("blobs/sha256").join(digest.hex());
        std::fs::write(blob(&one.layers[0].digest), vec![7; usize::try_from(one.layers[0].size).unwrap()]).unwrap();
        std::fs::remove_file(blob(&two.manifest)).unwrap();
        std::fs::write(state.join("images").join(format!("{}.json", two.id.hex())), "junk").unwrap();
        std::fs::write(state.join("blobs/sha256/stranger"), "x").unwrap();
        let report = store.check(&call(), false).await.unwrap();
        let objects: Vec<&str> = report.problems.iter().map(|problem| &problem.object[..]).collect();
        assert_eq!(objects[0], format!("blob {}", one.layers[0].digest));
        assert!(objects[1].ends_with("stranger"), "{objects:?}");
        assert_eq!(objects[2], format!("image {}", two.id));
        assert_eq!(objects[3], format!("record image {}", two.id.hex()));
        assert_eq!(objects[4], "name two:latest");
        assert_eq!(objects.len(), 5);
        assert!(report.bytes > 0 && report.problems.iter().all(|problem| !problem.hint.is_empty()));
    });
}
