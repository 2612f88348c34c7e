//! Containers in full, with Docker's names for what Docker has.

use super::super::port;
use super::super::time::{rfc3339, rfc3339_or_never};
use super::image::labels;
use super::network;
use super::security::Security;
use schema::common::{IdRange, PortBinding};
use schema::containers::{AutoRemove, Container, RestartKind, State};
use schema::filesystem::Usage;
use schema::log_collector::LogMode;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A container in full.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct InspectedContainer<'a> {
    id: &'a str,
    name: String,
    created: String,
    path: &'a str,
    args: &'a [String],
    state: StateObject<'a>,
    image: &'a str,
    config: Config<'a>,
    host_config: HostConfig<'a>,
    network_settings: NetworkSettings<'a>,
    warnings: &'a [String],
    restart_count: u32,
    #[serde(rename = "ExecIDs")]
    execs: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_rw: Option<u64>,
}

impl InspectedContainer<'_> {
    /// The same, with what its files take on disk.
    pub(crate) fn with_usage(self, usage: Usage) -> Self {
        Self { size_rw: Some(usage.bytes), ..self }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StateObject<'a> {
    status: State,
    running: bool,
    paused: bool,
    restarting: bool,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    pid: i32,
    exit_code: i32,
    error: &'a str,
    started_at: String,
    finished_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Config<'a> {
    hostname: &'a str,
    user: &'a str,
    tty: bool,
    open_stdin: bool,
    stdin_once: bool,
    env: &'a [String],
    cmd: &'a [String],
    image: &'a str,
    working_dir: &'a str,
    entrypoint: Option<&'a [String]>,
    labels: BTreeMap<&'a str, &'a str>,
    stop_signal: &'a str,
    /// Seconds; none: those of the engine.
    stop_timeout: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig<'a> {
    binds: Vec<String>,
    network_mode: &'static str,
    port_bindings: Ports,
    auto_remove: bool,
    memory: u64,
    memory_swap: i64,
    nano_cpus: u64,
    pids_limit: u64,
    cpu_shares: u64,
    restart_policy: Policy,
    dns: &'a [String],
    dns_search: &'a [String],
    extra_hosts: Vec<String>,
    log_config: LogConfig<'a>,
    #[serde(flatten)]
    security: Security<'a>,
    userns_mode: &'static str,
    #[serde(rename = "IDMappings", skip_serializing_if = "Option::is_none")]
    id_mappings: Option<IdMappings>,
}

/// As Podman has it: `inside:outside:count`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct IdMappings {
    uid_map: [String; 1],
    gid_map: [String; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    name: RestartKind,
    maximum_retry_count: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LogConfig<'a> {
    config: BTreeMap<&'a str, String>,
}

#[derive(Serialize)]
struct NetworkSettings<'a> {
    #[serde(rename = "IPAddress")]
    address: String,
    #[serde(rename = "IPPrefixLen")]
    prefix_length: u8,
    #[serde(rename = "Gateway")]
    gateway: String,
    #[serde(rename = "GlobalIPv6Address")]
    address6: String,
    #[serde(rename = "GlobalIPv6PrefixLen")]
    prefix_length6: u8,
    #[serde(rename = "IPv6Gateway")]
    gateway6: String,
    #[serde(rename = "MacAddress")]
    mac: &'a str,
    #[serde(rename = "Ports")]
    ports: Ports,
}

type Ports = BTreeMap<String, Vec<HostPort>>;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct HostPort {
    host_ip: String,
    host_port: String,
}

fn ports(bindings: &[PortBinding]) -> Ports {
    let host = |binding: &&PortBinding| HostPort {
        host_ip: port::address(binding),
        // 0 in a request lets the engine choose.
        host_port: if binding.host_port == 0 { String::new() } else { binding.host_port.to_string() },
    };
    port::by_private(bindings).into_iter().map(|(port, hosts)| (port, hosts.iter().map(host).collect())).collect()
}

impl<'a> From<&'a Container> for InspectedContainer<'a> {
    fn from(container: &'a Container) -> Self {
        let Container { id, spec, image_id, arguments, created_at, attachment, warnings, .. } = container;
        let (path, args) = arguments.split_first().map_or(("", &arguments[..]), |(path, args)| (path.as_str(), args));
        let hostname = if spec.hostname.is_empty() { id.short() } else { &spec.hostname };
        let text = |address: Option<Ipv4Addr>| address.map_or_else(String::new, |address| address.to_string());
        let text6 = |address: Option<Ipv6Addr>| address.map_or_else(String::new, |address| address.to_string());
        Self {
            id: id.as_str(),
            // Docker's names begin with a slash.
            name: format!("/{}", spec.name),
            created: rfc3339(*created_at),
            path,
            args,
            state: container.into(),
            image: image_id.as_str(),
            config: Config {
                hostname,
                user: &spec.user,
                tty: spec.terminal,
                open_stdin: spec.open_stdin,
                stdin_once: spec.stdin_once,
                env: &spec.environment,
                cmd: &spec.command,
                image: &spec.image,
                working_dir: &spec.working_directory,
                entrypoint: spec.entrypoint.as_deref(),
                labels: labels(&spec.labels),
                stop_signal: &spec.stop_signal,
                stop_timeout: (spec.stop_timeout_ms > 0).then(|| spec.stop_timeout_ms.div_ceil(1000)),
            },
            host_config: container.into(),
            network_settings: NetworkSettings {
                address: text(attachment.as_ref().and_then(|attachment| attachment.address)),
                prefix_length: attachment.as_ref().map_or(0, |attachment| attachment.prefix_length),
                gateway: text(attachment.as_ref().and_then(|attachment| attachment.gateway)),
                address6: text6(attachment.as_ref().and_then(|attachment| attachment.address6)),
                prefix_length6: attachment.as_ref().map_or(0, |attachment| attachment.prefix_length6),
                gateway6: text6(attachment.as_ref().and_then(|attachment| attachment.gateway6)),
                mac: attachment.as_ref().map_or("", |attachment| &attachment.mac),
                ports: attachment.as_ref().map(|attachment| ports(&attachment.ports)).unwrap_or_default(),
            },
            warnings,
            restart_count: container.restart_count,
            execs: container.execs.iter().map(|exec| exec.as_str()).collect(),
            size_rw: None,
        }
    }
}

