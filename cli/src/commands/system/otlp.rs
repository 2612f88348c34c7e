//! `system otlp`.

use super::logs::processes;
use crate::engine::Engine;
use crate::error::Result;
use crate::otlp::{Endpoint, send};

/// Sends spans: what has been logged, or what is logged from now on.
pub(super) async fn run(engine: &Engine, endpoint: &Endpoint, once: bool) -> Result<u8> {
    let logs = processes(engine).await.into_iter().map(|process| {
        let path = engine.instance.log(&process);
        (process, path)
    });
    send(logs.collect(), endpoint, once).await
}
