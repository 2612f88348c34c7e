//! Sockets and connections of the made-up services.

use super::world::World;
use super::{Journal, containers, images, logs};
use capnp::capability::FromClientHook;
use capnp_rpc::{RpcSystem, rpc_twoparty_capnp::Side, twoparty::VatNetwork};
use schema::common::{About, PROTOCOL};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{AbortHandle, LocalSet, spawn_local};
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

type Connections = Rc<RefCell<Vec<AbortHandle>>>;

/// Serves until nobody can ask for a restart any more.
pub fn serve(run: &Path, journal: Journal, mut restarts: UnboundedReceiver<()>, up: &std::sync::mpsc::Sender<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let world = World::new(journal);
        let connections = Connections::default();
        let listen = |name: &str| UnixListener::bind(run.join(format!("{name}.sock"))).unwrap();
        let containers = schema::containers::serve(about("containers"), containers::Api(world.clone()));
        spawn_local(accept(listen("containers"), containers, connections.clone()));
        let logs = schema::log_collector::serve(about("log-collector"), logs::Api(world.clone()));
        spawn_local(accept(listen("log-collector"), logs, connections.clone()));
        let images = schema::image_store::serve(about("image-store"), images::Api(world.clone()));
        spawn_local(accept(listen("image-store"), images, connections.clone()));
        up.send(()).unwrap();
        while restarts.recv().await.is_some() {
            connections.borrow_mut().drain(..).for_each(|connection| connection.abort());
            world.restart();
        }
    });
}

fn about(service: &str) -> About {
    About { service: service.into(), version: "9.9.9".into(), protocol: PROTOCOL, epoch: 1, features: 0 }
}

async fn accept<C: FromClientHook + Clone + 'static>(listener: UnixListener, bootstrap: C, connections: Connections) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let task = spawn_local(converse(stream, bootstrap.clone()));
        connections.borrow_mut().push(task.abort_handle());
    }
}

async fn converse<C: FromClientHook>(stream: UnixStream, bootstrap: C) {
    let (reader, writer) = stream.into_split();
    let options = schema::link::reader_options();
    let network = VatNetwork::new(reader.compat(), writer.compat_write(), Side::Server, options);
    let bootstrap = capnp::capability::Client::new(bootstrap.into_client_hook());
    let _ = RpcSystem::new(Box::new(network), Some(bootstrap)).await;
}
