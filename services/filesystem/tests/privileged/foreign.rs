//! Archives that other programs make, and other programs on archives that we make.

use crate::archive::{layer, unpacker};
use crate::changes::make_everything;
use crate::copying::Files;
use crate::engine::{call, run};
use crate::sandbox::Sandbox;
use crate::tools::{assert_same, tree};
use schema::filesystem::{ChangeKind, FileKind};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

/// Runs a program, which must succeed, and gives what it prints.
fn output(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| unreachable!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    output.stdout
}

/// What the oldest formats can hold too.
fn make_simple(at: &Path) {
    fs::create_dir_all(at.join("tree/sub")).unwrap();
    fs::write(at.join("tree/plain"), "content").unwrap();
    fs::hard_link(at.join("tree/plain"), at.join("tree/sub/linked")).unwrap();
    symlink("../../absolute", at.join("tree/link")).unwrap();
    fs::write(at.join("tree/setuid"), "x").unwrap();
    chown(at.join("tree/setuid"), Some(1000), Some(1001)).unwrap();
    fs::set_permissions(at.join("tree/setuid"), fs::Permissions::from_mode(0o6711)).unwrap();
    fs::set_permissions(at.join("tree/sub"), fs::Permissions::from_mode(0o1770)).unwrap();
}

/// Gives everything a time without a part of a second: some programs round it, others cut it.
fn settle(root: &Path) {
    output("find", &[root.to_str().unwrap(), "-exec", "touch", "-h", "-d", "@1000000000", "{}", "+"]);
}

/// Without the parts of seconds, which most formats cannot hold.
fn whole_seconds(facts: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let cut = |fact: String| {
        let mut words: Vec<String> = fact.split(' ').map(str::to_owned).collect();
        let point = words[2].find('.').unwrap();
        words[2].truncate(point);
        words.join(" ")
    };
    facts.into_iter().map(|(path, fact)| (path, cut(fact))).collect()
}

fn unpacked(archive: &[u8]) -> tempfile::TempDir {
    let (target, blob) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    fs::write(blob.path(), archive).unwrap();
    unpacker().unpack(&layer(archive), blob.path(), target.path()).unwrap();
    target
}

fn made(make: fn(&Path)) -> tempfile::TempDir {
    let source = tempfile::tempdir().unwrap();
    make(source.path());
    // No archive has it.
    let _none = fs::remove_dir_all(source.path().join("sockets"));
    source
}

#[test]
fn every_format_of_gnu_tar_is_read() {
    for (format, make) in [
        ("v7", make_simple as fn(&Path)),
        ("oldgnu", make_simple),
        ("ustar", make_simple),
        ("gnu", make_simple),
        ("posix", make_everything),
    ] {
        let source = made(make);
        let path = source.path().to_str().unwrap();
        let attributes: &[&str] = if format == "posix" { &["--xattrs", "--xattrs-include=*"] } else { &[] };
        let arguments = [attributes, &["--create", "--format", format, "--numeric-owner", "-C", path, "."]].concat();
        let target = unpacked(&output("tar", &arguments));
        if format == "posix" {
            assert_same(&tree(target.path()), &tree(source.path()));
        } else {
            assert_same(&whole_seconds(tree(target.path())), &whole_seconds(tree(source.path())));
        }
    }
}

#[test]
fn sparse_files_of_gnu_tar_keep_their_holes() {
    use std::os::unix::fs::{FileExt, MetadataExt};
    let source = tempfile::tempdir().unwrap();
    let file = fs::File::create(source.path().join("sparse")).unwrap();
    for number in 0..40 {
        file.write_all_at(b"data", number << 20).unwrap();
    }
    let path = source.path().to_str().unwrap();
    let target = unpacked(&output("tar", &["--create", "--format=gnu", "--sparse", "-C", path, "."]));
    let found = target.path().join("sparse");
    assert_eq!(fs::read(&found).unwrap(), fs::read(source.path().join("sparse")).unwrap());
    assert!(fs::metadata(&found).unwrap().blocks() * 512 < 4 << 20);
}

