//! From our stdin to the container's.

use super::{DetachKeys, Session, detach};
use crate::console;
use crate::engine::{new_token, patient_call};
use futures::future::{Either, select};
use rustix::stdio::stdin;
use schema::log_collector::{Input, Stream};
use schema::{Call, Code, Failure};
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, Sender, error::SendTimeoutError};

/// Bytes that are read at a time: the contract allows 64 KiB a call.
const PIECE: usize = 32 << 10;
/// Pieces that are kept for a container that does not read its terminal.
const KEPT: usize = 64;
/// How long the next piece waits for it. Then the keys are lost, as on any terminal that nobody reads.
const STUCK: Duration = Duration::from_millis(300);
const BELL: &[u8] = b"\x07";
/// How long the last keys before a detachment may be on their way.
const FLUSH: Duration = Duration::from_millis(500);
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
    pub(super) async fn copy_input(&self) -> Result<Ended, Failure> {
        let token = new_token()?;
        let input = self.engine.logs.input(self.target.id(), &token, self.target.ends_with_input());
        let typed = read_stdin();
        if !self.target.terminal() {
            deliver(&input, typed).await;
            return Ok(Ended::ByItself);
        }
        let (pass, passed) = mpsc::channel(KEPT);
        match select(pin!(watch_keys(typed, pass, self.detach_keys.clone())), pin!(deliver(&input, passed))).await {
            Either::Left(((), delivering)) => {
                // A container that does not read does not keep the user from leaving.
                let _ = tokio::time::timeout(FLUSH, delivering).await;
            }
            Either::Right(((), watching)) => watching.await,
        }
        Ok(Ended::ByUser)
    }
}

/// Passes keys on until the user detaches: also while the container does not read them.
async fn watch_keys(mut typed: Receiver<Vec<u8>>, pass: Sender<Vec<u8>>, keys: DetachKeys) {
    let mut keys = detach::Watch::new(keys);
    while let Some(piece) = typed.recv().await {
        let (piece, detached) = keys.filter(&piece);
        if let Err(SendTimeoutError::Timeout(_)) = pass.send_timeout(piece, STUCK).await {
            let _ = console::write(Stream::Stdout, BELL);
        }
        if detached {
            return;
        }
    }
    // A terminal that is gone sends a signal too.
    std::future::pending().await
}

/// Sends pieces until there are no more, or the container takes no more.
async fn deliver(input: &Input<'_>, pieces: Receiver<Vec<u8>>) {
    match send(input, pieces).await {
        // It has ended, or it was removed.
        Err(failure) if !matches!(failure.code, Code::Conflict | Code::NotFound) => {
            console::complain(&failure.context("sending input"));
        }
        _ => {}
    }
}

async fn send(input: &Input<'_>, mut pieces: Receiver<Vec<u8>>) -> Result<(), Failure> {
    let call = patient_call();
    let mut offset = input.open(&call).await?;
    while let Some(piece) = next(&mut pieces, input, &call, offset).await? {
        if !piece.is_empty() {
            offset = input.write(&call, offset, &piece).await?;
        }
    }
    input.close(&call).await
}

/// The next piece, none at the end. Meanwhile the session is kept open.
async fn next(
    pieces: &mut Receiver<Vec<u8>>,
    input: &Input<'_>,
    call: &Call,
    offset: u64,
) -> Result<Option<Vec<u8>>, Failure> {
    loop {
        match tokio::time::timeout(HEARTBEAT, pieces.recv()).await {
            Ok(piece) => return Ok(piece),
            Err(_) => input.write(call, offset, &[]).await?,
        };
    }
}

/// Reads stdin on a thread of its own, a piece ahead at most. The thread ends with the process: nobody waits
/// for somebody who does not type.
pub(crate) fn read_stdin() -> Receiver<Vec<u8>> {
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
