//! Root filesystems in sandboxes.

use crate::archive::Archive;
use crate::engine::{call, id, run};
use crate::sandbox::Sandbox;
use schema::Code;
use schema::common::SandboxRef;
use schema::filesystem::{HostEntry, MountSpec, Names};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use tar::EntryType;

#[test]
fn layers_become_a_root_that_only_the_sandbox_has() {
    run(async |engine| {
        let base = Archive::new().directory("./").file("both", "base").file("gone", "base").file("kept", "base");
        let top = Archive::new()
            .add(EntryType::Directory, "./", b"", |header| header.set_mode(0o751))
            .file("both", "top")
            .file(".wh.gone", "");
        let layers = [engine.layer(base).await, engine.layer(top).await];
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        assert_eq!(sandbox.read("both"), "top");
        assert_eq!(sandbox.read("kept"), "base");
        assert!(!sandbox.path("gone").exists());
        assert_eq!(fs::metadata(sandbox.path("")).unwrap().mode() & 0o7777, 0o751);
        assert!(!sandbox.path("../rootfs.unfinished").exists());
        let mounts = sandbox.mounts();
        let (_, options) = mounts.iter().find(|(point, _)| point == "/rootfs").unwrap();
        assert!(options.split(',').any(|option| option == "nodev"), "{options}");
    });
}

#[test]
fn many_layers_are_mounted_in_order() {
    run(async |engine| {
        let mut layers = Vec::new();
        for number in 0..64 {
            let archive = Archive::new().file("top", &number.to_string()).file(&format!("of{number}"), "x");
            layers.push(engine.layer(archive).await);
        }
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        assert_eq!(sandbox.read("top"), "63");
        assert!((0..64).all(|number| sandbox.path(&format!("of{number}")).exists()));
    });
}

#[test]
fn a_second_mount_changes_nothing() {
    run(async |engine| {
        let layers = [engine.layer(Archive::new().file("a", "1")).await];
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        fs::write(sandbox.path("new"), "x").unwrap();
        let before = sandbox.mounts();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        assert_eq!(sandbox.mounts(), before);
        assert_eq!(sandbox.read("new"), "x");
    });
}

#[test]
fn many_mounts_of_one_layer_share_its_unpacking() {
    run(async |engine| {
        let layers = [engine.layer(Archive::new().file("a", "1")).await];
        let sandboxes: Vec<Sandbox> = (0..8).map(|_| Sandbox::new()).collect();
        let mounts = (0..).zip(&sandboxes).map(|(number, sandbox)| engine.mount(number, sandbox, &layers, &[]));
        for result in futures::future::join_all(mounts).await {
            result.unwrap();
        }
        for sandbox in &sandboxes {
            assert_eq!(sandbox.read("a"), "1");
        }
        assert_eq!(fs::read_dir(engine.state("layers")).unwrap().count(), 1);
    });
}

#[test]
fn what_a_container_wrote_survives_its_sandbox_until_it_is_released() {
    run(async |engine| {
        let layers = [engine.layer(Archive::new().directory("d").file("d/a", "1")).await];
        let first = Sandbox::new();
        engine.mount(1, &first, &layers, &[]).await.unwrap();
        fs::write(first.path("d/new"), "x").unwrap();
        fs::remove_file(first.path("d/a")).unwrap();
        fs::set_permissions(first.path("d"), fs::Permissions::from_mode(0o0)).unwrap();
        let other = Sandbox::new();
        let busy = engine.mount(1, &other, &layers, &[]).await.unwrap_err();
        assert_eq!(busy.code, Code::Conflict, "{busy}");
        drop(first);
        engine.mount(1, &other, &layers, &[]).await.unwrap();
        assert_eq!(other.read("d/new"), "x");
        assert!(!other.path("d/a").exists());
        drop(other);
        engine.filesystem.release(&call(), &id(1)).await.unwrap();
        engine.filesystem.release(&call(), &id(1)).await.unwrap();
        for empty in ["containers", "trash"] {
            assert_eq!(fs::read_dir(engine.state(empty)).unwrap().count(), 0, "{empty}");
        }
    });
}

#[test]
fn reconciling_leaves_the_living() {
    run(async |engine| {
        let layers = [engine.layer(Archive::new().file("a", "1")).await];
        let sandboxes = [Sandbox::new(), Sandbox::new(), Sandbox::new()];
        for (number, sandbox) in (0..).zip(&sandboxes) {
            engine.mount(number, sandbox, &layers, &[]).await.unwrap();
        }
        engine.filesystem.reconcile(&call(), &[id(1), id(7)]).await.unwrap();
        let left: Vec<_> =
            fs::read_dir(engine.state("containers")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [id(1).as_str()]);
        assert_eq!(sandboxes[1].read("a"), "1");
    });
}

