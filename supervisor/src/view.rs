//! What a service sees of the host's files, when it is not all of them: a list of things to put into an empty root.
//!
//! Nothing is decided in the child that becomes the service: everything is looked up before, and written down as steps
//! that need no memory but this.

use crate::directories;
use crate::launch::{Launcher, Plan};
use crate::sockets;
use rustix::mount::MountFlags;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Where libraries are, on one distribution or the other.
const LIBRARIES: [&str; 9] =
    ["/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/nix/store", "/gnu/store"];
const DEVICES: [&str; 2] = ["/dev/null", "/dev/urandom"];
/// It leads elsewhere, where something manages it.
const RESOLVER: &str = "/etc/resolv.conf";

/// An empty root, and what to put into it.
#[derive(Debug)]
pub(crate) struct View {
    /// A directory to mount it on.
    pub(crate) place: CString,
    /// In this order; paths are below `place`.
    pub(crate) steps: Vec<Step>,
    /// The things themselves, as the host has them.
    pub(crate) things: Vec<Thing>,
}

/// A part of the host.
#[derive(Debug)]
pub(crate) struct Thing {
    pub(crate) path: PathBuf,
    pub(crate) how: Use,
    pub(crate) is_directory: bool,
}

/// One thing to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Directory(CString),
    File(CString),
    Link { content: CString, at: CString },
    Bind { from: CString, at: CString, recursive: bool, flags: MountFlags },
}

/// What may be done with a thing that is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    Read,
    Execute,
    Device,
    /// And what is mounted there.
    Processes,
    Write,
}

impl Use {
    fn flags(self) -> MountFlags {
        let flags = MountFlags::NOSUID;
        match self {
            Self::Read => flags | MountFlags::RDONLY | MountFlags::NODEV | MountFlags::NOEXEC,
            Self::Execute => flags | MountFlags::RDONLY | MountFlags::NODEV,
            Self::Device => flags | MountFlags::NOEXEC,
            Self::Processes | Self::Write => flags | MountFlags::NODEV | MountFlags::NOEXEC,
        }
    }
}

/// Looks up what a service sees: its program and the libraries, its own directory and log, the sockets of those that
/// it needs, and what the manifest names besides. What does not exist is left out.
pub(crate) fn of(launcher: &Launcher, executable: &Path) -> io::Result<View> {
    let Launcher { plan: Plan { definition, .. }, instance, .. } = launcher;
    let mut found = Found::default();
    for library in LIBRARIES {
        found.add(Path::new(library), Use::Execute)?;
    }
    found.add(Path::new("/etc/ld.so.cache"), Use::Read)?;
    found.add(executable, Use::Execute)?;
    for device in DEVICES {
        found.add(Path::new(device), Use::Device)?;
    }
    found.add(Path::new("/proc"), Use::Processes)?;
    let log = instance.log(&definition.name);
    for own in [instance.state(&definition.name), kit::log::previous(&log), log] {
        found.add(&own, Use::Write)?;
    }
    found.add(&instance.access(), Use::Read)?;
    found.add(&sockets::notification_path(instance, &definition.name), Use::Write)?;
    for need in &definition.needs {
        found.add(&instance.socket(need), Use::Write)?;
    }
    let named = |text: &str| {
        let Some(rest) = text.strip_prefix('$') else { return Some(PathBuf::from(text)) };
        let (variable, rest) = rest.split_once('/').map_or((rest, None), |(variable, rest)| (variable, Some(rest)));
        let base = match variable {
            "CCTL_RUN" => instance.run().to_owned(),
            "CCTL_CONFIG" => instance.config().to_owned(),
            _ => PathBuf::from(env::var_os(variable)?),
        };
        Some(rest.map_or(base.clone(), |rest| base.join(rest)))
    };
    for text in &definition.sees {
        found.add_all(named(text), Use::Read)?;
        if Path::new(RESOLVER).starts_with(text) {
            let managed = fs::canonicalize(RESOLVER).ok();
            found.add_all(managed.and_then(|file| file.parent().map(Path::to_owned)), Use::Read)?;
        }
    }
    for text in &definition.shares {
        found.add_all(named(text), Use::Write)?;
    }
    found.view(&directories::view(instance))
}

/// Things by where they really are, and the other names by which they are known.
#[derive(Debug, Default)]
struct Found {
    things: BTreeMap<PathBuf, (Use, bool)>,
    links: BTreeMap<PathBuf, PathBuf>,
}

impl Found {
    fn add_all(&mut self, paths: impl IntoIterator<Item = PathBuf>, how: Use) -> io::Result<()> {
        paths.into_iter().try_for_each(|path| self.add(&path, how))
    }

