//! The file system of a container, and what of the host is mounted in it.

use harness::Instance;
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn images_stay_as_they_are() {
    let cctl = Instance::start();
    let script = "echo mine > /etc/passwd; rm /bin/ls; mkdir /new; cat /etc/passwd; [ -e /bin/ls ] || echo gone";
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "sh", "-c", script]).ok(), "mine\ngone");
    assert_eq!(
        cctl.cctl(&["run", "--rm", "base", "head", "-n", "1", "/etc/passwd"]).ok(),
        "root:x:0:0:root:/root:/bin/sh"
    );
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "ls", "-d", "/bin/ls", "/new"]).stdout, "/bin/ls\n");
}

#[test]
fn volumes_share_directories_and_files() {
    let cctl = Instance::start();
    let host = cctl.scratch().join("shared");
    fs::create_dir(&host).unwrap();
    fs::write(host.join("from-host"), "hello\n").unwrap();
    let (volume, read_only) = (format!("{}:/data", host.display()), format!("{}:/data:ro", host.display()));
    let script = "cat /data/from-host; echo hi > /data/from-container";
    let mapped = format!("{volume}:idmap");
    assert_eq!(cctl.cctl(&["run", "--rm", "-v", &mapped, "base", "sh", "-c", script]).ok(), "hello");
    assert_eq!(fs::read_to_string(host.join("from-container")).unwrap(), "hi\n");
    let refused = cctl.cctl(&["run", "--rm", "-v", &read_only, "base", "touch", "/data/x"]);
    assert!(refused.code != 0 && refused.stderr.contains("Read-only"), "{refused:?}");
    let file = format!("{}:/etc/greeting", host.join("from-host").display());
    assert_eq!(cctl.cctl(&["run", "--rm", "-v", &file, "base", "cat", "/etc/greeting"]).ok(), "hello");
}

#[test]
fn an_images_symlinks_do_not_reach_the_host() {
    let cctl = Instance::start();
    let tree = cctl.scratch().join("tree");
    let outside = cctl.scratch().join("outside");
    fs::create_dir_all(tree.join("bin")).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::copy("/bin/busybox", tree.join("bin/busybox")).unwrap();
    symlink("busybox", tree.join("bin/sh")).unwrap();
    symlink(&outside, tree.join("etc")).unwrap();
    symlink(&outside, tree.join("data")).unwrap();
    let archive = cctl.scratch().join("tree.tar");
    let made = std::process::Command::new("tar").arg("-C").arg(&tree).arg("-cf").arg(&archive).arg(".").status();
    assert!(made.unwrap().success());
    cctl.cctl(&["import", archive.to_str().unwrap(), "hostile"]).ok();
    let volume = format!("{}:/data/x", cctl.scratch().join("shared").display());
    cctl.cctl(&["run", "--rm", "-v", &volume, "-w", "/data/work", "hostile", "/bin/sh", "-c", "echo in"]);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "nothing was made outside");
}

#[test]
fn images_come_in_every_compression() {
    let cctl = Instance::start();
    let archive = cctl.scratch().join("base.tar");
    let recipe = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/base-image");
    fs::write(&archive, std::process::Command::new(recipe).output().unwrap().stdout).unwrap();
    for (name, program) in [("gzip", "gzip"), ("bzip2", "bzip2"), ("xz", "xz")] {
        let packed = std::process::Command::new(program).arg("-c").arg(&archive).output().unwrap();
        assert!(packed.status.success());
        let id = cctl.cctl_with_input(&["import", "-", name], &packed.stdout).ok();
        assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
        assert_eq!(cctl.cctl(&["run", "--rm", name, "echo", name]).ok(), name);
    }
    let listed = cctl.cctl(&["images"]).ok();
    for name in ["base", "gzip", "bzip2", "xz"] {
        assert!(listed.lines().any(|line| line.starts_with(name) && line.contains("latest")), "{listed}");
    }
}
