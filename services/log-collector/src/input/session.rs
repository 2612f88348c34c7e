//! What a client holds of a container's stdin.

use super::actor::Input;
use super::messages::{Close, Detach, Write};
use actix::Addr;
use kit::actor::ask;
use schema::log_collector::InputServer;
use schema::{Call, Failure};

/// The served capability. Dropped when the client lets go of it or its connection is lost.
#[derive(Debug)]
pub(crate) struct Session {
    input: Addr<Input>,
    handle: u64,
}

impl Session {
    pub(crate) fn new(input: Addr<Input>, handle: u64) -> Self {
        Self { input, handle }
    }
}

impl InputServer for Session {
    async fn write(&self, _call: &Call, offset: u64, data: Vec<u8>) -> Result<u64, Failure> {
        ask(&self.input, Write { handle: self.handle, offset, data }).await
    }

    async fn close(&self, _call: &Call) -> Result<(), Failure> {
        ask(&self.input, Close { handle: self.handle }).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.input.do_send(Detach { handle: self.handle });
    }
}
