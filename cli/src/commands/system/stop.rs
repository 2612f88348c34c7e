//! `system stop`.

use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use schema::{Call, Code, Failure, link, supervisor};
use std::io::ErrorKind;
use std::time::{Duration, Instant};

/// How long the processes may take to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// What stopping the containers may take beside the time that each is given.
const MARGIN: Duration = Duration::from_secs(120);
/// How long it may take to count the containers, or to remove what stands ready for others.
const COUNT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

/// Ends the services, with a time in milliseconds the containers before, and waits until all are gone.
pub(super) async fn run(engine: &Engine, containers_within: Option<u32>) -> Result<u8> {
    if let Err(failure) = engine.supervisor.status(&call()).await {
        if failure.code != Code::Unavailable {
            return Err(failure.into());
        }
        console::note("cctl is not running");
        return Ok(0);
    }
    if let Some(timeout_ms) = containers_within {
        let limit = Duration::from_millis(timeout_ms.into()) + MARGIN;
        engine.containers.shut_down(&Call::within(limit), timeout_ms).await?;
    }
    // Neither what stands ready, which the next start removes, too, nor a count is a reason not to stop.
    let _ = engine.containers.stand_down(&call().limited(COUNT)).await;
    let running = engine.containers.info(&call().limited(COUNT)).await.map_or(0, |info| info.running);
    match engine.supervisor.shut_down(&call()).await {
        // The answer may be lost with those who gave it.
        Err(failure) if failure.code != Code::Unavailable => return Err(failure.into()),
        _ => {}
    }
    gone(engine).await?;
    match running {
        0 => console::print_line("cctl has stopped")?,
        1 => console::print_line("cctl has stopped; 1 container goes on")?,
        more => console::print_line(format_args!("cctl has stopped; {more} containers go on"))?,
    }
    Ok(0)
}

/// Waits until nobody holds the sockets any more.
async fn gone(engine: &Engine) -> Result<(), Failure> {
    let socket = engine.instance.socket(supervisor::SERVICE);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match link::connect(&socket) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(()),
            _ if Instant::now() > deadline => {
                return Err(Failure::deadline(format_args!("{} is still held", socket.display()))
                    .hint("see `cctl system status`"));
            }
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}
