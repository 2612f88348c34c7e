//! The services that a command may call.

use schema::{Call, ContainerId, Failure, Instance, containers, image_store, log_collector, supervisor};
use std::time::Duration;

/// How long an ordinary call may take, restarts of its service included.
const PATIENCE: Duration = Duration::from_secs(60);

/// One instance of cctl. A service is connected to when it is first called.
pub(crate) struct Engine {
    /// Where it lives.
    pub(crate) instance: Instance,
    /// Records and lifecycle.
    pub(crate) containers: containers::Client,
    /// Images.
    pub(crate) images: image_store::Client,
    /// Output and input of containers.
    pub(crate) logs: log_collector::Client,
    /// The services themselves.
    pub(crate) supervisor: supervisor::Client,
}

impl Engine {
    /// The instance that the environment names.
    pub(crate) fn from_env() -> Result<Self, Failure> {
        let instance = Instance::from_env()?;
        Ok(Self {
            containers: containers::Client::new(&instance),
            images: image_store::Client::new(&instance),
            logs: log_collector::Client::new(&instance),
            supervisor: supervisor::Client::new(&instance),
            instance,
        })
    }
}

/// A request of its own, for work that takes moments.
pub(crate) fn call() -> Call {
    Call::within(PATIENCE)
}

/// A request of its own that waits for as long as it takes.
pub(crate) fn patient_call() -> Call {
    call().unbounded()
}

/// An id for a new container.
pub(crate) fn new_id() -> Result<ContainerId, Failure> {
    Ok(ContainerId::from_bytes(random()?))
}

/// A name that no other upload or session has: 32 hexadecimal digits.
pub(crate) fn new_token() -> Result<String, Failure> {
    let bytes: [u8; 16] = random()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    // Up to 256 bytes come at once, once the system's randomness is ready.
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| Failure::io("reading random bytes", &error.into()))?;
    Ok(bytes)
}
