//! A container's users are nobody on the host.

use harness::{Instance, eventually};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

/// Ids of a container, unless the machine's owner says otherwise: 0x20000000 to 0x6fffffff.
const RANGE: std::ops::Range<u32> = 0x2000_0000..0x7000_0000;

fn sh(cctl: &Instance, options: &[&str], script: &str) -> String {
    cctl.cctl(&[&["run", "--rm"], options, &["base", "sh", "-c", script]].concat()).ok()
}

fn inspect(cctl: &Instance, name: &str) -> Value {
    serde_json::from_str::<Value>(&cctl.cctl(&["inspect", name]).ok()).unwrap()[0].take()
}

/// The first id of a container on the host, as `inspect` has it.
fn base(cctl: &Instance, name: &str) -> u32 {
    let container = inspect(cctl, name);
    let map = container["HostConfig"]["IDMappings"]["UidMap"][0].as_str().unwrap().to_owned();
    assert_eq!(container["HostConfig"]["IDMappings"]["GidMap"][0], map);
    let parts: Vec<&str> = map.split(':').collect();
    assert!(parts[0] == "0" && parts[2] == "65536", "{map}");
    parts[1].parse().unwrap()
}

fn field(pid: i64, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
}

#[test]
fn root_of_a_container_is_nobody_on_the_host() {
    let cctl = Instance::start();
    let map = sh(&cctl, &[], "cat /proc/self/uid_map /proc/self/gid_map");
    let words: Vec<u32> = map.split_whitespace().map(|word| word.parse().unwrap()).collect();
    assert_eq!((words[0], words[2], &words[..3]), (0, 65536, &words[3..]));
    assert!(RANGE.contains(&words[1]), "{map}");
    let host = sh(&cctl, &["--userns", "host"], "cat /proc/self/uid_map");
    assert_eq!(host.split_whitespace().collect::<Vec<_>>(), ["0", "0", "4294967295"]);
    cctl.cctl(&["run", "-d", "--name", "one", "base", "sleep", "600"]).ok();
    cctl.cctl(&["run", "-d", "--name", "two", "-u", "7:8", "base", "sleep", "600"]).ok();
    let (one, two) = (base(&cctl, "one"), base(&cctl, "two"));
    assert!(one.abs_diff(two) >= 65536, "{one} {two}");
    let pid = inspect(&cctl, "one")["State"]["Pid"].as_i64().unwrap();
    assert_eq!(field(pid, "Uid:"), vec![one.to_string(); 4].join("\t"));
    let pid = inspect(&cctl, "two")["State"]["Pid"].as_i64().unwrap();
    assert_eq!(field(pid, "Uid:"), vec![(two + 7).to_string(); 4].join("\t"));
    assert_eq!(field(pid, "Gid:"), vec![(two + 8).to_string(); 4].join("\t"));
    let listed = Command::new("ps").args(["-o", "uid=", "-p", &pid.to_string()]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&listed.stdout).trim(), (two + 7).to_string());
    // A start after a stop, and an exec, are in the same.
    let pid = |name: &str| inspect(&cctl, name)["State"]["Pid"].as_i64().unwrap();
    cctl.cctl(&["restart", "-t", "0", "one"]).ok();
    assert_eq!(field(pid("one"), "Uid:"), vec![one.to_string(); 4].join("\t"));
    let executed = cctl.cctl(&["exec", "one", "sh", "-c", "id -u; cat /proc/self/uid_map"]).ok();
    assert_eq!(executed.split_whitespace().collect::<Vec<_>>(), ["0", "0", &one.to_string(), "65536"]);
    assert_eq!(cctl.cctl(&["exec", "-u", "9", "one", "id", "-u"]).ok(), "9");
    cctl.cctl(&["rm", "-f", "one", "two"]).ok();
}

#[test]
fn every_container_has_ids_of_its_own() {
    let cctl = Instance::start();
    let names: Vec<String> = (0..12).map(|number| format!("c{number}")).collect();
    for name in &names {
        cctl.cctl(&["create", "--name", name, "base", "true"]).ok();
    }
    let bases = || -> Vec<u32> { names.iter().map(|name| base(&cctl, name)).collect() };
    let before = bases();
    assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), 12, "{before:?}");
    assert!(before.iter().all(|base| before.iter().filter(|other| base.abs_diff(**other) < 65536).count() == 1));
    // They are remembered, and none is given twice, whoever is killed.
    cctl.kill_service("containers");
    cctl.kill_service("executor");
    assert_eq!(bases(), before);
    cctl.cctl(&["create", "--name", "more", "base", "true"]).ok();
    assert!(!before.contains(&base(&cctl, "more")));
    cctl.cctl(&["create", "--name", "host", "--userns", "host", "base", "true"]).ok();
    assert_eq!(inspect(&cctl, "host")["HostConfig"]["UsernsMode"], "host");
}

