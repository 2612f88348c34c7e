//! Archives out of containers, and into them.

use crate::archive::Archive;
use crate::engine::{Engine, call, run};
use crate::sandbox::Sandbox;
use crate::tools::members;
use schema::common::{Layer, Volume};
use schema::filesystem::{ArchiveRequest, ExtractRequest, FileKind};
use schema::{Code, Failure};
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

pub(crate) struct Files<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) layers: Vec<Layer>,
    pub(crate) sandbox: Option<Sandbox>,
}

impl Files<'_> {
    /// An archive, by parts of this size, each asked for `times` times with the same cursor.
    pub(crate) async fn archive(&self, path: &str, export: bool, part: u32, times: u32) -> Result<Vec<u8>, Failure> {
        let request = ArchiveRequest { path: path.to_owned(), export, by_path: false };
        let place = self.engine.place(1, &self.layers, self.sandbox.as_ref());
        let (mut bytes, mut cursor) = (Vec::new(), Vec::new());
        loop {
            let ask = async || self.engine.filesystem.archive(&call(), &place, &request, &cursor, part).await;
            let mut answer = ask().await?;
            for _ in 1..times {
                let again = ask().await?;
                assert_eq!(again.data, answer.data, "a repetition gives the same bytes");
                answer = again;
            }
            bytes.extend(answer.data);
            if answer.ended {
                return Ok(bytes);
            }
            cursor = answer.next;
        }
    }

    pub(crate) async fn extract(&self, path: &str, archive: &[u8], keep_owner: bool) -> Result<(), Failure> {
        let upload = self.engine.upload(archive).await;
        let place = self.engine.place(1, &self.layers, self.sandbox.as_ref());
        let request = ExtractRequest { path: path.to_owned(), upload, keep_owner };
        self.engine.filesystem.extract(&call(), &place, &request).await
    }

    async fn kind(&self, path: &str) -> Result<FileKind, Failure> {
        let place = self.engine.place(1, &self.layers, self.sandbox.as_ref());
        self.engine.filesystem.stat(&call(), &place, path).await.map(|stat| stat.kind)
    }
}

fn content(archive: &[u8], name: &str) -> Vec<u8> {
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if &*entry.path_bytes() == name.as_bytes() {
            let mut data = Vec::new();
            entry.read_to_end(&mut data).unwrap();
            return data;
        }
    }
    unreachable!("no {name}");
}

fn image() -> Archive {
    Archive::new()
        .directory("./")
        .directory("etc")
        .directory("data")
        .file("data/small", "small")
        .file("data/large", &"0123456789".repeat(30_000))
        .hard_link("data/linked", "data/small")
        .directory("data/sub")
        .file("data/sub/x", "x")
        .symlink("absolute", "/data")
        .symlink("out", "../../../../tmp")
}

