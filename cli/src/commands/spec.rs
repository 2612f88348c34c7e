//! From the arguments of `run` and `create` to what is asked of the engine: pure, but for the files that they name.

use super::security;
use crate::args::{Options, StreamName};
use crate::parse::Parsed;
use crate::parse::env::{Variable, variable};
use crate::parse::label::label;
use crate::parse::lines::parsed;
use crate::parse::log_opt::LogOpt;
use crate::session::Streams;
use crate::terminal::Size;
use schema::Failure;
use schema::common::Limits;
use schema::containers::{AutoRemove, ContainerSpec, RestartKind};
use schema::log_collector::LogMode;
use schema::network::Mode;
use std::path::{Path, PathBuf};

/// What a container takes over from where its client runs.
pub(crate) struct Surroundings {
    /// Relative paths begin here.
    pub(crate) working_directory: PathBuf,
    /// Looks up a variable of the environment.
    pub(crate) environment: fn(&str) -> Option<String>,
    /// Whether stdin is a terminal.
    pub(crate) stdin_is_terminal: bool,
    /// The terminal's size, if there is one.
    pub(crate) size: Option<Size>,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn own() -> Result<Self, Failure> {
        Ok(Self {
            working_directory: std::env::current_dir()
                .map_err(|error| Failure::io("finding the working directory", &error))?,
            environment: |key| std::env::var(key).ok(),
            stdin_is_terminal: crate::terminal::on_stdin(),
            size: crate::terminal::size(),
        })
    }
}

/// Which of our streams are connected with the container's.
pub(crate) fn streams(arguments: &Options, detach: bool) -> Streams {
    let Options { attach, interactive, .. } = arguments;
    match &attach[..] {
        _ if detach => Streams { stdin: false, stdout: false, stderr: false },
        [] => Streams { stdin: *interactive, stdout: true, stderr: true },
        some => Streams {
            stdin: some.contains(&StreamName::Stdin),
            stdout: some.contains(&StreamName::Stdout),
            stderr: some.contains(&StreamName::Stderr),
        },
    }
}

/// The container that is asked for. Fails with `invalidArgument` where arguments contradict each other.
pub(crate) fn specification(arguments: &Options, detach: bool, from: &Surroundings) -> Result<ContainerSpec, Failure> {
    if arguments.rm && arguments.restart.kind != RestartKind::No {
        return Err(Failure::invalid("Conflicting options: --restart and --rm").hint("leave out one of them"));
    }
    let streams = streams(arguments, detach);
    if arguments.tty && streams.stdin && !from.stdin_is_terminal {
        return Err(Failure::invalid("the input device is not a TTY")
            .hint("leave out -t to pipe into the container, or run cctl in a terminal"));
    }
    let open_stdin = arguments.interactive || streams.stdin;
    let size = from.size.filter(|_| arguments.tty).unwrap_or_default();
    let mut spec = ContainerSpec {
        image: arguments.image().to_owned(),
        name: arguments.name.clone(),
        command: arguments.command().to_vec(),
        entrypoint: arguments.entrypoint.as_ref().map(|command| words(command)),
        environment: environment(&arguments.env_file, &arguments.environment, from.environment)?,
        user: arguments.user.clone(),
        hostname: arguments.hostname.clone(),
        working_directory: arguments.workdir.clone().unwrap_or_default(),
        terminal: arguments.tty,
        open_stdin,
        stdin_once: streams.stdin,
        limits: limits(arguments)?,
        network: arguments.network,
        ports: arguments.publish.iter().flat_map(|published| published.0.clone()).collect(),
        volumes: Vec::new(),
        auto_remove: auto_remove(arguments, detach),
        log_max_size: 0,
        log_max_files: 0,
        rows: size.rows,
        columns: size.columns,
        log_mode: LogMode::default(),
        labels: labels(arguments)?,
        restart: arguments.restart,
        stop_signal: arguments.stop_signal.clone().unwrap_or_default(),
        // 0 would be the usual time; a millisecond is at once.
        stop_timeout_ms: arguments.stop_timeout.map_or(0, |timeout| timeout.max(1)),
        extra_hosts: arguments.add_host.clone(),
        nameservers: arguments.dns.iter().map(ToString::to_string).collect(),
        search_domains: arguments.dns_search.clone(),
        security: security::security(&arguments.confined, &from.working_directory)?,
        tmpfs: arguments.confined.tmpfs.clone(),
        users: arguments.userns,
    };
    for volume in arguments.volume.iter().chain(&arguments.mount) {
        spec.volumes.push(volume.resolve(&from.working_directory).map_err(Failure::invalid)?);
    }
    for option in &arguments.log_opt {
        match *option {
            LogOpt::MaxSize(bytes) => spec.log_max_size = bytes,
            LogOpt::MaxFile(count) => spec.log_max_files = count,
            LogOpt::Mode(mode) => spec.log_mode = mode,
        }
    }
    if discards_ports(arguments) {
        spec.ports.clear();
    }
    Ok(spec)
}

