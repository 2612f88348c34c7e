//! Images for several platforms.

use super::*;

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
            "mediaType": documents::OCI_MANIFEST, "digest": image.manifest, "size": size,
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
        for media_type in [documents::OCI_INDEX, documents::DOCKER_INDEX] {
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
