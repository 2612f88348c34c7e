//! Images that are made of others, and what is told of them.

use crate::harness::{
    Service, block_on, call, commit, container, fresh, image, import, import_as, is_whole, load, save, send, tar,
};
use schema::Code;
use schema::image_store::ImportRequest;
use serde_json::Value;

#[test]
fn a_commit_lies_on_its_base_and_says_where_it_is_from() {
    let mut service = Service::start();
    let wanted = block_on(async {
        let store = service.client();
        let base = import(&store, "base", &tar(&[("a", b"1")])).await;
        let upload = fresh();
        let layer = tar(&[("x", &[b'x'; 10_000])]);
        send(&store, &upload, &layer).await;
        let request = commit(&base, "made");
        let made = store.commit_upload(&call(), &upload, &request).await.unwrap();
        assert_eq!(store.commit_upload(&call(), &upload, &request).await.unwrap(), made);
        assert_eq!((&made.layers[..1], made.layers.len()), (&base.layers[..], 2));
        assert!(made.layers[1].size < 1000 && made.layers[1].media_type.ends_with("tar+gzip"));
        assert_eq!((&made.parent, &made.container), (&Some(base.id.clone()), &Some(container())));
        assert_eq!((&*made.author, &*made.config.comment), ("an author", "a message"));
        assert_eq!(
            (&made.config.command[..], &made.config.environment[..]),
            (&["run".to_owned()][..], &["A=b".to_owned()][..])
        );
        assert_eq!(made.config.architecture, base.config.architecture);
        let steps = store.history(&call(), "made").await.unwrap();
        assert_eq!(steps.iter().map(|step| &step.image[..]).collect::<Vec<_>>(), [made.id.as_str(), base.id.as_str()]);
        assert_eq!((&*steps[0].created_by, steps[0].size), ("sh -c echo x > /x", layer.len() as u64));
        assert_eq!(steps[1].references, ["base:latest"]);
        let described = store.describe(&call(), "made").await.unwrap();
        let config: Value = serde_json::from_slice(&described.configuration).unwrap();
        assert_eq!(config["container"], container().as_str());
        assert_eq!(described.media_type, "application/vnd.oci.image.manifest.v1+json");
        is_whole(&store).await;
        made
    });
    service.restart();
    block_on(async {
        let store = service.client();
        assert_eq!(store.resolve(&call(), "made").await.unwrap(), wanted);
        let removed = store.remove(&call(), "base", false).await.unwrap();
        assert_eq!(removed.deleted.len(), 1);
        is_whole(&store).await;
        assert_eq!(store.history(&call(), "made").await.unwrap()[1].image, "");
    });
}

#[test]
fn a_commit_of_nothing_has_an_empty_layer() {
    let service = Service::start();
    block_on(async {
        let store = service.client();
        let base = image(&store, "base").await;
        send(&store, "empty", &[0; 1024]).await;
        let made = store.commit_upload(&call(), "empty", &commit(&base, "")).await.unwrap();
        assert_eq!((made.layers.len(), made.references.len()), (2, 0));
        assert_eq!(store.history(&call(), made.id.as_str()).await.unwrap()[0].size, 1024);
        send(&store, "garbage", b"no archive").await;
        let failure = store.commit_upload(&call(), "garbage", &commit(&base, "")).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
        send(&store, "packed", &zstd::encode_all(&tar(&[("a", b"")])[..], 1).unwrap()).await;
        let failure = store.commit_upload(&call(), "packed", &commit(&base, "")).await.unwrap_err();
        assert!(failure.message.contains("is compressed"), "{failure}");
        send(&store, "orphan", &tar(&[("a", b"")])).await;
        let mut orphan = commit(&base, "");
        orphan.base = made.manifest;
        assert_eq!(store.commit_upload(&call(), "orphan", &orphan).await.unwrap_err().code, Code::NotFound);
    });
}

