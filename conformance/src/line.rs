//! A connection as it is, without the patience of the typed clients: nothing is tried again.

use capnp::capability::FromClientHook;
use capnp_rpc::{RpcSystem, rpc_twoparty_capnp::Side, twoparty::VatNetwork};
use schema::bindings::common_capnp::service;
use schema::common::About;
use schema::link::{ShortPath, reader_options};
use schema::wire::Wire;
use std::path::Path;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

/// Connects to a socket by its path, of whatever length.
pub(crate) async fn connect(socket: &Path) -> std::io::Result<UnixStream> {
    UnixStream::connect(ShortPath::of(socket)?.path()).await
}

/// A connection and the bootstrap capability that came over it. It ends when this is dropped.
pub(crate) struct Line<C> {
    pub(crate) client: C,
    task: JoinHandle<()>,
}

impl<C> Drop for Line<C> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<C: FromClientHook + Clone> Line<C> {
    pub(crate) async fn connect(socket: &Path) -> Result<Self, String> {
        let stream = connect(socket).await.map_err(|error| format!("cannot connect: {error}"))?;
        let (reader, writer) = stream.into_split();
        let network = VatNetwork::new(reader.compat(), writer.compat_write(), Side::Client, reader_options());
        let mut system = RpcSystem::new(Box::new(network), None);
        let client = system.bootstrap(Side::Server);
        // How it ends is seen by the calls.
        let task = tokio::task::spawn_local(async move { drop(system.await) });
        Ok(Self { client, task })
    }

    /// Asks who it is, knowing these features.
    pub(crate) async fn hello(&self, features: u64) -> Result<About, String> {
        let service: service::Client = FromClientHook::new(self.client.clone().into_client_hook());
        let mut request = service.hello_request();
        request.get().set_features(features);
        let failed = |error: capnp::Error| format!("hello fails: {error}");
        let response = request.send().promise.await.map_err(failed)?;
        let about = response.get().and_then(|answer| answer.get_about()).map_err(failed)?;
        About::read(about).map_err(|failure| format!("hello answers nonsense: {}", failure.message))
    }
}
