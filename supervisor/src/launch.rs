//! Starting a process of a service.

use crate::cage::{Cage, Cages};
use crate::confine::Confinement;
use crate::landlock::{self, Rules};
use crate::manifest::Definition;
use crate::privileges::{Calls, Network};
use crate::program::{Bond, Child, Program};
use crate::{libexec, ownership, predecessor, sockets, view};
use kit::shelf::{IN, OUT};
use kit::users::User;
use schema::Instance;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What is run as a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) definition: Definition,
    /// The program that replaces the one of the definition.
    pub(crate) replacement: Option<PathBuf>,
}

impl Plan {
    /// The program, where it is not one that is installed with us.
    pub(crate) fn foreign(&self) -> Option<PathBuf> {
        let given = Path::new(&self.definition.executable);
        self.replacement.clone().or_else(|| given.is_absolute().then(|| given.to_owned()))
    }
}

/// All that is needed to start a service, again and again.
#[derive(Clone, Debug)]
pub(crate) struct Launcher {
    pub(crate) plan: Plan,
    pub(crate) instance: Instance,
    pub(crate) libexec: PathBuf,
    pub(crate) cages: Rc<Cages>,
    /// Where it will listen.
    pub(crate) socket: Rc<OwnedFd>,
    /// What keeps descriptors for it, if it has a shelf.
    pub(crate) shelf: Option<Rc<[OwnedFd; 2]>>,
    /// An empty network.
    pub(crate) nowhere: Rc<OwnedFd>,
    /// Who it is to be, unless its definition says root; none: the manifest says root.
    pub(crate) place_user: Option<User>,
    /// The users of all services, as their environment tells them.
    pub(crate) users: String,
    /// Who may connect, beside root.
    pub(crate) callers: Vec<u32>,
}

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) child: Child,
    pub(crate) cage: Cage,
    /// The version of Landlock by whose rules it lives; 0: none.
    pub(crate) landlock: u32,
}

impl Launcher {
    /// Starts a process. To be called on the main thread: the process dies with the thread that started it.
    pub(crate) fn launch(&self) -> io::Result<Launched> {
        let Self {
            plan: Plan { definition, replacement },
            instance,
            libexec,
            cages,
            socket,
            shelf,
            users,
            callers,
            ..
        } = self;
        let executable = replacement.clone().unwrap_or_else(|| libexec.join(&definition.executable));
        // Made before, so that the process is within its limits as soon as it exists.
        let cage = cages.make(&definition.name, &definition.limits);
        // Its definition may be another one than that of the process before.
        let user = self.user().unwrap_or(User::ROOT);
        ownership::give_state(instance, &definition.name, user)?;
        ownership::give_log(instance, &definition.name, user)?;
        sockets::give_notification(instance, &definition.name, user.uid)?;
        let callers: Vec<String> = callers.iter().map(u32::to_string).collect();
        let confinement = self.confinement(&executable)?;
        let landlock = confinement.rules.as_ref().map_or(0, Rules::version);
        let mut program = Program::new(&executable, &definition.name)
            .of(instance)
            .variable(libexec::VARIABLE, libexec)
            .variable("NOTIFY_SOCKET", sockets::notification_path(instance, &definition.name))
            .variable("WATCHDOG_USEC", definition.watchdog.as_micros().to_string())
            .variable(kit::users::USERS, users)
            .variable(kit::users::CALLERS, callers.join(","))
            .confined(confinement)
            .pass(&definition.name, socket.as_fd());
        if let Some([into, out]) = shelf.as_deref().filter(|_| definition.shelf) {
            program = program.pass(IN, into.as_fd()).pass(OUT, out.as_fd());
        }
        let child = program
            .spawn(&instance.log(&definition.name), Bond::DiesWithParent)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", executable.display())))?;
        cage.enter(&definition.name, child.pid);
        if let Err(error) = predecessor::record(instance, &definition.name, child.pid) {
            tracing::warn!(service = definition.name, %error, "cannot record the process: a successor of this supervisor will not wait for its end");
        }
        Ok(Launched { child, cage, landlock })
    }

    /// Who it is to be; none: root.
    pub(crate) fn user(&self) -> Option<User> {
        self.plan.definition.user.as_ref().and(self.place_user)
    }

