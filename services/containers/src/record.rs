//! What is durable of a container.

mod asked;
mod changes;
#[cfg(test)]
mod tests;

use crate::lifecycle::Phase;
use crate::{compose, noted, signals};
use noted::Noted;
use schema::call::RequestId;
use schema::common::{ExitRecord, Layer, SandboxRef};
use schema::containers::{AutoRemove, Container, ContainerSpec, StartError};
use schema::image_store::{Image, ImageConfig};
use schema::network::{Attachment, Mode};
use schema::{ContainerId, Failure};
use serde::{Deserialize, Serialize};

pub(crate) use changes::Cause;

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
    /// The id that was asked for, if it has another: that of a sandbox which stood ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asked_as: Option<ContainerId>,
    /// What is needed of the image to run it.
    pub(crate) image: ImagePart,
    /// Warnings that hold for every run.
    pub(crate) warnings: Vec<String>,
    /// The current or last run.
    pub(crate) run: Option<Run>,
    /// What its restart policy has to remember.
    #[serde(default)]
    pub(crate) policy: Policy,
    /// How many runs are over, and nothing of them is left.
    #[serde(default)]
    pub(crate) ends: u64,
    /// How the last run that is over ended.
    #[serde(default)]
    pub(crate) last_exit: Option<ExitRecord>,
    /// Events that may not have been told yet. They are durable with the change that they tell of.
    #[serde(default)]
    pub(crate) noted: Vec<Noted>,
    /// How many events there were.
    #[serde(default)]
    pub(crate) events: u64,
    /// Uploads that hold a complete layer of it, for commits that are asked for again; the last ones.
    #[serde(default)]
    pub(crate) committed: Vec<String>,
}

/// What a restart policy has to remember.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Policy {
    /// When it starts the container again, nanoseconds since the Unix epoch; none: it does not.
    pub(crate) again_at: Option<i64>,
    /// The pause before the last start, milliseconds; 0: it was no restart.
    pub(crate) pause_ms: u64,
    /// The last word of a user was to stop it.
    pub(crate) stopped: bool,
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
    /// The request that started it: its repetition does not start another. A restart policy goes on in the
    /// name of the request that it follows.
    pub(crate) started_by: u64,
    /// Root filesystem, network and log are in place: only then may PID 1 have been started.
    pub(crate) assembled: bool,
    /// Once its end was asked for.
    pub(crate) stop: Option<StopOrder>,
    /// What to do about the start's failure, if it failed.
    pub(crate) hint: String,
    /// Names its namespaces, once they exist.
    #[serde(default)]
    pub(crate) sandbox: Option<SandboxRef>,
    /// Why it was begun.
    #[serde(default)]
    pub(crate) cause: Cause,
    /// A user sent it a signal that is to end it: its restart policy lets it be.
    #[serde(default)]
    pub(crate) killed: bool,
    /// The last request to send it a signal.
    #[serde(default)]
    pub(crate) signalled_by: Option<u64>,
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
    /// All containers are stopped: no word of a user about this one.
    #[serde(default)]
    pub(crate) with_all: bool,
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
        effective.labels = compose::merged(&image.config.labels, &spec.labels);
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
            ids: None,
        };
        Ok(Self {
            revision: 0,
            phase: Phase::Created,
            container,
            requested: spec.clone(),
            asked_as: None,
            image: ImagePart {
                layers: image.layers,
                environment: image.config.environment,
                working_directory: image.config.working_directory,
                user: image.config.user,
                stop_signal,
            },
            warnings,
            run: None,
            policy: Policy::default(),
            ends: 0,
            last_exit: None,
            noted: Vec::new(),
            events: 0,
            committed: Vec::new(),
        })
    }

    /// Its id.
    pub(crate) fn id(&self) -> &ContainerId {
        &self.container.id
    }

    /// What to sort by: newer ones come after older ones.
    pub(crate) fn creation(&self) -> (i64, &ContainerId) {
        (self.container.created_at, self.id())
    }

    /// Whether this is its id, or the one that was asked for.
    pub(crate) fn has_id(&self, id: &str) -> bool {
        self.id().as_str() == id || self.asked_as.as_ref().is_some_and(|asked| asked.as_str() == id)
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.container.spec.name
    }

    /// Whether it stays when its run is over, also over a restart of the host.
    pub(crate) fn is_kept(&self) -> bool {
        self.container.spec.auto_remove == AutoRemove::Never
    }

    /// Whether its restart policy is about to start it.
    pub(crate) fn is_to_restart(&self) -> bool {
        matches!(self.phase, Phase::Ending | Phase::Restarting) && self.policy.again_at.is_some()
    }

    /// How the current or last run was ordered to end, if it was.
    pub(crate) fn stop_order(&self) -> Option<StopOrder> {
        self.run.as_ref()?.stop
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

    /// Whether this request was the last to order the end of the current or last run.
    pub(crate) fn stopped_by(&self, request: RequestId) -> bool {
        self.stop_order().is_some_and(|order| order.request == request.0)
    }

    /// When its last run ended, in nanoseconds since the Unix epoch; 0: never.
    pub(crate) fn finished_at(&self) -> i64 {
        self.container.exit.as_ref().map_or(0, |exit| exit.finished_at)
    }

    /// Whether this request was the last to send a signal to the current or last run.
    pub(crate) fn signalled_by(&self, request: RequestId) -> bool {
        self.run.as_ref().is_some_and(|run| run.signalled_by == Some(request.0))
    }

    /// Whether it shares the host's network namespace: then there is nothing to attach or detach.
    pub(crate) fn uses_host_network(&self) -> bool {
        self.container.spec.network == Mode::Host
    }

    /// Where its root filesystem is mounted while it runs.
    ///
    /// That is known by its monitor, or by PID 1, which is in the same namespaces, if the monitor was killed or
    /// never recorded.
    pub(crate) fn mounted_at(&self) -> Option<SandboxRef> {
        if !self.phase.is_running() {
            return None;
        }
        let monitor = self.run.as_ref().and_then(|run| run.sandbox);
        if let Some(monitor) = monitor.filter(|monitor| kit::process::is_alive(monitor.pid, monitor.start_time)) {
            return Some(monitor);
        }
        let pid = self.container.pid;
        let start_time = kit::process::start_time(pid).ok()?;
        Some(SandboxRef { pid, start_time })
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
