//! From our stdin to the container's.

use super::{Session, detach};
use crate::console;
use crate::engine::{new_token, patient_call};
use crate::error::Result;
use rustix::stdio::stdin;
use schema::log_collector::Input;
use schema::{Call, Code, Failure};
use std::time::Duration;
use tokio::sync::mpsc;

/// Bytes that are read at a time: the contract allows 64 KiB a call.
const PIECE: usize = 32 << 10;
/// How long a session is idle before it shows that it is still there. A collector that was restarted ends the
/// container's input if its client does not return within 2 s, and a client that sends nothing does not
/// notice the restart.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// Why there is no more input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The user has typed the detach keys.
    ByUser,
    /// Our stdin has ended, or the container takes no more.
    ByItself,
}

impl Session<'_> {
    /// Sends what comes on stdin until it ends. Input that a container no longer takes is dropped.
    pub(super) async fn copy_input(&self) -> Result<Ended> {
        let token = new_token()?;
        // The end of a terminal's session is not the end of the container's input: another may attach.
        let once = self.container.spec.stdin_once && !self.container.spec.terminal;
        let input = self.engine.logs.input(&self.container.id, &token, once);
        match self.send(&input).await {
            // It has ended, or it was removed.
            Err(failure) if matches!(failure.code, Code::Conflict | Code::NotFound) => Ok(Ended::ByItself),
            Err(failure) => {
                console::complain(&failure.context("sending input"));
                Ok(Ended::ByItself)
            }
            ended => Ok(ended?),
        }
    }

    async fn send(&self, input: &Input<'_>) -> Result<Ended, Failure> {
        let call = patient_call();
        let mut offset = input.open(&call).await?;
        let mut typed = read_stdin();
        let mut keys = self.container.spec.terminal.then(detach::Keys::default);
        while let Some(piece) = next(&mut typed, input, &call, offset).await? {
            let (piece, detached) = match &mut keys {
                Some(keys) => keys.filter(&piece),
                None => (piece, false),
            };
            if !piece.is_empty() {
                offset = input.write(&call, offset, &piece).await?;
            }
            if detached {
                input.close(&call).await?;
                return Ok(Ended::ByUser);
            }
        }
        input.close(&call).await?;
        Ok(Ended::ByItself)
    }
}

/// The next piece of stdin, none at its end. Meanwhile the session is kept open.
async fn next(
    typed: &mut mpsc::Receiver<Vec<u8>>,
    input: &Input<'_>,
    call: &Call,
    offset: u64,
) -> Result<Option<Vec<u8>>, Failure> {
    loop {
        match tokio::time::timeout(HEARTBEAT, typed.recv()).await {
            Ok(piece) => return Ok(piece),
            Err(_) => input.write(call, offset, &[]).await?,
        };
    }
}

/// Reads stdin on a thread of its own, a piece ahead at most. The thread ends with the process: nobody waits
/// for somebody who does not type.
fn read_stdin() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut buffer = vec![0; PIECE];
        // A stdin that cannot be read has ended.
        while let Ok(length @ 1..) = console::read(stdin(), &mut buffer) {
            if sender.blocking_send(buffer[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}
