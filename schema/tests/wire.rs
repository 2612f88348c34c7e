//! What is written is what is read, and hostile bytes are an error, never a crash.

use capnp::message::{Builder, ReaderOptions};
use proptest::prelude::*;
use schema::bindings::{common_capnp, containers_capnp, image_store_capnp, log_collector_capnp};
use schema::capability::Choice;
use schema::common::{ExitRecord, IdRange, Layer, Limits, PortBinding, Protocol, Volume};
use schema::containers::{
    AutoRemove, Container, ContainerSpec, RestartKind, RestartPolicy, StartError, State, UserMode,
};
use schema::filesystem::{HostEntry, Tmpfs};
use schema::image_store::{Image, ImageConfig};
use schema::log_collector::{Chunk, LogMode, Record, Stream};
use schema::network::{Attachment, Mode};
use schema::security::{Access, Device, Seccomp, Security, Ulimit};
use schema::wire::Wire;
use schema::{Code, ContainerId, Digest, Failure};

/// Sends a value over a wire of memory.
macro_rules! sent {
    ($value:expr, $type:ty, $wire:path) => {{
        use $wire as wire;
        let mut message = Builder::new_default();
        $value.write(message.init_root::<wire::Builder>());
        let bytes = capnp::serialize::write_message_to_words(&message);
        let message = capnp::serialize::read_message(&bytes[..], ReaderOptions::new()).unwrap();
        <$type>::read(message.get_root::<wire::Reader>().unwrap())
    }};
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(|bytes| Digest::from_sha256(&bytes))
}

fn words() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(".{0,8}", 0..4)
}

prop_compose! {
    fn port()(address in any::<Option<[u8; 4]>>(), host_port: u16, container_port in 1_u16.., udp: bool) -> PortBinding {
        let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
        PortBinding { host_address: address.map(std::net::IpAddr::from), host_port, container_port, protocol }
    }
}

prop_compose! {
    fn exit()(code: i32, signal: i32, oom_killed: bool, finished_at: i64, note in ".*") -> ExitRecord {
        ExitRecord { code, signal, oom_killed, finished_at, note }
    }
}

prop_compose! {
    fn security()(
        flags: [bool; 4],
        add in prop::collection::vec(0u8..41, 0..4),
        new_privileges: Option<bool>,
        seccomp in prop_oneof![
            Just(Seccomp::Usual), Just(Seccomp::Unconfined), ".{0,9}".prop_map(Seccomp::Profile)
        ],
        lists in (words(), words(), words()),
        app_armor in ".{0,9}",
        numbers: [u64; 3],
    ) -> Security {
        Security {
            privileged: flags[0], cap_add: add.into_iter().map(Choice::One).collect(), cap_drop: vec![Choice::All],
            read_only_root: flags[1], new_privileges, seccomp, app_armor, labels: lists.0, system_paths: flags[2],
            devices: vec![Device { source: "/dev/a".into(), target: "/dev/b".into(), access: Access { make: flags[3], ..Access::ALL } }],
            groups: lists.1, sysctls: lists.2, shm_size: numbers[0],
            ulimits: vec![Ulimit { resource: "nofile".into(), soft: numbers[1], hard: numbers[2] }],
        }
    }
}