impl<'a> From<&'a Container> for StateObject<'a> {
    fn from(container: &'a Container) -> Self {
        let exit = container.exit.as_ref();
        Self {
            status: container.state,
            running: matches!(container.state, State::Running | State::Stopping | State::Paused),
            paused: container.state == State::Paused,
            restarting: container.state == State::Restarting,
            oom_killed: exit.is_some_and(|exit| exit.oom_killed),
            pid: container.pid,
            exit_code: exit.map_or(0, |exit| exit.code),
            error: match (&container.error, exit) {
                (Some(error), _) => &error.message,
                (None, Some(exit)) => &exit.note,
                (None, None) => "",
            },
            started_at: rfc3339_or_never(container.started_at),
            finished_at: rfc3339_or_never(exit.map_or(0, |exit| exit.finished_at)),
        }
    }
}

impl<'a> From<&'a Container> for HostConfig<'a> {
    fn from(container: &'a Container) -> Self {
        let spec = &container.spec;
        let bind = |volume: &schema::common::Volume| {
            let options = match (volume.read_only, volume.idmap) {
                (false, false) => "",
                (true, false) => ":ro",
                (false, true) => ":idmap",
                (true, true) => ":ro,idmap",
            };
            format!("{}:{}{options}", volume.source, volume.target)
        };
        let mut log = BTreeMap::new();
        if spec.log_max_size > 0 {
            log.insert("max-size", spec.log_max_size.to_string());
        }
        if spec.log_max_files > 0 {
            log.insert("max-file", spec.log_max_files.to_string());
        }
        if spec.log_mode == LogMode::Drop {
            log.insert("mode", "drop".to_owned());
        }
        Self {
            binds: spec.volumes.iter().map(bind).collect(),
            network_mode: network(spec.network),
            port_bindings: ports(&spec.ports),
            auto_remove: spec.auto_remove != AutoRemove::Never,
            memory: spec.limits.memory,
            memory_swap: spec.limits.memory_swap,
            nano_cpus: spec.limits.nano_cpus,
            pids_limit: spec.limits.pids,
            cpu_shares: spec.limits.cpu_shares,
            restart_policy: Policy { name: spec.restart.kind, maximum_retry_count: spec.restart.maximum },
            dns: &spec.nameservers,
            dns_search: &spec.search_domains,
            extra_hosts: spec.extra_hosts.iter().map(|entry| format!("{}:{}", entry.hostname, entry.address)).collect(),
            log_config: LogConfig { config: log },
            security: spec.into(),
            userns_mode: if container.ids.is_some() { "private" } else { "host" },
            id_mappings: container.ids.map(|ids| {
                let map = || [format!("0:{}:{}", ids.base(), IdRange::SIZE)];
                IdMappings { uid_map: map(), gid_map: map() }
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::container::tests::container;

    #[test]
    fn docker_s_names() {
        let container = container();
        let object = serde_json::to_value(InspectedContainer::from(&container)).unwrap();
        assert_eq!(object["Id"], "ab".repeat(32));
        assert_eq!(object["Path"], "sh");
        assert_eq!(object["Args"][0], "-c");
        assert_eq!(object["State"]["Status"], "running");
        assert_eq!(object["State"]["Running"], true);
        assert_eq!(object["State"]["OOMKilled"], false);
        assert_eq!(object["State"]["FinishedAt"], "0001-01-01T00:00:00Z");
        assert_eq!(object["Config"]["Hostname"], "abababababab");
        assert_eq!(object["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"], "8080");
        assert_eq!(object["NetworkSettings"]["Ports"]["80/tcp"][0]["HostIp"], "0.0.0.0");
        assert_eq!(object["HostConfig"]["NetworkMode"], "bridge");
        assert_eq!(object["Image"], container.image_id.as_str());
        assert_eq!(object["HostConfig"]["Privileged"], false);
        assert_eq!(object["HostConfig"]["SecurityOpt"].as_array().map(Vec::len), Some(0));
    }
}
