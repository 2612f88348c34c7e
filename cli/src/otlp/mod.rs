//! A gateway: what our processes have logged of calls, as spans for a collector of OpenTelemetry (OTLP/HTTP, JSON).
//!
//! It reads the logs and posts: the services know nothing of it. [`span`] writes spans, [`endpoint`] reads where they
//! go: both pure. [`post`] sends.

mod endpoint;
mod post;
mod span;

pub(crate) use endpoint::{Endpoint, endpoint};

use crate::console;
use crate::error::Result;
use crate::journal::{Begin, Follower, Span, with_parents};
use crate::session::Signals;
use schema::Failure;
use span::export;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// Between two looks at the logs.
const INTERVAL: Duration = Duration::from_secs(1);
/// A span waits so many looks for the line of the call that it was a part of.
const HELD: u64 = 2;
/// Spans of one request to the collector.
const BATCH: usize = 512;
/// Spans that wait for a collector that does not answer; then the oldest are lost.
const KEPT: usize = 16_384;

/// Sends what is logged by these processes: what there is, and ends; or from now on, until a signal ends this process.
pub(crate) async fn send(logs: Vec<(String, std::path::PathBuf)>, endpoint: &Endpoint, once: bool) -> Result<u8> {
    let begin = if once { Begin::Start } else { Begin::End };
    let mut followers: Vec<(String, Follower)> =
        logs.into_iter().map(|(process, path)| (process, Follower::new(path, begin))).collect();
    if once {
        let mut spans = look(&mut followers)?;
        with_parents(&mut spans);
        for part in spans.chunks(BATCH) {
            post::post(endpoint, &export(part)).await?;
        }
        return Ok(0);
    }
    let mut signals = Signals::watch()?;
    tokio::select! {
        never = follow(&mut followers, endpoint) => never,
        _ = signals.next() => Ok(0),
    }
}

async fn follow(followers: &mut [(String, Follower)], endpoint: &Endpoint) -> Result<u8> {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The look at which each was read, and the span.
    let mut waiting: Vec<(u64, Span)> = Vec::new();
    let mut reachable = true;
    for number in 0.. {
        ticks.tick().await;
        waiting.extend(look(followers)?.into_iter().map(|span| (number, span)));
        if waiting.len() > KEPT {
            console::note(format_args!("{} spans are lost: {endpoint} does not take them", waiting.len() - KEPT));
            waiting.drain(..waiting.len() - KEPT);
        }
        let mut spans: Vec<Span> = waiting.iter().map(|(_, span)| span.clone()).collect();
        with_parents(&mut spans);
        let ready = waiting.iter().take_while(|(read, _)| read + HELD <= number).count();
        for part in spans[..ready].chunks(BATCH) {
            match post::post(endpoint, &export(part)).await {
                Ok(()) => {
                    waiting.drain(..part.len());
                    reachable = true;
                }
                // It is tried again with the next look; told once.
                Err(failure) => {
                    if std::mem::take(&mut reachable) {
                        console::complain(&failure);
                    }
                    break;
                }
            }
        }
    }
    Ok(0)
}

fn look(followers: &mut [(String, Follower)]) -> Result<Vec<Span>, Failure> {
    let mut spans = Vec::new();
    for (process, follower) in followers {
        spans.extend(follower.read()?.iter().filter_map(|record| Span::of(process, record)));
    }
    Ok(spans)
}
