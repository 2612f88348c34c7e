//! What a container may be asked to be. Everything is checked before anything is recorded, so that a typing
//! error is answered with the value that is wrong, not with a failed start.

mod limits;
mod resolution;
mod security;

use crate::{compose, names, signals};
use schema::Failure;
use schema::common::{PortBinding, Volume};
use schema::containers::{AutoRemove, ContainerSpec, ExecSpec, RestartKind, UserMode};
use schema::filesystem::Tmpfs;
use schema::network::Mode;
use std::collections::HashSet;
use std::net::IpAddr;

pub(crate) use limits::processors;

/// What the kernel takes: `sethostname(2)`.
const LONGEST_HOSTNAME: usize = 64;
/// RFC 1123.
const LONGEST_LABEL: usize = 63;

/// Checks a request, on a host with so many CPUs (none: unknown); gives warnings about what has no effect.
pub(crate) fn check(spec: &ContainerSpec, processors: Option<u32>) -> Result<Vec<String>, Failure> {
    if !spec.name.is_empty() {
        names::check(&spec.name)?;
    }
    if spec.image.is_empty() {
        return Err(Failure::invalid("no image is named").hint("`cctl images` shows those that exist"));
    }
    texts(spec)?;
    environment(&spec.environment)?;
    hostname(&spec.hostname)?;
    working_directory(&spec.working_directory)?;
    volumes(&spec.volumes, &spec.tmpfs)?;
    security::check(spec)?;
    users(spec)?;
    limits::check(&spec.limits, processors)?;
    resolution::check(spec)?;
    labels(&spec.labels)?;
    stop_signal(&spec.stop_signal)?;
    restart(spec)?;
    ports(spec)
}

/// Who is as good as root on the host has the host's users.
fn users(spec: &ContainerSpec) -> Result<(), Failure> {
    if spec.security.privileged && spec.users == UserMode::Private {
        return Err(Failure::invalid("a privileged container cannot have users of its own")
            .hint("leave out --privileged or --userns private"));
    }
    Ok(())
}

/// Checks what is asked of a further process.
pub(crate) fn exec(spec: &ExecSpec) -> Result<(), Failure> {
    let ExecSpec { arguments, environment: entries, user, working_directory: directory, .. } = spec;
    if arguments.first().is_none_or(String::is_empty) {
        return Err(Failure::invalid("the command to run is empty").hint("name a program after the container"));
    }
    no_nul(arguments.iter().chain(entries).chain([user, directory]))?;
    environment(entries)?;
    working_directory(directory)
}

fn labels(labels: &[String]) -> Result<(), Failure> {
    match labels.iter().find(|label| compose::key(label).is_none()) {
        Some(label) => Err(Failure::invalid(format_args!("{label:?} is no label")).hint("write key=value")),
        None => Ok(()),
    }
}

fn stop_signal(text: &str) -> Result<(), Failure> {
    if text.is_empty() || signals::parse(text).is_some() {
        return Ok(());
    }
    Err(Failure::invalid(format_args!("{text:?} is no signal"))
        .hint("name one as in TERM, SIGINT or RTMIN+3, or give its number, 1 to 64"))
}

fn restart(spec: &ContainerSpec) -> Result<(), Failure> {
    let policy = spec.restart;
    if policy.kind != RestartKind::No && spec.auto_remove != AutoRemove::Never {
        return Err(Failure::invalid("a container that is removed at its end cannot be restarted then")
            .hint("leave out --rm or --restart"));
    }
    if policy.maximum != 0 && policy.kind != RestartKind::OnFailure {
        return Err(Failure::invalid(format_args!(
            "a bound of {} restarts needs the policy on-failure",
            policy.maximum
        ))
        .hint("write --restart on-failure:N"));
    }
    Ok(())
}

/// No text that becomes an argument of a system call may hold a NUL.
fn texts(spec: &ContainerSpec) -> Result<(), Failure> {
    let words = spec.command.iter().chain(spec.entrypoint.iter().flatten()).chain(&spec.environment);
    no_nul(words.chain([&spec.user, &spec.working_directory]))
}

fn no_nul<'a>(mut texts: impl Iterator<Item = &'a String>) -> Result<(), Failure> {
    match texts.find(|text| text.contains('\0')) {
        Some(text) => Err(Failure::invalid(format_args!("{text:?} holds a NUL byte, which no process can be given"))),
        None => Ok(()),
    }
}

fn environment(entries: &[String]) -> Result<(), Failure> {
    match entries.iter().find(|entry| compose::key(entry).is_none()) {
        Some(entry) => Err(Failure::invalid(format_args!("{entry:?} is no environment entry")).hint("write KEY=value")),
        None => Ok(()),
    }
}

