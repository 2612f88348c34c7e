//! Archives of podman, skopeo and umoci are loaded, and ours are read by them: the digests stay the same.

use crate::harness::{Service, block_on, call, commit, image, import, is_whole, load, save, send, tar};
use schema::image_store::Image;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

fn run(program: &str, arguments: &[&str], directory: &Path) -> String {
    exact(program, arguments, directory).trim().to_owned()
}

/// The output byte for byte.
fn exact(program: &str, arguments: &[&str], directory: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Podman with a store of its own.
fn podman(arguments: &[&str], directory: &Path) -> String {
    let fixed = [
        "--root=podman",
        "--runroot=podman-run",
        "--tmpdir=podman-tmp",
        "--storage-driver=vfs",
        "--cgroup-manager=cgroupfs",
        "--events-backend=none",
    ];
    let fixed = fixed.map(|option| match option.split_once('=') {
        Some((name @ ("--root" | "--runroot" | "--tmpdir"), value)) => {
            format!("{name}={}", directory.join(value).display())
        }
        _ => option.to_owned(),
    });
    let all: Vec<&str> = fixed.iter().map(String::as_str).chain(arguments.iter().copied()).collect();
    run("podman", &all, directory)
}

/// A rootfs with a busybox in it, as a tar.
fn rootfs() -> Vec<u8> {
    let program = fs::read("/bin/busybox").unwrap();
    tar(&[("bin/busybox", &program), ("etc/hostname", b"foreign")])
}

/// An image of podman with two layers and a configuration, `localhost/foreign:1`.
fn podmans_image(directory: &Path) {
    fs::write(directory.join("base.tar"), rootfs()).unwrap();
    let change = ["import", "-q", "--change", "ENV A=b", "--change", "CMD [\"/bin/busybox\",\"sh\"]"];
    podman(&[&change[..], &["base.tar", "localhost/base:1"]].concat(), directory);
    fs::write(directory.join("file"), "second layer").unwrap();
    fs::write(directory.join("Containerfile"), "FROM localhost/base:1\nCOPY file /file\nLABEL k=v\n").unwrap();
    podman(&["build", "-q", "--isolation=chroot", "-t", "localhost/foreign:1", "."], directory);
}

/// What skopeo says of an archive's image: its manifest's digest.
fn skopeos_digest(archive: &str, directory: &Path) -> String {
    let inspected = exact("skopeo", &["inspect", "--raw", archive], directory);
    fs::write(directory.join("manifest"), &inspected).unwrap();
    run("skopeo", &["manifest-digest", "manifest"], directory)
}

fn id_in(manifest: &str) -> String {
    let manifest: Value = serde_json::from_str(manifest).unwrap();
    manifest["config"]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn archives_of_podman_and_skopeo_are_loaded() {
    let service = Service::start();
    let directory = service.scratch();
    podmans_image(directory);
    for format in ["docker-archive", "oci-archive"] {
        podman(
            &["save", "-q", "--format", format, "-o", &format!("podman-{format}.tar"), "localhost/foreign:1"],
            directory,
        );
    }
    let to =
        |target: &str| drop(run("skopeo", &["copy", "-q", "oci-archive:podman-oci-archive.tar", target], directory));
    to("docker-archive:skopeo-docker.tar:localhost/foreign:1");
    to("oci-archive:skopeo-oci.tar:localhost/foreign:1");
    let id = id_in(&run("skopeo", &["inspect", "--raw", "oci-archive:podman-oci-archive.tar"], directory));
    block_on(async {
        let store = service.client();
        for (name, is_oci) in [
            ("podman-docker-archive.tar", false),
            ("podman-oci-archive.tar", true),
            ("skopeo-docker.tar", false),
            ("skopeo-oci.tar", true),
        ] {
            let loaded = load(&store, &fs::read(directory.join(name)).unwrap()).await.unwrap();
            let [image] = &loaded[..] else { panic!("{name}: {loaded:?}") };
            assert_eq!(image.references, ["localhost/foreign:1"], "{name}");
            assert_eq!((image.config.labels.contains(&"k=v".to_owned()), image.layers.len()), (true, 2));
            if is_oci {
                assert_eq!(image.id.as_str(), id, "{name}");
                let theirs = skopeos_digest(&format!("oci-archive:{name}"), directory);
                assert_eq!(image.manifest.as_str(), theirs, "{name}");
            }
            is_whole(&store).await;
        }
    });
}

#[test]
fn archives_that_are_compressed_as_a_whole_are_loaded() {
    let service = Service::start();
    let directory = service.scratch();
    podmans_image(directory);
    podman(&["save", "-q", "--format", "oci-archive", "-o", "plain.tar", "localhost/foreign:1"], directory);
    for (program, ending) in [("gzip", "gz"), ("xz", "xz"), ("zstd", "zst"), ("bzip2", "bz2")] {
        run(program, &["-k", "plain.tar"], directory);
        block_on(async {
            let content = fs::read(directory.join(format!("plain.tar.{ending}"))).unwrap();
            assert_eq!(load(&service.client(), &content).await.unwrap().len(), 1, "{program}");
        });
    }
}

#[test]
fn a_layout_of_umoci_is_loaded_with_its_digest() {
    let service = Service::start();
    let directory = service.scratch();
    fs::create_dir_all(directory.join("bundle-root/bin")).unwrap();
    fs::copy("/bin/busybox", directory.join("bundle-root/bin/busybox")).unwrap();
    run("umoci", &["init", "--layout", "layout"], directory);
    run("umoci", &["new", "--image", "layout:tool"], directory);
    run("umoci", &["insert", "--image", "layout:tool", "bundle-root/bin", "/bin"], directory);
    run("umoci", &["config", "--image", "layout:tool", "--config.cmd", "/bin/busybox"], directory);
    run("tar", &["-C", "layout", "-cf", "layout.tar", "."], directory);
    block_on(async {
        let store = service.client();
        let loaded = load(&store, &fs::read(directory.join("layout.tar")).unwrap()).await.unwrap();
        assert_eq!(loaded[0].references, ["tool:latest"]);
        assert_eq!(loaded[0].manifest.as_str(), skopeos_digest("oci:layout:tool", directory));
        assert_eq!(loaded[0].config.command, ["/bin/busybox"]);
        is_whole(&store).await;
    });
}

async fn ours(service: &Service) -> Image {
    let store = service.client();
    let base = import(&store, "base", &rootfs()).await;
    send(&store, "layer", &tar(&[("file", b"second layer")])).await;
    store.commit_upload(&call(), "layer", &commit(&base, "u/ours:1")).await.unwrap()
}

#[test]
fn ours_are_read_by_podman_and_skopeo() {
    let service = Service::start();
    let directory = service.scratch();
    let image = block_on(async {
        let image = ours(&service).await;
        fs::write(directory.join("ours.tar"), save(&service.client(), &["u/ours:1"]).await).unwrap();
        image
    });
    assert_eq!(skopeos_digest("oci-archive:ours.tar:1", directory), image.manifest.as_str());
    run("skopeo", &["copy", "-q", "docker-archive:ours.tar", "dir:copied"], directory);
    assert_eq!(id_in(&run("skopeo", &["inspect", "--raw", "dir:copied"], directory)), image.id.as_str());
    let loaded = podman(&["load", "-q", "-i", "ours.tar"], directory);
    assert!(loaded.contains("u/ours:1"), "{loaded}");
    let id = podman(&["images", "-q", "--no-trunc", "u/ours:1"], directory);
    assert_eq!(id, image.id.as_str());
    let inspected = podman(&["image", "inspect", "--format", "{{.Config.Cmd}} {{.Author}}", "u/ours:1"], directory);
    assert_eq!(inspected, "[run] an author");
}

#[test]
fn an_image_of_docker_media_types_stays_one() {
    let service = Service::start();
    let directory = service.scratch();
    let image = block_on(async {
        ours(&service).await;
        fs::write(directory.join("ours.tar"), save(&service.client(), &["u/ours:1"]).await).unwrap();
        let copy = ["copy", "-q", "--format", "v2s2", "oci-archive:ours.tar:1", "dir:v2s2"];
        run("skopeo", &copy, directory);
        let manifest = fs::read(directory.join("v2s2/manifest.json")).unwrap();
        let archive = layout_of(&directory.join("v2s2"), &manifest);
        let store = service.client();
        let loaded = load(&store, &archive).await.unwrap();
        let described = store.describe(&call(), loaded[0].id.as_str()).await.unwrap();
        assert_eq!(described.manifest, manifest);
        assert_eq!(described.media_type, "application/vnd.docker.distribution.manifest.v2+json");
        send(&store, "more", &tar(&[("more", b"x")])).await;
        let made = store.commit_upload(&call(), "more", &commit(&loaded[0], "docker")).await.unwrap();
        assert_eq!(made.layers[2].media_type, "application/vnd.docker.image.rootfs.diff.tar.gzip");
        fs::write(directory.join("docker.tar"), save(&store, &["docker"]).await).unwrap();
        is_whole(&store).await;
        made
    });
    podman(&["load", "-q", "-i", "docker.tar"], directory);
    assert_eq!(podman(&["images", "-q", "--no-trunc", "docker"], directory), image.id.as_str());
}

/// An OCI layout of a directory that skopeo made.
fn layout_of(directory: &Path, manifest: &[u8]) -> Vec<u8> {
    let parsed: Value = serde_json::from_slice(manifest).unwrap();
    let digest = crate::hostile::digest(manifest);
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [
        { "mediaType": parsed["mediaType"], "digest": digest, "size": manifest.len() }] });
    let (index, layout) = (index.to_string(), r#"{"imageLayoutVersion":"1.0.0"}"#);
    let mut files = vec![
        ("oci-layout".to_owned(), layout.as_bytes().to_vec()),
        ("index.json".to_owned(), index.into_bytes()),
        (format!("blobs/sha256/{}", &digest[7..]), manifest.to_vec()),
    ];
    for entry in fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.len() == 64 {
            files.push((format!("blobs/sha256/{name}"), fs::read(directory.join(name)).unwrap()));
        }
    }
    tar(&files.iter().map(|(name, content)| (&name[..], &content[..])).collect::<Vec<_>>())
}

#[test]
fn a_damaged_archive_of_ours_is_refused_and_leaves_nothing() {
    let (from, to) = (Service::start(), Service::start());
    block_on(async {
        image(&from.client(), "one").await;
        let mut archive = save(&from.client(), &["one"]).await;
        let at = archive.windows(3).rposition(|bytes| bytes == b"one").unwrap();
        archive[at] ^= 1;
        let store = to.client();
        let failure = load(&store, &archive).await.unwrap_err();
        assert!(failure.message.contains("digest"), "{failure}");
        assert_eq!(store.list(&call()).await.unwrap(), []);
        assert!(to.files("blobs/sha256").is_empty());
    });
}