#[test]
fn archives_of_busybox_and_python_are_read() {
    let source = made(make_simple);
    let path = source.path().to_str().unwrap();
    let target = unpacked(&output("busybox", &["tar", "-c", "-C", path, "."]));
    assert_same(&whole_seconds(tree(target.path())), &whole_seconds(tree(source.path())));
    for (format, make) in
        [("USTAR_FORMAT", make_simple as fn(&Path)), ("GNU_FORMAT", make_simple), ("PAX_FORMAT", make_simple)]
    {
        let source = made(make);
        let script = format!(
            "import sys, tarfile\nwith tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile.{format}) as t:\n    t.add(sys.argv[1], '.')"
        );
        let target = unpacked(&output("python3", &["-c", &script, source.path().to_str().unwrap()]));
        assert_same(&whole_seconds(tree(target.path())), &whole_seconds(tree(source.path())));
    }
}

/// What an image of another engine consists of.
fn layers_of(layout: &Path) -> Vec<Vec<u8>> {
    let read = |digest: &str| fs::read(layout.join("blobs").join(digest.replace(':', "/"))).unwrap();
    let digests = |json: &[u8], key: &str| -> Vec<String> {
        let text = String::from_utf8(json.to_vec()).unwrap();
        let behind = text.split_once(key).unwrap().1;
        let digest = |part: &str| part.split('"').next().unwrap().to_owned();
        behind.split("\"digest\":\"").skip(1).map(digest).collect()
    };
    let compact =
        |bytes: Vec<u8>| -> Vec<u8> { bytes.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect() };
    let index = compact(fs::read(layout.join("index.json")).unwrap());
    let manifest = compact(read(&digests(&index, "\"manifests\"")[0]));
    digests(&manifest, "\"layers\"").iter().map(|digest| read(digest)).collect()
}

#[test]
fn layers_of_umoci_mean_what_they_meant() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (layout, bundle) = (path("layout"), path("bundle"));
    let image = format!("{layout}:latest");
    output("umoci", &["init", "--layout", &layout]);
    output("umoci", &["new", "--image", &image]);
    output("umoci", &["unpack", "--image", &image, &bundle]);
    let rootfs = Path::new(&bundle).join("rootfs");
    make_simple(&rootfs);
    settle(&rootfs);
    output("umoci", &["repack", "--refresh-bundle", "--image", &image, &bundle]);
    fs::remove_file(rootfs.join("tree/setuid")).unwrap();
    fs::remove_dir_all(rootfs.join("tree/sub")).unwrap();
    fs::write(rootfs.join("tree/new"), "new").unwrap();
    settle(&rootfs);
    output("umoci", &["repack", "--refresh-bundle", "--image", &image, &bundle]);
    run(async |engine| {
        let mut layers = Vec::new();
        for blob in layers_of(Path::new(&layout)) {
            layers.push(engine.layer_of(&blob).await);
        }
        assert_eq!(layers.len(), 2);
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        let there = |root: &Path| {
            let mut facts = whole_seconds(tree(root));
            facts.retain(|path, _| path.starts_with("tree"));
            facts
        };
        assert_same(&there(&sandbox.path("")), &there(&rootfs));
    });
}

