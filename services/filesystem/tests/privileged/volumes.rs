//! Directories and files of the host in a container.

use crate::archive::Archive;
use crate::engine::run;
use crate::sandbox::Sandbox;
use schema::Code;
use schema::common::Volume;
use std::fs;
use std::path::Path;

fn volume(source: &Path, target: &str, read_only: bool) -> Volume {
    Volume { source: source.to_str().unwrap().to_owned(), target: target.to_owned(), read_only, idmap: false }
}

fn is_read_only(path: &Path) -> bool {
    fs::write(path, "x").is_err_and(|error| error.kind() == std::io::ErrorKind::ReadOnlyFilesystem)
}

#[test]
fn volumes_are_mounted_with_their_mode() {
    run(async |engine| {
        let host = tempfile::tempdir().unwrap();
        fs::write(host.path().join("there"), "host").unwrap();
        let file = host.path().join("there");
        let layers = [engine.layer(Archive::new().file("exists/below", "x")).await];
        let sandbox = Sandbox::new();
        let missing = host.path().join("made/by/mount");
        let volumes = [
            volume(host.path(), "/exists", false),
            volume(host.path(), "/read/only", true),
            volume(&file, "/a/file", false),
            volume(&missing, "/made", false),
            volume(host.path(), "/exists/made/nested", false),
        ];
        engine.mount(1, &sandbox, &layers, &volumes).await.unwrap();
        assert_eq!(sandbox.read("exists/there"), "host");
        assert!(!sandbox.path("exists/below").exists());
        fs::write(sandbox.path("exists/new"), "from the container").unwrap();
        assert_eq!(fs::read_to_string(host.path().join("new")).unwrap(), "from the container");
        assert!(is_read_only(&sandbox.path("read/only/new")));
        assert_eq!(sandbox.read("read/only/new"), "from the container");
        assert_eq!(sandbox.read("a/file"), "host");
        assert!(missing.is_dir());
        assert_eq!(sandbox.read("exists/made/nested/there"), "host");
        for (point, options) in sandbox.mounts().into_iter().skip(1) {
            assert!(options.contains("nodev"), "{point} {options}");
        }
    });
}

#[test]
fn a_link_in_the_image_does_not_lead_a_volume_to_the_host() {
    run(async |engine| {
        let (host, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let there = outside.path().to_str().unwrap();
        fs::write(host.path().join("x"), "volume").unwrap();
        let image = Archive::new().symlink("link", there).symlink("up", "../../../..");
        let layers = [engine.layer(image).await];
        let sandbox = Sandbox::new();
        let volumes = [volume(host.path(), "/link/data", false), volume(host.path(), "/up/../top", false)];
        engine.mount(1, &sandbox, &layers, &volumes).await.unwrap();
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        assert_eq!(sandbox.read(&format!("{there}/data/x")), "volume");
        assert_eq!(sandbox.read("top/x"), "volume");
    });
}

#[test]
fn mount_points_that_cannot_be_are_named() {
    run(async |engine| {
        let host = tempfile::tempdir().unwrap();
        let file = host.path().join("file");
        fs::write(&file, "").unwrap();
        let layers = [engine.layer(Archive::new().file("file", "").directory("dir").symlink("root", "/")).await];
        let sandbox = Sandbox::new();
        for bad in [
            volume(host.path(), "/file", false),
            volume(host.path(), "/file/x", false),
            volume(&file, "/dir", false),
            volume(host.path(), "/", false),
            volume(host.path(), "/root", false),
            volume(host.path(), "/..", false),
        ] {
            let failure = engine.mount(1, &sandbox, &layers, std::slice::from_ref(&bad)).await.unwrap_err();
            assert_eq!(failure.code, Code::InvalidArgument, "{bad:?}: {failure}");
            assert!(failure.message.contains(&bad.target), "{failure}");
        }
        assert_eq!(sandbox.points(), ["/"]);
    });
}

#[test]
fn what_the_user_mounts_in_etc_wins_and_stays_clean() {
    run(async |engine| {
        let host = tempfile::tempdir().unwrap();
        let hosts = host.path().join("my-hosts");
        fs::write(&hosts, "mine").unwrap();
        let layers = [engine.layer(Archive::new().directory("etc")).await];
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[volume(&hosts, "/etc/hosts", true)]).await.unwrap();
        assert_eq!(sandbox.read("etc/hosts"), "mine");
        assert_eq!(sandbox.read("etc/hostname"), "");
        let etc = tempfile::tempdir().unwrap();
        fs::write(etc.path().join("hostname"), "mine").unwrap();
        let other = Sandbox::new();
        engine.mount(2, &other, &layers, &[volume(etc.path(), "/etc", false)]).await.unwrap();
        assert_eq!(other.read("etc/hostname"), "");
        assert_eq!(fs::read_to_string(etc.path().join("hostname")).unwrap(), "mine");
        assert_eq!(fs::read_dir(etc.path()).unwrap().count(), 1);
    });
}

#[test]
fn what_is_mounted_later_shows_on_neither_side() {
    run(async |engine| {
        let host = tempfile::tempdir().unwrap();
        let layers = [engine.layer(Archive::new().directory("data")).await];
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[volume(host.path(), "/data", false)]).await.unwrap();
        let pid = sandbox.reference.pid;
        let info = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
        for line in info.lines() {
            let optional = line.split(" - ").next().unwrap();
            assert!(!optional.contains("shared:") && !optional.contains("master:"), "{line}");
        }
    });
}