/// With a container that runs, one that has ended, and one that was never started.
fn in_every_state(test: impl AsyncFn(Files<'_>)) {
    run(async |engine| {
        let layers = vec![engine.layer(image()).await];
        test(Files { engine, layers: layers.clone(), sandbox: None }).await;
        engine.filesystem.release(&call(), &crate::engine::id(1)).await.unwrap();
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        drop(sandbox);
        test(Files { engine, layers: layers.clone(), sandbox: None }).await;
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        test(Files { engine, layers, sandbox: Some(sandbox) }).await;
    });
}

#[test]
fn archives_are_named_as_they_were_asked_for() {
    in_every_state(async |files| {
        let names = async |path| members(&files.archive(path, false, 0, 1).await.unwrap());
        let below = ["large", "linked", "small", "sub/", "sub/x"];
        let with = |prefix: &str| {
            let mut all = vec![format!("{prefix}/")];
            all.extend(
                below.iter().map(|name| if prefix == "." { (*name).to_owned() } else { format!("{prefix}/{name}") }),
            );
            all
        };
        assert_eq!(names("/data").await, with("data"));
        assert_eq!(names("/data/").await, with("data"));
        assert_eq!(names("/data/.").await, with("."));
        assert_eq!(names("/absolute").await, ["absolute"]);
        assert_eq!(names("/absolute/").await, with("absolute"));
        assert_eq!(names("data/sub/../small").await, ["small"]);
        for none in ["/none", "/data/small/x", "/out/"] {
            assert_eq!(files.archive(none, false, 0, 1).await.unwrap_err().code, Code::NotFound, "{none}");
        }
    });
}

#[test]
fn an_archive_has_the_same_bytes_by_parts_of_any_size_and_after_any_repetition() {
    in_every_state(async |files| {
        let whole = files.archive("/", true, 0, 1).await.unwrap();
        assert_eq!(content(&whole, "data/large").len(), 300_000);
        assert_eq!(content(&whole, "data/large"), "0123456789".repeat(30_000).as_bytes());
        for (part, times) in [(4096, 1), (5000, 2), (100_000, 3)] {
            assert_eq!(files.archive("/", true, part, times).await.unwrap(), whole, "{part} {times}");
        }
    });
}

#[test]
fn an_archive_by_path_is_the_same() {
    run(async |engine| {
        let large: String = (0..1_000_000).map(|number| format!("{number:07} ")).collect();
        let layers = vec![engine.layer(image().file("large", &large)).await];
        let files = Files { engine, layers, sandbox: None };
        let whole = files.archive("/", true, 0, 1).await.unwrap();
        let request = ArchiveRequest { path: "/".to_owned(), export: true, by_path: true };
        let place = engine.place(1, &files.layers, None);
        let (mut bytes, mut cursor, mut names) = (Vec::new(), Vec::new(), Vec::new());
        let mut client = engine.filesystem.clone();
        loop {
            let part = client.archive(&call(), &place, &request, &cursor, 0).await.unwrap();
            if cursor.is_empty() {
                assert_eq!((part.path, part.length), (String::new(), 0));
                bytes.extend_from_slice(&part.data);
            } else {
                assert_eq!(part.data, b"");
                let content = fs::read(&part.path).unwrap();
                bytes.extend_from_slice(&content[..usize::try_from(part.length).unwrap()]);
                names.push(part.path);
            }
            if part.ended {
                break;
            }
            cursor = part.next;
            if names.len() == 1 {
                client = engine.another().await;
            }
        }
        assert!(bytes == whole && names.len() > 1);
        let directory = std::path::Path::new(&names[0]).parent().unwrap();
        assert_eq!(fs::metadata(directory).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(&names[0]).unwrap().permissions().mode() & 0o777, 0o400);
        // Nobody asks any more.
        tokio::time::sleep(std::time::Duration::from_secs(17)).await;
        assert!(names.iter().all(|name| !std::path::Path::new(name).exists()), "{names:?}");
    });
}

#[test]
fn an_archive_goes_on_in_another_process() {
    run(async |engine| {
        let layers = vec![engine.layer(image()).await];
        let files = Files { engine, layers, sandbox: None };
        let whole = files.archive("/", true, 0, 1).await.unwrap();
        let request = ArchiveRequest { path: "/".to_owned(), export: true, by_path: false };
        let place = engine.place(1, &files.layers, None);
        let (mut bytes, mut cursor) = (Vec::new(), Vec::new());
        loop {
            // Nothing that the process before this one knew is known to it.
            let fresh = engine.another().await;
            let part = fresh.archive(&call(), &place, &request, &cursor, 10_000).await.unwrap();
            bytes.extend(part.data);
            if part.ended {
                break;
            }
            cursor = part.next;
        }
        assert_eq!(bytes, whole);
    });
}

#[test]
fn an_export_has_neither_volumes_nor_our_own_files() {
    run(async |engine| {
        let host = tempfile::tempdir().unwrap();
        fs::write(host.path().join("secret"), "host").unwrap();
        let layers = vec![engine.layer(image()).await];
        let sandbox = Sandbox::new();
        let volume = Volume {
            source: host.path().to_str().unwrap().to_owned(),
            target: "/data/sub".to_owned(),
            read_only: false,
            idmap: false,
        };
        engine.mount(1, &sandbox, &layers, &[volume]).await.unwrap();
        fs::write(sandbox.path("new"), "new").unwrap();
        let files = Files { engine, layers, sandbox: Some(sandbox) };
        let export = files.archive("/", true, 0, 1).await.unwrap();
        let names = members(&export);
        assert!(names.contains(&"data/sub/x".to_owned()) && names.contains(&"new".to_owned()), "{names:?}");
        assert!(!names.contains(&"data/sub/secret".to_owned()), "{names:?}");
        assert_eq!(content(&export, "new"), b"new");
        // A copy sees what the container sees.
        assert_eq!(members(&files.archive("/data/sub", false, 0, 1).await.unwrap()), ["sub/", "sub/secret"]);
    });
}

#[test]
fn a_file_that_changes_while_it_is_archived_keeps_the_archive_whole() {
    run(async |engine| {
        let layers = vec![engine.layer(image()).await];
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        let request = ArchiveRequest { path: "/data".to_owned(), export: false, by_path: false };
        for size in [100_u64, 1 << 20] {
            let place = engine.place(1, &layers, Some(&sandbox));
            let first = engine.filesystem.archive(&call(), &place, &request, b"", 8192).await.unwrap();
            fs::File::options().write(true).open(sandbox.path("data/large")).unwrap().set_len(size).unwrap();
            let mut bytes = first.data;
            let mut cursor = first.next;
            loop {
                let part = engine.filesystem.archive(&call(), &place, &request, &cursor, 0).await.unwrap();
                bytes.extend(part.data);
                cursor = part.next;
                if part.ended {
                    break;
                }
            }
            assert_eq!(members(&bytes).len(), 6);
            fs::write(sandbox.path("data/large"), "0123456789".repeat(30_000)).unwrap();
        }
    });
}

#[test]
fn files_are_put_into_a_container_in_any_state() {
    in_every_state(async |files| {
        let archive = Archive::new()
            .add(tar::EntryType::Directory, "./", b"", |header| header.set_mode(0o700))
            .directory("made")
            .add(tar::EntryType::Regular, "made/file", b"content", |header| {
                header.set_uid(1000);
                header.set_mode(0o4755);
            })
            .file(".wh.name", "as it is")
            .file("small", "replaced")
            .bytes();
        files.extract("/absolute", &archive, false).await.unwrap();
        assert_eq!(files.kind("/data/made/file").await.unwrap(), FileKind::File);
        assert_eq!(files.kind("/absolute").await.unwrap(), FileKind::Symlink);
        let got = files.archive("/data/.", false, 0, 1).await.unwrap();
        assert_eq!(content(&got, "made/file"), b"content");
        assert_eq!(content(&got, ".wh.name"), b"as it is");
        assert_eq!(content(&got, "small"), b"replaced");
        // The directory itself stays as it was, and what was linked to the replaced file too.
        let place = files.engine.place(1, &files.layers, files.sandbox.as_ref());
        let stat = files.engine.filesystem.stat(&call(), &place, "/data").await.unwrap();
        assert_eq!(stat.mode, 0o755);
        assert_eq!(content(&got, "linked"), b"small");
        if let Some(sandbox) = &files.sandbox {
            let found = fs::metadata(sandbox.path("data/made/file")).unwrap();
            assert_eq!((found.uid(), found.mode() & 0o7777), (0, 0o4755));
            files.extract("/data", &archive, true).await.unwrap();
            assert_eq!(fs::metadata(sandbox.path("data/made/file")).unwrap().uid(), 1000);
        }
    });
}

#[test]
fn directories_and_files_do_not_take_each_others_place() {
    in_every_state(async |files| {
        let over_directory = Archive::new().file("sub", "x").bytes();
        let over_file = Archive::new().directory("small").bytes();
        for archive in [over_directory, over_file] {
            let failure = files.extract("/data", &archive, false).await.unwrap_err();
            assert_eq!(failure.code, Code::InvalidArgument, "{failure}");
        }
        assert_eq!(files.kind("/data/sub/x").await.unwrap(), FileKind::File);
        assert_eq!(files.kind("/data/small").await.unwrap(), FileKind::File);
        assert_eq!(
            files.extract("/none", &Archive::new().file("x", "").bytes(), false).await.unwrap_err().code,
            Code::NotFound
        );
        assert_eq!(
            files.extract("/data/small", &Archive::new().file("x", "").bytes(), false).await.unwrap_err().code,
            Code::NotFound
        );
    });
}

#[test]
fn a_containers_links_do_not_lead_a_copy_to_the_host() {
    run(async |engine| {
        let outside = tempfile::tempdir().unwrap();
        let there = outside.path().to_str().unwrap();
        let layers = vec![engine.layer(image()).await];
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        symlink(there, sandbox.path("trap")).unwrap();
        fs::create_dir_all(sandbox.path(&there[1..])).unwrap();
        fs::write(outside.path().join("secret"), "host").unwrap();
        let files = Files { engine, layers, sandbox: Some(sandbox) };
        files.extract("/trap", &Archive::new().file("file", "x").bytes(), false).await.unwrap();
        files.extract("/", &Archive::new().file("trap/file2", "x").bytes(), false).await.unwrap();
        let names: Vec<_> = fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["secret"]);
        assert_eq!(members(&files.archive("/trap/.", false, 0, 1).await.unwrap()), ["./", "file", "file2"]);
        assert_eq!(files.kind("/trap/secret").await.unwrap_err().code, Code::NotFound);
    });
}

#[test]
fn nothing_is_written_for_an_archive_that_is_damaged_at_its_end() {
    in_every_state(async |files| {
        let mut archive = Archive::new().file("first", "x").file("second", "x").bytes();
        archive.truncate(1200);
        let failure = files.extract("/data", &archive, false).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument, "{failure}");
        assert_eq!(files.kind("/data/first").await.unwrap_err().code, Code::NotFound);
    });
}

#[test]
fn a_mode_of_a_directory_in_the_archive_is_kept() {
    in_every_state(async |files| {
        let archive = Archive::new()
            .add(tar::EntryType::Directory, "sticky", b"", |header| header.set_mode(0o1777))
            .file("sticky/x", "")
            .bytes();
        files.extract("/data", &archive, false).await.unwrap();
        if let Some(sandbox) = &files.sandbox {
            assert_eq!(fs::metadata(sandbox.path("data/sticky")).unwrap().permissions().mode() & 0o7777, 0o1777);
        }
    });
}