#[test]
fn the_machines_owner_says_which_ids_there_are() {
    let cctl = Instance::prepare();
    fs::create_dir(cctl.config()).unwrap();
    let file = cctl.config().join("containers.toml");
    fs::write(&file, "[userns]\nfirst = 1000000\ncount = 2\n").unwrap();
    cctl.cctl(&["system", "start"]).ok();
    cctl.cctl_with_input(&["import", "-", "base"], harness::base_image()).ok();
    cctl.cctl(&["create", "--name", "one", "base", "true"]).ok();
    cctl.cctl(&["create", "--name", "two", "base", "true"]).ok();
    assert_eq!((base(&cctl, "one"), base(&cctl, "two")), (1_000_000, 1_065_536));
    cctl.cctl(&["create", "base", "true"]).fails(1, &["1000000", "--userns host"]);
    cctl.cctl(&["rm", "one"]).ok();
    cctl.cctl(&["create", "--name", "three", "base", "true"]).ok();
    assert_eq!(base(&cctl, "three"), 1_000_000);
    fs::write(&file, "[userns]\ndefault = \"host\"\n").unwrap();
    assert!(sh(&cctl, &[], "cat /proc/self/uid_map").ends_with("4294967295"));
    assert!(sh(&cctl, &["--userns", "private"], "cat /proc/self/uid_map").ends_with("65536"));
    fs::write(&file, "[userns]\nfrist = 5\n").unwrap();
    cctl.cctl(&["run", "--rm", "base", "true"]).fails(125, &["containers.toml", "frist"]);
}

