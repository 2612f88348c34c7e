//! The Debian package, from the first installation to its end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod machine;

use harness::{Instance, base_image, eventually};
use machine::Machine;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Packs the programs under test, as `make deb` does; the last versions are two of the same files.
fn package(directory: &Path, version: &str) -> PathBuf {
    let binaries = std::env::var_os("CCTL_BIN").map_or_else(|| sources().join("target/release"), PathBuf::from);
    let made = Command::new(sources().join("deploy/deb"))
        .arg(version)
        .env("BIN", binaries.canonicalize().unwrap())
        .env("OUT", directory)
        .env("DEB_FLAGS", "-Zgzip -z1")
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().into()
}

/// What a published port serves.
fn page(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}

/// Where each package of a version is in the machine.
fn deliver(machine: &Machine, version: &str) -> String {
    let package = package(&machine.path("tmp"), version);
    format!("/tmp/{}", package.file_name().unwrap().to_str().unwrap())
}

/// What systemd says of the units, where the machine's programs are.
fn verify_units(machine: &Machine) {
    let units = machine.path("tmp/units");
    fs::create_dir(&units).unwrap();
    let files: Vec<PathBuf> = ["cctl.service", "cctl-containers.service"]
        .iter()
        .map(|name| {
            let text = fs::read_to_string(machine.path("lib/systemd/system").join(name)).unwrap();
            let text = text.replace("=/usr/", &format!("={}/", machine.path("usr").display()));
            fs::write(units.join(name), text).unwrap();
            units.join(name)
        })
        .collect();
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&files).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

/// The process that systemd has started.
fn main_process(machine: &Machine) -> String {
    machine.run(&["systemctl", "show", "--property=MainPID", "--value", "cctl"]).ok()
}

/// The services that are users of their own, and these.
const USERS: [(&str, &str); 3] =
    [("image-store", "cctl-images"), ("log-collector", "cctl-logs"), ("containers", "cctl-containers")];

/// The services run as the users that the package has made, their state is these users', and nobody holds too much.
fn users_are_named(machine: &Machine) {
    let audit = machine.run(&["cctl", "system", "audit", "--format", "{{.Process}} {{.UID}}"]).ok();
    for (service, user) in USERS {
        let uid = machine.run(&["id", "-u", user]).ok();
        assert!(audit.lines().any(|line| *line == format!("{service} {uid}")), "{service} {uid}: {audit}");
        assert_eq!(
            machine.run(&["stat", "-c", "%U:%G", &format!("/var/lib/cctl/{service}")]).ok(),
            format!("{user}:{user}")
        );
    }
}

fn is_active(machine: &Machine, unit: &str) -> bool {
    machine.run(&["systemctl", "is-active", unit]).stdout == "active\n"
}

/// Processes of the machine by their names. A child has that of its parent until it executes something.
fn named(machine: &Machine, name: &str) -> Vec<String> {
    let look = "for p in /proc/[0-9]*; do [ \"$(cat $p/comm)\" != \"$1\" ] || echo ${p#/proc/}; done 2>/dev/null";
    machine.run(&["sh", "-c", look, "sh", name]).stdout.lines().map(str::to_owned).collect()
}

fn kill(machine: &Machine, signal: &str, pids: &[String]) {
    // Who is gone is just as dead.
    machine.run(&["sh", "-c", &format!("kill -{signal} {} || :", pids.join(" "))]).ok();
}

