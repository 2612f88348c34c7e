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
                assert_eq!(machine.run(&["cctl", "run", "--rm", "base", "echo", "on"]).ok(), "on");
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
    let left: Vec<_> = after.difference(&before).collect();
    assert!(left.is_empty(), "{left:?}");
    let gone: Vec<_> = before.difference(&after).collect();
    assert!(gone.is_empty(), "{gone:?}");
    drop(machine);
}
