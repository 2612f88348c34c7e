//! `system`: the services themselves.

mod access;
mod audit;
mod audit_log;
mod boot;
mod check;
mod doctor;
mod logs;
mod metrics;
mod otlp;
mod program;
mod reload;
mod stop;
mod top;
mod usage;

use crate::args::{Format, System};
use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::render;
use schema::supervisor::{ServiceStatus, State};
use schema::{Call, Failure};
use std::path::Path;
use std::time::Duration;

/// How long all services may take to come up again, one after the other.
const RESTART: Duration = Duration::from_secs(300);

/// Does what a verb of `system` says.
pub(crate) async fn run(engine: &Engine, arguments: &System) -> Result<u8> {
    match arguments {
        System::Start => boot::run(engine).await,
        System::Stop { containers, timeout_ms } => stop::run(engine, containers.then_some(*timeout_ms)).await,
        System::Status { format } => status(engine, format.as_ref()).await,
        System::Doctor { format } => doctor::run(&engine.instance, format.as_ref()),
        System::Check { repair } => check::run(engine, *repair).await,
        System::Audit { format } => audit::run(engine, format.as_ref()).await,
        System::AuditLog(arguments) => audit_log::run(engine, arguments).await,
        System::Df { format } => usage::run(engine, format.as_ref()).await,
        System::Restart { service } => restart(engine, service.as_deref()).await,
        System::Reload => reload::run(engine).await,
        System::Replace { service, binary, default: _ } => replace(engine, service, binary.as_deref()).await,
        System::Top { no_stream, sort } => top::run(engine, *no_stream, *sort).await,
        System::Metrics { listen, once: _ } => metrics::run(engine, listen.as_ref()).await,
        System::Otlp { endpoint, once } => otlp::run(engine, endpoint, *once).await,
        System::Logs { format, request: Some(request), service } => {
            logs::of_request(engine, request, service.as_deref(), format.is_some()).await
        }
        System::Logs { format, request: None, service } => {
            logs::run(engine, service.as_deref().unwrap_or_default(), format.is_some()).await
        }
    }
}

async fn status(engine: &Engine, format: Option<&Format>) -> Result<u8> {
    let services = engine.supervisor.status(&call()).await?;
    match format {
        Some(Format::Json) => console::print_line(render::json_pretty(&render::system::statuses(&services))?)?,
        Some(format @ (Format::Template(_) | Format::TableOf(_))) => {
            console::print(&render::system::listing(&services)?.render(format)?)?;
        }
        None | Some(Format::Table) => {
            console::print(&render::system::table(&services))?;
            for service in &services {
                tell_trouble(service);
                tell_replacement(service, &engine.instance.state(schema::supervisor::SERVICE));
            }
            if let Some(wrong) = access::trouble(&engine.instance) {
                console::note(format_args!("only root and the group cctl have access: {wrong}"));
            }
        }
    }
    Ok(0)
}

/// Says why a service does not serve.
fn tell_trouble(status: &ServiceStatus) {
    let ServiceStatus { service, state, last_error, .. } = status;
    if matches!(state, State::Backoff | State::Failed) {
        let why = if last_error.is_empty() { "it ended" } else { last_error };
        console::note(format_args!("{service}: {why}; see `cctl system logs {service}`"));
    }
}

/// Says that a service is not what is installed.
fn tell_replacement(status: &ServiceStatus, state: &Path) {
    let ServiceStatus { service, executable, .. } = status;
    if executable.is_empty() {
        return;
    }
    if Path::new(executable).starts_with(state.join("programs")) {
        console::note(format_args!(
            "{service}: runs a replacement, {executable}; `cctl system replace {service} --default` undoes that"
        ));
    } else {
        console::note(format_args!("{service}: runs {executable}, as a drop-in says"));
    }
}

/// Replaces the program of a service; none: by the installed one.
async fn replace(engine: &Engine, service: &str, binary: Option<&Path>) -> Result<u8> {
    let path = match binary {
        None => String::new(),
        Some(binary) => {
            let absolute = std::path::absolute(binary)
                .map_err(|error| Failure::io(format_args!("finding {}", binary.display()), &error))?;
            absolute
                .into_os_string()
                .into_string()
                .map_err(|path| Failure::invalid(format_args!("{} is not UTF-8", Path::new(&path).display())))?
        }
    };
    engine.supervisor.replace(&Call::within(RESTART), service, &path).await?;
    console::print_line(service)?;
    Ok(0)
}

async fn restart(engine: &Engine, service: Option<&str>) -> Result<u8> {
    engine.supervisor.restart(&Call::within(RESTART), service.unwrap_or_default()).await?;
    console::print_line(service.unwrap_or("all services"))?;
    Ok(0)
}