#[test]
fn names_are_files_of_ours_over_those_of_the_image() {
    run(async |engine| {
        let image = Archive::new().file("etc/hosts", "the image's").file("etc/other", "x");
        let layers = [engine.layer(image).await];
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        let names = |hostname: &str| Names {
            hostname: hostname.to_owned(),
            hosts: vec![HostEntry { address: "10.1.2.3".to_owned(), hostname: hostname.to_owned() }],
            nameservers: vec![],
            search: vec![],
        };
        engine.filesystem.set_names(&call(), &id(1), &names("web-with-a-long-name")).await.unwrap();
        engine.filesystem.set_names(&call(), &id(1), &names("web")).await.unwrap();
        assert_eq!(sandbox.read("etc/hostname"), "web\n");
        assert!(sandbox.read("etc/hosts").ends_with("10.1.2.3\tweb\n"));
        assert!(sandbox.path("etc/resolv.conf").exists());
        let hosts = engine.state(&format!("containers/{}/upper/etc/hosts", id(1)));
        assert!(!hosts.exists(), "the writable layer has our file");
        let unknown = engine.filesystem.set_names(&call(), &id(9), &names("web")).await.unwrap_err();
        assert_eq!(unknown.code, Code::NotFound);
    });
}

#[test]
fn links_in_etc_never_reach_the_host() {
    let outside = tempfile::tempdir().unwrap();
    let there = outside.path().to_str().unwrap().to_owned();
    run(async |engine| {
        let image = Archive::new().symlink("etc", &there);
        let dangling = Archive::new().directory("etc").symlink("etc/resolv.conf", "../run/stub.conf");
        for (number, archive) in [(1, image), (2, dangling)] {
            let layers = [engine.layer(archive).await];
            let sandbox = Sandbox::new();
            engine.mount(number, &sandbox, &layers, &[]).await.unwrap();
            let names = Names { hostname: "web".to_owned(), hosts: vec![], nameservers: vec![], search: vec![] };
            engine.filesystem.set_names(&call(), &id(number), &names).await.unwrap();
            let hostname = if number == 1 { format!("{there}/hostname") } else { "etc/hostname".to_owned() };
            assert_eq!(sandbox.read(&hostname), "web\n");
            assert_eq!(sandbox.path("run/stub.conf").exists(), number == 2);
        }
    });
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn an_unfinished_attempt_is_cleared() {
    run(async |engine| {
        let layers = [engine.layer(Archive::new().file("a", "1").file("file", "x")).await];
        let sandbox = Sandbox::new();
        let volume = schema::common::Volume {
            source: "/tmp".to_owned(),
            target: "/file".to_owned(),
            read_only: false,
            idmap: false,
        };
        let failure = engine.mount(1, &sandbox, &layers, &[volume]).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument, "{failure}");
        assert_eq!(sandbox.points(), ["/"]);
        fs::create_dir(sandbox.path("../rootfs.unfinished")).unwrap();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        assert_eq!(sandbox.read("a"), "1");
        assert!(!sandbox.path("../rootfs.unfinished").exists());
    });
}

#[test]
fn only_the_sandbox_that_was_meant_is_entered() {
    run(async |engine| {
        let layers = vec![engine.layer(Archive::new().file("a", "1")).await];
        let spec = MountSpec { layers, volumes: vec![], read_only: false, tmpfs: vec![], ids: None };
        let mount = async |reference: SandboxRef| engine.filesystem.mount(&call(), &id(1), &reference, &spec).await;
        let sandbox = Sandbox::new();
        let SandboxRef { pid, start_time } = sandbox.reference;
        let reused = mount(SandboxRef { pid, start_time: start_time + 1 }).await.unwrap_err();
        assert_eq!(reused.code, Code::NotFound, "{reused}");
        let ours = i32::try_from(std::process::id()).unwrap();
        let host = SandboxRef { pid: ours, start_time: kit::process::start_time(ours).unwrap() };
        assert_eq!(mount(host).await.unwrap_err().code, Code::InvalidArgument);
        drop(sandbox);
        assert_eq!(mount(SandboxRef { pid, start_time }).await.unwrap_err().code, Code::NotFound);
        assert_eq!(fs::read_dir(engine.state("containers")).unwrap().count(), 0);
    });
}

#[test]
fn a_missing_or_damaged_blob_is_named() {
    run(async |engine| {
        let layer = engine.layer(Archive::new().file("a", "1")).await;
        let sandbox = Sandbox::new();
        let mut missing = layer.clone();
        missing.digest = crate::archive::digest(b"missing");
        missing.diff_id = missing.digest.clone();
        assert_eq!(engine.mount(1, &sandbox, &[missing], &[]).await.unwrap_err().code, Code::NotFound);
        let mut wrong = layer.clone();
        wrong.diff_id = crate::archive::digest(b"wrong");
        for _ in 0..2 {
            let failure = engine.mount(1, &sandbox, std::slice::from_ref(&wrong), &[]).await.unwrap_err();
            assert_eq!(failure.code, Code::Corrupt);
        }
        assert_eq!(fs::read_dir(engine.state("layers")).unwrap().count(), 0);
        engine.mount(1, &sandbox, &[layer], &[]).await.unwrap();
    });
}
