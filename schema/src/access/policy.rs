//! Who has which verbs, by numbers: what the supervisor has made of `access.toml` and of the groups of the host.

use super::verb::words;
use super::{Method, VIEWER, Verb};
use serde::{Deserialize, Serialize};

words! {
    /// What a container is made with that reaches beyond it. It is refused to a project unless it is permitted.
    Permit {
        /// Directories and files of the host.
        Volume = "volume",
        /// Ports of the host.
        Publish = "publish",
        /// The host's network.
        HostNetwork = "host-network",
        /// The host's users.
        HostUsers = "host-users",
        /// Every capability and device, also of a process that is executed in it.
        Privileged = "privileged",
        /// Devices of the host.
        Device = "device",
        /// Capabilities that a container has not by itself.
        CapAdd = "cap-add",
        /// Less protection of the host than a container gives by itself: profiles of its own, or none.
        SecurityOpt = "security-opt",
    }
}

/// What users of a project may do with the containers that carry its label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// `key=value`.
    pub label: String,
    /// User ids.
    pub users: Vec<u32>,
    /// Group ids.
    pub groups: Vec<u32>,
    /// What they may do.
    pub verbs: Vec<Verb>,
    /// What their containers may be made with.
    pub permits: Vec<Permit>,
}

/// All of it. The supervisor writes it, as JSON, to a file that each service reads when somebody connects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Group ids of those who may do everything, beside root.
    pub admins: Vec<u32>,
    /// Group ids of those who may look at everything.
    pub viewers: Vec<u32>,
    /// Who may do something with some containers.
    pub projects: Vec<Project>,
    /// Why nobody but admins has any right; empty: all is as configured.
    pub error: String,
}

/// The policy when there is none that can be believed.
pub const CLOSED: Policy =
    Policy { admins: Vec::new(), viewers: Vec::new(), projects: Vec::new(), error: String::new() };

/// What somebody may do who is neither admin nor service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Look at everything.
    pub viewer: bool,
    /// Do something with the containers of these.
    pub projects: Vec<Project>,
    /// The labels of all other projects.
    pub foreign: Vec<String>,
}

impl Policy {
    /// Whether these groups make an admin.
    pub fn is_admin(&self, groups: &[u32]) -> bool {
        groups.iter().any(|group| self.admins.contains(group))
    }

    /// What a user may do who is in these groups.
    pub fn rights(&self, uid: u32, groups: &[u32]) -> Rights {
        let among = |wanted: &[u32]| groups.iter().any(|group| wanted.contains(group));
        let (projects, others): (Vec<_>, Vec<_>) =
            self.projects.iter().cloned().partition(|project| project.users.contains(&uid) || among(&project.groups));
        let foreign = others.into_iter().map(|other| other.label);
        let foreign = foreign.filter(|label| !projects.iter().any(|own| own.label == *label)).collect();
        Rights { viewer: among(&self.viewers), projects, foreign }
    }
}

impl Rights {
    /// Nothing at all.
    pub fn is_empty(&self) -> bool {
        !self.viewer && self.projects.is_empty()
    }

    /// Whether the capability that they are handed has this method.
    pub fn have(&self, method: &Method) -> bool {
        self.any(method.verbs)
    }

    /// Whether they have one of these verbs, on whatever.
    pub fn any(&self, verbs: &[Verb]) -> bool {
        let granted = |have: &[Verb]| verbs.iter().any(|verb| have.contains(verb));
        (self.viewer && granted(VIEWER)) || self.projects.iter().any(|project| granted(&project.verbs))
    }

    /// Whether they know of an object that carries these labels.
    pub fn see(&self, labels: &[String]) -> bool {
        self.viewer || self.projects.iter().any(|project| labels.contains(&project.label))
    }

