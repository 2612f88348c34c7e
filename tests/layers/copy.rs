//! `cp`: files in and out, by the rules of Docker's.

use super::ran;
use harness::Instance;
use std::fs;

#[test]
fn files_and_directories_go_both_ways() {
    let cctl = Instance::start();
    ran(&cctl, "box", "mkdir -p /out/sub; echo one > /out/sub/file; ln -s sub/file /out/link; chmod 750 /out/sub");
    let here = |name: &str| cctl.scratch().join(name).display().to_string();
    cctl.cctl(&["cp", "box:/out", &here("copy")]).ok();
    assert_eq!(fs::read_to_string(here("copy/sub/file")).unwrap(), "one\n");
    assert_eq!(fs::read_link(here("copy/link")).unwrap().to_str(), Some("sub/file"));
    fs::create_dir(here("existing")).unwrap();
    cctl.cctl(&["cp", "box:/out", &here("existing")]).ok();
    assert_eq!(fs::read_to_string(here("existing/out/sub/file")).unwrap(), "one\n");
    cctl.cctl(&["cp", "box:/out/.", &here("existing")]).ok();
    assert_eq!(fs::read_to_string(here("existing/sub/file")).unwrap(), "one\n");
    cctl.cctl(&["cp", "box:/out/sub/file", &here("renamed")]).ok();
    assert_eq!(fs::read_to_string(here("renamed")).unwrap(), "one\n");

    fs::write(here("in"), "two\n").unwrap();
    cctl.cctl(&["cp", &here("in"), "box:/out/in"]).ok();
    cctl.cctl(&["cp", &here("in"), "box:/tmp/"]).ok();
    cctl.cctl(&["cp", &here("existing"), "box:/brought"]).ok();
    cctl.cctl(&["commit", "box", "after"]).ok();
    let script = "cat /out/in /tmp/in /brought/out/sub/file; stat -c %u:%g /tmp/in";
    assert_eq!(cctl.cctl(&["run", "--rm", "after", "sh", "-c", script]).ok(), "two\ntwo\none\n0:0");
}

#[test]
fn a_running_container_sees_what_is_copied_at_once() {
    let cctl = Instance::start();
    cctl.cctl(&[
        "run",
        "-d",
        "--name",
        "box",
        "base",
        "sh",
        "-c",
        "until [ -e /tmp/go ]; do sleep 0.05; done; cat /tmp/go",
    ])
    .ok();
    let file = cctl.scratch().join("go");
    fs::write(&file, "gone\n").unwrap();
    cctl.cctl(&["cp", file.to_str().unwrap(), "box:/tmp/go"]).ok();
    assert_eq!(cctl.cctl(&["wait", "box"]).ok(), "0");
    assert_eq!(cctl.cctl(&["logs", "box"]).ok(), "gone");
}

#[test]
fn no_link_of_the_container_leads_to_the_host() {
    let cctl = Instance::start();
    let outside = cctl.scratch().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret\n").unwrap();
    let script = format!("ln -s {} /evil; ln -s ../../../../../../etc /up", outside.display());
    ran(&cctl, "box", &script);
    let file = cctl.scratch().join("file");
    fs::write(&file, "x\n").unwrap();
    let denied = cctl.cctl(&["cp", file.to_str().unwrap(), "box:/evil/file"]);
    assert!(!outside.join("file").exists(), "{denied:?}");
    assert_ne!(cctl.cctl(&["cp", "box:/evil/secret", cctl.scratch().join("stolen").to_str().unwrap()]).code, 0);
    assert!(!cctl.scratch().join("stolen").exists());
    let passwd = cctl.cctl(&["cp", "box:/up/passwd", cctl.scratch().join("passwd").to_str().unwrap()]);
    if passwd.code == 0 {
        assert!(
            fs::read_to_string(cctl.scratch().join("passwd"))
                .unwrap()
                .contains("nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n")
        );
        assert_ne!(
            fs::read_to_string(cctl.scratch().join("passwd")).unwrap(),
            fs::read_to_string("/etc/passwd").unwrap()
        );
    }
}

#[test]
fn what_cannot_be_copied_is_said() {
    let cctl = Instance::start();
    ran(&cctl, "box", "echo x > /file");
    let file = cctl.scratch().join("there").display().to_string();
    cctl.cctl(&["cp", "box:/nothing", &file]).fails(1, &["/nothing"]);
    cctl.cctl(&["cp", "/does/not/exist", "box:/tmp"]).fails(1, &["/does/not/exist"]);
    cctl.cctl(&["cp", "nobody:/file", &file]).fails(1, &["nobody"]);
    cctl.cctl(&["cp", "box:/file", "/no/such/directory/file"]).fails(1, &["/no/such/directory"]);
    assert_ne!(cctl.cctl(&["cp", "/etc/passwd", "/tmp/x"]).code, 0, "one side must be a container");
}
