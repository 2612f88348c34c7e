//! Serving a bootstrap capability on a listening socket.
//!
//! A peer costs little, whatever it does: there are so many connections of one process and of all, a connection that
//! calls nothing is closed, a message has a bounded size, so many calls wait for their answers, and a peer that does
//! not read its answers is not read from.
//!
//! Each gets a capability of its own, made for the role that it has.

mod bootstrap;
mod gate;
mod guard;
mod handed;
mod limits;

use crate::access::{Door, Role};
use crate::peer::Peer;
use capnp::message::ReaderOptions;
use capnp::private::capability::ClientHook;
use capnp_rpc::{RpcSystem, rpc_twoparty_capnp::Side};
use guard::Caller;
use handed::Handed;
use limits::{Admitted, Crowd, Load};
use rustix::process::{Resource, getrlimit};
use schema::link::reader_options;
use schema::transport::{self, Reader, Writer, halves};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::{UnixListener, UnixStream};

pub use bootstrap::Bootstrap;

/// How long to wait before accepting again when descriptors have run out.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a peer may take to call something, `hello` first.
const HELLO: Duration = Duration::from_secs(10);
/// Bytes of one message that a peer may send, in words of 8 bytes: 8 MiB. What is larger goes in pieces.
const LARGEST_MESSAGE: usize = 1 << 20;
/// Refusals are told once in so long a time.
const TOLD: Duration = Duration::from_secs(10);

/// The connections that this thread serves.
pub fn connections() -> u32 {
    limits::connections()
}

/// Accepts connections for ever, of root, of its own user, and of the services that need this one.
pub async fn serve(listener: UnixListener, bootstrap: impl Into<Bootstrap>) {
    serve_at(listener, bootstrap, Door::open("")).await;
}

/// Accepts connections for ever; each peer gets the capability that is made for its role.
pub async fn serve_at(listener: UnixListener, bootstrap: impl Into<Bootstrap>, door: impl Into<Rc<Door>>) {
    let crowd = Crowd::new(getrlimit(Resource::Nofile).current);
    let (bootstrap, door) = (bootstrap.into(), door.into());
    let (mut refused, mut told) = (0_u64, None::<Instant>);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => refused += u64::from(!admit(stream, &bootstrap, &crowd, &door)),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
        if refused > 0 && told.is_none_or(|told| told.elapsed() > TOLD) {
            tracing::warn!(refused, "closed connections that were too many, of one process or of all");
            (refused, told) = (0, Some(Instant::now()));
        }
    }
}

/// Converses with a peer; false if it is one too many. Its connection is closed: a client tries again.
fn admit(stream: UnixStream, bootstrap: &Bootstrap, crowd: &Crowd, door: &Rc<Door>) -> bool {
    match Peer::of(&stream) {
        Ok(peer) => {
            let role = door.role(&peer);
            let user = matches!(role, Role::Limited(_)).then_some(peer.uid);
            let Some(admitted) = crowd.admit(peer.pid, user) else { return false };
            let halves = match stream.into_std().and_then(|stream| halves(stream.into())) {
                Ok(halves) => halves,
                Err(error) => {
                    tracing::warn!(%error, "closed a connection that cannot be watched");
                    return true;
                }
            };
            let door = Rc::clone(door);
            let caller = Caller { peer: peer.clone(), role: role.clone(), door: Rc::clone(&door) };
            let bootstrap = bootstrap.of(&role);
            actix::spawn(async move {
                tokio::select! {
                    () = converse(halves, bootstrap, caller, admitted) => {}
                    // What it had was another's to give, and is taken back: it may come again as who it is now.
                    () = door.changed(&peer, &role) => tracing::info!(?peer, "closed a connection: its role has changed"),
                }
            });
        }
        Err(error) => tracing::warn!(%error, "refused a peer without credentials"),
    }
    true
}

async fn converse(
    (reader, writer): (Reader, Writer),
    bootstrap: Box<dyn ClientHook>,
    caller: Caller,
    admitted: Admitted,
) {
    let _admitted = admitted;
    let (reader, writer) = gate::gated(reader, writer);
    let options = ReaderOptions { traversal_limit_in_words: Some(LARGEST_MESSAGE), ..reader_options() };
    let (network, outgoing) = transport::network(reader, writer, Side::Server, options);
    let load = Rc::new(Load::default());
    let handed = Handed::new(bootstrap, caller, Rc::clone(&load));
    let bootstrap = capnp::capability::Client::new(Box::new(handed));
    let mut conversation = Box::pin(transport::drive(RpcSystem::new(Box::new(network), Some(bootstrap)), outgoing));
    let ended = match tokio::time::timeout(HELLO, &mut conversation).await {
        Ok(ended) => ended,
        Err(_) if load.has_greeted() => conversation.await,
        Err(_) => return tracing::info!("closed a connection over which nothing was called"),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
