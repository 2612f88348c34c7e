//! Bad input gets one clear error that names the value, a non-zero exit code, and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use harness::{Instance, eventually};
use std::fs;

#[test]
fn run_refuses_what_it_cannot_do() {
    let cctl = Instance::start();
    let cases: [(&[&str], i32, &[&str]); 27] = [
        (&["127.0.0.1:1/nope", "true"], 125, &["127.0.0.1:1", "nope", "cannot connect"]),
        (&["nope:1.0", "true"], 125, &["nope:1.0"]),
        (&["UPPER", "true"], 125, &["UPPER"]),
        (&["-m", "abc", "base", "true"], 125, &["abc"]),
        (&["-m", "1m", "base", "true"], 125, &["1m", "6"]),
        (&["--cpus", "x", "base", "true"], 125, &["x"]),
        (&["--cpus", "-1", "base", "true"], 125, &["-1"]),
        (&["--pids-limit", "many", "base", "true"], 125, &["many"]),
        (&["-p", "", "base", "true"], 125, &["port"]),
        (&["-p", "65536", "base", "true"], 125, &["65536"]),
        (&["-p", "-1", "base", "true"], 125, &["-1"]),
        (&["-p", "80/sctp", "base", "true"], 125, &["sctp"]),
        (&["-p", "nowhere:80:80", "base", "true"], 125, &["nowhere"]),
        (&["-v", "data:/data", "base", "true"], 125, &["data"]),
        (&["-v", "/x:data", "base", "true"], 125, &["data"]),
        (&["-v", "/x:/", "base", "true"], 125, &["/"]),
        (&["-u", "stranger", "base", "true"], 125, &["stranger"]),
        (&["-u", "root:strangers", "base", "true"], 125, &["strangers"]),
        (&["-h", "bad_host!", "base", "true"], 125, &["bad_host!"]),
        (&["-w", "relative", "base", "true"], 125, &["relative"]),
        (&["--name", "bad name", "base", "true"], 125, &["bad name"]),
        (&["--network", "moon", "base", "true"], 125, &["moon"]),
        (&["--log-opt", "max-size=tiny", "base", "true"], 125, &["tiny"]),
        (&["--log-opt", "colour=red", "base", "true"], 125, &["colour"]),
        (&["-e", "=x", "base", "true"], 125, &["=x"]),
        (&["--no-such-flag", "base", "true"], 125, &["--no-such-flag"]),
        (&["-a", "foo", "base", "true"], 125, &["foo"]),
    ];
    for (arguments, code, words) in cases {
        let output = cctl.cctl(&[&["run", "--rm"], arguments].concat());
        assert!(output.stderr.lines().count() <= 6, "{arguments:?}: {output:?}");
        output.fails(code, words);
        assert_eq!(cctl.cctl(&["ps", "-aq"]).ok(), "", "{arguments:?} left a container");
    }
}

