//! The service's process.

use schema::Instance;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};

/// The service, and its socket, which outlives it.
pub(crate) struct Service {
    instance: Instance,
    listener: UnixListener,
    child: Option<Child>,
}

impl Service {
    /// Binds the socket and starts the service on it.
    pub(crate) fn start(instance: &Instance) -> Self {
        let listener = UnixListener::bind(instance.socket("containers")).unwrap();
        let mut service = Self { instance: instance.clone(), listener, child: None };
        service.again();
        service
    }

    /// Starts it again after [`Self::kill`].
    pub(crate) fn again(&mut self) {
        // The shell moves the socket to where sd_listen_fds(3) wants it, and stays the same process.
        let script = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\"";
        let socket = OwnedFd::from(self.listener.try_clone().unwrap());
        let child = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_containers")])
            .env("CCTL_CONFIG", self.instance.config())
            .env("CCTL_ROOT", self.instance.root())
            .env("CCTL_RUN", self.instance.run())
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::from(socket))
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGKILL, and at once the next one.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.again();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.instance.log("containers")).unwrap_or_default();
            eprintln!("--- log of the service\n{log}---");
        }
    }
}