#[test]
fn layers_of_podman_mean_what_they_meant() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (root, run_root) = (path("root"), path("run"));
    let podman = |arguments: &[&str]| {
        // It mounts its storage on itself, which is not to show on the host.
        let own =
            ["--mount", "podman", "--root", root.as_str(), "--runroot", run_root.as_str(), "--storage-driver", "vfs"];
        String::from_utf8(output("unshare", &[&own[..], arguments].concat())).unwrap().trim().to_owned()
    };
    let source = made(make_simple);
    fs::write(path("base.tar"), output("tar", &["--create", "-C", source.path().to_str().unwrap(), "."])).unwrap();
    podman(&["import", &path("base.tar"), "localhost/base"]);
    let container = podman(&["create", "localhost/base", "/none"]);
    let rootfs = podman(&["mount", &container]);
    let rootfs = Path::new(&rootfs);
    fs::remove_file(rootfs.join("tree/setuid")).unwrap();
    fs::remove_dir_all(rootfs.join("tree/sub")).unwrap();
    fs::write(rootfs.join("tree/new"), "new").unwrap();
    settle(rootfs);
    podman(&["commit", "--quiet", &container, "localhost/top"]);
    podman(&["save", "--quiet", "--format", "oci-dir", "--output", &path("layout"), "localhost/top"]);
    run(async |engine| {
        let mut layers = Vec::new();
        for blob in layers_of(Path::new(&path("layout"))) {
            layers.push(engine.layer_of(&blob).await);
        }
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        let there = |root: &Path| {
            let mut facts = whole_seconds(tree(root));
            facts.retain(|path, _| path.starts_with("tree"));
            facts
        };
        assert_same(&there(&sandbox.path("")), &there(rootfs));
    });
    podman(&["umount", &container]);
    podman(&["rm", "--force", &container]);
}

#[test]
fn other_programs_read_what_we_export_and_commit() {
    run(async |engine| {
        let layers = vec![engine.layer(crate::archive::Archive::new().file("image", "x")).await];
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        make_everything(&sandbox.path(""));
        let expected = tree(&sandbox.path("tree"));
        let committed = engine.commit(1, &layers, Some(&sandbox)).await.unwrap();
        let files = Files { engine, layers, sandbox: Some(sandbox) };
        let exported = files.archive("/", true, 0, 1).await.unwrap();
        for archive in [committed, exported] {
            let (target, file) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
            fs::write(file.path(), &archive).unwrap();
            let (from, to) = (file.path().to_str().unwrap(), target.path().to_str().unwrap());
            let arguments = ["--extract", "--numeric-owner", "--same-owner", "--preserve-permissions", "--xattrs"];
            output("tar", &[&arguments[..], &["--xattrs-include=*", "-C", to, "-f", from]].concat());
            assert_same(&tree(&target.path().join("tree")), &expected);
            let names = output("python3", &["-m", "tarfile", "--list", from]);
            assert!(String::from_utf8_lossy(&names).contains("tree/sub/linked"));
        }
    });
}

#[test]
fn an_archive_for_a_container_may_have_any_compression() {
    run(async |engine| {
        let layers = vec![engine.layer(crate::archive::Archive::new().directory("data")).await];
        let files = Files { engine, layers: layers.clone(), sandbox: None };
        let plain = crate::archive::Archive::new().file("x", "x").bytes();
        for program in ["cat", "gzip", "bzip2", "xz", "zstd"] {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), &plain).unwrap();
            let packed = match program {
                "cat" => plain.clone(),
                "zstd" => zstd::encode_all(&plain[..], 3).unwrap(),
                _ => output(program, &["-c", file.path().to_str().unwrap()]),
            };
            let (id, place) = (crate::engine::id(1), engine.place(1, &layers, None));
            engine.filesystem.release(&call(), &id).await.unwrap();
            files.extract("/data", &packed, false).await.unwrap();
            let stat = engine.filesystem.stat(&call(), &place, "/data/x").await.unwrap();
            assert_eq!((stat.kind, stat.size), (FileKind::File, 1), "{program}");
            let changes = engine.filesystem.changes(&call(), &place, b"", 0).await.unwrap().changes;
            let shown: Vec<_> = changes.iter().map(|change| (change.path.as_slice(), change.kind)).collect();
            assert_eq!(shown, [(&b"/data"[..], ChangeKind::Modified), (b"/data/x", ChangeKind::Added)]);
        }
    });
}
