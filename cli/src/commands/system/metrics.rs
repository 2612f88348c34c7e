//! `system metrics`.

use crate::console;
use crate::engine::Engine;
use crate::error::Result;
use crate::metrics::{Listen, look, serve, text};

/// Serves figures for Prometheus where it is told to; prints them once, otherwise.
pub(super) async fn run(engine: &Engine, listen: Option<&Listen>) -> Result<u8> {
    match listen {
        Some(listen) => serve(Engine::from_env()?, listen).await,
        None => {
            console::print(&text(&look(engine).await))?;
            Ok(0)
        }
    }
}
