//! Serving the fake workers on their sockets.

use super::executor::Executor;
use super::others::{Filesystem, ImageStore, LogCollector, Network};
use super::world::World;
use capnp::capability::FromClientHook;
use capnp_rpc::{RpcSystem, rpc_twoparty_capnp::Side, twoparty::VatNetwork};
use schema::common::{About, PROTOCOL};
use schema::{Instance, executor, filesystem, image_store, log_collector, network};
use std::rc::Rc;
use tokio::net::UnixListener;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

/// Serves all five.
pub(crate) fn workers(instance: &Instance, world: &Rc<World>) {
    let world = || Rc::clone(world);
    let about = |service: &str| About {
        service: service.to_owned(),
        version: "0".to_owned(),
        protocol: PROTOCOL,
        epoch: 1,
        features: 0,
    };
    serve(instance, "executor", executor::serve(about("executor"), Executor(world())));
    serve(instance, "filesystem", filesystem::serve(about("filesystem"), Filesystem(world())));
    serve(instance, "network", network::serve(about("network"), Network(world())));
    serve(instance, "log-collector", log_collector::serve(about("log-collector"), LogCollector(world())));
    serve(instance, "image-store", image_store::serve(about("image-store"), ImageStore(world())));
}

fn serve<C: FromClientHook + Clone + 'static>(instance: &Instance, service: &'static str, bootstrap: C) {
    let listener = UnixListener::bind(instance.socket(service)).unwrap();
    actix::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (reader, writer) = stream.into_split();
            let network = VatNetwork::new(reader.compat(), writer.compat_write(), Side::Server, Default::default());
            let bootstrap = capnp::capability::Client::new(bootstrap.clone().into_client_hook());
            actix::spawn(RpcSystem::new(Box::new(network), Some(bootstrap)));
        }
    });
}
