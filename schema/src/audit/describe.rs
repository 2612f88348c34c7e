//! What a call was about, and what came of it, read from the message alone: for every method, whoever implements it.

use super::model::{AuditPage, AuditQuery};
use crate::Failure;
use crate::bindings::containers_capnp::{AutoRemove, container_spec, containers};
use crate::bindings::image_store_capnp::{image_store, transfer};
use crate::bindings::log_collector_capnp::log_collector;
use crate::bindings::network_capnp::Mode;
use crate::bindings::supervisor_capnp::supervisor;
use crate::bindings::{common_capnp, executor_capnp};
use crate::wire::{Wire, text, write_outcome};
use capnp::any_pointer;

/// Bytes of one value that are told: nobody's name is longer, and a record has to stay small.
const LONGEST: usize = 256;
/// Values of one list that are told.
const MOST: usize = 16;

// Every method has the same shape: its first parameter is a `Call`, and it answers an `Outcome`. So any method without
// further parameters, and any outcome without a value, is what all of them begin with.
type AnyParams<'a> = supervisor::shut_down_params::Reader<'a>;
type AnyResults<'a> = supervisor::shut_down_results::Reader<'a>;
type AnyResultsBuilder<'a> = supervisor::shut_down_results::Builder<'a>;

/// What a call was about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// What was named; may be empty.
    pub object: String,
    /// `key=value`.
    pub details: Vec<String>,
    /// It is called again and again, and this is not the first time.
    pub is_repeated: bool,
}

impl Subject {
    fn of(object: capnp::Result<capnp::text::Reader<'_>>) -> Self {
        Self { object: told(object), ..Self::default() }
    }

    fn with(mut self, key: &str, value: impl ToString) -> Self {
        let value = value.to_string();
        if !value.is_empty() {
            self.details.push(format!("{key}={}", short(&value)));
        }
        self
    }

    fn text(self, key: &str, value: capnp::Result<capnp::text::Reader<'_>>) -> Self {
        self.with(key, told(value))
    }

    fn set(self, key: &str, is_set: bool) -> Self {
        if is_set { self.with(key, true) } else { self }
    }
}

fn short(text: &str) -> String {
    let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= LONGEST);
    end.map_or_else(|| text.to_owned(), |end| format!("{}…", &text[..end]))
}

fn told(value: capnp::Result<capnp::text::Reader<'_>>) -> String {
    short(&text(value).unwrap_or_default())
}

/// The number of the user's request; 0 if there is none.
pub fn request(params: any_pointer::Reader<'_>) -> u64 {
    let call = params.get_as::<AnyParams<'_>>().and_then(|params| params.get_call());
    call.map_or(0, |call| call.get_request())
}

/// What a call of this method is about. What cannot be read is left out: whoever answers it will say so.
pub fn subject(method: &str, params: any_pointer::Reader<'_>) -> Subject {
    described(method, params).unwrap_or_default()
}

