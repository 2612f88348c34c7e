//! Who of the host may do what, beside root: groups with names that everybody knows, and `$CCTL_CONFIG/access.toml`.
//!
//! It is read here, where root reads what is root's, and written down as numbers for the services, which see neither file
//! (`$CCTL_RUN/access/policy.json`). The sockets are opened to those that it names, by access control lists, and to nobody
//! else. It is looked at again every second.

mod file;

use crate::sockets::{self, Guests};
use kit::access::Door;
use rustix::fs::{Mode, OFlags};
use schema::access::{Policy, Project};
use schema::{Failure, Instance, passwd};
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// Whose members may do everything.
const ADMINS: &str = "cctl";
/// Whose members may look at everything.
const VIEWERS: &str = "cctl-viewer";
/// The services that people speak to.
const REACHED: [&str; 4] = [
    schema::containers::SERVICE,
    schema::image_store::SERVICE,
    schema::log_collector::SERVICE,
    schema::supervisor::SERVICE,
];
const LOOK: Duration = Duration::from_secs(1);

/// The users and groups of the host. Those that are elsewhere than in these files are named by their numbers.
#[derive(Debug)]
struct Names {
    passwd: String,
    group: String,
}

impl Names {
    fn read() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self { passwd: read("/etc/passwd"), group: read("/etc/group") }
    }

    fn user(&self, name: &str) -> Option<u32> {
        passwd::user(&self.passwd, name).map(|user| user.uid)
    }

    fn group(&self, name: &str) -> Option<u32> {
        passwd::group(&self.group, name)
    }
}

/// What is done about access in an instance.
pub(crate) struct Access {
    instance: Instance,
    /// The services, and the users of those that call them.
    callers: Vec<(String, Vec<u32>)>,
}

impl Access {
    pub(crate) fn new(instance: Instance, callers: Vec<(String, Vec<u32>)>) -> Self {
        Self { instance, callers }
    }

    fn path(&self) -> PathBuf {
        self.instance.config().join("access.toml")
    }

    /// The policy as it is configured now. If what is configured is wrong, only admins have any right.
    fn policy(&self) -> (Policy, Option<Failure>) {
        let names = Names::read();
        let admins = names.group(ADMINS).into_iter().collect();
        match file::read(&self.path(), &names) {
            Ok(projects) => {
                let viewers = names.group(VIEWERS).into_iter().collect();
                (Policy { admins, viewers, projects, error: String::new() }, None)
            }
            Err(failure) => {
                let error = crate::one_line(&failure);
                (Policy { admins, viewers: Vec::new(), projects: Vec::new(), error }, Some(failure))
            }
        }
    }

    /// Puts into effect what is configured: for the services first, then for the sockets. Blocks.
    pub(crate) fn apply(&self) -> Result<(Policy, Option<Failure>), Failure> {
        let (policy, failure) = self.policy();
        let failed = |what: &str, error: &io::Error| Failure::io(format_args!("{what} what access.toml says"), error);
        let text = serde_json::to_vec_pretty(&policy).map_err(Failure::internal)?;
        let path = self.instance.policy();
        if fs::read(&path).ok().as_ref() != Some(&text) {
            publish(&path, &text).map_err(|error| failed("writing down", &error))?;
        }
        let guests = guests(&policy);
        let closed = Guests::default();
        for (service, callers) in &self.callers {
            let guests = if REACHED.contains(&service.as_str()) { &guests } else { &closed };
            sockets::admit(&self.instance, service, callers, guests)
                .map_err(|error| failed("opening the sockets to", &error))?;
        }
        Ok((policy, failure))
    }

    /// Looks at it again and again. What has changed, and what is wrong with it, is in the audit log.
    pub(crate) async fn watch(self, door: Rc<Door>, mut known: Policy) {
        let files = [self.path(), PathBuf::from("/etc/group"), PathBuf::from("/etc/passwd")];
        let look = || files.clone().map(|path| stamp(&path));
        let mut seen = None;
        loop {
            let now = look();
            // The first time, too: it may have changed since it was put into effect.
            if seen != Some(now) {
                match self.apply() {
                    Ok((policy, failure)) => {
                        if policy != known {
                            tell(&door, &policy, failure);
                        }
                        (known, seen) = (policy, Some(now));
                    }
                    Err(failure) => tracing::error!(%failure, "access is as it was; trying again"),
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Tells what is in effect from now on.
pub(crate) fn tell(door: &Door, policy: &Policy, failure: Option<Failure>) {
    let mut details = vec![format!("admins={:?}", policy.admins), format!("viewers={:?}", policy.viewers)];
    details.extend(policy.projects.iter().map(|Project { name, label, .. }| format!("project={name} ({label})")));
    match &failure {
        Some(failure) => tracing::error!(%failure, "nobody but admins has access until this is mended"),
        None => tracing::info!(?policy, "this is who has access"),
    }
    door.note("access.toml", details, failure);
}

/// Tells a file from what it was.
fn stamp(path: &Path) -> Option<(u64, u64, i64, i64, i64)> {
    let now = fs::metadata(path).ok()?;
    Some((now.ino(), now.size(), now.mtime(), now.mtime_nsec(), now.ctime_nsec()))
}

fn guests(policy: &Policy) -> Guests {
    let Policy { admins, viewers, projects, error: _ } = policy;
    let groups = admins.iter().chain(viewers).chain(projects.iter().flat_map(|project| &project.groups));
    let users = projects.iter().flat_map(|project| &project.users);
    Guests { users: users.copied().collect(), groups: groups.copied().collect() }
}

/// Replaces a file that all services read.
fn publish(path: &Path, text: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(kit::file::TEMPORARY.trim_start_matches('.'));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(&temporary, flags, Mode::from_raw_mode(0o644))?);
    file.write_all(text)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_numbers() {
        let names = Names {
            passwd: "root:x:0:0::/:/bin/sh\nalice:x:1000:1001::/:/bin/sh\nbob:x:y\n".into(),
            group: "cctl:x:50:alice\nwebdev:x:70:\n".into(),
        };
        assert_eq!([names.user("alice"), names.user("ali"), names.user("bob")], [Some(1000), None, None]);
        assert_eq!([names.group("cctl"), names.group("cctl-viewer")], [Some(50), None]);
    }

    #[test]
    fn what_is_in_effect_is_for_all_services_to_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy.json");
        for text in ["one", "two"] {
            publish(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o644);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_sockets_are_for_those_who_have_a_role() {
        let project = Project { users: vec![1000], groups: vec![70], ..Project::default() };
        let policy = Policy { admins: vec![50], viewers: vec![60], projects: vec![project], error: String::new() };
        let Guests { users, groups } = guests(&policy);
        assert_eq!((users, groups), ([1000].into(), [50, 60, 70].into()));
    }
}