prop_compose! {
    fn spec()(
        texts in prop::collection::vec(".{0,8}", 5),
        lists in (words(), prop::option::of(words()), words()),
        flags: [bool; 3],
        limits in (any::<u64>(), any::<i64>(), any::<u64>(), any::<u64>()),
        network in prop::sample::select(vec![Mode::Bridge, Mode::None, Mode::Host]),
        ports in prop::collection::vec(port(), 0..3),
        volumes in prop::collection::vec(("/.{0,8}", "/.{0,8}", any::<bool>()), 0..3),
        auto_remove in prop::sample::select(vec![AutoRemove::Never, AutoRemove::OnExit, AutoRemove::AfterClient]),
        numbers in (any::<u64>(), any::<u32>(), any::<u16>(), any::<u16>()),
        more in (words(), words()),
        security in security(),
    ) -> ContainerSpec {
        ContainerSpec {
            image: texts[0].clone(), name: texts[1].clone(), user: texts[2].clone(), hostname: texts[3].clone(),
            working_directory: texts[4].clone(), command: lists.0, entrypoint: lists.1, environment: lists.2,
            terminal: flags[0], open_stdin: flags[1], stdin_once: flags[2],
            limits: Limits { memory: limits.0, memory_swap: limits.1, nano_cpus: limits.2, pids: limits.3, cpu_shares: limits.0 / 2 },
            network, ports, auto_remove,
            volumes: volumes.into_iter().filter(|(source, target, _)| !source.contains('\0') && !target.contains('\0'))
                .map(|(source, target, read_only)| Volume { source, target, read_only, idmap: !read_only }).collect(),
            log_max_size: numbers.0, log_max_files: numbers.1, rows: numbers.2, columns: numbers.3,
            log_mode: LogMode::Drop, labels: more.0, nameservers: more.1, search_domains: vec!["example".into()],
            restart: RestartPolicy { kind: RestartKind::OnFailure, maximum: numbers.1 },
            stop_signal: texts[0].clone(), stop_timeout_ms: numbers.1,
            extra_hosts: vec![HostEntry { address: "fd00::1".into(), hostname: texts[1].clone() }],
            security,
            tmpfs: vec![Tmpfs {
                target: "/t".into(), size: numbers.0, mode: numbers.1, uid: 1, gid: 2, read_only: flags[0], exec: flags[1],
                suid: flags[2], dev: flags[0],
            }],
            users: UserMode::Private,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn containers_arrive_whole(
        id: [u8; 32], spec in spec(), image_id in digest(), arguments in words(), times: [i64; 2], pid: i32,
        exit in prop::option::of(exit()), error in prop::option::of(".+"), attached in prop::option::of(any::<[u8; 4]>()),
        run_position: u64, warnings in words(),
        state in prop::sample::select(vec![State::Created, State::Starting, State::Running, State::Stopping, State::Exited, State::Removing, State::Paused, State::Restarting]),
    ) {
        let container = Container {
            id: ContainerId::from_bytes(id), spec, image_id, arguments, created_at: times[0], state, pid,
            started_at: times[1], exit, run_position, warnings, restart_count: 3, execs: vec![ContainerId::from_bytes(id)], ids: IdRange::new(0x2000_0000),
            error: error.map(|message| StartError { code: Code::Conflict.into(), message }),
            attachment: attached.map(|address| Attachment {
                address: Some(address.into()), prefix_length: 24, gateway: None, mac: "02:00".into(), ports: vec![],
                address6: Some(std::net::Ipv6Addr::LOCALHOST), prefix_length6: 64, gateway6: None,
            }),
        };
        prop_assert_eq!(sent!(container, Container, containers_capnp::container), Ok(container));
    }

    #[test]
    fn images_arrive_whole(
        id in digest(), layer in digest(), references in words(), created_at: i64, size: u64,
        environment in words(), user in ".*",
    ) {
        let image = Image {
            layers: vec![Layer { digest: id.clone(), diff_id: layer, media_type: "tar".into(), size }],
            manifest: id.clone(), repository_digests: references.clone(), parent: Some(id.clone()), container: None,
            author: user.clone(), holders: references.clone(),
            id, references, created_at, size,
            config: ImageConfig { environment, user, ..ImageConfig::default() },
        };
        prop_assert_eq!(sent!(image, Image, image_store_capnp::image), Ok(image));
    }

    #[test]
    fn output_arrives_whole(data in prop::collection::vec(any::<u8>(), 0..100), at: i64, next: u64, lost: u64, ended: bool) {
        let records = vec![Record { at, stream: Stream::Stderr, data, dropped: 7 }];
        let chunk = Chunk { records, next, lost, ended };
        prop_assert_eq!(sent!(chunk, Chunk, log_collector_capnp::chunk), Ok(chunk));
    }

    #[test]
    fn failures_arrive_whole(code in 0_u16..13, message in ".*", hint in ".*") {
        let failure = Failure { code: Code::try_from(code).unwrap(), message, hint };
        prop_assert_eq!(sent!(failure, Failure, common_capnp::failure), Ok(failure));
    }

    #[test]
    fn hostile_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        if let Ok(message) = capnp::serialize::read_message(&bytes[..], ReaderOptions::new())
            && let Ok(container) = message.get_root::<containers_capnp::container::Reader>()
        {
            drop(Container::read(container));
        }
    }
}

#[test]
fn names_that_are_none_are_refused() {
    let mut message = Builder::new_default();
    let mut layer = message.init_root::<common_capnp::layer::Builder>();
    layer.set_digest("sha256:../../etc/passwd");
    let refused = Layer::read(layer.into_reader()).unwrap_err();
    assert_eq!(refused.code, Code::InvalidArgument);
    assert!(refused.message.contains("../../etc/passwd"));
}