#[test]
fn run_refuses_what_it_cannot_confine() {
    let cctl = Instance::start();
    let scratch = cctl.scratch();
    let file = |name: &str, content: &str| {
        fs::write(scratch.join(name), content).unwrap();
        format!("seccomp={}", scratch.join(name).display())
    };
    let typing_error = file(
        "typo.json",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdri"], "action": "SCMP_ACT_ERRNO"}]}"#,
    );
    let no_json = file("no.json", "defaultAction: SCMP_ACT_ALLOW");
    let unknown_key = file("key.json", r#"{"defaultAction": "SCMP_ACT_ALLOW", "sycalls": []}"#);
    let huge = file("huge.json", &" ".repeat(300_000));
    let missing = format!("seccomp={}", scratch.join("missing.json").display());
    let plain = scratch.join("no.json").display().to_string();
    let cases: [(&[&str], &[&str]); 41] = [
        (&["--cap-add", "FLY"], &["FLY", "NET_ADMIN"]),
        (&["--cap-drop", "CAP_FLY"], &["CAP_FLY"]),
        (&["--cap-add", ""], &["--cap-add"]),
        (&["--privileged=maybe"], &["--privileged"]),
        (&["--read-only=no"], &["--read-only"]),
        (&["--security-opt", "no-such=x"], &["no-such", "seccomp="]),
        (&["--security-opt", "no-new-privileges=perhaps"], &["perhaps"]),
        (&["--security-opt", "seccomp="], &["seccomp"]),
        (&["--security-opt", &missing], &["missing.json"]),
        (&["--security-opt", &no_json], &["seccomp profile"]),
        (&["--security-opt", &typing_error], &["mkdri"]),
        (&["--security-opt", &unknown_key], &["sycalls"]),
        (&["--security-opt", &huge], &["256 KiB"]),
        (&["--security-opt", "label=colour:red"], &["colour:red"]),
        (&["--security-opt", "apparmor=a b"], &["apparmor"]),
        (&["--security-opt", "systempaths=none"], &["systempaths"]),
        (&["--device", "/dev/no-such-device"], &["/dev/no-such-device"]),
        (&["--device", "/etc/passwd:/dev/x"], &["/etc/passwd", "no device"]),
        (&["--device", &format!("{plain}:/dev/x")], &["no.json", "no device"]),
        (&["--device", "/dev/fuse:/etc/fuse"], &["/etc/fuse", "/dev"]),
        (&["--device", "/dev/fuse:/dev/../etc/fuse"], &["/dev/../etc/fuse"]),
        (&["--device", "/dev/fuse:rwx"], &["rwx"]),
        (&["--device", "/dev/fuse:/dev/pts/0"], &["/dev/pts/0"]),
        (&["--device", "/dev/fuse:/dev/null"], &["/dev/null"]),
        (&["--device", "/dev/fuse:/dev/a", "--device", "/dev/fuse:/dev//a"], &["/dev//a"]),
        (&["--device", "fuse"], &["fuse"]),
        (&["--tmpfs", "tmp"], &["tmp"]),
        (&["--tmpfs", "/"], &["\"/\""]),
        (&["--tmpfs", "/tmp:size=big"], &["big"]),
        (&["--tmpfs", "/tmp:mode=999"], &["999"]),
        (&["--tmpfs", "/tmp", "--tmpfs", "/tmp/"], &["/tmp/"]),
        (&["--tmpfs", "/etc/passwd"], &["/etc/passwd"]),
        (&["--shm-size", "some"], &["some"]),
        (&["--shm-size", "1"], &["1 bytes"]),
        (&["--group-add", "strangers"], &["strangers"]),
        (&["--sysctl", "kernel.panic=1"], &["kernel.panic"]),
        (&["--sysctl", "net.no.such=1"], &["net.no.such"]),
        (&["--sysctl", "net.core.somaxconn=many"], &["net.core.somaxconn", "many"]),
        (&["--network", "host", "--sysctl", "net.core.somaxconn=1"], &["net.core.somaxconn", "host"]),
        (&["--ulimit", "files=1"], &["files"]),
        (&["--ulimit", "nofile=2:1"], &["nofile"]),
    ];
    for (arguments, words) in cases {
        let output = cctl.cctl(&[&["run", "--rm"], arguments, &["base", "true"]].concat());
        assert!(output.stderr.lines().count() <= 6, "{arguments:?}: {output:?}");
        output.fails(125, words);
        assert_eq!(cctl.cctl(&["ps", "-aq"]).ok(), "", "{arguments:?} left a container");
    }
}

#[test]
fn commands_that_cannot_be_run_have_dockers_codes() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "--rm", "base", "no-such-command"]).fails(127, &["no-such-command"]);
    cctl.cctl(&["run", "--rm", "base", "/no/such/file"]).fails(127, &["/no/such/file"]);
    cctl.cctl(&["run", "--rm", "base", "/etc"]).fails(126, &["/etc"]);
    cctl.cctl(&["run", "--rm", "base", "/etc/passwd"]).fails(126, &["/etc/passwd"]);
    cctl.cctl(&["run", "--rm", "base"]).fails(125, &["command"]);
    assert_eq!(cctl.cctl(&["ps", "-aq"]).ok(), "");
    // Without --rm it stays, and says why.
    assert_eq!(cctl.cctl(&["run", "--name", "broken", "base", "no-such-command"]).code, 127);
    let inspected: serde_json::Value = serde_json::from_str(&cctl.cctl(&["inspect", "broken"]).ok()).unwrap();
    assert!(inspected[0]["State"]["Error"].as_str().unwrap().contains("no-such-command"), "{inspected}");
    cctl.cctl(&["rm", "broken"]).ok();
}

#[test]
fn unknown_objects_are_named() {
    let cctl = Instance::start();
    for verb in ["start", "stop", "restart", "kill", "wait", "rm", "inspect", "logs", "attach", "port"] {
        let output = cctl.cctl(&[verb, "nobody"]);
        assert!(output.code == 1 && output.stderr.contains("nobody"), "{verb}: {output:?}");
        assert_ne!(cctl.cctl(&[verb]).code, 0, "{verb} without arguments");
        assert_ne!(cctl.cctl(&[verb, ""]).code, 0, "{verb} with an empty name");
    }
    let id = cctl.cctl(&["run", "-d", "base", "sleep", "600"]).ok();
    cctl.cctl(&["kill", "-s", "NOSUCH", &id]).fails(125, &["NOSUCH"]);
    cctl.cctl(&["stop", "-t", "soon", &id]).fails(125, &["soon"]);
    cctl.cctl(&["port", &id, "81"]).fails(1, &["81"]);
    cctl.cctl(&["start", &id]).fails(1, &["running"]);
    cctl.cctl(&["frobnicate"]).fails(1, &["frobnicate"]);
    cctl.cctl(&["system", "restart", "nobody"]).fails(1, &["nobody"]);
    cctl.cctl(&["rm", "-f", &id]).ok();
}