#[test]
fn under_systemd_containers_outlive_whatever_becomes_of_the_unit() {
    let host = Instance::prepare();
    let machine = Machine::start_with_systemd(&host.scratch().join("machine"));
    let (first, second) = (deliver(&machine, "1.0-1"), deliver(&machine, "1.0-2"));
    machine.run(&["dpkg", "-i", &first]).ok();
    assert!(is_active(&machine, "cctl") && is_active(&machine, "cctl-containers"), "installed, it runs");
    users_are_named(&machine);
    assert!(named(&machine, "cctl-keeper").contains(&main_process(&machine)));
    fs::write(machine.path("tmp/base.tar"), base_image()).unwrap();
    machine.run(&["cctl", "import", "/tmp/base.tar", "base"]).ok();
    let serve = "trap exit TERM; mkdir -p /www; echo here > /www/index.html; httpd -f -p 80 -h /www & \
        i=0; while :; do echo $((i=i+1)); sleep 0.02; done";
    let run = ["cctl", "run", "-d", "--name", "web", "-p", "18091:80", "base", "sh", "-c", serve];
    machine.run(&run).ok();
    eventually("it serves", || page(18091).filter(|page| page == "here\n"));
    let began = ["cctl", "inspect", "--format", "{{.State.Pid}} {{.State.StartedAt}}", "web"];
    let before = machine.run(&began).ok();
    let goes_on = |after: &str| {
        assert_eq!(page(18091).as_deref(), Some("here\n"), "{after}");
        assert_eq!(machine.run(&began).ok(), before, "{after}");
    };
    let systemctl = |verb: &str| drop(machine.run(&["systemctl", verb, "cctl"]).ok());

    let keeper = main_process(&machine);
    systemctl("reload");
    goes_on("reload");
    assert_eq!(main_process(&machine), keeper);
    systemctl("restart");
    goes_on("restart");
    assert_ne!(main_process(&machine), keeper);

    systemctl("stop");
    assert!(!is_active(&machine, "cctl") && machine.run(&["cctl", "ps"]).code != 0);
    assert_eq!(page(18091).as_deref(), Some("here\n"), "stop");
    systemctl("start");
    goes_on("start");

    // The supervisor becomes the keeper, and systemd's next process stands by for it.
    let keeper = main_process(&machine);
    kill(&machine, "KILL", std::slice::from_ref(&keeper));
    goes_on("a keeper that is killed");
    let stand_by = eventually("another main process", || {
        Some(main_process(&machine)).filter(|pid| *pid != keeper && *pid != "0" && is_active(&machine, "cctl"))
    });
    assert_eq!([stand_by], *named(&machine, "cctl-stand-by"));
    goes_on("standing by");
    systemctl("reload");
    goes_on("reload by the one that stands by");

    // Keeper and supervisor at once: now it is systemd that starts the next.
    let both = [named(&machine, "cctl-keeper"), named(&machine, "cctl-supervisor")].concat();
    kill(&machine, "STOP", &both);
    kill(&machine, "KILL", &both);
    eventually("a keeper", || {
        let is_main = named(&machine, "cctl-keeper").contains(&main_process(&machine));
        (is_main && is_active(&machine, "cctl")).then_some(())
    });
    goes_on("all killed");

    machine.run(&["dpkg", "-i", &second]).ok();
    goes_on("an upgrade");
    assert!(is_active(&machine, "cctl"));
    let log = machine.run(&["cctl", "logs", "web"]).ok();
    assert!(log.lines().count() > 20 && log.lines().zip(1..).all(|(line, number)| line == number.to_string()));

    // As it is when the host goes down.
    machine.run(&["systemctl", "stop", "cctl-containers"]).ok();
    assert_eq!((page(18091), is_active(&machine, "cctl")), (None, false));
    machine.run(&["systemctl", "start", "cctl", "cctl-containers"]).ok();
    assert!(machine.run(&["cctl", "ps", "-a", "--format", "{{.Status}}"]).ok().starts_with("Exited (0)"));
    machine.run(&["dpkg", "--purge", "cctl"]).ok();
    assert_eq!(machine.programs(), Vec::<String>::new());
    drop(machine);
}

