//! `version`.

use crate::args::{Format, Summary};
use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::render::json_line;
use crate::render::listing::apply;
use crate::render::table::Table;
use crate::template::Data;
use schema::bindings::common_capnp::service;
use schema::common::{About, PROTOCOL};
use schema::link::Link;
use schema::wire::Wire;
use schema::{Call, Code, Failure, containers, executor, filesystem, image_store, log_collector, network, supervisor};
use serde::Serialize;
use std::time::Duration;

/// All services, in the order in which they are shown.
const SERVICES: [&str; 7] = [
    supervisor::SERVICE,
    containers::SERVICE,
    image_store::SERVICE,
    filesystem::SERVICE,
    network::SERVICE,
    executor::SERVICE,
    log_collector::SERVICE,
];

/// Those that nobody speaks to but root and services.
const INNER: [&str; 3] = [filesystem::SERVICE, network::SERVICE, executor::SERVICE];

/// How long one service is asked for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Versions, with Docker's names.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Versions {
    client: Component,
    /// None: the services do not run.
    server: Option<Server>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Server {
    version: String,
    components: Vec<Component>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Component {
    name: String,
    version: String,
    protocol: u32,
}

/// Prints the versions of this program and, if cctl runs, of each service.
pub(crate) async fn run(engine: &Engine, arguments: &Summary) -> Result<u8> {
    let client =
        Component { name: "cctl".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), protocol: PROTOCOL };
    let (components, status) = components(engine).await;
    let version = components.first().map(|component| component.version.clone());
    let server = version.map(|version| Server { version, components });
    let stopped = server.is_none() && status == 0;
    let versions = Versions { client, server };
    match &arguments.format {
        None | Some(Format::Table) => console::print(&table(&versions))?,
        Some(Format::Json) => console::print_line(json_line(&versions)?)?,
        Some(Format::Template(template) | Format::TableOf(template)) => {
            let data = Data::new(serde_json::to_value(&versions).map_err(Failure::internal)?);
            console::print_line(apply(template, &data)?)?;
        }
    }
    if stopped {
        console::note("the services are not running");
    }
    Ok(status)
}

/// The services that answer, and the exit status.
async fn components(engine: &Engine) -> (Vec<Component>, u8) {
    let (mut components, mut status) = (Vec::new(), 0);
    let answers = futures::future::join_all(SERVICES.map(|name| about(engine, name))).await;
    for (name, answer) in SERVICES.into_iter().zip(answers) {
        match answer {
            Ok(About { service, version, protocol, .. }) => {
                components.push(Component { name: service, version, protocol });
            }
            Err(failure) if failure.code == Code::Unavailable && name == SERVICES[0] => return (Vec::new(), 0),
            // These speak with root and services alone, whatever role the user has.
            Err(failure) if failure.code == Code::PermissionDenied && INNER.contains(&name) => {}
            Err(failure) => {
                console::complain(&failure);
                status = 1;
            }
        }
    }
    (components, status)
}

fn table(versions: &Versions) -> String {
    let mut table = Table::new(&["COMPONENT", "VERSION", "PROTOCOL"]);
    let services = versions.server.iter().flat_map(|server| &server.components);
    for Component { name, version, protocol } in std::iter::once(&versions.client).chain(services) {
        table.row([name.clone(), version.clone(), protocol.to_string()]);
    }
    table.render()
}

/// What any service says of itself.
async fn about(engine: &Engine, name: &'static str) -> std::result::Result<About, Failure> {
    let link = Link::<service::Client>::new(name, engine.instance.socket(name));
    let call: Call = call().limited(PATIENCE);
    link.call(&call, |attempt| {
        let request = attempt.client.hello_request();
        async move { Ok(About::read(request.send().promise.await?.get()?.get_about()?)) }
    })
    .await
}
