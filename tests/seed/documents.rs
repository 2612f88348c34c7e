//! What the documents of 0.1.3 told people to type, with `cctl` for `docker`; the longer examples are pages of
//! the guide, and `tests/docs` types them.

use harness::{Instance, Registry, eventually};
use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Stdio};

/// README, "Usage examples", line by line. The image is in a registry of ours, and has no apt.
#[test]
fn the_readmes_usage_works_line_by_line() {
    let registry = Registry::start();
    let cctl = Instance::start_with_registry(&registry);
    // Running an interactive shell: docker pull base; docker run -i -t base /bin/bash
    cctl.cctl(&["pull", "base"]).ok();
    let mut shell = cctl.terminal(&["run", "-i", "-t", "base", "/bin/sh"]);
    shell.shows("/ # ");
    shell.type_text("exit\n");
    assert_eq!(shell.wait(), 0);
    // Starting a long-running worker process.
    let job = cctl.cctl(&["run", "-d", "base", "/bin/sh", "-c", "while true; do echo Hello world; sleep 1; done"]).ok();
    eventually("its output", || cctl.cctl(&["logs", &job]).stdout.contains("Hello world").then_some(()));
    cctl.cctl(&["kill", &job]).ok();
    // Listing all running containers.
    assert!(cctl.cctl(&["ps"]).ok().starts_with("CONTAINER ID"));
    // Share your own image.
    let container = cctl.cctl(&["run", "-d", "base", "sh", "-c", "echo curl > /bin/curl2"]).ok();
    cctl.cctl(&["wait", &container]).ok();
    let image = cctl.cctl(&["commit", "-m", "Installed curl", &container, "user/betterbase"]).ok();
    let pushed = cctl.cctl(&["push", "user/betterbase"]).ok();
    cctl.cctl(&["rmi", "-f", "user/betterbase"]).ok();
    cctl.cctl(&["pull", "-q", "user/betterbase"]).ok();
    assert_eq!(cctl.cctl(&["images", "-q", "--no-trunc", "user/betterbase"]).ok(), image);
    assert!(pushed.contains("digest: sha256:"), "{pushed}");
    // Expose a service on a TCP port.
    let job = cctl.cctl(&["run", "-d", "-p", "4444", "base", "/bin/nc", "-l", "-p", "4444"]).ok();
    let port: u16 =
        cctl.cctl(&["port", &job, "4444"]).ok().lines().next().unwrap().rsplit(':').next().unwrap().parse().unwrap();
    send("127.0.0.1", port, "hello world\n");
    assert_eq!(cctl.cctl(&["wait", &job]).ok(), "0");
    assert_eq!(cctl.cctl(&["logs", &job]).ok(), "hello world");
}

/// Sends a line as soon as somebody listens.
fn send(host: &str, port: u16, text: &str) {
    eventually("the service takes a message", || {
        let mut stream = TcpStream::connect((host, port)).ok()?;
        stream.write_all(text.as_bytes()).ok()?;
        stream.shutdown(std::net::Shutdown::Write).ok()
    });
}

/// commandline/workingwithrepository: login; commit; push.
#[test]
fn working_with_a_repository() {
    use harness::test_registry::{PASSWORD, Setup, USER};
    let registry = Registry::with(Setup { tls: false, password: true });
    let cctl = Instance::start();
    cctl.configure(&format!("default = \"{}\"\n", registry.name()));
    let mut login = cctl.terminal(&["login"]);
    login.shows("Username:");
    login.type_text(&format!("{USER}\n"));
    login.shows("Password:");
    login.type_text(&format!("{PASSWORD}\n"));
    login.shows("Login Succeeded");
    assert_eq!(login.wait(), 0);
    cctl.cctl(&["run", "--name", "box", "base", "touch", "/x"]).ok();
    cctl.cctl(&["commit", "box", "user/name"]).ok();
    cctl.cctl(&["push", "user/name"]).ok();
}

/// contrib/mkimage-busybox.sh: build a root, `tar | docker import - busybox`, and run it.
#[test]
fn an_image_is_made_of_busybox() {
    let cctl = Instance::start();
    let root = cctl.scratch().join("rootfs");
    std::fs::create_dir_all(root.join("bin")).unwrap();
    let busybox = Command::new("sh").args(["-c", "command -v busybox"]).output().unwrap();
    std::fs::copy(String::from_utf8(busybox.stdout).unwrap().trim(), root.join("bin/busybox")).unwrap();
    std::os::unix::fs::symlink("busybox", root.join("bin/echo")).unwrap();
    std::fs::create_dir(root.join("etc")).unwrap();
    std::fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n").unwrap();
    let tar = Command::new("tar").args(["-c", "-f", "-", "."]).current_dir(&root).output().unwrap();
    cctl.cctl_with_input(&["import", "-", "busybox"], &tar.stdout).ok();
    assert_eq!(cctl.cctl(&["run", "-i", "-u", "root", "busybox", "/bin/echo", "Success."]).ok(), "Success.");
}

/// A whole Debian, made by debootstrap.
#[test]
fn an_image_is_made_by_debootstrap() {
    let cctl = Instance::start();
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/make");
    let mut tar = Command::new(recipe).arg("debian").stdout(Stdio::piped()).spawn().unwrap();
    let arguments = ["import", "-c", "CMD [\"bash\"]", "-", "debian:12"];
    let import = cctl.command(&arguments).stdin(tar.stdout.take().unwrap()).output().unwrap();
    assert!(import.status.success() && tar.wait().unwrap().success(), "{import:?}");
    let script = ". /etc/os-release; echo $ID $VERSION_ID; dpkg --verify && echo whole";
    assert_eq!(cctl.cctl(&["run", "--rm", "debian:12", "bash", "-c", script]).ok(), "debian 12\nwhole");
}

/// installation/upgrading: kill the daemon, put the new program in its place, start it.
#[test]
fn an_upgrade_leaves_containers_running() {
    let cctl = Instance::start();
    cctl.cctl(&[
        "run",
        "-d",
        "--name",
        "box",
        "base",
        "sh",
        "-c",
        "trap 'exit 5' USR1; echo up; while :; do sleep 0.05; done",
    ])
    .ok();
    let pid = cctl.cctl(&["inspect", "-f", "{{.State.Pid}}", "box"]).ok();
    cctl.cctl(&["system", "stop"]).ok();
    cctl.cctl(&["system", "start"]).ok();
    assert_eq!(cctl.cctl(&["inspect", "-f", "{{.State.Pid}}", "box"]).ok(), pid);
    cctl.cctl(&["kill", "-s", "USR1", "box"]).ok();
    assert_eq!(cctl.cctl(&["wait", "box"]).ok(), "5");
}