fn hostname(name: &str) -> Result<(), Failure> {
    if name.is_empty() || (name.len() <= LONGEST_HOSTNAME && name.split('.').all(is_label)) {
        return Ok(());
    }
    Err(Failure::invalid(format_args!("{name:?} cannot be a hostname")).hint(format_args!(
        "a hostname is at most {LONGEST_HOSTNAME} of letters, digits and `-`, in labels of at most {LONGEST_LABEL} \
         that are separated by dots and neither begin nor end with `-`"
    )))
}

/// Whether it is one of the dot-separated parts of a hostname, by RFC 1123.
fn is_label(label: &str) -> bool {
    (1..=LONGEST_LABEL).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn working_directory(path: &str) -> Result<(), Failure> {
    if path.is_empty() || path.starts_with('/') {
        return Ok(());
    }
    Err(Failure::invalid(format_args!("the working directory {path:?} is not absolute")).hint("begin it with `/`"))
}

fn volumes(volumes: &[Volume], tmpfs: &[Tmpfs]) -> Result<(), Failure> {
    let mut targets = HashSet::new();
    for target in volumes.iter().map(|volume| &volume.target).chain(tmpfs.iter().map(|tmpfs| &tmpfs.target)) {
        let clean = cleaned(target);
        if clean.is_empty() {
            return Err(Failure::invalid(format_args!("a volume cannot be mounted at {target:?}, the root itself"))
                .hint("name a directory in the container, as in -v /host/path:/data"));
        }
        if !targets.insert(clean) {
            return Err(Failure::invalid(format_args!("two volumes are to be mounted at {target:?}"))
                .hint("give each volume, or tmpfs, a place of its own"));
        }
    }
    Ok(())
}

/// The names on an absolute path, without `.` and with `..` taken literally: `/a//b/../c/` is `a c`.
fn cleaned(path: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    names
}

fn ports(spec: &ContainerSpec) -> Result<Vec<String>, Failure> {
    if spec.ports.is_empty() {
        return Ok(Vec::new());
    }
    match spec.network {
        Mode::Host => Ok(vec![
            "published ports have no effect with the host's network: the container listens on the host itself"
                .to_owned(),
        ]),
        Mode::None => Err(Failure::invalid("ports cannot be published without a network")
            .hint("leave out -p, or use --network bridge")),
        Mode::Bridge => distinct(&spec.ports).map(|()| Vec::new()),
    }
}

fn distinct(ports: &[PortBinding]) -> Result<(), Failure> {
    for (index, one) in ports.iter().enumerate() {
        if let Some(other) = ports[..index].iter().find(|other| clash(one, other)) {
            let shown = |port: &PortBinding| {
                let (host, inside) = (port.host_port, port.container_port);
                match port.host_address {
                    None => format!("{host}:{inside}/{}", port.protocol),
                    Some(IpAddr::V4(address)) => format!("{address}:{host}:{inside}/{}", port.protocol),
                    Some(IpAddr::V6(address)) => format!("[{address}]:{host}:{inside}/{}", port.protocol),
                }
            };
            return Err(Failure::invalid(format_args!(
                "the published ports {} and {} are in each other's way",
                shown(other),
                shown(one)
            ))
            .hint("publish each port of the host once"));
        }
    }
    Ok(())
}

/// Whether two bindings want the same port of the host, or say the same thing twice.
fn clash(one: &PortBinding, other: &PortBinding) -> bool {
    let overlap = match (one.host_address, other.host_address) {
        (None, _) | (_, None) => true,
        (Some(one), Some(other)) => {
            one.is_ipv4() == other.is_ipv4() && (one.is_unspecified() || other.is_unspecified() || one == other)
        }
    };
    one == other
        || (one.host_port != 0 && one.host_port == other.host_port && one.protocol == other.protocol && overlap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use schema::Code;
    use schema::common::Protocol;
    use schema::containers::RestartPolicy;

    fn spec() -> ContainerSpec {
        ContainerSpec { image: "base".to_owned(), ..ContainerSpec::default() }
    }

    fn refused(spec: &ContainerSpec, naming: &str) {
        let failure = check(spec, Some(2)).unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument, "{failure}");
        assert!(failure.message.contains(naming), "{failure} does not name {naming}");
    }

    fn volume(target: &str) -> Volume {
        Volume { source: "/src".to_owned(), target: target.to_owned(), read_only: false, idmap: false }
    }

    fn port(address: Option<&str>, host_port: u16) -> PortBinding {
        PortBinding {
            host_address: address.map(|address| address.parse().unwrap()),
            host_port,
            container_port: 80,
            protocol: Protocol::Tcp,
        }
    }

    #[test]
    fn what_is_plain_passes() {
        let good = ContainerSpec {
            environment: vec!["A=".to_owned(), "B=x=y".to_owned()],
            hostname: "a-1.example".to_owned(),
            working_directory: "/srv".to_owned(),
            volumes: vec![volume("/a"), volume("/a/b")],
            ports: vec![port(Some("127.0.0.1"), 80), port(Some("::"), 80), port(None, 0)],
            ..spec()
        };
        assert_eq!(check(&good, Some(2)), Ok(vec![]));
    }

    #[test]
    fn bad_values_are_named() {
        for entry in ["KEY", "=x", ""] {
            refused(&ContainerSpec { environment: vec![entry.to_owned()], ..spec() }, &format!("{entry:?}"));
        }
        for name in ["-a", "a-", "a..b", ".", "a_b", "a b", &"x".repeat(64), &"abcd.".repeat(14)] {
            refused(&ContainerSpec { hostname: name.to_owned(), ..spec() }, name);
        }
        refused(&ContainerSpec { working_directory: "srv".to_owned(), ..spec() }, "srv");
        refused(&ContainerSpec { name: "a/b".to_owned(), ..spec() }, "a/b");
        refused(&ContainerSpec { image: String::new(), ..spec() }, "image");
        refused(&ContainerSpec { labels: vec!["=x".to_owned()], ..spec() }, "\"=x\"");
        refused(&ContainerSpec { stop_signal: "SIGNOPE".to_owned(), ..spec() }, "SIGNOPE");
        refused(&ContainerSpec { command: vec!["a\0b".to_owned()], ..spec() }, "NUL");
        for root in ["/", "//", "/.", "/a/.."] {
            refused(&ContainerSpec { volumes: vec![volume(root)], ..spec() }, root);
        }
        refused(&ContainerSpec { volumes: vec![volume("/a/b"), volume("/a//./b/")], ..spec() }, "/a//./b/");
    }

    #[test]
    fn ports_are_published_once_and_on_the_bridge() {
        let local = Some("127.0.0.1");
        for pair in [
            [port(None, 80), port(None, 80)],
            [port(local, 80), port(None, 80)],
            [port(local, 80), port(Some("0.0.0.0"), 80)],
            [port(Some("::1"), 80), port(Some("::"), 80)],
            [port(None, 0), port(None, 0)],
        ] {
            refused(&ContainerSpec { ports: pair.to_vec(), ..spec() }, "80");
        }
        let mut udp = port(None, 80);
        udp.protocol = Protocol::Udp;
        assert!(check(&ContainerSpec { ports: vec![port(None, 80), udp], ..spec() }, None).is_ok());
        refused(&ContainerSpec { ports: vec![port(None, 80)], network: Mode::None, ..spec() }, "network");
        let host = ContainerSpec { ports: vec![port(None, 80)], network: Mode::Host, ..spec() };
        assert_eq!(check(&host, None).map(|warnings| warnings.len()), Ok(1));
    }

    #[test]
    fn what_removes_itself_has_no_restart_policy() {
        let always = RestartPolicy { kind: RestartKind::Always, maximum: 0 };
        for auto_remove in [AutoRemove::OnExit, AutoRemove::AfterClient] {
            refused(&ContainerSpec { restart: always, auto_remove, ..spec() }, "restarted");
        }
        refused(&ContainerSpec { restart: RestartPolicy { maximum: 3, ..always }, ..spec() }, "3");
        let bounded = RestartPolicy { kind: RestartKind::OnFailure, maximum: 3 };
        for restart in [always, bounded] {
            assert!(check(&ContainerSpec { restart, ..spec() }, None).is_ok());
        }
    }

    #[test]
    fn a_further_process_needs_a_command_and_good_texts() {
        let good = ExecSpec {
            arguments: vec!["sh".to_owned()],
            environment: vec!["A=1".to_owned()],
            user: String::new(),
            working_directory: "/srv".to_owned(),
            terminal: false,
            open_stdin: false,
            rows: 0,
            columns: 0,
            privileged: false,
        };
        assert_eq!(exec(&good), Ok(()));
        for bad in [
            ExecSpec { arguments: vec![], ..good.clone() },
            ExecSpec { arguments: vec![String::new()], ..good.clone() },
            ExecSpec { arguments: vec!["a\0".to_owned()], ..good.clone() },
            ExecSpec { environment: vec!["A".to_owned()], ..good.clone() },
            ExecSpec { working_directory: "srv".to_owned(), ..good.clone() },
        ] {
            assert_eq!(exec(&bad).unwrap_err().code, Code::InvalidArgument, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn labels_of_letters_and_digits_make_hostnames(labels in prop::collection::vec("[a-zA-Z0-9]{1,15}", 1..4)) {
            prop_assert!(hostname(&labels.join(".")).is_ok());
        }

        #[test]
        fn cleaning_is_stable(path in "(/|\\.|[ab]){0,12}") {
            let once = format!("/{}", cleaned(&path).join("/"));
            prop_assert_eq!(cleaned(&once), cleaned(&path));
        }
    }
}