    /// Whether they have one of these verbs on an object that carries these labels.
    pub fn allow(&self, verbs: &[Verb], labels: &[String]) -> bool {
        let granted = |have: &[Verb]| verbs.iter().any(|verb| have.contains(verb));
        (self.viewer && granted(VIEWER))
            || self.projects.iter().any(|project| labels.contains(&project.label) && granted(&project.verbs))
    }

    /// Whether a project of theirs, whose label is among these, has a permit.
    pub fn permit(&self, permit: Permit, labels: &[String]) -> bool {
        self.projects.iter().any(|project| labels.contains(&project.label) && project.permits.contains(&permit))
    }

    /// In words, for the audit log: `viewer`, `project web`, `none`.
    pub fn role(&self) -> String {
        let viewer = self.viewer.then(|| "viewer".to_owned());
        let projects = self.projects.iter().map(|project| format!("project {}", project.name));
        let all: Vec<String> = viewer.into_iter().chain(projects).collect();
        if all.is_empty() { "none".to_owned() } else { all.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::verbs;

    fn policy() -> Policy {
        let project = |name: &str, users: &[u32], groups: &[u32], verbs: &[Verb]| Project {
            name: name.to_owned(),
            label: format!("project={name}"),
            users: users.to_vec(),
            groups: groups.to_vec(),
            verbs: verbs.to_vec(),
            permits: Vec::new(),
        };
        let web = project("web", &[1000], &[70], &[Verb::Ps, Verb::Stop]);
        let ops = project("ops", &[1001], &[], &[Verb::Start]);
        Policy { admins: vec![50], viewers: vec![60], projects: vec![web, ops], error: String::new() }
    }

    fn labels(label: &str) -> Vec<String> {
        vec!["a=b".to_owned(), label.to_owned()]
    }

    #[test]
    fn a_project_has_its_verbs_on_its_own() {
        for (uid, groups) in [(1000, &[9][..]), (5, &[8, 70])] {
            let rights = policy().rights(uid, groups);
            assert_eq!(rights.role(), "project web");
            assert!(rights.allow(&[Verb::Stop], &labels("project=web")));
            assert!(!rights.allow(&[Verb::Stop], &labels("project=ops")) && !rights.see(&labels("project=ops")));
            assert!(!rights.allow(&[Verb::Start], &labels("project=web")) && rights.see(&labels("project=web")));
            assert!(rights.any(verbs("containers.stop")) && !rights.any(verbs("containers.start")));
            assert_eq!(rights.foreign, ["project=ops"]);
        }
        assert!(policy().rights(1, &[2]).is_empty() && !policy().is_admin(&[2]) && policy().is_admin(&[1, 50]));
    }

    #[test]
    fn a_viewer_who_has_a_project_looks_at_all_and_touches_its_own() {
        let rights = policy().rights(1001, &[60]);
        assert_eq!(rights.role(), "viewer, project ops");
        assert!(rights.allow(&[Verb::Logs], &labels("x=y")));
        assert!(rights.allow(&[Verb::Start], &labels("project=ops")));
        assert!(!rights.allow(&[Verb::Start], &labels("project=web")));
    }

    #[test]
    fn no_verb_of_a_viewer_changes_anything() {
        let viewer = Rights { viewer: true, ..Rights::default() };
        for (_, methods) in crate::access::METHODS {
            for method in methods.iter().filter(|method| method.recorded != crate::access::Recorded::No) {
                assert!(!viewer.have(method), "{}", method.name);
            }
        }
        assert_eq!(viewer.role(), "viewer");
    }

    #[test]
    fn nobody_has_what_no_verb_names() {
        let everything = Project { verbs: Verb::ALL.to_vec(), ..Project::default() };
        let rights = Rights { viewer: true, projects: vec![everything], foreign: Vec::new() };
        for name in
            ["auditRecords", "supervisor.replace", "containers.shutDown", "log-collector.open", "executor.start"]
        {
            assert!(!rights.any(verbs(name)), "{name}");
        }
        assert!(verbs("containers.unheard").is_empty());
    }
}
