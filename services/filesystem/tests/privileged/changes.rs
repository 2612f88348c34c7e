//! What a container has changed, what it takes, and its layer.

use crate::archive::Archive;
use crate::engine::{Engine, call, run};
use crate::sandbox::Sandbox;
use crate::tools::{assert_same, members, tree};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, mknodat, setxattr};
use schema::Code;
use schema::common::Layer;
use schema::filesystem::ChangeKind;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

async fn changes(engine: &Engine, number: u8, layers: &[Layer], sandbox: Option<&Sandbox>) -> Vec<String> {
    let place = engine.place(number, layers, sandbox);
    let list = engine.filesystem.changes(&call(), &place, b"", 0).await.unwrap();
    assert!(!list.more);
    list.changes.iter().map(show).collect()
}

fn show(change: &schema::filesystem::Change) -> String {
    let kind = match change.kind {
        ChangeKind::Added => 'A',
        ChangeKind::Modified => 'C',
        ChangeKind::Deleted => 'D',
    };
    format!("{kind} {}", change.path.escape_ascii())
}

fn image() -> Archive {
    Archive::new()
        .directory("./")
        .directory("etc")
        .file("etc/passwd", "root")
        .file("etc/hosts", "image")
        .directory("dir")
        .file("dir/hello", "x")
        .file("dir/www", "x")
        .directory("dir/deep")
        .file("dir/deep/file", "x")
        .directory("gone")
        .file("gone/below", "x")
        .directory("again")
        .file("again/old", "x")
        .file("again/same", "x")
        .directory("mode")
        .directory("quiet")
        .file("quiet/changed", "x")
        .file("becomes-dir", "x")
        .directory("becomes-file")
        .file("becomes-file/x", "x")
}

