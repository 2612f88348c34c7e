//! What somebody may make who has only a part of the containers: one that carries the label of his project, and that
//! reaches no further than his permits do.

use schema::access::{Permit, Project, Rights, Verb, verbs};
use schema::containers::{ContainerSpec, ExecSpec, UserMode};
use schema::network::Mode;
use schema::security::{Seccomp, Security};
use schema::{Code, Failure};

/// The specification of a new container, with the label on it, or why there will be none.
pub(crate) fn confined(mut spec: ContainerSpec, rights: &Rights) -> Result<ContainerSpec, Failure> {
    let project = project(&spec, rights)?;
    if !spec.labels.contains(&project.label) {
        spec.labels.push(project.label.clone());
    }
    for label in &spec.labels {
        let key = |label: &str| label.split('=').next().unwrap_or_default().to_owned();
        if rights.foreign.contains(label) {
            return Err(Failure::permission_denied(format_args!("label {label:?} is another project's")));
        }
        if key(label) == key(&project.label) && *label != project.label {
            return Err(Failure::permission_denied(format_args!("label {label:?} contradicts {:?}", project.label))
                .hint(format_args!("containers of project {} carry {:?}", project.name, project.label)));
        }
    }
    reach(&spec, project)?;
    Ok(spec)
}

/// The project that a container is made for: the one whose label it carries, or the only one in which he may make any.
fn project<'a>(spec: &ContainerSpec, rights: &'a Rights) -> Result<&'a Project, Failure> {
    let may_create = |project: &&Project| verbs("containers.create").iter().any(|verb| project.verbs.contains(verb));
    let possible: Vec<&Project> = rights.projects.iter().filter(may_create).collect();
    let named: Vec<&Project> =
        possible.iter().filter(|project| spec.labels.contains(&project.label)).copied().collect();
    match (named.as_slice(), possible.as_slice()) {
        ([one], _) | ([], [one]) => Ok(one),
        ([], []) => Err(Failure::permission_denied(format_args!("{} was not granted", Verb::Create.word()))),
        _ => {
            let labels: Vec<String> = possible.iter().map(|project| format!("--label {}", project.label)).collect();
            Err(Failure::new(Code::InvalidArgument, "it is not clear for which project this container is")
                .hint(format_args!("say it: {}", labels.join(", or "))))
        }
    }
}

/// Checks that a container reaches nothing beyond itself that was not permitted. Exhaustive: whoever adds to the
/// specification has to say here what that reaches.
fn reach(spec: &ContainerSpec, project: &Project) -> Result<(), Failure> {
    let ContainerSpec {
        image: _,
        name: _,
        command: _,
        entrypoint: _,
        environment: _,
        user: _,
        hostname: _,
        working_directory: _,
        terminal: _,
        open_stdin: _,
        stdin_once: _,
        limits: _,
        network,
        ports,
        volumes,
        auto_remove: _,
        log_max_size: _,
        log_max_files: _,
        rows: _,
        columns: _,
        log_mode: _,
        labels: _,
        restart: _,
        stop_signal: _,
        stop_timeout_ms: _,
        extra_hosts: _,
        nameservers: _,
        search_domains: _,
        security,
        // In the container's memory.
        tmpfs: _,
        users,
    } = spec;
    let Security {
        privileged,
        cap_add,
        cap_drop: _,
        read_only_root: _,
        new_privileges,
        seccomp,
        app_armor,
        labels,
        system_paths,
        devices,
        groups: _,
        // They are of the container's own namespaces.
        sysctls: _,
        ulimits: _,
        shm_size: _,
    } = security;
    let laxer = *seccomp != Seccomp::Usual
        || !app_armor.is_empty()
        || !labels.is_empty()
        || *system_paths
        || *new_privileges == Some(true);
    let needed = [
        (!volumes.is_empty(), Permit::Volume, "directories of the host (-v)"),
        (!ports.is_empty(), Permit::Publish, "ports of the host (-p)"),
        (*privileged, Permit::Privileged, "every right (--privileged)"),
        (!devices.is_empty(), Permit::Device, "devices of the host (--device)"),
        (!cap_add.is_empty(), Permit::CapAdd, "further capabilities (--cap-add)"),
        (laxer, Permit::SecurityOpt, "profiles of their own (--security-opt)"),
        (*network == Mode::Host, Permit::HostNetwork, "the host's network (--network host)"),
        (*users == UserMode::Host, Permit::HostUsers, "the host's users (--userns host)"),
    ];
    match needed.into_iter().find(|(is_used, permit, _)| *is_used && !project.permits.contains(permit)) {
        None => Ok(()),
        Some((_, permit, what)) => {
            Err(Failure::permission_denied(format_args!("containers of project {} may not use {what}", project.name))
                .hint(format_args!("an admin may permit {:?} to it, in access.toml", permit.word())))
        }
    }
}

