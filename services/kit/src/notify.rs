//! Readiness and liveness, by the protocol of systemd's `sd_notify(3)`.

use crate::serve;
use crate::sys;
use crate::vital::Vital;
use schema::calls::{self, Count};
use schema::link::ShortPath;
use std::collections::HashMap;
use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

/// Methods that one message tells of: a line has at most some 350 bytes, and a supervisor takes 4096.
const AT_ONCE: usize = 10;
/// Times in a row that nothing new was called, after which a service is taken to be at rest: ten seconds, of most.
const AT_REST: u32 = 20;

/// Tells the process that started us how we are. Does nothing if nobody asked to be told.
#[derive(Debug, Default)]
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
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        match path.as_encoded_bytes().strip_prefix(b"@") {
            Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
            None => socket.connect(ShortPath::of(Path::new(&path))?.path())?,
        }
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

    fn say(&self, message: &str) -> bool {
        let sent = self.socket.as_ref().map_or(Ok(0), |socket| socket.send(message.as_bytes()));
        if let Err(error) = &sent {
            tracing::warn!(%error, message, "cannot notify the supervisor");
        }
        sent.is_ok()
    }
}

/// What was told of calls.
#[derive(Default)]
struct Told {
    connections: u32,
    methods: HashMap<&'static str, Count>,
    /// Times in a row that nothing new was called.
    quiet: u32,
}

impl Told {
    /// Tells what is new, in messages that a receiver takes whole.
    fn tell(&mut self, notifier: &Notifier) {
        let connections = serve::connections();
        if connections != self.connections && notifier.say(&format!("{}={connections}", calls::CONNECTIONS)) {
            self.connections = connections;
        }
        let counts = calls::counts();
        let new: Vec<_> = counts.iter().filter(|(method, count)| self.methods.get(method) != Some(count)).collect();
        for part in new.chunks(AT_ONCE) {
            let lines: Vec<String> = part.iter().map(|(method, count)| calls::note(method, count)).collect();
            if notifier.say(&lines.join("\n")) {
                self.methods.extend(part.iter().map(|told| **told));
            }
        }
        self.quiet = if new.is_empty() { self.quiet.saturating_add(1) } else { 0 };
    }
}

/// Says from the main loop, as long as it turns and all that is vital answers, that we are alive.
pub async fn keep_alive(notifier: Notifier, vital: Vital) {
    repeat(notifier, vital, |_| {}).await;
}

/// The same of a service, whose supervisor also hears what was called. Once it is at rest, memory that is free goes back to
/// the kernel.
pub(crate) async fn keep_alive_and_tell(notifier: Notifier, vital: Vital) {
    let mut told = Told::default();
    let beat = |notifier: &Notifier| {
        told.tell(notifier);
        if told.quiet == AT_REST {
            sys::give_back_memory();
        }
    };
    repeat(notifier, vital, beat).await;
}

async fn repeat(notifier: Notifier, vital: Vital, mut more: impl FnMut(&Notifier)) {
    let Some(interval) = notifier.interval() else { return };
    let mut ticks = tokio::time::interval(interval);
    // A process that was not let run for long has one thing to say, not several.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match vital.silent() {
            None => notifier.alive(),
            Some(part) => tracing::error!(part, "does not answer: this process says no more that it is alive"),
        }
        more(&notifier);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_with_a_long_path_is_reached() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("d".repeat(200));
        std::fs::create_dir(&deep).unwrap();
        let short = directory.path().join("s");
        let theirs = UnixDatagram::bind(&short).unwrap();
        std::fs::rename(short, deep.join("s")).unwrap();
        let ours = UnixDatagram::unbound().unwrap();
        ours.connect(ShortPath::of(&deep.join("s")).unwrap().path()).unwrap();
        ours.send(b"READY=1").unwrap();
        assert_eq!(theirs.recv(&mut [0; 16]).unwrap(), 7);
    }
}
