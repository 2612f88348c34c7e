//! From `main` to serving.

use crate::access::Door;
use crate::notify::{Notifier, keep_alive_and_tell};
use crate::shelf::{self, Shelf};
use crate::vital::Vital;
use crate::{format, log, serve, sys};
use schema::common::{About, PROTOCOL};
use schema::{Failure, Instance};
use std::fs;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener as StdListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::UnixListener;

/// What a service says of itself before it runs: `--describe` prints it as JSON, for tests of the manifest.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Identity {
    /// Name of the service and of the interface that it implements.
    pub service: &'static str,
    /// Services that it calls.
    pub needs: &'static [&'static str],
    /// Version of the program.
    pub version: &'static str,
}

/// What a service is given to start with.
#[derive(Clone, Debug)]
pub struct Context {
    /// Who it is.
    pub identity: Identity,
    /// Where it lives.
    pub instance: Instance,
    /// Differs for every start.
    pub epoch: u64,
    /// What has to answer for the service to be alive, beside its main loop.
    pub vital: Vital,
    /// What keeps descriptors for its successors, if the manifest gives it that.
    pub shelf: Option<Arc<Shelf>>,
}

impl Context {
    /// The answer to `hello`.
    pub fn about(&self) -> About {
        About {
            service: self.identity.service.to_owned(),
            version: self.identity.version.to_owned(),
            protocol: PROTOCOL,
            epoch: self.epoch,
            features: 0,
        }
    }

    /// The service's own directory for durable state, made if it is missing, with mode 0700. Fails if a newer cctl
    /// has written it.
    pub fn state(&self) -> Result<PathBuf, Failure> {
        use std::os::unix::fs::DirBuilderExt;
        let path = self.instance.state(self.identity.service);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|error| Failure::io(format_args!("making {}", path.display()), &error))?;
        format::check(&path)?;
        Ok(path)
    }
}

/// Runs a service until it is killed. `start` recovers its state and gives the bootstrap capability; only
/// then is the supervisor told that the service is ready. Peers that connect before wait in the socket.
pub fn run<C, F, Fut>(identity: Identity, start: F) -> ExitCode
where
    C: Into<serve::Bootstrap> + 'static,
    F: FnOnce(Context) -> Fut + 'static,
    Fut: Future<Output = Result<C, Failure>> + 'static,
{
    if std::env::args().nth(1).as_deref() == Some("--describe") {
        return describe(&identity);
    }
    match boot(identity, start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!(%failure, "cannot start");
            eprintln!("{}: {failure}", identity.service);
            ExitCode::FAILURE
        }
    }
}

fn describe(identity: &Identity) -> ExitCode {
    match serde_json::to_string(identity) {
        Ok(description) => {
            println!("{description}");
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn boot<C, F, Fut>(identity: Identity, start: F) -> Result<(), Failure>
where
    C: Into<serve::Bootstrap> + 'static,
    F: FnOnce(Context) -> Fut + 'static,
    Fut: Future<Output = Result<C, Failure>> + 'static,
{
    let (socket, shelf) = passed().ok_or_else(|| {
        Failure::invalid("this service is started by cctl-supervisor, which passes its socket (LISTEN_FDS)")
            .hint("run `cctl system start`")
    })?;
    let instance = Instance::from_env()?;
    log::init(&instance.log(identity.service)).map_err(|error| Failure::io("opening the log", &error))?;
    let vital = Vital::default();
    let context =
        Context { identity, instance, epoch: schema::call::RequestId::random().0, vital: vital.clone(), shelf };
    tracing::info!(service = identity.service, version = identity.version, epoch = context.epoch, "starting");
    let door = Door::of(&context.instance, identity.service);
    let failed = |doing: &'static str| move |error: io::Error| Failure::io(doing, &error);
    let notifier = Notifier::from_env().map_err(failed("opening the notification socket"))?;
    actix::System::new().block_on(async move {
        let listener = StdListener::from(socket);
        listener.set_nonblocking(true).map_err(failed("preparing the socket"))?;
        let listener = UnixListener::from_std(listener).map_err(failed("preparing the socket"))?;
        let bootstrap = start(context).await?;
        notifier.ready();
        tracing::info!("ready");
        door.verify();
        actix::spawn(keep_alive_and_tell(notifier, vital));
        serve::serve_at(listener, bootstrap, door).await;
        Ok(())
    })
}

/// What was passed to this process: its socket, and a shelf.
fn passed() -> Option<(OwnedFd, Option<Arc<Shelf>>)> {
    let mut passed = sys::passed()?.into_iter();
    let (_, socket) = passed.next()?;
    let (mut into, mut out) = (None, None);
    for (name, descriptor) in passed {
        match name.as_str() {
            shelf::IN => into = Some(descriptor),
            shelf::OUT => out = Some(descriptor),
            // Of a newer supervisor: nothing that we know of.
            _ => {}
        }
    }
    let shelf = into.zip(out).map(|(into, out)| Arc::new(Shelf::new(into, out)));
    Some((socket, shelf))
}