/// Checks that a further process reaches no further than its container. Exhaustive, too.
pub(crate) fn check_exec(spec: &ExecSpec, labels: &[String], rights: &Rights) -> Result<(), Failure> {
    let ExecSpec {
        arguments: _,
        environment: _,
        user: _,
        working_directory: _,
        terminal: _,
        open_stdin: _,
        rows: _,
        columns: _,
        privileged,
    } = spec;
    if *privileged && !rights.permit(Permit::Privileged, labels) {
        return Err(Failure::permission_denied("a process may not have every right (--privileged)")
            .hint(format_args!("an admin may permit {:?} to the project, in access.toml", Permit::Privileged.word())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::common::Volume;

    fn project(name: &str, permits: &[Permit]) -> Project {
        let (name, label) = (name.to_owned(), format!("project={name}"));
        Project { name, label, verbs: vec![Verb::Create], permits: permits.to_vec(), ..Project::default() }
    }

    fn rights(projects: Vec<Project>) -> Rights {
        Rights { viewer: false, projects, foreign: vec!["team=ops".to_owned()] }
    }

    fn labelled(labels: &[&str]) -> ContainerSpec {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        ContainerSpec { labels, ..ContainerSpec::default() }
    }

    #[test]
    fn the_label_is_forced_on() {
        let one = rights(vec![project("web", &[])]);
        assert_eq!(confined(labelled(&[]), &one).unwrap().labels, ["project=web"]);
        assert_eq!(confined(labelled(&["a=b", "project=web"]), &one).unwrap().labels, ["a=b", "project=web"]);
        for labels in [&["project=other"][..], &["project"], &["project=web", "project=x"], &["team=ops"]] {
            assert_eq!(confined(labelled(labels), &one).unwrap_err().code, Code::PermissionDenied, "{labels:?}");
        }
    }

    #[test]
    fn among_several_projects_one_is_named() {
        let two = rights(vec![project("web", &[]), project("db", &[])]);
        assert_eq!(confined(labelled(&[]), &two).unwrap_err().code, Code::InvalidArgument);
        assert_eq!(confined(labelled(&["project=db"]), &two).unwrap().labels, ["project=db"]);
        assert_eq!(confined(labelled(&[]), &rights(vec![])).unwrap_err().code, Code::PermissionDenied);
        let viewer = Rights { viewer: true, ..Rights::default() };
        assert_eq!(confined(labelled(&[]), &viewer).unwrap_err().code, Code::PermissionDenied);
    }

    fn secured(change: impl FnOnce(&mut Security)) -> ContainerSpec {
        let mut spec = ContainerSpec::default();
        change(&mut spec.security);
        spec
    }

    #[test]
    fn a_process_has_every_right_where_that_is_permitted() {
        let spec = |privileged| ExecSpec { privileged, ..ExecSpec::default() };
        let labels = vec!["project=web".to_owned()];
        let (with, without) = (
            rights(vec![project("web", &[Permit::Privileged]), project("db", &[])]),
            rights(vec![project("web", &[])]),
        );
        assert!(check_exec(&spec(true), &labels, &with).is_ok() && check_exec(&spec(false), &labels, &without).is_ok());
        assert_eq!(check_exec(&spec(true), &labels, &without).unwrap_err().code, Code::PermissionDenied);
        let others = vec!["project=db".to_owned()];
        assert_eq!(check_exec(&spec(true), &others, &with).unwrap_err().code, Code::PermissionDenied);
    }

    #[test]
    fn what_reaches_beyond_needs_a_permit() {
        let volume = || Volume { source: "/etc".into(), target: "/x".into(), read_only: true, idmap: false };
        let specs = [
            (Permit::Volume, ContainerSpec { volumes: vec![volume()], ..ContainerSpec::default() }),
            (Permit::Privileged, secured(|security| security.privileged = true)),
            (Permit::SecurityOpt, secured(|security| security.seccomp = Seccomp::Unconfined)),
            (Permit::SecurityOpt, secured(|security| security.system_paths = true)),
            (Permit::SecurityOpt, secured(|security| security.app_armor = "unconfined".into())),
            (Permit::HostNetwork, ContainerSpec { network: Mode::Host, ..ContainerSpec::default() }),
            (Permit::HostUsers, ContainerSpec { users: UserMode::Host, ..ContainerSpec::default() }),
        ];
        for (permit, spec) in specs {
            let refused = confined(spec.clone(), &rights(vec![project("web", &[])])).unwrap_err();
            assert_eq!(refused.code, Code::PermissionDenied);
            assert!(refused.hint.contains(permit.word()), "{refused:?}");
            assert!(confined(spec, &rights(vec![project("web", &[permit])])).is_ok());
        }
    }
}
