//! A host that gets users for our services, while containers run that began without.

use harness::{Instance, eventually};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

const USERS: &str = "cctl-images:x:52200:52200::/:/bin/false\ncctl-logs:x:52201:52202::/:/bin/false\n\
    cctl-containers:x:52203:52203::/:/bin/false\n";

/// Gives this thread, and what it starts, a passwd file that is its own: the answer.
fn own_passwd() -> tempfile::NamedTempFile {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
    let copy = tempfile::NamedTempFile::new().unwrap();
    fs::copy("/etc/passwd", copy.path()).unwrap();
    fs::set_permissions(copy.path(), PermissionsExt::from_mode(0o644)).unwrap();
    mount(Some(copy.path()), "/etc/passwd", None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    copy
}

/// More than a pipe holds, so that a part is spilled where nobody captures it.
const LINES: usize = 2000;

#[test]
fn containers_of_before_go_on_with_the_users_of_now() {
    let passwd = own_passwd();
    let cctl = Instance::start();
    let go = cctl.scratch().join("go");
    fs::create_dir(&go).unwrap();
    fs::set_permissions(&go, PermissionsExt::from_mode(0o755)).unwrap();
    let volume = format!("{}:/v:ro", go.display());
    let script = format!(
        "echo before; while [ ! -e /v/now ]; do sleep 0.05; done; i=0; \
         while [ $i -lt {LINES} ]; do i=$((i + 1)); printf '%d %01000d\\n' $i 0; done; read word; echo $word"
    );
    let run = |name: &str, more: &[&str]| {
        let first = ["run", "-d", "-i", "--name", name, "-v", volume.as_str()];
        cctl.cctl(&[&first, more, &["base", "sh", "-c", &script][..]].concat()).ok();
        eventually("it has begun", || (cctl.cctl(&["logs", name]).ok() == "before").then_some(()));
    };
    run("blocks", &[]);
    run("drops", &["--log-opt", "mode=drop"]);
    let who = || cctl.cctl(&["system", "audit", "--format", "{{.Process}} {{.UID}} {{.GID}}"]).ok();
    assert!(!who().contains("5220"), "{}", who());

    cctl.cctl(&["system", "stop"]).ok();
    fs::write(go.join("now"), "").unwrap();
    let mut passwd = OpenOptions::new().append(true).open(passwd.path()).unwrap();
    passwd.write_all(USERS.as_bytes()).unwrap();
    cctl.cctl(&["system", "start"]).ok();
    let who = who();
    for line in ["image-store 52200 52200", "log-collector 52201 52202", "containers 52203 52203"] {
        assert!(who.lines().any(|found| found == line), "{line}: {who}");
    }
    let numbers = || {
        let log = cctl.cctl(&["logs", "blocks"]).ok();
        log.lines().skip(1).map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect::<Vec<usize>>()
    };
    let all = eventually("all of it is in the log", || Some(numbers()).filter(|found| found.len() >= LINES));
    assert!(all.into_iter().eq(1..=LINES), "no gap, and nothing twice");
    for name in ["blocks", "drops"] {
        let said = cctl.cctl_with_input(&["attach", name], b"after\n").ok();
        assert!(said.ends_with("after"), "{name}: {said}");
        assert_eq!(cctl.cctl(&["wait", name]).ok(), "0");
        assert!(cctl.cctl(&["logs", name]).ok().ends_with("\nafter"), "{name}");
    }
}
