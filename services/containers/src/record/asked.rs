//! What is asked of the workers for a container.

use super::{Attachment, Record};
use crate::compose;
use schema::containers::ExecSpec;
use schema::executor::{ProcessSpec, SandboxSpec};
use schema::filesystem::{HostEntry, Names, Place};
use schema::log_collector::LogSpec;
use std::net::IpAddr;
use std::path::PathBuf;

impl Record {
    /// The sandbox that it runs in.
    pub(crate) fn sandbox(&self) -> SandboxSpec {
        let spec = &self.container.spec;
        SandboxSpec {
            hostname: spec.hostname.clone(),
            host_network: self.uses_host_network(),
            terminal: spec.terminal,
            open_stdin: spec.open_stdin,
            limits: spec.limits,
            security: Box::new(spec.security.clone()),
            ids: self.container.ids,
        }
    }

    /// Its first process.
    pub(crate) fn process(&self) -> ProcessSpec {
        let (spec, image) = (&self.container.spec, &self.image);
        ProcessSpec {
            arguments: self.container.arguments.clone(),
            environment: compose::environment(&spec.hostname, spec.terminal, &image.environment, &spec.environment),
            working_directory: compose::working_directory(&spec.working_directory, &image.working_directory),
            user: if spec.user.is_empty() { image.user.clone() } else { spec.user.clone() },
            rows: spec.rows,
            columns: spec.columns,
        }
    }

    /// A further process.
    pub(crate) fn exec_process(&self, exec: &ExecSpec) -> ProcessSpec {
        let (first, image) = (self.process(), &self.image);
        let own = compose::merged(&image.environment, &self.container.spec.environment);
        ProcessSpec {
            arguments: exec.arguments.clone(),
            environment: compose::environment(&self.container.spec.hostname, exec.terminal, &own, &exec.environment),
            working_directory: compose::working_directory(&exec.working_directory, &first.working_directory),
            user: if exec.user.is_empty() { first.user } else { exec.user.clone() },
            rows: exec.rows,
            columns: exec.columns,
        }
    }

    /// The log of a process of it, whose streams are in a directory.
    pub(crate) fn log(&self, directory: PathBuf, terminal: bool, open_stdin: bool) -> LogSpec {
        let spec = &self.container.spec;
        LogSpec {
            directory,
            terminal,
            open_stdin,
            max_size: spec.log_max_size,
            max_files: spec.log_max_files,
            mode: spec.log_mode,
            labels: spec.labels.clone(),
        }
    }

    /// What it finds in /etc/hostname, /etc/hosts and /etc/resolv.conf.
    pub(crate) fn names(&self, attachment: Option<&Attachment>) -> Names {
        let spec = &self.container.spec;
        let address = attachment.and_then(|attachment| attachment.address).map(IpAddr::V4);
        let address6 = attachment.and_then(|attachment| attachment.address6).map(IpAddr::V6);
        let mut hosts = Vec::new();
        for address in address.into_iter().chain(address6) {
            let entry = |name: &str| HostEntry { address: address.to_string(), hostname: name.to_owned() };
            hosts.push(entry(&spec.hostname));
            if self.name() != spec.hostname {
                hosts.push(entry(self.name()));
            }
        }
        hosts.extend_from_slice(&spec.extra_hosts);
        Names {
            hostname: spec.hostname.clone(),
            hosts,
            nameservers: spec.nameservers.clone(),
            search: spec.search_domains.clone(),
        }
    }

    /// Its root filesystem.
    pub(crate) fn place(&self) -> Place {
        let sandbox = self.mounted_at();
        let ids = self.container.ids.filter(|_| sandbox.is_some());
        Place { id: self.id().clone(), layers: self.image.layers.clone(), sandbox, ids }
    }
}
