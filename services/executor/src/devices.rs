//! Devices of the host in a container: which nodes are made in its /dev, and which of the host's devices its processes
//! may use at all.

mod filter;

pub(crate) use filter::program;

use rustix::fs::{FileType, major, minor};
use schema::Failure;
use schema::security::{Access, Device};
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Names below /dev of every container that are no devices of the host. (Those that each container has are made
/// already, and the kernel says so.)
const OWN: [&str; 6] = ["pts", "shm", "mqueue", "console", "ptmx", "fd"];
/// The same, of devices: they are in every container.
const USUAL: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Device nodes that one container gets, at most.
const MOST: usize = 4096;
/// Directories within each other that are searched for devices.
const DEEPEST: u32 = 8;

/// A device node of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// The names on the way to it, below /dev.
    pub(crate) names: Vec<String>,
    /// Type and permissions.
    pub(crate) mode: u32,
    /// As the host's.
    pub(crate) uid: u32,
    /// As the host's.
    pub(crate) gid: u32,
    /// As mknod(2) takes it.
    pub(crate) device: u64,
    /// What may be done to it.
    pub(crate) access: Access,
}

impl Node {
    /// Whether it is a block device; else it is a character device.
    fn is_block(&self) -> bool {
        FileType::from_raw_mode(self.mode) == FileType::BlockDevice
    }

    fn numbers(&self) -> (u32, u32) {
        (major(self.device), minor(self.device))
    }
}

/// The nodes that were asked for, as they are on the host now. Fails with `notFound` or `invalidArgument` for what is no
/// device. Blocks.
pub(crate) fn find(devices: &[Device]) -> Result<Vec<Node>, Failure> {
    let mut found = Found::default();
    for device in devices {
        let names: Vec<String> = device.below_dev()?.into_iter().map(str::to_owned).collect();
        let first = names.first().map(String::as_str).unwrap_or_default();
        if OWN.contains(&first) {
            return Err(Failure::invalid(format_args!(
                "a device cannot be at {:?}: it is the container's own",
                device.target
            ))
            .hint("choose another path below /dev"));
        }
        let source = Path::new(&device.source);
        let about = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Failure::not_found(format_args!("the host has no device {:?}", device.source))
                .hint("check its name with ls -l"),
            _ => Failure::io(format_args!("looking at the device {}", device.source), &error),
        };
        let before = found.nodes.len();
        let metadata = fs::metadata(source).map_err(about)?;
        if metadata.is_dir() {
            found.walk(source, &names, device.access, 0).map_err(about)?;
        } else {
            found.add(names, &metadata, device.access);
        }
        if found.nodes.len() == before && !found.again {
            return Err(Failure::invalid(format_args!(
                "{:?} is no device, nor a directory that has some",
                device.source
            ))
            .hint("mount files and directories with -v"));
        }
    }
    found.finish()
}

/// Every device that the host has, but for those that each container has. Blocks.
pub(crate) fn all() -> Result<Vec<Node>, Failure> {
    let mut found = Found::default();
    let failed = |error: io::Error| Failure::io("looking for devices in /dev", &error);
    for entry in fs::read_dir("/dev").map_err(failed)?.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if OWN.contains(&name.as_str()) || USUAL.contains(&name.as_str()) {
            continue;
        }
        // What goes meanwhile was not there.
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => drop(found.walk(&entry.path(), &[name], Access::ALL, 0)),
            Ok(metadata) => found.add(vec![name], &metadata, Access::ALL),
            Err(_) => {}
        }
    }
    found.finish()
}

/// Nodes by their places; the last of a place counts.
#[derive(Default)]
struct Found {
    nodes: BTreeMap<Vec<String>, Node>,
    /// A place was taken again.
    again: bool,
}

impl Found {
    fn add(&mut self, names: Vec<String>, metadata: &Metadata, access: Access) {
        let kind = FileType::from_raw_mode(metadata.mode());
        if matches!(kind, FileType::BlockDevice | FileType::CharacterDevice) {
            let (mode, device) = (metadata.mode(), metadata.rdev());
            let node = Node { names: names.clone(), mode, uid: metadata.uid(), gid: metadata.gid(), device, access };
            self.again = self.nodes.insert(names, node).is_some();
        }
    }

    /// Symbolic links are not followed: they lead to what has another name.
    fn walk(&mut self, directory: &Path, names: &[String], access: Access, depth: u32) -> io::Result<()> {
        for entry in fs::read_dir(directory)?.filter_map(Result::ok) {
            let Ok(metadata) = entry.metadata() else { continue };
            let names: Vec<String> =
                names.iter().cloned().chain([entry.file_name().to_string_lossy().into_owned()]).collect();
            if metadata.is_dir() && depth < DEEPEST {
                // What cannot be read is left out, as what goes meanwhile.
                let _ = self.walk(&entry.path(), &names, access, depth + 1);
            } else {
                self.add(names, &metadata, access);
            }
            if self.nodes.len() > MOST {
                break;
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<Node>, Failure> {
        if self.nodes.len() > MOST {
            return Err(Failure::exhausted(format_args!("there are more than {MOST} devices")).hint("name fewer"));
        }
        Ok(self.nodes.into_values().filter(|node| !is_usual(node)).collect())
    }
}

/// Whether each container has this one at this place anyway.
fn is_usual(node: &Node) -> bool {
    const MEMORY_DEVICES: u32 = 1;
    const TERMINALS: u32 = 5;
    matches!(&node.names[..], [name] if USUAL.contains(&name.as_str()))
        && matches!(node.numbers(), (MEMORY_DEVICES, 3 | 5 | 7 | 8 | 9) | (TERMINALS, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::Code;

    fn device(source: &str, target: &str) -> Device {
        Device { source: source.into(), target: target.into(), access: Access::ALL }
    }

    #[test]
    fn a_device_is_found_with_its_numbers() {
        let nodes = find(&[device("/dev/zero", "/dev/nothing"), device("/dev/null", "/dev/null")]).unwrap();
        // /dev/null is in every container.
        let [zero] = nodes.as_slice() else { panic!("{nodes:?}") };
        assert_eq!(
            (zero.names.as_slice(), zero.numbers(), zero.is_block()),
            (&["nothing".to_owned()][..], (1, 5), false)
        );
        assert_eq!(zero.mode & 0o777, 0o666);
    }

    #[test]
    fn what_is_no_device_is_named() {
        for (source, target, code) in [
            ("/dev/no-such-device", "/dev/x", Code::NotFound),
            ("/etc/passwd", "/dev/x", Code::InvalidArgument),
            ("/etc", "/dev/x", Code::InvalidArgument),
            ("/dev/zero", "/dev/pts/7", Code::InvalidArgument),
            ("/dev/zero", "/dev/shm", Code::InvalidArgument),
            ("/dev/zero", "/etc/x", Code::InvalidArgument),
        ] {
            let failure = find(&[device(source, target)]).unwrap_err();
            assert_eq!(failure.code, code, "{failure}");
            assert!(failure.message.contains(source) || failure.message.contains(target), "{failure}");
        }
    }

    #[test]
    fn all_are_found_but_those_of_every_container() {
        let nodes = all().unwrap();
        assert!(nodes.iter().all(|node| !OWN.contains(&node.names[0].as_str())));
        assert!(!nodes.iter().any(|node| node.names == ["null"]));
        assert!(find(&[device("/dev", "/dev/host")]).unwrap().len() >= nodes.len());
    }
}