/// Whether ports are to be published from a container that has no address of its own.
pub(crate) fn discards_ports(arguments: &Options) -> bool {
    arguments.network != Mode::Bridge && (arguments.publish_all || !arguments.publish.is_empty())
}

/// The environment that files and flags make together: a flag comes after the files. `look_up` reads the caller's.
pub(super) fn environment(
    files: &[PathBuf],
    flags: &[Variable],
    look_up: impl Fn(&str) -> Option<String>,
) -> Result<Vec<String>, Failure> {
    let mut variables = of_files(files, variable)?;
    variables.extend_from_slice(flags);
    Ok(variables.iter().filter_map(|variable| variable.resolve(&look_up)).collect())
}

fn labels(arguments: &Options) -> Result<Vec<String>, Failure> {
    let mut labels = of_files(&arguments.label_file, label)?;
    labels.extend_from_slice(&arguments.label);
    // The last of a key counts.
    let key = |label: &str| label.split('=').next().map(str::to_owned);
    let last = |(place, label): &(usize, &String)| !labels[place + 1..].iter().any(|later| key(later) == key(label));
    Ok(labels.iter().enumerate().filter(last).map(|(_, label)| label.clone()).collect())
}

/// What each line of files means.
fn of_files<T>(files: &[PathBuf], parse: impl Fn(&str) -> Parsed<T>) -> Result<Vec<T>, Failure> {
    let mut values = Vec::new();
    for path in files {
        let values_of = |path: &Path| {
            let text = std::fs::read(path).map_err(|error| error.to_string())?;
            parsed(&text, &parse)
        };
        values.extend(values_of(path).map_err(|error| Failure::invalid(format_args!("{}: {error}", path.display())))?);
    }
    Ok(values)
}

fn auto_remove(arguments: &Options, detach: bool) -> AutoRemove {
    match (arguments.rm, detach) {
        (false, _) => AutoRemove::Never,
        (true, true) => AutoRemove::OnExit,
        (true, false) => AutoRemove::AfterClient,
    }
}

/// An empty entrypoint is none at all.
fn words(command: &str) -> Vec<String> {
    if command.is_empty() { Vec::new() } else { vec![command.to_owned()] }
}