fn described(method: &str, params: any_pointer::Reader<'_>) -> capnp::Result<Subject> {
    macro_rules! params {
        ($interface:ident :: $method:ident) => {
            params.get_as::<$interface::$method::Reader<'_>>()?
        };
    }
    Ok(match method {
        "containers.create" => {
            let params = params!(containers::create_params);
            created(Subject::of(params.get_id()), params.get_spec()?)
        }
        "containers.run" => {
            let params = params!(containers::run_params);
            created(Subject::of(params.get_id()), params.get_spec()?)
        }
        "containers.stop" => Subject::of(params!(containers::stop_params).get_container()),
        "containers.kill" => {
            let params = params!(containers::kill_params);
            Subject::of(params.get_container()).with("signal", params.get_signal())
        }
        "containers.remove" => {
            let params = params!(containers::remove_params);
            Subject::of(params.get_container()).set("force", params.get_force())
        }
        "containers.rename" => {
            let params = params!(containers::rename_params);
            Subject::of(params.get_container()).text("name", params.get_new_name())
        }
        "containers.exec" => {
            let params = params!(containers::exec_params);
            let (container, exec, spec) = (params.get_container(), params.get_exec(), params.get_spec()?);
            let command = spec.get_arguments()?.iter().next().unwrap_or(Ok("".into()));
            Subject::of(container)
                .text("exec", exec)
                .text("command", command)
                .text("user", spec.get_user())
                .set("privileged", spec.get_privileged())
        }
        "containers.extract" => Subject::of(params!(containers::extract_params).get_container()),
        "containers.commit" => {
            let params = params!(containers::commit_params);
            Subject::of(params.get_container()).text("image", params.get_spec()?.get_reference())
        }
        "containers.check" => Subject::default().set("repair", params!(containers::check_params).get_repair()),
        "containers.shutDown" | "containers.standDown" | "supervisor.shutDown" => Subject::default(),
        _ if method.starts_with("containers.") && method != "containers.execWait" => {
            // The first parameter after the call is the container.
            Subject::of(params!(containers::start_params).get_container())
        }
        "image-store.upload" => {
            let params = params!(image_store::upload_params);
            Subject { is_repeated: params.get_offset() > 0, ..Subject::of(params.get_upload()) }
        }
        "image-store.importUpload" => {
            let params = params!(image_store::import_upload_params);
            let request = params.get_request()?;
            Subject::of(request.get_reference())
                .text("source", request.get_source())
                .text("upload", params.get_upload())
        }
        "image-store.loadUpload" => {
            Subject::default().text("upload", params!(image_store::load_upload_params).get_upload())
        }
        "image-store.pull" => {
            let params = params!(image_store::pull_params);
            let request = params.get_request()?;
            let subject = Subject::of(request.get_reference()).text("platform", request.get_platform());
            Subject { is_repeated: params.get_seen() > 0, ..subject.set("allTags", request.get_all_tags()) }
        }
        "image-store.push" => {
            let params = params!(image_store::push_params);
            let request = params.get_request()?;
            let subject = Subject::of(request.get_reference()).set("allTags", request.get_all_tags());
            Subject { is_repeated: params.get_seen() > 0, ..subject }
        }
        "image-store.fetch" => {
            let params = params!(image_store::fetch_params);
            // There may be a password in front of the host, and a token behind the path.
            let url = told(params.get_request()?.get_url());
            let url = url.split(['?', '#']).next().unwrap_or_default();
            let url = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
            Subject { is_repeated: params.get_seen() > 0, ..Subject::default().with("url", url) }
        }
        "image-store.login" => Subject::of(params!(image_store::login_params).get_registry()),
        "image-store.tag" => {
            let params = params!(image_store::tag_params);
            let subject = Subject::of(params.get_source()).text("name", params.get_target());
            subject.set("force", params.get_force())
        }
        "image-store.remove" => {
            let params = params!(image_store::remove_params);
            Subject::of(params.get_reference()).set("force", params.get_force())
        }
        "image-store.commitUpload" => {
            let request = params!(image_store::commit_upload_params).get_request()?;
            Subject::of(request.get_reference()).text("container", request.get_container())
        }
        "image-store.lease" => {
            let params = params!(image_store::lease_params);
            Subject::of(params.get_holder()).text("image", params.get_reference())
        }
        "image-store.check" => Subject::default().set("repair", params!(image_store::check_params).get_repair()),
        "log-collector.openInput" => Subject::of(params!(log_collector::open_input_params).get_id()),
        "log-collector.read" => Subject::of(params!(log_collector::read_params).get_id()),
        "log-collector.locate" => Subject::of(params!(log_collector::locate_params).get_id()),
        "log-collector.open" => Subject::of(params!(log_collector::open_params).get_id()),
        "log-collector.remove" => Subject::of(params!(log_collector::remove_params).get_id()),
        "supervisor.restart" => Subject::of(params!(supervisor::restart_params).get_service()),
        "supervisor.replace" => {
            let params = params!(supervisor::replace_params);
            Subject::of(params.get_service()).text("executable", params.get_executable())
        }
        "executor.signal" => {
            use executor_capnp::executor;
            let params = params!(executor::signal_params);
            Subject::of(params.get_id()).with("signal", params.get_signal())
        }
        _ => Subject::default(),
    })
}