    fn add(&mut self, path: &Path, how: Use) -> io::Result<()> {
        if !path.is_absolute() {
            return Ok(());
        }
        let real = match fs::canonicalize(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        let is_directory = real.is_dir();
        // The whole host would not be a part of it.
        if real == Path::new("/") {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is the root", path.display())));
        }
        let plain: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
        if plain != real {
            self.links.insert(plain, real.clone());
        }
        let known = self.things.entry(real).or_insert((how, is_directory));
        known.0 = known.0.max(how);
        Ok(())
    }

    /// The thing that a path is a part of.
    fn around(&self, path: &Path) -> Option<Use> {
        path.ancestors().skip(1).find_map(|above| self.things.get(above)).map(|(how, _)| *how)
    }

    /// What comes first is what others may lie in.
    fn view(&self, place: &Path) -> io::Result<View> {
        let at = |path: &Path| c_string(&place.join(path.strip_prefix("/").unwrap_or(path)));
        let (mut steps, mut made) = (Vec::new(), BTreeSet::new());
        let mut make = |steps: &mut Vec<Step>, path: &Path| -> io::Result<()> {
            let above: Vec<&Path> = path.ancestors().skip(1).filter(|above| *above != Path::new("/")).collect();
            for directory in above.into_iter().rev() {
                if made.insert(directory.to_owned()) {
                    steps.push(Step::Directory(at(directory)?));
                }
            }
            Ok(())
        };
        for (path, (how, is_directory)) in &self.things {
            match self.around(path) {
                // It is seen, and with as much right.
                Some(around) if around >= *how => continue,
                // It is there, but nothing may be made there: that would be the host's.
                Some(_) => {}
                None => {
                    make(&mut steps, path)?;
                    steps.push(if *is_directory { Step::Directory(at(path)?) } else { Step::File(at(path)?) });
                }
            }
            let recursive = *how == Use::Processes;
            steps.push(Step::Bind { from: c_string(path)?, at: at(path)?, recursive, flags: how.flags() });
        }
        for (name, real) in &self.links {
            if self.around(name).is_none() && !self.things.contains_key(name) {
                make(&mut steps, name)?;
                steps.push(Step::Link { content: c_string(real)?, at: at(name)? });
            }
        }
        let thing = |(path, (how, is_directory)): (&PathBuf, &(Use, bool))| Thing {
            path: path.clone(),
            how: *how,
            is_directory: *is_directory,
        };
        Ok(View { place: c_string(place)?, steps, things: self.things.iter().map(thing).collect() })
    }
}

fn c_string(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn text(steps: &[Step], place: &Path) -> Vec<String> {
        let short = |path: &CString| {
            let path = PathBuf::from(std::ffi::OsStr::from_bytes(path.as_bytes()));
            path.strip_prefix(place).map_or(path.clone(), Path::to_owned).display().to_string()
        };
        let show = |step: &Step| match step {
            Step::Directory(at) => format!("d {}", short(at)),
            Step::File(at) => format!("f {}", short(at)),
            Step::Link { content, at } => format!("l {} {}", short(at), short(content)),
            Step::Bind { at, flags, .. } => {
                format!("b {}{}", short(at), if flags.contains(MountFlags::RDONLY) { " ro" } else { "" })
            }
        };
        steps.iter().map(show).collect()
    }

    #[test]
    fn things_are_seen_once_by_all_their_names_and_nothing_is_made_on_the_host() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        fs::create_dir_all(base.join("etc/own")).unwrap();
        fs::create_dir(base.join("state")).unwrap();
        fs::write(base.join("etc/file"), "").unwrap();
        symlink(base.join("etc"), base.join("other")).unwrap();
        let mut found = Found::default();
        for (name, how) in [
            ("etc", Use::Read),
            ("etc/file", Use::Read),
            ("other/file", Use::Read),
            ("etc/own", Use::Write),
            ("state", Use::Write),
            ("missing", Use::Write),
        ] {
            found.add(&base.join(name), how).unwrap();
        }
        let place = Path::new("/place");
        let steps = found.view(place).unwrap().steps;
        let here = base.strip_prefix("/").unwrap().display().to_string();
        let all = text(&steps, place);
        let ours: Vec<String> = all.iter().filter(|step| step.contains(&here)).map(|s| s.replace(&here, "")).collect();
        assert_eq!(
            ours,
            ["d ", "d /etc", "b /etc ro", "b /etc/own", "d /state", "b /state", "d /other", "l /other/file //etc/file"],
            "{all:#?}"
        );
        assert!(found.add(Path::new("/"), Use::Read).is_err());
    }
}