fn limits(arguments: &Options) -> Result<Limits, Failure> {
    let Options { memory, memory_swap, cpus, pids_limit, cpu_shares, .. } = *arguments;
    let memory_swap = memory_swap.unwrap_or(0);
    if memory_swap > 0 && memory == 0 {
        return Err(Failure::invalid("--memory-swap needs --memory")
            .hint("it counts memory and swap together: give both, such as -m 64m --memory-swap 128m"));
    }
    if memory_swap > 0 && u64::try_from(memory_swap).is_ok_and(|both| both < memory) {
        return Err(Failure::invalid(format_args!("--memory-swap {memory_swap} is less than --memory {memory}"))
            .hint("it counts memory and swap together"));
    }
    Ok(Limits { memory, memory_swap, nano_cpus: cpus, pids: pids_limit, cpu_shares })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Command, parse};
    use std::ffi::OsString;

    fn specify(line: &str, terminal: bool) -> Result<ContainerSpec, Failure> {
        let from = Surroundings {
            working_directory: "/home".into(),
            environment: |key| (key == "LANG").then(|| "C".to_owned()),
            stdin_is_terminal: terminal,
            size: terminal.then_some(Size { rows: 24, columns: 80 }),
        };
        match parse(format!("cctl run {line}").split(' ').map(OsString::from)) {
            Ok(Command::Run(run)) => specification(&run.options, run.detach, &from),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn stdin_ends_with_its_client() {
        let spec = specify("-i base cat", false).unwrap();
        assert!(spec.open_stdin && spec.stdin_once && !spec.terminal);
        let spec = specify("-d -i base cat", false).unwrap();
        assert!(spec.open_stdin && !spec.stdin_once);
        let spec = specify("base cat", false).unwrap();
        assert!(!spec.open_stdin && !spec.stdin_once);
        assert!(specify("-a stdin base cat", false).unwrap().open_stdin);
    }

    #[test]
    fn a_terminal_needs_one_here() {
        let spec = specify("-it base sh", true).unwrap();
        assert!(spec.terminal);
        assert_eq!((spec.rows, spec.columns), (24, 80));
        assert!(specify("-it base sh", false).unwrap_err().message.contains("not a TTY"));
        assert!(specify("-t base sh", false).is_ok());
        assert!(specify("-dit base sh", false).is_ok());
    }

    #[test]
    fn removal_waits_for_the_client_that_reads() {
        assert_eq!(specify("--rm base true", false).unwrap().auto_remove, AutoRemove::AfterClient);
        assert_eq!(specify("-d --rm base true", false).unwrap().auto_remove, AutoRemove::OnExit);
        assert_eq!(specify("base true", false).unwrap().auto_remove, AutoRemove::Never);
    }

    #[test]
    fn values_arrive() {
        let spec = specify(
            "-e A=1 -e LANG -e NOPE -v ./x:/y:ro -m 64m --memory-swap 128m --cpus 1.5 --pids-limit 9 --entrypoint sh \
             --log-opt max-size=1m --log-opt max-file=2 -p 8000-8001:80-81 base -c true",
            false,
        )
        .unwrap();
        assert_eq!(spec.environment, ["A=1", "LANG=C"]);
        assert_eq!(spec.volumes[0].source, "/home/x");
        assert_eq!(
            spec.limits,
            Limits { memory: 64 << 20, memory_swap: 128 << 20, nano_cpus: 1_500_000_000, pids: 9, cpu_shares: 0 }
        );
        assert_eq!(spec.entrypoint, Some(vec!["sh".to_owned()]));
        assert_eq!((spec.log_max_size, spec.log_max_files), (1 << 20, 2));
        assert_eq!(spec.ports.len(), 2);
        assert_eq!(spec.command, ["-c", "true"]);
        assert_eq!(specify("--entrypoint= base true", false).unwrap().entrypoint, Some(Vec::new()));
    }

    #[test]
    fn later_options_arrive() {
        let spec = specify(
            "-c 512 -l a=1 -l b -l a=2 --restart on-failure:3 --stop-signal USR1 --stop-timeout 0 --dns 1.1.1.1 --dns fd00::1 \
             --dns-search example.org --add-host db:10.0.0.7 --log-opt mode=drop --mount type=bind,src=./x,dst=/y base",
            false,
        )
        .unwrap();
        assert_eq!(spec.limits.cpu_shares, 512);
        assert_eq!(spec.labels, ["b=", "a=2"]);
        assert_eq!((spec.restart.kind, spec.restart.maximum), (RestartKind::OnFailure, 3));
        assert_eq!((spec.stop_signal.as_str(), spec.stop_timeout_ms), ("USR1", 1));
        assert_eq!(
            (spec.nameservers, spec.search_domains),
            (vec!["1.1.1.1".into(), "fd00::1".into()], vec!["example.org".into()])
        );
        assert_eq!((spec.extra_hosts[0].hostname.as_str(), spec.extra_hosts[0].address.as_str()), ("db", "10.0.0.7"));
        assert_eq!(spec.log_mode, LogMode::Drop);
        assert_eq!((spec.volumes[0].source.as_str(), spec.volumes[0].target.as_str()), ("/home/x", "/y"));
    }

    #[test]
    fn files_come_before_flags() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "A=file\nLANG\n# no\n").unwrap();
        let path = file.path().display();
        let spec = specify(&format!("-e A=flag --env-file {path} --label-file {path} base"), false).unwrap();
        assert_eq!(spec.environment, ["A=file", "LANG=C", "A=flag"]);
        assert_eq!(spec.labels, ["A=file", "LANG="]);
        assert!(specify("--env-file /nonexistent base", false).unwrap_err().message.contains("/nonexistent"));
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(specify("--rm --restart always base true", false).unwrap_err().message.contains("--restart and --rm"));
        assert!(specify("--memory-swap 64m base true", false).is_err());
        assert!(specify("-m 64m --memory-swap 32m base true", false).is_err());
        assert!(specify("-m 64m --memory-swap -1 base true", false).is_ok());
        assert!(specify("--network host -p 80 base true", false).unwrap().ports.is_empty());
    }
}
