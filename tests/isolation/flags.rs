//! What a container is given, or denied, by a word of its user.

use crate::sh;
use harness::Instance;
use serde_json::Value;
use std::fs;

const RUNNING: &[&str] = &["base", "sleep", "600"];

fn field(status: &str, name: &str) -> String {
    status.lines().find_map(|line| line.strip_prefix(name)).expect("a field of status").trim().to_owned()
}

fn capabilities(status: &str) -> u64 {
    u64::from_str_radix(&field(status, "CapEff:"), 16).unwrap()
}

fn inspected(cctl: &Instance, container: &str) -> Value {
    let all: Value = serde_json::from_str(&cctl.cctl(&["inspect", container]).ok()).unwrap();
    all[0]["HostConfig"].clone()
}

const STATUS: &str = "cat /proc/self/status";
const CHOWN: u64 = 1;
const NET_ADMIN: u64 = 1 << 12;
const SYS_TIME: u64 = 1 << 25;

#[test]
fn capabilities_are_added_and_dropped() {
    let cctl = Instance::start();
    let usual = capabilities(&sh(&cctl, &[], STATUS));
    let of = |options: &[&str]| capabilities(&sh(&cctl, options, STATUS));
    assert_eq!(of(&["--cap-add", "net_admin", "--cap-drop", "CAP_CHOWN"]), usual & !CHOWN | NET_ADMIN);
    assert_eq!(of(&["--cap-drop", "all"]), 0);
    assert_eq!(of(&["--cap-drop", "ALL", "--cap-add", "CAP_NET_ADMIN"]), NET_ADMIN);
    let all = of(&["--cap-add", "ALL", "--cap-drop", "SYS_TIME"]);
    assert!(all & !SYS_TIME == all && all & usual == usual && all.count_ones() > 30, "{all:x}");
    // They are for root; a user has none, and a program that gives him some cannot give more.
    let user = sh(&cctl, &["--cap-add", "NET_ADMIN", "-u", "daemon"], STATUS);
    assert_eq!((capabilities(&user), field(&user, "CapBnd:")), (0, format!("{:016x}", usual | NET_ADMIN)));
    assert_eq!(sh(&cctl, &["--cap-add", "NET_ADMIN"], "ip link set lo down && echo done"), "done");
    let script = "chown daemon /tmp 2>/dev/null || echo refused";
    assert_eq!(sh(&cctl, &["--cap-drop", "CHOWN"], script), "refused");
}

#[test]
fn a_capability_brings_the_system_calls_that_are_for_it() {
    let cctl = Instance::start();
    let script = "mkdir /mnt; mount -t tmpfs x /mnt 2>/dev/null && touch /mnt/a && echo mounted || echo refused";
    assert_eq!(sh(&cctl, &[], script), "refused");
    assert_eq!(sh(&cctl, &["--cap-add", "SYS_ADMIN"], script), "mounted");
    // The filter stays: what no capability is for is refused, and no other capability helps.
    assert_eq!(field(&sh(&cctl, &["--cap-add", "SYS_ADMIN"], STATUS), "Seccomp:"), "2");
    assert_eq!(sh(&cctl, &["--cap-add", "NET_ADMIN"], script), "refused");
}

