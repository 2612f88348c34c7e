//! /etc/hostname, /etc/hosts and /etc/resolv.conf of a container.

mod follow;
mod resolver;

pub(crate) use follow::follow;

use crate::mount::{Tree, Users, of_file};
use kit::store::{Durability, Store};
use resolver::Resolver;
use schema::Failure;
use schema::filesystem::{HostEntry, Names};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const DIRECTORY: &str = "etc";
pub(crate) const FILES: [&str; 3] = ["hostname", "hosts", "resolv.conf"];
const LOCALHOST: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
const LONGEST_HOSTNAME: usize = 253;
/// Where a container's answer to "which name servers" is recorded, and its name there.
const RESOLVER: &str = "resolver";
/// The host's own, and what systemd-resolved forwards to when the first names only its stub on loopback.
pub(crate) const HOST_FILES: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// The three files, to be mounted. They are made if they are missing. One whose place is taken by a volume is left
/// out: the user's word counts.
pub(crate) fn trees(
    container: &Path,
    taken: &[&str],
    read_only: bool,
    users: Option<&Users>,
) -> Result<Vec<Tree>, Failure> {
    let mut trees = Vec::new();
    for name in FILES {
        let target = format!("/etc/{name}");
        let path = container.join(DIRECTORY).join(name);
        open(&path).map_err(|error| writing(&path, &error))?;
        if !taken.iter().any(|taken| is_path(taken, &target)) {
            trees.push(of_file(&path, target, read_only, users)?);
        }
    }
    Ok(trees)
}

/// Fills the three files of a container that was mounted. They keep their inodes, which are mounted.
pub(crate) fn write(container: &Path, names: &Names, host_files: &[PathBuf]) -> Result<(), Failure> {
    let Names { hostname, hosts, nameservers, search } = names;
    check_name(hostname)?;
    let resolver = Resolver::new(nameservers, search)?;
    let contents = [format!("{hostname}\n"), render_hosts(hosts)?, resolver.render(&read(host_files)?)];
    if !container.exists() {
        return Err(Failure::not_found("the container has no filesystem: it was never mounted, or it was released"));
    }
    let followed = Followed { resolver, written: contents[2].clone() };
    for (name, content) in FILES.iter().zip(contents) {
        let path = container.join(DIRECTORY).join(name);
        // Made when it was mounted, unless somebody took it away.
        let there = OpenOptions::new().write(true).open(&path).or_else(|_| open(&path));
        there.and_then(|file| replace(&file, &content)).map_err(|error| writing(&path, &error))?;
    }
    record(container)?.put(RESOLVER, &followed, Durability::Process)
}

/// What /etc/resolv.conf of a container was made of.
#[derive(Debug, Serialize, Deserialize)]
struct Followed {
    resolver: Resolver,
    /// The file as we wrote it: one that the container's user has changed is left alone.
    written: String,
}

/// Writes /etc/resolv.conf anew if the host's has changed. In place: the file is mounted in the container.
pub(crate) fn follow_host(container: &Path, host_files: &[PathBuf]) -> Result<(), Failure> {
    let path = container.join(DIRECTORY).join(FILES[2]);
    let failed = |error: io::Error| writing(&path, &error);
    let there = match fs::read(&path) {
        // It was never started, or it was released.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    let store = record(container)?;
    let Some((_, Followed { resolver, written })) = store.load()?.0.pop() else { return Ok(()) };
    let content = resolver.render(&read(host_files)?);
    if there != written.as_bytes() || content == written {
        return Ok(());
    }
    let file = OpenOptions::new().write(true).open(&path).map_err(failed)?;
    replace(&file, &content).map_err(failed)?;
    store.put(RESOLVER, &Followed { resolver, written: content }, Durability::Process)
}

fn record(container: &Path) -> Result<Store<Followed>, Failure> {
    Store::open_volatile(container.join(RESOLVER), "resolver", 1)
}

fn open(path: &Path) -> io::Result<File> {
    let open = || OpenOptions::new().write(true).create(true).truncate(false).mode(0o644).open(path);
    let file = match (open(), path.parent()) {
        (Err(error), Some(directory)) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(directory)?;
            open()?
        }
        (opened, _) => opened?,
    };
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

/// What these files say; those that are not there say nothing.
fn read(files: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let mut contents = Vec::new();
    for path in files {
        match fs::read(path) {
            Ok(content) => contents.push(String::from_utf8_lossy(&content).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::io(format_args!("reading {}", path.display()), &error)),
        }
    }
    Ok(contents)
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
        write(container.path(), &names("a-long-name"), &[]).unwrap();
        let path = container.path().join("etc/hostname");
        let inode = fs::metadata(&path).unwrap().ino();
        write(container.path(), &names("short"), &[]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "short\n");
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
        assert!(write(&container.path().join("none"), &names("x"), &[]).is_err());
        assert!(write(container.path(), &names("x y"), &[]).is_err());
    }

    #[test]
    fn paths_are_compared_by_their_parts() {
        assert!(is_path("/etc//./hosts/", "/etc/hosts"));
        assert!(!is_path("/etc/hosts.d", "/etc/hosts"));
    }

    #[test]
    fn the_hosts_servers_are_followed_unless_the_user_has_changed_the_file() {
        let (container, host) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let files = [host.path().join("resolv.conf")];
        let path = container.path().join("etc/resolv.conf");
        let names = |nameservers: &[&str]| Names {
            hostname: "x".to_owned(),
            hosts: vec![],
            nameservers: nameservers.iter().map(|server| (*server).to_owned()).collect(),
            search: vec![],
        };
        follow_host(container.path(), &files).unwrap();
        fs::write(&files[0], "nameserver 10.0.0.1\n").unwrap();
        write(container.path(), &names(&[]), &files).unwrap();
        fs::write(&files[0], "nameserver 10.0.0.2\n").unwrap();
        follow_host(container.path(), &files).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "nameserver 10.0.0.2\n");
        fs::write(&path, "# mine\n").unwrap();
        fs::write(&files[0], "nameserver 10.0.0.3\n").unwrap();
        follow_host(container.path(), &files).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "# mine\n");
        write(container.path(), &names(&["192.0.2.1"]), &files).unwrap();
        fs::write(&files[0], "nameserver 10.0.0.4\n").unwrap();
        follow_host(container.path(), &files).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "nameserver 192.0.2.1\n");
    }
}
