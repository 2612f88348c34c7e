//! What needs root: a filesystem that can be filled, and sandboxes that cannot be opened.

#[cfg(test)]
#[path = "service/harness.rs"]
#[expect(dead_code, reason = "shared with the tests that need no root, which use more of it")]
mod harness;

#[cfg(test)]
mod disk_full {
    use crate::harness::*;
    use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
    use schema::log_collector::{LogMode, LogSpec, Stream};
    use std::fs;
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::time::{Duration, Instant};

    /// A small filesystem, gone at the end.
    struct Disk(PathBuf);

    impl Disk {
        fn new(path: PathBuf, size: &str) -> Self {
            fs::create_dir(&path).unwrap();
            let options = std::ffi::CString::new(format!("size={size}")).unwrap();
            mount("tmpfs", &path, "tmpfs", MountFlags::empty(), options.as_c_str()).expect("these tests need root");
            Self(path)
        }
    }

    impl Drop for Disk {
        fn drop(&mut self) {
            // Its files may still be open: by the service of a test that failed.
            unmount(&self.0, UnmountFlags::DETACH).unwrap();
        }
    }

    /// Writes 4 MB through a disk of 2 MiB, with the collector killed now and then; then there is space again: enough for
    /// what is compressed meanwhile, too.
    fn a_full_disk_loses_what_it_must_and_says_how_much(
        full: impl Fn(&Path) -> (PathBuf, PathBuf),
        kills: bool,
        mode: LogMode,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::new(directory.path().join("disk"), "2m");
        let (root, run) = full(directory.path());
        let mut service = Service::start_at(directory, &root, &run);
        let id = id();
        let mut sandbox = Sandbox::new(&service, &id, true, false);
        let spec = LogSpec { mode, ..sandbox.spec(64 << 10, 1000) };
        block_on(service.client().open(&call(), &id, &spec)).unwrap();
        let ballast = disk.0.join("ballast");
        fs::write(&ballast, vec![1; 800 << 10]).unwrap();

        let text = noise(4 << 20);
        let (first, rest) = text.split_at(text.len() - 100_000);
        let started = Instant::now();
        std::thread::scope(|scope| {
            let writer = sandbox.writer("stdout");
            let writing = scope.spawn(move || {
                let mut writer = writer;
                for block in first.chunks(5000) {
                    writer.write_all(block).unwrap();
                    std::thread::sleep(Duration::from_micros(if kills { 2000 } else { 0 }));
                }
            });
            if kills {
                service.torment(40, || !writing.is_finished());
            }
            writing.join().unwrap();
        });
        assert!(started.elapsed() < Duration::from_secs(50), "the container was held up");

        // All of it is taken, then there is space again.
        block_on(read_until(&service.client(), &id, 0, first.len() as u64));
        fs::remove_file(&ballast).unwrap();
        // The child of another test may have a copy of the open file, until it executes its program.
        let room = || rustix::fs::statvfs(ballast.parent().unwrap()).unwrap();
        let removed = Instant::now();
        while room().f_bavail * room().f_frsize < 600 << 10 {
            assert!(removed.elapsed() < Duration::from_secs(10), "there is no room: {} blocks", room().f_bavail);
            std::thread::sleep(Duration::from_millis(1));
        }
        sandbox.writer("stdout").write_all(rest).unwrap();
        wait_until_taken(&sandbox);
        service.kill();
        service.spawn();
        sandbox.end();

        let output = block_on(async { read_all(&service.client(), &id, 0).await.unwrap() });
        let kept = output.of(Stream::Stdout);
        let dropped = output.dropped(Stream::Stdout);
        eprintln!("{} kills, {} bytes kept, {dropped} dropped", service.kills, kept.len());
        assert_eq!((output.next, output.lost), (text.len() as u64, 0));
        assert_eq!(kept.len() as u64 + dropped, text.len() as u64);
        assert!(dropped > 2_000_000 && kept.len() > 500_000);
        assert!(kept.ends_with(&rest[rest.len() - 50_000..]), "what came after the gap is there");
        check_places(&service, &id, &text);
        drop(service);
        drop(disk);
    }