#[test]
fn a_read_only_root_is_not_written() {
    let cctl = Instance::start();
    let shared = cctl.scratch().join("shared");
    fs::create_dir(&shared).unwrap();
    let volume = format!("{}:/data:idmap", shared.display());
    let options = ["--read-only", "--tmpfs", "/run:size=1m,mode=0700", "-v", &volume, "-w", "/made/for/it"];
    let all = [&["run", "-d", "--name", "box"], &options[..], RUNNING].concat();
    cctl.cctl(&all).ok();
    let inside = |script: &str| cctl.cctl(&["exec", "box", "sh", "-c", script]);
    for place in ["/x", "/etc/passwd", "/etc/hosts", "/etc/resolv.conf", "/made/for/it/x", "/bin/sh"] {
        let output = inside(&format!("echo x > {place}"));
        assert!(output.code != 0 && output.stderr.contains("Read-only file system"), "{place}: {output:?}");
    }
    assert_eq!(inside("touch /run/a /data/b /dev/shm/c && ls /run; stat -c %a /run; pwd").ok(), "a\n700\n/made/for/it");
    assert!(shared.join("b").exists());
    assert!(inside("cat /proc/self/mountinfo").ok().lines().next().unwrap().contains(" / ro,"));
    let file = cctl.scratch().join("file");
    fs::write(&file, "x").unwrap();
    let copied = cctl.cctl(&["cp", file.to_str().unwrap(), "box:/"]);
    assert!(copied.code != 0 && copied.stderr.contains("ead-only"), "{copied:?}");
    assert_eq!(inspected(&cctl, "box")["ReadonlyRootfs"], true);
    assert_eq!(inspected(&cctl, "box")["Tmpfs"]["/run"], "rw,noexec,nosuid,nodev,mode=700,size=1048576");
    // The next run, too; and what is in memory is gone.
    cctl.cctl(&["restart", "-t", "0", "box"]).ok();
    assert_eq!(inside("ls /run; touch /x || echo refused").ok(), "refused");
    // An image that is made of it is no more read-only than any.
    cctl.cctl(&["commit", "box", "made"]).ok();
    assert_eq!(cctl.cctl(&["run", "--rm", "made", "sh", "-c", "touch /x && ls /x"]).ok(), "/x");
    cctl.cctl(&["rm", "-f", "box"]).ok();
}

#[test]
fn filesystems_in_memory_are_below_and_above_volumes() {
    let cctl = Instance::start();
    let shared = cctl.scratch().join("shared");
    fs::create_dir(&shared).unwrap();
    let volume = format!("{}:/run/inner:idmap", shared.display());
    let script = "touch /run/inner/x; echo 'echo ran' > /run/p; chmod 755 /run/p; /run/p 2>/dev/null || echo not run; \
                  stat -c '%a %u %g' /run; grep -c ' /run ' /proc/self/mountinfo; head -c 200000 /dev/zero > /run/f || echo full";
    let output = cctl.cctl(&[
        "run",
        "--rm",
        "-v",
        &volume,
        "--tmpfs",
        "/run:size=64k,mode=750,uid=1,gid=2",
        "base",
        "sh",
        "-c",
        script,
    ]);
    assert_eq!(output.stdout, "not run\n750 1 2\n1\nfull\n", "{output:?}");
    assert!(shared.join("x").exists(), "the volume is on top, whatever was said first");
    assert_eq!(sh(&cctl, &["--tmpfs", "/t:exec"], "cp /bin/busybox /t/busybox && /t/busybox echo ran"), "ran");
    assert_eq!(sh(&cctl, &["--tmpfs", "/t:ro"], "touch /t/a 2>/dev/null || echo refused"), "refused");
}

#[test]
fn programs_give_more_rights_only_if_that_is_said() {
    let cctl = Instance::start();
    let script = "mkdir /mine && cp /bin/busybox /mine/ping && chmod 4755 /mine/ping && sleep 600";
    for (option, wanted) in
        [("no-new-privileges", "1"), ("no-new-privileges=true", "1"), ("no-new-privileges=false", "0")]
    {
        cctl.cctl(&["run", "-d", "--name", "box", "--security-opt", option, "base", "sh", "-c", script]).ok();
        harness::eventually("it is there", || {
            (cctl.cctl(&["exec", "box", "stat", "-c", "%a", "/mine/ping"]).stdout == "4755\n").then_some(())
        });
        let exec = |command: &[&str]| cctl.cctl(&[&["exec", "-u", "daemon", "box"], command].concat());
        let status = exec(&["cat", "/proc/self/status"]).ok();
        assert_eq!((field(&status, "NoNewPrivs:"), field(&status, "Seccomp:")), (wanted.to_owned(), "2".to_owned()));
        // A packet of one's own making is for root.
        let pinged = exec(&["/mine/ping", "-c", "1", "127.0.0.1"]);
        assert_eq!(pinged.code == 0, wanted == "0", "{option}: {pinged:?}");
        cctl.cctl(&["rm", "-f", "box"]).ok();
    }
}

