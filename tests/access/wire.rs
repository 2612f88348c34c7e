//! Calls any method of any interface, with empty parameters, over a connection.

use capnp::any_pointer;
use capnp::capability::Client;
use capnp_rpc::{RpcSystem, rpc_twoparty_capnp::Side, twoparty::VatNetwork};
use schema::bindings::supervisor_capnp::supervisor::shut_down_params;
use std::future::Future;
use std::os::unix::net::UnixStream;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

/// Runs what speaks over a connection.
pub(crate) fn speak<T, F: Future<Output = T>>(stream: UnixStream, with: impl FnOnce(Client) -> F) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        stream.set_nonblocking(true).unwrap();
        let (reader, writer) = tokio::net::UnixStream::from_std(stream).unwrap().into_split();
        let network =
            VatNetwork::new(reader.compat(), writer.compat_write(), Side::Client, capnp::message::ReaderOptions::new());
        let mut system = RpcSystem::new(Box::new(network), None);
        let client: Client = system.bootstrap(Side::Server);
        let task = tokio::task::spawn_local(system);
        let answer = with(client).await;
        task.abort();
        answer
    })
}

/// What came of a call: `ok`, the code of the failure, or the exception. None: an answer that is no outcome.
pub(crate) async fn call(client: &Client, interface: u64, ordinal: u16) -> Result<Option<String>, capnp::Error> {
    let mut request: capnp::capability::Request<any_pointer::Owned, any_pointer::Owned> =
        client.hook.new_call(interface, ordinal, None);
    let params: shut_down_params::Builder<'_> = request.get().init_as();
    params.init_call().set_deadline_ms(10_000);
    let response = request.send().promise.await?;
    Ok(schema::audit::outcome("", response.get()?).map(|(code, _)| code))
}
