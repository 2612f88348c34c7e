//! /etc/hostname, /etc/hosts and /etc/resolv.conf of a container.

mod resolver;

use crate::mount::{Tree, of_file};
use resolver::Resolver;
use schema::Failure;
use schema::common::Volume;
use schema::filesystem::{HostEntry, Names};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const DIRECTORY: &str = "etc";
pub(crate) const FILES: [&str; 3] = ["hostname", "hosts", "resolv.conf"];
const LOCALHOST: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
const LONGEST_HOSTNAME: usize = 253;
/// The host's own, and what systemd-resolved forwards to when the first names only its stub on loopback.
const HOST_FILES: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// The three files, to be mounted. They are made if they are missing. One whose place a volume takes is left
/// out: the user's word counts.
pub(crate) fn trees(container: &Path, volumes: &[Volume]) -> Result<Vec<Tree>, Failure> {
    let mut trees = Vec::new();
    for name in FILES {
        let target = format!("/etc/{name}");
        let path = container.join(DIRECTORY).join(name);
        open(&path).map_err(|error| writing(&path, &error))?;
        if !volumes.iter().any(|volume| is_path(&volume.target, &target)) {
            trees.push(of_file(&path, target)?);
        }
    }
    Ok(trees)
}

/// Fills the three files of a container that was mounted. They keep their inodes, which are mounted.
pub(crate) fn write(container: &Path, names: &Names) -> Result<(), Failure> {
    let Names { hostname, hosts, nameservers, search } = names;
    check_name(hostname)?;
    let resolver = Resolver::new(nameservers, search)?;
    let contents = [format!("{hostname}\n"), render_hosts(hosts)?, resolver.render(&host_files()?)];
    if !container.exists() {
        return Err(Failure::not_found("the container has no filesystem: it was never mounted, or it was released"));
    }
    for (name, content) in FILES.iter().zip(contents) {
        let path = container.join(DIRECTORY).join(name);
        open(&path).and_then(|file| replace(&file, &content)).map_err(|error| writing(&path, &error))?;
    }
    Ok(())
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o644).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o644))?;
    Ok(file)
}

fn replace(file: &File, content: &str) -> io::Result<()> {
    file.write_all_at(content.as_bytes(), 0)?;
    file.set_len(content.len() as u64)
}

fn writing(path: &Path, error: &io::Error) -> Failure {
    Failure::io(format_args!("writing {}", path.display()), error)
}

/// Whether two absolute paths are the same but for slashes and dots.
fn is_path(one: &str, other: &str) -> bool {
    let parts = |path| Path::new(path).components().collect::<PathBuf>();
    parts(one) == parts(other)
}

fn render_hosts(entries: &[HostEntry]) -> Result<String, Failure> {
    let mut text = LOCALHOST.to_owned();
    for HostEntry { address, hostname } in entries {
        let address: IpAddr =
            address.parse().map_err(|_| Failure::invalid(format_args!("{address:?} is not an IP address")))?;
        check_name(hostname)?;
        text.push_str(&format!("{address}\t{hostname}\n"));
    }
    Ok(text)
}

/// A name must be one word, or it would say something else in the file.
fn check_name(name: &str) -> Result<(), Failure> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if (1..=LONGEST_HOSTNAME).contains(&name.len()) && name.bytes().all(is_plain) {
        Ok(())
    } else {
        Err(Failure::invalid(format_args!("{name:?} is not a host name"))
            .hint("use letters, digits, dots and hyphens, at most 253"))
    }
}

fn host_files() -> Result<Vec<String>, Failure> {
    let mut files = Vec::new();
    for path in HOST_FILES {
        match fs::read(path) {
            Ok(content) => files.push(String::from_utf8_lossy(&content).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::io(format_args!("reading {path}"), &error)),
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_begin_with_localhost_and_take_no_tricks() {
        let entry = |address: &str, hostname: &str| HostEntry { address: address.into(), hostname: hostname.into() };
        let text = render_hosts(&[entry("10.0.0.2", "web"), entry("fd00::2", "web")]).unwrap();
        assert_eq!(text, format!("{LOCALHOST}10.0.0.2\tweb\nfd00::2\tweb\n"));
        for bad in [entry("10.0.0", "web"), entry("10.0.0.2", "web\n1.1.1.1 x"), entry("10.0.0.2", "")] {
            assert!(render_hosts(&[bad]).is_err());
        }
    }

    #[test]
    fn files_keep_their_inode_and_shrink() {
        use std::os::unix::fs::MetadataExt;
        let container = tempfile::tempdir().unwrap();
        let names = |hostname: &str| Names {
            hostname: hostname.to_owned(),
            hosts: vec![],
            nameservers: vec![],
            search: vec![],
        };
        write(container.path(), &names("a-long-name")).unwrap();
        let path = container.path().join("etc/hostname");
        let inode = fs::metadata(&path).unwrap().ino();
        write(container.path(), &names("short")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "short\n");
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
        assert!(write(&container.path().join("none"), &names("x")).is_err());
        assert!(write(container.path(), &names("x y")).is_err());
    }

    #[test]
    fn paths_are_compared_by_their_parts() {
        assert!(is_path("/etc//./hosts/", "/etc/hosts"));
        assert!(!is_path("/etc/hosts.d", "/etc/hosts"));
    }
}