const NO_MKDIR: &str = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
    {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
    {"names": ["sethostname"], "action": "SCMP_ACT_KILL_PROCESS"},
    {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]}]}"#;

#[test]
fn a_profile_of_ones_own_filters_system_calls() {
    let cctl = Instance::start();
    let profile = cctl.scratch().join("profile.json");
    fs::write(&profile, NO_MKDIR).unwrap();
    let option = format!("seccomp={}", profile.display());
    cctl.cctl(&[&["run", "-d", "--name", "box", "--security-opt", &option], RUNNING].concat()).ok();
    // It is the container's own from now on.
    fs::remove_file(&profile).unwrap();
    let check = || {
        let inside = |script: &str| cctl.cctl(&["exec", "box", "sh", "-c", script]);
        let made = inside("touch /file && mkdir /directory");
        assert!(made.code != 0 && made.stderr.contains("Permission denied"), "{made:?}");
        assert_eq!(inside("ls -d /file /directory 2>/dev/null").stdout, "/file\n");
        assert_eq!(inside("hostname x").code, 128 + 31, "SIGSYS");
        assert_eq!(
            inside("trap 'echo heard' USR2; kill -USR1 $$ 2>/dev/null || echo refused; kill -USR2 $$").ok(),
            "refused\nheard"
        );
        assert_eq!(field(&inside(STATUS).ok(), "Seccomp:"), "2");
    };
    check();
    for service in ["executor", "containers"] {
        cctl.kill_service(service);
    }
    check();
    cctl.cctl(&["restart", "-t", "0", "box"]).ok();
    check();
    assert_eq!(inspected(&cctl, "box")["SecurityOpt"][0], format!("seccomp={NO_MKDIR}"));
    cctl.cctl(&["rm", "-f", "box"]).ok();
    let unconfined = ["--security-opt", "seccomp=unconfined"];
    assert_eq!(field(&sh(&cctl, &unconfined, STATUS), "Seccomp:"), "0");
    assert_eq!(sh(&cctl, &unconfined, "unshare -U true && echo made"), "made");
    // Whoever may gain privileges is filtered all the same.
    fs::write(&profile, NO_MKDIR).unwrap();
    let both = ["--security-opt", &option, "--security-opt", "no-new-privileges=false"];
    assert_eq!(sh(&cctl, &both, "mkdir /x 2>/dev/null || grep Seccomp: /proc/self/status"), "Seccomp:\t2");
}

#[test]
fn a_privileged_container_has_all_and_says_so() {
    let cctl = Instance::start();
    let output = cctl.cctl(&["run", "-d", "--name", "box", "--privileged", "base", "sleep", "600"]);
    assert!(output.stderr.contains("--privileged") && output.stderr.contains("as good as root"), "{output:?}");
    let inside = |script: &str| cctl.cctl(&["exec", "box", "sh", "-c", script]);
    let own = capabilities(&fs::read_to_string(format!("/proc/{}/status", cctl.pid("executor"))).unwrap());
    let check = || {
        let status = inside(STATUS).ok();
        assert_eq!(capabilities(&status), own);
        assert_eq!((field(&status, "NoNewPrivs:"), field(&status, "Seccomp:")), ("0".to_owned(), "0".to_owned()));
    };
    check();
    assert_eq!(
        inside("mkdir /mnt; mount -t tmpfs x /mnt && touch /mnt/a && umount /mnt && echo mounted").ok(),
        "mounted"
    );
    assert_eq!(inside("mknod /zero c 1 5 && head -c 3 /zero | wc -c").ok(), "3");
    assert_eq!(inside("cat /proc/sys/kernel/msgmax > /proc/sys/kernel/msgmax && echo written").ok(), "written");
    assert_eq!(inside("grep -c ' /proc/kcore ' /proc/self/mountinfo").stdout, "0\n");
    assert_eq!(inside("stat -c '%t %T' /dev/fuse").ok(), "a e5");
    assert_eq!(inspected(&cctl, "box")["Privileged"], true);
    cctl.kill_service("executor");
    cctl.cctl(&["restart", "-t", "0", "box"]).ok();
    check();
    cctl.cctl(&["rm", "-f", "box"]).ok();
    // All but what was said otherwise.
    let said = ["--privileged", "--read-only", "--security-opt", "no-new-privileges"];
    assert_eq!(sh(&cctl, &said, "touch /x 2>/dev/null || grep NoNewPrivs /proc/self/status"), "NoNewPrivs:\t1");
}

