//! Who a peer is: a role, by the kernel's word and the policy that the supervisor has written down.

use crate::audit::{self, AuditLog};
use crate::peer::Peer;
use crate::{process, users};
use schema::access::{CLOSED, Policy, Rights};
use schema::audit::{AuditRecord, outcome_of};
use schema::{Failure, Instance};
use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

/// How often it is looked whether somebody who is connected has lost his role.
const LOOK: Duration = Duration::from_secs(1);

/// In what part somebody calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// May do everything.
    Admin,
    /// One of our services, which needs this one.
    Service,
    /// May do what was granted to him, if anything.
    Limited(Rc<Rights>),
}

impl Role {
    /// In words, for the audit log.
    pub(crate) fn word(&self) -> String {
        match self {
            Self::Admin => "admin".to_owned(),
            Self::Service => "service".to_owned(),
            Self::Limited(rights) => rights.role(),
        }
    }
}

/// What stands between a service and those who come: who they are, and a record of what they do.
#[derive(Debug)]
pub struct Door {
    service: &'static str,
    callers: Vec<u32>,
    own: u32,
    policy: Option<PathBuf>,
    pub(crate) audit: Option<RefCell<AuditLog>>,
}

impl Door {
    /// Of a service of an instance.
    pub fn of(instance: &Instance, service: &'static str) -> Self {
        let log = AuditLog::new(instance.state(service).join("audit"));
        Self { policy: Some(instance.policy()), audit: Some(RefCell::new(log)), ..Self::open(service) }
    }

    /// Looks, beside everything else, whether what is recorded is whole, and tells of what is not.
    pub fn verify(&self) {
        let Some(directory) = self.audit.as_ref().map(|log| log.borrow().directory().to_owned()) else { return };
        if let Err(error) =
            std::thread::Builder::new().name("audit".to_owned()).spawn(move || audit::verify(&directory))
        {
            tracing::warn!(%error, "cannot look at the audit log");
        }
    }

    /// Only for root, for its own user, and for the services that need it; nothing is recorded.
    pub(crate) fn open(service: &'static str) -> Self {
        let own = rustix::process::geteuid().as_raw();
        Self { service, callers: users::callers(), own, policy: None, audit: None }
    }

    /// Records something that this process itself has done.
    pub fn note(&self, what: &str, details: Vec<String>, failure: Option<Failure>) {
        let Some(log) = &self.audit else { return };
        let (outcome, message) = outcome_of(failure);
        log.borrow_mut().append(AuditRecord {
            at: process::now(),
            service: self.service.to_owned(),
            method: what.to_owned(),
            uid: self.own,
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            role: "cctl".to_owned(),
            details,
            outcome,
            message,
            ..AuditRecord::default()
        });
    }

    /// Whose it is.
    pub(crate) fn service(&self) -> &'static str {
        self.service
    }

    /// The role of a peer, at this moment.
    pub(crate) fn role(&self, peer: &Peer) -> Role {
        if peer.uid == 0 || peer.uid == self.own {
            return Role::Admin;
        }
        if self.callers.contains(&peer.uid) {
            return Role::Service;
        }
        let policy = self.policy();
        if policy.is_admin(&peer.groups) {
            Role::Admin
        } else {
            Role::Limited(Rc::new(policy.rights(peer.uid, &peer.groups)))
        }
    }

    /// Small, and read only when somebody comes who is neither root nor a service.
    fn policy(&self) -> Policy {
        let Some(path) = &self.policy else { return CLOSED };
        let read = fs::read(path).map_err(|error| error.to_string());
        let parsed = read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
        parsed.unwrap_or_else(|error| {
            tracing::error!(path = %path.display(), error, "the policy cannot be read: nobody but root has access");
            CLOSED
        })
    }

    /// Returns when the role of a peer is not any more what it was.
    pub(crate) async fn changed(&self, peer: &Peer, role: &Role) {
        let never = peer.uid == 0 || peer.uid == self.own || *role == Role::Service;
        let Some(path) = self.policy.as_ref().filter(|_| !never) else { return std::future::pending().await };
        let version = || {
            use std::os::unix::fs::MetadataExt;
            fs::metadata(path).ok().map(|now| (now.ino(), now.mtime(), now.mtime_nsec()))
        };
        let mut known = None;
        loop {
            let now = version();
            if known != now || now.is_none() {
                if self.role(peer) != *role {
                    return;
                }
                known = now;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_policy_only_root_and_services_are_somebody() {
        let door = Door { callers: vec![7], own: 5, ..Door::open("a") };
        let peer = |uid: u32| Peer { pid: 1, uid, gid: uid, groups: vec![uid, 50] };
        assert_eq!(
            [door.role(&peer(0)), door.role(&peer(5)), door.role(&peer(7))],
            [Role::Admin, Role::Admin, Role::Service]
        );
        assert_eq!(door.role(&peer(8)).word(), "none");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy");
        let door = Door { policy: Some(path.clone()), own: 5, ..Door::open("a") };
        for (content, word) in [
            ("", "none"),
            ("{}", "none"),
            (r#"{"admins":[50],"viewers":[],"projects":[],"error":""}"#, "admin"),
            (r#"{"admins":[],"viewers":[50],"projects":[],"error":""}"#, "viewer"),
        ] {
            fs::write(&path, content).unwrap();
            assert_eq!(door.role(&peer(8)).word(), word, "{content}");
        }
    }
}