#[test]
fn a_commit_that_is_packed_while_it_comes_is_the_same() {
    let service = Service::start();
    block_on(async {
        let store = service.client();
        let base = image(&store, "base").await;
        let layer = tar(&[("x", &vec![b'x'; 3_000_000]), ("y", b"y")]);
        send(&store, "late", &layer).await;
        let expected = store.commit_upload(&call(), "late", &commit(&base, "")).await.unwrap();
        // More than are packed at a time.
        let uploads: Vec<String> = (0..7).map(|_| fresh()).collect();
        for upload in &uploads {
            store.pack_upload(&call(), upload).await.unwrap();
            store.pack_upload(&call(), upload).await.unwrap();
        }
        for upload in &uploads {
            send(&store, upload, &layer).await;
            store.pack_upload(&call(), upload).await.unwrap();
        }
        for upload in &uploads {
            let made = store.commit_upload(&call(), upload, &commit(&base, "")).await.unwrap();
            assert_eq!(made.layers, expected.layers);
            assert_eq!(store.pack_upload(&call(), upload).await.unwrap_err().code, Code::Conflict);
        }
        store.pack_upload(&call(), "gone").await.unwrap();
        send(&store, "gone", &layer[..100_000]).await;
        store.abandon(&call(), "gone").await.unwrap();
        // Who has said so may still do something else with it.
        store.pack_upload(&call(), "gone").await.unwrap();
        assert_eq!(import_as(&store, "gone", "gone", &layer).await.layers[0].diff_id, expected.layers[1].diff_id);
        store.pack_upload(&call(), "bad").await.unwrap();
        send(&store, "bad", &layer[..100_000]).await;
        let failure = store.commit_upload(&call(), "bad", &commit(&base, "")).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
        store.abandon(&call(), "bad").await.unwrap();
        assert_eq!(service.files("uploads"), [""; 0]);
        is_whole(&store).await;
    });
}

#[test]
fn an_import_takes_instructions_a_message_and_a_platform() {
    let service = Service::start();
    block_on(async {
        let store = service.client();
        let mut request = ImportRequest {
            reference: "app:1".to_owned(),
            source: "x.tar".to_owned(),
            message: "mine".to_owned(),
            changes: vec!["ENTRYPOINT [\"/app\"]".to_owned(), "EXPOSE 80".to_owned(), "LABEL a=b".to_owned()],
            platform: "linux/arm64/v8".to_owned(),
        };
        send(&store, "up", &tar(&[("app", b"x")])).await;
        let made = store.import_upload(&call(), "up", &request).await.unwrap();
        assert_eq!(made.config.entrypoint, ["/app"]);
        assert_eq!((&made.config.exposed_ports[0][..], &made.config.labels[0][..]), ("80/tcp", "a=b"));
        assert_eq!((&*made.config.comment, &*made.config.variant), ("mine", "v8"));
        assert!(made.parent.is_none() && made.container.is_none());
        request.changes = vec!["RUN make".to_owned()];
        let failure = store.import_upload(&call(), "other", &request).await.unwrap_err();
        assert!(failure.message.contains("\"RUN\" cannot be changed"), "{failure}");
    });
}

#[test]
fn what_is_saved_is_loaded_with_all_its_digests() {
    let (from, to) = (Service::start(), Service::start());
    block_on(async {
        let store = from.client();
        let base = image(&store, "base").await;
        send(&store, "layer", &tar(&[("x", &vec![b'x'; 3_000_000])])).await;
        let made = store.commit_upload(&call(), "layer", &commit(&base, "u/made:1")).await.unwrap();
        let archive = save(&store, &["u/made:1", "base"]).await;
        assert_eq!(save(&store, &["u/made:1", "base"]).await, archive);
        let other = to.client();
        let loaded = load(&other, &archive).await.unwrap();
        assert_eq!(loaded.iter().map(|image| &image.manifest).collect::<Vec<_>>(), [&made.manifest, &base.manifest]);
        let there = other.resolve(&call(), "u/made:1").await.unwrap();
        assert_eq!((&there.id, &there.layers, &there.config), (&made.id, &made.layers, &made.config));
        assert_eq!(save(&other, &["u/made:1", "base"]).await, archive);
        let again = load(&other, &archive).await.unwrap();
        assert_eq!(again.len(), 2);
        is_whole(&other).await;
    });
}

#[test]
fn an_archive_of_a_moved_name_is_not_mixed() {
    let service = Service::start();
    block_on(async {
        let store = service.client();
        image(&store, "one").await;
        image(&store, "two").await;
        let references = ["one".to_owned()];
        let first = store.save(&call(), &references, 0, 1000).await.unwrap();
        assert_eq!(first.data.len(), 1000);
        assert_eq!(store.save(&call(), &references, 1000, 1000).await.unwrap().total, first.total);
        store.tag(&call(), "two", "one", true).await.unwrap();
        let failure = store.save(&call(), &references, 2000, 1000).await.unwrap_err();
        assert_eq!(failure.code, Code::Conflict);
        assert!(store.save(&call(), &references, 0, 1000).await.is_ok());
        assert_eq!(store.save(&call(), &["none".to_owned()], 0, 1).await.unwrap_err().code, Code::NotFound);
    });
}