#[test]
fn a_further_process_has_what_its_container_has() {
    let cctl = Instance::start();
    let options = ["--cap-drop", "ALL", "--cap-add", "NET_ADMIN", "--group-add", "tty", "--group-add", "7777"];
    let limit = ["--ulimit", "nofile=77:88", "--ulimit", "core=0"];
    cctl.cctl(&[&["run", "-d", "--name", "box"], &options[..], &limit, RUNNING].concat()).ok();
    let exec =
        |flags: &[&str], script: &str| cctl.cctl(&[&["exec"], flags, &["box", "sh", "-c", script]].concat()).ok();
    assert_eq!(capabilities(&exec(&[], STATUS)), NET_ADMIN);
    assert_eq!(exec(&[], "ulimit -Sn; ulimit -Hn; ulimit -c"), "77\n88\n0");
    assert!(exec(&["-u", "daemon"], "id -G").split(' ').any(|group| group == "7777"));
    // One that is privileged has every capability, and the container's filter.
    let status = exec(&["--privileged"], STATUS);
    assert!(capabilities(&status).count_ones() > 30);
    assert_eq!((field(&status, "Seccomp:"), field(&status, "NoNewPrivs:")), ("2".to_owned(), "1".to_owned()));
    assert_eq!(capabilities(&exec(&[], STATUS)), NET_ADMIN, "the container is as it was");
    let host = inspected(&cctl, "box");
    assert_eq!((&host["CapAdd"][0], &host["CapDrop"][0]), (&"CAP_NET_ADMIN".into(), &"ALL".into()));
    assert_eq!((&host["Ulimits"][0]["Soft"], &host["GroupAdd"][1]), (&77.into(), &"7777".into()));
    cctl.cctl(&["rm", "-f", "box"]).ok();
}

#[test]
fn kernel_parameters_and_shared_memory_are_its_own() {
    let cctl = Instance::start();
    let options =
        ["--sysctl", "net.ipv4.ip_unprivileged_port_start=7", "--sysctl", "kernel.msgmax=9000", "--shm-size", "1m"];
    let script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax; \
                  head -c 2000000 /dev/zero > /dev/shm/x 2>/dev/null || echo full; \
                  (echo 8 > /proc/sys/net/ipv4/ip_unprivileged_port_start) 2>/dev/null || echo refused";
    assert_eq!(sh(&cctl, &options, script), "7\n9000\nfull\nrefused");
    let open = ["--security-opt", "systempaths=unconfined"];
    assert_eq!(sh(&cctl, &open, "cat /proc/sys/kernel/msgmax > /proc/sys/kernel/msgmax && echo written"), "written");
}

#[test]
fn labels_are_for_hosts_that_have_them() {
    let cctl = Instance::start();
    let app_armor = fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.trim() == "Y");
    let selinux = std::path::Path::new("/sys/fs/selinux/enforce").exists();
    for free in ["apparmor=unconfined", "label=disable"] {
        assert_eq!(sh(&cctl, &["--security-opt", free], "echo on"), "on");
    }
    for (option, there, words) in [
        ("apparmor=no-such-profile", app_armor, &["no-such-profile", "AppArmor"][..]),
        ("label=type:nothing_t", selinux, &["nothing_t", "SELinux"]),
    ] {
        let output = cctl.cctl(&["run", "--rm", "--security-opt", option, "base", "true"]);
        if there {
            assert!(output.code == 125 && output.stderr.contains(words[0]), "{output:?}");
        } else {
            output.fails(125, words);
        }
    }
    assert_eq!(cctl.cctl(&["ps", "-aq"]).ok(), "");
}
