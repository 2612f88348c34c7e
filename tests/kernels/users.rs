//! Users of containers, where the kernel maps their ids, and what is said where it does not.

use crate::kernel;
use harness::Instance;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const LIMIT: &str = "/proc/sys/user/max_user_namespaces";
/// A tmpfs, whose ids can be mapped since this kernel; those of ext4 always could.
const SHARED_MEMORY: &str = "/dev/shm";
const MAPPED_SHARED_MEMORY: (u32, u32) = (6, 3);

fn sh(cctl: &Instance, options: &[&str], script: &str) -> harness::Output {
    cctl.cctl(&[&["run", "--rm"], options, &["base", "sh", "-c", script]].concat())
}

/// A volume with a file that is root's alone.
fn secret(directory: &Path) -> String {
    let volume = directory.join("volume");
    fs::create_dir(&volume).unwrap();
    fs::write(volume.join("secret"), "known").unwrap();
    fs::set_permissions(volume.join("secret"), PermissionsExt::from_mode(0o600)).unwrap();
    volume.to_str().unwrap().to_owned()
}

#[test]
fn root_is_nobody_on_the_host_and_its_files_are_its_own() {
    let cctl = Instance::start();
    let map = sh(&cctl, &[], "cat /proc/self/uid_map").ok();
    let words: Vec<u32> = map.split_whitespace().map(|word| word.parse().unwrap()).collect();
    assert!(words[0] == 0 && words[1] >= 0x2000_0000 && words[2] == 65536, "{map}");
    // Files of layers, and new ones in directories of layers.
    let script = "touch /etc/new && mkdir /new && chown 7:8 /new && mv /etc/passwd /etc/moved && \
        stat -c '%u %g' /etc /etc/new /new /etc/moved";
    assert_eq!(sh(&cctl, &[], script).ok(), "0 0\n0 0\n7 8\n0 0");
    let volume = secret(cctl.scratch());
    let read = "cat /data/secret";
    assert_ne!(sh(&cctl, &["-v", &format!("{volume}:/data")], read).code, 0);
    assert_eq!(sh(&cctl, &["-v", &format!("{volume}:/data:idmap")], read).ok(), "known");
    assert_eq!(sh(&cctl, &["-v", &format!("{volume}:/data"), "--userns", "host"], read).ok(), "known");
}

#[test]
fn a_volume_whose_filesystem_maps_no_ids_is_refused() {
    let cctl = Instance::start();
    let directory = tempfile::tempdir_in(SHARED_MEMORY).unwrap();
    let volume = format!("{}:/data:idmap", secret(directory.path()));
    let run = sh(&cctl, &["-v", &volume], "cat /data/secret");
    if kernel() >= MAPPED_SHARED_MEMORY {
        assert_eq!(run.ok(), "known");
    } else {
        run.fails(125, &["cannot be mapped", "leave out idmap"]);
    }
}

#[test]
fn a_state_directory_whose_filesystem_maps_no_ids_is_for_containers_with_the_hosts_users() {
    let cctl = Instance::start_with_small_state(512 << 20);
    let run = sh(&cctl, &[], "echo runs");
    if kernel() >= MAPPED_SHARED_MEMORY {
        assert_eq!(run.ok(), "runs");
    } else {
        run.fails(125, &["cannot be mapped", "--userns host"]);
    }
    assert_eq!(sh(&cctl, &["--userns", "host"], "touch /new && echo runs").ok(), "runs");
}

#[test]
fn a_host_without_user_namespaces_is_told_of() {
    let cctl = Instance::start();
    let before = fs::read_to_string(LIMIT).unwrap();
    fs::write(LIMIT, "0").unwrap();
    let run = sh(&cctl, &[], "echo runs");
    let host = sh(&cctl, &["--userns", "host"], "echo runs");
    let doctor = cctl.cctl(&["system", "doctor"]);
    fs::write(LIMIT, before).unwrap();
    run.fails(125, &["max_user_namespaces", "--userns host"]);
    assert_eq!(host.ok(), "runs");
    assert!(doctor.code != 0 && doctor.stdout.contains("max_user_namespaces"), "{doctor:?}");
    assert_eq!(sh(&cctl, &[], "echo runs").ok(), "runs");
}
