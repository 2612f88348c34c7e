//! What is durable of a container.

use crate::lifecycle::{Event, Phase};
use crate::{compose, signals};
use schema::call::RequestId;
use schema::common::{ExitRecord, Layer};
use schema::containers::{AutoRemove, Container, ContainerSpec, StartError};
use schema::executor::{ProcessSpec, SandboxSpec, Started};
use schema::filesystem::{HostEntry, Names};
use schema::image_store::{Image, ImageConfig};
use schema::network::{Attachment, Mode};
use schema::{ContainerId, Failure};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The record of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Grows with every change: of two records of one container, the greater is the newer.
    pub(crate) revision: u64,
    /// Where it is in its life. The container's `state` follows from it.
    pub(crate) phase: Phase,
    /// What its clients see.
    pub(crate) container: Container,
    /// What was asked for, to the letter: recognises a repeated `create`.
    pub(crate) requested: ContainerSpec,
    /// What is needed of the image to run it.
    pub(crate) image: ImagePart,
    /// Warnings that hold for every run.
    pub(crate) warnings: Vec<String>,
    /// The current or last run.
    pub(crate) run: Option<Run>,
}

/// What a container needs of its image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImagePart {
    /// Base first.
    pub(crate) layers: Vec<Layer>,
    /// `KEY=value`.
    pub(crate) environment: Vec<String>,
    /// Empty: `/`.
    pub(crate) working_directory: String,
    /// Empty: root.
    pub(crate) user: String,
    /// What asks PID 1 to end.
    pub(crate) stop_signal: i32,
}

/// What is known of a run besides what clients see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The request that started it: its repetition does not start another.
    pub(crate) started_by: u64,
    /// Root filesystem, network and log are in place: only then may PID 1 have been started.
    pub(crate) assembled: bool,
    /// Once its end was asked for.
    pub(crate) stop: Option<StopOrder>,
    /// What to do about the start's failure, if it failed.
    pub(crate) hint: String,
}

/// How a run is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StopOrder {
    /// Whose request it is.
    pub(crate) request: u64,
    /// When PID 1 is killed, nanoseconds since the Unix epoch; none: never.
    pub(crate) kill_at: Option<i64>,
    /// Whether the same request starts it again then.
    pub(crate) then_start: bool,
}

impl Record {
    /// A new container of an image, without a name of its own if none was asked for. Fails with
    /// `invalidArgument` for what cannot be run; `warnings` are those about the request.
    pub(crate) fn new(
        id: ContainerId,
        spec: &ContainerSpec,
        image: Image,
        mut warnings: Vec<String>,
    ) -> Result<Self, Failure> {
        let arguments = compose::arguments(spec, &image.config)?;
        let stop_signal = stop_signal(spec, &image.config, &mut warnings);
        let mut effective = spec.clone();
        if effective.hostname.is_empty() {
            effective.hostname = id.short().to_owned();
        }
        let container = Container {
            id,
            spec: effective,
            image_id: image.id,
            arguments,
            created_at: kit::process::now(),
            state: Phase::Created.state(),
            pid: 0,
            started_at: 0,
            exit: None,
            error: None,
            attachment: None,
            run_position: 0,
            warnings: warnings.clone(),
            restart_count: 0,
            execs: Vec::new(),
        };
        Ok(Self {
            revision: 0,
            phase: Phase::Created,
            container,
            requested: spec.clone(),
            image: ImagePart {
                layers: image.layers,
                environment: image.config.environment,
                working_directory: image.config.working_directory,
                user: image.config.user,
                stop_signal,
            },
            warnings,
            run: None,
        })
    }

    /// Its id.
    pub(crate) fn id(&self) -> &ContainerId {
        &self.container.id
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.container.spec.name
    }

    /// Whether it stays when its run is over, also over a restart of the host.
    pub(crate) fn is_kept(&self) -> bool {
        self.container.spec.auto_remove == AutoRemove::Never
    }

    /// Lets an event happen. Fails with `internal` if it cannot happen now: the caller has to ask before.
    pub(crate) fn apply(&mut self, event: Event) -> Result<(), Failure> {
        let next = self.phase.after(event).ok_or_else(|| {
            Failure::internal(format_args!(
                "container {}: {event:?} cannot happen while it is {:?}",
                self.id().short(),
                self.phase
            ))
        })?;
        self.phase = next;
        self.container.state = next.state();
        self.revision += 1;
        Ok(())
    }

    /// Begins a run for a request.
    pub(crate) fn begin(&mut self, request: RequestId) -> Result<(), Failure> {
        self.apply(Event::Start)?;
        self.run = Some(Run { started_by: request.0, assembled: false, stop: None, hint: String::new() });
        self.container.exit = None;
        self.container.error = None;
        self.container.warnings.clone_from(&self.warnings);
        Ok(())
    }

