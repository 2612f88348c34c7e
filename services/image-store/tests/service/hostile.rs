//! Archives of images that are wrong on purpose, and those of old.

use crate::harness::{Service, block_on, call, is_whole, load, tar};
use flate2::write::GzEncoder;
use schema::Code;
use serde_json::{Value, json};
use sha2::Digest as _;
use std::io::Write;

pub(crate) fn digest(content: &[u8]) -> String {
    let hash = sha2::Sha256::digest(content);
    format!("sha256:{}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn config(layer: &[u8]) -> Vec<u8> {
    let rootfs = json!({ "type": "layers", "diff_ids": [digest(layer)] });
    json!({ "architecture": "amd64", "os": "linux", "rootfs": rootfs }).to_string().into_bytes()
}

/// An archive of `docker save` with one image of one layer.
fn docker(listing: &Value, layer: &[u8]) -> Vec<u8> {
    tar(&[("config.json", &config(layer)), ("layer.tar", layer), ("manifest.json", listing.to_string().as_bytes())])
}

fn listing() -> Value {
    json!([{ "Config": "config.json", "RepoTags": ["a:1"], "Layers": ["layer.tar"] }])
}

/// A layout whose index, manifest, configuration and layer may be changed before their digests are taken, or after.
fn layout(change: impl Fn(&mut Value), late: impl Fn(&mut Vec<(String, Vec<u8>)>)) -> Vec<u8> {
    let layer = tar(&[("f", b"x")]);
    let config = config(&layer);
    let descriptor = |media_type: &str, content: &[u8]| json!({ "mediaType": media_type, "digest": digest(content), "size": content.len() });
    let mut manifest = json!({
        "schemaVersion": 2,
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
    });
    change(&mut manifest);
    let manifest = manifest.to_string().into_bytes();
    let index = json!({ "schemaVersion": 2, "manifests": [descriptor("application/vnd.oci.image.manifest.v1+json", &manifest)] });
    let blob = |content: &[u8]| (format!("blobs/sha256/{}", &digest(content)[7..]), content.to_vec());
    let mut files = vec![
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), index.to_string().into_bytes()),
        blob(&manifest),
        blob(&config),
        blob(&layer),
    ];
    late(&mut files);
    tar(&files.iter().map(|(name, content)| (&name[..], &content[..])).collect::<Vec<_>>())
}

/// A member that no builder would write.
fn raw(name: &str, kind: tar::EntryType, link: &str) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(0o777);
    if !link.is_empty() {
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    }
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn of_old(layers: &[(&str, &str)], repositories: &Value) -> Vec<u8> {
    let mut files = vec![("repositories".to_owned(), repositories.to_string().into_bytes())];
    for (id, parent) in layers {
        let mut description = json!({ "id": id, "created": "2013-04-01T00:00:00Z", "config": { "Cmd": [id] },
            "container_config": { "Cmd": ["/bin/sh", "-c", format!("make {id}")] }, "architecture": "x86_64" });
        if !parent.is_empty() {
            description["parent"] = (*parent).into();
        }
        files.push((format!("{id}/VERSION"), b"1.0".to_vec()));
        files.push((format!("{id}/json"), description.to_string().into_bytes()));
        files.push((format!("{id}/layer.tar"), tar(&[(id, b"content")])));
    }
    tar(&files.iter().map(|(name, content)| (&name[..], &content[..])).collect::<Vec<_>>())
}

#[test]
fn archives_of_old_are_loaded() {
    let service = Service::start();
    block_on(async {
        let store = service.client();
        let archive = of_old(&[("aa", ""), ("bb", "aa"), ("cc", "aa")], &json!({ "base": { "1": "bb", "2": "cc" } }));
        let loaded = load(&store, &archive).await.unwrap();
        assert_eq!(loaded.len(), 2);
        assert_eq!(loaded[0].references, ["base:1"]);
        assert_eq!(loaded[0].layers[0], loaded[1].layers[0]);
        assert_eq!(loaded[0].config.command, ["bb"]);
        let steps = store.history(&call(), "base:1").await.unwrap();
        assert_eq!(
            steps.iter().map(|step| &step.created_by[..]).collect::<Vec<_>>(),
            ["/bin/sh -c make bb", "/bin/sh -c make aa"]
        );
        is_whole(&store).await;
    });
}

