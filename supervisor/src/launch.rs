//! Starting a process of a service.

use crate::cage::{Cage, Cages};
use crate::confine::Confinement;
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

impl Launcher {
    /// Starts a process. To be called on the main thread: the process dies with the thread that started it.
    pub(crate) fn launch(&self) -> io::Result<(Child, Cage)> {
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
        let mut program = Program::new(&executable, &definition.name)
            .of(instance)
            .variable(libexec::VARIABLE, libexec)
            .variable("NOTIFY_SOCKET", sockets::notification_path(instance, &definition.name))
            .variable("WATCHDOG_USEC", definition.watchdog.as_micros().to_string())
            .variable(kit::users::USERS, users)
            .variable(kit::users::CALLERS, callers.join(","))
            .confined(self.confinement(&executable)?)
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
        Ok((child, cage))
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
        Ok(Confinement {
            view: if user.is_some() { Some(view::of(self, executable)?) } else { None },
            network: (definition.network == Network::None).then(|| Rc::clone(nowhere)),
            user,
            capabilities,
            no_new_privileges: !definition.new_privileges,
            files: definition.limits.files,
            filter,
        })
    }
}