#[test]
fn it_is_installed_upgraded_removed_and_purged() {
    let host = Instance::prepare();
    let machine = Machine::start(&host.scratch().join("machine"));
    let (first, second) = (deliver(&machine, "1.0-1"), deliver(&machine, "1.0-2"));
    let before = machine.files();

    // Installed, it is there and enabled; without systemd nothing is started.
    machine.run(&["dpkg", "-i", &first]).ok();
    for file in [
        "etc/systemd/system/multi-user.target.wants/cctl.service",
        "etc/systemd/system/multi-user.target.wants/cctl-containers.service",
        "lib/systemd/system/cctl.service",
        "etc/cctl/registries.toml",
        "usr/share/bash-completion/completions/cctl",
        "usr/share/man/man1/cctl-run.1.gz",
    ] {
        assert!(machine.path(file).symlink_metadata().is_ok(), "{file}");
    }
    assert_eq!(machine.programs(), Vec::<String>::new());
    verify_units(&machine);
    // As a host is on which cctl was installed without a package.
    for user in USERS.map(|(_, user)| user) {
        machine.run(&["deluser", "--quiet", user]).ok();
    }

    // The host has what it needs, and a container runs from it.
    assert!(machine.run(&["cctl", "system", "doctor"]).ok().contains("0 problems"));
    machine.run(&["cctl", "system", "start"]).ok();
    fs::write(machine.path("tmp/base.tar"), base_image()).unwrap();
    machine.run(&["cctl", "import", "/tmp/base.tar", "base"]).ok();
    let serve = "trap exit TERM; mkdir -p /www; echo here > /www/index.html; httpd -f -p 80 -h /www & \
        i=0; while :; do echo $((i=i+1)); sleep 0.02; done";
    let run =
        ["cctl", "run", "-d", "--name", "web", "--restart", "always", "-p", "18090:80", "base", "sh", "-c", serve];
    machine.run(&run).ok();
    eventually("it serves", || page(18090).filter(|page| page == "here\n"));
    let began = ["cctl", "inspect", "--format", "{{.State.Pid}} {{.State.StartedAt}}", "web"];
    let began_before = machine.run(&began).ok();

    // An upgrade replaces every process of ours, and nobody notices.
    let settings = machine.path("etc/cctl/registries.toml");
    fs::write(&settings, "default = \"localhost\"\n").unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (machine, done) = (&machine, &done);
        let commands = scope.spawn(move || {
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                machine.run(&["cctl", "ps", "-q"]).ok();
                let output = machine.run(&["cctl", "run", "--rm", "base", "echo", "on"]);
                assert_eq!(output.stdout, "on\n", "{output:?}");
                count += 2;
            }
            count
        });
        let requests = scope.spawn(move || {
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                assert_eq!(page(18090).as_deref(), Some("here\n"));
                count += 1;
            }
            count
        });
        machine.run(&["dpkg", "-i", &second]).ok();
        done.store(true, Ordering::Relaxed);
        println!("{} commands, {} requests during the upgrade", commands.join().unwrap(), requests.join().unwrap());
    });
    assert_eq!(
        machine.run(&["dpkg-query", "-W", "-f", "${Version} ${Status}", "cctl"]).ok(),
        "1.0-2 install ok installed"
    );
    assert_eq!(machine.run(&began).ok(), began_before, "the container is the same");
    users_are_named(&machine);
    let programs = machine.programs();
    let old: Vec<_> = programs.iter().filter(|program| program.ends_with(" (deleted)")).collect();
    assert!(old.iter().all(|program| program.contains("/cctl-shim")), "monitors alone are of before: {programs:?}");
    assert!(programs.len() - old.len() >= 8, "{programs:?}");
    assert_eq!(fs::read_to_string(&settings).unwrap(), "default = \"localhost\"\n", "an administrator's settings stay");
    let lines = |machine: &Machine| machine.run(&["cctl", "logs", "web"]).ok();
    let count = lines(&machine).lines().count();
    let log = eventually("the log goes on", || Some(lines(&machine)).filter(|log| log.lines().count() > count + 5));
    assert!(log.lines().zip(1..).all(|(line, number)| line == number.to_string()), "no gap, and nothing twice");

    // Removed, nothing runs; what is stored stays.
    machine.run(&["dpkg", "-r", "cctl"]).ok();
    assert_eq!(machine.programs(), Vec::<String>::new());
    assert_eq!(page(18090), None);
    assert!(!machine.path("usr/bin/cctl").exists() && settings.exists());
    machine.run(&["dpkg", "-i", &second]).ok();
    machine.run(&["cctl", "system", "start"]).ok();
    machine.run(&["cctl", "start", "web"]).ok();
    eventually("it serves again", || page(18090).filter(|page| page == "here\n"));

    // Also containers without services end; purged, nothing is left.
    machine.run(&["cctl", "system", "stop"]).ok();
    assert_eq!(page(18090).as_deref(), Some("here\n"));
    machine.run(&["dpkg", "--purge", "cctl"]).ok();
    assert_eq!(machine.programs(), Vec::<String>::new());
    assert_eq!(page(18090), None);
    let after = machine.files();
    // Of the users, who stay.
    let copies = ["etc/shadow-", "etc/gshadow-"].map(Path::new);
    let left: Vec<_> = after.difference(&before).filter(|path| !copies.contains(&path.as_path())).collect();
    assert!(left.is_empty(), "{left:?}");
    let gone: Vec<_> = before.difference(&after).collect();
    assert!(gone.is_empty(), "{gone:?}");
    drop(machine);
}
