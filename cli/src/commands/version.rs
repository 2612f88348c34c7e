//! `version`.

use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::render::table::Table;
use schema::bindings::common_capnp::service;
use schema::common::{About, PROTOCOL};
use schema::link::Link;
use schema::wire::Wire;
use schema::{Call, Code, Failure, containers, executor, filesystem, image_store, log_collector, network, supervisor};
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

/// How long one service is asked for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Prints the versions of this program and, if cctl runs, of each service.
pub(crate) async fn run(engine: &Engine) -> Result<u8> {
    let mut table = Table::new(&["COMPONENT", "VERSION", "PROTOCOL"]);
    table.row(["cctl".to_owned(), env!("CARGO_PKG_VERSION").to_owned(), PROTOCOL.to_string()]);
    let mut status = 0;
    let answers = futures::future::join_all(SERVICES.map(|name| about(engine, name))).await;
    for (name, answer) in SERVICES.into_iter().zip(answers) {
        match answer {
            Ok(about) => table.row([about.service, about.version, about.protocol.to_string()]),
            Err(failure) if failure.code == Code::Unavailable && name == SERVICES[0] => {
                console::print(&table.render())?;
                console::note("the services are not running");
                return Ok(0);
            }
            Err(failure) => {
                console::complain(&failure);
                status = 1;
            }
        }
    }
    console::print(&table.render())?;
    Ok(status)
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