/// What matters of a new container.
fn created(subject: Subject, spec: container_spec::Reader<'_>) -> Subject {
    let mut subject = subject
        .text("name", spec.get_container_name())
        .text("image", spec.get_image())
        .text("user", spec.get_user())
        .set("autoRemove", spec.get_auto_remove().is_ok_and(|when| when != AutoRemove::Never));
    if spec.get_network().is_ok_and(|mode| mode == Mode::Host) {
        subject = subject.with("network", "host");
    }
    if let Ok(security) = spec.get_security() {
        subject = subject.set("privileged", security.get_privileged());
        for capability in security.get_cap_add().into_iter().flatten().take(MOST) {
            subject = subject.text("cap-add", capability);
        }
        for device in security.get_devices().into_iter().flatten().take(MOST) {
            subject = subject.text("device", device.get_source());
        }
    }
    for volume in spec.get_volumes().into_iter().flatten().take(MOST) {
        let value = format!("{}:{}", told(volume.get_source()), told(volume.get_target()));
        subject = subject.with("volume", if volume.get_read_only() { value + ":ro" } else { value });
    }
    for port in spec.get_ports().into_iter().flatten().take(MOST) {
        let address = told(port.get_host_address());
        subject = subject.with("publish", format!("{address}:{}:{}", port.get_host_port(), port.get_container_port()));
    }
    for label in spec.get_labels().into_iter().flatten().take(MOST) {
        subject = subject.text("label", label);
    }
    subject
}

/// What came of a call: `ok` or the name of the failure's code, and the failure's message. None if there is no answer, or
/// one that is no outcome.
pub fn outcome(method: &str, results: any_pointer::Reader<'_>) -> Option<(String, String)> {
    let answer = results.get_as::<AnyResults<'_>>().ok()?;
    if !answer.has_outcome() {
        return None;
    }
    match answer.get_outcome().ok()?.which().ok()? {
        common_capnp::outcome::Failure(failure) => {
            let Failure { code, message, hint: _ } = Failure::read(failure.ok()?).ok()?;
            Some((code_name(code), short(&message)))
        }
        common_capnp::outcome::Ok(_) => match method {
            "image-store.pull" | "image-store.push" | "image-store.fetch" => transferred(results),
            _ => Some(("ok".to_owned(), String::new())),
        },
    }
}

/// The state of a transfer, which all three methods answer.
fn transferred(results: any_pointer::Reader<'_>) -> Option<(String, String)> {
    let answer = results.get_as::<image_store::pull_results::Reader<'_>>().ok()?;
    let common_capnp::outcome::Ok(state) = answer.get_outcome().ok()?.which().ok()? else { return None };
    Some(match state.ok()?.which().ok()? {
        transfer::Running(()) => ("begun".to_owned(), String::new()),
        transfer::Done(_) => ("ok".to_owned(), String::new()),
        transfer::Failed(failure) => {
            let failure = Failure::read(failure.ok()?).ok()?;
            (code_name(failure.code), short(&failure.message))
        }
    })
}

/// The same of a failure that is at hand; none: there was none.
pub fn outcome_of(failure: Option<Failure>) -> (String, String) {
    failure
        .map_or_else(|| ("ok".to_owned(), String::new()), |failure| (code_name(failure.code), short(&failure.message)))
}

fn code_name(code: crate::Code) -> String {
    let name = format!("{code:?}");
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// Answers a call with a failure, whatever its method.
pub fn refuse(results: any_pointer::Builder<'_>, failure: &Failure) {
    let answer: AnyResultsBuilder<'_> = results.init_as();
    write_outcome(answer.init_outcome(), Err::<(), _>(failure.clone()), |(), _| ());
}

impl AuditQuery {
    /// From the parameters of a call.
    pub fn read(params: any_pointer::Reader<'_>) -> Result<Self, Failure> {
        let params = params.get_as::<common_capnp::service::audit_records_params::Reader<'_>>()?;
        Ok(Self {
            after: params.get_after(),
            since: params.get_since(),
            until: params.get_until(),
            max_count: params.get_max_count(),
        })
    }
}

impl AuditPage {
    /// Into the answer of a call.
    pub fn answer(answer: Result<Self, Failure>, results: any_pointer::Builder<'_>) {
        let results: common_capnp::service::audit_records_results::Builder<'_> = results.init_as();
        write_outcome(results.init_outcome(), answer, |page, builder| page.write(builder));
    }
}
