//! Serving a bootstrap capability on a listening socket.

use crate::peer::Peer;
use capnp::capability::FromClientHook;
use capnp_rpc::{RpcSystem, rpc_twoparty_capnp::Side, twoparty::VatNetwork};
use futures::io::{BufReader, BufWriter};
use schema::link::{SOCKET_BUFFER, STREAM_WINDOW, reader_options};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

/// How long to wait before accepting again when descriptors have run out.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections for ever; each permitted peer gets the capability.
pub async fn serve<C: FromClientHook + Clone + 'static>(listener: UnixListener, bootstrap: C) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => admit(stream, bootstrap.clone()),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn admit<C: FromClientHook + 'static>(stream: UnixStream, bootstrap: C) {
    match Peer::of(&stream) {
        Ok(peer) if peer.may_connect() => {
            actix::spawn(converse(stream, bootstrap));
        }
        Ok(peer) => tracing::warn!(?peer, "refused a peer that has no permission"),
        Err(error) => tracing::warn!(%error, "refused a peer without credentials"),
    }
}

async fn converse<C: FromClientHook>(stream: UnixStream, bootstrap: C) {
    let (reader, writer) = stream.into_split();
    let mut network = VatNetwork::new(
        BufReader::with_capacity(SOCKET_BUFFER, reader.compat()),
        BufWriter::with_capacity(SOCKET_BUFFER, writer.compat_write()),
        Side::Server,
        reader_options(),
    );
    network.set_window_size(STREAM_WINDOW);
    let bootstrap = capnp::capability::Client::new(bootstrap.into_client_hook());
    if let Err(error) = RpcSystem::new(Box::new(network), Some(bootstrap)).await {
        tracing::debug!(%error, "connection ended");
    }
}