    /// The FIFO is empty: the collector has taken what was written.
    fn wait_until_taken(sandbox: &Sandbox) {
        let pipe = sandbox.writer("stdout");
        while rustix::io::ioctl_fionread(&pipe).unwrap() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Each byte that was kept is at the position at which it was written.
    fn check_places(service: &Service, id: &schema::ContainerId, text: &[u8]) {
        block_on(async {
            let client = service.client();
            let mut at = 0;
            while at < text.len() {
                let chunk = client.read(&call(), id, at as u64, 0, 0).await.unwrap();
                at += chunk.lost as usize;
                for record in &chunk.records {
                    at += record.dropped as usize;
                    assert_same(&record.data, &text[at..at + record.data.len()]);
                    at += record.data.len();
                }
                assert_eq!(at as u64, chunk.next);
            }
        });
    }

    #[test]
    fn of_the_state_directory() {
        let full = |directory: &Path| (directory.join("disk/root"), directory.join("run"));
        a_full_disk_loses_what_it_must_and_says_how_much(full, false, LogMode::Block);
    }

    #[test]
    fn of_the_state_directory_while_the_collector_is_killed() {
        let full = |directory: &Path| (directory.join("disk/root"), directory.join("run"));
        a_full_disk_loses_what_it_must_and_says_how_much(full, true, LogMode::Block);
    }

    #[test]
    fn of_everything() {
        let full = |directory: &Path| (directory.join("disk/root"), directory.join("disk/run"));
        a_full_disk_loses_what_it_must_and_says_how_much(full, false, LogMode::Block);
    }
    #[test]
    fn of_the_state_directory_in_mode_drop() {
        let full = |directory: &Path| (directory.join("disk/root"), directory.join("run"));
        a_full_disk_loses_what_it_must_and_says_how_much(full, false, LogMode::Drop);
    }

    #[test]
    fn of_the_state_directory_in_mode_drop_while_the_collector_is_killed() {
        let full = |directory: &Path| (directory.join("disk/root"), directory.join("run"));
        a_full_disk_loses_what_it_must_and_says_how_much(full, true, LogMode::Drop);
    }

    /// A container writes to both streams until a follower has seen the gap: while the disk is still full.
    #[test]
    fn a_follower_is_told_of_a_gap_while_the_disk_is_full() {
        for mode in [LogMode::Block, LogMode::Drop] {
            let directory = tempfile::tempdir().unwrap();
            let disk = Disk::new(directory.path().join("disk"), "512k");
            let (root, run) = (directory.path().join("disk/root"), directory.path().join("run"));
            let service = Service::start_at(directory, &root, &run);
            let id = id();
            let sandbox = Sandbox::new(&service, &id, false, false);
            block_on(async {
                let client = service.client();
                client.open(&call(), &id, &LogSpec { mode, ..sandbox.spec(64 << 10, 1000) }).await.unwrap();
                let (mut stdout, mut stderr) = (sandbox.writer("stdout"), sandbox.writer("stderr"));
                let (mut output, block, mut written) = (Output::default(), noise(30_000), 0);
                let seen = |output: &Output| [Stream::Stdout, Stream::Stderr].map(|stream| output.dropped(stream));
                while seen(&output).contains(&0) {
                    assert!(written < 40 << 20, "no gap after {written} bytes: {:?}", seen(&output));
                    stdout.write_all(&block).unwrap();
                    stderr.write_all(&block).unwrap();
                    written += 2 * block.len() as u64;
                    output.add(client.read(&call(), &id, output.next, 0, 20).await.unwrap());
                }
                assert_eq!(output.lost, 0);
            });
            drop(service);
            drop(disk);
        }
    }
}

#[cfg(test)]
mod not_ours {
    use crate::harness::*;
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    fn allow(sandbox: &Sandbox, mode: u32) {
        fs::set_permissions(&sandbox.directory, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// As it is while cctl is upgraded, and the services get users of their own: each sandbox is the new user's a moment later.
    #[test]
    fn a_sandbox_that_cannot_be_opened_yet_is_waited_for() {
        let mut service = Service::start();
        let (id, next) = (id(), id());
        let mut sandbox = Sandbox::new(&service, &id, true, true);
        block_on(service.client().open(&call(), &id, &sandbox.spec(0, 0))).unwrap();
        service.kill();
        sandbox.writer("stdout").write_all(b"kept\n").unwrap();
        allow(&sandbox, 0);
        service.confined = true;
        service.spawn();
        block_on(async {
            let client = service.client();
            let chunk = client.read(&call(), &id, 0, 0, 0).await.unwrap();
            assert!(!chunk.ended && chunk.records.is_empty(), "{chunk:?}");
            // Its input is waited for, too.
            let (input, asking) = (client.input(&id, "one", false), call());
            let given = async {
                client.totals(&call()).await.unwrap();
                allow(&sandbox, 0o700);
            };
            let (accepted, ()) = futures::join!(input.open(&asking), given);
            assert_eq!(accepted, Ok(0));
            sandbox.end();
            assert_eq!(read_all(&client, &id, 0).await.unwrap().text(), "kept\n");

            let mut second = Sandbox::new(&service, &next, true, false);
            let spec = second.spec(0, 0);
            allow(&second, 0);
            let (asking, given) = (call(), async {
                // Asked while nothing can be opened.
                client.read(&call(), &id, 0, 0, 0).await.unwrap();
                allow(&second, 0o700);
            });
            let (opened, ()) = futures::join!(client.open(&asking, &next, &spec), given);
            assert_eq!(opened, Ok(0));
            second.writer("stdout").write_all(b"new\n").unwrap();
            second.end();
            assert_eq!(read_all(&client, &next, 0).await.unwrap().text(), "new\n");
        });
    }
}

#[cfg(test)]
mod disk_slow {
    use crate::harness::*;
    use schema::log_collector::{LogMode, LogSpec, Stream};
    use std::fs;
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::time::{Duration, Instant};

    fn run(program: &str, arguments: &[&std::ffi::OsStr]) {
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A filesystem on which writes can be made to wait. Gone at the end.
    struct Disk(PathBuf);

    impl Disk {
        fn new(image: &Path, path: &Path) -> Self {
            fs::create_dir_all(path).unwrap();
            fs::File::create(image).unwrap().set_len(64 << 20).unwrap();
            run("mkfs.ext4", &["-q".as_ref(), image.as_ref()]);
            run("mount", &["-o".as_ref(), "loop".as_ref(), image.as_ref(), path.as_ref()]);
            Self(path.to_owned())
        }

        /// From now on whoever writes waits.
        fn freeze(&self) {
            run("fsfreeze", &["--freeze".as_ref(), self.0.as_ref()]);
        }

        fn thaw(&self) {
            run("fsfreeze", &["--unfreeze".as_ref(), self.0.as_ref()]);
        }
    }

    impl Drop for Disk {
        fn drop(&mut self) {
            // Fails if it is not frozen.
            let _ = Command::new("fsfreeze").arg("--unfreeze").arg(&self.0).output();
            run("umount", &["-l".as_ref(), self.0.as_ref()]);
        }
    }

    #[test]
    fn a_container_in_mode_drop_never_waits_for_its_log() {
        let directory = tempfile::tempdir().unwrap();
        let (root, run) = (directory.path().join("root"), directory.path().join("run"));
        let disk = Disk::new(&directory.path().join("image"), &root.join("log-collector"));
        let service = Service::start_at(directory, &root, &run);
        let id = id();
        let mut sandbox = Sandbox::new(&service, &id, false, false);
        let spec = LogSpec { mode: LogMode::Drop, ..sandbox.spec(1 << 20, 1000) };
        block_on(service.client().open(&call(), &id, &spec)).unwrap();
        let texts = [lines(0..3_000_000), lines(0..1_000_000)];
        let write = |name: &str, text: &[u8]| {
            let mut writer = sandbox.writer(name);
            text.chunks(10_000).for_each(|block| writer.write_all(block).unwrap());
        };
        let (first, last) = (&texts[0][..100_000], &texts[0][texts[0].len() - 100_000..]);
        write("stdout", first);
        block_on(read_until(&service.client(), &id, 0, 100_000));

        disk.freeze();
        let started = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| write("stdout", &texts[0][100_000..texts[0].len() - 100_000]));
            scope.spawn(|| write("stderr", &texts[1]));
        });
        let took = started.elapsed();
        // All the time, nothing could be stored.
        disk.thaw();
        assert!(took < Duration::from_secs(20), "the container was held up for {took:?}");
        // What is in memory is moved first.
        std::thread::sleep(Duration::from_millis(500));
        write("stdout", last);
        sandbox.end();

        let output = block_on(async { read_all(&service.client(), &id, 0).await.unwrap() });
        let dropped = [Stream::Stdout, Stream::Stderr].map(|stream| output.dropped(stream));
        eprintln!("{} bytes in {took:?} past a log that stood still, {dropped:?} of them dropped", output.next);
        assert_eq!(output.lost, 0);
        assert!(dropped[0] > 5_000_000 && dropped[1] > 1_000_000);
        for (stream, text) in [Stream::Stdout, Stream::Stderr].into_iter().zip(&texts) {
            let mut at = 0;
            for record in output.records.iter().filter(|record| record.stream == stream) {
                at += record.dropped as usize;
                assert_same(&record.data, &text[at..at + record.data.len()]);
                at += record.data.len();
            }
            assert_eq!(at, text.len());
        }
        assert!(output.of(Stream::Stdout).ends_with(last), "what came after the gap is there");
        drop(service);
        drop(disk);
    }
}
