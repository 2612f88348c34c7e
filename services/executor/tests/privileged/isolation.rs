//! What a container sees and may do.

use crate::bench::{EXEC, command, on_bench, random_id, sh, spec};
use schema::Code;
use schema::executor::SandboxSpec;

#[test]
fn it_sees_only_itself() {
    on_bench(async |bench| {
        assert_eq!(bench.script("hostname; echo $$").await, "box\n1\n");
        let processes = bench.script("ps -o pid,comm").await;
        assert_eq!(processes.lines().count(), 2, "{processes}");
        assert_eq!(bench.script("ls /sys/class/net").await, "lo\n");
        let mounts = bench.script("cut -d' ' -f2 /proc/mounts | sort -u").await;
        for mount in mounts.lines() {
            assert!(
                ["/", "/dev", "/proc", "/sys"]
                    .iter()
                    .any(|known| mount == *known || (*known != "/" && mount.starts_with(known))),
                "{mount}"
            );
        }
        assert_eq!(
            bench.script("cat /proc/self/cgroup").await.lines().find(|line| line.starts_with("0::")),
            Some("0::/")
        );
        let (_, captured) = bench.run(&spec(), &command(&["sleep", "0"])).await.unwrap();
        assert_eq!(captured.stderr, "");
        assert_eq!(bench.script("ipcs -q 2>/dev/null; cat /proc/sysvipc/shm | wc -l").await, "1\n");
    });
}

#[test]
fn kernel_filesystems_are_mounted_with_care() {
    on_bench(async |bench| {
        let mounts = bench.script("grep -E ' /(proc|sys|dev/pts) ' /proc/mounts | cut -d' ' -f2,4").await;
        for (place, options) in [
            ("/proc ", ["nosuid", "nodev", "noexec"].as_slice()),
            ("/sys ", &["ro", "nosuid", "nodev", "noexec"]),
            ("/dev/pts ", &["nosuid", "noexec", "ptmxmode=666", "gid=5"]),
        ] {
            let line = mounts.lines().find_map(|line| line.strip_prefix(place)).unwrap_or_default();
            assert!(options.iter().all(|option| line.split(',').any(|word| word == *option)), "{place}: {mounts}");
        }
        // Its terminals are its own: none of the host is there.
        assert_eq!(bench.script("ls /dev/pts; ls -l /sbin/init 2>&1 | wc -l").await, "ptmx\n1\n");
    });
}

#[test]
fn the_hosts_network_is_shared_if_wanted() {
    on_bench(async |bench| {
        let spec = SandboxSpec { host_network: true, ..spec() };
        let (_, captured) = bench.run(&spec, &sh("readlink /proc/self/ns/net; ls /sys/class/net")).await.unwrap();
        let host = std::fs::read_link("/proc/self/ns/net").unwrap();
        assert_eq!(captured.stdout.lines().next(), Some(host.to_str().unwrap()), "{captured:?}");
    });
}

#[test]
fn it_has_few_powers_and_gets_no_more() {
    on_bench(async |bench| {
        let status = bench.script("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status").await;
        for line in [
            "CapInh:\t0000000000000000",
            "CapPrm:\t00000000a00425fb",
            "CapEff:\t00000000a00425fb",
            "CapBnd:\t00000000a00425fb",
            "CapAmb:\t0000000000000000",
            "NoNewPrivs:\t1",
            "Seccomp:\t2",
        ] {
            assert!(status.lines().any(|found| found == line), "{line}: {status}");
        }
        let mut process = sh("grep -E '^Cap' /proc/self/status");
        process.user = "www".to_owned();
        let (_, captured) = bench.run(&spec(), &process).await.unwrap();
        for line in ["CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapBnd:\t00000000a00425fb"] {
            assert!(captured.stdout.lines().any(|found| found == line), "{line}: {}", captured.stdout);
        }
    });
}

#[test]
fn what_is_dangerous_is_refused() {
    on_bench(async |bench| {
        for (script, complaint) in [
            ("mknod /tmp/sda b 8 0", "Operation not permitted"),
            ("mount -t tmpfs none /tmp", "permission denied"),
            ("echo 1 > /proc/sys/kernel/panic", "Read-only file system"),
            ("echo x > /sys/kernel/profiling", "Read-only file system"),
            ("hostname other", "Operation not permitted"),
            ("unshare -n true", "Operation not permitted"),
            ("chroot / true && mount -o remount,rw /sys", "permi"),
            ("dmesg", "Operation not permitted"),
        ] {
            let (exit, captured) = bench.run(&spec(), &sh(script)).await.unwrap();
            assert_ne!(exit.code, 0, "{script}");
            assert!(captured.stderr.contains(complaint), "{script}: {captured:?}");
        }
    });
}