    /// Everything is in place for PID 1.
    pub(crate) fn assembled(&mut self, attachment: Option<Attachment>, position: u64, warnings: Vec<String>) {
        self.container.attachment = attachment;
        self.container.run_position = position;
        self.container.warnings.clone_from(&self.warnings);
        self.container.warnings.extend(warnings);
        if let Some(run) = &mut self.run {
            run.assembled = true;
        }
        self.revision += 1;
    }

    /// A sandbox was found of which the record does not know: with a process that runs or has run, or without.
    pub(crate) fn found(&mut self, process: Option<Started>) -> Result<(), Failure> {
        match process {
            Some(started) => self.runs(Event::Found, started)?,
            None => self.apply(Event::Stray)?,
        }
        self.run = None;
        Ok(())
    }

    /// PID 1 was started.
    pub(crate) fn started(&mut self, started: Started) -> Result<(), Failure> {
        self.runs(Event::Started, started)
    }

    fn runs(&mut self, event: Event, started: Started) -> Result<(), Failure> {
        self.apply(event)?;
        self.container.pid = started.pid;
        self.container.started_at = started.started_at;
        Ok(())
    }

    /// The start did not succeed.
    pub(crate) fn failed(&mut self, failure: &Failure) -> Result<(), Failure> {
        self.apply(Event::Failed)?;
        self.container.error = Some(StartError { code: failure.code.into(), message: failure.message.clone() });
        if let Some(run) = &mut self.run {
            run.hint.clone_from(&failure.hint);
        }
        self.forget_run();
        Ok(())
    }

    /// PID 1 has ended.
    pub(crate) fn ended(&mut self, exit: ExitRecord) -> Result<(), Failure> {
        self.apply(Event::Ended)?;
        self.container.exit = Some(exit);
        self.forget_run();
        Ok(())
    }

    /// Its end is ordered.
    pub(crate) fn order_stop(&mut self, order: StopOrder) -> Result<(), Failure> {
        if self.phase == Phase::Stopping {
            self.revision += 1;
        } else {
            self.apply(Event::Stop)?;
        }
        if let Some(run) = &mut self.run {
            run.stop = Some(order);
        }
        Ok(())
    }

    /// How the current or last run was ordered to end, if it was.
    pub(crate) fn stop_order(&self) -> Option<StopOrder> {
        self.run.as_ref()?.stop
    }

    /// PID 1 has ended, or may never have run, and nobody can tell.
    pub(crate) fn lost(&mut self, exit: ExitRecord) -> Result<(), Failure> {
        if self.phase == Phase::Starting {
            self.started(Started { pid: 0, started_at: exit.finished_at })?;
        }
        self.ended(exit)
    }

    /// What was true while it ran.
    fn forget_run(&mut self) {
        self.container.pid = 0;
        self.container.attachment = None;
    }

    /// Why the last start failed, as its caller is told.
    pub(crate) fn start_failure(&self) -> Option<Failure> {
        let StartError { code, message } = self.container.error.as_ref()?;
        let hint = self.run.as_ref().map(|run| run.hint.as_str()).unwrap_or_default();
        Some(Failure::new((*code).into(), message).hint(hint))
    }

    /// Whether this request began the current or last run.
    pub(crate) fn started_by(&self, request: RequestId) -> bool {
        self.run.as_ref().is_some_and(|run| run.started_by == request.0)
    }

    /// Whether it shares the host's network namespace: then there is nothing to attach or detach.
    pub(crate) fn uses_host_network(&self) -> bool {
        self.container.spec.network == Mode::Host
    }

    /// The sandbox that it runs in.
    pub(crate) fn sandbox(&self) -> SandboxSpec {
        let spec = &self.container.spec;
        SandboxSpec {
            hostname: spec.hostname.clone(),
            host_network: self.uses_host_network(),
            terminal: spec.terminal,
            open_stdin: spec.open_stdin,
            limits: spec.limits,
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
}

/// The user's word, which was checked, or the image's, which may be anything.
fn stop_signal(spec: &ContainerSpec, image: &ImageConfig, warnings: &mut Vec<String>) -> i32 {
    let text = if spec.stop_signal.is_empty() { &image.stop_signal } else { &spec.stop_signal };
    if text.is_empty() {
        return signals::TERM;
    }
    signals::parse(text).unwrap_or_else(|| {
        warnings.push(format!("the image's stop signal {text:?} is unknown: SIGTERM is used"));
        signals::TERM
    })
}
