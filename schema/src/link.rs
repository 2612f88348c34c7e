//! A client's line to a service: connects when it is needed, again when the service was restarted, and
//! gives up only when the caller's time is over.

use crate::bindings::common_capnp::service;
use crate::common::{About, PROTOCOL};
use crate::transport::{Reader, Writer, halves};
use crate::wire::Wire;
use crate::{Call, Code, Failure, transport};
use capnp::ErrorKind;
use capnp::capability::FromClientHook;
use capnp_rpc::{RpcSystem, rpc_twoparty_capnp::Side};
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// Bytes that one message may make its reader traverse, in words of 8 bytes: 32 MiB.
pub const TRAVERSAL_LIMIT: usize = 4 << 20;

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// The line. Clones share the connection.
pub struct Link<C> {
    shared: Rc<Shared<C>>,
}

struct Shared<C> {
    service: &'static str,
    socket: PathBuf,
    connected: RefCell<Option<Connected<C>>>,
    connecting: tokio::sync::Mutex<()>,
    generation: Cell<u64>,
}

struct Connected<C> {
    client: C,
    generation: u64,
    /// Ends with the connection: dropping capabilities alone would leave the socket open.
    _task: AbortOnDrop,
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<C> Clone for Link<C> {
    fn clone(&self) -> Self {
        Self { shared: Rc::clone(&self.shared) }
    }
}

/// One try of a call.
pub struct Attempt<C> {
    /// The service's bootstrap capability.
    pub client: C,
    /// 1 for the first try.
    pub number: u32,
}

impl<C: FromClientHook + Clone> Link<C> {
    /// A line to `service`, which listens on `socket`. Nothing is connected yet.
    pub fn new(service: &'static str, socket: impl Into<PathBuf>) -> Self {
        Self {
            shared: Rc::new(Shared {
                service,
                socket: socket.into(),
                connected: RefCell::new(None),
                connecting: tokio::sync::Mutex::new(()),
                generation: Cell::new(0),
            }),
        }
    }

    /// Calls the service, and again when the connection was lost, until there is an answer or the call's
    /// deadline has passed. Fails with `unavailable` at once if no instance of cctl holds the socket.
    pub async fn call<T, F, Fut>(&self, call: &Call, attempt: F) -> Result<T, Failure>
    where
        F: Fn(Attempt<C>) -> Fut,
        Fut: Future<Output = capnp::Result<Result<T, Failure>>>,
    {
        let answer = within(call, self.shared.service, self.attempts(call, attempt)).await;
        answer.map_err(|failure| hinted(call, failure))
    }

    /// The same for a call that changes nothing. It does not wait until a service that was just connected has said who it
    /// is: if that is another than it should be, no harm is done, and the answer is left aside.
    pub(crate) async fn look<T, F, Fut>(&self, call: &Call, attempt: F) -> Result<T, Failure>
    where
        F: Fn(Attempt<C>) -> Fut,
        Fut: Future<Output = capnp::Result<Result<T, Failure>>>,
    {
        let at_once = async { Ok(self.look_at_once(&attempt).await) };
        match within(call, self.shared.service, at_once).await? {
            Some(answer) => answer.map_err(|failure| hinted(call, failure)),
            None => self.call(call, attempt).await,
        }
    }

    /// None: there is a connection, or none can be had at once.
    async fn look_at_once<T, F, Fut>(&self, attempt: &F) -> Option<Result<T, Failure>>
    where
        F: Fn(Attempt<C>) -> Fut,
        Fut: Future<Output = capnp::Result<Result<T, Failure>>>,
    {
        let turn = self.shared.connecting.try_lock().ok()?;
        if self.current().is_some() {
            return None;
        }
        let (client, task) = bootstrap::<C>(connect(&self.shared.socket).and_then(halves).ok()?);
        let asked = attempt(Attempt { client: client.clone(), number: 1 });
        // Others may use the connection long before there is an answer.
        let greeted = async {
            let _turn = turn;
            let about = hello(&client).await.ok()?;
            Some(about.and_then(|about| self.connected(client.clone(), task, &about)))
        };
        let (greeted, answer) = futures::join!(greeted, asked);
        match greeted? {
            Ok(_) => answer.ok(),
            Err(failure) => Some(Err(failure)),
        }
    }