    /// What the manifest leaves to it.
    fn confinement(&self, executable: &Path) -> io::Result<Confinement> {
        let Self { plan: Plan { definition, .. }, nowhere, .. } = self;
        let user = self.user();
        let capabilities = (!definition.capabilities.are_all()).then_some(definition.capabilities.0);
        let filter = definition.calls().map(Calls::filter).transpose().map_err(io::Error::other)?;
        let view = if user.is_some() { Some(view::of(self, executable)?) } else { None };
        let rules = match (&view, landlock::version()) {
            (Some(view), Ok(version)) if definition.is_landlocked() => {
                Some(Rules::new(&view.things, definition.network, version)?)
            }
            _ => None,
        };
        Ok(Confinement {
            view,
            rules,
            network: (definition.network == Network::None).then(|| Rc::clone(nowhere)),
            user,
            capabilities,
            no_new_privileges: !definition.new_privileges,
            files: definition.limits.files,
            filter,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;
    use rustix::process::{WaitOptions, waitpid};
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    /// A program that has what a service has: Debian's package busybox-static.
    const PROGRAM: &str = "/bin/busybox";
    const USER: User = User { uid: 7101, gid: 7102 };

    /// What each attempt came to, by its name.
    const TRIES: &str = "try() { what=$1; shift; if (\"$@\"); then echo $what done; else echo $what refused; fi; }; \
        state() { echo x > $CCTL_ROOT/log-collector/made; }; shared() { echo x > $CCTL_RUN/sandboxes/made; }; \
        root() { cd / && for name in *; do test $name != '*'; return; done; }; \
        itself() { echo x > /proc/self/comm; }; other() { true < /proc/$OTHER/environ; }; signal() { kill -0 $OTHER; }; \
        for each in state shared root itself other signal; do try $each $each; done";

    fn attempts(more: &str) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let at = |name: &str| directory.path().join(name);
        let instance = Instance::new(at("root"), at("run"));
        for made in ["root/logs", "run/notify", "run/access", "run/sandboxes", "run/view"] {
            fs::create_dir_all(at(made)).unwrap();
        }
        fs::set_permissions(at("run/sandboxes"), Permissions::from_mode(0o777)).unwrap();
        let user = format!("user = \"a\"\n{more}");
        // A shell waits for its children, which no service of ours has.
        let text = include_str!("../../deploy/services.toml").replace("user = \"cctl-logs\"", &user);
        let text = text.replace("seccomp = \"log-collector\"", "seccomp = \"plugin\"");
        fs::write(at("services.toml"), text).unwrap();
        let manifest = Manifest::load(Some(&at("services.toml"))).unwrap();
        let definition = manifest.services.into_iter().find(|service| service.name == "log-collector").unwrap();
        let nothing = || Rc::new(OwnedFd::from(File::open("/dev/null").unwrap()));
        let launcher = Launcher {
            plan: Plan { definition, replacement: None },
            cages: Rc::new(Cages::detect(&instance)),
            libexec: at("libexec"),
            socket: nothing(),
            shelf: None,
            nowhere: Rc::new(File::open("/proc/self/ns/net").unwrap().into()),
            place_user: Some(USER),
            users: String::new(),
            callers: Vec::new(),
            instance: instance.clone(),
        };
        ownership::give_state(&instance, "log-collector", USER).unwrap();
        let mut other = Command::new("sleep").arg("60").uid(USER.uid).gid(USER.gid).spawn().unwrap();
        let log = at("said");
        let child = Program::new(PROGRAM, "busybox")
            .of(&instance)
            .variable("OTHER", other.id().to_string())
            .argument("sh")
            .argument("-c")
            .argument(TRIES)
            .confined(launcher.confinement(Path::new(PROGRAM)).unwrap())
            .spawn(&log, Bond::None)
            .unwrap();
        waitpid(Some(child.pid), WaitOptions::empty()).unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
        let said = fs::read_to_string(log).unwrap();
        // The shell says why, too.
        let outcome = |line: &&str| line.ends_with(" done") || line.ends_with(" refused");
        said.lines().filter(outcome).map(str::to_owned).collect()
    }

    #[test]
    fn what_a_service_sees_is_what_the_kernel_lets_it_use() {
        if !rustix::process::geteuid().is_root() {
            // Nobody else starts services.
            return;
        }
        let version = landlock::version().unwrap();
        let signal = if version >= 6 { "signal refused" } else { "signal done" };
        assert_eq!(
            attempts(""),
            ["state done", "shared done", "root refused", "itself refused", "other refused", signal]
        );
        // It is Landlock that refuses, and nothing else.
        let all = attempts("landlock = \"none\"");
        assert_eq!(all, ["state done", "shared done", "root done", "itself done", "other done", "signal done"]);
    }
}
