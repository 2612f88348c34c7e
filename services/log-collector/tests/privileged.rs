//! What needs root: a filesystem that can be filled.

#[cfg(test)]
#[path = "service/harness.rs"]
#[expect(dead_code, reason = "shared with the tests that need no root, which use more of it")]
mod harness;

#[cfg(test)]
mod disk_full {
    use crate::harness::*;
    use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
    use schema::log_collector::Stream;
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

    /// Writes 4 MB through a disk of 1 MiB, with the collector killed now and then; then there is space again.
    fn a_full_disk_loses_what_it_must_and_says_how_much(full: impl Fn(&Path) -> (PathBuf, PathBuf), kills: bool) {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::new(directory.path().join("disk"), "1m");
        let (root, run) = full(directory.path());
        let mut service = Service::start_at(directory, &root, &run);
        let id = id();
        let mut sandbox = Sandbox::new(&service, &id, true, false);
        block_on(service.client().open(&call(), &id, &sandbox.spec(64 << 10, 1000))).unwrap();
        let ballast = disk.0.join("ballast");
        fs::write(&ballast, vec![1; 200 << 10]).unwrap();

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
        wait_until_taken(&sandbox);
        fs::remove_file(&ballast).unwrap();
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
        a_full_disk_loses_what_it_must_and_says_how_much(full, false);
    }

    #[test]
    fn of_the_state_directory_while_the_collector_is_killed() {
        let full = |directory: &Path| (directory.join("disk/root"), directory.join("run"));
        a_full_disk_loses_what_it_must_and_says_how_much(full, true);
    }

    #[test]
    fn of_everything() {
        let full = |directory: &Path| (directory.join("disk/root"), directory.join("disk/run"));
        a_full_disk_loses_what_it_must_and_says_how_much(full, false);
    }
}
