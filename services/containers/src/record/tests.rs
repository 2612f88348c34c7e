//! Records through the life of a container.

use super::{Cause, Record, StopOrder};
use crate::fixture;
use crate::lifecycle::{Event, Phase};
use schema::Failure;
use schema::call::RequestId;
use schema::common::{ExitRecord, SandboxRef};
use schema::containers::{ExecSpec, RestartKind, RestartPolicy, State};
use schema::executor::Started;
use schema::filesystem::HostEntry;
use schema::network::Attachment;

const STARTED: Started = Started { pid: 7, started_at: 1_000 };

fn exit(code: i32) -> ExitRecord {
    ExitRecord { code, signal: 0, oom_killed: false, finished_at: 2_000, note: String::new() }
}

fn running(kind: RestartKind) -> Record {
    let mut record = fixture::record(1, "web");
    record.container.spec.restart = RestartPolicy { kind, maximum: 0 };
    record.created();
    record.begin(RequestId(1), Cause::Start).unwrap();
    record.started(STARTED).unwrap();
    record
}

fn actions(record: &Record) -> Vec<&str> {
    record.noted.iter().map(|noted| noted.action.as_str()).collect()
}

#[test]
fn each_transition_is_noted_once_and_in_order() {
    let mut record = running(RestartKind::No);
    record.paused(true).unwrap();
    record.paused(false).unwrap();
    record.renamed("other");
    record.order_stop(StopOrder { request: 2, kill_at: None, then_start: false, with_all: false }).unwrap();
    record.ended(ExitRecord { oom_killed: true, ..exit(137) }).unwrap();
    record.cleaned().unwrap();
    let expected = ["create", "start", "pause", "unpause", "rename", "kill", "oom", "die", "stop"];
    assert_eq!(actions(&record), expected);
    let numbers: Vec<_> = record.noted.iter().map(|noted| noted.number).collect();
    assert_eq!(numbers, (1..=9).collect::<Vec<u64>>());
    let rename = &record.noted[4];
    assert_eq!(rename.attributes, ["name=other", "image=base", "oldName=web"]);
    assert!(record.noted[7].attributes.contains(&"exitCode=137".to_owned()));
}

#[test]
fn a_policy_restarts_what_ended_by_itself_and_counts() {
    let mut record = running(RestartKind::Always);
    for count in 1..=3 {
        record.ended(exit(1)).unwrap();
        assert_eq!((record.phase, record.container.state), (Phase::Ending, State::Restarting));
        record.cleaned().unwrap();
        assert_eq!((record.phase, record.container.state), (Phase::Restarting, State::Restarting));
        record.begin(RequestId(1), Cause::Policy).unwrap();
        record.started(STARTED).unwrap();
        assert_eq!((record.container.restart_count, record.policy.pause_ms), (count, 50 << count));
    }
    assert_eq!((record.ends, record.last_exit.as_ref().unwrap().code), (3, 1));
    record.order_stop(StopOrder { request: 2, kill_at: None, then_start: false, with_all: false }).unwrap();
    record.ended(exit(143)).unwrap();
    record.cleaned().unwrap();
    assert_eq!((record.phase, record.policy.stopped), (Phase::Exited, true));
    record.begin(RequestId(3), Cause::Start).unwrap();
    assert_eq!((record.container.restart_count, record.policy.stopped), (0, false));
}

#[test]
fn a_kill_is_followed_by_no_restart_but_another_signal_is() {
    for (signal, restarts) in [(9, false), (15, false), (1, true)] {
        let mut record = running(RestartKind::Always);
        record.signalled(signal, RequestId(9));
        record.ended(exit(128 + signal)).unwrap();
        assert_eq!(record.is_to_restart(), restarts, "{signal}");
    }
}

#[test]
fn the_end_of_all_containers_is_no_word_about_one() {
    let mut record = running(RestartKind::UnlessStopped);
    record.order_stop(StopOrder { request: 2, kill_at: None, then_start: false, with_all: true }).unwrap();
    record.ended(exit(143)).unwrap();
    assert!(!record.is_to_restart() && !record.policy.stopped);
    assert!(crate::resume::after_reboot(record).unwrap().is_to_restart());
}

