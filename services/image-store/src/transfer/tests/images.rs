//! What arrives, and what does not.

use super::*;
use test_registry::Setup;

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