#[test]
fn files_belong_inside_to_whom_they_belong_on_the_disk() {
    let cctl = Instance::start();
    // All of the image is root's, and the container's root may do what root may.
    let script = "stat -c %u:%g / /bin /bin/busybox /etc/passwd /etc/hosts /proc/1 /dev /dev/null /dev/pts /dev/shm; \
                  touch /made && chown 65535:1234 /made && stat -c %u:%g /made; touch /own && stat -c %u:%g /own; \
                  echo '127.0.0.9 more' >> /etc/hosts && tail -n 1 /etc/hosts; chmod 4755 /own";
    let expected = "0:0\n0:0\n0:0\n0:0\n0:0\n0:0\n0:0\n0:0\n0:0\n0:0\n65535:1234\n0:0\n127.0.0.9 more";
    assert_eq!(cctl.cctl(&["run", "--name", "box", "base", "sh", "-c", script]).ok(), expected);
    let mut changes: Vec<String> = cctl.cctl(&["diff", "box"]).ok().lines().map(str::to_owned).collect();
    changes.sort();
    // Nothing was changed that the container has not changed.
    assert_eq!(changes, ["A /made", "A /own"]);
    // In an archive, and in another container of a committed image, they are the same.
    let archive = cctl.command(&["export", "box"]).output().unwrap().stdout;
    fs::write(cctl.scratch().join("box.tar"), archive).unwrap();
    let listed = Command::new("tar").args(["--numeric-owner", "-tvf"]).arg(cctl.scratch().join("box.tar")).output();
    let listed = String::from_utf8_lossy(&listed.unwrap().stdout).into_owned();
    let owner = |name: &str| {
        let line = listed.lines().find(|line| line.ends_with(&format!(" {name}"))).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!([owner("made"), owner("own"), owner("etc/passwd")], ["65535/1234", "0/0", "0/0"]);
    cctl.cctl(&["commit", "box", "made"]).ok();
    let script = "stat -c %u:%g:%a /made /own";
    let seen = cctl.cctl(&["run", "--rm", "made", "sh", "-c", script]).ok();
    assert_eq!(seen, "65535:1234:644\n0:0:4755");
    assert_eq!(cctl.cctl(&["run", "--rm", "--userns", "host", "made", "sh", "-c", script]).ok(), seen);
    cctl.cctl(&["rm", "box"]).ok();
}

#[test]
fn copies_keep_their_owners() {
    let cctl = Instance::start();
    let (file, back) = (cctl.scratch().join("file"), cctl.scratch().join("back"));
    fs::write(&file, "text").unwrap();
    std::os::unix::fs::chown(&file, Some(12), Some(34)).unwrap();
    cctl.cctl(&["run", "-d", "--name", "box", "base", "sleep", "600"]).ok();
    for name in ["box", "stopped"] {
        if name == "stopped" {
            cctl.cctl(&["run", "--name", "stopped", "base", "true"]).ok();
        }
        cctl.cctl(&["cp", "-a", file.to_str().unwrap(), &format!("{name}:/kept")]).ok();
        cctl.cctl(&["cp", file.to_str().unwrap(), &format!("{name}:/given")]).ok();
        if name == "stopped" {
            cctl.cctl(&["commit", "stopped", "copied"]).ok();
            assert_eq!(
                cctl.cctl(&["run", "--rm", "copied", "stat", "-c", "%u:%g", "/kept", "/given"]).ok(),
                "12:34\n0:0"
            );
        } else {
            assert_eq!(cctl.cctl(&["exec", "box", "stat", "-c", "%u:%g", "/kept", "/given"]).ok(), "12:34\n0:0");
        }
        cctl.cctl(&["cp", "-a", &format!("{name}:/kept"), back.to_str().unwrap()]).ok();
        let found = fs::metadata(&back).unwrap();
        assert_eq!((found.uid(), found.gid()), (12, 34), "{name}");
        fs::remove_file(&back).unwrap();
    }
    cctl.cctl(&["rm", "-f", "box", "stopped"]).ok();
}

#[test]
fn a_volume_gives_what_the_hosts_files_allow() {
    let cctl = Instance::start();
    let host = cctl.scratch().join("shared");
    fs::create_dir(&host).unwrap();
    fs::write(host.join("secret"), "secret").unwrap();
    fs::set_permissions(host.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(host.join("public"), "public").unwrap();
    let volume = format!("{}:/data", host.display());
    let script = "cat /data/public; cat /data/secret 2>&1; touch /data/x 2>/dev/null || echo ' refused'";
    let seen = sh(&cctl, &["-v", &volume], script);
    assert!(seen.starts_with("publiccat") && seen.contains("Permission denied") && seen.ends_with("refused"), "{seen}");
    // If it is told to.
    for options in [["-v", &format!("{volume}:idmap")[..], "--userns="], ["-v", &volume, "--userns=host"]] {
        let script = "cat /data/secret; touch /data/x; stat -c ' %u:%g' /data/x /data/secret; rm /data/x";
        assert_eq!(sh(&cctl, &options, script), "secret 0:0\n 0:0", "{options:?}");
    }
    let mount = format!("type=bind,source={},target=/data,readonly,idmap", host.display());
    let script = "cat /data/secret; touch /data/x 2>&1 | grep -o Read-only";
    assert_eq!(sh(&cctl, &["--mount", &mount], script), "secretRead-only");
    // One that is made is for the container.
    let fresh = cctl.scratch().join("fresh");
    let volume = format!("{}:/data", fresh.display());
    assert_eq!(sh(&cctl, &["-v", &volume], "touch /data/x && stat -c %u /data /data/x"), "0\n0");
    assert!(RANGE.contains(&fs::metadata(fresh.join("x")).unwrap().uid()));
}

#[test]
fn what_needs_rights_works_inside() {
    let cctl = Instance::start();
    // Ports below 1024, raw sockets, other users, terminals, streams that are opened again.
    let script =
        "nc -l -p 80 > /tmp/got & until echo hi | nc -w 1 127.0.0.1 80; do sleep 0.1; done; wait; cat /tmp/got";
    assert_eq!(sh(&cctl, &[], script), "hi");
    assert!(sh(&cctl, &[], "ping -c 1 -W 5 127.0.0.1").contains("1 packets received"));
    assert_eq!(sh(&cctl, &[], "su daemon -s /bin/sh -c 'id -u; echo out > /tmp/mine; stat -c %u /tmp/mine'"), "1\n1");
    assert_eq!(sh(&cctl, &["-u", "1000:1000"], "echo again > /dev/stdout; id -u > /dev/stderr"), "again");
    assert_eq!(
        sh(&cctl, &["-w", "/new/place", "-u", "5"], "pwd; stat -c %u . ; touch x && stat -c %u x"),
        "/new/place\n5\n5"
    );
    let terminal = sh(&cctl, &["-t", "-u", "7"], "stat -c %u $(tty); echo x > /dev/tty");
    assert_eq!(terminal.replace('\r', ""), "7\nx");
    assert_eq!(sh(&cctl, &["--network", "host"], "ls /sys/class/net").lines().filter(|line| *line == "lo").count(), 1);
    cctl.cctl(&["run", "--rm", "-u", "65536", "base", "true"]).fails(125, &["65536", "--userns host"]);
}

#[test]
fn nothing_of_a_user_namespace_is_left() {
    let cctl = Instance::start();
    let count = || {
        let all = fs::read_dir("/proc").unwrap().flatten();
        let links = all.filter_map(|entry| fs::read_link(entry.path().join("ns/user")).ok());
        links.map(|link| link.display().to_string()).collect::<BTreeSet<_>>()
    };
    let before = count();
    cctl.cctl(&["run", "-d", "--name", "box", "base", "sleep", "600"]).ok();
    assert_eq!(count().difference(&before).count(), 1);
    cctl.cctl(&["rm", "-f", "box"]).ok();
    eventually("the namespace is gone", || count().is_subset(&before).then_some(()));
}