    async fn attempts<T, F, Fut>(&self, call: &Call, attempt: F) -> Result<T, Failure>
    where
        F: Fn(Attempt<C>) -> Fut,
        Fut: Future<Output = capnp::Result<Result<T, Failure>>>,
    {
        let mut pause = FIRST_PAUSE;
        for number in 1.. {
            let error = match self.client().await? {
                Ok((client, generation)) => match attempt(Attempt { client, number }).await {
                    Ok(answer) => return answer,
                    Err(error) => {
                        self.forget(generation);
                        error
                    }
                },
                Err(error) => error,
            };
            if !is_lost(&error) && error.kind != ErrorKind::Overloaded {
                return Err(self.broken(&error));
            }
            tracing::debug!(service = self.shared.service, request = %call.request, number, %error, "trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Err(Failure::internal("tried more often than can be counted"))
    }

    /// The failure that an exception of the RPC layer means.
    fn broken(&self, error: &capnp::Error) -> Failure {
        let service = self.shared.service;
        match error.kind {
            ErrorKind::Unimplemented => {
                Failure::unimplemented(format_args!("{service} does not know this call: {error}"))
            }
            _ => Failure::internal(format_args!("{service}: {error}")),
        }
    }

    fn current(&self) -> Option<(C, u64)> {
        self.shared.connected.borrow().as_ref().map(|now| (now.client.clone(), now.generation))
    }

    fn forget(&self, generation: u64) {
        let mut connected = self.shared.connected.borrow_mut();
        if connected.as_ref().is_some_and(|now| now.generation == generation) {
            *connected = None;
        }
    }

    /// The bootstrap capability, over the connection that is there or a new one. The outer failure is final.
    async fn client(&self) -> Result<capnp::Result<(C, u64)>, Failure> {
        if let Some(current) = self.current() {
            return Ok(Ok(current));
        }
        let _turn = self.shared.connecting.lock().await;
        if let Some(current) = self.current() {
            return Ok(Ok(current));
        }
        let halves = match connect(&self.shared.socket).and_then(halves) {
            Ok(halves) => halves,
            Err(error) => return self.refused(&error).map(Err),
        };
        let (client, task) = bootstrap::<C>(halves);
        let about = match hello(&client).await {
            Ok(about) => about?,
            Err(error) if is_lost(&error) => return Ok(Err(error)),
            Err(error) => return Err(self.broken(&error)),
        };
        Ok(Ok((client.clone(), self.connected(client, task, &about)?)))
    }

    /// Keeps a connection to a service that speaks as we do; answers its number.
    fn connected(&self, client: C, task: AbortOnDrop, about: &About) -> Result<u64, Failure> {
        if about.protocol != PROTOCOL {
            return Err(Failure::unimplemented(format_args!(
                "{} speaks protocol {}, this program speaks {PROTOCOL}",
                self.shared.service, about.protocol
            ))
            .hint("use programs of one version of cctl"));
        }
        let generation = self.shared.generation.get() + 1;
        self.shared.generation.set(generation);
        tracing::debug!(service = self.shared.service, epoch = about.epoch, "connected");
        *self.shared.connected.borrow_mut() = Some(Connected { client, generation, _task: task });
        Ok(generation)
    }

    /// What a failed connect means: no instance, no permission, or a reason to try again.
    fn refused(&self, error: &std::io::Error) -> Result<capnp::Error, Failure> {
        use std::io::ErrorKind as Io;
        let socket = self.shared.socket.display();
        match error.kind() {
            Io::NotFound | Io::ConnectionRefused | Io::NotADirectory => {
                Err(Failure::unavailable(format_args!("cctl is not running: nobody listens on {socket}"))
                    .hint("start it with `cctl system start`"))
            }
            Io::PermissionDenied => Err(Failure::permission_denied(format_args!("no permission to open {socket}"))
                .hint("run cctl as root, or have yourself given access: see \"Who may do what\" in the guide")),
            _ => Ok(capnp::Error::disconnected(format!("{socket}: {error}"))),
        }
    }
}

/// A failure that nobody can mend who does not know what went on says where to look.
fn hinted(call: &Call, failure: Failure) -> Failure {
    match failure.code {
        Code::Internal if failure.hint.is_empty() => {
            failure.hint(format_args!("see `cctl system logs --request {}`", call.request.command()))
        }
        _ => failure,
    }
}

/// Waits for an answer of `service` no longer than the caller does.
pub(crate) async fn within<T>(
    call: &Call,
    service: &str,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match call.remaining() {
        None => answer.await,
        Some(left) => tokio::time::timeout(left, answer).await.unwrap_or_else(|_| {
            Err(Failure::deadline(format_args!("{service} did not answer in time")).hint("see `cctl system status`"))
        }),
    }
}

/// Whether this says that the connection is lost: also in the middle of a message, as a kill may leave it.
pub(crate) fn is_lost(error: &capnp::Error) -> bool {
    matches!(error.kind, ErrorKind::Disconnected | ErrorKind::PrematureEndOfFile)
}

/// Asks a freshly connected service who it is.
async fn hello<C: FromClientHook + Clone>(client: &C) -> capnp::Result<Result<About, Failure>> {
    let service: service::Client = FromClientHook::new(client.clone().into_client_hook());
    let response = service.hello_request().send().promise.await?;
    let about = response.get()?.get_about()?;
    Ok(About::read(about))
}

fn bootstrap<C: FromClientHook>((reader, writer): (Reader, Writer)) -> (C, AbortOnDrop) {
    let (network, outgoing) = transport::network(reader, writer, Side::Client, reader_options());
    let mut system = RpcSystem::new(Box::new(network), None);
    let client = system.bootstrap(Side::Server);
    let task = tokio::task::spawn_local(async move {
        // The calls in flight learn of the end themselves.
        if let Err(error) = transport::drive(system, outgoing).await {
            tracing::debug!(%error, "connection ended");
        }
    });
    (client, AbortOnDrop(task))
}

/// Bounds on what a message from a peer may make us read.
pub fn reader_options() -> capnp::message::ReaderOptions {
    capnp::message::ReaderOptions { traversal_limit_in_words: Some(TRAVERSAL_LIMIT), nesting_limit: 32 }
}

/// Connects to a socket by its path, of whatever length. That does not wait: there is room in the listener's queue, or it fails.
pub fn connect(socket: &Path) -> std::io::Result<OwnedFd> {
    let short = ShortPath::of(socket)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(short.path())?)?;
    Ok(socket)
}

/// A path for a socket, of whatever length it is: the kernel's limit of 108 bytes (unix(7)) is avoided by naming
/// the socket through its open directory.
#[derive(Debug)]
pub struct ShortPath {
    path: PathBuf,
    /// The path leads through it.
    _directory: OwnedFd,
}

impl ShortPath {
    /// Opens the directory of the socket. Fails with `InvalidInput` if the path names no file in a directory.
    pub fn of(socket: &Path) -> std::io::Result<Self> {
        let (Some(parent), Some(name)) = (socket.parent(), socket.file_name()) else {
            return Err(std::io::ErrorKind::InvalidInput.into());
        };
        let directory = rustix::fs::open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let path = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
        Ok(Self { path, _directory: directory })
    }

    /// The short path: valid in this process, as long as this is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use crate::log_collector::Client;
    use crate::{Call, Code, ContainerId, Instance};
    use std::io::Write;
    use std::os::unix::net::UnixListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    #[test]
    fn a_message_that_is_cut_is_a_lost_connection() {
        let directory = std::env::temp_dir().join(format!("cctl-link-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let instance = Instance::new(&directory, &directory);
        let listener = UnixListener::bind(instance.socket("log-collector")).unwrap();
        let connections = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&connections);
        // A service that is killed, again and again, when it has sent half of a message.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                counted.fetch_add(1, Ordering::Relaxed);
                let _ = stream.unwrap().write_all(&[0, 0, 0, 0, 9, 0, 0, 0, 1, 2, 3]);
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = tokio::task::LocalSet::new().block_on(&runtime, async {
            let id = ContainerId::from_bytes([7; 32]);
            Client::new(&instance).remove(&Call::within(Duration::from_millis(500)), &id).await
        });
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(answer.unwrap_err().code, Code::DeadlineExceeded);
        assert!(connections.load(Ordering::Relaxed) > 1, "it was tried again");
    }
}
