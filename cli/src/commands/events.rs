//! `events`.

use crate::args::{Events, Format};
use crate::console;
use crate::engine::{Engine, patient_call};
use crate::error::Result;
use crate::render::event;
use crate::render::time;
use crate::select::event::{check, matches};
use jiff::Timestamp;

/// How long one call waits for something to happen.
const WAIT_MS: u32 = 30_000;

/// Shows what happens to containers, until the time that is asked for, else on and on.
pub(crate) async fn run(engine: &Engine, arguments: &Events) -> Result<u8> {
    check(&arguments.filter)?;
    let format = arguments.format.as_ref().unwrap_or(&Format::Table);
    let start = Timestamp::now();
    let since = arguments.since.map_or_else(time::now, |since| since.nanoseconds(start));
    let until = arguments.until.map(|until| until.nanoseconds(start));
    let mut after = 0;
    loop {
        let list = engine.containers.events(&patient_call(), after, since, wait(until)).await?;
        let mut text = String::new();
        for event in list.events.iter().filter(|event| matches(event, &arguments.filter)) {
            if until.is_none_or(|until| event.at <= until) {
                text.push_str(&event::line(event, format)?);
            }
        }
        console::print(&text)?;
        let passed = until.is_some_and(|until| time::now() >= until);
        if passed && list.events.is_empty()
            || list.events.iter().any(|event| until.is_some_and(|until| event.at > until))
        {
            return Ok(0);
        }
        after = list.next;
    }
}

/// Milliseconds until the end, at most those of one call.
fn wait(until: Option<i64>) -> u32 {
    let left = until.map(|until| until.saturating_sub(time::now()).max(0) / 1_000_000);
    left.and_then(|left| u32::try_from(left + 1).ok()).map_or(WAIT_MS, |left| left.min(WAIT_MS))
}