#[test]
fn an_ambiguous_prefix_says_so() {
    let cctl = Instance::start();
    // With 17 ids, two begin with the same digit.
    let ids: Vec<String> = (0..17).map(|_| cctl.cctl(&["run", "-d", "base", "true"]).ok()).collect();
    let shared = ids.iter().find_map(|id| {
        let digit = &id[..1];
        (ids.iter().filter(|other| other.starts_with(digit)).count() > 1).then(|| digit.to_owned())
    });
    cctl.cctl(&["inspect", &shared.unwrap()]).fails(1, &["beginning of", "more digits"]);
}

#[test]
fn bad_archives_are_refused_and_nothing_is_stored() {
    let cctl = Instance::start();
    let images = cctl.cctl(&["images", "-q"]).ok();
    for (archive, reason) in
        [(&b"this is no archive"[..], "tar"), (b"", "empty"), (&[0x1f, 0x8b, 8, 0, 1, 2, 3, 4], "gzip")]
    {
        let output = cctl.cctl_with_input(&["import", "-", "bad"], archive);
        assert_eq!(output.code, 1, "{output:?}");
        assert!(output.stderr.contains(reason), "{reason}: {output:?}");
    }
    cctl.cctl(&["import", "/no/such/file", "bad"]).fails(1, &["/no/such/file"]);
    cctl.cctl_with_input(&["import", "-", "Bad:Name:x"], b"").fails(1, &["Bad:Name:x"]);
    assert_eq!(cctl.cctl(&["images", "-q"]).ok(), images);
}

#[test]
fn a_corrupt_record_harms_nobody_else() {
    let cctl = Instance::start();
    let start = |name: &str| cctl.cctl(&["run", "-d", "--name", name, "base", "sleep", "600"]).ok();
    let (good, bad) = (start("good"), start("bad"));
    let mut records = Vec::new();
    named(&cctl.root().join("containers"), &bad, &mut records);
    assert!(!records.is_empty(), "a record is named by its id");
    let service = cctl.pid("containers");
    for record in records {
        fs::write(record, "garbage").unwrap();
    }
    let service = rustix::process::Pid::from_raw(service).unwrap();
    rustix::process::kill_process(service, rustix::process::Signal::KILL).unwrap();
    eventually("the other is there", || {
        let listed = cctl.cctl(&["ps", "-q"]);
        (listed.code == 0 && listed.stdout.trim() == &good[..12]).then_some(())
    });
    assert!(cctl.logs().contains(&bad), "the damage is named");
    cctl.cctl(&["inspect", &bad]).fails(1, &[&bad[..12], "damaged"]);
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "on"]).ok(), "on");
    // What is left of it can still be removed.
    cctl.cctl(&["rm", "-f", &bad, "good"]).ok();
}

/// Files below a directory whose names begin so.
fn named(directory: &std::path::Path, beginning: &str, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            named(&path, beginning, found);
        } else if path.file_name().unwrap().to_string_lossy().starts_with(beginning) {
            found.push(path);
        }
    }
}

#[test]
fn without_a_system_there_is_one_clear_line() {
    let cctl = Instance::prepare();
    for arguments in [&["ps"][..], &["run", "--rm", "base", "true"], &["system", "status"], &["images"]] {
        let output = cctl.cctl(arguments);
        assert_ne!(output.code, 0);
        assert!(output.stderr.contains("not running") && output.stderr.contains("cctl system start"), "{output:?}");
        assert_eq!(output.stdout, "");
    }
    let stopped = cctl.cctl(&["system", "stop"]);
    assert!(stopped.stderr.contains("not running") || stopped.stdout.contains("not running"), "{stopped:?}");
    let relative = cctl.command(&["ps"]).env("CCTL_RUN", "run").output().unwrap();
    assert!(String::from_utf8_lossy(&relative.stderr).contains("CCTL_RUN=run"));
}

#[test]
fn without_root_there_is_one_clear_line() {
    let cctl = Instance::start();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(cctl.scratch(), open).unwrap();
    for arguments in [&["ps"][..], &["system", "stop"]] {
        let mut command = cctl.command(arguments);
        let program = command.get_program().to_owned();
        let copy = cctl.scratch().join("cctl");
        fs::copy(program, &copy).unwrap();
        let output = std::process::Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&copy)
            .args(arguments)
            .env("CCTL_ROOT", cctl.root())
            .env("CCTL_RUN", cctl.runtime())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains("root"), "{text}");
        command.stdin(std::process::Stdio::null());
    }
}