#[test]
fn what_is_wrong_with_an_archive_is_said_and_nothing_is_kept() {
    let layer = tar(&[("f", b"x")]);
    let nothing = |_: &mut Value| ();
    let appended = |member: &[u8]| [member, &docker(&listing(), &layer)].concat();
    let vast = vec![b' '; (4 << 20) + 1];
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (tar(&[("f", b"x")]), "neither index.json nor manifest.json"),
        (b"hello".to_vec(), "not a tar archive"),
        (docker(&json!([]), &layer), "no image"),
        (docker(&json!([{ "Config": "../etc/passwd", "Layers": [] }]), &layer), "`..`"),
        (docker(&json!([{ "Config": "none", "Layers": [] }]), &layer), "no member none"),
        (docker(&json!([{ "Config": "config.json", "Layers": [] }]), &layer), "0 layers, but its configuration 1"),
        (docker(&json!([{ "Config": "layer.tar", "Layers": [] }]), &layer), "configuration"),
        (docker(&json!([{ "Config": "config.json", "Layers": ["config.json"] }]), &layer), "not a tar archive"),
        (
            docker(&json!([{ "Config": "config.json", "RepoTags": ["A"], "Layers": ["layer.tar"] }]), &layer),
            "not a reference",
        ),
        (docker(&Value::Null, &layer), "manifest.json"),
        (docker(&vec![listing()[0].clone(); 1001].into(), &layer), "1001 images"),
        (
            tar(&[
                ("config.json", &config(b"other")),
                ("layer.tar", &layer),
                ("manifest.json", listing().to_string().as_bytes()),
            ]),
            "as the image's configuration says",
        ),
        (tar(&[("manifest.json", &vast)]), "more than 4194304"),
        (appended(&raw("config.json", tar::EntryType::Regular, "")), "comes twice"),
        (appended(&raw("../escape", tar::EntryType::Regular, "")), "`..`"),
        (appended(&raw("fifo", tar::EntryType::Fifo, "")), "neither a file nor a directory"),
        (appended(&raw("hard", tar::EntryType::Link, "config.json")), "neither a file nor a directory"),
        ([raw("manifest.json", tar::EntryType::Symlink, "/etc/passwd"), tar(&[("x", b"")])].concat(), "is a link"),
        (
            [
                raw("l", tar::EntryType::Symlink, "../../etc/passwd"),
                docker(&json!([{ "Config": "config.json", "Layers": ["l"] }]), &layer),
            ]
            .concat(),
            "leaves the archive",
        ),
        (
            [
                raw("l", tar::EntryType::Symlink, "l"),
                docker(&json!([{ "Config": "config.json", "Layers": ["l"] }]), &layer),
            ]
            .concat(),
            "link to a link",
        ),
        (layout(|manifest| manifest["layers"][0]["digest"] = digest(b"other").into(), |_| ()), "no member"),
        (layout(|manifest| manifest["layers"][0]["size"] = 7.into(), |_| ()), "bytes, not 7"),
        (layout(|manifest| manifest["config"]["mediaType"] = "x".into(), |_| ()), "not of an image"),
        (layout(|manifest| manifest["layers"] = json!([]), |_| ()), "0 layers"),
        (layout(nothing, |files| files[4].1[600] ^= 1), "has the digest"),
        (layout(nothing, |files| files[3].1[5] ^= 1), "has the digest"),
        (layout(nothing, |files| files[2].1.push(b' ')), "bytes, not"),
        (layout(nothing, |files| files[0].1 = br#"{"imageLayoutVersion":"9"}"#.to_vec()), "version \"9\""),
        (layout(nothing, |files| files[1].1 = vec![b'['; 100_000]), "manifest cannot be used"),
        (of_old(&[("aa", "bb"), ("bb", "aa")], &json!({ "x": { "1": "aa" } })), "its own parent"),
        (of_old(&[("aa", "bb")], &json!({ "x": { "1": "aa" } })), "not in the archive"),
        (of_old(&[("aa", "")], &json!({ "x": { "1": "gone" } })), "not in the archive"),
        (of_old(&[("aa", "")], &json!({ "X": { "1": "aa" } })), "not a reference"),
    ];
    let service = Service::start();
    block_on(async {
        let store = service.client();
        for (archive, reason) in cases {
            for archive in [gzip(&archive), archive] {
                let failure = load(&store, &archive).await.unwrap_err();
                assert_eq!(failure.code, Code::InvalidArgument, "{failure}");
                assert!(failure.message.contains(reason), "{failure} lacks {reason:?}");
            }
        }
        assert_eq!(store.list(&call()).await.unwrap(), []);
        assert!(service.files("blobs/sha256").is_empty());
        let left = service.files("uploads");
        assert!(left.iter().all(|name| !name.contains('.')), "{left:?}");
        is_whole(&store).await;
        assert_eq!(load(&store, &docker(&listing(), &layer)).await.unwrap().len(), 1);
    });
}