#[test]
fn only_a_policys_start_that_fails_is_tried_again() {
    for (cause, again) in [(Cause::Start, false), (Cause::Restart, false), (Cause::Policy, true)] {
        let mut record = fixture::record(1, "web");
        record.container.spec.restart = RestartPolicy { kind: RestartKind::OnFailure, maximum: 0 };
        record.begin(RequestId(1), cause).unwrap();
        record.failed(&Failure::unavailable("no network")).unwrap();
        assert_eq!(record.is_to_restart(), again, "{cause:?}");
    }
}

#[test]
fn a_restart_that_is_called_off_is_over() {
    let mut record = running(RestartKind::Always);
    record.ended(exit(1)).unwrap();
    record.cancel_restart(false).unwrap();
    assert_eq!((record.phase, record.container.state), (Phase::Ending, State::Exited));
    record.cleaned().unwrap();
    assert_eq!((record.phase, record.policy.stopped), (Phase::Exited, true));
}

#[test]
fn names_have_all_addresses_and_then_the_users_hosts() {
    let mut record = fixture::record(1, "web");
    record.container.spec.hostname = "host".to_owned();
    record.container.spec.extra_hosts = vec![HostEntry { address: "192.0.2.7".to_owned(), hostname: "db".to_owned() }];
    record.container.spec.nameservers = vec!["192.0.2.53".to_owned()];
    let attachment = Attachment {
        address: Some("10.0.0.2".parse().unwrap()),
        address6: Some("fd00::2".parse().unwrap()),
        ..Attachment::default()
    };
    let names = record.names(Some(&attachment));
    let lines: Vec<_> = names.hosts.iter().map(|host| format!("{} {}", host.address, host.hostname)).collect();
    assert_eq!(lines, ["10.0.0.2 host", "10.0.0.2 web", "fd00::2 host", "fd00::2 web", "192.0.2.7 db"]);
    assert_eq!((names.hostname.as_str(), names.nameservers), ("host", vec!["192.0.2.53".to_owned()]));
}

#[test]
fn an_exec_inherits_what_it_does_not_say() {
    let mut record = fixture::record(1, "web");
    record.image.environment = vec!["A=image".to_owned(), "B=image".to_owned()];
    record.container.spec.environment = vec!["B=user".to_owned(), "C=user".to_owned()];
    record.container.spec.user = "web".to_owned();
    record.container.spec.working_directory = "/srv".to_owned();
    let plain =
        ExecSpec { arguments: vec!["id".to_owned()], environment: vec!["C=exec".to_owned()], ..ExecSpec::default() };
    let process = record.exec_process(&plain);
    assert_eq!((process.user.as_str(), process.working_directory.as_str()), ("web", "/srv"));
    assert_eq!(process.environment[2..], ["A=image", "B=user", "C=exec"]);
    let own = ExecSpec { user: "0".to_owned(), working_directory: "/".to_owned(), terminal: true, ..plain };
    let process = record.exec_process(&own);
    assert_eq!((process.user.as_str(), process.working_directory.as_str()), ("0", "/"));
    assert!(process.environment.contains(&"TERM=xterm".to_owned()));
}

#[test]
fn a_sandbox_is_named_by_its_monitor_or_by_pid_1() {
    let mut record = running(RestartKind::No);
    let pid = i32::try_from(std::process::id()).unwrap();
    let start_time = kit::process::start_time(pid).unwrap();
    record.container.pid = pid;
    assert_eq!(record.mounted_at(), Some(SandboxRef { pid, start_time }));
    let dead = SandboxRef { pid, start_time: start_time + 1 };
    record.run.as_mut().unwrap().sandbox = Some(dead);
    assert_eq!(record.mounted_at(), Some(SandboxRef { pid, start_time }));
    record.phase = Phase::Exited;
    assert_eq!(record.mounted_at(), None);
}

#[test]
fn what_was_stored_before_loads() {
    let record = running(RestartKind::Always);
    let mut stored = serde_json::to_value(&record).unwrap();
    let fields = stored.as_object_mut().unwrap();
    for new in ["policy", "ends", "last_exit", "noted", "events", "committed"] {
        fields.remove(new).unwrap();
    }
    let run = fields["run"].as_object_mut().unwrap();
    for new in ["sandbox", "cause", "killed", "signalled_by"] {
        run.remove(new).unwrap();
    }
    let mut loaded: Record = serde_json::from_value(stored).unwrap();
    assert_eq!((loaded.phase, loaded.run.as_ref().unwrap().cause), (Phase::Running, Cause::Start));
    loaded.apply(Event::Pause).unwrap();
    assert_eq!(loaded.container.state, State::Paused);
}