#[test]
fn the_monitors_program_cannot_be_written_through_its_processes() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        let exec = random_id();
        let prepared = bench.client.prepare_exec(&bench.call(), &id, &exec, &EXEC).await.unwrap();
        for monitor in [prepared.sandbox.pid, bench.monitor_of(&id)] {
            let program = std::fs::File::options().write(true).truncate(true).open(format!("/proc/{monitor}/exe"));
            assert_eq!(program.unwrap_err().kind(), std::io::ErrorKind::ReadOnlyFilesystem);
            let name = std::fs::read_to_string(format!("/proc/{monitor}/comm")).unwrap();
            assert_eq!(name, "cctl-shim\n");
        }
        bench.destroy(&exec).await;
        bench.destroy(&id).await;
    });
}

#[test]
fn kernel_interfaces_are_masked() {
    on_bench(async |bench| {
        let script =
            "for path in kcore keys timer_list interrupts; do test -e /proc/$path && head -c1 /proc/$path; done;
            for path in /proc/acpi /proc/scsi /sys/firmware; do test -d $path && ls $path; done; true";
        assert_eq!(bench.script(script).await, "");
    });
}

#[test]
fn devices_are_those_that_every_program_expects() {
    on_bench(async |bench| {
        let names = bench.script("ls /dev").await;
        let names: Vec<&str> = names.lines().collect();
        assert_eq!(
            names,
            [
                "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout",
                "tty", "urandom", "zero"
            ]
        );
        assert_eq!(
            bench.script("head -c4 /dev/zero | od -An -tx1; echo x > /dev/null; echo y > /dev/stdout").await,
            " 00 00 00 00\ny\n"
        );
        assert_eq!(
            bench.script("echo x > /dev/full 2>/dev/null || echo full; head -c 8 /dev/urandom | wc -c").await,
            "full\n8\n"
        );
        assert_eq!(
            bench.script("stat -c %a /dev/shm /dev/null; df /dev/shm | tail -1 | awk '{print $2}'").await,
            "1777\n666\n65536\n"
        );
        let (_, captured) =
            bench.run(&spec(), &command(&["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"])).await.unwrap();
        assert_eq!(captured.stdout, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
        assert_eq!(bench.script("ls /proc/self/fd | wc -l").await, "4\n");
    });
}

#[test]
fn hostile_images_do_not_reach_the_host() {
    on_bench(async |bench| {
        let rootfs = bench.directory.path().join("rootfs");
        // A passwd file that leads out of the image, and one that never ends.
        std::fs::rename(rootfs.join("etc/passwd"), rootfs.join("etc/passwd.kept")).unwrap();
        std::os::unix::fs::symlink("/../../../../../etc/passwd", rootfs.join("etc/passwd")).unwrap();
        assert_eq!(bench.script("id -u").await, "0\n");
        std::fs::remove_file(rootfs.join("etc/passwd")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(rootfs.join("etc/passwd")).status().unwrap().success());
        assert_eq!(bench.script("echo alive").await, "alive\n");
        // A mount point that is a link.
        std::fs::remove_dir_all(rootfs.join("proc")).unwrap();
        std::os::unix::fs::symlink("/tmp", rootfs.join("proc")).unwrap();
        let failure = bench.run(&spec(), &sh("true")).await.unwrap_err();
        assert!(failure.code == Code::InvalidArgument && failure.message.contains("/proc"), "{failure}");
        // A working directory that is a link out of the image.
        std::fs::remove_file(rootfs.join("proc")).unwrap();
        std::os::unix::fs::symlink("../../../../usr", rootfs.join("out")).unwrap();
        let mut process = sh("ls /usr");
        process.working_directory = "/out/made/here".to_owned();
        assert_eq!(bench.run(&spec(), &process).await.unwrap_err().code, Code::InvalidArgument);
        std::fs::create_dir(rootfs.join("usr")).unwrap();
        let (_, captured) = bench.run(&spec(), &process).await.unwrap();
        assert_eq!(captured.stdout, "made\n", "{captured:?}");
        assert!(!std::path::Path::new("/usr/made").exists());
    });
}