fn change(sandbox: &Sandbox) {
    let path = |name: &str| sandbox.path(name);
    fs::write(path("new"), "new").unwrap();
    fs::create_dir_all(path("added/deep/er")).unwrap();
    fs::remove_file(path("dir/hello")).unwrap();
    fs::remove_file(path("dir/www")).unwrap();
    fs::remove_dir_all(path("gone")).unwrap();
    fs::remove_dir_all(path("again")).unwrap();
    fs::create_dir(path("again")).unwrap();
    fs::write(path("again/same"), "other").unwrap();
    fs::write(path("again/young"), "x").unwrap();
    fs::set_permissions(path("mode"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(path("quiet/changed"), "changed").unwrap();
    fs::remove_file(path("becomes-dir")).unwrap();
    fs::create_dir(path("becomes-dir")).unwrap();
    fs::write(path("becomes-dir/x"), "x").unwrap();
    fs::remove_dir_all(path("becomes-file")).unwrap();
    fs::write(path("becomes-file"), "x").unwrap();
    fs::write(path("came-and-went"), "x").unwrap();
    fs::remove_file(path("came-and-went")).unwrap();
}

const CHANGED: [&str; 20] = [
    "A /added",
    "A /added/deep",
    "A /added/deep/er",
    "C /again",
    "D /again/old",
    "C /again/same",
    "A /again/young",
    "C /becomes-dir",
    "A /becomes-dir/x",
    "C /becomes-file",
    "C /dir",
    "D /dir/hello",
    "D /dir/www",
    "D /gone",
    "C /mode",
    "A /new",
    // Not /quiet: it is the same, only something in it is other.
    "C /quiet/changed",
    // Not /etc/hostname and the like: they are only where our own files are mounted.
    "A /zz",
    "A /zz/odd\\xff\\n",
    "A /zz/user",
];

fn last_changes(sandbox: &Sandbox) {
    use std::os::unix::ffi::OsStrExt;
    fs::create_dir(sandbox.path("zz")).unwrap();
    fs::write(sandbox.path("zz").join(std::ffi::OsStr::from_bytes(b"odd\xff\n")), "x").unwrap();
    symlink("nowhere", sandbox.path("zz/user")).unwrap();
}

#[test]
fn changes_name_what_is_new_other_and_gone() {
    run(async |engine| {
        let layers = [engine.layer(image()).await];
        assert_eq!(changes(engine, 1, &layers, None).await, [""; 0]);
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        assert_eq!(changes(engine, 1, &layers, Some(&sandbox)).await, [""; 0]);
        change(&sandbox);
        last_changes(&sandbox);
        assert_eq!(changes(engine, 1, &layers, Some(&sandbox)).await, CHANGED);
        drop(sandbox);
        assert_eq!(changes(engine, 1, &layers, None).await, CHANGED);
    });
}

#[test]
fn changes_come_in_pages_of_any_size() {
    run(async |engine| {
        let layers = [engine.layer(image()).await];
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        change(&sandbox);
        last_changes(&sandbox);
        let place = engine.place(1, &layers, Some(&sandbox));
        for most in [1, 3, 20] {
            let (mut all, mut after) = (Vec::new(), Vec::new());
            loop {
                let page = engine.filesystem.changes(&call(), &place, &after, most).await.unwrap();
                assert!(page.changes.len() <= most as usize);
                all.extend(page.changes.iter().map(show));
                if !page.more {
                    break;
                }
                after.clone_from(&page.changes.last().unwrap().path);
            }
            assert_eq!(all, CHANGED, "{most}");
        }
    });
}

#[test]
fn an_image_without_etc_shows_no_mount_points_as_changes() {
    run(async |engine| {
        let layers = [engine.layer(Archive::new().file("x", "x")).await];
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        for directory in ["proc", "sys", "dev"] {
            fs::create_dir(sandbox.path(directory)).unwrap();
        }
        assert_eq!(changes(engine, 1, &layers, Some(&sandbox)).await, [""; 0]);
        let committed = engine.commit(1, &layers, Some(&sandbox)).await.unwrap();
        assert_eq!(members(&committed), ["./"]);
        fs::write(sandbox.path("etc/mine"), "").unwrap();
        assert_eq!(changes(engine, 1, &layers, Some(&sandbox)).await, ["A /etc", "A /etc/mine"]);
    });
}

#[test]
fn a_mount_point_that_was_being_made_when_the_service_was_killed_is_no_change() {
    run(async |engine| {
        let layers = [engine.layer(Archive::new().directory("etc").file("etc/passwd", "root")).await];
        let mut sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        assert_eq!(changes(engine, 1, &layers, Some(&sandbox)).await, [""; 0]);
        drop(sandbox);
        // As it is when that is done but for the last step.
        let etc = engine.state(&format!("containers/{}/upper/etc", crate::engine::id(1)));
        let time = fs::metadata(&etc).unwrap();
        let kept = format!("{}.{}", time.mtime(), time.mtime_nsec());
        setxattr(&etc, "trusted.cctl.mtime", kept.as_bytes(), XattrFlags::empty()).unwrap();
        fs::remove_file(etc.join("hosts")).unwrap();
        assert_eq!(changes(engine, 1, &layers, None).await, ["C /etc"]);
        sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        assert_eq!(changes(engine, 1, &layers, Some(&sandbox)).await, [""; 0]);
        let now = fs::metadata(&etc).unwrap();
        assert_eq!((now.mtime(), now.mtime_nsec()), (time.mtime(), time.mtime_nsec()));
    });
}

#[test]
fn usage_counts_the_writable_layer_only() {
    run(async |engine| {
        let layers = [engine.layer(Archive::new().file("big", &"x".repeat(1 << 20))).await];
        let usage = async |number| engine.filesystem.usage(&call(), &crate::engine::id(number)).await.unwrap();
        assert_eq!((usage(1).await.bytes, usage(1).await.inodes), (0, 0));
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        let before = usage(1).await;
        assert!(before.bytes < 100 << 10, "{before:?}");
        fs::write(sandbox.path("file"), "x".repeat(3 << 20)).unwrap();
        fs::hard_link(sandbox.path("file"), sandbox.path("link")).unwrap();
        rustix::fs::syncfs(fs::File::open(sandbox.path("")).unwrap()).unwrap();
        let after = usage(1).await;
        assert_eq!(after.inodes, before.inodes + 1);
        assert!((3 << 20..4 << 20).contains(&(after.bytes - before.bytes)), "{before:?} {after:?}");
    });
}

/// All that a container can make, in a directory.
pub(crate) fn make_everything(at: &Path) {
    fs::create_dir_all(at.join("tree/sub")).unwrap();
    fs::write(at.join("tree/plain"), "content").unwrap();
    fs::hard_link(at.join("tree/plain"), at.join("tree/sub/linked")).unwrap();
    symlink("../../absolute", at.join("tree/link")).unwrap();
    mknodat(CWD, at.join("tree/fifo"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
    let null = rustix::fs::makedev(1, 3);
    mknodat(CWD, at.join("tree/null"), FileType::CharacterDevice, Mode::from_raw_mode(0o666), null).unwrap();
    fs::create_dir(at.join("sockets")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(at.join("sockets/socket")).unwrap());
    fs::write(at.join("tree/setuid"), "x").unwrap();
    chown(at.join("tree/setuid"), Some(1000), Some(3_000_000_000)).unwrap();
    fs::set_permissions(at.join("tree/setuid"), fs::Permissions::from_mode(0o6711)).unwrap();
    setxattr(at.join("tree/setuid"), "user.note", b"a\nb\0c", XattrFlags::empty()).unwrap();
    fs::write(at.join("tree").join("n".repeat(255)), "long").unwrap();
    let deep = at.join("tree").join("deep/".repeat(200));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("end"), "end").unwrap();
    let time = rustix::fs::Timespec { tv_sec: -5, tv_nsec: 123_456_789 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, at.join("tree/plain"), &times, rustix::fs::AtFlags::empty()).unwrap();
}

#[test]
fn a_committed_layer_makes_the_same_tree_again() {
    run(async |engine| {
        let mut layers = vec![engine.layer(image()).await];
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        change(&sandbox);
        last_changes(&sandbox);
        make_everything(&sandbox.path(""));
        let committed = engine.commit(1, &layers, Some(&sandbox)).await.unwrap();
        assert_eq!(engine.commit(1, &layers, Some(&sandbox)).await.unwrap(), committed);
        let names = members(&committed);
        for name in [".wh.gone", "dir/.wh.hello", "dir/.wh.www", "again/.wh..wh..opq"] {
            assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
        }
        assert!(!names.iter().any(|name| name == "sockets/socket" || name.contains("etc/host")), "{names:?}");
        layers.push(engine.layer_of(&committed).await);
        let copy = Sandbox::new();
        engine.mount(2, &copy, &layers, &[]).await.unwrap();
        let ours = |name: &str| name == "etc" || name.starts_with("etc/host") || name.starts_with("etc/resolv");
        let facts = |sandbox: &Sandbox| {
            let mut facts = tree(&sandbox.path(""));
            facts.retain(|path, _| !ours(path) && !path.starts_with("sockets"));
            facts
        };
        assert_same(&facts(&copy), &facts(&sandbox));
        assert_eq!(changes(engine, 2, &layers, Some(&copy)).await, [""; 0]);
    });
}

#[test]
fn a_name_that_no_layer_can_have_is_told() {
    run(async |engine| {
        let layers = [engine.layer(image()).await];
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        fs::write(sandbox.path("dir/.wh.mine"), "").unwrap();
        let failure = engine.commit(1, &layers, Some(&sandbox)).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
        assert!(failure.message.contains("/dir/.wh.mine"), "{failure}");
        assert_eq!(changes(engine, 1, &layers, Some(&sandbox)).await, ["C /dir", "A /dir/.wh.mine"]);
    });
}

#[test]
fn a_container_that_was_never_started_commits_to_nothing_new() {
    run(async |engine| {
        let layers = [engine.layer(image()).await];
        let committed = engine.commit(1, &layers, None).await.unwrap();
        assert_eq!(members(&committed), ["./"]);
    });
}
