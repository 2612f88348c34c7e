//! Devices of the host in a container: those that were given, as they were given, and no others.

use crate::sh;
use harness::Instance;
use serde_json::Value;

/// Whether a path can be opened for reading, and for writing.
fn opens(path: &str) -> String {
    format!("(: < {path}) 2>/dev/null && echo read; (: > {path}) 2>/dev/null && echo write; true")
}

#[test]
fn a_device_is_given_with_its_owner_and_numbers() {
    let cctl = Instance::start();
    assert_eq!(sh(&cctl, &[], "ls /dev/fuse 2>/dev/null || echo none"), "none");
    let shown = sh(&cctl, &["--device", "/dev/fuse"], &format!("stat -c '%F %t %T' /dev/fuse; {}", opens("/dev/fuse")));
    assert_eq!(shown, "character special file a e5\nread\nwrite");
    let id = cctl.cctl(&["run", "-d", "--device", "/dev/fuse:/dev/of/mine:rw", "base", "sleep", "600"]).ok();
    let exec = |script: &str| cctl.cctl(&["exec", &id, "sh", "-c", script]).ok();
    assert_eq!(exec(&opens("/dev/of/mine")), "read\nwrite");
    cctl.kill_service("executor");
    cctl.cctl(&["restart", "-t", "0", &id]).ok();
    assert_eq!(exec(&opens("/dev/of/mine")), "read\nwrite");
    let inspected: Value = serde_json::from_str(&cctl.cctl(&["inspect", &id]).ok()).unwrap();
    let device = &inspected[0]["HostConfig"]["Devices"][0];
    assert_eq!(device["PathOnHost"], "/dev/fuse");
    assert_eq!((&device["PathInContainer"], &device["CgroupPermissions"]), (&"/dev/of/mine".into(), &"rw".into()));
    cctl.cctl(&["rm", "-f", &id]).ok();
}

#[test]
fn what_may_be_done_to_a_device_is_what_was_said() {
    let cctl = Instance::start();
    assert_eq!(sh(&cctl, &["--device", "/dev/fuse:r"], &opens("/dev/fuse")), "read");
    assert_eq!(sh(&cctl, &["--device", "/dev/fuse:/dev/x:w"], &opens("/dev/x")), "write");
    // What every container has stays, terminals too.
    let script = "tty; echo x > /dev/null && echo on";
    let mut terminal = cctl.terminal(&["run", "--rm", "-t", "--device", "/dev/fuse:r", "base", "sh", "-c", script]);
    terminal.shows("/dev/pts/0");
    assert_eq!(terminal.wait(), 0, "{}", terminal.screen());
    assert!(terminal.screen().contains("on"), "{}", terminal.screen());
    // A directory of devices.
    let all = sh(&cctl, &["--device", "/dev/net:/dev/net:r"], "ls /dev/net");
    assert_eq!(
        all,
        std::fs::read_dir("/dev/net")
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect::<Vec<_>>()
            .join("\n")
    );
}

#[test]
fn whoever_can_make_nodes_cannot_open_what_was_not_given() {
    let cctl = Instance::start();
    let made = "mknod /dev/mine c 10 229 && echo made; mknod /dev/nothing c 1 5 && head -c 3 /dev/nothing | wc -c";
    let script = format!("{made}; {}", opens("/dev/mine"));
    // With users of its own, it cannot make any, whatever it may.
    let refused = "mknod /dev/mine c 10 229 2>/dev/null || echo refused";
    assert_eq!(sh(&cctl, &["--cap-add", "MKNOD"], refused), "refused");
    let host = ["--userns", "host", "--cap-add"];
    assert_eq!(sh(&cctl, &[&host[..], &["MKNOD"]].concat(), &script), "made\n3");
    let mounted = format!("mkdir /mnt; mount -t devtmpfs x /mnt && ls /mnt/fuse; {}", opens("/mnt/fuse"));
    assert_eq!(sh(&cctl, &[&host[..], &["SYS_ADMIN"]].concat(), &mounted), "/mnt/fuse");
    assert_eq!(
        sh(&cctl, &[&host[..], &["SYS_ADMIN", "--device", "/dev/fuse:r"]].concat(), &mounted),
        "/mnt/fuse\nread"
    );
}
