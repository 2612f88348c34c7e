//! Readiness and liveness, by the protocol of systemd's `sd_notify(3)`.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Tells the process that started us how we are. Does nothing if nobody asked to be told.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// From `NOTIFY_SOCKET` and `WATCHDOG_USEC`.
    pub fn from_env() -> io::Result<Self> {
        let watchdog = env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok()).map(Duration::from_micros);
        let Some(path) = env::var_os("NOTIFY_SOCKET") else {
            return Ok(Self { socket: None, watchdog });
        };
        let address = match path.as_encoded_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(&path)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect_addr(&address)?;
        Ok(Self { socket: Some(socket), watchdog })
    }

    /// We serve.
    pub fn ready(&self) {
        self.say("READY=1");
    }

    /// Our main loop runs.
    pub fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    /// How often to say [`alive`](Self::alive): half of what the starter tolerates; none: never.
    pub fn interval(&self) -> Option<Duration> {
        self.watchdog.map(|tolerated| tolerated / 2)
    }

    fn say(&self, message: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(message.as_bytes())
        {
            tracing::warn!(%error, message, "cannot notify the supervisor");
        }
    }
}
